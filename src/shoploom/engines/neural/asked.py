"""Dated questions to what the network looks at: histories, statistics, and what is asked about."""

from __future__ import annotations

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
from shoploom.engines._scale import QuantileScale
from shoploom.engines.engine import Inputs
from shoploom.engines.neural.tokens import Batch, batch_of, histories_in, latest, some
from shoploom.tasks import Questions

_NO_PAIRS = QuantileScale(np.empty((2, 0), dtype=np.float32))


@dataclass(frozen=True)
class Rows:
    """``n`` questions as the network reads them, about ``m`` users at moments.

    Questions about several subjects share what is known of their user at the moment, so that it
    is read once.

    Attributes:
        events: ``m`` histories, the latest events before each moment.
        ago: ``(m,)`` float32 days from the last event to the moment.
        numbers: ``(m, n_numbers)`` float32 scaled statistics of the user.
        order: ``(n,)`` questions, those of one user and moment together.
        offsets: ``(m + 1,)`` where in ``order`` those of each begin.
        pairs: ``(n, n_pairs)`` float32 scaled statistics of user and subject.
        subject: ``(n,)`` int64 codes, 0 for subjects that training lacked; None without subjects.
        answers: ``(n,)`` float32, None where not known.
    """

    events: Histories
    ago: NDArray[np.float32]
    numbers: NDArray[np.float32]
    order: NDArray[np.intp]
    offsets: NDArray[np.int64]
    pairs: NDArray[np.float32]
    subject: NDArray[np.int64] | None
    answers: NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.order)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """``(m,)`` events of each, at least 1: no history counts as one empty event."""
        return np.maximum(np.diff(self.events.offsets), 1)

    def batch(self, users: NDArray[np.intp], n_items: int) -> Asked:
        """All questions about some of the ``m``, as tensors."""
        lengths = np.diff(self.events.offsets)[users]
        counts = np.diff(self.offsets)[users]
        rows = self.order[ranges(self.offsets[:-1][users], counts)]
        subject, answers = self.subject, self.answers
        return Asked(
            batch_of(self.events, self.events.offsets[:-1][users], lengths, n_items),
            torch.from_numpy(self.ago[users]),
            torch.from_numpy(self.numbers[users]),
            rows,
            torch.from_numpy(np.repeat(np.arange(len(users)), counts)),
            torch.from_numpy(self.pairs[rows]),
            None if subject is None else torch.from_numpy(subject[rows]),
            None if answers is None else torch.from_numpy(answers[rows]),
        )


@dataclass(frozen=True)
class Asked:
    """Some users at moments, and all questions about them.

    Attributes:
        batch, ago, numbers: as in ``Rows``, one row per user and moment.
        rows: ``(n,)`` numbers of the questions.
        of: ``(n,)`` int64 the row of ``batch`` that each is about.
        pairs, subject, answers: as in ``Rows``, one row per question.
    """

    batch: Batch
    ago: Tensor
    numbers: Tensor
    rows: NDArray[np.intp]
    of: Tensor
    pairs: Tensor
    subject: Tensor | None
    answers: Tensor | None


@dataclass(frozen=True)
class Reader:
    """How the questions of one task are read.

    Attributes:
        columns: which statistics.
        scale: of the users' statistics.
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
        pairs = columns.matrix(questions, inputs)[:, len(columns.statistics) :]
        return cls(columns, scale, QuantileScale.of(pairs), Vocabulary.of(questions.subjects))

    def read(
        self,
        questions: Questions,
        inputs: Inputs,
        catalogue: Vocabulary,
        length: int,
        answers: NDArray[np.float64] | None = None,
    ) -> Rows:
        """The questions with what is known before each."""
        matrix = self.columns.matrix(questions, inputs)
        n_numbers = len(self.columns.statistics)
        first, order, offsets = _grouped(questions)
        events, ago = _before(questions.take(first), inputs, catalogue, length)
        subject = None
        if self.subjects is not None:
            subject = self.subjects.encode(questions.subjects).astype(np.int64) + 1
        return Rows(
            events,
            ago,
            self.scale.apply(matrix[first, :n_numbers]),
            order,
            offsets,
            self.pair_scale.apply(matrix[:, n_numbers:]),
            subject,
            None if answers is None else answers.astype(np.float32),
        )

    def json(self) -> dict[str, Any]:
        """What is no array and no vocabulary."""
        return {"columns": self.columns.json()}


def _grouped(
    questions: Questions,
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int64]]:
    """A question of each user and moment, all questions in their order, and where each begins."""
    _, user = np.unique(questions.users.astype(str), return_inverse=True)
    _, moment = np.unique(questions.times, return_inverse=True)
    _, first, group, counts = np.unique(
        user * (moment.max(initial=0) + 1) + moment,
        return_index=True,
        return_inverse=True,
        return_counts=True,
    )
    order = np.argsort(group, kind="stable")
    return first, order, np.concatenate(([0], np.cumsum(counts)))


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
