"""Evaluate: choose an engine per task on validation, judge all of them on the test questions."""

from __future__ import annotations

from collections.abc import Mapping
from os.path import relpath
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom import __version__
from shoploom.core import columns as c
from shoploom.core.files import fingerprint, read_json, write_json
from shoploom.core.progress import Progress
from shoploom.core.time import DAY_US, to_us
from shoploom.engines import can_answer
from shoploom.evaluation import (
    Threshold,
    best_engine,
    evaluate_task,
    score,
    slices,
    threshold_by_f1,
)
from shoploom.tables import Tables, open_tables
from shoploom.tasks import Answers, Questions, Task
from shoploom.workflows.archive import count_questions, read_answers, read_questions
from shoploom.workflows.config import ShopConfig, describe
from shoploom.workflows.run import Run, peak_rss_mb

#: A slice of fewer questions than this says nothing about an engine.
_FEWEST = 30


def evaluate(config: ShopConfig, run: Run, progress: Progress) -> None:
    """Write ``evaluation.json`` and ``model.json`` from the answers in the run folder."""
    run.fingerprint_of("ask")
    asked = {name for name in config.tasks if count_questions(run.questions(name, "test"))}
    trained = {
        name: run.fingerprint_of(f"train:{name}")
        for name, engine in config.engines.items()
        if asked & set(config.tasks_of(engine))
    }
    mark = fingerprint("evaluate", trained, config.seed)
    if run.is_done("evaluate", mark) and run.evaluation_json.exists():
        return
    with progress.step("Judge answers"), run.stage("evaluate", mark):
        tables = open_tables(run.prepared)
        split = read_json(run.folder / "split.json")
        past = _Past.of(tables, to_us(split["test"]))
        tasks = {}
        for task in progress.track(list(config.tasks.values()), "tasks"):
            if found := _judge(config, run, past, task):
                tasks[task.name] = found
        write_json(
            run.evaluation_json,
            {
                "split": split,
                "tasks": tasks,
                "timing": {**run.stages(), "peak_rss_mb": peak_rss_mb()},
            },
        )
        write_json(run.folder / "model.json", _card(config, run, split, tasks, list(trained)))


def _card(
    config: ShopConfig,
    run: Run,
    split: Mapping[str, Any],
    tasks: Mapping[str, Any],
    engines: list[str],
) -> dict[str, Any]:
    """What ``Model`` needs to know to answer."""
    from shoploom.encoders import ENCODERS

    return {
        "shoploom": __version__,
        "shop": config.name,
        # Photos are named from there; relative, so that both may be moved together.
        "shop_folder": Path(relpath(config.folder.resolve(), run.folder.resolve())).as_posix(),
        "currency": config.currency,
        "caveat": config.caveat,
        "tasks": {name: describe(config.tasks[name]) for name in tasks},
        "engines": engines,
        "encoders": list(config.encoders),
        "encoded_by": {
            modality: {"encoder": ENCODERS.name_of(type(encoder)), **describe(encoder)}
            for modality, encoder in config.encoders.items()
        },
        "chosen": {name: task["chosen"] for name, task in tasks.items()},
        "judged_until": to_us(split["test"]),
        "trained_until": to_us(split["data_end"]),
    }


def _judge(config: ShopConfig, run: Run, past: _Past, task: Task) -> dict[str, Any] | None:
    """One task's block of evaluation.json; None when it had no questions or no engine."""
    valid, test = (read_questions(run.questions(task.name, part)) for part in ("valid", "test"))
    engines = [
        name
        for name, engine in config.engines.items()
        if can_answer(engine, task) and run.answers(task.name, name, "test").exists()
    ]
    if not len(test) or not engines:
        return None
    before = {name: read_answers(run.answers(task.name, name, "valid")) for name in engines}
    scores = {
        name: score(task.kind, valid, answers, resamples=0) for name, answers in before.items()
    }
    chosen = best_engine(task.metric, scores) or engines[0]
    return evaluate_task(
        task,
        test,
        {name: read_answers(run.answers(task.name, name, "test")) for name in engines},
        chosen,
        thresholds=_thresholds(valid, before),
        slices=past.slices(test),
        counts=past.counts,
        seed=config.seed,
    )


def _thresholds(valid: Questions, answers: Mapping[str, Answers]) -> dict[str, Threshold]:
    """The probability from which each engine says yes, by F1 on validation."""
    truth = valid.answers
    if not isinstance(truth, np.ndarray) or not set(np.unique(truth)) <= {0.0, 1.0}:
        return {}
    return {
        name: threshold_by_f1(given.values, truth)
        for name, given in answers.items()
        if given.values is not None
    }


class _Past:
    """What slices need to know of users and items before the test moment.

    Attributes:
        counts: events with an item, by item id.
        categories: category path by item id.
    """

    def __init__(
        self,
        users: Mapping[str, tuple[float, int]],
        counts: Mapping[str, float],
        categories: Mapping[str, str],
    ):
        self._users, self.counts, self.categories = users, counts, categories

    @classmethod
    def of(cls, tables: Tables, at: int) -> _Past:
        """The past of a shop as of ``at``."""
        seen = tables.as_of(at)
        events = seen.events
        users = (
            events.group_by(c.USER_ID)
            .aggregate(first=events[c.TIME].min(), n=events.count())
            .to_pyarrow()
            .to_pydict()
        )
        tenure = ((at - np.array(users["first"], dtype=np.int64)) / DAY_US).tolist()
        items = (
            events.filter(events[c.ITEM_ID].notnull())
            .group_by(c.ITEM_ID)
            .aggregate(n=lambda t: t.count())
            .to_pyarrow()
            .to_pydict()
        )
        return cls(
            dict(zip(users[c.USER_ID], zip(tenure, users["n"], strict=True), strict=True)),
            dict(zip(items[c.ITEM_ID], items["n"], strict=True)),
            _categories(seen),
        )

    def slices(self, questions: Questions) -> dict[str, dict[str, NDArray[np.int64]]]:
        """New and returning users, activity, head and tail items, categories."""
        unseen = (np.nan, 0)
        known = [self._users.get(user, unseen) for user in questions.users.tolist()]
        tenure, history = np.array(known, dtype=np.float64).reshape(-1, 2).T
        return {
            name: {value: rows for value, rows in values.items() if len(rows) >= _FEWEST}
            for name, values in self._all_slices(questions, tenure, history).items()
        }

    def _all_slices(
        self, questions: Questions, tenure: NDArray[np.float64], history: NDArray[np.float64]
    ) -> dict[str, dict[str, NDArray[np.int64]]]:
        if questions.subjects is not None:  # subjects are categories themselves
            own = {subject: subject for subject in questions.subjects.tolist()}
            return slices(questions, tenure_days=tenure, history=history, categories=own)
        return slices(
            questions,
            tenure_days=tenure,
            history=history,
            counts=self.counts,
            categories=self.categories,
        )


def _categories(tables: Tables) -> dict[str, str]:
    items = tables.items
    if items is None or c.CATEGORY not in items.columns:
        return {}
    named = items.filter(items[c.CATEGORY].notnull()).select(c.ITEM_ID, c.CATEGORY)
    rows = named.to_pyarrow().to_pydict()
    return dict(zip(rows[c.ITEM_ID], rows[c.CATEGORY], strict=True))
