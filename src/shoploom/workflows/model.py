"""A trained shop: fitted engines, those that validation chose, and the tables they answer from."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, DataError, LeakageError, NotFitted, UnknownName
from shoploom.core.files import atomic_path, read_json
from shoploom.core.time import iso, to_us
from shoploom.engines import Explains, Exports, Fitted, Inputs, ItemContent, load_state
from shoploom.sequences import views
from shoploom.tables import Tables, open_tables
from shoploom.tasks import Answers, Questions, Task, make_task
from shoploom.workflows.item_content import item_contents
from shoploom.workflows.run import Run

if TYPE_CHECKING:
    import pandas as pd

RANK, SCORE, SUBJECT, BECAUSE = "rank", "score", "subject", "because"
BLEND = "blend"  # the engine that only repeats what its parts know


@dataclass(frozen=True)
class Model:
    """What ``fit`` returns and ``load`` reads: answers to a shop's questions from a run folder.

    Attributes:
        run: the folder that holds tables, engines and results.
    """

    run: Run

    @cached_property
    def card(self) -> dict[str, Any]:
        """``model.json``: tasks with settings, engines, the chosen ones, training moments."""
        path = self.run.folder / "model.json"
        if not path.exists():
            raise NotFitted(
                f"expected a trained model in {self.run.folder}, found none; "
                "run `shoploom run shop.yaml` first."
            )
        return read_json(path)

    @cached_property
    def tables(self) -> Tables:
        """The clean tables that answers are drawn from."""
        return open_tables(self.run.prepared)

    @cached_property
    def tasks(self) -> Mapping[str, Task]:
        """The tasks that the model was trained for, by name."""
        return {name: make_task(name, **settings) for name, settings in self.card["tasks"].items()}

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """The results on the test questions (docs/architecture.md, ``evaluation.json``)."""
        return read_json(self.run.evaluation_json)

    @cached_property
    def inputs(self) -> Inputs:
        """Tables, sequences and statistics as of any moment up to the end of the data."""

        def contents(inputs: Inputs, at: int) -> ItemContent | None:
            # Read when an engine asks for it: answers of those that have learned need none.
            found = item_contents(self.run, self.card.get("encoders", ()))
            return None if found is None else found(inputs, at)

        return Inputs(
            until=self.card["trained_until"],
            tables=self.tables,
            content=contents,
            **views(self.tables),
        )

    def predict(
        self,
        task: str,
        *,
        at: str | int | None = None,
        users: Sequence[str] | None = None,
        engine: str | None = None,
    ) -> pd.DataFrame:
        """One row per question: ``user_id``, ``subject`` where there is one, and the prediction.

        Args:
            task: a task that the model was trained for, no ranking (see ``recommend``).
            at: the moment asked about; the end of the data when None. In the past, the engine
                that had learned only from what lay before is used.
            users: whom to ask about; everyone whom the task concerns when None.
            engine: another engine than the one validation chose.

        Raises:
            UnknownName: no such task or engine.
            LeakageError: ``at`` lies before everything that the model was trained on.
        """
        asked, answers, _ = self._answer(task, at, users, engine)
        if answers.values is None:
            raise DataError(f"the task {task!r} ranks items: use recommend for it.")
        import pandas as pd

        frame = pd.DataFrame({c.USER_ID: asked.users})
        if asked.subjects is not None:
            frame[SUBJECT] = asked.subjects
        frame[self.tasks[task].unit] = answers.values
        return frame

    def recommend(
        self,
        users: Sequence[str] | None = None,
        *,
        k: int = 10,
        at: str | int | None = None,
        engine: str | None = None,
        task: str = "next_item",
        explain: bool = False,
    ) -> pd.DataFrame:
        """The ``k`` items that each user wants next: user_id, rank from 1, item_id, score, title.

        Unknown users get what is popular. Arguments as for ``predict``; with ``explain`` a column
        ``because`` names the user's own item that spoke most for each, or says that it is popular.
        """
        import pandas as pd

        asked, answers, fitted = self._answer(task, at, users, engine, k=k)
        if answers.items is None or answers.scores is None or answers.catalogue is None:
            raise DataError(f"the task {task!r} does not rank items: use predict for it.")
        codes = answers.items[:, :k]
        n, width = codes.shape
        listed = codes.ravel() >= 0
        columns: dict[str, Any] = {
            c.USER_ID: np.repeat(asked.users, width)[listed],
            RANK: np.tile(np.arange(1, width + 1), n)[listed],
            c.ITEM_ID: answers.catalogue.decode(codes).ravel()[listed],
            SCORE: answers.scores[:, :k].ravel()[listed],
        }
        titles = self.titles(np.unique(columns[c.ITEM_ID].astype(str)))
        if titles:
            columns[c.TITLE] = [titles.get(item) for item in columns[c.ITEM_ID]]
        if explain:
            own = np.full(codes.shape, -1, dtype=np.int32)
            if isinstance(fitted, Explains) and n:
                own = fitted.because(asked.users, codes, int(asked.times[0]), self.inputs)
            columns[BECAUSE] = self._because(answers.catalogue.decode(own).ravel()[listed])
        return pd.DataFrame(columns)

    def _because(self, items: NDArray[np.object_]) -> list[str]:
        """What to call the own item behind each recommendation."""
        titles = self.titles([item for item in set(items.tolist()) if item is not None])
        return [
            "popular with everyone" if item is None else titles.get(str(item), str(item))
            for item in items.tolist()
        ]

    def represent(
        self,
        users: Sequence[str],
        *,
        at: str | int | None = None,
        engine: str | None = None,
        latest: bool = False,
    ) -> NDArray[np.float32]:
        """``(len(users), dim)`` float32: what one engine, or every one, knows of each user.

        Engines stand side by side in the order of training; a blend, which only repeats its
        parts, is left out unless it is asked for. An unknown user has a defined row too.

        Args:
            users: ids.
            at: the moment; the end of the data when None.
            engine: only this one.
            latest: use the engines that learned from everything, whatever the moment: to follow
                users over time in one space, never to judge what could have been known.

        Raises:
            UnknownName: no such engine.
        """
        blocks = self._blocks(users, at, engine, latest=latest)
        return np.hstack(list(blocks.values())).astype(np.float32)

    def representations(
        self,
        users: Sequence[str] | None = None,
        *,
        at: str | int | None = None,
        engine: str | None = None,
    ) -> pd.DataFrame:
        """``represent`` as a table: ``user_id``, then columns ``ENGINE_0``, ``ENGINE_1`` ...

        Everyone with an event before the moment when ``users`` is None.
        """
        import pandas as pd

        if users is None:
            moment, _ = self._moment(at)
            known = self.inputs.sequences(moment).users.ids.tolist()
        else:
            known = list(map(str, users))
        columns = {
            f"{name}_{i}": column
            for name, block in self._blocks(known, at, engine).items()
            for i, column in enumerate(block.T)
        }
        return pd.DataFrame({c.USER_ID: np.array(known, dtype=object), **columns})

    def _blocks(
        self,
        users: Sequence[str],
        at: str | int | None,
        engine: str | None,
        *,
        latest: bool = False,
    ) -> dict[str, NDArray[np.float32]]:
        """By engine, ``(len(users), its dim)``."""
        if latest and at is not None:
            moment, fitted = to_us(at), self._final
        else:
            moment, fitted = self._moment(at)
        trained = self.card["engines"]
        if engine is not None and engine not in trained:
            raise UnknownName("engine", engine, trained, where="this model")
        ids = np.array([str(user) for user in users], dtype=object)
        names = [engine] if engine else [name for name in trained if name != BLEND]
        return {name: fitted[name].represent(ids, moment, self.inputs) for name in names}

    def titles(self, items: Sequence[str] | NDArray[np.object_]) -> dict[str, str]:
        """Titles of items by id; empty when the shop gives none."""
        table = self.tables.items
        if table is None or c.TITLE not in table.columns:
            return {}
        wanted: Any = [str(item) for item in items]
        found = table.filter(table[c.ITEM_ID].isin(wanted) & table[c.TITLE].notnull())
        rows = found.select(c.ITEM_ID, c.TITLE).to_pyarrow().to_pydict()
        return dict(zip(rows[c.ITEM_ID], rows[c.TITLE], strict=True))

    def save(self, folder: Path | str) -> Path:
        """Copy the whole run folder, so that ``shoploom.load(folder)`` works anywhere."""
        folder = Path(folder)
        with atomic_path(folder) as temporary:
            # What engines have learned on the way to what they are is of no use elsewhere.
            shutil.copytree(self.run.folder, temporary, ignore=shutil.ignore_patterns("kept"))
        return folder

    def export(self, folder: Path | str, *, engine: str = "neural") -> Path:
        """Write the engine's user tower as ONNX, with its items and a card, into a folder.

        Raises:
            UnknownName: no such engine.
            ConfigError: the engine is no single network, or its backbone cannot be written.
        """
        if engine not in self.card["engines"]:
            raise UnknownName("engine", engine, self.card["engines"], where="this model")
        fitted, folder = self._final[engine], Path(folder)
        if not isinstance(fitted, Exports):
            raise ConfigError(
                f"expected an engine that is one network, such as 'neural', got {engine!r}; train "
                "one of those to export it."
            )
        about = {key: self.card.get(key) for key in ("shoploom", "encoded_by")}
        fitted.export(folder, {**about, "trained_until": iso(self.card["trained_until"])})
        return folder

    def _answer(
        self,
        task: str,
        at: str | int | None,
        users: Sequence[str] | None,
        engine: str | None,
        k: int = 20,
    ) -> tuple[Questions, Answers, Fitted]:
        if task not in self.tasks:
            raise UnknownName("task", task, self.tasks, where="this model")
        moment, fitted = self._moment(at)
        name = engine or self.card["chosen"][task]
        if name not in self.card["engines"]:
            raise UnknownName("engine", name, self.card["engines"], where="this model")
        asked = self.tasks[task].ask(self.tables, moment, answered=False)
        if users is not None:
            asked = _about(asked, np.array([str(user) for user in users], dtype=object), moment)
        return asked, fitted[name].answer(self.tasks[task], asked, self.inputs, k=k), fitted[name]

    def _moment(self, at: str | int | None) -> tuple[int, _Engines]:
        """The moment asked about, and the engines that may answer at it."""
        end, judged = self.card["trained_until"], self.card["judged_until"]
        moment = end if at is None else to_us(at)
        if moment > end:
            raise DataError(
                f"expected a moment up to the end of the data, {iso(end)}, got {iso(moment)}; "
                "add the newer events and run again."
            )
        if moment == end:
            return moment, self._final
        if moment >= judged:
            return moment, self._judged
        raise LeakageError(
            f"asked about {iso(moment)}, but the earliest engine learned from data up to "
            f"{iso(judged)} and would know the future; ask at or after that, or set "
            f"`split: {{test: {iso(moment)}}}` in shop.yaml and run again."
        )

    @cached_property
    def _final(self) -> _Engines:
        return _Engines(self.run.engine)

    @cached_property
    def _judged(self) -> _Engines:
        return _Engines(self.run.judged_engine)


class _Engines(dict[str, Fitted]):
    """Fitted engines by name, each read from its folder when first needed."""

    def __init__(self, folder_of: Any):
        super().__init__()
        self._folder_of = folder_of

    def __missing__(self, name: str) -> Fitted:
        self[name] = load_state(self._folder_of(name))
        return self[name]


def _about(asked: Questions, users: NDArray[np.object_], at: int) -> Questions:
    """The same kind of question about exactly these users, in their order."""
    if asked.subjects is None:
        return Questions(
            asked.task,
            users,
            np.full(len(users), at, dtype=np.int64),
            exclude_seen=asked.exclude_seen,
        )
    subjects = np.array(sorted(set(asked.subjects)), dtype=object)
    return Questions(
        asked.task,
        np.repeat(users, len(subjects)),
        np.full(len(users) * len(subjects), at, dtype=np.int64),
        subjects=np.tile(subjects, len(users)),
        exclude_seen=asked.exclude_seen,
    )


def load(folder: Path | str) -> Model:
    """The model in a run folder or saved copy of one.

    Raises:
        NotFitted: the folder holds no trained model.
    """
    model = Model(Run(Path(folder)))
    _ = model.card
    return model
