"""Judging probabilities of yes-or-no answers: order, hits at a threshold, and calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import ConfigError
from shoploom.evaluation.bins import bin_means, equal_mass_bins
from shoploom.evaluation.intervals import Measure, Owners, Weights, ratio
from shoploom.evaluation.ordered import Descending, PositivesFirst

_EPSILON = 1e-15  # log loss: no probability counts as surer than this
_BINS = 10


@dataclass(frozen=True)
class BinaryEvidence:
    """Probabilities beside what happened, ready to be weighed.

    Attributes:
        values: ``(n,)`` float64 probabilities.
        truth: ``(n,)`` float64 of 0 and 1.
        threshold: a probability from which the answer counts as yes.
    """

    values: NDArray[np.float64]
    truth: NDArray[np.float64]
    threshold: float = 0.5

    @property
    def n(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[np.integer]) -> BinaryEvidence:
        """The given rows."""
        return BinaryEvidence(self.values[rows], self.truth[rows], self.threshold)

    def measure(self, owners: Owners) -> Measure:
        """Accuracy, precision, recall, F1, AUROC, AUPRC, log loss, Brier, ECE and lift."""
        order = PositivesFirst(Descending.of(self.values), self.truth, owners)
        yes, true = self.values >= self.threshold, self.truth > 0
        sure = np.clip(np.where(true, self.values, 1 - self.values), _EPSILON, None)
        error = self.values - self.truth
        codes = equal_mass_bins(self.values, _BINS)
        columns = [yes & true, yes, true, yes == true, -np.log(sure), error**2]
        columns += [np.ones(self.n)]
        n_columns = len(columns)
        columns += [np.where(codes == code, error, 0) for code in range(codes.max(initial=-1) + 1)]
        table = owners.sums(columns)

        def measure(weights: Weights) -> dict[str, NDArray[np.float64]]:
            totals = weights.astype(np.float64) @ table
            hits, said, were, right, loss, squares, n = totals.T[:n_columns]
            # Bins are those of the sample, so that resamples differ in their users alone.
            gaps = np.abs(totals[:, n_columns:]).sum(axis=1)
            return {
                **order.measure(weights),
                "accuracy": ratio(right, n),
                "precision": ratio(hits, said),
                "recall": ratio(hits, were),
                "f1": ratio(2 * hits, said + were),
                "log_loss": ratio(loss, n),
                "brier": ratio(squares, n),
                "ece": ratio(gaps, n),
            }

        return measure


@dataclass(frozen=True)
class Calibration:
    """Predicted beside observed shares in bins of about equal size, lowest first.

    Attributes:
        predicted: ``(n_bins,)`` mean probability.
        observed: ``(n_bins,)`` share of yes.
        n: ``(n_bins,)`` rows.
        ece: expected calibration error, the mean of ``|predicted - observed|`` over rows
            (Naeini et al. 2015, here with bins of equal size); NaN without rows.
    """

    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    n: NDArray[np.int64]
    ece: float

    def as_dict(self) -> dict[str, Any]:
        """The curve for JSON."""
        return {
            "predicted": self.predicted.tolist(),
            "observed": self.observed.tolist(),
            "n": self.n.tolist(),
            "ece": self.ece if np.isfinite(self.ece) else None,
        }


def calibration(values: NDArray, truth: NDArray, *, bins: int = _BINS) -> Calibration:
    """The calibration curve of ``(n,)`` probabilities against ``(n,)`` answers of 0 and 1."""
    codes = equal_mass_bins(values, bins)
    predicted, observed, n = bin_means(codes, values), bin_means(codes, truth), np.bincount(codes)
    ece = float(np.abs(predicted - observed) @ n / n.sum()) if len(n) else float("nan")
    return Calibration(predicted, observed, n, ece)


@dataclass(frozen=True)
class Threshold:
    """A probability from which an answer counts as yes, and how it was chosen.

    Attributes:
        value: rows with a probability of at least this count as yes.
        rule: how it was chosen, for a reader.
    """

    value: float
    rule: str


def threshold_by_f1(values: NDArray, truth: NDArray) -> Threshold:
    """The threshold of the best F1; choose it on validation answers, apply it on test answers."""
    cut = _Cuts(values, truth)
    if not cut.positives:
        return Threshold(0.5, "one half, as no validation answer was yes")
    best = int(np.argmax(2 * cut.hits / (cut.said + cut.positives)))
    return Threshold(float(cut.values[best]), "best F1 on validation")


def threshold_by_cost(
    values: NDArray, truth: NDArray, *, miss_cost: float, alarm_cost: float
) -> Threshold:
    """The threshold of least cost, where misses and false alarms cost what you say.

    When saying yes to nobody is cheapest, the threshold lies just above every value.
    """
    cut = _Cuts(values, truth)
    cost = (cut.positives - cut.hits) * miss_cost + (cut.said - cut.hits) * alarm_cost
    rule = f"least cost on validation: {miss_cost:g} a miss, {alarm_cost:g} a false alarm"
    if not len(cost) or cut.positives * miss_cost <= cost.min():
        return Threshold(float(np.nextafter(max(values, default=1.0), np.inf)), rule)
    return Threshold(float(cut.values[np.argmin(cost)]), rule)


def threshold_by_share(values: NDArray, share: float) -> Threshold:
    """The lowest threshold that says yes to at most the given share of the rows.

    Where ties at the top are more than the share, the threshold lies just above them all.

    Raises:
        ConfigError: the share is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise ConfigError(f"expected a share above 0 and at most 1, got {share!r}.")
    cut = _Cuts(values, np.zeros(len(values)))
    rule = f"the top {share:.0%} on validation"
    fits = np.flatnonzero(cut.said <= share * len(values))
    if not len(fits):
        return Threshold(float(np.nextafter(max(values, default=1.0), np.inf)), rule)
    return Threshold(float(cut.values[fits[-1]]), rule)


