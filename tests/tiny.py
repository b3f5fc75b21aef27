"""Tiny explicit tables for tests, and the shop with another future."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import pyarrow as pa

from shoploom.core import columns as c
from shoploom.core.time import DAY_US, to_us
from shoploom.tables import Tables

#: Day 0 of every tiny table: a Monday, midnight UTC.
DAY_0 = to_us("2024-01-01")

EVENT_SCHEMA = pa.schema(
    {
        c.USER_ID: pa.string(),
        c.TIME: pa.int64(),
        c.ACTION: pa.string(),
        c.ITEM_ID: pa.string(),
        c.PRICE: pa.float64(),
        c.QUANTITY: pa.float64(),
        c.SESSION_ID: pa.string(),
        c.QUERY: pa.string(),
        c.DWELL_S: pa.float64(),
        c.STREAM_ID: pa.string(),
        c.SOURCE: pa.string(),
        c.PRICE_PRESENT: pa.bool_(),
        c.QUANTITY_PRESENT: pa.bool_(),
    }
)


def day(number: float) -> int:
    """The moment ``number`` days after day 0."""
    return DAY_0 + round(number * DAY_US)


def event_table(rows: Sequence[tuple]) -> pa.Table:
    """Events from ``(user, day, action, item, price, quantity, session)``; the tail may lack."""
    names = EVENT_SCHEMA.names
    columns: dict[str, list] = {name: [] for name in names}
    for user, when, *rest in rows:
        values = dict(zip(names, (user, day(when), *rest), strict=False))
        for name in names:
            columns[name].append(values.get(name))
    return pa.table(columns, schema=EVENT_SCHEMA)


def tables(rows: Sequence[tuple], categories: dict[str, str] | None = None) -> Tables:
    """Tables from rows as in ``event_table`` and, where given, each item's category."""
    items = None
    if categories is not None:
        ids, paths = list(categories), list(categories.values())
        items = ibis.memtable(pa.table({c.ITEM_ID: ids, c.CATEGORY: paths}))
    return Tables(events=ibis.memtable(event_table(rows)), items=items)


def with_events(shop: Tables, events: pa.Table) -> Tables:
    """The same shop with other events."""
    assert shop.items is not None
    return Tables(events=ibis.memtable(events), items=ibis.memtable(shop.items.to_pyarrow()))


def past_only(shop: Tables, at: int) -> Tables:
    """The shop as if it had been closed at ``at``."""
    return with_events(shop, shop.as_of(at).events.to_pyarrow())


def other_future(shop: Tables, at: int) -> Tables:
    """The shop with every event at or after ``at`` replaced.

    In the other future those users buy who did not, nobody else does, and strangers come.
    """
    past, events = shop.as_of(at).events.to_pyarrow(), shop.events.to_pyarrow()
    everybody = set(past[c.USER_ID].to_pylist()) | {"stranger"}
    is_future = [t >= at for t in events[c.TIME].to_pylist()]
    buyers = {
        user
        for user, action, future in zip(
            events[c.USER_ID].to_pylist(), events[c.ACTION].to_pylist(), is_future, strict=True
        )
        if future and action == c.PURCHASE
    }
    first = (at - DAY_0) / DAY_US
    rows = [
        (user, first + step, c.PURCHASE, f"i{item:02d}", 9.99, 7.0, f"new-{user}")
        for user in sorted(everybody - buyers)
        for step, item in enumerate(range(4))
    ]
    return with_events(shop, pa.concat_tables([past.cast(EVENT_SCHEMA), event_table(rows)]))
