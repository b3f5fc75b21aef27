"""Planted truth: what was put into a shop, the heads must find."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from shoploom.core.errors import ConfigError, NotFitted
from shoploom.core.ids import Vocabulary
from shoploom.core.time import DAY_US
from shoploom.engines import Inputs, ItemContent, load_state, save_state
from shoploom.engines.neural import Neural
from shoploom.sequences import UserStatistics
from shoploom.tasks import Kind, Questions

from ..shops import sequences

AT = 100 * DAY_US
USERS = [f"u{n:03d}" for n in range(300)]
LOYAL = np.array([n % 3 == 0 for n in range(300)])  # these take a's, the others b's


@dataclass(frozen=True)
class Planted:
    """A task that only tests ask."""

    name: str
    kind: Kind
    window_days: int = 14
    unit: ClassVar[str] = "probability"
    metric: ClassVar[str] = "auroc"

    def ask(self, tables: object, at: int, *, answered: bool = True) -> Questions:
        raise NotImplementedError


def _shop() -> Inputs:
    draw = np.random.default_rng(0)
    shop = {
        user: [
            (float(day), f"{'a' if LOYAL[n] else 'b'}{draw.integers(5)}")
            for day in sorted(draw.choice(90, 4, replace=False))
        ]
        for n, user in enumerate(USERS)
    }

    def statistics(at: int) -> UserStatistics:
        known = sequences(shop, at / DAY_US).users
        noise = np.random.default_rng(1).normal(size=(len(known), 3)).astype(np.float32)
        return UserStatistics(at, known, ("x", "y", "z"), noise)

    return Inputs(
        until=AT, sequences=lambda at: sequences(shop, at / DAY_US), statistics=statistics
    )


SHOP = _shop()
ANSWERS: dict[Kind, np.ndarray] = {
    "binary": LOYAL.astype(float),
    "count": np.where(LOYAL, 5.0, 1.0),
    "amount": np.where(LOYAL, 40.0, 0.0),
    "ordinal": np.where(LOYAL, 4.0, 1.0),
    "multiclass": np.where(LOYAL, 2.0, 1.0),
}
TASKS = {kind: Planted(f"planted {kind}", kind) for kind in ANSWERS}
SMALL = Neural(dim=16, layers=1, dropout=0.1, epochs=20, batch=64, learning_rate=0.01)


def _ask(kind: Kind, rows: slice = slice(None)) -> Questions:
    users = np.array(USERS, dtype=object)[rows]
    times = np.full(len(users), AT, dtype=np.int64)
    return Questions(TASKS[kind].name, users, times, answers=ANSWERS[kind][rows])


def _fit(engine: Neural, *kinds: Kind):
    tasks = {TASKS[kind].name: TASKS[kind] for kind in kinds}
    questions = {TASKS[kind].name: _ask(kind, slice(0, 240)) for kind in kinds}
    return engine.fit(SHOP, tasks, questions)


@pytest.mark.parametrize(
    "weighting",
    [
        "fixed",
        "apart",
        pytest.param("equal", marks=pytest.mark.slow),
        pytest.param("uncertainty", marks=pytest.mark.slow),
        pytest.param("balanced", marks=pytest.mark.slow),
        "single",
    ],
)
def test_every_kind_is_learned_together_or_alone(weighting) -> None:
    fitted = _fit(replace(SMALL, weighting=weighting), *ANSWERS)
    held = slice(240, 300)
    for kind, answers in ANSWERS.items():
        got = fitted.answer(TASKS[kind], _ask(kind, held).unanswered(), SHOP).values
        loyal = LOYAL[held]
        between = answers.min() / 2 + answers.max() / 2
        assert (got[loyal] > between).mean() > 0.9, kind
        assert (got[~loyal] < between).mean() > 0.9, kind


def test_heads_answer_where_items_came_after_the_training() -> None:
    def with_content(*items: str) -> Inputs:
        vocabulary = Vocabulary.of(items)
        vectors = np.array([[item[0] == "a", item[0] != "a"] for item in vocabulary.ids], float)
        content = ItemContent(
            vocabulary, {"text": vectors.astype(np.float16)}, {"text": np.ones(len(items), bool)}
        )
        return Inputs(
            until=AT,
            sequences=SHOP.sequences,
            statistics=SHOP.statistics,
            content=content.always,
        )

    old = [f"{kind}{n}" for kind in "ab" for n in range(5)]
    task, held = TASKS["binary"], _ask("binary", slice(240, 300)).unanswered()
    known = with_content(*old)
    fitted = SMALL.fit(known, {task.name: task}, {task.name: _ask("binary", slice(0, 240))})
    before = fitted.answer(task, held, known).values
    grown = with_content("a-new", *old, "z-new")
    assert len(fitted._with_new_items(grown, AT).catalogue) == 12
    after = fitted.answer(task, held, grown).values
    # Nobody has taken the new items yet: codes have moved, answers have not.
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_profiles_tell_the_planted_groups_apart(tmp_path) -> None:
    fitted = _fit(SMALL, "binary")
    users = np.array([*USERS[240:], "nobody"], dtype=object)
    rows = fitted.represent(users, AT, SHOP)
    assert not rows[-1].any()
    nearest = (rows[:-1] @ rows[:-1].T - 1e9 * np.eye(60)).argmax(1)
    assert (LOYAL[240:][nearest] == LOYAL[240:]).mean() > 0.95
    save_state(tmp_path / "neural", "neural", fitted.state())
    assert np.array_equal(load_state(tmp_path / "neural").represent(users, AT, SHOP), rows)


def test_separate_networks_are_saved_together(tmp_path) -> None:
    fitted = _fit(replace(SMALL, weighting="single", epochs=2), "binary", "amount")
    save_state(tmp_path / "neural", "neural", fitted.state())
    loaded = load_state(tmp_path / "neural")
    for kind in ("binary", "amount"):
        answers = [each.answer(TASKS[kind], _ask(kind), SHOP).values for each in (fitted, loaded)]
        assert np.array_equal(*answers)


def test_what_was_not_learned_is_not_answered() -> None:
    fitted = _fit(replace(SMALL, epochs=1), "binary")
    with pytest.raises(NotFitted, match="planted binary"):
        fitted.answer(TASKS["count"], _ask("count"), SHOP)
    with pytest.raises(ConfigError, match="14 days"):
        fitted.answer(replace(TASKS["binary"], window_days=30), _ask("binary"), SHOP)


def test_tuning_watches_tasks_too() -> None:
    name = TASKS["binary"].name
    tuned = replace(SMALL, epochs=None, max_epochs=6).tune(
        SHOP,
        {name: TASKS["binary"]},
        {name: _ask("binary", slice(0, 240))},
        {name: _ask("binary", slice(240, 300))},
    )
    assert tuned.epochs is not None


@pytest.mark.parametrize(("weighting", "moved"), [("apart", False), ("fixed", True)])
def test_tasks_move_what_events_have_taught_only_together(weighting, moved: bool) -> None:
    alone = replace(SMALL, weights={"next event": 0.0}, weighting=weighting, pretrain=0, epochs=1)
    untaught = replace(alone, weights={"next event": 0.0, TASKS["binary"].name: 0.0})
    before, after = (_fit(engine, "binary").items for engine in (untaught, alone))
    assert (not np.array_equal(before, after)) == moved
