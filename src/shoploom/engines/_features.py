"""Questions to a matrix of numbers, the same way when training and when answering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.engines._ranking import by_moment
from shoploom.engines.engine import Inputs
from shoploom.tasks import Questions


@dataclass(frozen=True)
class Columns:
    """What is looked at to answer the questions of one task, in order.

    Attributes:
        statistics: names of the users' statistics.
        pairs: names of the statistics of a user in a category, for questions about categories.
        level: how many parts of the category path those categories have.
    """

    statistics: tuple[str, ...]
    pairs: tuple[str, ...] = ()
    level: int = 1

    @classmethod
    def of(cls, questions: Questions, inputs: Inputs) -> Columns:
        """The columns that such questions can be answered from."""
        at = int(questions.times[0])
        statistics = inputs.statistics(at).names
        if questions.subjects is None:
            return cls(statistics)
        level = 1 + max(str(path).count(c.CATEGORY_SEPARATOR) for path in set(questions.subjects))
        return cls(statistics, inputs.categories(at, level).names, level)

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Columns:
        """The columns that ``json`` gave."""
        return cls(tuple(saved["statistics"]), tuple(saved["pairs"]), saved["level"])

    def json(self) -> dict[str, Any]:
        """The columns as JSON-able values."""
        pairs = list(self.pairs)
        return {"statistics": list(self.statistics), "pairs": pairs, "level": self.level}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns."""
        return self.statistics + self.pairs

    def matrix(self, questions: Questions, inputs: Inputs) -> NDArray[np.float32]:
        """``(n, n_columns)`` float32, each row as of its question's time; NaN where unknown.

        Raises:
            DataError: training had other statistics, or subjects where these questions have none.
        """
        pairs = self.pairs_of(questions, inputs)
        users = np.empty((len(questions), len(self.statistics)), dtype=np.float32)
        for at, rows in by_moment(questions.times):
            users[rows] = self.statistics_of(questions.users[rows], at, inputs)
        return np.concatenate([users, pairs], axis=1)

    def pairs_of(self, questions: Questions, inputs: Inputs) -> NDArray[np.float32]:
        """``(n, n_pairs)`` float32 of the user and subject of each; none without subjects.

        Raises:
            DataError: training had subjects where these questions have none, or none where they do.
        """
        if (questions.subjects is None) != (not self.pairs):
            raise DataError(
                f"expected questions of {questions.task!r} "
                f"{'about categories' if self.pairs else 'without subjects'}, as in training, got "
                f"them {'without' if self.pairs else 'with'} subjects."
            )
        out = np.empty((len(questions), len(self.pairs)), dtype=np.float32)
        if questions.subjects is not None:
            for at, rows in by_moment(questions.times):
                pairs = inputs.categories(at, self.level)
                out[rows] = pairs.take(questions.users[rows], questions.subjects[rows])
        return out

    def statistics_of(
        self, users: NDArray[np.object_], at: int, inputs: Inputs
    ) -> NDArray[np.float32]:
        """``(len(users), n_statistics)`` float32; NaN rows for users without history.

        Raises:
            DataError: the inputs give other statistics than training had.
        """
        statistics = inputs.statistics(at)
        if statistics.names != self.statistics:
            changed = sorted(set(statistics.names) ^ set(self.statistics)) or ["their order"]
            raise DataError(
                "expected the statistics that the engine was trained on, got others "
                f"({', '.join(changed[:5])}); train again after changing them."
            )
        return statistics.take(users)
