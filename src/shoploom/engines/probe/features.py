"""What a probe reads: of users, a frozen representation or statistics; of pairs, their numbers.

Nothing here is learned but the scales, which are those of the users known when training ends.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shoploom.core.errors import ConfigError
from shoploom.core.ids import Vocabulary
from shoploom.engines._features import Columns
from shoploom.engines._ranking import by_moment
from shoploom.engines.engine import Fitted, Inputs
from shoploom.engines.probe.probe import Probe
from shoploom.engines.scale import QuantileScale
from shoploom.tasks import Questions


class _Same(Hashable):
    """A key that is equal to itself alone: of this very object, which it keeps alive."""

    def __init__(self, thing: object):
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.thing is self.thing

    def __hash__(self) -> int:
        return id(self.thing)


@dataclass(frozen=True)
class Features:
    """What is known of users, as numbers from -1 to 1.

    Attributes:
        part: the engine whose z is read, if any.
        span: which columns of z, None for all.
        statistics: names of the statistics that are read; empty for none.
        scale: of all columns, made from the users known at the end of training.
    """

    part: Fitted | None
    span: tuple[int, int] | None
    statistics: tuple[str, ...]
    scale: QuantileScale

    @classmethod
    def of(cls, settings: Probe, part: Fitted | None, inputs: Inputs) -> Features:
        """The features of these settings."""
        at = inputs.until
        names = () if settings.features == "z" else inputs.statistics(at).names
        raw = cls(part, settings.span, names, QuantileScale(np.empty((2, 0), dtype=np.float32)))
        return cls(
            part,
            settings.span,
            names,
            QuantileScale.of(raw._unscaled(inputs.sequences(at).users.ids, at, inputs)),
        )

    @property
    def dim(self) -> int:
        """How many numbers."""
        return self.scale.quantiles.shape[1]

    def rows(self, users: NDArray[np.object_], at: int, inputs: Inputs) -> NDArray[np.float32]:
        """``(len(users), dim)`` as of a moment; what is unknown is 0, the middle."""
        return self.scale.apply(self._unscaled(users, at, inputs))

    def _unscaled(self, users: NDArray[np.object_], at: int, inputs: Inputs) -> NDArray[np.float32]:
        parts = []
        if self.part is not None:
            z = represented(self.part, users, at, inputs)
            first, last = self.span or (0, z.shape[1])
            if last > z.shape[1]:
                raise ConfigError(
                    f"expected span within the {z.shape[1]} columns of z, got {self.span} for "
                    "engine 'probe'."
                )
            parts.append(z[:, first:last])
        if self.statistics:
            parts.append(Columns(self.statistics).statistics_of(users, at, inputs))
        return np.concatenate(parts, axis=1)


def represented(
    part: Fitted, users: NDArray[np.object_], at: int, inputs: Inputs
) -> NDArray[np.float32]:
    """``(len(users), dim)`` what the part knows of each user, read once per moment for all users.

    Several probes of one part, and several tasks of a probe, share that reading.
    """
    known = inputs.sequences(at).users
    key = ("represented", _Same(part), at)
    z = inputs.once(key, lambda: part.represent(known.ids, at, inputs))
    codes = known.encode(users)
    strangers = np.flatnonzero(codes < 0)
    if not len(strangers):
        return z[codes]
    out = np.empty((len(users), z.shape[1]), dtype=np.float32)
    out[codes >= 0] = z[codes[codes >= 0]]
    out[strangers] = part.represent(users[strangers], at, inputs)
    return out


class Batch(NamedTuple):
    """Some questions as a head reads them.

    Attributes:
        profile: ``(n, dim)`` of the user.
        pairs: ``(n, n_pairs)`` of user and subject.
        subject: ``(n,)`` int64 codes, 0 for subjects that training lacked; None without subjects.
        answers: ``(n,)`` float32; zeros where not known.
    """

    profile: Tensor
    pairs: Tensor
    subject: Tensor | None
    answers: Tensor


@dataclass(frozen=True)
class Examples:
    """``n`` questions about ``m`` users at moments.

    Attributes:
        profile: ``(m, dim)`` float32, kept once for all questions about a user and moment.
        of: ``(n,)`` the row of ``profile`` that each question is about.
        pairs: ``(n, n_pairs)`` float32.
        subject: ``(n,)`` int64, None without subjects.
        answers: ``(n,)`` float64; zeros where not known.
    """

    profile: Tensor
    of: Tensor
    pairs: Tensor
    subject: Tensor | None
    answers: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.of)

    def batch(self, rows: NDArray[np.intp]) -> Batch:
        """Some of the questions."""
        chosen = torch.from_numpy(rows)
        subject = None if self.subject is None else self.subject[chosen]
        answers = torch.from_numpy(self.answers[rows].astype(np.float32))
        return Batch(self.profile[self.of[chosen]], self.pairs[chosen], subject, answers)

    def take(self, rows: NDArray[np.intp]) -> Examples:
        """Some of the questions; profiles are shared."""
        chosen = torch.from_numpy(rows)
        subject = None if self.subject is None else self.subject[chosen]
        return Examples(
            self.profile, self.of[chosen], self.pairs[chosen], subject, self.answers[rows]
        )


@dataclass(frozen=True)
class Asked:
    """What the questions of one task are read with besides the features of their users.

    Attributes:
        columns: the statistics of user and subject.
        scale: theirs.
        subjects: vocabulary of the subjects of training, None where questions have none.
    """

    columns: Columns
    scale: QuantileScale
    subjects: Vocabulary | None

    @classmethod
    def of(cls, questions: Questions, inputs: Inputs) -> Asked:
        """The reading of such questions, with the scale and subjects of training."""
        if questions.subjects is None:
            return cls(Columns(()), QuantileScale(np.empty((2, 0), dtype=np.float32)), None)
        columns = Columns.of(questions, inputs)
        own = columns.pairs_of(questions, inputs)
        return cls(columns, QuantileScale.of(own), Vocabulary.of(questions.subjects))

    @property
    def n_pairs(self) -> int:
        """Numbers about a user and a subject together."""
        return len(self.columns.pairs)

    @property
    def n_subjects(self) -> int:
        """Subjects of training; 0 where questions have none."""
        return 0 if self.subjects is None else len(self.subjects)

    def examples(self, questions: Questions, features: Features, inputs: Inputs) -> Examples:
        """The questions as heads read them."""
        profiles, of, n = [], np.empty(len(questions), dtype=np.int64), 0
        for at, rows in by_moment(questions.times):
            users, place = np.unique(questions.users[rows].astype(str), return_inverse=True)
            profiles.append(features.rows(users.astype(object), at, inputs))
            of[rows] = n + place
            n += len(users)
        pairs = np.empty((len(questions), 0), dtype=np.float32)
        subject = None
        if self.subjects is not None:
            pairs = self.scale.apply(self.columns.pairs_of(questions, inputs))
            codes = self.subjects.encode(questions.subjects).astype(np.int64) + 1
            subject = torch.from_numpy(codes)
        answers = questions.answers
        return Examples(
            torch.from_numpy(
                np.concatenate([*profiles, np.empty((0, features.dim), dtype=np.float32)])
            ),
            torch.from_numpy(of),
            torch.from_numpy(pairs),
            subject,
            answers if isinstance(answers, np.ndarray) else np.zeros(len(questions)),
        )
