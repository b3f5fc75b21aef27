"""Promises that every registered engine keeps, for every task whose kind it answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from shoploom.core.seeds import rng
from shoploom.core.time import DAY_US
from shoploom.engines import (
    ENGINES,
    Engine,
    Explains,
    Fitted,
    Inputs,
    can_answer,
    load_state,
    save_state,
)
from shoploom.sequences import views
from shoploom.tables import Tables
from shoploom.tasks import TASKS, Answers, Questions, Task, concatenate, make_task

WINDOW_DAYS = 14
SETTINGS = {"window_days": WINDOW_DAYS}


#: Engines that would otherwise learn for seconds keep the same promises when they are small.
LIGHT = {
    "neural": {"dim": 16, "layers": 1, "max_epochs": 2, "patience": 1, "pretrain": 1},
    "blend": {"parts": {"popularity": {}, "personal": {}, "rfm": {}}},
    "probe": {"of": "cooccurrence", "features": "both"},
}


def _engine(name: str) -> Engine:
    return ENGINES.get(name)(**LIGHT.get(name, {}))


def _pairs() -> Iterator[tuple[str, str]]:
    for engine in ENGINES.names():
        for task in TASKS.names():
            if can_answer(_engine(engine), make_task(task)):
                yield engine, task


PAIRS = sorted(_pairs())
Learned = dict[tuple[str, str], Fitted]


@pytest.fixture(scope="module")
def cut(shop: Tables) -> int:
    """A moment with two windows of the log behind it and one before it."""
    return int(shop.events.time.max().to_pyarrow().as_py()) - 2 * WINDOW_DAYS * DAY_US


@dataclass(frozen=True)
class World:
    """A shop as seen until a moment; what several tests need of it is computed once."""

    tables: Tables
    at: int
    inputs: Inputs
    asked: dict[str, Questions]
    training: dict[str, Questions]

    @classmethod
    def of(cls, tables: Tables, at: int) -> World:
        step = WINDOW_DAYS * DAY_US
        tasks = [make_task(name, **SETTINGS) for name in TASKS.names()]
        return cls(
            tables,
            at,
            Inputs(until=at, tables=tables, **views(tables)),
            {task.name: task.ask(tables, at, answered=False) for task in tasks},
            {
                task.name: concatenate([task.ask(tables, at - k * step) for k in (3, 2, 1)])
                for task in tasks
            },
        )

    def learn(self, engine: str, task: Task) -> Fitted:
        """The engine fitted on questions whose windows end at or before the moment."""
        return _engine(engine).fit(
            self.inputs, {task.name: task}, {task.name: self.training[task.name]}
        )


@pytest.fixture(scope="module")
def world(shop: Tables, cut: int) -> World:
    return World.of(shop, cut)


@pytest.fixture(scope="module")
def other_world(shop: Tables, cut: int) -> World:
    """The same past with another future."""
    return World.of(_rewrite_future(shop, cut), cut)


def _same(a: Answers, b: Answers) -> bool:
    if a.values is not None:
        return np.array_equal(a.values, b.values)  # type: ignore[arg-type]
    assert a.catalogue is not None
    assert b.catalogue is not None
    ids = [x.catalogue.decode(x.items) for x in (a, b)]  # type: ignore[union-attr,arg-type]
    return bool(np.array_equal(ids[0], ids[1])) and np.array_equal(a.scores, b.scores)  # type: ignore[arg-type]


def _rewrite_future(tables: Tables, at: int) -> Tables:
    """Everything from ``at`` on is dropped and other users' events are put there instead."""
    events = tables.events.to_pyarrow()
    past = events.filter(pc.less(events["time"], at))
    invented = past.slice(0, len(past) // 2)
    shift = pa.scalar(at - int(pc.min(past["time"]).as_py()) + 1, pa.int64())
    invented = invented.set_column(
        invented.schema.get_field_index("time"), "time", pc.add(invented["time"], shift)
    )
    rewritten = pa.concat_tables([past, invented])
    backend = tables.events.get_backend()
    return replace(tables, events=backend.create_table("rewritten", rewritten, overwrite=True))


@pytest.fixture(scope="module")
def learned(world: World) -> Learned:
    return {
        (engine, name): world.learn(engine, make_task(name, **SETTINGS)) for engine, name in PAIRS
    }


@pytest.mark.parametrize(("engine", "name"), PAIRS)
def test_rewriting_the_future_moves_no_past_answer(
    world: World, other_world: World, learned: Learned, engine: str, name: str
) -> None:
    task, asked = make_task(name, **SETTINGS), world.asked[name]
    answers = [
        learned[engine, name].answer(task, asked, world.inputs),
        other_world.learn(engine, task).answer(task, asked, other_world.inputs),
    ]
    assert _same(*answers)


@pytest.mark.parametrize(("engine", "name"), PAIRS)
def test_the_order_of_questions_changes_nothing(
    world: World, learned: Learned, engine: str, name: str
) -> None:
    task, asked = make_task(name, **SETTINGS), world.asked[name]
    order = rng(0, "order").permutation(len(asked))
    plain = learned[engine, name].answer(task, asked, world.inputs)
    shuffled = learned[engine, name].answer(task, asked.take(order), world.inputs)
    if plain.values is not None:
        # A matrix product may round differently for another arrangement of its rows.
        np.testing.assert_allclose(plain.values[order], shuffled.values, rtol=1e-9)  # type: ignore[arg-type]
    else:
        assert np.array_equal(plain.items[order], shuffled.items)  # type: ignore[index,arg-type]


@pytest.mark.parametrize(("engine", "name"), PAIRS)
def test_answers_are_defined_for_everyone_even_strangers(
    world: World, learned: Learned, engine: str, name: str
) -> None:
    task, asked = make_task(name, **SETTINGS), world.asked[name]
    users = asked.users.copy()
    users[0] = "nobody has ever seen this user"
    answers = learned[engine, name].answer(task, replace(asked, users=users), world.inputs, k=5)
    if answers.values is not None:
        assert answers.values.shape == (len(asked),)
        assert np.isfinite(answers.values).all()
        assert (answers.values >= 0).all()
        if task.kind in ("binary", "multilabel"):
            assert (answers.values <= 1).all()
    else:
        assert answers.items is not None
        assert answers.scores is not None
        assert answers.items.shape == (len(asked), 5)
        assert (answers.items[0] >= 0).all()
        assert (np.diff(answers.scores, axis=1) <= 0).all()
        assert all(len(set(row)) == len(row) for row in answers.items.tolist())


@pytest.mark.parametrize(("engine", "name"), PAIRS)
def test_saving_loses_nothing(
    world: World, learned: Learned, engine: str, name: str, tmp_path: Path
) -> None:
    task, asked, inputs = make_task(name, **SETTINGS), world.asked[name], world.inputs
    fitted = learned[engine, name]
    save_state(tmp_path / "engine", engine, fitted.state())
    loaded = load_state(tmp_path / "engine")
    assert _same(fitted.answer(task, asked, inputs), loaded.answer(task, asked, inputs))
    users = asked.users[:3]
    assert np.array_equal(
        fitted.represent(users, world.at, inputs), loaded.represent(users, world.at, inputs)
    )


@pytest.mark.parametrize(("engine", "name"), PAIRS)
def test_the_same_seed_gives_the_same_answers(
    world: World, learned: Learned, engine: str, name: str
) -> None:
    task, asked = make_task(name, **SETTINGS), world.asked[name]
    again = world.learn(engine, task)
    assert _same(
        learned[engine, name].answer(task, asked, world.inputs),
        again.answer(task, asked, world.inputs),
    )


@pytest.mark.parametrize(("engine", "name"), PAIRS)
def test_users_are_represented_by_finite_rows(
    world: World, learned: Learned, engine: str, name: str
) -> None:
    users = np.append(world.asked[name].users[:3], "stranger")
    rows = learned[engine, name].represent(users, world.at, world.inputs)
    assert rows.dtype == np.float32
    assert rows.shape[0] == 4
    assert rows.shape[1] >= 1
    assert np.isfinite(rows).all()


@pytest.mark.parametrize(("engine", "name"), PAIRS)
def test_reasons_are_items_of_the_users_own(
    world: World, learned: Learned, engine: str, name: str
) -> None:
    fitted = learned[engine, name]
    if not isinstance(fitted, Explains) or make_task(name).kind != "ranking":
        pytest.skip(f"{engine} gives no reasons")
    asked = world.asked[name]
    users = asked.users.copy()
    users[0] = "nobody has ever seen this user"
    answers = fitted.answer(make_task(name), replace(asked, users=users), world.inputs, k=5)
    assert answers.items is not None
    assert answers.catalogue is not None
    own = fitted.because(users, answers.items, world.at, world.inputs)
    assert own.shape == answers.items.shape
    assert (own[0] == -1).all()
    assert (own >= 0).any()
    histories = world.inputs.sequences(world.at)
    for user, row in zip(users[1:6], own[1:6], strict=True):
        u = histories.users.encode([user])[0]
        codes = histories.item[histories.offsets[u] : histories.offsets[u + 1]]
        bought = set(histories.items.decode(codes).tolist())
        assert set(answers.catalogue.decode(row[row >= 0])) <= bought


def test_every_kind_of_task_has_an_engine() -> None:
    kinds = {make_task(name).kind for name in TASKS.names()}
    answered = set().union(*(ENGINES.get(name).kinds for name in ENGINES.names()))
    assert kinds <= answered
