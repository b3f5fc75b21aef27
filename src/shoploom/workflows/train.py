"""Train: ask dated questions, tune every engine on validation, fit, and save all answers.

Each engine is fitted three times with the settings that validation chose: on what precedes the
validation moment (its validation answers choose the engine), on what precedes the test moment
(its test answers are judged) and on everything (it answers from now on).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from shoploom.core.files import fingerprint, write_json
from shoploom.core.progress import Progress
from shoploom.engines import Engine, Fitted, Inputs, ItemContent, fit_once, save_state, tune_once
from shoploom.evaluation import KS, TimeSplit, check_questions
from shoploom.sequences import views
from shoploom.tables import Tables, open_tables
from shoploom.tasks import Answers, Questions, Task, concatenate
from shoploom.workflows.archive import read_questions, write_answers, write_questions
from shoploom.workflows.config import ShopConfig, describe
from shoploom.workflows.encode import item_content
from shoploom.workflows.run import Run
from shoploom.workflows.split import split_of

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
    content = item_content(run) if config.encoders else None
    encoded = run.fingerprint_of("encode") if config.encoders else None
    inputs = Inputs(until=split.data_end, tables=tables, content=content, **views(tables))
    for name, engine in config.engines.items():
        tasks = {key: task for key, task in config.tasks_of(engine).items() if key in asked.test}
        mark = fingerprint(
            *(run.fingerprint_of("ask"), encoded, name, describe(engine)),
            *(config.seed, sorted(tasks)),
        )
        if not tasks or run.is_done(f"train:{name}", mark):
            continue
        with progress.step(f"Engine {name}: tune, fit, answer"), run.stage(f"train:{name}", mark):
            _train_one(config, run, inputs, split, name, engine, tasks, asked, progress)


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
    progress: Progress,
) -> None:
    def only(part: Mapping[str, Questions]) -> dict[str, Questions]:
        return {task: part[task] for task in tasks if task in part}

    def both(*parts: Mapping[str, Questions]) -> dict[str, Questions]:
        return {task: concatenate([part[task] for part in parts if task in part]) for task in tasks}

    before_valid, before_test = inputs.upto(split.valid), inputs.upto(split.test)
    how: Any = {"seed": config.seed, "progress": progress}
    tuned = tune_once(engine, before_valid, tasks, only(asked.train), only(asked.valid), **how)

    fitted = fit_once(tuned, before_valid, tasks, only(asked.train), **how)
    _answer(run, name, fitted, tasks, only(asked.valid), before_valid, "valid")

    fitted = fit_once(tuned, before_test, tasks, both(asked.train, asked.valid), **how)
    _answer(run, name, fitted, tasks, only(asked.test), before_test, "test")
    save_state(run.judged_engine(name), name, fitted.state())

    everything = both(asked.train, asked.valid, asked.test)
    final = fit_once(tuned, inputs, tasks, everything, **how)
    save_state(run.engine(name), name, final.state())


def learn_and_answer(
    config: ShopConfig, run: Run, name: str, content: ItemContent | None, progress: Progress
) -> dict[str, Answers]:
    """An engine's answers to the test questions, by task, learned with this content of items.

    Raises:
        NotFitted: no questions have been asked.
    """
    run.fingerprint_of("ask")
    tables = open_tables(run.prepared)
    split = split_of(config, tables)
    parts = {part: _read_part(config, run, part) for part in PARTS}
    inputs = Inputs(until=split.data_end, tables=tables, content=content, **views(tables))
    before_valid, before_test = inputs.upto(split.valid), inputs.upto(split.test)
    engine = config.engines[name]
    tasks = {key: task for key, task in config.tasks_of(engine).items() if key in parts["test"]}
    train, valid, test = (
        {key: parts[part][key] for key in tasks if key in parts[part]} for part in PARTS
    )
    both = {key: concatenate([p[key] for p in (train, valid) if key in p]) for key in tasks}
    how: Any = {"seed": config.seed, "progress": progress}
    tuned = tune_once(engine, before_valid, tasks, train, valid, **how)
    fitted = fit_once(tuned, before_test, tasks, both, **how)
    return {
        key: fitted.answer(tasks[key], asked.unanswered(), before_test, k=max(KS))
        for key, asked in test.items()
    }


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
