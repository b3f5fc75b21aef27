"""What sells with what: support, confidence and lift by their definitions."""

from __future__ import annotations

from dataclasses import replace

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.core.time import DAY_US
from shoploom.sequences import baskets as module
from shoploom.sequences.baskets import associations, count_pairs
from shoploom.tables import Tables

#: (user, day, session, item): five baskets of purchases.
BOUGHT = [
    ("ann", 1, "s1", "tea"),
    ("ann", 1, "s1", "milk"),
    ("ann", 2, "s2", "tea"),
    ("ann", 2, "s2", "milk"),
    ("bob", 3, "s1", "tea"),
    ("bob", 3, "s1", "jam"),
    ("cat", 4, None, "pen"),
    ("cat", 5, None, "pen"),
]
CATEGORY = {
    "tea": "food > drinks",
    "milk": "food > dairy",
    "jam": "food > spreads",
    "pen": "office",
}


def _tables(rows=BOUGHT, items=CATEGORY, action=c.PURCHASE) -> Tables:
    events = {
        c.USER_ID: [row[0] for row in rows],
        c.TIME: [row[1] * DAY_US for row in rows],
        c.ACTION: [action] * len(rows),
        c.SESSION_ID: [row[2] for row in rows],
        c.ITEM_ID: [row[3] for row in rows],
    }
    known = {c.ITEM_ID: list(items), c.CATEGORY: list(items.values())}
    types = [pa.int64() if name == c.TIME else pa.string() for name in events]
    table = pa.table(events, schema=pa.schema(list(zip(events, types, strict=True))))
    return Tables(events=ibis.memtable(table), items=ibis.memtable(pa.table(known)))


def _found(pairs):
    return {(a, b): i for i, (a, b) in enumerate(zip(pairs.left, pairs.right, strict=True))}


def test_support_confidence_and_lift_are_as_defined():
    pairs = associations(_tables(), 10 * DAY_US, min_baskets=1)
    assert pairs.n_baskets == 5
    at = _found(pairs)["milk", "tea"]
    assert pairs.baskets[at] == 2
    assert pairs.support[at] == pytest.approx(2 / 5)
    assert pairs.confidence[at] == pytest.approx(1)
    assert pairs.confidence_back[at] == pytest.approx(2 / 3)
    assert pairs.lift[at] == pytest.approx((2 / 5) / (2 / 5 * 3 / 5))


def test_a_session_belongs_to_one_user():
    assert ("jam", "milk") not in _found(associations(_tables(), 10 * DAY_US, min_baskets=1))


def test_without_sessions_a_moment_is_a_basket():
    rows = [(user, day, None, item) for user, day, _, item in BOUGHT]
    pairs = associations(_tables(rows), 10 * DAY_US, min_baskets=1)
    assert _found(pairs).keys() == {("milk", "tea"), ("jam", "tea")}
    assert pairs.n_baskets == 5


def test_the_future_is_not_seen():
    pairs = associations(_tables(), 3 * DAY_US, min_baskets=1)
    assert _found(pairs).keys() == {("milk", "tea")}
    assert pairs.n_baskets == 2


def test_rare_pairs_are_left_out():
    assert _found(associations(_tables(), 10 * DAY_US, min_baskets=2)).keys() == {("milk", "tea")}
    assert len(associations(_tables(), 10 * DAY_US, min_baskets=1, min_support=0.5)) == 0


def test_only_the_asked_action_makes_a_basket():
    assert len(associations(_tables(action=c.VIEW), 10 * DAY_US, min_baskets=1)) == 0
    assert len(associations(_tables(action=c.VIEW), 10 * DAY_US, min_baskets=1, action=c.VIEW)) == 2


def test_categories_pair_at_their_level():
    items = CATEGORY | {"pen": "office > pens"}
    rows = [*BOUGHT, ("dan", 6, "s1", "pen"), ("dan", 6, "s1", "tea")]
    first = associations(_tables(rows, items), 10 * DAY_US, level=1, min_baskets=1)
    assert _found(first).keys() == {("food", "office")}
    second = associations(_tables(rows, items), 10 * DAY_US, level=2, min_baskets=1)
    assert ("food > drinks", "office > pens") in _found(second)


def test_items_without_a_category_are_left_out():
    items = {"tea": "food > drinks", "milk": None}
    pairs = associations(_tables(items=items), 10 * DAY_US, level=2, min_baskets=1)
    assert len(pairs) == 0
    assert pairs.n_baskets == 3


def test_categories_are_asked_of_a_shop_that_has_none():
    with pytest.raises(DataError, match="items table with a category"):
        associations(replace(_tables(), items=None), 10 * DAY_US, level=1)


def test_huge_baskets_are_left_out_of_the_pairs():
    rows = [*BOUGHT, *(("shop", 6, "s", f"i{n}") for n in range(20))]
    pairs = associations(_tables(rows), 10 * DAY_US, min_baskets=1, largest=10)
    assert _found(pairs).keys() == {("milk", "tea"), ("jam", "tea")}
    assert pairs.n_baskets == 6


def test_an_empty_shop_has_no_pairs():
    pairs = associations(_tables(), 0, min_baskets=1)
    assert (len(pairs), pairs.n_baskets) == (0, 0)


@settings(max_examples=40)
@given(
    st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=5), min_size=1, max_size=8),
    st.integers(1, 3),
)
def test_pairs_are_those_of_counting_one_by_one(contents, least):
    basket = np.array([b for b, things in enumerate(contents) for _ in things])
    thing = np.array([t for things in contents for t in things])
    names = np.array(list("abcdef"), dtype=object)
    pairs = count_pairs(basket, thing, names, k=100, min_baskets=least)
    expected = {}
    for x in range(6):
        for y in range(x + 1, 6):
            both = sum({x, y} <= set(things) for things in contents)
            if both >= least:
                alone = [sum(z in things for things in contents) for z in (x, y)]
                lift = both * len(contents) / (alone[0] * alone[1])
                expected[names[x], names[y]] = (both, both / alone[0], lift)
    assert _found(pairs).keys() == expected.keys()
    for pair, at in _found(pairs).items():
        got = pairs.baskets[at], pairs.confidence[at], pairs.lift[at]
        assert got == pytest.approx(expected[pair])
    assert (np.diff(pairs.lift) <= 0).all()


def test_the_size_of_blocks_changes_nothing(monkeypatch):
    whole = associations(_tables(), 10 * DAY_US, min_baskets=1)
    monkeypatch.setattr(module, "_PAIRS", 1)
    blocks = associations(_tables(), 10 * DAY_US, min_baskets=1)
    assert np.array_equal(whole.left, blocks.left)
    assert np.array_equal(whole.baskets, blocks.baskets)
