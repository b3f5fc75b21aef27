"""Train: ask dated questions, tune every engine on validation, fit, and save all answers.

Each engine is fitted three times with the settings that validation chose: on what precedes the
validation moment (its validation answers choose the engine), on what precedes the test moment
(its test answers are judged) and on everything (it answers from now on).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from shoploom.core.errors import DataError
from shoploom.core.files import fingerprint, write_json
from shoploom.core.progress import Progress
from shoploom.core.time import to_us
from shoploom.engines import Engine, Fitted, Inputs, save_state
from shoploom.evaluation import KS, TimeSplit, check_questions, check_split, time_split
from shoploom.sequences import views
from shoploom.tables import Tables, open_tables
from shoploom.tasks import Questions, Task, concatenate
from shoploom.workflows.archive import read_questions, write_answers, write_questions
from shoploom.workflows.config import ShopConfig, describe
from shoploom.workflows.run import Run

PARTS = ("train", "valid", "test")
_NONE = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Asked:
    """The questions of every task in the three parts of time."""

    train: Mapping[str, Questions]
    valid: Mapping[str, Questions]
    test: Mapping[str, Questions]


def train(config: ShopConfig, run: Run, progress: Progress) -> None:
    """Fit every engine of the shop and save engines, questions and answers in the run folder."""
    run.fingerprint_of("prepare")
    tables = open_tables(run.prepared)
    split = split_of(config, tables)
    asked = _ask(config, run, tables, split, progress)
    inputs = Inputs(until=split.data_end, tables=tables, **views(tables))
    for name, engine in config.engines.items():
        tasks = {key: task for key, task in config.tasks_of(engine).items() if key in asked.test}
        mark = fingerprint(
            run.fingerprint_of("ask"), name, describe(engine), config.seed, sorted(tasks)
        )
        if not tasks or run.is_done(f"train:{name}", mark):
            continue
        with progress.step(f"Engine {name}: tune, fit, answer"), run.stage(f"train:{name}", mark):
            _train_one(config, run, inputs, split, name, engine, tasks, asked)


def split_of(config: ShopConfig, tables: Tables) -> TimeSplit:
    """The global time split of a shop's events by its settings.

    Raises:
        DataError: the log is too short for the windows asked.
        LeakageError: the settings would let a window reach over a later moment.
    """
    first, last = _first_last(tables)
    settings = config.split
    split = time_split(
        first,
        last,
        window_days=config.window_days,
        n_train=settings.train_moments,
        step_days=settings.step_days,
        test=None if settings.test is None else to_us(settings.test),
        valid=None if settings.valid is None else to_us(settings.valid),
    )
    check_split(split, {name: task.window_days for name, task in config.tasks.items()})
    return split


def _first_last(tables: Tables) -> tuple[int, int]:
    events = tables.events
    first, last = (
        events.aggregate([events.time.min(), events.time.max()])
        .to_pyarrow()
        .to_pylist()[0]
        .values()
    )
    if first is None:
        raise DataError("expected at least one event in the prepared tables, got none.")
    return int(first), int(last)


def _ask(
    config: ShopConfig, run: Run, tables: Tables, split: TimeSplit, progress: Progress
) -> Asked:
    """Ask every task at the moments of the split, or read what was asked before."""
    tasks = {name: describe(task) for name, task in config.tasks.items()}
    moments = {"train": list(split.train), "valid": [split.valid], "test": [split.test]}
    mark = fingerprint(run.fingerprint_of("prepare"), tasks, moments)
    if not run.is_done("ask", mark):
        with progress.step("Ask dated questions"), run.stage("ask", mark):
            for task in config.tasks.values():
                for part, times in moments.items():
                    asked = [task.ask(tables, at) for at in times]
                    write_questions(run.questions(task.name, part), concatenate(asked))
            write_json(run.folder / "split.json", split.as_dict())
    parts = {part: _read_part(config, run, part) for part in PARTS}
    for name in parts["test"]:
        before = (parts[part].get(name, parts["test"][name].take(_NONE)) for part in PARTS)
        check_questions(*before, window_days=config.tasks[name].window_days)
    for name in config.tasks:
        if name not in parts["test"]:
            progress.note(f"Task {name} has no questions in the test window and is left out.")
    return Asked(**parts)


def _read_part(config: ShopConfig, run: Run, part: str) -> dict[str, Questions]:
    questions = {name: read_questions(run.questions(name, part)) for name in config.tasks}
    return {name: asked for name, asked in questions.items() if len(asked)}


def _train_one(
    config: ShopConfig,
    run: Run,
    inputs: Inputs,
    split: TimeSplit,
    name: str,
    engine: Engine,
    tasks: Mapping[str, Task],
    asked: Asked,
) -> None:
    def only(part: Mapping[str, Questions]) -> dict[str, Questions]:
        return {task: part[task] for task in tasks if task in part}

    def both(*parts: Mapping[str, Questions]) -> dict[str, Questions]:
        return {task: concatenate([part[task] for part in parts if task in part]) for task in tasks}

    before_valid, before_test = inputs.upto(split.valid), inputs.upto(split.test)
    tuned = engine.tune(before_valid, tasks, only(asked.train), only(asked.valid), seed=config.seed)

    fitted = tuned.fit(before_valid, tasks, only(asked.train), seed=config.seed)
    _answer(run, name, fitted, tasks, only(asked.valid), before_valid, "valid")

    fitted = tuned.fit(before_test, tasks, both(asked.train, asked.valid), seed=config.seed)
    _answer(run, name, fitted, tasks, only(asked.test), before_test, "test")
    save_state(run.judged_engine(name), name, fitted.state())

    final = tuned.fit(inputs, tasks, both(asked.train, asked.valid, asked.test), seed=config.seed)
    save_state(run.engine(name), name, final.state())


def _answer(
    run: Run,
    name: str,
    fitted: Fitted,
    tasks: Mapping[str, Task],
    questions: Mapping[str, Questions],
    inputs: Inputs,
    part: str,
) -> None:
    for key, asked in questions.items():
        answers = fitted.answer(tasks[key], asked.unanswered(), inputs, k=max(KS))
        write_answers(run.answers(key, name, part), asked, answers)
