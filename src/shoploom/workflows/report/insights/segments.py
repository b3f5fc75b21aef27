"""Kinds of customers by how lately and how often they bought."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.time import DAY_US
from shoploom.workflows.report.insights.orders import Orders

#: Names of recency-frequency segments, best first; texts.yaml says what each means.
SEGMENTS = ("champions", "loyal", "promising", "attention", "slipping", "lost")


def rfm(orders: Orders, at: int) -> dict[str, Any]:
    """Buyers on a grid of recency by frequency, and the segments that managers name.

    Both axes are cut at their quintiles (Hughes, Strategic Database Marketing, 1994). Equal
    values stay together, so a shop with few distinct values has fewer than five cells a side.

    Returns:
        ``recency_days`` and ``orders``: inclusive ``[low, high]`` of each row and column, the
        most recent and the fewest orders first; ``users``, ``spend`` and ``segment`` of shape
        ``(n_recency, n_orders)``; ``segments``: a list of ``{segment, users, spend}``.
    """
    buyers = orders.per_user
    row, recency_ranges = _quintiles((at - 1 - buyers["last"]) // DAY_US)
    column, order_ranges = _quintiles(buyers["orders"])
    shape = (len(recency_ranges), len(order_ranges))
    cell, size = row * shape[1] + column, shape[0] * shape[1]
    users = np.bincount(cell, minlength=size).reshape(shape)
    spend = np.bincount(cell, buyers["cents"], minlength=size).reshape(shape) / 100
    segment = _segment(shape)
    return {
        "recency_days": recency_ranges,
        "orders": order_ranges,
        "users": users.tolist(),
        "spend": spend.tolist(),
        "segment": segment.tolist(),
        "segments": [
            {
                "segment": name,
                "users": int(users[segment == name].sum()),
                "spend": round(float(spend[segment == name].sum()), 2),
            }
            for name in SEGMENTS
            if users[segment == name].any()
        ],
    }


def _quintiles(values: NDArray[Any]) -> tuple[NDArray[np.int64], list[list[int]]]:
    """``(n,)`` bin of each whole number, and the inclusive ``[low, high]`` of each bin."""
    cuts = np.unique(np.quantile(values, [0.2, 0.4, 0.6, 0.8], method="inverted_cdf"))
    cuts = cuts[cuts < values.max()]
    lows = np.concatenate(([values.min()], cuts + 1))
    highs = np.concatenate((cuts, [values.max()]))
    ranges = [[int(low), int(high)] for low, high in zip(lows, highs, strict=True)]
    return np.searchsorted(cuts, values, side="left"), ranges


def _segment(shape: tuple[int, int]) -> NDArray[np.str_]:
    """``(n_recency, n_orders)`` segment of every cell, from its place on both axes."""
    stale = ((np.arange(shape[0]) + 0.5) / shape[0])[:, None]  # near 0: ordered just now
    often = ((np.arange(shape[1]) + 0.5) / shape[1])[None, :]  # near 1: orders most
    recent, middling, frequent = stale < 0.4, stale < 0.6, often > 0.6
    return np.select(
        [recent & frequent, middling & frequent, recent & ~frequent, middling, frequent & ~recent],
        ["champions", "loyal", "promising", "attention", "slipping"],
        "lost",
    )
