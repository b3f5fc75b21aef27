"""Values that cleaning fills in: last known prices, single quantities, sessions.

Every filled price and quantity is marked in its ``_present`` column, and nothing is ever filled
from an event's own moment or later.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false

from __future__ import annotations

from typing import TYPE_CHECKING

from shoploom.core import columns as c
from shoploom.core.time import MINUTE_US

if TYPE_CHECKING:
    import ibis.expr.types as ir


def blank_repairs(events: ir.Table) -> ir.Table:
    """The events without the prices and quantities that an earlier cleaning filled in.

    Cleaning then judges what the shop said, and repairs it again in the same way, which is what
    makes cleaning twice equal to cleaning once.
    """
    import ibis

    for column, present in ((c.PRICE, c.PRICE_PRESENT), (c.QUANTITY, c.QUANTITY_PRESENT)):
        if present in events.columns:
            value = events[present].ifelse(events[column], ibis.null("float64"))
            events = events.mutate(**{column: value}).drop(present)
    return events


def fill_prices(events: ir.Table, *, impute: bool) -> ir.Table:
    """The events with ``price_present``, and with missing prices taken from the item's past.

    A missing price becomes the item's last price strictly before the event; where prices differ
    at that last moment, the highest. An item without an earlier price stays without.

    Args:
        events: events with the columns item_id and price.
        impute: whether to fill at all; False where nothing is missing or nothing is known.
    """
    import ibis

    events = events.mutate(**{c.PRICE_PRESENT: events[c.PRICE].notnull()})
    if not impute:
        return events
    # One row per item and moment makes "before" unambiguous on every backend. The running
    # maximum of the times with a price is the last such time; its price is then looked up.
    moments = (
        events.filter(events[c.ITEM_ID].notnull())
        .group_by(c.ITEM_ID, c.TIME)
        .aggregate(known=events[c.PRICE].max(), gap=(~events[c.PRICE_PRESENT]).any())
    )
    before = ibis.window(group_by=c.ITEM_ID, order_by=c.TIME, preceding=(None, 1))
    known_time = moments.known.notnull().ifelse(moments[c.TIME], ibis.null("int64"))
    moments = moments.mutate(source=known_time.max().over(before))
    gaps = moments.filter(moments.gap & moments.source.notnull())
    prices = moments.filter(moments.known.notnull()).select(
        price_item=c.ITEM_ID, price_time=c.TIME, price_known="known"
    )
    filled = gaps.inner_join(
        prices, [gaps[c.ITEM_ID] == prices.price_item, gaps.source == prices.price_time]
    ).select(filled_item=c.ITEM_ID, filled_time=c.TIME, filled_price="price_known")
    joined = events.left_join(
        filled,
        [events[c.ITEM_ID] == filled.filled_item, events[c.TIME] == filled.filled_time],
    )
    price = ibis.coalesce(joined[c.PRICE], joined.filled_price)
    return joined.mutate(**{c.PRICE: price}).select(events.columns)


def fill_quantities(events: ir.Table) -> ir.Table:
    """The events with ``quantity_present``, and with missing quantities of purchases set to 1."""
    import ibis

    quantity = events[c.QUANTITY]
    single = quantity.isnull() & (events[c.ACTION] == c.PURCHASE)
    return events.mutate(
        **{
            c.QUANTITY: single.ifelse(ibis.literal(1.0), quantity),
            c.QUANTITY_PRESENT: quantity.notnull(),
        }
    )


#: The number of the session that a gap in time makes an event part of, from 1 for each user.
SESSION_NUMBER = "_session_number"


def number_sessions(events: ir.Table, gap_minutes: float) -> ir.Table:
    """The events with ``_session_number``.

    A user's session ends where the next event comes more than ``gap_minutes`` later.
    """
    import ibis

    by_time = {"group_by": c.USER_ID, "order_by": c.TIME}
    columns = events.columns
    gap = events[c.TIME] - events[c.TIME].lag().over(ibis.window(**by_time))
    events = events.mutate(_starts=(gap > int(gap_minutes * MINUTE_US)).cast("int64"))
    # A range takes in all rows of the same moment, so the number cannot depend on their order.
    until_now = ibis.range_window(preceding=None, following=0, **by_time)
    number = 1 + events["_starts"].fill_null(0).sum().over(until_now)
    return events.mutate(**{SESSION_NUMBER: number}).select(*columns, SESSION_NUMBER)


def name_sessions(events: ir.Table) -> ir.Table:
    """The events with missing session ids found: user id, hyphen, session number.

    Ids that the shop gave stay.
    """
    import ibis

    found = events[c.USER_ID] + "-" + events[SESSION_NUMBER].cast("string")
    session = ibis.coalesce(events[c.SESSION_ID], found)
    return events.mutate(**{c.SESSION_ID: session}).drop(SESSION_NUMBER)
