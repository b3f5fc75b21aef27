"""Expressions whose meaning must be the same on every floor: money, orders, categories.

Each is an Ibis expression of the table that it is handed, and runs on any backend.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false

from __future__ import annotations

from typing import TYPE_CHECKING

from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.core.time import DAY_US

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from shoploom.tables.tables import Tables


def cents(events: ir.Table) -> ir.IntegerColumn:
    """What an event is worth in hundredths of the currency; null where the price is unknown.

    ``price`` is the unit price; a missing quantity counts as one. Whole cents make every sum
    exact, so that neither the order of the rows nor the engine changes a total.
    """
    return (events[c.PRICE] * units(events) * 100).round().cast("int64")


def units(events: ir.Table) -> ir.FloatingColumn:
    """The quantity of an event; one where it is missing."""
    return events[c.QUANTITY].fill_null(1.0)


def order_key(events: ir.Table) -> ir.StringColumn:
    """What makes two purchases of one user the same order: the session, else the UTC day."""
    day = (events[c.TIME] // DAY_US).cast("string")
    return events[c.SESSION_ID].fill_null(day)


def item_categories(tables: Tables, *, level: int = 1) -> ir.Table:
    """One row per item that has a category: ``item_id`` and ``category``, cut to ``level`` parts.

    Raises:
        DataError: the shop has no items table, or its items have no categories.
    """
    items = tables.items
    if items is None or c.CATEGORY not in items.columns:
        found = "no items table" if items is None else "an items table without it"
        raise DataError(
            f"expected an items table with a {c.CATEGORY!r} column, found {found}; give the "
            "shop's items their categories, or leave out what is asked about categories."
        )
    parts = items[c.CATEGORY].split(c.CATEGORY_SEPARATOR)
    category = parts[0] if level == 1 else parts[:level].join(c.CATEGORY_SEPARATOR)
    items = items.filter(items[c.CATEGORY].notnull())
    return items.select(items[c.ITEM_ID], category.name(c.CATEGORY))
