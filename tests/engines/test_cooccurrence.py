"""Co-occurrence: what its equations promise, on shops small enough to count by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoploom.core.errors import ConfigError, UnknownName
from shoploom.engines import cooccurrence as module
from shoploom.engines import load_state, save_state
from shoploom.engines.cooccurrence import Cooccurrence
from tests.engines.shops import ask, inputs, listed

#: Raw counts: no normalisation, no smoothing.
PLAIN = Cooccurrence(
    window=2, decay=0.5, back=0.25, source_power=0, target_power=0, smoothing=0, repeat=0
)


def _fit(engine, shop, day=100):
    return engine.fit(inputs(shop, day), {}, {})


def _votes(engine, shop):
    """Votes as a dict of pairs, on the scale of raw counts."""
    sequences = inputs(shop, 100).sequences(inputs(shop, 100).until)
    fitted = _fit(engine, shop)
    matrix = fitted.votes.toarray()
    ids = sequences.items.ids
    return {(ids[i], ids[j]): float(matrix[i, j]) for i, j in zip(*np.nonzero(matrix), strict=True)}


def _ratio(votes, pair, other):
    return votes[pair] / votes[other]


def test_pairs_fade_with_distance_and_backwards():
    votes = _votes(PLAIN, {"ann": [(1, "a"), (2, "b"), (3, "c"), (4, "d")]})
    assert _ratio(votes, ("a", "c"), ("a", "b")) == pytest.approx(0.5)
    assert _ratio(votes, ("b", "a"), ("a", "b")) == pytest.approx(0.25)
    assert ("a", "d") not in votes


def test_a_basket_has_no_order():
    shop = {"ann": [(1, "a"), (2, "b"), (2, "c"), (3, "d")]}
    votes = _votes(replace(PLAIN, together=1), shop)
    assert votes["b", "c"] == pytest.approx(votes["c", "b"])
    assert _ratio(votes, ("b", "c"), ("a", "b")) == pytest.approx(1)
    # Both items of the basket are one step from what came before and after it.
    assert votes["a", "c"] == pytest.approx(votes["a", "b"])
    assert votes["b", "d"] == pytest.approx(votes["c", "d"])


def test_baskets_weigh_what_they_are_given():
    shop = {"ann": [(1, "a"), (2, "b"), (2, "c")]}
    votes = _votes(replace(PLAIN, together=3), shop)
    assert _ratio(votes, ("b", "c"), ("a", "b")) == pytest.approx(3)


def test_long_gaps_weaken_a_pair():
    shop = {"ann": [(1, "a"), (2, "b"), (32, "c")]}
    votes = _votes(replace(PLAIN, window=1, gap_half_life_days=29), shop)
    assert _ratio(votes, ("b", "c"), ("a", "b")) == pytest.approx(2 ** (-30 / 29 + 1 / 29))


def test_old_pairs_fade_with_age():
    shop = {"ann": [(1, "a"), (2, "b")], "bob": [(61, "c"), (62, "d")]}
    votes = _votes(replace(PLAIN, age_half_life_days=30), shop)
    assert _ratio(votes, ("a", "b"), ("c", "d")) == pytest.approx(0.25)


def test_popular_items_are_divided_by_their_popularity():
    shop = {"ann": [(1, "a"), (2, "b")], "bob": [(1, "a"), (2, "c")], "cat": [(9, "c")]}
    votes = _votes(replace(PLAIN, target_power=1), shop)
    assert _ratio(votes, ("a", "c"), ("a", "b")) == pytest.approx(0.5)


def test_an_item_does_not_vote_for_itself():
    assert ("a", "a") not in _votes(PLAIN, {"ann": [(1, "a"), (2, "a"), (3, "b")]})


def test_users_do_not_mix():
    votes = _votes(PLAIN, {"ann": [(1, "a"), (2, "b")], "bob": [(3, "c"), (4, "d")]})
    assert ("b", "c") not in votes


def test_only_the_strongest_neighbours_are_kept():
    shop = {"ann": [(1, "a"), (2, "b"), (3, "c")], "bob": [(1, "a"), (2, "b")]}
    votes = _votes(replace(PLAIN, neighbours=1), shop)
    assert ("a", "b") in votes
    assert ("a", "c") not in votes


def test_actions_count_what_they_are_given():
    shop = {"ann": [(1, "a"), (2, "b", "view"), (3, "c", "purchase"), (4, "d", "return")]}
    votes = _votes(replace(PLAIN, decay=1, window=3, action_weights={"view": 0.5}), shop)
    assert _ratio(votes, ("a", "b"), ("a", "c")) == pytest.approx(0.5)
    assert not any("d" in pair for pair in votes)


def test_fewer_neighbours_leave_the_others_votes_as_they_were():
    shop = {"ann": [(1, "a"), (2, "b"), (3, "c")], "bob": [(1, "a"), (2, "b")]}
    few, all_ = _votes(replace(PLAIN, neighbours=1), shop), _votes(PLAIN, shop)
    assert few == {pair: pytest.approx(all_[pair]) for pair in few}


FOLLOW = {
    "u1": [(1, "tea"), (2, "cup")],
    "u2": [(1, "tea"), (2, "cup")],
    "u3": [(1, "bat"), (2, "ball")],
    "u4": [(1, "tea")],
    "u5": [(1, "bat"), (2, "tea")],
    "u6": [(1, "pen"), (2, "pen")],
}


def test_the_last_items_ask():
    fitted = _fit(Cooccurrence(), FOLLOW)
    answers = fitted.answer(None, ask("u4", exclude_seen=True), inputs(FOLLOW), k=2)
    assert listed(answers)[0][0] == "cup"
    assert answers.scores[0, 0] > 0


def test_later_items_ask_louder():
    engine = replace(Cooccurrence(), query_decay=0.1, repeat=0)
    ranked = _fit(engine, FOLLOW).answer(None, ask("u5", exclude_seen=True), inputs(FOLLOW), k=2)
    assert listed(ranked)[0] == ["cup", "ball"]


def test_seen_items_are_never_listed_when_excluded():
    fitted = _fit(Cooccurrence(popular=1), FOLLOW)
    ranked = listed(fitted.answer(None, ask(*FOLLOW, exclude_seen=True), inputs(FOLLOW), k=5))
    for user, row in zip(FOLLOW, ranked, strict=True):
        assert not {item for _, item in FOLLOW[user]} & set(row)


def test_own_items_come_first_where_people_rebuy():
    fitted = _fit(Cooccurrence(repeat=10), FOLLOW)
    assert listed(fitted.answer(None, ask("u6", "u4"), inputs(FOLLOW), k=1)) == [["pen"], ["tea"]]


def test_a_user_without_history_gets_what_is_popular():
    for engine in (Cooccurrence(), Cooccurrence(popular=1)):
        answers = _fit(engine, FOLLOW).answer(None, ask("nobody"), inputs(FOLLOW), k=5)
        assert listed(answers)[0][0] == "tea"
        assert None not in listed(answers)[0]


def test_short_lists_are_filled_with_popular_items():
    answers = _fit(Cooccurrence(repeat=0), FOLLOW).answer(
        None, ask("u6", exclude_seen=True), inputs(FOLLOW), k=6
    )
    assert listed(answers)[0][0] == "tea"
    assert sorted(x or "" for x in listed(answers)[0]) == ["", "", "ball", "bat", "cup", "tea"]
    assert answers.scores[0].tolist() == [0] * 6


def test_popular_items_can_outweigh_votes():
    shop = FOLLOW | {f"v{n}": [(99, "hat")] for n in range(9)}
    fitted = _fit(Cooccurrence(popular=100), shop)
    assert listed(fitted.answer(None, ask("u4"), inputs(shop), k=1)) == [["hat"]]


def test_items_unknown_at_the_fit_are_ignored():
    fitted = _fit(Cooccurrence(), FOLLOW)
    later = FOLLOW | {"u4": [(1, "tea"), (200, "brand new")]}
    ranked = listed(fitted.answer(None, ask("u4", exclude_seen=True), inputs(later), k=1))
    assert ranked == [["cup"]]


def test_the_size_of_blocks_changes_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    shop = {
        f"u{n}": [(float(d), f"i{i}") for d, i in enumerate(rng.integers(0, 30, 12))]
        for n in range(40)
    }
    whole = _fit(Cooccurrence(), shop).answer(None, ask(*shop), inputs(shop), k=10)
    monkeypatch.setattr(module, "_PAIRS", 50)
    monkeypatch.setattr(module, "_CANDIDATES", 50)
    blocks = _fit(Cooccurrence(), shop).answer(None, ask(*shop), inputs(shop), k=10)
    assert np.array_equal(whole.items, blocks.items)
    assert whole.scores == pytest.approx(blocks.scores, rel=1e-5)


@settings(max_examples=25)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abcde")), max_size=6),
        min_size=1,
        max_size=4,
    ),
    st.integers(1, 4),
)
def test_votes_are_those_of_counting_pair_by_pair(histories, window):
    shop = {f"u{n}": sorted({(float(d), i) for d, i in h}) for n, h in enumerate(histories)}
    # Every event a step of its own, so that the shuffle of baskets cannot matter.
    shop = {u: [(float(n), i) for n, (_, i) in enumerate(h)] for u, h in shop.items()}
    expected: dict[tuple[str, str], float] = {}
    for events in shop.values():
        for x, (_, a) in enumerate(events):
            for y in range(x + 1, min(x + window, len(events) - 1) + 1):
                b = events[y][1]
                if a != b:
                    weight = 0.5 ** (y - x - 1)
                    expected[a, b] = expected.get((a, b), 0) + weight
                    expected[b, a] = expected.get((b, a), 0) + weight / 4
    votes = _votes(replace(PLAIN, window=window), shop)
    assert votes.keys() == expected.keys()
    scale = sum(votes.values()) / max(sum(expected.values()), 1e-9)
    assert all(votes[pair] == pytest.approx(scale * n, rel=1e-4) for pair, n in expected.items())


def _rebuying_shop():
    """Sixty people with an item of their own each ten days, and another beside it."""
    draw = np.random.default_rng(0)
    return {
        f"u{n:02d}": [(float(d), f"i{n % 20}") for d in range(0, 90, 10)]
        + [(float(d) + 0.5, f"x{draw.integers(50)}") for d in range(0, 90, 10)]
        for n in range(60)
    }


def test_tuning_learns_that_people_rebuy():
    shop = _rebuying_shop()
    own = [[f"i{n % 20}"] for n in range(60)]
    asked = ask(*shop, day=80, answers=own)
    tuned = Cooccurrence(repeat=0).tune(
        inputs(shop, 80), {"next_item": None}, {}, {"next_item": asked}
    )
    assert tuned.repeat > 0


def test_counts_kept_between_candidates_are_those_of_each_candidate(monkeypatch):
    shop = _rebuying_shop()
    own = [[f"i{n % 20}", f"x{n % 50}"] for n in range(60)]
    asked = {"next_item": ask(*shop, day=80, answers=own)}
    kept = Cooccurrence().tune(inputs(shop, 80), {"next_item": None}, {}, asked)
    monkeypatch.setattr(module, "_latest", lambda make: lambda engine, key: make(engine))
    assert Cooccurrence().tune(inputs(shop, 80), {"next_item": None}, {}, asked) == kept


def test_tuning_never_looks_past_validation():
    shop = FOLLOW | {"late": [(50, "tea"), (51, "hat")]}
    asked = ask("u4", "u2", day=40, answers=[["cup"], ["tea"]])
    moments = []
    view = inputs(shop, 100)
    plain = view.sequences
    view.sequences = lambda at: (moments.append(at), plain(at))[1]
    Cooccurrence().tune(view, {"next_item": None}, {}, {"next_item": asked})
    assert max(moments) <= asked.times.max()


def test_users_are_represented_by_finite_rows_and_strangers_by_zeros():
    fitted = _fit(Cooccurrence(dim=3), FOLLOW)
    users = np.array(["u1", "u3", "stranger"], dtype=object)
    rows = fitted.represent(users, 10**15, inputs(FOLLOW, 10**9))
    assert rows.shape == (3, 3)
    assert np.isfinite(rows).all()
    assert rows[:2].any(axis=1).all()
    assert not rows[2].any()


def test_users_alike_are_represented_alike():
    fitted = _fit(Cooccurrence(dim=4), FOLLOW)
    users = np.array(["u1", "u2", "u3"], dtype=object)
    one, two, other = fitted.represent(users, 10**15, inputs(FOLLOW, 10**9))
    assert one == pytest.approx(two)
    assert np.abs(one - other).max() > 1e-3


def test_saving_loses_nothing(tmp_path):
    fitted = _fit(Cooccurrence(popular=0.1, action_weights={"view": 0.5}), FOLLOW)
    save_state(tmp_path / "engine", "cooccurrence", fitted.state())
    loaded = load_state(tmp_path / "engine")
    assert loaded.settings == fitted.settings
    asked = ask(*FOLLOW, "stranger")
    one, two = (f.answer(None, asked, inputs(FOLLOW), k=5) for f in (fitted, loaded))
    assert np.array_equal(one.items, two.items)
    assert np.array_equal(one.scores, two.scores)
    rows = [f.represent(asked.users, 10**15, inputs(FOLLOW, 10**9)) for f in (fitted, loaded)]
    assert np.array_equal(*rows)


def test_a_shop_without_pairs_still_answers():
    shop = {"ann": [(1, "tea")], "bob": [(1, "", "search")]}
    answers = _fit(Cooccurrence(), shop).answer(None, ask("ann", "bob"), inputs(shop), k=2)
    assert listed(answers) == [["tea", None], ["tea", None]]


def test_a_shop_without_items_answers_nothing():
    shop = {"bob": [(1, "", "search")]}
    fitted = _fit(Cooccurrence(), shop)
    assert listed(fitted.answer(None, ask("bob"), inputs(shop), k=1)) == [[None]]
    users = np.array(["bob"], dtype=object)
    assert fitted.represent(users, 10**15, inputs(shop, 10**9)).shape == (1, 32)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("window", 0), ("decay", -1), ("gap_half_life_days", 0), ("neighbours", 0)],
)
def test_impossible_settings_are_refused(setting, value):
    with pytest.raises(ConfigError, match=setting):
        Cooccurrence(**{setting: value})


def test_unknown_actions_are_refused():
    with pytest.raises(UnknownName, match="gaze"):
        Cooccurrence(action_weights={"gaze": 1})
