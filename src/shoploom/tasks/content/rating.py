"""How many stars does a review sound like?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from shoploom.tables import Tables
from shoploom.tasks.content._reviews import reviews
from shoploom.tasks.content.readings import READINGS, UNKNOWN, Examples
from shoploom.tasks.questions import Kind


@READINGS.register("rating")
@dataclass(frozen=True)
class Rating:
    """The probability of each number of stars, 1 to 5; other ratings are rounded to the nearest."""

    name: ClassVar[str] = "rating"
    kind: ClassVar[Kind] = "ordinal"
    labels: ClassVar[tuple[str, ...]] = ("1", "2", "3", "4", "5")
    metric: ClassVar[str] = "mae"

    def examples(self, tables: Tables) -> Examples:
        """Every review that says something; see ``Reading.examples``."""
        return reviews(tables, self.name, self.labels, self.label)

    def label(self, ratings: NDArray[np.float64]) -> NDArray[np.int64]:
        """``(n,)`` labels of ratings; those outside 1 to 5, or missing, are unknown."""
        known = (ratings >= 1) & (ratings <= len(self.labels))
        return np.where(known, np.floor(np.where(known, ratings, 1) + 0.5) - 1, UNKNOWN).astype(
            np.int64
        )
