"""Propensities of items, price buckets and carts: what is asked, and what may be known."""

from __future__ import annotations

import numpy as np
import pytest

from propensity import CartToBuy, Propensity, by_item, by_price, recency
from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.engines import Inputs
from shoploom.sequences import category_statistics, views
from shoploom.tables import Tables
from shoploom.tasks.category import Category
from tests.tiny import day, past_only, tables

KINDS = {"tea": "food", "cup": "home", "hat": "clothing"}


def _bought(*rows: tuple) -> Tables:
    return tables([(user, when, c.PURCHASE, *rest) for user, when, *rest in rows], KINDS)


def _categories(shop: Tables) -> dict[str, str]:
    rows = shop.items.to_pyarrow().to_pylist()
    return {row[c.ITEM_ID]: row[c.CATEGORY] for row in rows}


def test_an_item_is_a_category_of_its_own() -> None:
    shop = _bought(("ann", 1, "tea"), ("bob", 2, "tea"), ("bob", 3, "cup"), ("ann", 11, "cup"))
    task = Propensity("item", Category(window_days=5))
    asked = task.ask(by_item(shop), day(10))
    assert asked.task == "item"
    told = zip(asked.users, asked.subjects, asked.answers, strict=True)
    assert list(told) == [
        ("ann", "cup", 1),
        ("ann", "tea", 0),
        ("bob", "cup", 0),
        ("bob", "tea", 0),
    ]


def test_price_buckets_hold_equally_many_purchases() -> None:
    shop = _bought(
        *((f"u{n}", 1, "tea", 1.0) for n in range(4)),
        *((f"u{n}", 2, "cup", 5.0) for n in range(4)),
        *((f"u{n}", 3, "hat", 9.0) for n in range(4)),
    )
    view = by_price(shop, until=day(10), buckets=3)
    assert _categories(view) == {"tea": "p0", "cup": "p1", "hat": "p2"}


def test_an_item_stays_in_the_bucket_of_its_first_price() -> None:
    rows = [("ann", 1, "tea", 1.0), ("ann", 2, "cup", 5.0), ("ann", 3, "hat", None)]
    view = by_price(_bought(*rows), until=day(10), buckets=2)
    assert _categories(view).keys() == {"tea", "cup"}  # nothing ever priced a hat
    later = by_price(_bought(*rows, ("bob", 20, "tea", 99.0)), until=day(10), buckets=2)
    assert _categories(later) == _categories(view)


def test_prices_are_needed_for_price_buckets() -> None:
    with pytest.raises(DataError, match="purchases with a price"):
        by_price(_bought(("ann", 20, "tea", 1.0)), until=day(10))


@pytest.mark.parametrize("view", [by_item, lambda shop: by_price(shop, until=day(100))])
def test_the_future_changes_no_number_before_it(view, shop: Tables, shop_at: int) -> None:
    whole, cut = (
        category_statistics(view(tables_), shop_at, top=1000)
        for tables_ in (shop, past_only(shop, shop_at))
    )
    assert whole.categories.ids.tolist() == cut.categories.ids.tolist()
    assert np.array_equal(whole.pairs, cut.pairs)
    assert np.array_equal(whole.by_pair, cut.by_pair, equal_nan=True)


def test_carts_ask_about_what_waits_in_them() -> None:
    shop = tables(
        [
            ("ann", 1, c.CART, "tea"),
            ("ann", 2, c.CART, "cup"),
            ("ann", 3, c.PURCHASE, "cup"),
            ("bob", 1, c.CART, "hat"),
            ("bob", 2, c.REMOVE, "hat"),
            ("bob", 3, c.PURCHASE, "tea"),
            ("bob", 4, c.CART, "tea"),
            ("cat", 4, c.VIEW, "tea"),
            ("ann", 10.5, c.PURCHASE, "tea"),
            ("bob", 11.5, c.PURCHASE, "tea"),
            ("cat", 10.5, c.CART, "cup"),
        ],
        KINDS,
    )
    asked = CartToBuy().ask(shop, day(10))
    told = zip(asked.users, asked.subjects, asked.answers, strict=True)
    assert list(told) == [("ann", "tea", 1), ("bob", "tea", 0)]
    assert CartToBuy(window_days=2).ask(shop, day(10)).answers.tolist() == [1, 1]
    assert CartToBuy().ask(shop, day(10), answered=False).answers is None


def test_an_empty_cart_asks_nothing() -> None:
    assert len(CartToBuy().ask(_bought(("ann", 1, "tea")), day(10))) == 0


def test_what_was_met_last_comes_first() -> None:
    shop = by_item(_bought(("ann", 1, "tea"), ("ann", 6, "cup"), ("bob", 8, "hat")))
    asked = Propensity("item", Category()).ask(shop, day(10), answered=False)
    answers = recency(asked, Inputs(until=day(10), tables=shop, **views(shop)))
    told = zip(asked.users, asked.subjects, answers.values, strict=True)
    assert {(user, item): value for user, item, value in told} == {
        ("ann", "cup"): pytest.approx(1 / 5),
        ("ann", "hat"): 0,
        ("ann", "tea"): pytest.approx(1 / 10),
        ("bob", "cup"): 0,
        ("bob", "hat"): pytest.approx(1 / 3),
        ("bob", "tea"): 0,
    }
