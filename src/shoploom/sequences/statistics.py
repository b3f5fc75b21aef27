"""One row of numbers per user: recency, frequency, money, habits, rhythms, diversity.

``statistics_table`` is a portable Ibis expression. Events are read once into counts by user and
once into active days (the 24-hour blocks counted back from ``at``), purchases once more into
purchase days, orders and
items; all else comes from those small tables. Every sum is a sum of whole numbers (cents, seconds,
millionths), so that neither the order of the rows, nor the number of threads, nor the engine
moves a value. ``docs/features.md`` describes each column.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false, reportCallIssue=false

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from shoploom.core import columns as c
from shoploom.core.time import DAY_US, WEEK_US
from shoploom.sequences.sequences import encode
from shoploom.sequences.types import UserStatistics
from shoploom.tables import Tables, measures

if TYPE_CHECKING:
    import ibis.expr.types as ir

#: Rolling windows, each the double of the one before.
WINDOWS_DAYS = (7, 14, 28, 56, 112)

#: Periods of the periodogram: a week, a fortnight, four weeks (a pay day), a quarter.
PERIODS_DAYS = (7, 14, 28, 91)

_WEEKS = 16  # the weekly series reaches this far back
_MILLION = 1_000_000  # cosines are summed in whole millionths, quantities too
_THURSDAY_US = 3 * DAY_US  # 1970 began on a Thursday, three days into the week


def statistics_table(
    events: ir.Table, at: int, *, windows_days: Sequence[int] = WINDOWS_DAYS
) -> ir.Table:
    """One row per user with an event before ``at``; null where a statistic is undefined.

    Args:
        events: the shop's events; those at or after ``at`` are not looked at.
        at: the moment, microseconds UTC.
        windows_days: lengths of the rolling windows that end at ``at``, ascending.
    """
    bought = events.filter((events[c.TIME] < at) & (events[c.ACTION] == c.PURCHASE))
    bought = bought.select(c.USER_ID, c.TIME, c.ITEM_ID, c.PRICE, c.QUANTITY, c.SESSION_ID)
    purchase_days = _purchase_days(bought, at)
    parts = [
        _visits(events, at, windows_days),
        _purchases(purchase_days, at, windows_days),
        _gaps(purchase_days),
        _orders(bought),
        _assortment(bought),
    ]
    table = parts[0]
    for number, part in enumerate(parts[1:]):  # they share the key only; its copies need names
        table = table.left_join(part, c.USER_ID, rname=f"{{name}}_{number}")
    columns = {name: table[name] for part in parts for name in part.columns}
    # For a user without purchases these are zero; other statistics of purchases are undefined.
    zero = ["purchase_days", "spend", "orders", "purchased_items"]
    zero += [f"{what}_{w}d" for what in ("purchases", "spend") for w in windows_days]
    columns |= {name: columns[name].fill_null(0) for name in zero}
    overdue = _ratio(table.purchase_recency_days, table.purchase_gap_mean_days)
    return table.select(**columns, purchase_overdue=overdue)


def user_statistics(
    tables: Tables, at: int, *, windows_days: Sequence[int] = WINDOWS_DAYS
) -> UserStatistics:
    """Statistics of every user with history before ``at``, users sorted by id."""
    rows = statistics_table(tables.events, at, windows_days=windows_days).to_pyarrow()
    users, user = encode(rows[c.USER_ID])
    names = tuple(name for name in rows.column_names if name != c.USER_ID)
    values = np.empty((len(users), len(names)), dtype=np.float32)
    for place, name in enumerate(names):
        values[:, place] = rows[name].cast("float64").to_numpy()
    return UserStatistics(at=at, users=users, names=names, values=values[np.argsort(user)])


# --- small tables -----------------------------------------------------------------------------


def _active_days(events: ir.Table, at: int) -> ir.Table:
    """One row per user and day with an event, and when it began.

    ``age`` is how many whole days ago the day was; what is at or after ``at`` has none. In a
    sparse log this table is nearly as long as the log, so it is kept narrow.
    """
    days = events.group_by(events[c.USER_ID], age=_age(events, at)).aggregate(
        began=events[c.TIME].min()
    )
    return days.filter(days.age >= 0)


def _purchase_days(bought: ir.Table, at: int) -> ir.Table:
    """One row per user and day with a purchase."""
    return bought.group_by(bought[c.USER_ID], age=_age(bought, at)).aggregate(
        began=bought[c.TIME].min(),
        ended=bought[c.TIME].max(),
        lines=bought.count(),
        cents=_total(measures.cents(bought)),
    )


# --- statistics by user -----------------------------------------------------------------------


def _visits(events: ir.Table, at: int, windows_days: Sequence[int]) -> ir.Table:
    """What all events say, from counts of events and from active days."""
    users = _event_counts(events.filter(events[c.TIME] < at), at, windows_days)
    days = _day_sums(_active_days(events, at), at, windows_days)
    users = users.inner_join(days, c.USER_ID)
    recency, gap = _days(at - users.ended), _days(users.ended - users.began)
    gap = _ratio(gap, users.active_days - 1)
    windows = [f"{what}_{w}d" for what in ("events", "carts", "active_days") for w in windows_days]
    return users.select(
        users[c.USER_ID],
        recency_days=recency,
        tenure_days=_days(at - users.began),
        active_days=users.active_days,
        active_share=users.active_days / ((at - 1 - users.began) // DAY_US + 1),
        visit_gap_mean_days=gap,
        visit_overdue=_ratio(recency, gap),
        events=users.events,
        **{f"{name}_count": users[f"{name}_count"] for name in c.ACTIONS},
        carts_per_view=_ratio(users.cart_count, users.view_count),
        purchases_per_view=_ratio(users.purchase_count, users.view_count),
        purchases_per_cart=_ratio(users.purchase_count, users.cart_count),
        **{name: users[name] for name in windows},
        **_paces(users, "events", windows_days),
        **_weekly(users, at),
        weekend_share=users.weekend_days / users.active_days,
        **_hour(users),
        **_weekday(users, at),
        **_spectrum(users),
    )


def _event_counts(events: ir.Table, at: int, windows_days: Sequence[int]) -> ir.Table:
    """First and last moment and counts of events by user: of each action, window and week.

    Events lie on disk by user, which makes this wide aggregate much cheaper than one over days.
    """
    cart = (events[c.ACTION] == c.CART).cast("float64")
    events = events.mutate(age=_age(events, at), cart=cart)
    counts = {f"{name}_count": events.count(where=events[c.ACTION] == name) for name in c.ACTIONS}
    counts["events"] = events.count()
    return events.group_by(c.USER_ID).aggregate(
        began=events[c.TIME].min(),
        ended=events[c.TIME].max(),
        **{name: count.cast("float64") for name, count in counts.items()},
        **{f"events_{w}d": _within(events, None, 0, w) for w in windows_days},
        **{f"carts_{w}d": _within(events, events["cart"], 0, w) for w in windows_days},
        **{f"week_{k}": _within(events, None, 7 * k, 7 * k + 7) for k in range(_WEEKS)},
    )


def _day_sums(days: ir.Table, at: int, windows_days: Sequence[int]) -> ir.Table:
    """Counts and sums of active days by user."""
    days = days.left_join(_phases(at), "age")
    weekday = (days.began + _THURSDAY_US) % WEEK_US
    hour_cos, hour_sin = _circle(days.began % DAY_US, DAY_US)
    return days.group_by(c.USER_ID).aggregate(
        active_days=days.count(),
        **{f"active_days_{w}d": _within(days, None, 0, w).cast("int64") for w in windows_days},
        weekend_days=days.count(where=weekday >= 5 * DAY_US),
        hour_cos=_total(hour_cos),
        hour_sin=_total(hour_sin),
        **{name: _total(days[name]) for name in days.columns if name.startswith("period_")},
    )


def _purchases(days: ir.Table, at: int, windows_days: Sequence[int]) -> ir.Table:
    """What purchases say, from purchase days."""
    users = days.group_by(c.USER_ID).aggregate(
        began=days.began.min(),
        ended=days.ended.max(),
        purchase_days=days.count(),
        spend=_total(days.cents) / 100,
        **{f"purchases_{w}d": _within(days, days.lines, 0, w) for w in windows_days},
        **{f"spend_{w}d": _within(days, days.cents, 0, w) / 100 for w in windows_days},
    )
    windows = [f"{what}_{w}d" for what in ("purchases", "spend") for w in windows_days]
    return users.select(
        users[c.USER_ID],
        purchase_recency_days=_days(at - users.ended),
        purchase_tenure_days=_days(at - users.began),
        purchase_days=users.purchase_days,
        spend=users.spend,
        **{name: users[name] for name in windows},
        **_paces(users, "spend", windows_days),
    )


def _gaps(days: ir.Table) -> ir.Table:
    """Days between one purchase day and the next.

    Burstiness is (std - mean) / (std + mean): -1 for a clock, 0 for a Poisson process, towards 1
    for bursts (Goh and Barabasi, EPL 2008, equation 1).
    """
    import ibis

    by_user = ibis.window(group_by=days[c.USER_ID], order_by=days.age)
    gaps = days.select(
        days[c.USER_ID], days.age, gap=(days.age.lead().over(by_user) - days.age).cast("int64")
    )
    gaps = gaps.filter(gaps.gap.notnull())  # the first purchase day has none before it
    users = gaps.group_by(c.USER_ID).aggregate(
        n=gaps.count(),
        total=_total(gaps.gap),
        squares=_total(gaps.gap * gaps.gap),
        shortest=gaps.gap.min(),
        longest=gaps.gap.max(),
        latest=gaps.gap.argmin(gaps.age),
    )
    mean = users.total / users.n
    spread = (users.n * users.squares - users.total * users.total).sqrt() / users.n
    std = (users.n > 1).ifelse(spread, None)
    return users.select(
        users[c.USER_ID],
        purchase_gap_mean_days=mean,
        purchase_gap_std_days=std,
        purchase_gap_min_days=users.shortest,
        purchase_gap_max_days=users.longest,
        purchase_gap_last_days=users.latest,
        purchase_gap_cv=std / mean,
        purchase_burstiness=(std - mean) / (std + mean),
    )


def _orders(bought: ir.Table) -> ir.Table:
    """Orders, their value and their size."""
    orders = bought.group_by(bought[c.USER_ID], order=measures.order_key(bought)).aggregate(
        lines=bought.count(),
        units=_total(_millionths(measures.units(bought))),
        priced=_total(_millionths(measures.units(bought)), where=bought[c.PRICE].notnull()),
        cents=_total(measures.cents(bought)),
    )
    users = orders.group_by(c.USER_ID).aggregate(
        orders=orders.count(),
        cents=_total(orders.cents),
        largest=orders.cents.max(),
        lines=_total(orders.lines),
        units=_total(orders.units) / _MILLION,
        priced=_total(orders.priced) / _MILLION,
    )
    return users.select(
        users[c.USER_ID],
        orders=users.orders,
        order_value_mean=users.cents / 100 / users.orders,
        order_value_max=users.largest / 100,
        basket_lines=users.lines / users.orders,
        basket_units=users.units / users.orders,
        unit_price_mean=_ratio(users.cents / 100, users.priced),
    )


def _assortment(bought: ir.Table) -> ir.Table:
    """How varied purchases are, and how far below each item's highest price so far."""
    pairs = bought.group_by(bought[c.USER_ID], bought[c.ITEM_ID]).aggregate(
        lines=bought.count(),
        cents=_total(measures.cents(bought)),
        units=_total(_millionths(measures.units(bought)), where=bought[c.PRICE].notnull()),
    )
    highest = bought.group_by(c.ITEM_ID).aggregate(highest=bought[c.PRICE].max())
    pairs = pairs.inner_join(highest, c.ITEM_ID)  # drops purchases without an item
    full = (pairs.highest * pairs.units * 100 / _MILLION).round().cast("int64")
    users = pairs.group_by(c.USER_ID).aggregate(
        items=pairs.count(),
        lines=_total(pairs.lines),
        most=pairs.lines.max(),
        cents=_total(pairs.cents),
        full=_total(full),
    )
    return users.select(
        users[c.USER_ID],
        purchased_items=users["items"],
        top_item_share=users.most / users.lines,
        repeat_share=1 - users["items"] / users.lines,
        discount_share=1 - _ratio(users.cents, users.full),
    )


