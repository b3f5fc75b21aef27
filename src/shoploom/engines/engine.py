"""What an engine is: settings that can be tuned and fitted, and a fitted thing that answers.

An engine is a frozen dataclass of settings. ``tune`` returns another one with better settings,
chosen on validation questions; ``fit`` returns a new fitted object, so that refitting forgets.
The fitted object holds no shop data beyond what it learned: histories come with ``Inputs`` at
each call, so that the same fitted engine answers about last night's tables or a live sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import DataError, LeakageError
from shoploom.core.files import atomic_path, read_json
from shoploom.core.ids import Vocabulary
from shoploom.core.registry import Registry
from shoploom.core.time import iso
from shoploom.sequences import CategoryStatistics, UserSequences, UserStatistics
from shoploom.tables import Tables
from shoploom.tasks import Answers, Kind, Questions, Task

T = TypeVar("T")

#: Gets the name, step and value of each point of a learning curve.
Record = Callable[[str, int, float], None]


@dataclass(frozen=True)
class ItemContent:
    """What items say and show, as vectors, as far as it was known at some moment.

    Attributes:
        items: vocabulary of ``n`` items, those that nobody took yet included.
        vectors: by modality (``text``, ``image``, ...) ``(n, dim)`` float16.
        present: by modality ``(n,)`` bool, False where an item has none; such rows are not read.
    """

    items: Vocabulary
    vectors: Mapping[str, NDArray[np.float16]]
    present: Mapping[str, NDArray[np.bool_]]

    def __post_init__(self) -> None:
        n = len(self.items)
        for name, rows in self.vectors.items():
            present = self.present.get(name)
            if rows.ndim != 2 or len(rows) != n or present is None or present.shape != (n,):
                got = f"{rows.shape} and {None if present is None else present.shape}"
                raise DataError(
                    f"expected vectors ({n}, dim) and presence ({n},) of {name!r}, one row per "
                    f"item, got {got}."
                )

    def take(self, items: Vocabulary) -> ItemContent:
        """Rows for other items, in their order; those unknown here have no content."""
        codes = self.items.encode(items.ids)
        known = codes >= 0
        vectors, present = {}, {}
        for name, rows in self.vectors.items():
            vectors[name] = np.zeros((len(codes), rows.shape[1]), dtype=rows.dtype)
            vectors[name][known] = rows[codes[known]]
            present[name] = np.zeros(len(codes), dtype=bool)
            present[name][known] = self.present[name][codes[known]]
        return ItemContent(items, vectors, present)

    def always(self, inputs: Inputs, at: int) -> ItemContent:
        """Itself, as ``Contents``: what has no date is the same at any moment."""
        return self


@dataclass(frozen=True)
class ItemCounts:
    """How often everybody took each item in some span of time.

    Attributes:
        items: vocabulary of ``n_items`` items.
        counts: ``(n_items, n_actions)`` int64, actions by their codes.
    """

    items: Vocabulary
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, sequences: UserSequences, since: int) -> ItemCounts:
        """Of all events from ``since`` on that have an item."""
        late = (sequences.time >= since) & (sequences.item >= 0)
        n, width = len(sequences.items), len(c.ACTIONS)
        cell = sequences.item[late].astype(np.int64) * width + sequences.action[late]
        return cls(sequences.items, np.bincount(cell, minlength=n * width).reshape(n, width))


class Inputs:
    """Everything that an engine may look at, up to a moment and never past it.

    Args:
        tables: the shop's tables, or None where only sequences exist (some benchmarks).
        until: no view later than this moment (microseconds UTC) is given.
        sequences, statistics, categories: how a view is computed as of a moment;
            ``sequences.views`` gives the functions for tables.
        counts: how often everybody took each item in a span of time, where these inputs hold only
            some of the users; counted from the sequences when None.
        content: how what items say and show is computed from these inputs as of a moment, for
            engines that read it; ``ItemContent.always`` for what has no date.
        kept: a folder for what is learned from this data, by ``tune_once`` and ``fit_once`` and by
            trainings under way, so that another process need not learn it again. Whoever names it
            answers for there being no other data under that name.
        made: what ``once`` keeps; inputs of one shop may share it.

    Views are computed once per moment and kept.
    """

    def __init__(
        self,
        *,
        until: int,
        sequences: Callable[[int], UserSequences],
        statistics: Callable[[int], UserStatistics],
        categories: Callable[[int, int], CategoryStatistics] | None = None,
        counts: Callable[[int, int], ItemCounts] | None = None,
        tables: Tables | None = None,
        content: Contents | None = None,
        kept: Path | None = None,
        made: dict[Hashable, Any] | None = None,
    ):
        self.until, self.kept = until, kept
        self._tables, self._content = tables, content
        self._make = {"sequences": sequences, "statistics": statistics}
        self._categories, self._counts = categories, counts
        self._views: dict[tuple[Hashable, ...], Any] = {}
        self._made: dict[Hashable, Any] = {} if made is None else made

    def tables(self, at: int) -> Tables:
        """The tables as of ``at``.

        Raises:
            LeakageError: ``at`` is after ``until``.
            DataError: these inputs hold sequences only.
        """
        self._check(at)
        if self._tables is None:
            raise DataError("expected tables in these inputs, got sequences only.")
        return self._tables.as_of(at)

    def sequences(self, at: int) -> UserSequences:
        """Histories of all users strictly before ``at``."""
        return self._view("sequences", at)

    def statistics(self, at: int) -> UserStatistics:
        """Statistics of all users strictly before ``at``."""
        return self._view("statistics", at)

    def content(self, at: int) -> ItemContent | None:
        """What items say and show, as known strictly before ``at``; None if nothing."""
        self._check(at)
        if self._content is None:
            return None
        make, place = self._content, ("content", at)
        if place not in self._views:
            self._views[place] = make(self, at)
        return self._views[place]

    def categories(self, at: int, level: int) -> CategoryStatistics:
        """Statistics of users in categories strictly before ``at``.

        Args:
            at: the moment, microseconds UTC.
            level: how many parts of the category path make a category.

        Raises:
            DataError: these inputs hold no categories, or the shop's items have none.
        """
        self._check(at)
        if self._categories is None:
            raise DataError("expected statistics in categories in these inputs, got none.")
        place = ("categories", at, level)
        if place not in self._views:
            self._views[place] = self._categories(at, level)
        return self._views[place]

    def counts(self, since: int, at: int) -> ItemCounts:
        """How often everybody took each item in ``[since, at)``, by action."""
        self._check(at)
        if self._counts is not None:
            return self._counts(since, at)
        place = ("counts", since, at)
        if place not in self._views:
            self._views[place] = ItemCounts.of(self.sequences(at), since)
        return self._views[place]

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What ``make`` gives, made once for all inputs that share these views.

        Args:
            key: says everything that the value depends on besides the shop's data.
            make: makes it.
        """
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def upto(self, until: int) -> Inputs:
        """The same inputs with a nearer horizon; views already made are shared."""
        self._check(until)
        nearer = Inputs(
            until=until,
            sequences=self._make["sequences"],
            statistics=self._make["statistics"],
            categories=self._categories,
            counts=self._counts,
            tables=self._tables,
            content=self._content,
            kept=self.kept,
            made=self._made,
        )
        nearer._views = self._views
        return nearer

    def _view(self, name: str, at: int) -> Any:
        self._check(at)
        if (name, at) not in self._views:
            self._views[name, at] = self._make[name](at)
        return self._views[name, at]

    def _check(self, at: int) -> None:
        if at > self.until:
            raise LeakageError(
                f"an engine asked for data up to {iso(at)}, but may see only what lies before "
                f"{iso(self.until)}."
            )


