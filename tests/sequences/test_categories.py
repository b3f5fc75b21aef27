from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.sequences import CategoryStatistics, category_statistics
from shoploom.tables import Tables
from tests.tiny import day, other_future, tables

CATEGORIES = {"tea": "food > tea", "jam": "food > jam", "hat": "wear > hats", "pen": "desk"}
ROWS = [
    ("ann", 1, c.PURCHASE, "tea", 2.0, 2.0),
    ("ann", 40, c.PURCHASE, "jam", 3.0, 1.0),
    ("ann", 45, c.VIEW, "hat", 9.0),
    ("ann", 46, c.VIEW, "mystery", 9.0),
    ("bob", 2, c.PURCHASE, "hat", 9.0, 1.0),
    ("cyd", 3, c.PURCHASE, "tea", 2.0, 1.0),
    ("cyd", 3, c.VIEW, "pen", 1.0),
]


@pytest.fixture(scope="module")
def statistics() -> CategoryStatistics:
    return category_statistics(tables(ROWS, CATEGORIES), day(50), top=2)


def row(statistics: CategoryStatistics, user: str, category: str) -> dict[str, float]:
    asked = (np.array([name], dtype=object) for name in (user, category))
    return dict(zip(statistics.names, statistics.take(*asked)[0].tolist(), strict=True))


def test_numbers_equal_those_by_hand(statistics: CategoryStatistics):
    assert row(statistics, "ann", "food") == pytest.approx(
        {
            "category_recency_days": 10,
            "category_purchase_recency_days": 10,
            "category_events": 2,
            "category_events_28d": 1,
            "category_purchases": 2,
            "category_purchases_28d": 1,
            "category_purchases_112d": 2,
            "category_spend": 7,
            "category_events_share": 2 / 3,
            "category_purchases_share": 1,
            "category_buyers_share": 2 / 3,
            "category_buyers_28d_share": 1,
        }
    )


def test_a_category_that_the_user_never_met_counts_zero(statistics: CategoryStatistics):
    bob = row(statistics, "bob", "food")
    assert bob["category_events"] == bob["category_spend"] == bob["category_purchases_share"] == 0
    assert np.isnan(bob["category_recency_days"])
    assert bob["category_buyers_share"] == pytest.approx(2 / 3)


def test_strangers_and_unknown_categories_get_defined_rows(statistics: CategoryStatistics):
    assert row(statistics, "zoe", "wear")["category_events"] == 0
    assert all(np.isnan(list(row(statistics, "ann", "boats").values())))


def test_the_categories_with_most_buyers_are_kept(statistics: CategoryStatistics):
    assert statistics.categories.ids.tolist() == ["food", "wear"]
    shallow = category_statistics(tables(ROWS, CATEGORIES), day(50), top=1)
    assert shallow.categories.ids.tolist() == ["food"]


def test_a_deeper_level_splits_categories():
    deep = category_statistics(tables(ROWS, CATEGORIES), day(50), level=2)
    assert deep.categories.ids.tolist() == ["desk", "food > jam", "food > tea", "wear > hats"]


def test_many_pairs_are_taken_in_the_order_asked(shop: Tables, shop_at: int):
    statistics = category_statistics(shop, shop_at)
    users = np.repeat(statistics.users.ids, len(statistics.categories))
    names = np.tile(statistics.categories.ids, len(statistics.users))
    order = np.random.default_rng(0).permutation(len(users))
    np.testing.assert_array_equal(
        statistics.take(users, names)[order], statistics.take(users[order], names[order])
    )
    events = statistics.take(users, names)[:, statistics.names.index("category_events")]
    assert events.sum() == shop.as_of(shop_at).events.count().to_pyarrow().as_py()


def test_rewriting_the_future_moves_nothing(shop: Tables, shop_at: int):
    here = category_statistics(shop, shop_at)
    there = category_statistics(other_future(shop, shop_at), shop_at)
    np.testing.assert_array_equal(here.pairs, there.pairs)
    np.testing.assert_array_equal(here.by_pair, there.by_pair)
    np.testing.assert_array_equal(here.by_category, there.by_category)


def test_a_shop_without_categories_is_told_so(shop: Tables, shop_at: int):
    with pytest.raises(DataError, match="found no items table"):
        category_statistics(tables(ROWS), day(50))
    assert shop.items is not None
    bare = dataclasses.replace(shop, items=shop.items.drop(c.CATEGORY))
    with pytest.raises(DataError, match="found an items table without it"):
        category_statistics(bare, shop_at)
