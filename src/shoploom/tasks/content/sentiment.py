"""Does the writer of a review like what they got?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from shoploom.tables import Tables
from shoploom.tasks.content._reviews import reviews
from shoploom.tasks.content.readings import READINGS, UNKNOWN, Examples
from shoploom.tasks.questions import Kind


@READINGS.register("sentiment")
@dataclass(frozen=True)
class Sentiment:
    """The probability that a review is positive.

    Stars tell the label of a review; those between the two bounds tell nothing.

    Attributes:
        positive_from: a rating of so much and more is positive.
        negative_to: a rating of so much and less is negative.
    """

    positive_from: float = 4
    negative_to: float = 2

    name: ClassVar[str] = "sentiment"
    kind: ClassVar[Kind] = "binary"
    labels: ClassVar[tuple[str, ...]] = ("negative", "positive")
    metric: ClassVar[str] = "accuracy"

    def examples(self, tables: Tables) -> Examples:
        """Every review that says something; see ``Reading.examples``."""
        return reviews(tables, self.name, self.labels, self.label)

    def label(self, ratings: NDArray[np.float64]) -> NDArray[np.int64]:
        """``(n,)`` labels of ratings; a missing rating (NaN) is unknown."""
        return np.where(
            ratings >= self.positive_from, 1, np.where(ratings <= self.negative_to, 0, UNKNOWN)
        )
