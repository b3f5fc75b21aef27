from __future__ import annotations

import ibis
import numpy as np
import pyarrow as pa
import pytest

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, DataError, UnknownName
from shoploom.sequences.interests import LIFT, SHARE, TAG, WEIGHT, category_tags, interests
from shoploom.tables import Tables
from tests.tiny import day, other_future, tables

CATEGORIES = {"tea": "food > tea", "jam": "food > jam", "hat": "wear > hats"}
ROWS = [
    ("ann", 10, c.VIEW, "tea"),
    ("ann", 40, c.PURCHASE, "tea", 2.0, 1.0),
    ("ann", 40, c.VIEW, "hat"),
    ("ann", 40, c.REMOVE, "hat"),
    ("bob", 40, c.CART, "hat", 9.0, 1.0),
    ("bob", 41, c.PURCHASE, "jam", 3.0, 1.0),
]


def found(table: ibis.Table) -> dict[tuple[str, str], dict[str, float]]:
    rows = table.to_pyarrow().to_pylist()
    return {(row.pop(c.USER_ID), row.pop(TAG)): row for row in rows}


def test_numbers_equal_those_by_hand():
    got = found(interests(tables(ROWS, CATEGORIES), day(40) + 1))
    tea, hat = 0.5 + 5, 1 + 3  # a view of 30 days ago, a purchase of now; a view, a cart
    total = tea + hat
    assert set(got) == {("ann", "food > tea"), ("ann", "wear > hats"), ("bob", "wear > hats")}
    share = (tea + 5 * tea / total) / (tea + 1 + 5)
    assert got["ann", "food > tea"] == pytest.approx(
        {WEIGHT: tea, SHARE: share, LIFT: share / (tea / total)}, rel=1e-5
    )
    share = (3 + 5 * hat / total) / (3 + 5)
    assert got["bob", "wear > hats"][SHARE] == pytest.approx(share, rel=1e-5)


def test_tags_may_be_given_with_weights():
    given = {c.ITEM_ID: ["hat", "hat", "jam"], TAG: ["wool", "red", "red"], WEIGHT: [1, 0.5, 1]}
    tags = ibis.memtable(pa.table(given))
    got = found(interests(tables(ROWS), day(42), tags, half_life_days=1e9))
    assert got["ann", "red"][WEIGHT] == pytest.approx(0.5)
    assert got["bob", "red"][WEIGHT] == pytest.approx(3 * 0.5 + 5)
    assert got["bob", "wool"][WEIGHT] == pytest.approx(3)


def test_shares_of_a_user_never_exceed_one_and_the_keenest_comes_first(shop: Tables, shop_at: int):
    rows = interests(shop, shop_at).to_pandas()
    assert (rows.groupby(c.USER_ID)[SHARE].sum() <= 1 + 1e-9).all()
    assert rows[SHARE].between(0, 1).all()
    for _, own in rows.groupby(c.USER_ID):
        assert own[SHARE].is_monotonic_decreasing


def test_the_planted_favourite_category_leads(shop: Tables, shop_at: int):
    rows = interests(shop, shop_at).to_pandas()
    favourite = rows.loc[rows.groupby(c.USER_ID)[LIFT].idxmax()]
    order = ["clothing > coats", "clothing > shoes", "food > tea", "home > lamps", "toys > puzzles"]
    planted = [order[int(user[1:]) % 5] for user in favourite[c.USER_ID]]
    assert (favourite[TAG] == planted).mean() >= 0.9


def test_a_newcomer_is_taken_for_an_average_user():
    rows = [("cyd", 1, c.PURCHASE, "tea", 1.0, 1.0)] * 40 + [("dan", 1, c.VIEW, "hat")]
    got = found(interests(tables(rows, CATEGORIES), day(2)))
    assert got["dan", "wear > hats"][SHARE] < 0.2
    assert got["cyd", "food > tea"][SHARE] > 0.99


def test_rewriting_the_future_moves_no_past_answer(shop: Tables, shop_at: int):
    here = interests(shop, shop_at).to_pyarrow()
    assert here.equals(interests(other_future(shop, shop_at), shop_at).to_pyarrow())


def test_the_order_of_rows_changes_nothing(shop: Tables, shop_at: int):
    events = shop.events.to_pyarrow()
    mixed = events.take(np.random.default_rng(0).permutation(len(events)))
    assert shop.items is not None
    items = ibis.memtable(shop.items.to_pyarrow())
    other = Tables(events=ibis.memtable(mixed), items=items)
    here = interests(shop, shop_at).to_pyarrow()
    assert here.equals(interests(other, shop_at).to_pyarrow())


def test_what_cannot_be_is_refused(shop: Tables, shop_at: int):
    with pytest.raises(DataError, match="found no items table"):
        interests(tables(ROWS), day(50))
    with pytest.raises(UnknownName, match="Did you mean 'purchase'"):
        interests(shop, shop_at, action_weights={"purchas": 1})
    with pytest.raises(ConfigError, match="expected half_life_days above 0, got 0"):
        interests(shop, shop_at, half_life_days=0)


def test_nobody_did_anything_before_the_first_day(shop: Tables):
    assert len(interests(shop, day(-1)).to_pyarrow()) == 0


def test_categories_can_be_cut_shorter(shop: Tables):
    tags = category_tags(shop, level=1).to_pandas()
    assert set(tags[TAG]) == {"clothing", "food", "home", "toys"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_the_same_on_spark(shop: Tables, shop_at: int, spark):
    other = Tables(events=spark(shop.events.to_pyarrow()))
    tags = category_tags(shop).to_pyarrow()
    there = interests(other, shop_at, ibis.memtable(tags)).to_pyarrow().to_pandas()
    here = interests(shop, shop_at).to_pandas()
    assert here[[c.USER_ID, TAG]].equals(there[[c.USER_ID, TAG]])
    np.testing.assert_allclose(here[WEIGHT], there[WEIGHT], atol=1e-5)


@pytest.mark.slow
def test_planted_tastes_of_a_simulated_shop_are_found(tmp_path):
    """The rank of 24 categories within a user; everybody alike would give about .37."""
    import pyarrow.parquet as pq
    from scipy.stats import spearmanr

    from shoploom.simulate import Dirt, ShopSpec, simulate
    from shoploom.simulate.catalogue import CATEGORIES as planted
    from shoploom.tables import open_tables

    spec = ShopSpec(users=400, items=240, days=120, content=False, dirt=Dirt.none())
    simulate(tmp_path / "shop", spec)
    tables = open_tables(tmp_path / "shop")
    at = tables.events[c.TIME].max().to_pyarrow().as_py() + 1
    rows = interests(tables, at, half_life_days=90).to_pandas()
    rows = rows.assign(noun=rows[TAG].map({each.path: each.noun for each in planted}))
    weight = rows.pivot(index=c.USER_ID, columns="noun", values=WEIGHT).fillna(0)
    shop_share = weight.sum() / weight.to_numpy().sum()
    total = weight.sum(axis=1)
    share = weight.add(5 * shop_share, axis=1).div(total + 5, axis=0)[total >= 20]
    truth = pq.read_table(tmp_path / "shop/truth/users.parquet").to_pandas().set_index(c.USER_ID)
    taste = truth[[f"taste_{noun}" for noun in share.columns]].loc[share.index]
    ranks = [spearmanr(a, b).statistic for a, b in zip(share.values, taste.values, strict=True)]
    alike = [spearmanr(shop_share, b).statistic for b in taste.values]
    assert np.mean(ranks) > 0.5
    assert np.mean(ranks) > np.mean(alike) + 0.1
