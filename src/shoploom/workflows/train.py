"""Train: ask dated questions, tune every engine on validation, fit, and save all answers.

Each engine is fitted three times with the settings that validation chose: on what precedes the
validation moment (its validation answers choose the engine), on what precedes the test moment
(its test answers are judged) and on everything (it answers from now on).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shoploom import __version__
from shoploom.core.files import fingerprint, remove, write_json
from shoploom.core.progress import Progress
from shoploom.engines import Contents, Engine, Fitted, Inputs, fit_once, save_state, tune_once
from shoploom.evaluation import KS, TimeSplit, check_questions
from shoploom.sequences import views
from shoploom.tables import Tables, open_tables
from shoploom.tasks import Answers, Questions, Task, concatenate
from shoploom.workflows.archive import read_questions, write_answers, write_questions
from shoploom.workflows.config import ShopConfig, describe
from shoploom.workflows.item_content import item_contents
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

    def about(self, tasks: Collection[str]) -> Asked:
        """Those of some tasks, in their order."""
        train, valid, test = (
            {task: part[task] for task in tasks if task in part}
            for part in (self.train, self.valid, self.test)
        )
        return Asked(train, valid, test)


def train(config: ShopConfig, run: Run, progress: Progress) -> None:
    """Fit every engine of the shop and save engines, questions and answers in the run folder."""
    run.fingerprint_of("prepare")
    tables = open_tables(run.prepared)
    split = split_of(config, tables)
    asked = ask_all(config, run, tables, split, progress)
    content = item_contents(run, config.encoders)
    encoded = run.fingerprint_of("encode") if config.encoders else None
    kept = _kept(run, encoded)
    inputs = Inputs(
        until=split.data_end, tables=tables, content=content, kept=kept, **views(tables)
    )
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


def _kept(run: Run, encoded: str | None) -> Path:
    """The folder of what engines have learned from these questions and this content; what was
    learned from others is removed.
    """
    own = run.folder / "kept" / fingerprint(__version__, run.fingerprint_of("ask"), encoded)
    for other in own.parent.glob("*"):
        if other != own:
            remove(other)
    return own


def ask_all(
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
    asked = _read_asked(config, run)
    for name, test in asked.test.items():
        parts = (
            part.get(name, test.take(_NONE)) for part in (asked.train, asked.valid, asked.test)
        )
        check_questions(*parts, window_days=config.tasks[name].window_days)
    for name in config.tasks:
        if name not in asked.test:
            progress.note(f"Task {name} has no questions in the test window and is left out.")
    return asked


def _read_asked(config: ShopConfig, run: Run) -> Asked:
    return Asked(**{part: _read_part(config, run, part) for part in PARTS})


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
    asked = asked.about(tasks)
    how: Any = {"seed": config.seed, "progress": progress}
    before_valid, before_test = inputs.upto(split.valid), inputs.upto(split.test)
    tuned = tune_once(engine, before_valid, tasks, asked.train, asked.valid, **how)

    fitted = fit_once(tuned, before_valid, tasks, asked.train, **how)
    _answer(run, name, fitted, tasks, asked.valid, before_valid, "valid")

    fitted = fit_once(tuned, before_test, tasks, _joined(asked.train, asked.valid), **how)
    _answer(run, name, fitted, tasks, asked.test, before_test, "test")
    save_state(run.judged_engine(name), name, fitted.state())

    everything = _joined(asked.train, asked.valid, asked.test)
    final = fit_once(tuned, inputs, tasks, everything, **how)
    save_state(run.engine(name), name, final.state())


def answers_of(
    config: ShopConfig, run: Run, engine: Engine, content: Contents | None, progress: Progress
) -> dict[str, Answers]:
    """An engine's answers to the test questions, by task, learned with this content of items.

    Raises:
        NotFitted: no questions have been asked.
    """
    run.fingerprint_of("ask")
    tables = open_tables(run.prepared)
    split = split_of(config, tables)
    inputs = Inputs(until=split.data_end, tables=tables, content=content, **views(tables))
    before_valid, before_test = inputs.upto(split.valid), inputs.upto(split.test)
    asked = _read_asked(config, run)
    tasks = {key: task for key, task in config.tasks_of(engine).items() if key in asked.test}
    asked = asked.about(tasks)
    how: Any = {"seed": config.seed, "progress": progress}
    tuned = tune_once(engine, before_valid, tasks, asked.train, asked.valid, **how)
    fitted = fit_once(tuned, before_test, tasks, _joined(asked.train, asked.valid), **how)
    return _answers(fitted, tasks, asked.test, before_test)


def _joined(*parts: Mapping[str, Questions]) -> dict[str, Questions]:
    """The questions of several parts of time, by task."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: concatenate([part[name] for part in parts if name in part]) for name in names}


def _answers(
    fitted: Fitted,
    tasks: Mapping[str, Task],
    questions: Mapping[str, Questions],
    inputs: Inputs,
) -> dict[str, Answers]:
    return {
        key: fitted.answer(tasks[key], asked.unanswered(), inputs, k=max(KS))
        for key, asked in questions.items()
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
    for key, answers in _answers(fitted, tasks, questions, inputs).items():
        write_answers(run.answers(key, name, part), questions[key], answers)
