"""Dated questions and their answers: the seam between tasks, engines and evaluation.

All tasks are the same table: a user, a moment, perhaps a subject, perhaps an answer. What an
engine predicts comes back as ``Answers`` in the same row order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from shoploom.core.ids import Vocabulary
from shoploom.core.registry import Registry
from shoploom.core.time import DAY_US
from shoploom.tables import Tables

Kind = Literal[
    "binary", "multiclass", "multilabel", "ordinal", "count", "amount", "ranking", "unlabelled"
]


@dataclass(frozen=True)
class Ragged:
    """A list of ids per row: row ``i`` is ``values[offsets[i]:offsets[i + 1]]``.

    Attributes:
        values: ``(n_values,)`` object array of str.
        offsets: ``(n_rows + 1,)`` int64.
    """

    values: NDArray[np.object_]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    def take(self, rows: NDArray[np.integer]) -> Ragged:
        """The given rows, in the given order."""
        lengths = self.lengths[rows]
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        starts = np.repeat(self.offsets[:-1][rows] - offsets[:-1], lengths)
        return Ragged(self.values[np.arange(offsets[-1]) + starts], offsets)


@dataclass(frozen=True)
class Questions:
    """``n`` dated questions of one task.

    Attributes:
        task: the task's name.
        users: ``(n,)`` object array of user ids.
        times: ``(n,)`` int64 microseconds; a question may look only strictly before its time.
        subjects: ``(n,)`` object array of what is asked about (a category, an item), or None.
        answers: the truth, or None when asked about the unknown future. For ``ranking`` a Ragged
            of the item ids that came, in time order without repeats; for other kinds ``(n,)``
            float64 (binary and multilabel 0/1, count and amount as such).
        exclude_seen: ranking only: items already in the user's history are no candidates.
    """

    task: str
    users: NDArray[np.object_]
    times: NDArray[np.int64]
    subjects: NDArray[np.object_] | None = None
    answers: NDArray[np.float64] | Ragged | None = None
    exclude_seen: bool = False

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: NDArray[np.integer]) -> Questions:
        """The given rows, in the given order."""
        answers = self.answers
        if answers is not None:
            answers = answers.take(rows) if isinstance(answers, Ragged) else answers[rows]
        subjects = None if self.subjects is None else self.subjects[rows]
        return replace(
            self,
            users=self.users[rows],
            times=self.times[rows],
            subjects=subjects,
            answers=answers,
        )

    def unanswered(self) -> Questions:
        """The same questions without the truth, which is all an engine may see when it answers."""
        return replace(self, answers=None)


@dataclass(frozen=True)
class Answers:
    """What an engine says to ``n`` questions, in their order.

    Attributes:
        task: the task's name.
        values: ``(n,)`` float64: probability for binary and multilabel, expectation for count
            and amount; None for ranking.
        items: ranking only: ``(n, k)`` int32 codes into ``catalogue``, best first, -1 = none left.
        scores: ranking only: ``(n, k)`` float32, descending.
        catalogue: ranking only: the vocabulary of every candidate item.
    """

    task: str
    values: NDArray[np.float64] | None = None
    items: NDArray[np.int32] | None = None
    scores: NDArray[np.float32] | None = None
    catalogue: Vocabulary | None = None


class Task(Protocol):
    """A dated question that a shop asks. One file each, registered under its name.

    Members are frozen dataclasses whose fields are the task's settings.
    """

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> Kind: ...

    @property
    def unit(self) -> str:
        """What an answer is in: ``probability``, ``purchases``, ``currency`` or ``items``."""
        ...

    @property
    def window_days(self) -> int:
        """The length of the window ``[at, at + window)`` that holds the answer."""
        ...

    @property
    def metric(self) -> str:
        """The metric by which validation chooses an engine, such as ``auroc``."""
        ...

    def ask(self, tables: Tables, at: int, *, answered: bool = True) -> Questions:
        """Questions at ``at`` to every user whom the task concerns.

        Who is asked depends only on ``tables.as_of(at)``. With ``answered`` the truth is read
        from the window; without it, nothing at or after ``at`` is looked at.
        """
        ...


#: Members are dataclasses; ``TASKS.get(name)()`` is the task with default settings.
TASKS: Registry[type] = Registry("task", "shoploom.tasks")


def make_task(name: str, **settings: object) -> Task:
    """The task of that name with the given settings.

    Raises:
        UnknownName: no such task, or no such setting.
    """
    return TASKS.make(name, **settings)


def window_us(task: Task) -> int:
    """The task's window in microseconds."""
    return task.window_days * DAY_US


def concatenate(parts: list[Questions]) -> Questions:
    """Questions of one task at several moments, one after the other."""
    first = parts[0]
    answers = None
    if isinstance(first.answers, Ragged):
        ragged = [part.answers for part in parts if isinstance(part.answers, Ragged)]
        lengths = np.concatenate([part.lengths for part in ragged])
        answers = Ragged(
            np.concatenate([part.values for part in ragged]),
            np.concatenate(([0], np.cumsum(lengths))),
        )
    elif first.answers is not None:
        answers = np.concatenate([part.answers for part in parts])  # type: ignore[misc]
    subjects = None
    if first.subjects is not None:
        subjects = np.concatenate([part.subjects for part in parts])  # type: ignore[misc]
    return replace(
        first,
        users=np.concatenate([part.users for part in parts]),
        times=np.concatenate([part.times for part in parts]),
        subjects=subjects,
        answers=answers,
    )
