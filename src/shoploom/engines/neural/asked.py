"""Dated questions to what the network looks at: histories, statistics, and what is asked about.

What is known of a user at a moment is read once, however many tasks and subjects it is asked about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shoploom.core.ids import Vocabulary
from shoploom.core.time import DAY_US
from shoploom.engines._features import Columns
from shoploom.engines._ranking import Histories, by_moment, ranges
from shoploom.engines.engine import Inputs
from shoploom.engines.neural.tokens import Batch, batch_of, histories_in, latest, some
from shoploom.engines.scale import QuantileScale
from shoploom.tasks import Questions

_NO_PAIRS = QuantileScale(np.empty((2, 0), dtype=np.float32))


@dataclass(frozen=True)
class Known:
    """What is known of ``m`` users, each at a moment.

    Attributes:
        events: ``m`` histories, the latest events before each moment.
        ago: ``(m,)`` float32 days from the last event to the moment.
        numbers: ``(m, n_numbers)`` float32 scaled statistics of the user.
    """

    events: Histories
    ago: NDArray[np.float32]
    numbers: NDArray[np.float32]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """``(m,)`` events of each, at least 1: no history counts as one empty event."""
        return np.maximum(np.diff(self.events.offsets), 1)

    def batch(self, users: NDArray[np.intp], n_items: int) -> Seen:
        """Some of the ``m`` as tensors."""
        starts, lengths = self.events.offsets[:-1][users], np.diff(self.events.offsets)[users]
        return Seen(
            batch_of(self.events, starts, lengths, n_items),
            torch.from_numpy(self.ago[users]),
            torch.from_numpy(self.numbers[users]),
        )


@dataclass(frozen=True)
class Seen:
    """Some users at moments: fields as in ``Known``, as tensors."""

    batch: Batch
    ago: Tensor
    numbers: Tensor


@dataclass(frozen=True)
class Rows:
    """``n`` questions of one task about ``m`` users at moments.

    Attributes:
        order: ``(n,)`` questions, those about the same user and moment together.
        offsets: ``(m + 1,)`` where in ``order`` those about each begin.
        pairs: ``(n, n_pairs)`` float32 scaled statistics of user and subject.
        subject: ``(n,)`` int64 codes, 0 for subjects that training lacked; None without subjects.
        answers: ``(n,)`` float32, None where not known.
    """

    order: NDArray[np.intp]
    offsets: NDArray[np.int64]
    pairs: NDArray[np.float32]
    subject: NDArray[np.int64] | None
    answers: NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.order)

    def about(self, users: NDArray[np.intp]) -> Asked:
        """All questions about some of the ``m``, as tensors."""
        counts = np.diff(self.offsets)[users]
        rows = self.order[ranges(self.offsets[:-1][users], counts)]
        subject, answers = self.subject, self.answers
        return Asked(
            rows,
            torch.from_numpy(np.repeat(np.arange(len(users)), counts)),
            torch.from_numpy(self.pairs[rows]),
            None if subject is None else torch.from_numpy(subject[rows]),
            None if answers is None else torch.from_numpy(answers[rows]),
        )


@dataclass(frozen=True)
class Asked:
    """All questions of a task about some users at moments.

    Attributes:
        rows: ``(n,)`` numbers of the questions.
        of: ``(n,)`` int64 the user and moment that each is about, by place.
        pairs, subject, answers: as in ``Rows``, one row per question.
    """

    rows: NDArray[np.intp]
    of: Tensor
    pairs: Tensor
    subject: Tensor | None
    answers: Tensor | None

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Reader:
    """How the questions of one task are read.

    Attributes:
        columns: which statistics.
        scale: of the users' statistics, the same for all tasks.
        pair_scale: of those about the subject.
        subjects: vocabulary of the subjects of training, None where questions have none.
    """

    columns: Columns
    scale: QuantileScale
    pair_scale: QuantileScale = _NO_PAIRS
    subjects: Vocabulary | None = None

    @classmethod
    def of(cls, questions: Questions, inputs: Inputs, scale: QuantileScale) -> Reader:
        """The reader of such questions, with the scales and subjects of training."""
        columns = Columns.of(questions, inputs)
        if questions.subjects is None:
            return cls(columns, scale)
        pairs = columns.pairs_of(questions, inputs)
        return cls(columns, scale, QuantileScale.of(pairs), Vocabulary.of(questions.subjects))

    def json(self) -> dict[str, Any]:
        """What is no array and no vocabulary."""
        return {"columns": self.columns.json()}


def read(
    readers: Mapping[str, Reader],
    questions: Mapping[str, Questions],
    inputs: Inputs,
    catalogue: Vocabulary,
    length: int,
    answers: Mapping[str, NDArray[np.float64]] | None = None,
) -> tuple[Known, dict[str, Rows]]:
    """What is known of every user and moment asked about, and the questions of each task.

    Args:
        readers: by task; all have the same statistics of users.
        questions: by task.
        inputs: where histories and statistics come from.
        catalogue: the items that the network knows.
        length: the latest events that are kept.
        answers: by task, to learn from.
    """
    reader = next(iter(readers.values()))
    moments, place = _moments(list(questions.values()))
    events, ago = _before(moments, inputs, catalogue, length)
    numbers = Columns(reader.columns.statistics).matrix(moments, inputs)
    rows = {}
    for (name, asked), of in zip(questions.items(), place, strict=True):
        own, subject = readers[name], None
        if own.subjects is not None:
            subject = own.subjects.encode(asked.subjects).astype(np.int64) + 1
        counts = np.bincount(of, minlength=len(moments))
        rows[name] = Rows(
            np.argsort(of, kind="stable"),
            np.concatenate(([0], np.cumsum(counts))),
            own.pair_scale.apply(own.columns.pairs_of(asked, inputs)),
            subject,
            None if answers is None else answers[name].astype(np.float32),
        )
    return Known(events, ago, reader.scale.apply(numbers)), rows


def _moments(questions: list[Questions]) -> tuple[Questions, list[NDArray[np.intp]]]:
    """Every user and moment asked about, once and in order, and the place of each question's."""
    users = np.concatenate([asked.users for asked in questions])
    times = np.concatenate([asked.times for asked in questions])
    _, user = np.unique(users.astype(str), return_inverse=True)
    distinct, time = np.unique(times, return_inverse=True)
    _, first, place = np.unique(user * len(distinct) + time, return_index=True, return_inverse=True)
    moments = Questions("moments", users[first], times[first])
    ends = np.cumsum([len(asked) for asked in questions])[:-1]
    return moments, np.split(place, ends)


def _before(
    questions: Questions, inputs: Inputs, catalogue: Vocabulary, length: int
) -> tuple[Histories, NDArray[np.float32]]:
    """The latest events before each question, and the days since the last; 0 without any."""
    parts, order = [], []
    for at, rows in by_moment(questions.times):
        known = histories_in(inputs.sequences(at), questions.users[rows], catalogue)
        parts.append(latest(known, length))
        order.append(rows)
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    stacked = Histories(
        np.concatenate([part.item for part in parts]),
        np.concatenate([part.action for part in parts]),
        np.concatenate([part.time for part in parts]),
        np.concatenate(([0], np.cumsum(lengths))),
    )
    place = np.empty(len(questions), dtype=np.int64)
    place[np.concatenate(order)] = np.arange(len(questions))
    events = some(stacked, place)
    has = np.diff(events.offsets) > 0
    ago = np.zeros(len(questions), dtype=np.float32)
    last = events.time[events.offsets[1:][has] - 1]
    ago[has] = (questions.times[has] - last) / DAY_US
    return events, ago
