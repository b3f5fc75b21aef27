from __future__ import annotations

import pytest
from tests.tiny import tables

from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.tables import measures

ROWS = [
    ("ann", 1.0, c.PURCHASE, "tea", 0.1, 3.0, "s1"),
    ("ann", 1.1, c.PURCHASE, "hat", 19.99, None, None),
    ("ann", 2.0, c.PURCHASE, "pen", None, 2.0, None),
]


def listed(column) -> list:
    return column.to_pyarrow().to_pylist()


def test_money_is_whole_cents_and_a_missing_quantity_is_one():
    assert listed(measures.cents(tables(ROWS).events)) == [30, 1999, None]
    assert listed(measures.units(tables(ROWS).events)) == [3.0, 1.0, 2.0]


def test_an_order_is_a_session_or_else_a_day():
    keys = listed(measures.order_key(tables(ROWS).events))
    assert keys[0] == "s1"
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("level", "expected"), [(1, "food"), (2, "food > tea"), (3, "food > tea > green"), (9, None)]
)
def test_a_category_is_the_first_parts_of_a_path(level: int, expected: str | None):
    path = "food > tea > green"
    table = measures.item_categories(tables(ROWS, {"tea": path}), level=level)
    assert listed(table[c.CATEGORY]) == [expected or path]


def test_items_without_a_category_are_left_out():
    table = measures.item_categories(tables(ROWS, {"tea": "food", "hat": None}))  # type: ignore[dict-item]
    assert listed(table[c.ITEM_ID]) == ["tea"]


def test_a_shop_without_items_is_told_so():
    with pytest.raises(DataError, match="found no items table; give the shop's items"):
        measures.item_categories(tables(ROWS))
