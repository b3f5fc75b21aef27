"""Groups of about equal size along a score: the ground of calibration curves and decile tables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def equal_mass_bins(scores: NDArray, bins: int) -> NDArray[np.int64]:
    """``(n,)`` bin of each row, 0 for the lowest scores, at most ``bins`` of them, none empty.

    Rows of equal score share a bin, so that bins are fewer and uneven where scores repeat.

    >>> equal_mass_bins(np.array([0.1, 0.9, 0.2, 0.8]), 2)
    array([0, 1, 0, 1])
    """
    if not len(scores):
        return np.empty(0, dtype=np.int64)
    edges = np.quantile(scores, np.linspace(0, 1, bins + 1)[1:-1])
    codes = np.searchsorted(np.unique(edges), scores, side="right")
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def bin_means(codes: NDArray[np.int64], values: NDArray) -> NDArray[np.float64]:
    """``(n_bins,)`` mean of ``(n,)`` values in each bin."""
    return np.bincount(codes, weights=values) / np.bincount(codes)
