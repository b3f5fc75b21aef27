"""Which users are machines, by the rate at which they act."""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false

from __future__ import annotations

from typing import TYPE_CHECKING

from shoploom.core import columns as c
from shoploom.core.time import HOUR_US

if TYPE_CHECKING:
    import ibis.expr.types as ir

EVENTS, MAX_PER_HOUR, MAX_PER_DAY = "events", "max_per_hour", "max_per_day"

#: Actions whose lines come together: all lines at one moment are one act of the user.
BASKET_ACTIONS = (c.CART, c.REMOVE, c.PURCHASE, c.RETURN)


def find_bots(events: ir.Table, *, per_hour: int, per_day: int) -> ir.Table:
    """Users with more acts than ``per_hour`` in some hour or ``per_day`` in some day (UTC).

    An act is a moment, an action and, but for basket actions, an item: a basket of 300 lines is
    one act, so that a wholesaler is no bot. In a log that has dates only, the hour is the day.

    Args:
        events: rows to judge by; duplicates should be gone.
        per_hour: the most acts in an hour of a person.
        per_day: the most acts in a day of a person.

    Returns:
        One row per bot: user_id, events (rows), max_per_hour and max_per_day (acts).
    """
    import ibis

    # Counting rows first leaves the exact but dearer count to the few users who could be bots.
    rows = events.group_by(c.USER_ID).aggregate(**{EVENTS: events.count()})
    heavy = rows.filter(rows[EVENTS] > min(per_hour, per_day))
    suspects = events.semi_join(heavy, c.USER_ID)
    item = suspects[c.ITEM_ID] if c.ITEM_ID in suspects.columns else ibis.null("int32")
    acts = suspects.select(
        c.USER_ID,
        c.TIME,
        c.ACTION,
        item=suspects[c.ACTION].isin(BASKET_ACTIONS).ifelse(None, item),
    ).distinct()
    hours = acts.group_by(c.USER_ID, hour=acts[c.TIME] // HOUR_US).aggregate(acts=acts.count())
    days = hours.group_by(c.USER_ID, day=(hours.hour / 24).floor().cast("int64")).aggregate(
        acts=hours.acts.sum(), busiest=hours.acts.max()
    )
    rates = days.group_by(c.USER_ID).aggregate(
        **{MAX_PER_HOUR: days.busiest.max(), MAX_PER_DAY: days.acts.max()}
    )
    bots = rates.filter((rates[MAX_PER_HOUR] > per_hour) | (rates[MAX_PER_DAY] > per_day))
    return bots.inner_join(heavy, c.USER_ID).select(c.USER_ID, EVENTS, MAX_PER_HOUR, MAX_PER_DAY)
