"""Promises that every registered engine keeps, for every task whose kind it answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from shoploom.core.seeds import rng
from shoploom.core.time import DAY_US
from shoploom.engines import ENGINES, Fitted, Inputs, load_state, save_state
from shoploom.sequences import views
from shoploom.tables import Tables
from shoploom.tasks import TASKS, Answers, Questions, Task, concatenate, make_task

WINDOW_DAYS = 14
SETTINGS = {"window_days": WINDOW_DAYS}


def _pairs() -> Iterator[tuple[str, str]]:
    for engine in ENGINES.names():
        for task in TASKS.names():
            if make_task(task).kind in ENGINES.get(engine).kinds:
                yield engine, task


PAIRS = sorted(_pairs())


@pytest.fixture(scope="module")
def cut(shop: Tables) -> int:
    """A moment with two windows of the log behind it and one before it."""
    return int(shop.events.time.max().to_pyarrow().as_py()) - 2 * WINDOW_DAYS * DAY_US


def _inputs(tables: Tables, until: int) -> Inputs:
    return Inputs(until=until, tables=tables, **views(tables))


def _learn(tables: Tables, engine: str, task: Task, at: int, seed: int = 0) -> Fitted:
    """The engine fitted on questions whose windows end at or before ``at``."""
    step = WINDOW_DAYS * DAY_US
    asked = concatenate([task.ask(tables, at - k * step) for k in (3, 2, 1)])
    return ENGINES.get(engine)().fit(
        _inputs(tables, at), {task.name: task}, {task.name: asked}, seed=seed
    )


def _asked(tables: Tables, task: Task, at: int) -> Questions:
    return task.ask(tables, at, answered=False)


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
def learned(shop: Tables, cut: int) -> dict[tuple[str, str], Fitted]:
    return {
        (engine, name): _learn(shop, engine, make_task(name, **SETTINGS), cut)
        for engine, name in PAIRS
    }


@pytest.mark.parametrize(("engine", "name"), PAIRS)
def test_rewriting_the_future_moves_no_past_answer(
    shop: Tables, cut: int, learned: dict[tuple[str, str], Fitted], engine: str, name: str
) -> None:
    task = make_task(name, **SETTINGS)
    other = _rewrite_future(shop, cut)
    asked = _asked(shop, task, cut)
    answers = [
        learned[engine, name].answer(task, asked, _inputs(shop, cut)),
        _learn(other, engine, task, cut).answer(task, asked, _inputs(other, cut)),
    ]
    assert _same(*answers)


@pytest.mark.parametrize(("engine", "name"), PAIRS)
def test_the_order_of_questions_changes_nothing(
    shop: Tables, cut: int, learned: dict[tuple[str, str], Fitted], engine: str, name: str
) -> None:
    task = make_task(name, **SETTINGS)
    asked, inputs = _asked(shop, task, cut), _inputs(shop, cut)
    order = rng(0, "order").permutation(len(asked))
    plain = learned[engine, name].answer(task, asked, inputs)
    shuffled = learned[engine, name].answer(task, asked.take(order), inputs)
    if plain.values is not None:
        assert np.array_equal(plain.values[order], shuffled.values)  # type: ignore[arg-type]
    else:
        assert np.array_equal(plain.items[order], shuffled.items)  # type: ignore[index,arg-type]


@pytest.mark.parametrize(("engine", "name"), PAIRS)
def test_answers_are_defined_for_everyone_even_strangers(
    shop: Tables, cut: int, learned: dict[tuple[str, str], Fitted], engine: str, name: str
) -> None:
    task, inputs = make_task(name, **SETTINGS), _inputs(shop, cut)
    asked = _asked(shop, task, cut)
    users = asked.users.copy()
    users[0] = "nobody has ever seen this user"
    answers = learned[engine, name].answer(task, replace(asked, users=users), inputs, k=5)
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
    shop: Tables,
    cut: int,
    learned: dict[tuple[str, str], Fitted],
    engine: str,
    name: str,
    tmp_path: Path,
) -> None:
    task, inputs = make_task(name, **SETTINGS), _inputs(shop, cut)
    asked = _asked(shop, task, cut)
    fitted = learned[engine, name]
    save_state(tmp_path / "engine", engine, fitted.state())
    loaded = load_state(tmp_path / "engine")
    assert _same(fitted.answer(task, asked, inputs), loaded.answer(task, asked, inputs))
    users = asked.users[:3]
    assert np.array_equal(
        fitted.represent(users, cut, inputs), loaded.represent(users, cut, inputs)
    )


@pytest.mark.parametrize(("engine", "name"), PAIRS)
def test_the_same_seed_gives_the_same_answers(
    shop: Tables, cut: int, learned: dict[tuple[str, str], Fitted], engine: str, name: str
) -> None:
    task, inputs = make_task(name, **SETTINGS), _inputs(shop, cut)
    asked = _asked(shop, task, cut)
    again = _learn(shop, engine, task, cut)
    assert _same(
        learned[engine, name].answer(task, asked, inputs), again.answer(task, asked, inputs)
    )


@pytest.mark.parametrize(("engine", "name"), PAIRS)
def test_users_are_represented_by_finite_rows(
    shop: Tables, cut: int, learned: dict[tuple[str, str], Fitted], engine: str, name: str
) -> None:
    task = make_task(name, **SETTINGS)
    users = np.append(_asked(shop, task, cut).users[:3], "stranger")
    rows = learned[engine, name].represent(users, cut, _inputs(shop, cut))
    assert rows.dtype == np.float32
    assert rows.shape[0] == 4
    assert rows.shape[1] >= 1
    assert np.isfinite(rows).all()


def test_every_kind_of_task_has_an_engine() -> None:
    kinds = {make_task(name).kind for name in TASKS.names()}
    answered = set().union(*(ENGINES.get(name).kinds for name in ENGINES.names()))
    assert kinds <= answered
