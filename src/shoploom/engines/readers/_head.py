"""One logistic layer on features, how strongly to regularise it, and how sure it may be.

The strength is chosen by log loss on a validation part of the training rows; on the same part the
logits are divided by a temperature that makes the probabilities honest (Guo, Pleiss, Sun and
Weinberger 2017, "On calibration of modern neural networks").
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.seeds import rng

#: Rows of features: a scipy csr matrix, or an array.
Features = Any

_VALID = 0.15  # share of the training rows that choose
_NEVER = -30.0  # the logit of a label that training did not show
_TEMPERATURES = np.exp(np.linspace(np.log(0.25), np.log(8), 101))


@dataclass(frozen=True)
class Head:
    """A logistic layer.

    Attributes:
        weights: ``(n_features, n_labels)`` float32.
        bias: ``(n_labels,)`` float32.
        temperature: what logits are divided by.
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    temperature: float = 1.0

    def logits(self, features: Features) -> NDArray[np.float64]:
        """``(n, n_labels)``, divided by the temperature."""
        return np.asarray(features @ self.weights + self.bias, np.float64) / self.temperature

    def probabilities(self, features: Features) -> NDArray[np.float64]:
        """``(n, n_labels)``."""
        return softmax(self.logits(features))


def fit_head(
    features: Features, labels: NDArray[np.int64], *, n_labels: int, strength: float
) -> Head:
    """A head of that inverse regularisation, uncalibrated."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    known = np.unique(labels)
    # Two labels: a coordinate solver, several times as fast on sparse rows.
    solver: Any = "liblinear" if len(known) == 2 else "lbfgs"
    model: Any = LogisticRegression(
        C=strength, solver=solver, max_iter=200, tol=1e-3, random_state=0
    )
    with warnings.catch_warnings():
        # What is not quite converged is judged on validation like everything else.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, labels)
    weights = np.zeros((features.shape[1], n_labels), dtype=np.float32)
    bias = np.full(n_labels, _NEVER, dtype=np.float32)
    if len(known) == 2:
        # The same odds as one column of logits, written as two.
        halves = np.stack([-model.coef_[0] / 2, model.coef_[0] / 2], axis=1)
        weights[:, known], bias[known] = halves, [-model.intercept_[0] / 2, model.intercept_[0] / 2]
    else:
        weights[:, known], bias[known] = model.coef_.T, model.intercept_
    return Head(weights, bias)


def validate(
    features: Features,
    labels: NDArray[np.int64],
    *,
    n_labels: int,
    strength: float,
    seed: int,
) -> tuple[float, float]:
    """The temperature that suits a head of that strength, and its log loss on validation rows."""
    train, valid = parts(labels, seed)
    head = fit_head(features[train], labels[train], n_labels=n_labels, strength=strength)
    return fit_temperature(head.logits(features[valid]), labels[valid])


def tuned_head(
    features: Features,
    labels: NDArray[np.int64],
    *,
    n_labels: int,
    strengths: Sequence[float],
    seed: int,
) -> Head:
    """A calibrated head on all rows, its strength and temperature chosen on a part of them."""
    choices = [
        validate(features, labels, n_labels=n_labels, strength=strength, seed=seed)
        for strength in strengths
    ]
    best = int(np.argmin([loss for _, loss in choices]))
    head = fit_head(features, labels, n_labels=n_labels, strength=strengths[best])
    return replace(head, temperature=choices[best][0])


def parts(labels: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to learn from and rows to choose on; every label keeps rows to learn from.

    Labels with a few rows only are left out of the second part.
    """
    order = rng(seed, "reader validation").permutation(len(labels))
    shuffled = labels[order]
    by_label = np.argsort(shuffled, kind="stable")
    counts = np.bincount(shuffled)
    place = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = place < np.floor(np.repeat(counts, counts) * _VALID + 0.5)
    valid = np.sort(order[by_label[chosen]])
    train = np.sort(order[by_label[~chosen]])
    if len(np.unique(labels[valid])) < 2:  # too few rows to hold any back
        everything = np.arange(len(labels))
        return everything, everything
    return train, valid


def fit_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> tuple[float, float]:
    """The temperature with the least log loss, and that loss."""
    losses = [log_loss(logits / t, labels) for t in _TEMPERATURES]
    best = int(np.argmin(losses))
    return float(_TEMPERATURES[best]), losses[best]


def log_loss(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The mean of minus the log probability of the true label."""
    top = logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
    return float(np.mean(log_sum - logits[np.arange(len(labels)), labels]))


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows that add to 1."""
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)
