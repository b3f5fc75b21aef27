"""The metrics by name, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from shoploom.core.errors import UnknownName
from shoploom.evaluation.intervals import Estimate


@dataclass(frozen=True)
class Metric:
    """What is known of a metric beforehand.

    Attributes:
        higher_is_better: False where less is better, None where neither end is good in itself
            (bias, coverage, novelty, exposure).
        label: for a reader.
    """

    higher_is_better: bool | None
    label: str


#: By name without the cut-off: ``ndcg`` describes ``ndcg@10``.
METRICS: dict[str, Metric] = {
    "hr": Metric(True, "Hit rate"),
    "ndcg": Metric(True, "NDCG"),
    "mrr": Metric(True, "Mean reciprocal rank"),
    "map": Metric(True, "Mean average precision"),
    "recall": Metric(True, "Recall"),
    "precision": Metric(True, "Precision"),
    "coverage": Metric(None, "Share of the catalogue listed"),
    "novelty": Metric(None, "Novelty, bits"),
    "exposure_gini": Metric(None, "Unevenness of exposure"),
    "auroc": Metric(True, "Area under the ROC curve"),
    "auprc": Metric(True, "Average precision"),
    "lift": Metric(True, "Lift in the top share"),
    "accuracy": Metric(True, "Accuracy"),
    "f1": Metric(True, "F1"),
    "log_loss": Metric(False, "Log loss"),
    "brier": Metric(False, "Brier score"),
    "ece": Metric(False, "Calibration error"),
    "mae": Metric(False, "Mean absolute error"),
    "rmse": Metric(False, "Root mean squared error"),
    "bias": Metric(None, "Predicted minus actual"),
    "r2": Metric(True, "Variance explained"),
    "gini": Metric(True, "Normalised Gini"),
    "poisson_deviance": Metric(False, "Poisson deviance"),
}


def describe(metric: str) -> Metric:
    """What is known of a metric; the cut-off is ignored.

    Raises:
        UnknownName: no such metric.

    >>> describe("ndcg@10").higher_is_better
    True
    """
    base = metric.split("@")[0]
    if base not in METRICS:
        raise UnknownName("metric", base, METRICS)
    return METRICS[base]


def best_engine(metric: str, results: Mapping[str, Mapping[str, Estimate]]) -> str:
    """The engine with the best value of ``metric``; the first named where several are equal.

    An undefined value loses against any other. Where neither end is good in itself (bias), the
    value nearest to zero is best.

    Raises:
        UnknownName: no such metric, or the results do not hold it.
    """
    higher = describe(metric).higher_is_better

    def badness(engine: str) -> float:
        if metric not in results[engine]:
            raise UnknownName("metric", metric, results[engine], where=f"results of {engine!r}")
        value = results[engine][metric].value
        if math.isnan(value):
            return math.inf
        return abs(value) if higher is None else -value if higher else value

    return min(results, key=badness)
