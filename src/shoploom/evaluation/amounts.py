"""Judging expected counts and amounts: size of the errors, order, and value by decile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.evaluation.bins import bin_means, equal_mass_bins
from shoploom.evaluation.intervals import Measure, Owners, Weights, ratio
from shoploom.evaluation.ordered import Descending, gini

# An expected count below this counts as this much in the Poisson deviance: a purchase where none
# was thought possible then costs much, but not everything.
_LEAST = 1e-6


@dataclass(frozen=True)
class AmountEvidence:
    """Expected amounts beside what came, ready to be weighed.

    Attributes:
        values: ``(n,)`` float64 expectations.
        truth: ``(n,)`` float64.
        counts: whether the truth is a count, for which Poisson deviance is given too.
    """

    values: NDArray[np.float64]
    truth: NDArray[np.float64]
    counts: bool = False

    @property
    def n(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[np.integer]) -> AmountEvidence:
        """The given rows."""
        return AmountEvidence(self.values[rows], self.truth[rows], self.counts)

    def measure(self, owners: Owners) -> Measure:
        """MAE, RMSE, bias, R2 and normalised Gini; for counts also mean Poisson deviance.

        Normalised Gini is the Gini coefficient of the truth in order of the predictions over that
        in its own order: 1 for a perfect order, about 0 for a random one.
        """
        error = self.values - self.truth
        centred = self.truth - self.truth.mean() if self.n else self.truth
        columns = [np.abs(error), error**2, error, centred, centred**2, np.ones(self.n)]
        if self.counts:
            columns.append(poisson_deviance(self.values, self.truth))
        table = owners.sums(columns)
        predicted, actual = Descending.of(self.values), Descending.of(self.truth)

        def measure(weights: Weights) -> dict[str, NDArray[np.float64]]:
            totals = weights.astype(np.float64) @ table
            absolute, squares, errors, shift, spread, n = totals.T[:6]
            spread = spread - ratio(shift**2, n)
            by_prediction = gini(predicted, self.truth, owners, weights)
            metrics = {
                "mae": ratio(absolute, n),
                "rmse": np.sqrt(ratio(squares, n)),
                "bias": ratio(errors, n),
                # Without spread (up to rounding) there is nothing to explain.
                "r2": 1 - ratio(squares, np.where(spread > 1e-12 * n, spread, 0)),
                "gini": ratio(by_prediction, _rounded(gini(actual, self.truth, owners, weights))),
            }
            if self.counts:
                metrics["poisson_deviance"] = ratio(totals[:, 6], n)
            return metrics

        return measure


def poisson_deviance(values: NDArray, truth: NDArray) -> NDArray[np.float64]:
    """``(n,)`` deviance of each row, ``2 (y log(y / mu) - y + mu)``; expectations at least 1e-6."""
    mu = np.maximum(values, _LEAST)
    safe = np.where(truth > 0, truth, 1)
    return 2 * (np.where(truth > 0, truth * np.log(safe / mu), 0) - truth + mu)


@dataclass(frozen=True)
class Deciles:
    """Ten groups of about equal size by prediction, lowest first.

    Attributes:
        predicted, actual: ``(n_groups,)`` mean prediction and mean truth.
        n: ``(n_groups,)`` rows.
    """

    predicted: NDArray[np.float64]
    actual: NDArray[np.float64]
    n: NDArray[np.int64]

    def as_dict(self) -> dict[str, Any]:
        """The table for JSON."""
        return {
            "predicted": self.predicted.tolist(),
            "actual": self.actual.tolist(),
            "n": self.n.tolist(),
        }


def deciles(values: NDArray, truth: NDArray) -> Deciles:
    """The decile table; equal predictions share a group, so there may be fewer than ten."""
    codes = equal_mass_bins(values, 10)
    return Deciles(bin_means(codes, values), bin_means(codes, truth), np.bincount(codes))


def _rounded(coefficient: NDArray[np.float64]) -> NDArray[np.float64]:
    """The coefficient with what is zero but for rounding made zero (all amounts equal)."""
    return np.where(np.abs(coefficient) < 1e-12, 0, coefficient)
