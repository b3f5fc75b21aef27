"""What a server needs of a run beside its engines, made once per run and kept in ``RUN/serving``.

Everything here can be made again from the run; nothing is learned.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shoploom import __version__
from shoploom.core.files import atomic_path, fingerprint, read_json
from shoploom.core.ids import Vocabulary
from shoploom.core.progress import Progress
from shoploom.sequences import CategoryStatistics, category_statistics
from shoploom.serving.histories import Histories, histories_of
from shoploom.workflows.model import Model

_ALL = 1_000_000


@dataclass(frozen=True)
class Asked:
    """How a task is put to one user.

    Attributes:
        exclude_seen: of a ranking: items that the user met are no candidates.
        subjects: what is asked about, such as categories; None where nothing.
    """

    exclude_seen: bool
    subjects: tuple[str, ...] | None


@dataclass(frozen=True)
class Ready:
    """What a server reads beside engines.

    Attributes:
        histories: everybody's events.
        asked: by task.
        categories: by level, the shop's statistics without any user's.
    """

    histories: Histories
    asked: dict[str, Asked]
    categories: dict[int, CategoryStatistics]


def folder_of(model: Model) -> Path:
    """Where it lies."""
    return model.run.folder / "serving"


def make_ready(model: Model, progress: Progress) -> Ready:
    """Read what a server needs of a run, or make it where the run has changed since."""
    folder, prepared = folder_of(model), model.run.fingerprint_of("prepare")
    if not _is_whole(folder / "histories", prepared):
        with progress.step("Lay out everybody's events"):
            histories_of(model.tables, folder / "histories", prepared)
    histories = Histories.open(folder / "histories")
    mark = fingerprint("ready", __version__, prepared, model.card)
    path = folder / "ready.json"
    if not path.exists() or read_json(path).get("fingerprint") != mark:
        with progress.step("Note how questions are put"):
            _write(model, path, mark)
    saved = read_json(path)
    return Ready(
        histories,
        {
            name: Asked(each["exclude_seen"], each["subjects"] and tuple(each["subjects"]))
            for name, each in saved["asked"].items()
        },
        {int(level): _statistics(each) for level, each in saved["categories"].items()},
    )


def _is_whole(folder: Path, prepared: str) -> bool:
    path = folder / "histories.json"
    mark = fingerprint("histories", __version__, prepared)
    return path.exists() and read_json(path).get("fingerprint") == mark


def _write(model: Model, path: Path, mark: str) -> None:
    at, tables = model.card["trained_until"], model.tables
    asked, categories = {}, {}
    for name, task in model.tasks.items():
        questions = task.ask(tables, at, answered=False)
        subjects = None
        if questions.subjects is not None:
            subjects = sorted(set(questions.subjects.tolist()))
            level = 1 + max(str(one).count(" > ") for one in subjects)
            if level not in categories:
                categories[level] = _plain(category_statistics(tables, at, level=level, top=_ALL))
        asked[name] = {"exclude_seen": questions.exclude_seen, "subjects": subjects}
    saved = {"fingerprint": mark, "asked": asked, "categories": categories}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(saved, ensure_ascii=False, allow_nan=False), "utf-8")


def _plain(found: CategoryStatistics) -> dict[str, Any]:
    """What all users did, as JSON."""
    return {
        "at": found.at,
        "categories": found.categories.ids.tolist(),
        "names": list(found.names),
        "width": found.by_pair.shape[1],
        "by_category": found.by_category.astype(float).tolist(),
    }


def _statistics(saved: dict[str, Any]) -> CategoryStatistics:
    return CategoryStatistics(
        at=saved["at"],
        users=Vocabulary(np.array([], dtype=object)),
        categories=Vocabulary(np.array(saved["categories"], dtype=object)),
        names=tuple(saved["names"]),
        pairs=np.empty(0, dtype=np.int64),
        by_pair=np.empty((0, saved["width"]), dtype=np.float32),
        by_category=np.array(saved["by_category"], dtype=np.float32),
    )