class _Cuts:
    """Every place where a threshold can lie, from the highest value down.

    ``values`` are the distinct values; ``said`` and ``hits`` count the rows at or above each, and
    the positives among them.
    """

    def __init__(self, values: NDArray, truth: NDArray):
        descending = Descending.of(values)
        self.values = values[descending.order][descending.ends]
        self.said = descending.ends + 1
        self.hits = np.cumsum(truth[descending.order])[descending.ends]
        self.positives = float(truth.sum())


@dataclass(frozen=True)
class Gains:
    """How many of the positives one reaches by approaching the likeliest rows first.

    Attributes:
        share: ``(points + 1,)`` share of the rows, from 0 to 1.
        captured: ``(points + 1,)`` share of the positives among them; NaN without positives.
    """

    share: NDArray[np.float64]
    captured: NDArray[np.float64]


def gains(values: NDArray, truth: NDArray, *, points: int = 20) -> Gains:
    """The cumulative gains curve; ties count as if in any order.

    >>> gains(np.array([0.9, 0.1]), np.array([1.0, 0.0]), points=2).captured.tolist()
    [0.0, 1.0, 1.0]
    """
    cut = _Cuts(values, truth)
    share = np.linspace(0, 1, points + 1)
    if not cut.positives:
        return Gains(share, np.full(points + 1, np.nan))
    seen, hits = np.concatenate(([0], cut.said)), np.concatenate(([0], cut.hits))
    return Gains(share, np.interp(share * len(values), seen, hits) / cut.positives)


def auroc(values: NDArray, truth: NDArray) -> float:
    """The chance that a random positive is valued above a random negative, ties half.

    NaN where there is one class only.

    >>> auroc(np.array([0.1, 0.4, 0.35]), np.array([0, 1, 0]))
    1.0
    """
    rows = np.arange(len(values), dtype=np.int64)
    order = PositivesFirst(Descending.of(values), truth, Owners(rows, len(rows)))
    return float(order.measure(np.ones((1, len(rows)), dtype=np.uint8))["auroc"][0])
