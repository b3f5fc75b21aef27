"""Knock-out: which sources are worth collecting.

The same engine learns with everything, without each source, with each source alone and with none,
and all are judged on the same test questions. Differences are paired over users, so that a source
counts only where its interval leaves zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from shoploom.core.errors import DataError, UnknownName
from shoploom.core.files import fingerprint, read_json, write_json
from shoploom.core.progress import Progress
from shoploom.engines import ItemContent
from shoploom.evaluation import compare, score
from shoploom.tasks import Answers, Questions, Task
from shoploom.workflows.archive import read_answers, read_questions, write_answers
from shoploom.workflows.config import ShopConfig, describe
from shoploom.workflows.encode import item_content
from shoploom.workflows.run import Run
from shoploom.workflows.train import answers_with_content

EVERYTHING, NOTHING = "everything", "ids alone"


def knockout_json(run: Run, engine: str) -> Path:
    """Where the table of an engine lies."""
    return run.folder / "knockout" / f"{engine}.json"


def knockout(
    config: ShopConfig, run: Run, progress: Progress, *, engine: str = "neural"
) -> dict[str, Any]:
    """Train and judge the engine with and without each source of content.

    Returns:
        By task: ``{"metric", "n", "results": {VARIANT: [value, low, high]}, "versus": {VARIANT:
        [everything - variant, low, high]}}``; also written to ``RUN/knockout/ENGINE.json``.

    Raises:
        NotFitted: the shop has not been encoded and trained.
        UnknownName: shop.yaml has no such engine.
        DataError: items have no encoded content.
    """
    if engine not in config.engines:
        raise UnknownName("engine", engine, config.engines, where="shop.yaml")
    content = item_content(run, config.encoders)
    if content is None:
        raise DataError(
            "expected items with encoded texts or photos to leave out, found none; name "
            "`encoders:` in shop.yaml and run `shoploom encode`."
        )
    run.fingerprint_of("ask")
    made = variants(content)
    marks = [run.fingerprint_of("encode"), run.fingerprint_of("ask"), config.seed]
    tasks = config.tasks_of(config.engines[engine])
    asked = {name: read_questions(run.questions(name, "test")) for name in tasks}
    tasks = {name: task for name, task in tasks.items() if len(asked[name])}
    for name, kept in made.items():
        stage = f"knockout:{engine}:{name}"
        mark = fingerprint(*marks, name, describe(config.engines[engine]), sorted(tasks))
        paths = {task: _answers(run, task, engine, name) for task in tasks}
        if run.is_done(stage, mark) and all(path.exists() for path in paths.values()):
            continue
        with progress.step(f"{engine} with {name}"), run.stage(stage, mark):
            told = answers_with_content(config, run, engine, kept, progress)
            for task, answers in told.items():
                write_answers(paths[task], asked[task], answers)
    found = {
        task: _judged(
            tasks[task],
            asked[task],
            {name: read_answers(_answers(run, task, engine, name)) for name in made},
            config.seed,
        )
        for task in tasks
    }
    write_json(knockout_json(run, engine), found)
    return read_json(knockout_json(run, engine))


def variants(content: ItemContent) -> dict[str, ItemContent | None]:
    """What is left of the content in each variant, everything first."""
    names = list(content.vectors)
    made: dict[str, ItemContent | None] = {EVERYTHING: content}
    if len(names) > 1:
        made |= {f"without {n}": _only(content, set(names) - {n}) for n in names}
        made |= {f"{n} alone": _only(content, {n}) for n in names}
    return made | {NOTHING: None}


def _only(content: ItemContent, kept: set[str]) -> ItemContent:
    return replace(
        content,
        vectors={name: rows for name, rows in content.vectors.items() if name in kept},
        present={name: rows for name, rows in content.present.items() if name in kept},
    )


def _judged(
    task: Task, asked: Questions, answers: Mapping[str, Answers], seed: int
) -> dict[str, Any]:
    results = {
        name: score(task.kind, asked, given, seed=seed)[task.metric].as_list()
        for name, given in answers.items()
    }
    versus = compare(task.kind, asked, answers, EVERYTHING, seed=seed)
    return {
        "metric": task.metric,
        "n": len(asked),
        "results": results,
        "versus": {name: by[task.metric].as_list() for name, by in versus.items()},
    }


def _answers(run: Run, task: str, engine: str, variant: str) -> Path:
    return run.folder / "knockout" / engine / f"{task}.{variant.replace(' ', '_')}.parquet"
