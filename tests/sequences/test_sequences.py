from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shoploom.core import columns as c
from shoploom.core.errors import UnknownName
from shoploom.engines import Inputs
from shoploom.sequences import UserSequences, sequence_table, user_sequences, views
from shoploom.sequences.sequences import encode
from shoploom.tables import Tables
from tests.tiny import day, event_table, other_future, tables, with_events

ROWS = [
    ("ann", 3, c.PURCHASE, "tea", 4.5),
    ("ann", 1, c.VIEW, "tea", 4.5),
    ("ann", 1, c.CART, "tea", 4.5),
    ("ann", 1, c.VIEW, "hat", 9.0),
    ("bob", 2, c.SEARCH, None, None),
    ("bob", 2, c.VIEW, "hat", 9.0),
    ("cyd", 5, c.VIEW, "cup", 1.0),
]


def listed(sequences: UserSequences) -> dict[str, list[tuple]]:
    """Histories as plain lists of (day, action, item, price)."""
    out = {}
    for num, user in enumerate(sequences.users.ids):
        span = slice(sequences.offsets[num], sequences.offsets[num + 1])
        out[user] = [
            ((int(time) - day(0)) // (day(1) - day(0)), c.ACTIONS[action], item, price)
            for time, action, item, price in zip(
                sequences.time[span],
                sequences.action[span],
                sequences.items.decode(sequences.item[span]),
                sequences.price[span].tolist(),
                strict=True,
            )
        ]
    return out


def assert_same(left: UserSequences, right: UserSequences) -> None:
    assert left.users.ids.tolist() == right.users.ids.tolist()
    assert left.items.ids.tolist() == right.items.ids.tolist()
    for name in ("item", "action", "time", "price", "offsets"):
        ours, theirs = getattr(left, name), getattr(right, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs, err_msg=name)


@pytest.mark.parametrize("last", [None, 50])
def test_events_are_in_order_of_time_item_and_action(last: int | None):
    histories = listed(user_sequences(tables(ROWS), day(10), last=last))
    assert histories["ann"] == [
        (1, c.VIEW, "hat", 9.0),
        (1, c.CART, "tea", 4.5),
        (1, c.VIEW, "tea", 4.5),
        (3, c.PURCHASE, "tea", 4.5),
    ]
    assert list(histories) == ["ann", "bob", "cyd"]


@pytest.mark.parametrize("last", [None, 50])
def test_an_event_without_item_or_price_is_marked(last: int | None):
    sequences = user_sequences(tables(ROWS), day(10), last=last)
    bob = slice(sequences.offsets[1], sequences.offsets[2])
    assert sequences.item[bob].tolist() == [-1, sequences.items.encode(["hat"])[0]]
    assert np.isnan(sequences.price[bob]).tolist() == [True, False]
    assert sequences.items.ids.tolist() == ["cup", "hat", "tea"]


@pytest.mark.parametrize("last", [None, 50])
def test_the_moment_itself_is_not_the_past(last: int | None):
    histories = listed(user_sequences(tables(ROWS), day(3), last=last))
    assert [when for when, *_ in histories["ann"]] == [1, 1, 1]
    assert "cyd" not in histories


def test_only_the_latest_events_are_kept():
    histories = listed(user_sequences(tables(ROWS), day(10), last=2))
    assert histories["ann"] == [(1, c.VIEW, "tea", 4.5), (3, c.PURCHASE, "tea", 4.5)]
    assert len(histories["cyd"]) == 1


@pytest.mark.parametrize("last", [None, 50])
def test_only_the_wanted_actions_are_kept(last: int | None):
    sequences = user_sequences(tables(ROWS), day(10), last=last, actions=[c.PURCHASE, c.CART])
    assert listed(sequences) == {"ann": [(1, c.CART, "tea", 4.5), (3, c.PURCHASE, "tea", 4.5)]}


@pytest.mark.parametrize("last", [None, 50])
def test_an_unknown_action_is_refused(last: int | None):
    with pytest.raises(UnknownName, match="Did you mean 'purchase'"):
        user_sequences(tables(ROWS), day(10), last=last, actions=["purchases"])


@pytest.mark.parametrize("last", [None, 50])
def test_no_history_gives_empty_sequences(last: int | None):
    sequences = user_sequences(tables(ROWS), day(0), last=last)
    assert len(sequences) == 0
    assert sequences.offsets.tolist() == [0]
    assert len(sequences.item) == len(sequences.items) == 0


def test_both_ways_to_read_a_history_agree(shop: Tables, shop_at: int):
    assert_same(user_sequences(shop, shop_at), user_sequences(shop, shop_at, last=10_000))


@pytest.mark.parametrize("last", [None, 20])
def test_rewriting_the_future_moves_no_history(shop: Tables, shop_at: int, last: int | None):
    elsewhere = other_future(shop, shop_at)
    assert_same(
        user_sequences(shop, shop_at, last=last), user_sequences(elsewhere, shop_at, last=last)
    )


@pytest.mark.parametrize("last", [None, 20])
def test_the_order_of_the_rows_changes_nothing(shop: Tables, shop_at: int, last: int | None):
    events = shop.events.to_pyarrow()
    shuffled = with_events(shop, events.take(np.random.default_rng(0).permutation(len(events))))
    assert_same(
        user_sequences(shop, shop_at, last=last), user_sequences(shuffled, shop_at, last=last)
    )


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "é", "中"]),
        st.integers(0, 3),
        st.sampled_from(c.ACTIONS),
        st.sampled_from(["x", "y", "Z", None]),
        st.just(2.5),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=EVENTS, last=st.sampled_from([None, 1, 3, 50]))
