"""What every task promises; a new task is picked up from the registry."""

from __future__ import annotations

import dataclasses
from typing import get_args

import numpy as np
import pytest
from tests.tiny import other_future, past_only, with_events

from shoploom.core.errors import ConfigError, UnknownName
from shoploom.core.time import DAY_US
from shoploom.tables import Tables
from shoploom.tasks import TASKS, Kind, Questions, Ragged, make_task, window_us

pytestmark = pytest.mark.parametrize("name", TASKS.names())

UNITS = {"probability", "purchases", "currency", "items"}


@pytest.fixture(scope="module")
def elsewhere(shop: Tables, shop_at: int) -> Tables:
    return other_future(shop, shop_at)


@pytest.fixture(scope="module")
def closed(shop: Tables, shop_at: int) -> Tables:
    return past_only(shop, shop_at)


def same_questions(left: Questions, right: Questions) -> bool:
    subjects = (left.subjects is None) == (right.subjects is None)
    if left.subjects is not None and right.subjects is not None:
        subjects = left.subjects.tolist() == right.subjects.tolist()
    users = left.users.tolist() == right.users.tolist()
    return users and subjects and left.times.tolist() == right.times.tolist()


def answers_of(questions: Questions) -> list:
    """Answers as plain lists, with the users: a ranking drops users without any."""
    answers = questions.answers
    assert answers is not None
    if isinstance(answers, Ragged):
        lists = np.split(answers.values, answers.offsets[1:-1])
        return [(user, *items) for user, items in zip(questions.users, lists, strict=True)]
    return answers.tolist()


def test_a_task_describes_itself(name: str):
    task = make_task(name)
    assert task.name == name
    assert task.kind in get_args(Kind)
    assert task.unit in UNITS
    assert task.metric
    assert window_us(task) == task.window_days * DAY_US > 0


def test_settings_are_frozen_and_documented(name: str):
    cls = TASKS.get(name)
    with pytest.raises(dataclasses.FrozenInstanceError):
        cls().window_days = 3
    for field in dataclasses.fields(cls):
        assert f"{field.name}:" in (cls.__doc__ or ""), f"{field.name} is not documented"


def test_who_is_asked_and_about_what_does_not_depend_on_the_future(
    name: str, shop: Tables, elsewhere: Tables, closed: Tables, shop_at: int
):
    task = make_task(name)
    here = task.ask(shop, shop_at, answered=False)
    assert len(here) > 0
    assert same_questions(here, task.ask(elsewhere, shop_at, answered=False))
    assert same_questions(here, task.ask(closed, shop_at, answered=False))


def test_answers_come_from_the_future(name: str, shop: Tables, elsewhere: Tables, shop_at: int):
    task = make_task(name)
    here, there = task.ask(shop, shop_at), task.ask(elsewhere, shop_at)
    assert answers_of(here) != answers_of(there)


def test_answered_questions_are_asked_to_the_same_users(name: str, shop: Tables, shop_at: int):
    task = make_task(name)
    asked, answered = task.ask(shop, shop_at, answered=False), task.ask(shop, shop_at)
    if task.kind == "ranking":  # users without a truth are left out
        assert set(answered.users) < set(asked.users)
    else:
        assert same_questions(asked, answered)


def test_unanswered_questions_hold_no_answers(name: str, shop: Tables, shop_at: int):
    assert make_task(name).ask(shop, shop_at, answered=False).answers is None


def test_questions_are_in_order_and_at_the_moment(name: str, shop: Tables, shop_at: int):
    questions = make_task(name).ask(shop, shop_at)
    pairs = (
        list(zip(questions.users, questions.subjects, strict=True))
        if (questions.subjects is not None)
        else questions.users.tolist()
    )
    assert pairs == sorted(set(pairs))
    assert set(questions.times.tolist()) == {shop_at}
    assert questions.users.dtype == object
    assert questions.times.dtype == np.int64


def test_answers_are_of_their_kind(name: str, shop: Tables, shop_at: int):
    task = make_task(name)
    answers = task.ask(shop, shop_at).answers
    if isinstance(answers, Ragged):
        assert task.kind == "ranking"
        lists = np.split(answers.values, answers.offsets[1:-1])
        assert all(0 < len(items) == len(set(items)) for items in lists)
        return
    assert answers is not None
    assert answers.dtype == np.float64
    assert (answers >= 0).all()
    assert answers.max() > 0
    if task.kind in ("binary", "multilabel"):
        assert set(answers.tolist()) == {0.0, 1.0}
    if task.kind == "count":
        assert (answers == answers.round()).all()


def test_the_order_of_the_events_changes_nothing(name: str, shop: Tables, shop_at: int):
    task = make_task(name)
    events = shop.events.to_pyarrow()
    shuffled = with_events(shop, events.take(np.random.default_rng(1).permutation(len(events))))
    here, there = task.ask(shop, shop_at), task.ask(shuffled, shop_at)
    assert same_questions(here, there)
    assert answers_of(here) == answers_of(there)


def test_nobody_is_asked_before_the_shop_opened(name: str, shop: Tables):
    questions = make_task(name).ask(shop, DAY_US)
    assert len(questions) == 0
    assert len(questions.answers) == 0  # type: ignore[arg-type]


def test_unknown_settings_are_refused_with_a_suggestion(name: str):
    with pytest.raises(UnknownName, match=r"Did you mean 'window_days'\?"):
        make_task(name, window_day=7)
    with pytest.raises(UnknownName, match=f"task '{name}'"):
        make_task(name, kind="binary")


@pytest.mark.parametrize("days", [0, -1, 1.5])
def test_impossible_windows_are_refused(name: str, days: float):
    with pytest.raises(ConfigError, match="positive whole number of days"):
        make_task(name, window_days=days)
