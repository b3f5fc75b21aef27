"""Labels of vectors, learned from the rows that have one: for those that lack it, and in doubt.

A ridge regression on indicators of the labels (Hoerl and Kennard 1970), with one sharpness that
turns its scores into probabilities. It has a closed form, and so has what it would have said of
each row had that row been left out: every label can be judged by a head that never saw it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.encoders.threads import one_thread

_STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # of the ridge, in units of the mean variance
_BLOCK = 65_536  # rows scored at once
_SURE = 0.9  # a label this likely is believed, even where it is usually likelier


@dataclass(frozen=True)
class LabelHead:
    """Probabilities of labels from vectors.

    Attributes:
        names: ``(n_labels,)``.
        mean: ``(d,)``.
        weight: ``(d, n_labels)``.
        bias: ``(n_labels,)``.
        sharpness: by which scores are multiplied before they become probabilities.
    """

    names: tuple[str, ...]
    mean: NDArray[np.float32]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    sharpness: float

    def __call__(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """``(n, n_labels)`` probabilities of ``(n, d)`` vectors."""
        scores = (vectors.astype(np.float32) - self.mean) @ self.weight + self.bias
        return _softmax(self.sharpness * scores)


@dataclass(frozen=True)
class LearnedLabels:
    """A head, and what it says of the rows that it learned from.

    Attributes:
        head: learned from all rows.
        codes: ``(n,)`` places of the given labels in ``head.names``.
        left_out: ``(n, n_labels)`` probabilities for each row by a head that did not see it.
    """

    head: LabelHead
    codes: NDArray[np.int64]
    left_out: NDArray[np.float32]

    @property
    def accuracy(self) -> float:
        """How often the likeliest label of a row left out is the one it has."""
        return float((self.left_out.argmax(axis=1) == self.codes).mean())

    def doubtful(self, most: float = 0.1) -> NDArray[np.int64]:
        """``(n,)`` the label that each row seems to have instead of its own; -1 where none does.

        Confident learning (Northcutt, Jiang and Chuang 2021, section 3.1): another label is
        believed where it is at least as likely as it usually is on rows that carry it. Here .9 is
        always likely enough, and the row's own label must have a probability of at most ``most``.
        """
        rows, found = np.arange(len(self.codes)), self.left_out
        n = np.bincount(self.codes, minlength=len(self.head.names))
        usual = np.bincount(self.codes, found[rows, self.codes], minlength=len(n)) / np.maximum(
            n, 1
        )
        likeliest = found.argmax(axis=1)
        believed = found[rows, likeliest] >= np.minimum(usual, _SURE)[likeliest]
        believed &= (likeliest != self.codes) & (found[rows, self.codes] <= most)
        return np.where(believed, likeliest, -1)


def fit_labels(vectors: NDArray[np.floating], labels: Sequence[str]) -> LearnedLabels:
    """A head learned from ``(n, d)`` vectors and a label for each.

    The strength of the ridge and the sharpness are those under which the labels of rows left out
    are likeliest.

    Raises:
        DataError: fewer than two labels, or not one label per row.
    """
    names, codes = np.unique(np.asarray(labels, dtype=object).astype(str), return_inverse=True)
    if len(labels) != len(vectors) or len(names) < 2:
        raise DataError(
            f"expected a label for each of {len(vectors)} rows and at least two different ones, "
            f"got {len(labels)} labels, {len(names)} of them different."
        )
    mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    x = vectors.astype(np.float32) - mean
    n, d = x.shape
    with one_thread():
        values, axes = np.linalg.eigh((x.T @ x).astype(np.float64))
    values, axes = np.maximum(values, 0), axes.astype(np.float32)
    bias = np.bincount(codes) / n
    # Centred indicators: rows of x are centred, so that sums over a label's rows are enough.
    sums = np.zeros((len(names), d), np.float32)
    np.add.at(sums, codes, x)
    turned = (sums @ axes).T  # (d, n_labels)
    best, kept = np.inf, None
    for strength in _STRENGTHS:
        shrunk = 1 / (values + max(strength * values.mean(), np.finfo(np.float32).tiny))
        weight = (axes * shrunk.astype(np.float32)) @ turned
        scores = np.empty((n, len(names)), np.float32)
        for start in range(0, n, _BLOCK):
            rows = slice(start, start + _BLOCK)
            leverage = (x[rows] @ axes) ** 2 @ shrunk + 1 / n
            own = codes[rows]
            scores[rows] = x[rows] @ weight + bias
            # What a row's own label adds to its own score is taken away again.
            given = np.zeros((len(own), len(names)))
            given[np.arange(len(own)), own] = 1
            share = np.minimum(leverage, 1 - 1e-6)[:, None]
            scores[rows] = (scores[rows] - share * given) / (1 - share)
        sharpness, surprise = _sharpness(scores, codes)
        if surprise < best:
            best, kept = surprise, (weight, sharpness, scores)
    assert kept is not None
    weight, sharpness, scores = kept
    head = LabelHead(
        tuple(names.tolist()), mean, weight.astype(np.float32), bias.astype(np.float32), sharpness
    )
    return LearnedLabels(head, codes.astype(np.int64), _softmax(sharpness * scores))


def _sharpness(scores: NDArray[np.float32], codes: NDArray[np.int64]) -> tuple[float, float]:
    """The sharpness under which the labels are likeliest, and the mean surprise under it."""
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    own = scores[np.arange(len(codes)), codes].mean()

    def surprise(log_sharpness: float) -> float:
        sharpness = np.exp(log_sharpness)
        return float(np.mean(logsumexp(sharpness * scores, axis=1)) - sharpness * own)

    found = minimize_scalar(surprise, bounds=(0.0, np.log(100.0)), method="bounded")
    return float(np.exp(found.x)), float(found.fun)


def _softmax(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