#: Gives content of items as of a moment, from what the inputs show up to then.
Contents = Callable[[Inputs, int], ItemContent | None]


@dataclass(frozen=True)
class State:
    """What a fitted engine must remember: arrays and JSON, never code.

    Attributes:
        config: JSON-able settings and small values.
        arrays: numeric numpy arrays by name.
        vocabularies: id lists by name.
    """

    config: dict[str, Any]
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    vocabularies: dict[str, Vocabulary] = field(default_factory=dict)


class Fitted(Protocol):
    """An engine that has learned."""

    def answer(self, task: Task, questions: Questions, inputs: Inputs, *, k: int = 20) -> Answers:
        """Answers in the order of the questions, each from what lies strictly before its time.

        An unknown user gets a defined answer. ``k`` is how many items a ranking lists.
        """
        ...

    def represent(self, users: NDArray[np.object_], at: int, inputs: Inputs) -> NDArray[np.float32]:
        """``(len(users), dim)`` float32, one finite row per user as of ``at``."""
        ...

    def state(self) -> State:
        """Everything needed to rebuild this object with the engine's ``from_state``."""
        ...


@runtime_checkable
class Limited(Protocol):
    """An engine that answers only some tasks of its kinds: those of these names."""

    only: ClassVar[frozenset[str]]


def can_answer(engine: Engine, task: Task) -> bool:
    """Whether the engine answers such a task, by its kind and, where it is limited, its name."""
    if isinstance(engine, Limited) and task.name not in engine.only:
        return False
    return task.kind in engine.kinds


