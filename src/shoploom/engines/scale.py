"""Statistics of any unit and skew as comparable numbers, through their quantiles."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

_POINTS = 65


@dataclass(frozen=True)
class QuantileScale:
    """Maps each column to its place among the rows it was made from.

    Attributes:
        quantiles: ``(n_points, dim)`` ascending values of each column; NaN for a column that was
            nowhere defined.
    """

    quantiles: NDArray[np.float32]

    @classmethod
    def of(cls, values: NDArray[np.float32]) -> QuantileScale:
        """The scale of ``(n, dim)`` values; NaN entries are left out."""
        points = np.full((_POINTS, values.shape[1]), np.nan, dtype=np.float32)
        defined = np.isfinite(values)
        for column in np.flatnonzero(defined.any(axis=0)):
            known = values[defined[:, column], column]
            points[:, column] = np.quantile(known, np.linspace(0, 1, _POINTS))
        return cls(points)

    def apply(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(n, dim)`` float32 from -1 (least) over 0 (median, or unknown) to 1 (most).

        Among equal quantiles (many users with a count of 0) a value takes their middle place.
        """
        out = np.zeros(values.shape, dtype=np.float32)
        for column, (distinct, middle) in self._steps.items():
            known = np.isfinite(values[:, column])
            out[known, column] = np.interp(values[known, column], distinct, middle)
        return out

    @cached_property
    def _steps(self) -> dict[int, tuple[NDArray[np.float32], NDArray[np.float64]]]:
        """Of each column that tells anybody apart, distinct values and their places."""
        place, found = np.linspace(-1, 1, _POINTS), {}
        for column, points in enumerate(self.quantiles.T):
            if np.isnan(points[0]) or points[0] == points[-1]:
                continue
            distinct, first, count = np.unique(points, return_index=True, return_counts=True)
            found[column] = distinct, place[first] + (count - 1) / (_POINTS - 1)
        return found
