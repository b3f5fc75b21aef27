"""One run, loaded to answer: engines, what they look at, and what policies decided.

A bundle never changes. A new model is a new bundle, loaded beside the old one and then put in its
place, so that no request sees half of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError, NotFitted, UnknownName
from shoploom.core.files import fingerprint
from shoploom.core.progress import Progress, Quiet
from shoploom.engines import Fitted, ItemContent, ItemCounts, load_state
from shoploom.serving.decisions import Decisions
from shoploom.serving.goods import Goods
from shoploom.serving.likeness import Likeness
from shoploom.serving.live import Known, Surroundings
from shoploom.serving.photos import Photos, shop_folder
from shoploom.serving.ready import Asked, Ready, make_ready
from shoploom.tasks import Questions, Task
from shoploom.workflows.item_content import item_contents
from shoploom.workflows.model import BLEND, Model
from shoploom.workflows.run import Run


@dataclass(frozen=True)
class Bundle:
    """A run that answers.

    Attributes:
        id: tells this model from any other.
        model: the run with its card.
        ready: histories, and how questions are put.
        engines: by name, those that answer a task.
        goods: the catalogue.
        around: what engines see besides the user.
        decisions: of policies.
        likeness: of items.
        photos: of items.
        floor: live events up to this number are in the run's own data.
    """

    id: str
    model: Model
    ready: Ready
    engines: Mapping[str, Fitted]
    goods: Goods
    around: Surroundings
    decisions: Decisions
    likeness: Likeness
    photos: Photos
    floor: int

    @property
    def run(self) -> Run:
        """The run folder."""
        return self.model.run

    @property
    def tasks(self) -> Mapping[str, Task]:
        """By name."""
        return self.model.tasks

    def task(self, name: str) -> tuple[Task, Asked, Fitted]:
        """A task, how it is put, and the engine that validation chose for it.

        Raises:
            UnknownName: the model was not trained for it.
        """
        if name not in self.tasks:
            raise UnknownName("task", name, self.tasks, where="this model")
        return self.tasks[name], self.ready.asked[name], self.engines[self.chosen(name)]

    def represent(self, user: Known) -> NDArray[np.float32]:
        """``(1, dim)`` z of a user now, as ``Model.represent`` has it: all engines but a blend."""
        inputs, ids = self.around.inputs(user), np.array([user.user], dtype=object)
        blocks = [
            self.engines[name].represent(ids, user.at, inputs)
            for name in self.model.card["engines"]
            if name != BLEND
        ]
        return np.hstack(blocks).astype(np.float32)

    def chosen(self, task: str) -> str:
        """The name of the engine that answers a task."""
        return self.model.card["chosen"][task]


def load_bundle(
    folder: Path | str,
    *,
    counts: Callable[[Bundle, int, int], ItemCounts] | None = None,
    progress: Progress | None = None,
) -> Bundle:
    """The bundle of a run folder.

    Args:
        folder: of a trained run.
        counts: how often everybody took each item, live events included.
        progress: where to report to.

    Raises:
        NotFitted: the folder holds no trained model.
        DataError: a file of it is missing or cut short; nothing that answers was changed.
    """
    model = Model(Run(Path(folder)))
    card = model.card
    try:
        ready = make_ready(model, progress or Quiet())
        engines = _Engines(model.run)
        for name in card["chosen"].values():
            _ = engines[name]
        goods = Goods.of(model.run.prepared, ready.histories.items)
        content = _content(model, ready)
        decisions = Decisions.of(model.run)
    except (KeyError, ValueError, OSError) as error:
        raise DataError(
            f"{folder}: expected a whole run, a part of it cannot be read ({error}); run "
            "`shoploom run` again, or serve another folder."
        ) from None
    held: list[Bundle] = []

    def counted(since: int, at: int) -> ItemCounts:
        return ready.histories.counts(since) if counts is None else counts(held[0], since, at)

    around = Surroundings(
        categories={
            level: (shop, goods.categories(level)) for level, shop in ready.categories.items()
        },
        content=content,
        counts=counted,
    )
    bundle = Bundle(
        id=fingerprint(card, model.run.stages()),
        model=model,
        ready=ready,
        engines=engines,
        goods=goods,
        around=around,
        decisions=decisions,
        likeness=Likeness(model.run, goods, card["engines"]),
        photos=Photos(shop_folder(model.run, card.get("shop_folder")), goods),
        floor=int(card.get("live_seq", 0)),
    )
    held.append(bundle)
    return bundle


class _Engines(dict[str, Fitted]):
    """Fitted engines by name; those that answer nothing are read when z is first asked for."""

    def __init__(self, run: Run):
        super().__init__()
        self._run = run

    def __missing__(self, name: str) -> Fitted:
        self[name] = load_state(self._run.engine(name))
        return self[name]


def _content(model: Model, ready: Ready) -> ItemContent | None:
    """Vectors of items as of the end of the data; None where nothing was encoded."""
    found = item_contents(model.run, model.card.get("encoders", ()))
    return None if found is None else found(model.inputs, ready.histories.end)


def check_run(folder: Path | str) -> None:
    """Raise where a folder cannot be served.

    Raises:
        NotFitted: there is no trained model.
    """
    run = Run(Path(folder))
    if not (run.folder / "model.json").exists():
        raise NotFitted(
            f"expected a trained run in {folder}, found no model.json; `shoploom demo` makes one, "
            "`shoploom run shop.yaml` your own."
        )


def question(task: str, asked: Asked, user: str, at: int) -> Questions:
    """A task's question about one user: one row, or one for each subject."""
    n = 1 if asked.subjects is None else len(asked.subjects)
    return Questions(
        task,
        np.array([user] * n, dtype=object),
        np.full(n, at, dtype=np.int64),
        subjects=None if asked.subjects is None else np.array(asked.subjects, dtype=object),
        exclude_seen=asked.exclude_seen,
    )
