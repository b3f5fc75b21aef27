"""Variants of an engine: trained one after the other, judged on the same test questions.

Differences are paired over users, so that a variant counts only where its interval leaves zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoploom.core.errors import UnknownName
from shoploom.core.files import fingerprint, read_json, write_json
from shoploom.core.progress import Progress
from shoploom.engines import Contents, Engine
from shoploom.evaluation import compare, score
from shoploom.tasks import Answers, Questions, Task
from shoploom.workflows.archive import read_answers, read_questions, write_answers
from shoploom.workflows.config import ShopConfig, describe
from shoploom.workflows.run import Run
from shoploom.workflows.train import answers_of

Judged = dict[str, Any]


@dataclass(frozen=True)
class Variant:
    """An engine and what it reads of items."""

    engine: Engine
    content: Contents | None


def variants_json(run: Run, study: str, engine: str) -> Path:
    """Where the table of a study of an engine lies."""
    return run.folder / study / f"{engine}.json"


def engine_of(config: ShopConfig, name: str) -> Engine:
    """The engine of that name in shop.yaml.

    Raises:
        UnknownName: there is none.
    """
    if name not in config.engines:
        raise UnknownName("engine", name, config.engines, where="shop.yaml")
    return config.engines[name]


def judge_variants(
    config: ShopConfig,
    run: Run,
    progress: Progress,
    *,
    study: str,
    engine: str,
    made: Mapping[str, Variant],
) -> Judged:
    """Train every variant that is not finished, and compare the first with each other.

    Returns:
        By task: ``{"metric", "n", "base", "results": {VARIANT: [value, low, high]}, "versus":
        {VARIANT: [base - variant, low, high]}}``; also written to ``RUN/STUDY/ENGINE.json``.

    Raises:
        NotFitted: no questions have been asked in this run.
    """
    marks = [run.fingerprint_of("ask"), config.seed]
    marks += [run.fingerprint_of("encode")] if config.encoders else []
    tasks = config.tasks_of(config.engines[engine])
    asked = {name: read_questions(run.questions(name, "test")) for name in tasks}
    tasks = {name: task for name, task in tasks.items() if len(asked[name])}

    def path(task: str, variant: str) -> Path:
        return run.folder / study / engine / f"{task}.{variant.replace(' ', '_')}.parquet"

    for name, variant in made.items():
        stage = f"{study}:{engine}:{name}"
        mark = fingerprint(*marks, name, describe(variant.engine), sorted(tasks))
        paths = {task: path(task, name) for task in tasks}
        if run.is_done(stage, mark) and all(each.exists() for each in paths.values()):
            continue
        with progress.step(f"{engine}: {name}"), run.stage(stage, mark):
            told = answers_of(config, run, variant.engine, variant.content, progress)
            for task, answers in told.items():
                write_answers(paths[task], asked[task], answers)
    found = {
        task: _judged(
            tasks[task],
            asked[task],
            {name: read_answers(path(task, name)) for name in made},
            next(iter(made)),
            config.seed,
        )
        for task in tasks
    }
    write_json(variants_json(run, study, engine), found)
    return read_json(variants_json(run, study, engine))


def _judged(
    task: Task, asked: Questions, answers: Mapping[str, Answers], base: str, seed: int
) -> dict[str, Any]:
    results = {
        name: score(task.kind, asked, given, seed=seed)[task.metric].as_list()
        for name, given in answers.items()
    }
    versus = compare(task.kind, asked, answers, base, seed=seed)
    return {
        "metric": task.metric,
        "n": len(asked),
        "base": base,
        "results": results,
        "versus": {name: by[task.metric].as_list() for name, by in versus.items()},
    }
