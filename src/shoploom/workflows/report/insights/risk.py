"""Who is at risk, and with how much money at stake."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.time import DAY_US
from shoploom.tables import Tables
from shoploom.workflows.report.insights.history import iso_day
from shoploom.workflows.report.insights.orders import purchase_rows, read_orders


def at_risk(
    tables: Tables,
    at: int,
    users: NDArray[np.object_],
    churn: NDArray[np.float64],
    spend: NDArray[np.float64],
    *,
    window_days: int,
    limit: int = 500,
) -> list[dict[str, Any]]:
    """The users with the most money at stake, dearest first: the value of ``insights["at_risk"]``.

    Value at stake is the probability of churn times what the user usually spends in a window of
    the same length (all spend since the first order, scaled to the window; a history shorter
    than one window counts as one). Expected spend would understate it: it already expects the
    loss.

    Args:
        tables: clean tables.
        at: the moment of the predictions, microseconds UTC.
        users: ``(n,)`` distinct user ids.
        churn: ``(n,)`` probability of not buying in the window.
        spend: ``(n,)`` expected spend in the window, in the shop's currency.
        window_days: the length of the window that ``churn`` and ``spend`` are about.
        limit: how many users to list.

    Returns:
        Dicts of ``user_id``, ``churn``, ``spend``, ``usual_spend``, ``last_purchase`` (ISO day)
        and ``value``. Users who never bought before ``at`` are left out.
    """
    orders = read_orders(purchase_rows(tables.as_of(at).events))
    _, asked, known = np.intersect1d(
        users.astype(str), orders.user_ids.astype(str), return_indices=True
    )
    users, churn, spend = users[asked], churn[asked], spend[asked]
    buyers = {name: values[known] for name, values in orders.per_user.items()}
    windows = np.maximum((at - buyers["first"]) / (window_days * DAY_US), 1.0)
    usual = buyers["cents"] / 100 / windows
    value = churn * usual
    dearest = np.lexsort((users.astype(str), -value))[:limit]
    return [
        {
            c.USER_ID: str(users[i]),
            "churn": round(float(churn[i]), 4),
            "spend": round(float(spend[i]), 2),
            "usual_spend": round(float(usual[i]), 2),
            "last_purchase": iso_day(buyers["last"][i] // DAY_US),
            "value": round(float(value[i]), 2),
        }
        for i in dearest
    ]
