"""The statistics of ``statistics`` and ``categories``, computed from arrays in a millisecond.

One promise: for the same events the numbers are those that tables give, to the last digit of a
float32 (``tests/sequences/test_live_statistics.py``). Every sum is a sum of whole numbers here too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.time import DAY_US, WEEK_US
from shoploom.sequences.categories import CategoryStatistics, category_columns
from shoploom.sequences.statistics import PERIODS_DAYS, WINDOWS_DAYS
from shoploom.sequences.types import UserStatistics
from shoploom.sequences.user_events import UserEvents

Floats = NDArray[np.float64]

_WEEKS = 16
_MILLION = 1_000_000
_THURSDAY_US = 3 * DAY_US
_WINDOWS_WEEKS = np.array([days // 7 for days in WINDOWS_DAYS])
_CODE = {name: code for code, name in enumerate(c.ACTIONS)}
#: Each period with the day's own circle first.
_CIRCLES_US = np.array([DAY_US, *(days * DAY_US for days in PERIODS_DAYS)], dtype=np.float64)


def statistics_of(
    events: UserEvents, at: int, highest: NDArray[np.float64] | None = None
) -> UserStatistics:
    """Statistics as of a moment; every event must lie before it.

    Args:
        events: of some users.
        at: the moment, microseconds UTC.
        highest: ``(n_items,)`` the highest price that anybody paid for each item before ``at``,
            NaN where unknown; the users' own purchases alone say it when None.
    """
    values, names = _columns(events, at, highest)
    return UserStatistics(at=at, users=events.users, names=names, values=values)


def category_statistics_of(
    events: UserEvents, at: int, category: NDArray[np.integer], shop: CategoryStatistics
) -> CategoryStatistics:
    """Statistics of users in categories; what all users did in them is taken from ``shop``.

    Args:
        events: of some users, all before ``at``.
        at: the moment, microseconds UTC.
        category: ``(n_items,)`` code of each item's category in ``shop.categories``, -1 for none.
        shop: the statistics of the whole shop at some moment before.
    """
    n = len(shop.categories)
    of = np.append(category, -1)[events.item]  # an event without an item finds the end
    kept = np.flatnonzero(of >= 0)
    user, time = events.row[kept], events.time[kept]
    pair = user * n + of[kept]
    pairs, place = np.unique(pair, return_inverse=True)
    bought = events.action[kept] == _CODE[c.PURCHASE]
    late = {days: time >= at - days * DAY_US for days in (28, 112)}

    def count(where: NDArray[np.bool_] | None = None, weights: Floats | None = None) -> Floats:
        if where is None:
            return np.bincount(place, weights, minlength=len(pairs)).astype(np.float64)
        chosen = None if weights is None else weights[where]
        return np.bincount(place[where], chosen, len(pairs)).astype(np.float64)

    def last(where: NDArray[np.bool_]) -> Floats:
        latest = np.full(len(pairs), np.iinfo(np.int64).min)
        np.maximum.at(latest, place[where], time[where])
        return np.where(latest == np.iinfo(np.int64).min, np.nan, (at - latest) / DAY_US)

    cents, _ = _cents(events)
    columns = {
        "category_recency_days": last(np.ones(len(kept), dtype=bool)),
        "category_purchase_recency_days": last(bought),
        "category_events": count(),
        "category_events_28d": count(late[28]),
        "category_purchases": count(bought),
        "category_purchases_28d": count(bought & late[28]),
        "category_purchases_112d": count(bought & late[112]),
        "category_spend": count(bought, cents[kept]) / 100,
    }
    return CategoryStatistics(
        at=at,
        users=events.users,
        categories=shop.categories,
        names=shop.names,
        pairs=pairs,
        by_pair=category_columns(columns, pairs // max(n, 1), len(events)),
        by_category=shop.by_category,
    )


def _columns(
    events: UserEvents, at: int, highest: Floats | None
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    n, row = len(events), events.row
    with np.errstate(divide="ignore", invalid="ignore"):
        columns = _visits(events, row, at)
        cents, priced = _cents(events)
        bought = np.flatnonzero(events.action == _CODE[c.PURCHASE])
        of, paid = row[bought], cents[bought]
        columns |= _purchases(events.time[bought], of, paid, n, at)
        columns |= _orders(events, bought, of, paid, priced, n)
        columns |= _assortment(events, bought, of, paid, priced, n, highest)
        columns["purchase_overdue"] = _ratio(
            columns["purchase_recency_days"], columns["purchase_gap_mean_days"]
        )
    values = np.empty((n, len(columns)), dtype=np.float32)
    for place, column in enumerate(columns.values()):
        values[:, place] = column
    return values, tuple(columns)


def _visits(events: UserEvents, row: NDArray[np.int64], at: int) -> dict[str, Floats]:
    n = len(events)
    starts, ends = events.offsets[:-1], events.offsets[1:] - 1
    began, ended = events.time[starts], events.time[ends]
    age = (at - 1 - events.time) // DAY_US
    week = np.minimum(age // 7, _WEEKS)
    by_action = _table(row, events.action, n, len(c.ACTIONS))
    weeks = _table(row, week, n, _WEEKS + 1)
    carts = events.action == _CODE[c.CART]
    cart_weeks = _table(row[carts], week[carts], n, _WEEKS + 1)

    new_day = np.ones(len(age), dtype=bool)
    new_day[1:] = (age[1:] != age[:-1]) | (row[1:] != row[:-1])
    first = np.flatnonzero(new_day)  # in order of time: a day's first event is when it began
    day_row, day_age, day_began = row[first], age[first], events.time[first]
    day_weeks = _table(day_row, week[first], n, _WEEKS + 1)
    active = day_weeks.sum(axis=1)
    weekend = np.bincount(day_row, (day_began + _THURSDAY_US) % WEEK_US >= 5 * DAY_US, minlength=n)
    elapsed = np.empty((len(first), len(_CIRCLES_US)))
    elapsed[:, 0] = day_began % DAY_US
    elapsed[:, 1:] = (day_age * DAY_US + DAY_US // 2)[:, None]
    angle = elapsed * (2 * math.pi / _CIRCLES_US)
    sums = {
        axis: np.add.reduceat(_millionths(turn(angle)), np.searchsorted(day_row, np.arange(n)))
        for axis, turn in (("cos", np.cos), ("sin", np.sin))
    }
    mean_cos, mean_sin = (sums[axis] / _MILLION / active[:, None] for axis in ("cos", "sin"))
    power = active[:, None] * (mean_cos * mean_cos + mean_sin * mean_sin)

    recency, tenure = (at - ended) / DAY_US, (at - began) / DAY_US
    gap = _ratio((ended - began) / DAY_US, active - 1)
    count = {name: by_action[:, code] for name, code in _CODE.items()}
    within = {
        "events": _within(weeks),
        "carts": _within(cart_weeks),
        "active_days": _within(day_weeks),
    }
    columns = {
        "recency_days": recency,
        "tenure_days": tenure,
        "active_days": active,
        "active_share": active / ((at - 1 - began) // DAY_US + 1),
        "visit_gap_mean_days": gap,
        "visit_overdue": _ratio(recency, gap),
        "events": by_action.sum(axis=1),
        **{f"{name}_count": column for name, column in count.items()},
        "carts_per_view": _ratio(count[c.CART], count[c.VIEW]),
        "purchases_per_view": _ratio(count[c.PURCHASE], count[c.VIEW]),
        "purchases_per_cart": _ratio(count[c.PURCHASE], count[c.CART]),
        **_windows(within),
        **_paces("events", within["events"]),
        **_weekly(weeks[:, :_WEEKS], (at - 1 - began) // WEEK_US + 1),
        "weekend_share": weekend / active,
        "hour_cos": mean_cos[:, 0],
        "hour_sin": mean_sin[:, 0],
        "hour_concentration": np.sqrt(power[:, 0] / active),
    }
    turn = 2 * math.pi * ((at + _THURSDAY_US) % WEEK_US) / WEEK_US
    cos, sin = mean_cos[:, 1], mean_sin[:, 1]
    columns |= {
        "weekday_cos": math.cos(turn) * cos + math.sin(turn) * sin,
        "weekday_sin": math.sin(turn) * cos - math.cos(turn) * sin,
        "weekday_concentration": np.sqrt(power[:, 1] / active),
    }
    for place, period in enumerate(PERIODS_DAYS, 1):
        columns[f"period_{period}d_cos"] = mean_cos[:, place]
        columns[f"period_{period}d_sin"] = mean_sin[:, place]
        columns[f"period_{period}d_power"] = power[:, place]
    return columns | {"spectral_entropy": _entropy(power[:, 1:], active)}


def _entropy(power: Floats, active: Floats) -> Floats:
    total = np.zeros(len(power))
    for column in power.T:  # in the order of the expression on tables
        total = total + column
    share = _ratio(power, total[:, None])
    terms = np.nan_to_num(share * np.log(np.where(share == 0, np.nan, share)))
    entropy = np.zeros(len(power))
    for column in terms.T:
        entropy = entropy + column
    return np.where(active >= 3, -entropy / math.log(power.shape[1]), np.nan)


def _weekly(week: Floats, lived: NDArray[np.int64]) -> dict[str, Floats]:
    """Slope and autocorrelation of weekly events; the closed forms of ``statistics``."""
    k = np.arange(_WEEKS)
    n = np.minimum(lived, _WEEKS).astype(np.float64)
    total, by_age = week.sum(axis=1), week @ k
    ages, squares = n * (n - 1) / 2, (n - 1) * n * (2 * n - 1) / 6
    slope = _ratio(ages * total - n * by_age, n * squares - ages * ages)
    mean = total / n
    oldest = week[np.arange(len(week)), n.astype(np.int64) - 1]
    lagged = (week[:, :-1] * week[:, 1:]).sum(axis=1)
    covariance = lagged - mean * (2 * total - week[:, 0] - oldest) + (n - 1) * mean * mean
    variance = (week * week).sum(axis=1) - n * mean * mean
    return {
        "weekly_events_slope": np.where(n >= 3, slope, np.nan),
        "weekly_events_autocorrelation": np.where(n >= 4, _ratio(covariance, variance), np.nan),
    }


def _purchases(
    time: NDArray[np.int64], row: NDArray[np.int64], cents: Floats, n: int, at: int
) -> dict[str, Floats]:
    """What purchase days say, and the gaps between them."""
    age = (at - 1 - time) // DAY_US
    week = np.minimum(age // 7, _WEEKS)
    lines = _within(_table(row, week, n, _WEEKS + 1))
    spent = _within(_table(row, week, n, _WEEKS + 1, cents)) / 100
    first, last = _ends(row, n)
    has = first >= 0
    began, ended = np.full(n, np.nan), np.full(n, np.nan)
    began[has], ended[has] = (at - time[first[has]]) / DAY_US, (at - time[last[has]]) / DAY_US
    new_day = np.ones(len(age), dtype=bool)
    new_day[1:] = (age[1:] != age[:-1]) | (row[1:] != row[:-1])
    day_row, day_age = row[new_day], age[new_day]
    columns = {
        "purchase_recency_days": ended,
        "purchase_tenure_days": began,
        "purchase_days": np.bincount(day_row, minlength=n).astype(np.float64),
        "spend": np.bincount(row, cents, minlength=n) / 100,
        **_windows({"purchases": lines, "spend": spent}),
        **_paces("spend", spent),
    }
    return columns | _gaps(day_row, day_age, n)


def _gaps(row: NDArray[np.int64], age: NDArray[np.int64], n: int) -> dict[str, Floats]:
    """Days between one purchase day and the next; days come in order of time."""
    inside = row[1:] == row[:-1]
    gap, of = (age[:-1] - age[1:])[inside].astype(np.float64), row[1:][inside]
    number = np.bincount(of, minlength=n).astype(np.float64)
    total = np.bincount(of, gap, minlength=n)
    squares = np.bincount(of, gap * gap, minlength=n)
    number[number == 0] = np.nan
    shortest, longest, latest = (np.full(n, np.nan) for _ in range(3))
    first, last = _ends(of, n)
    has = first >= 0
    if len(gap):
        shortest[has] = np.minimum.reduceat(gap, first[has])
        longest[has] = np.maximum.reduceat(gap, first[has])
        latest[has] = gap[last[has]]
    mean = total / number
    spread = np.sqrt(np.maximum(number * squares - total * total, 0)) / number
    std = np.where(number > 1, spread, np.nan)
    return {
        "purchase_gap_mean_days": mean,
        "purchase_gap_std_days": std,
        "purchase_gap_min_days": shortest,
        "purchase_gap_max_days": longest,
        "purchase_gap_last_days": latest,
        "purchase_gap_cv": std / mean,
        "purchase_burstiness": (std - mean) / (std + mean),
    }


def _orders(
    events: UserEvents,
    bought: NDArray[np.intp],
    row: NDArray[np.int64],
    cents: Floats,
    priced: NDArray[np.bool_],
    n: int,
) -> dict[str, Floats]:
    """Orders, their value and their size."""
    of, place = _distinct(row, events.order[bought])
    value = np.bincount(place, cents, minlength=len(of))
    orders = np.bincount(of, minlength=n).astype(np.float64)
    largest = np.full(n, np.nan)
    first, _ = _ends(of, n)
    if len(of):
        largest[first >= 0] = np.maximum.reduceat(value, first[first >= 0])
    units = _millionths(_units(events)[bought])
    total = np.bincount(row, cents, minlength=n)
    known = np.bincount(row, np.where(priced[bought], units, 0), minlength=n) / _MILLION
    some = np.where(orders > 0, orders, np.nan)
    return {
        "orders": orders,
        "order_value_mean": total / 100 / some,
        "order_value_max": largest / 100,
        "basket_lines": np.bincount(row, minlength=n) / some,
        "basket_units": np.bincount(row, units, minlength=n) / _MILLION / some,
        "unit_price_mean": np.where(orders > 0, _ratio(total / 100, known), np.nan),
    }


def _assortment(
    events: UserEvents,
    bought: NDArray[np.intp],
    row: NDArray[np.int64],
    cents: Floats,
    priced: NDArray[np.bool_],
    n: int,
    highest: Floats | None,
) -> dict[str, Floats]:
    """How varied purchases are, and how far below each item's highest price."""
    inside = events.item[bought] >= 0
    bought, row, cents = bought[inside], row[inside], cents[inside]
    item = events.item[bought].astype(np.int64)
    of, place = _distinct(row, item)
    lines = np.bincount(place, minlength=len(of))
    units = np.where(priced[bought], _millionths(_units(events)[bought]), 0)
    units = np.bincount(place, units, minlength=len(of))
    one = np.zeros(len(of), dtype=np.int64)
    one[place] = item
    most_paid = np.full(len(events.items), np.nan) if highest is None else highest.copy()
    np.fmax.at(most_paid, item, events.price[bought])
    full = np.nan_to_num(_rounded(most_paid[one] * units * 100 / _MILLION))
    items = np.bincount(of, minlength=n).astype(np.float64)
    total = np.bincount(of, lines, minlength=n)
    most = np.full(n, np.nan)
    first, _ = _ends(of, n)
    if len(of):
        most[first >= 0] = np.maximum.reduceat(lines, first[first >= 0])
    some = np.where(items > 0, items, np.nan)
    paid = np.bincount(row, cents, minlength=n)
    return {
        "purchased_items": items,
        "top_item_share": most / total,
        "repeat_share": 1 - some / total,
        "discount_share": np.where(
            items > 0, 1 - _ratio(paid, np.bincount(of, full, minlength=n)), np.nan
        ),
    }


