"""What sells: best sellers, categories, and what sells with what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from shoploom.core import columns as c
from shoploom.sequences.baskets import Pairs, associations
from shoploom.tables import Tables
from shoploom.workflows.report.insights.orders import CENTS, ORDER, UNITS

if TYPE_CHECKING:
    import ibis.expr.types as ir

#: A pair must share this part of all baskets: the lift of a rarer one is mostly luck.
PAIR_SUPPORT = 0.001


def best_sellers(purchases: ir.Table, items: ir.Table | None, top: int) -> list[dict[str, Any]]:
    """The ``top`` items by revenue: item_id, title, category, revenue, units, orders, buyers."""
    import ibis

    sold = purchases.filter(purchases[c.ITEM_ID].notnull())
    best = (
        sold.group_by(c.ITEM_ID)
        .aggregate(**{CENTS: ibis._[CENTS].sum(), UNITS: ibis._[UNITS].sum()})
        .order_by([ibis.desc(CENTS), c.ITEM_ID])
        .limit(top)
        .to_pyarrow()
    )
    ids = best[c.ITEM_ID].to_pylist()
    # Distinct counts are dear, so only the best pay for them.
    mine = sold.filter(sold[c.ITEM_ID].isin(ids))
    reach = _by_id(
        mine.group_by(c.ITEM_ID).aggregate(
            orders=mine[ORDER].nunique(), buyers=mine[c.USER_ID].nunique()
        )
    )
    about = _about(items, ids)
    return [
        {
            c.ITEM_ID: row[c.ITEM_ID],
            c.TITLE: about.get(row[c.ITEM_ID], {}).get(c.TITLE) or None,
            c.CATEGORY: about.get(row[c.ITEM_ID], {}).get(c.CATEGORY) or None,
            "revenue": row[CENTS] / 100,
            "units": row[UNITS],
            "orders": reach[row[c.ITEM_ID]]["orders"],
            "buyers": reach[row[c.ITEM_ID]]["buyers"],
        }
        for row in best.to_pylist()
    ]


def categories(
    purchases: ir.Table, items: ir.Table | None, top: int
) -> list[dict[str, Any]] | None:
    """The ``top`` first-level categories by revenue: category, revenue, buyers.

    None when the shop has no categories.
    """
    import ibis

    if items is None or c.CATEGORY not in items.columns:
        return None
    top_level = ibis._[c.CATEGORY].split(c.CATEGORY_SEPARATOR)[0]
    level = items.select(c.ITEM_ID, **{c.CATEGORY: top_level})
    joined = purchases.inner_join(level.filter(ibis._[c.CATEGORY].notnull()), c.ITEM_ID)
    by_user = joined.group_by([c.CATEGORY, c.USER_ID]).aggregate(**{CENTS: ibis._[CENTS].sum()})
    rows = (
        by_user.group_by(c.CATEGORY)
        .aggregate(**{CENTS: ibis._[CENTS].sum(), "buyers": by_user.count()})
        .order_by([ibis.desc(CENTS), c.CATEGORY])
        .limit(top)
        .to_pyarrow()
        .to_pylist()
    )
    return [
        {c.CATEGORY: row[c.CATEGORY], "revenue": row[CENTS] / 100, "buyers": row["buyers"]}
        for row in rows
    ] or None


def pairs(tables: Tables, at: int, *, k: int = 40) -> list[dict[str, Any]] | None:
    """The ``k`` pairs of items with the highest lift: first, second, support, confidence, lift.

    With titles as ``first_title`` and ``second_title`` (None where unknown). None without pairs.
    """
    found = associations(tables, at, k=k, min_support=PAIR_SUPPORT)
    ids = [*found.left, *found.right]
    about = _about(tables.items, ids)
    return [
        row
        | {
            f"{place}_title": about.get(row[place], {}).get(c.TITLE) or None
            for place in ("first", "second")
        }
        for row in _pair_rows(found)
    ] or None


def category_pairs(tables: Tables, at: int, *, k: int = 400) -> list[dict[str, Any]] | None:
    """The ``k`` pairs of second-level categories with the highest lift, named by their paths.

    None when the shop has no categories or no pair is frequent enough.
    """
    if tables.items is None or c.CATEGORY not in tables.items.columns:
        return None
    return _pair_rows(associations(tables, at, level=2, k=k, min_support=PAIR_SUPPORT)) or None


def _pair_rows(found: Pairs) -> list[dict[str, Any]]:
    columns = zip(found.left, found.right, found.support, found.confidence, found.lift, strict=True)
    return [
        {
            "first": str(first),
            "second": str(second),
            "support": round(float(support), 5),
            "confidence": round(float(confidence), 4),
            "lift": round(float(lift), 2),
        }
        for first, second, support, confidence, lift in columns
    ]


def _about(items: ir.Table | None, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Title and category, as far as the shop has them, of a few items."""
    if items is None:
        return {}
    import ibis

    known = [name for name in (c.TITLE, c.CATEGORY) if name in items.columns]
    return _by_id(items.filter(ibis._[c.ITEM_ID].isin(ids)).select(c.ITEM_ID, *known))


def _by_id(table: ir.Table) -> dict[str, dict[str, Any]]:
    """A few rows by item id."""
    return {row[c.ITEM_ID]: row for row in table.to_pyarrow().to_pylist()}
