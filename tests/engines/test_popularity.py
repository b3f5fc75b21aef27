"""Popularity ranks what everybody takes, as far as it was known."""

from __future__ import annotations

import numpy as np
import pytest

from shoploom.core.errors import UnknownName
from shoploom.engines import ENGINES
from shoploom.engines.cooccurrence import Cooccurrence
from shoploom.engines.personal import Personal
from shoploom.engines.popularity import Popularity, RecentPopularity
from tests.engines.shops import ask, inputs, listed

SHOP = {
    "ann": [(1, "tea"), (2, "jam"), (99, "hat")],
    "bob": [(1, "tea"), (2, "tea"), (98, "hat")],
    "cat": [(3, "jam"), (4, "tea"), (50, "oil")],
}


def _fit(engine, shop=SHOP, day=100):
    return engine.fit(inputs(shop, day), {}, {})


def test_items_come_by_how_often_they_were_taken():
    answers = _fit(Popularity()).answer(None, ask("ann", day=100), inputs(SHOP), k=4)
    assert listed(answers)[0][0] == "tea"
    assert listed(answers)[0][3] == "oil"
    assert answers.scores[0] == pytest.approx([4 / 9, 2 / 9, 2 / 9, 1 / 9])


def test_everybody_gets_the_same_unless_seen_is_excluded():
    fitted = _fit(Popularity())
    same = listed(fitted.answer(None, ask("ann", "stranger", day=100), inputs(SHOP), k=3))
    assert same[0] == same[1]
    unseen = listed(
        fitted.answer(None, ask("ann", "stranger", day=100, exclude_seen=True), inputs(SHOP), k=3)
    )
    assert unseen[0] == ["oil", None, None]
    assert unseen[1] == same[1]


def test_the_last_days_before_the_moment_decide():
    fitted = _fit(RecentPopularity())
    assert listed(fitted.answer(None, ask("x", day=100), inputs(SHOP), k=2))[0] == ["hat", "tea"]
    assert listed(fitted.answer(None, ask("x", day=5), inputs(SHOP), k=2))[0] == ["tea", "jam"]


def test_each_question_gets_its_own_moment():
    from shoploom.tasks import concatenate

    fitted = _fit(RecentPopularity())
    asked = concatenate([ask("x", day=100), ask("x", day=5), ask("y", day=100)])
    tops = [row[0] for row in listed(fitted.answer(None, asked, inputs(SHOP), k=1))]
    assert tops == ["hat", "tea", "hat"]


def test_ties_do_not_follow_the_ids():
    shop = {"ann": [(1, f"i{n:03d}") for n in range(200)]}
    first = listed(_fit(Popularity(), shop).answer(None, ask("x"), inputs(shop), k=20))[0]
    assert first != sorted(first)


def test_actions_count_what_they_are_given():
    shop = {"ann": [(1, "tea", "view"), (2, "tea", "view"), (3, "jam", "purchase")]}
    fitted = _fit(Popularity(action_weights={"view": 0.1}), shop)
    assert listed(fitted.answer(None, ask("x"), inputs(shop), k=2))[0] == ["jam", "tea"]


def test_unknown_actions_are_refused_when_made():
    with pytest.raises(UnknownName):
        Popularity(action_weights={"gaze": 1})


def test_both_forms_are_registered():
    assert ENGINES.get("popularity")().window_days is None
    assert ENGINES.get("popularity_7d")().window_days == 7


def test_the_representation_is_activity():
    fitted = _fit(Popularity())
    users = np.array(["ann", "stranger"], dtype=object)
    rows = fitted.represent(users, 10**15, inputs(SHOP, 10**9))
    assert rows[:, 0] == pytest.approx([np.log(4), 0])


def test_saving_loses_nothing():
    fitted = _fit(RecentPopularity())
    loaded = RecentPopularity.from_state(fitted.state())
    asked = ask("ann", "x", day=100, exclude_seen=True)
    one, two = (f.answer(None, asked, inputs(SHOP), k=4) for f in (fitted, loaded))
    assert np.array_equal(one.items, two.items)
    assert np.array_equal(one.scores, two.scores)


def test_a_shop_without_items_answers_nothing():
    shop = {"ann": [(1, "", "search")]}
    answers = _fit(Popularity(), shop).answer(None, ask("ann"), inputs(shop), k=2)
    assert listed(answers) == [[None, None]]


@pytest.mark.parametrize("engine", [Popularity(), RecentPopularity(), Personal(), Cooccurrence()])
@pytest.mark.parametrize("exclude_seen", [True, False])
def test_rewriting_the_future_moves_no_past_answer(engine, exclude_seen):
    past = {user: [event for event in events if event[0] < 60] for user, events in SHOP.items()}
    other = {user: [*events, (60, "new"), (61, "tea")] for user, events in past.items()}
    other["eve"] = [(70, "tea")] * 9
    asked = ask("ann", "bob", "eve", day=60, exclude_seen=exclude_seen)
    answers = [
        _fit(engine, shop, 60).answer(None, asked, inputs(shop), k=3) for shop in (SHOP, other)
    ]
    assert listed(answers[0]) == listed(answers[1])
    assert np.array_equal(answers[0].scores, answers[1].scores)
