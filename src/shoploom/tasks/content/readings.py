"""Questions about texts: what a label means, and which of the shop's texts carry one.

A reading is to texts what a task is to users. It is dated: an example has the time at which it was
written, so that whoever judges learns from what came before. Which reader answers it, and how, it
does not know.
"""

# Ibis types its columns too loosely for arithmetic.
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false, reportCallIssue=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.core.registry import Registry
from shoploom.tables import Tables
from shoploom.tasks.questions import Kind

if TYPE_CHECKING:
    import ibis.expr.types as ir

UNKNOWN = -1  # the label of a text that has none


@dataclass(frozen=True)
class Examples:
    """``n`` dated texts, by time and then by key.

    Attributes:
        texts: ``(n,)`` object array of str, none of them empty.
        labels: ``(n,)`` int64, a place in ``names``; UNKNOWN where nothing tells.
        times: ``(n,)`` int64 microseconds UTC.
        users: ``(n,)`` object array of who wrote it; the key where no user did.
        keys: ``(n,)`` object array of what it is about: an item, a dialogue.
        names: what the labels are called.
    """

    texts: NDArray[np.object_]
    labels: NDArray[np.int64]
    times: NDArray[np.int64]
    users: NDArray[np.object_]
    keys: NDArray[np.object_]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Examples:
        """The given rows, in the given order."""
        return Examples(
            self.texts[rows],
            self.labels[rows],
            self.times[rows],
            self.users[rows],
            self.keys[rows],
            self.names,
        )

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """``(n,)`` whether the label is known."""
        return self.labels != UNKNOWN


class Reading(Protocol):
    """A question about texts. One file each, registered under its name.

    Members are frozen dataclasses whose fields are the reading's settings.
    """

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> Kind:
        """``binary``, ``ordinal`` (labels have an order) or ``multiclass``."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels where they are the same in every shop; empty where the shop's words decide."""
        ...

    @property
    def metric(self) -> str:
        """What judges it: ``accuracy``, ``mae`` or ``f1`` (the mean over labels)."""
        ...

    def examples(self, tables: Tables) -> Examples:
        """Every text that the question is about, labelled where the tables tell the answer.

        Pass ``tables.as_of(at)`` to see what was written before a moment.

        Raises:
            DataError: the shop lacks the table or the columns.
        """
        ...


#: Members are dataclasses; ``READINGS.get(name)()`` is the reading with default settings.
READINGS: Registry[type] = Registry("reading", "shoploom.tasks.content")


def make_reading(name: str, **settings: object) -> Reading:
    """The reading of that name with the given settings.

    Raises:
        UnknownName: no such reading, or no such setting.
    """
    return READINGS.make(name, **settings)


def columns_of(tables: Tables, table: str, needed: Sequence[str], reading: str) -> ir.Table:
    """The table of that name, having the columns.

    Raises:
        DataError: it is not there, or lacks one of them.
    """
    found = tables.present().get(table)
    if found is None:
        raise DataError(
            f"reading {reading!r}: expected a table {table}, got "
            f"{', '.join(tables.present())}; add it to shop.yaml."
        )
    lacking = [name for name in needed if name not in found.columns]
    if lacking:
        raise DataError(
            f"reading {reading!r}: expected the columns {', '.join(needed)} in {table}, "
            f"{', '.join(lacking)} is not there; map it in shop.yaml."
        )
    return found


def joined(parts: Sequence[NDArray[np.object_]]) -> NDArray[np.object_]:
    """``(n,)`` texts of several columns, one after the other; what is missing is left out.

    >>> joined([np.array(["Nice", None]), np.array(["Fits well.", "Too big"])]).tolist()
    ['Nice. Fits well.', 'Too big']
    """
    rows = zip(*(part.tolist() for part in parts), strict=True)
    said = (
        [word.strip() for word in row if isinstance(word, str) and word.strip()] for row in rows
    )
    return np.array([". ".join(words) for words in said], dtype=object)


def coded(words: NDArray[np.object_]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """``(n,)`` labels of words, UNKNOWN where there is none, and the sorted distinct words."""
    names = tuple(sorted({word for word in words.tolist() if isinstance(word, str) and word}))
    place = {name: i for i, name in enumerate(names)}
    labels = [place.get(word, UNKNOWN) for word in words.tolist()]
    return np.array(labels, dtype=np.int64), names


def arranged(examples: Examples) -> Examples:
    """The examples that say anything, by time, key and text."""
    said = np.flatnonzero([bool(text) for text in examples.texts])
    examples = examples.take(said)
    return examples.take(np.lexsort((examples.texts, examples.keys, examples.times)))