def test_histories_equal_those_of_a_plain_loop(rows: list[tuple], last: int | None):
    expected: dict[str, list[tuple]] = {}
    for user, when, action, item, price in sorted(rows, key=lambda r: (r[1], r[3] or "", r[2])):
        expected.setdefault(user, []).append((when, action, item, price))
    expected = {user: events[-last:] if last else events for user, events in expected.items()}
    sequences = user_sequences(tables(rows), day(4), last=last)
    assert listed(sequences) == expected
    assert list(sequences.users.ids) == sorted(expected)


def test_codes_are_places_in_sorted_ids():
    vocabulary, codes = encode(event_table(ROWS)[c.ITEM_ID])
    assert vocabulary.ids.tolist() == ["cup", "hat", "tea"]
    assert codes.tolist() == [2, 2, 2, 1, -1, 1, 0]
    assert codes.dtype == np.int32


def test_views_are_what_inputs_ask_for(shop: Tables, shop_at: int):
    inputs = Inputs(until=shop_at, tables=shop, **views(shop, last=5))
    assert inputs.sequences(shop_at).lengths.max() == 5
    assert (
        inputs.statistics(shop_at).users.ids.tolist()
        == inputs.sequences(shop_at).users.ids.tolist()
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_spark_gives_the_same_histories_and_statistics(shop: Tables, shop_at: int, spark):
    from shoploom.sequences import statistics_table

    here, there = shop.as_of(shop_at).events, spark(shop.events.to_pyarrow())
    there = Tables(events=there).as_of(shop_at).events
    for make in (lambda e: sequence_table(e, last=7), lambda e: statistics_table(e, shop_at)):
        left, right = (make(e).to_pyarrow().sort_by(c.USER_ID) for e in (here, there))
        assert left.column_names == right.column_names
        for name in left.column_names:
            ours, theirs = left[name].to_pylist(), right[name].to_pylist()
            if name in (c.USER_ID, "history"):
                assert ours == theirs, name
            else:
                ours, theirs = (np.array(x, dtype=float) for x in (ours, theirs))
                np.testing.assert_allclose(ours, theirs, rtol=1e-12, err_msg=name)
