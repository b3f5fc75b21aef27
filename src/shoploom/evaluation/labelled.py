"""Judging answers that are one of several labels: sentiment, rating, intent, emotion.

Every metric is made of sums over rows, so that one table of sums per user and the draws of
``intervals`` give all of them with their intervals.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shoploom.evaluation.intervals import Estimate, Owners, Weights, ratio, resample

_BINS = 10  # of confidence, equally wide


def score_labels(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    users: NDArray[np.object_],
    *,
    resamples: int = 500,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Metrics of predicted labels with 95 % intervals over users.

    Args:
        probabilities: ``(n, n_labels)``.
        labels: ``(n,)`` the truth, from 0 to ``n_labels - 1``.
        users: ``(n,)`` whose rows stay together.
        resamples: how many draws.
        seed: of the draws.

    Returns:
        ``accuracy`` of the likeliest label; ``f1``, the mean over labels that occur; ``log_loss``
        in nats; ``ece``, how far confidence and accuracy lie apart; ``mae`` between the expected
        place of the label and the true one, which means something where labels have an order.

    >>> sure = np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> who = np.array(["a", "b"], dtype=object)
    >>> score_labels(sure, np.array([1, 1]), who)["accuracy"].value
    0.5
    """
    n, n_labels = probabilities.shape
    said = probabilities.argmax(axis=1)
    right = said == labels
    confidence = probabilities.max(axis=1)
    in_bin = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    of_truth = np.clip(probabilities[np.arange(n), labels], 1e-12, 1)
    expected = probabilities @ np.arange(n_labels)
    each = np.arange(n_labels)
    columns = np.concatenate(
        [
            np.ones((n, 1)),
            right[:, None],
            -np.log(of_truth)[:, None],
            np.abs(expected - labels)[:, None],
            (said[:, None] == each) * right[:, None],
            said[:, None] == each,
            labels[:, None] == each,
            (in_bin[:, None] == np.arange(_BINS)) * (confidence - right)[:, None],
        ],
        axis=1,
    )
    table = Owners.of(users).sums(list(columns.T))
    bounds = np.cumsum([1, 1, 1, 1, n_labels, n_labels, n_labels])

    def measure(weights: Weights) -> dict[str, NDArray[np.float64]]:
        sums = weights.astype(np.float64) @ table
        rows, hits, loss, off, true_positive, told, truth, gap = np.split(sums, bounds, axis=1)
        f1 = ratio(2 * true_positive, told + truth)
        f1[truth == 0] = np.nan
        occurring = (truth > 0).sum(axis=1)
        return {
            "accuracy": ratio(hits, rows)[:, 0],
            "f1": ratio(np.nansum(f1, axis=1), occurring),
            "log_loss": ratio(loss, rows)[:, 0],
            "ece": ratio(np.abs(gap).sum(axis=1, keepdims=True), rows)[:, 0],
            "mae": ratio(off, rows)[:, 0],
        }

    made = resample(measure, Owners.of(users), resamples=resamples, seed=seed)
    return {name: resampled.estimate() for name, resampled in made.items()}


def confusion(
    said: NDArray[np.int64], labels: NDArray[np.int64], n_labels: int
) -> NDArray[np.int64]:
    """``(n_labels, n_labels)`` counts: rows are the truth, columns what was said."""
    flat = np.bincount(labels * n_labels + said, minlength=n_labels * n_labels)
    return flat.reshape(n_labels, n_labels)