def _cents(events: UserEvents) -> tuple[Floats, NDArray[np.bool_]]:
    """``(n_events,)`` worth in hundredths, 0 where no price is known, and where one is."""
    known = np.isfinite(events.price)
    return np.where(known, _rounded(events.price * _units(events) * 100), 0), known


def _units(events: UserEvents) -> Floats:
    return np.where(np.isnan(events.quantity), 1.0, events.quantity)


def _rounded(value: Floats) -> Floats:
    """Halves away from zero, as databases round."""
    return np.trunc(value + np.copysign(0.5, value))


def _millionths(value: Floats) -> Floats:
    return _rounded(value * _MILLION)


def _table(
    row: NDArray[np.int64],
    column: NDArray[np.integer],
    n: int,
    width: int,
    weights: Floats | None = None,
) -> Floats:
    """``(n, width)`` counts, or sums of weights, by row and column."""
    counts = np.bincount(row * width + column, weights, minlength=n * width)
    return counts.reshape(n, width).astype(np.float64)


def _within(weeks: Floats) -> Floats:
    """``(n, n_windows)`` from ``(n, weeks + 1)`` sums by week back."""
    return np.cumsum(weeks, axis=1)[:, _WINDOWS_WEEKS - 1]


def _windows(within: Mapping[str, Floats]) -> dict[str, Any]:
    return {
        f"{what}_{days}d": sums[:, place]
        for what, sums in within.items()
        for place, days in enumerate(WINDOWS_DAYS)
    }


def _paces(what: str, within: Floats) -> dict[str, Floats]:
    rate = within / np.array(WINDOWS_DAYS)
    return {
        f"{what}_pace_{near}d": _ratio(rate[:, place], rate[:, place + 1])
        for place, (near, _far) in enumerate(pairwise(WINDOWS_DAYS))
    }


def _distinct(
    row: NDArray[np.int64], key: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Rows of the distinct pairs of row and key, ascending, and the pair of each."""
    _, code = np.unique(key, return_inverse=True)
    width = int(code.max(initial=0)) + 1
    pairs, place = np.unique(row * width + code, return_inverse=True)
    return pairs // width, place


def _ends(row: NDArray[np.int64], n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """``(n,)`` places of each row's first and last entry in ascending rows; -1 without any."""
    first = np.searchsorted(row, np.arange(n))
    last = np.searchsorted(row, np.arange(n), side="right") - 1
    none = last < first
    return np.where(none, -1, first), np.where(none, -1, last)


def _ratio(part: Any, whole: Any) -> Floats:
    """The quotient; NaN where the whole is zero."""
    return part / np.where(whole == 0, np.nan, whole)