@runtime_checkable
class Explains(Protocol):
    """A fitted engine that can say which of a user's own items led to a recommendation."""

    def because(
        self, users: NDArray[np.object_], items: NDArray[np.int32], at: int, inputs: Inputs
    ) -> NDArray[np.int32]:
        """The own item that spoke most for each recommended one; -1 where none did.

        Args:
            users: ``(n,)`` user ids.
            items: ``(n, k)`` codes of recommended items, as ``answer`` gave them.
            at: the moment, microseconds UTC.
            inputs: where the histories come from.

        Returns:
            ``(n, k)`` int32 codes of the same catalogue.
        """
        ...


@dataclass(frozen=True)
class Account:
    """How answers came about: what each number that was looked at added.

    Attributes:
        names: of the ``dim`` numbers.
        values: ``(n, dim)`` float32 the numbers themselves, NaN where unknown.
        added: ``(n, dim)`` float64 what each added to the answer's logit or logarithm; with
            ``base`` they sum to it.
        base: ``(n,)`` float64 where the sum begins.
    """

    names: tuple[str, ...]
    values: NDArray[np.float32]
    added: NDArray[np.float64]
    base: NDArray[np.float64]


@runtime_checkable
class Accounts(Protocol):
    """A fitted engine that can say what its answers to a task are made of."""

    def account(self, task: Task, questions: Questions, inputs: Inputs) -> Account:
        """What each number added to each answer.

        Raises:
            NotFitted: the task was not learned, or no part that learned it can say.
        """
        ...


@runtime_checkable
class Exports(Protocol):
    """A fitted engine that other software can run, from a graph in the ONNX format."""

    def export(self, folder: Path, about: Mapping[str, Any]) -> object:
        """Write the graph, what it needs, and a card with ``about`` in it, into a folder."""
        ...


class Engine(Protocol):
    """Settings of an engine; a frozen dataclass under ``ENGINES.register(name)``."""

    kinds: ClassVar[frozenset[Kind]]

    def tune(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        validation: Mapping[str, Questions],
        *,
        seed: int = 0,
    ) -> Engine:
        """The engine with settings chosen on ``validation``; itself when it has none to choose."""
        ...

    def fit(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        *,
        seed: int = 0,
    ) -> Fitted:
        """A new fitted engine, learned from ``questions`` by task name and from ``inputs``.

        ``questions`` holds only tasks whose kind is in ``kinds``.
        """
        ...

    @staticmethod
    def from_state(state: State) -> Fitted:
        """The fitted engine that gave this state."""
        ...


#: Members are engine dataclasses; ``ENGINES.get(name)()`` has default settings.
ENGINES: Registry[type] = Registry("engine", "shoploom.engines")

_FORMAT = 1


def save_state(folder: Path, engine: str, state: State) -> None:
    """Write a state as ``state.json``, ``arrays.safetensors`` and ``NAME.ids.json``, atomically."""
    import json

    from safetensors.numpy import save_file

    with atomic_path(folder) as temporary:
        temporary.mkdir(parents=True)
        save_file(
            {name: np.ascontiguousarray(array) for name, array in state.arrays.items()},
            temporary / "arrays.safetensors",
        )
        for name, vocabulary in state.vocabularies.items():
            (temporary / f"{name}.ids.json").write_text(
                json.dumps(list(vocabulary.ids), ensure_ascii=False), encoding="utf-8"
            )
        head = {
            "format": _FORMAT,
            "engine": engine,
            "config": state.config,
            "vocabularies": sorted(state.vocabularies),
        }
        (temporary / "state.json").write_text(
            json.dumps(head, ensure_ascii=False, indent=1), encoding="utf-8"
        )


def load_state(folder: Path) -> Fitted:
    """The fitted engine saved in ``folder``.

    Raises:
        DataError: a file is missing, cut short or of a newer format.
    """
    engine, state = read_state(folder)
    return ENGINES.get(engine).from_state(state)


def read_state(folder: Path) -> tuple[str, State]:
    """What ``save_state`` wrote: the name of the engine or reader, and its state.

    Raises:
        DataError: a file is missing, cut short or of a newer format.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    head = read_json(folder / "state.json")
    if head.get("format") != _FORMAT:
        raise DataError(
            f"{folder}: expected bundle format {_FORMAT}, got {head.get('format')}; "
            "it was written by another version of shoploom: train again or upgrade."
        )
    try:
        arrays = load_file(folder / "arrays.safetensors")
    except (SafetensorError, OSError) as error:
        raise DataError(f"{folder}/arrays.safetensors cannot be read ({error}).") from None
    vocabularies = {
        name: Vocabulary(np.array(read_json(folder / f"{name}.ids.json"), dtype=object))
        for name in head["vocabularies"]
    }
    return head["engine"], State(head["config"], arrays, vocabularies)
