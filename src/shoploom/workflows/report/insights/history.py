"""Money and loyalty over time: key figures, sales, repeat buying, cohorts, hours of the week."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError
from shoploom.core.time import DAY_US, HOUR_US, SECOND_US, from_us, iso
from shoploom.workflows.report.insights.orders import Orders

if TYPE_CHECKING:
    import ibis.expr.types as ir

#: The steps of a funnel, in the order a visit takes them.
FUNNEL_STEPS = (c.VIEW, c.FAVOURITE, c.CART, c.PURCHASE)

#: How many orders a buyer must have made to count as having reached a step of ``repeat``.
REPEAT_STEPS = (1, 2, 3, 4, 5, 10, 20)

#: A history up to so many days is drawn by day, up to the next by week, beyond by month.
DAILY_UP_TO_DAYS = 60
WEEKLY_UP_TO_DAYS = 3 * 366


def totals(events: ir.Table, purchases: ir.Table, orders: Orders) -> dict[str, Any]:
    """The key figures; ``order_value``, ``lines_per_order`` and dates are None without orders."""
    seen = _row(events.aggregate(users=events[c.USER_ID].nunique(), events=events.count()))
    sold = _row(purchases.aggregate(items=purchases[c.ITEM_ID].nunique(), n=purchases.count()))
    n = len(orders)
    cents = int(orders.cents.sum())
    return {
        "users": seen["users"],
        "events": seen["events"],
        "buyers": len(orders.user_ids),
        "purchases": sold["n"],
        "items_sold": sold["items"],
        "orders": n,
        "units": float(orders.units.sum()),
        "revenue": cents / 100,
        "order_value": round(cents / 100 / n, 2) if n else None,
        "lines_per_order": round(sold["n"] / n, 2) if n else None,
        "first": iso_day(orders.day.min()) if n else None,
        "last": iso_day(orders.day.max()) if n else None,
    }


def funnel(events: ir.Table) -> list[dict[str, Any]] | None:
    """Per step that the shop records: ``action``, and the ``users`` and ``sessions`` that took it.

    None when fewer than two of the steps occur: one bar is no funnel.
    """
    import ibis

    steps = events.filter(ibis._[c.ACTION].isin(FUNNEL_STEPS))
    rows = (
        steps.group_by(c.ACTION)
        .aggregate(users=steps[c.USER_ID].nunique(), sessions=steps[c.SESSION_ID].nunique())
        .to_pyarrow()
        .to_pylist()
    )
    by_action = {row[c.ACTION]: row for row in rows}
    taken = [by_action[step] for step in FUNNEL_STEPS if step in by_action]
    return taken if len(taken) > 1 else None


def recent(orders: Orders, at: int, days: int) -> dict[str, Any] | None:
    """Revenue and orders of the last ``days`` days beside those of the ``days`` before.

    None when the history does not cover both periods.
    """
    ago = (at - 1 - orders.time) // (days * DAY_US)
    if orders.time.min() >= at - (2 * days - 1) * DAY_US:
        return None
    return {
        "days": days,
        "revenue": int(orders.cents[ago == 0].sum()) / 100,
        "previous_revenue": int(orders.cents[ago == 1].sum()) / 100,
        "orders": int((ago == 0).sum()),
        "previous_orders": int((ago == 1).sum()),
    }


def revenue(orders: Orders) -> dict[str, Any]:
    """Revenue, orders and buyers by day, week (from Monday) or month in UTC, gaps as zeros.

    ``grain`` says which; ``start`` holds ISO days; ``complete`` is False for a first or last
    bucket that the history covers only in part.
    """
    first, last = int(orders.day.min()), int(orders.day.max())
    span = last - first + 1
    grain = "day" if span <= DAILY_UP_TO_DAYS else "week" if span <= WEEKLY_UP_TO_DAYS else "month"
    bucket = _bucket(grain, orders.day)
    low = int(bucket.min())
    bucket, n = bucket - low, int(bucket.max()) - low + 1
    edges = _bucket_day(grain, low + np.arange(n + 1))
    buyers = np.unique(bucket * len(orders.user_ids) + orders.user) // len(orders.user_ids)
    return {
        "grain": grain,
        "start": [iso_day(day) for day in edges[:-1]],
        "revenue": (np.bincount(bucket, orders.cents, minlength=n) / 100).tolist(),
        "orders": np.bincount(bucket, minlength=n).tolist(),
        "buyers": np.bincount(buyers, minlength=n).tolist(),
        "complete": ((edges[:-1] >= first) & (edges[1:] <= last + 1)).tolist(),
    }


def repeat(orders: Orders) -> dict[str, Any]:
    """How many buyers came back: ``users`` that made at least ``orders`` orders.

    ``median_gap_days`` is the median time between two successive orders of one user, in days;
    None when nobody ordered twice.
    """
    made = orders.per_user["orders"]
    steps = [step for step in REPEAT_STEPS if step <= made.max()]
    gaps = np.diff(orders.time)[np.diff(orders.user) == 0]
    return {
        "orders": steps,
        "users": [int((made >= step).sum()) for step in steps],
        "median_gap_days": round(float(np.median(gaps)) / DAY_US, 1) if len(gaps) else None,
    }


def cohorts(orders: Orders) -> dict[str, Any] | None:
    """Monthly retention: of the users whose first order fell in a month, how many ordered later.

    Returns:
        ``cohort`` (ISO first days of months), ``users`` (cohort sizes) and ``retention``, a row
        per cohort: the share of it that ordered 0, 1, 2, ... calendar months (UTC) later, up to
        the last month that has ended. None with fewer than two such months.
    """
    month = _bucket("month", orders.day)
    low = int(month.min())
    month, n = month - low, int(month.max()) - low + 1
    # A history that stops on the last evening of a month covers that month.
    ended = int(orders.day.max()) + 1 >= _bucket_day("month", np.array([low + n]))[0]
    n_complete = n if ended else n - 1
    if n_complete < 2:
        return None
    user, active = np.divmod(np.unique(orders.user * n + month), n)
    first = active[np.searchsorted(user, np.arange(len(orders.user_ids)))]
    later = active - first[user]
    counts = np.bincount(first[user] * n + later, minlength=n * n).reshape(n, n)
    kept = np.flatnonzero(counts[:n_complete, 0])
    starts = _bucket_day("month", low + kept)
    return {
        "cohort": [iso_day(day) for day in starts],
        "users": counts[kept, 0].tolist(),
        "retention": [(counts[m, : n_complete - m] / counts[m, 0]).round(4).tolist() for m in kept],
    }


def rhythm(orders: Orders, timezone: str) -> list[list[int]]:
    """``(7, 24)`` orders by weekday (Monday first) and hour of the shop's clock."""
    local = orders.time + _ahead_of_utc(orders.day, timezone)
    weekday, hour = (local // DAY_US + 3) % 7, local // HOUR_US % 24
    return np.bincount(weekday * 24 + hour, minlength=168).reshape(7, 24).tolist()


def _ahead_of_utc(day: NDArray[np.int64], timezone: str) -> NDArray[np.int64]:
    """``(n,)`` microseconds that a clock is ahead of UTC at noon (UTC) of each day.

    Once per day is enough for a picture: only the night of a clock change is an hour off.
    """
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise ConfigError(
            f"expected the name of a time zone such as Asia/Shanghai, got {timezone!r}; "
            "set timezone in shop.yaml."
        ) from None
    days, place = np.unique(day, return_inverse=True)
    noons = (from_us(int(day) * DAY_US + DAY_US // 2) for day in days)
    seconds = [(noon.astimezone(zone).utcoffset() or timedelta()).total_seconds() for noon in noons]
    return (np.array(seconds, dtype=np.int64) * SECOND_US)[place]


def concentration(orders: Orders) -> list[float]:
    """``(10,)`` share of all revenue by tenth of the buyers, the biggest spenders first."""
    cents = np.sort(orders.per_user["cents"])[::-1]
    return [round(float(part.sum() / max(cents.sum(), 1)), 4) for part in np.array_split(cents, 10)]


def _bucket(grain: str, day: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number, counted from 1970, of the day, week or month that a day lies in.

    numpy's calendar rather than the backend's: that one depends on its session's time zone.
    """
    if grain == "month":
        return day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return day if grain == "day" else (day + 3) // 7  # 1970 began on a Thursday


def _bucket_day(grain: str, bucket: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first day of each bucket."""
    if grain == "month":
        return bucket.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return bucket if grain == "day" else bucket * 7 - 3


def iso_day(day: Any) -> str:
    """The ISO date of a day number (days since 1970)."""
    return iso(int(day) * DAY_US)


def _row(table: ir.Table) -> dict[str, Any]:
    """The only row of an aggregate."""
    return table.to_pyarrow().to_pylist()[0]
