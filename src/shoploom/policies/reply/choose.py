"""Which reply suits: chances by context and reply, and what each is worth.

A few hundred logged replies allow no forest. The chance is logistic in the context, with weights of
their own for every reply beside weights that all share; rows are weighed by the inverse of the
chance that their reply had. The penalty is chosen on other users' dialogues.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.policies.linear import linear
from shoploom.policies.regression import Floats, Matrix, cross_fit, folds_of

_STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0)
_FEWEST = 60  # logged replies that teach anything
_HEAVIEST = 10.0  # times the mean weight that a row counts at most


@dataclass(frozen=True)
class Suits:
    """Chances that replies suit.

    Attributes:
        replies: names.
        strength: the inverse penalty that other users' dialogues chose.
    """

    replies: tuple[str, ...]
    strength: float
    _mean: Floats
    _scale: Floats
    _head: Any

    def __call__(self, context: Matrix) -> Floats:
        """``(n, n_replies)`` from ``(n, dim)`` contexts, NaN where unknown."""
        x, k = _standard(context, self._mean, self._scale), len(self.replies)
        both = _crossed(np.repeat(x, k, axis=0), np.tile(np.arange(k), len(x)), k)
        return self._head.predict_proba(both)[:, 1].reshape(len(x), k)


def fit_suits(
    context: Matrix,
    reply: NDArray[np.integer],
    suited: NDArray[np.bool_],
    propensity: Floats,
    users: NDArray[np.object_],
    replies: Sequence[str],
    *,
    seed: int = 0,
) -> Suits:
    """Learn from logged replies.

    Args:
        context: ``(n, dim)`` what was known when replying, NaN where unknown.
        reply: ``(n,)`` codes of what was said.
        suited: ``(n,)`` whether the customer was satisfied with it.
        propensity: ``(n,)`` the chance that the reply had.
        users: ``(n,)`` who asked.
        replies: names of the codes.
        seed: of the folds.

    Raises:
        DataError: too few replies, or all of them suited, or none.
    """
    if len(reply) < _FEWEST or suited.all() or not suited.any():
        raise DataError(
            f"replies: expected at least {_FEWEST} logged ones, some that suited and some that "
            f"did not; got {len(reply):,}, of which {int(suited.sum()):,} suited."
        )
    mean = np.nan_to_num(np.nanmean(np.vstack([context, np.zeros(context.shape[1])]), axis=0))
    scale = np.nan_to_num(np.nanstd(np.vstack([context, mean]), axis=0))
    scale = np.where(scale > 1e-9, scale, 1.0)
    x = _crossed(_standard(context, mean, scale), reply, len(replies))
    weight = 1 / propensity
    weight = np.minimum(weight / weight.mean(), _HEAVIEST)
    y = suited.astype(np.int64)
    folds = folds_of(users, seed)

    def loss(strength: float) -> float:
        def fit(rows: NDArray[np.intp]) -> Callable[[NDArray[np.intp]], Floats]:
            head = linear(x[rows], y[rows], strength=strength, weight=weight[rows])
            return lambda asked: head.predict_proba(x[asked])[:, 1]

        told = np.clip(cross_fit(folds, fit), 1e-6, 1 - 1e-6)
        each = np.where(suited, -np.log(told), -np.log1p(-told))
        return float(np.average(each, weights=weight))

    best = min(_STRENGTHS, key=loss)
    head = linear(x, y, strength=best, weight=weight)
    return Suits(tuple(replies), best, mean, scale, head)


def decide(
    suits: Floats, cost: Floats, *, worth: float = 1.0, least: float = 0.0
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """``(n,)`` the reply worth most, and whether a person should answer instead.

    Args:
        suits: ``(n, n_replies)`` chances that each suits.
        cost: ``(n_replies,)`` of each, in currency.
        worth: of a reply that suits, in currency.
        least: a person answers where the chosen reply is less likely to suit.
    """
    chosen = (worth * suits - cost).argmax(axis=1)
    return chosen, suits[np.arange(len(suits)), chosen] < least


def _standard(context: Matrix, mean: Floats, scale: Floats) -> Floats:
    """Unknown numbers stand at the mean; far ones are pulled in."""
    x = (np.asarray(context, dtype=np.float64) - mean) / scale
    return np.clip(np.nan_to_num(x), -3, 3)


def _crossed(x: Floats, reply: NDArray[np.integer], n_replies: int) -> Floats:
    """``(n, (n_replies + 1) · (dim + 1))`` the context once for all and once for its reply."""
    whole = np.column_stack([np.ones(len(x)), x])
    own = np.zeros((len(x), n_replies, whole.shape[1]))
    own[np.arange(len(x)), reply] = whole
    return np.hstack([x, own.reshape(len(x), -1)])
