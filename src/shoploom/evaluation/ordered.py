"""Rows from the highest score down: what every metric of order is made of.

Rows of equal score form one step, whose rows count as if they came in any order. Weighted sums
along the steps give AUROC, average precision, lift and Gini for many resamples at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shoploom.evaluation.intervals import Owners, Weights, ratio


@dataclass(frozen=True)
class Descending:
    """``n`` rows sorted by falling score, ties grouped into steps.

    Attributes:
        order: ``(n,)`` row numbers, highest score first.
        starts, ends: ``(n_steps,)`` first and last place of each step in ``order``.
        step: ``(n,)`` the step of each place.
    """

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    step: NDArray[np.int64]

    @classmethod
    def of(cls, scores: NDArray) -> Descending:
        """The order of ``(n,)`` finite scores."""
        order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
        ranked = scores[order]
        new = np.concatenate(([True], ranked[1:] != ranked[:-1]))[: len(order)]
        starts = np.flatnonzero(new)
        ends = np.concatenate((starts[1:], [len(order)]))[: len(starts)] - 1
        return cls(order, starts, ends, np.cumsum(new) - 1)


class PositivesFirst:
    """How well an order puts positives first, for many draws of users at once.

    Only steps that hold a positive are visited, which is few of them where positives are rare.

    Args:
        descending: the order.
        truth: ``(n,)`` of 0 and 1.
        owners: whose each row is.
    """

    def __init__(self, descending: Descending, truth: NDArray, owners: Owners):
        self._descending = descending
        self._owner = owners.codes[descending.order]
        self._places = np.flatnonzero(truth[descending.order] > 0)
        step = descending.step[self._places]
        self._last = np.flatnonzero(np.diff(step, append=-1))  # last positive of each such step
        self._steps = step[self._last]

    def measure(self, weights: Weights) -> dict[str, NDArray[np.float64]]:
        """``auroc``, ``auprc`` and ``lift@10%``, each ``(n_draws,)``."""
        if not len(self._places) or len(self._places) == len(self._owner):
            undefined = np.full(len(weights), np.nan)
            return {"auroc": undefined, "auprc": undefined, "lift@10%": undefined}
        weights = weights[:, self._owner]
        seen = np.cumsum(weights, axis=1, dtype=np.int32)
        hits = np.cumsum(weights[:, self._places], axis=1, dtype=np.int32)
        n, positives = seen[:, -1].astype(np.float64), hits[:, -1].astype(np.float64)

        hits_after = hits[:, self._last]
        step_hits = np.diff(hits_after, axis=1, prepend=0)
        first = self._descending.starts[self._steps]
        seen_after = seen[:, self._descending.ends[self._steps]]
        seen_before = seen[:, first] - weights[:, first]
        # A positive beats the negatives after its step, and half of those within it.
        beaten_by = (seen_after - hits_after + seen_before - (hits_after - step_hits)) / 2
        negatives = n - positives
        won = np.einsum("ij,ij->i", step_hits, negatives[:, None] - beaten_by)
        precision = hits_after / np.maximum(seen_after, 1)
        found = np.einsum("ij,ij->i", step_hits, precision)
        auprc = np.where(negatives > 0, ratio(found, positives), np.nan)
        return {
            "auroc": ratio(won, positives * negatives),
            "auprc": auprc,
            "lift@10%": ratio(self._captured(seen, hits, 0.1), positives * 0.1),
        }

    def _captured(self, seen: NDArray, hits: NDArray, share: float) -> NDArray[np.float64]:
        """``(n_draws,)`` positives in the top ``share`` of the rows, a cut step counted in part."""
        cut = share * seen[:, -1]
        place = (seen < cut[:, None]).sum(axis=1)
        step = self._descending.step[np.minimum(place, seen.shape[1] - 1)]
        start, end = self._descending.starts[step], self._descending.ends[step]
        seen_before, seen_after = _through(seen, start - 1), _through(seen, end)
        hits_before = _through(hits, np.searchsorted(self._places, start, side="left") - 1)
        hits_after = _through(hits, np.searchsorted(self._places, end, side="right") - 1)
        part = (cut - seen_before) / np.maximum(seen_after - seen_before, 1)
        return hits_before + part * (hits_after - hits_before)


def gini(
    descending: Descending, amounts: NDArray, owners: Owners, weights: Weights
) -> NDArray[np.float64]:
    """``(n_draws,)`` Gini coefficient of ``(n,)`` amounts taken in the given order.

    Twice the area between the curve of amount captured and the diagonal: 0 for a random order,
    largest when the order is that of the amounts themselves.
    """
    if not len(amounts):
        return np.full(len(weights), np.nan)
    weights = weights[:, owners.codes[descending.order]]
    captured = weights * amounts[descending.order].astype(np.float64)
    captured = np.cumsum(captured, axis=1, out=captured)[:, descending.ends]
    seen = np.cumsum(weights, axis=1, dtype=np.int32)[:, descending.ends]
    width = np.diff(seen, axis=1, prepend=0)
    # The trapezoid under each step, from twice the height at its end less half its rise.
    rise = np.diff(captured, axis=1, prepend=0.0)
    area = np.einsum("ij,ij->i", width, captured - rise / 2)
    return 2 * ratio(area, seen[:, -1] * captured[:, -1]) - 1


def _through(cumulative: NDArray, place: NDArray) -> NDArray:
    """Each draw's cumulative value through its place; 0 before the first."""
    value = cumulative[np.arange(len(cumulative)), np.maximum(place, 0)]
    return np.where(place >= 0, value, 0)
