"""Personal ranks a user's own items first."""

from __future__ import annotations

import numpy as np
import pytest

from shoploom.core.errors import ConfigError
from shoploom.engines.personal import Personal
from tests.engines.shops import ask, inputs, listed

SHOP = {
    "ann": [(1, "tea"), (8, "tea"), (15, "tea"), (90, "jam"), (97, "hat")],
    "bob": [(1, "oil"), (2, "oil"), (3, "tea")],
    "cat": [(1, "oil"), (2, "oil"), (3, "oil"), (3, "soap")],
}


def _ranked(engine, *users, shop=SHOP, k=5, **how):
    return engine.fit(inputs(shop, 100), {}, {}).answer(
        None, ask(*users, day=100, **how), inputs(shop), k=k
    )


def test_own_items_come_by_frequency_then_popular_ones():
    answers = _ranked(Personal(half_life_days=None), "ann")
    assert listed(answers)[0][0] == "tea"
    assert set(listed(answers)[0][1:3]) == {"jam", "hat"}
    assert listed(answers)[0][3:] == ["oil", "soap"]
    assert answers.scores[0] == pytest.approx([0.6, 0.2, 0.2, 0, 0])


def test_recent_items_win_with_a_half_life():
    assert listed(_ranked(Personal(half_life_days=7), "ann"))[0][:3] == ["hat", "jam", "tea"]


def test_a_stranger_gets_what_is_popular():
    assert listed(_ranked(Personal(popular_half_life_days=None), "stranger", k=2))[0][0] == "oil"


def test_what_fills_up_is_what_is_popular_lately():
    ranked = listed(_ranked(Personal(popular_half_life_days=7), "stranger"))[0]
    assert ranked[:2] == ["hat", "jam"]


def test_where_seen_is_excluded_only_popular_ones_remain():
    ranked = listed(_ranked(Personal(popular_half_life_days=None), "ann", exclude_seen=True))[0]
    assert ranked == ["oil", "soap", None, None, None]


def test_own_items_outlast_any_absence():
    shop = SHOP | {"old": [(-5000, "soap"), (99, "hat")]}
    assert listed(_ranked(Personal(half_life_days=1), "old", shop=shop, k=2))[0] == ["hat", "soap"]


def test_tuning_finds_that_habits_last():
    # Everybody keeps to the tea of long ago and takes something new once.
    shop = {
        f"u{n}": [(1, "tea"), (8, "tea"), (15, "tea"), (60, f"i{n}"), (90, "tea")]
        for n in range(30)
    }
    asked = ask(*shop, day=80, answers=[["tea"]] * len(shop))
    tuned = Personal(half_life_days=7).tune(
        inputs(shop, 90), {"next_item": None}, {}, {"next_item": asked}
    )
    assert tuned.half_life_days is None or tuned.half_life_days > 14


def test_an_impossible_half_life_is_refused():
    with pytest.raises(ConfigError, match="above 0, got 0"):
        Personal(half_life_days=0)


def test_saving_loses_nothing():
    fitted = Personal().fit(inputs(SHOP, 100), {}, {})
    loaded = Personal.from_state(fitted.state())
    asked = ask("ann", "stranger", day=100)
    one, two = (f.answer(None, asked, inputs(SHOP), k=5) for f in (fitted, loaded))
    assert np.array_equal(one.items, two.items)
    assert np.array_equal(one.scores, two.scores)