# --- columns ----------------------------------------------------------------------------------


def _paces(users: ir.Table, what: str, windows_days: Sequence[int]) -> dict[str, ir.Value]:
    """The rate within each window, relative to the rate within the next longer one."""
    return {
        f"{what}_pace_{near}d": _ratio(
            users[f"{what}_{near}d"] / near, users[f"{what}_{far}d"] / far
        )
        for near, far in pairwise(windows_days)
    }


def _weekly(users: ir.Table, at: int) -> dict[str, ir.Value]:
    """Slope and lag-1 autocorrelation of weekly events since the first, 16 weeks at most.

    Both are closed forms of a few sums: ordinary least squares on the week number, and the usual
    estimate of autocorrelation (Box and Jenkins, equation 2.1.5).
    """
    import ibis

    week = [users[f"week_{k}"] for k in range(_WEEKS)]
    n = ibis.least((at - 1 - users.began) // WEEK_US + 1, _WEEKS)
    total = sum(week)
    by_age = sum(k * y for k, y in enumerate(week))
    ages, squares = n * (n - 1) / 2, (n - 1) * n * (2 * n - 1) / 6
    slope = _ratio(ages * total - n * by_age, n * squares - ages * ages)
    mean = total / n
    oldest = (n - 1).cases(*enumerate(week))
    lagged = sum(y * z for y, z in pairwise(week))
    covariance = lagged - mean * (2 * total - week[0] - oldest) + (n - 1) * mean * mean
    variance = sum(y * y for y in week) - n * mean * mean
    return {
        "weekly_events_slope": slope * _only(n >= 3),
        "weekly_events_autocorrelation": _ratio(covariance, variance) * _only(n >= 4),
    }


def _phases(at: int) -> ir.Table:
    """Where each age since 1970 stands in each period; cheaper than a cosine per user and day."""
    import ibis

    phases = ibis.range(at // DAY_US + 1).unnest().name("age").as_table()
    phases = phases.select(age=phases.age.cast("int32"))
    middle_us = (phases.age * DAY_US) + DAY_US // 2
    columns = {}
    for period in PERIODS_DAYS:
        cos, sin = _circle(middle_us, period * DAY_US)
        columns |= {f"period_{period}d_cos": cos, f"period_{period}d_sin": sin}
    return phases.mutate(**columns)


def _hour(users: ir.Table) -> dict[str, ir.Value]:
    """The mean hour at which active days begin, on the circle of a day.

    Concentration is the resultant length: 0 for any hour alike, 1 for always the same (Mardia and
    Jupp, Directional Statistics, 2000, section 2.3).
    """
    cos, sin, power = _direction(users, "hour")
    concentration = (power / users.active_days).sqrt()
    return {"hour_cos": cos, "hour_sin": sin, "hour_concentration": concentration}


def _weekday(users: ir.Table, at: int) -> dict[str, ir.Value]:
    """The mean day of active days on the circle of a week that begins on Monday.

    It is the direction of the seven-day period, turned from "before ``at``" to "after Monday".
    """
    cos, sin, power = _direction(users, "period_7d")
    turn = 2 * math.pi * ((at + _THURSDAY_US) % WEEK_US) / WEEK_US
    return {
        "weekday_cos": math.cos(turn) * cos + math.sin(turn) * sin,
        "weekday_sin": math.sin(turn) * cos - math.cos(turn) * sin,
        "weekday_concentration": (power / users.active_days).sqrt(),
    }


def _spectrum(users: ir.Table) -> dict[str, ir.Value]:
    """Schuster's periodogram of active days as a point process, and the entropy of its powers.

    The power |sum exp(2 pi i t / P)|^2 / n is about exponential with mean 1 where the period P
    plays no part (Schuster, Terrestrial Magnetism, 1898).
    """
    columns: dict[str, ir.Value] = {}
    powers = []
    for period in PERIODS_DAYS:
        name = f"period_{period}d"
        cos, sin, power = _direction(users, name)
        columns |= {f"{name}_cos": cos, f"{name}_sin": sin, f"{name}_power": power}
        powers.append(power)
    shares = [_ratio(power, sum(powers)) for power in powers]
    entropy = -sum((share * share.nullif(0).ln()).fill_null(0) for share in shares)
    entropy = entropy / math.log(len(powers))
    columns["spectral_entropy"] = entropy * _only(users.active_days >= 3)
    return columns


def _direction(users: ir.Table, name: str) -> tuple[Any, Any, Any]:
    """Mean cosine, mean sine, and power of a circle that was summed as ``name``."""
    n = users.active_days
    cos, sin = (users[f"{name}_{axis}"] / _MILLION / n for axis in ("cos", "sin"))
    return cos, sin, n * (cos * cos + sin * sin)


def _circle(elapsed_us: Any, period_us: int) -> tuple[Any, Any]:
    """The cosine and sine of moments on a circle, in whole millionths."""
    angle = elapsed_us.cast("float64") * (2 * math.pi / period_us)
    return _millionths(angle.cos()), _millionths(angle.sin())


def _age(events: ir.Table, at: int) -> Any:
    return ((at - 1 - events[c.TIME]) // DAY_US).cast("int32")


def _days(duration_us: Any) -> Any:
    return duration_us / DAY_US


def _millionths(value: Any) -> Any:
    """Whole millionths, as a float64: sums of those are exact up to 2**53, and quick."""
    return (value * _MILLION).round().cast("float64")


def _total(value: Any, where: Any = None) -> Any:
    """An exact sum of whole numbers; zero where there is nothing to add.

    As a float64, because the sum of an int64 is a 128-bit integer on DuckDB: slow ever after.
    """
    return value.sum(where=where).fill_null(0).cast("float64")


def _within(rows: ir.Table, value: Any, start: int, end: int) -> Any:
    """The total of a column over rows whose age in days is in ``[start, end)``; None counts rows.

    Adding zeros for all others is quicker than a filter, of which each sum would have its own.
    """
    inside = rows.age < end if start == 0 else rows.age.between(start, end - 1)
    # A literal 1.0 would be a decimal on Spark.
    return _total(inside.cast("float64") if value is None else inside.ifelse(value, 0))


def _only(condition: Any) -> Any:
    """A factor that leaves a value where the condition holds, and makes it null elsewhere.

    Around a long expression it is quicker than a case, whose common parts DuckDB computes again.
    """
    return condition.ifelse(1.0, None)


def _ratio(part: Any, whole: Any) -> Any:
    """The quotient; null where the whole is zero, which backends treat differently."""
    return part / whole.nullif(0)
