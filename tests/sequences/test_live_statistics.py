"""What is computed from arrays is what is computed from tables."""

from __future__ import annotations

import numpy as np
import pytest

from shoploom.core import columns as c
from shoploom.core.ids import Vocabulary
from shoploom.sequences import (
    category_statistics,
    category_statistics_of,
    statistics_of,
    user_events,
    user_sequences,
    user_statistics,
)
from shoploom.tables import Tables, measures
from tests.conftest import SHOP_AT
from tests.sequences.test_statistics import AT, ROWS
from tests.tiny import day, tables

ODD = [
    ("one", 3.0, c.SEARCH, None, None),
    ("two", 1.0, c.PURCHASE, None, 3.0, None, "s"),
    ("two", 1.0, c.PURCHASE, "tea", None, None, "s"),
    ("two", 9.0, c.PURCHASE, "tea", 2.345, 1.5, "s"),
    ("two", 9.0, c.RETURN, "tea", 2.345, 1.0, None),
    ("six", 0.0, c.VIEW, "hat", 9.0),
    ("six", 0.0, c.VIEW, "cup", 9.0),
    ("six", 19.9, c.CART, "hat", 9.0),
]


def assert_equal_statistics(shop: Tables, at: int) -> None:
    told = user_statistics(shop, at)
    found = statistics_of(user_events(shop.as_of(at)), at)
    assert found.names == told.names
    assert found.users.ids.tolist() == told.users.ids.tolist()
    for name in told.names:
        np.testing.assert_allclose(
            found.column(name), told.column(name), rtol=2e-6, atol=2e-6, err_msg=name
        )


@pytest.mark.parametrize("rows", [ROWS, ODD], ids=["usual", "odd"])
@pytest.mark.parametrize("at", [AT, day(400), day(20) + 1])
def test_statistics_equal_those_of_tables(rows: list, at: int):
    assert_equal_statistics(tables(rows), at)


@pytest.mark.parametrize("back_days", [0, 33, 120])
def test_statistics_of_the_shop_equal_those_of_tables(shop: Tables, back_days: int):
    assert_equal_statistics(shop, SHOP_AT - back_days * (day(1) - day(0)))


def test_one_user_has_the_statistics_that_she_has_among_all(shop: Tables, shop_at: int):
    past = shop.as_of(shop_at)
    everybody = user_events(past)
    highest = np.full(len(everybody.items), np.nan)
    bought = everybody.action == c.ACTIONS.index(c.PURCHASE)
    np.fmax.at(highest, everybody.item[bought], everybody.price[bought])
    told = user_statistics(shop, shop_at)
    alone = Tables(events=past.events.filter(past.events[c.USER_ID] == "u07"), items=past.items)
    own = user_events(alone)
    codes = everybody.items.encode(own.items.ids)
    found = statistics_of(own, shop_at, highest[codes])
    np.testing.assert_allclose(
        found.values[0], told.take(np.array(["u07"], dtype=object))[0], rtol=2e-6, atol=2e-6
    )


@pytest.mark.parametrize("level", [1, 2])
def test_statistics_in_categories_equal_those_of_tables(shop: Tables, shop_at: int, level: int):
    told = category_statistics(shop, shop_at, level=level)
    events = user_events(shop.as_of(shop_at))
    rows = measures.item_categories(shop, level=level).to_pyarrow().to_pydict()
    of = dict(zip(rows[c.ITEM_ID], rows[c.CATEGORY], strict=True))
    category = told.categories.encode([of.get(item) for item in events.items.ids])
    found = category_statistics_of(events, shop_at, category, told)
    users = np.repeat(told.users.ids, len(told.categories))
    every = np.tile(told.categories.ids, len(told.users))
    np.testing.assert_allclose(
        found.take(users, every), told.take(users, every), rtol=1e-6, equal_nan=True
    )


def test_who_only_searched_is_in_no_category(shop: Tables, shop_at: int):
    told = category_statistics(shop, shop_at)
    events = user_events(tables([("one", 3.0, c.SEARCH, None, None)]))
    found = category_statistics_of(events, day(4), np.empty(0, dtype=np.int64), told)
    assert len(found.pairs) == 0
    assert found.take(np.array(["one"]), told.categories.ids[:1])[0, 2] == 0


def test_sequences_equal_those_of_tables(shop: Tables, shop_at: int):
    told = user_sequences(shop, shop_at)
    found = user_events(shop.as_of(shop_at)).sequences()
    for name in ("item", "action", "time", "offsets"):
        np.testing.assert_array_equal(getattr(found, name), getattr(told, name), err_msg=name)
    np.testing.assert_allclose(found.price, told.price)


def test_what_comes_later_is_left_out(shop: Tables, shop_at: int):
    whole, cut = user_events(shop), user_events(shop.as_of(shop_at))
    found = whole.before(shop_at)
    assert found.users.ids.tolist() == cut.users.ids.tolist()
    np.testing.assert_array_equal(found.time, cut.time)
    np.testing.assert_array_equal(found.items.decode(found.item), cut.items.decode(cut.item))


def test_nobody_has_no_statistics():
    nobody = user_events(tables([("ann", 1.0, c.VIEW, "tea", 4.5)])).before(day(0))
    assert len(nobody) == 0
    assert statistics_of(nobody, day(1)).values.shape[0] == 0
    assert isinstance(nobody.users, Vocabulary)
