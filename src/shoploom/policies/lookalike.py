"""People who are like some that a shop names: look-alike audiences.

A ridge-penalised logistic regression tells the named ones (the seeds) from everybody else by what
is known of them; whoever else it takes for one is alike. How well that works is measured on seeds
that it has not met.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.evaluation import Estimate
from shoploom.evaluation.intervals import Owners, resample
from shoploom.evaluation.ordered import Descending, PositivesFirst
from shoploom.policies.linear import linear
from shoploom.policies.regression import Floats, Matrix, cross_fit, folds_of

_FEWEST = 20  # seeds
_STRENGTHS = (0.001, 0.01, 0.1)


@dataclass(frozen=True)
class Alike:
    """How much each user is like the seeds.

    Attributes:
        chance: ``(n,)`` that the user is one, told without that user.
        auroc: of seeds that were not met, over all others.
        lift: how much more frequent seeds are among the tenth that is most alike.
        strength: the inverse penalty that was best on seeds not met.
    """

    chance: Floats
    auroc: Estimate
    lift: float
    strength: float


def look_alike(
    features: Matrix, seeds: NDArray[np.bool_], users: NDArray[np.object_], *, seed: int = 0
) -> Alike:
    """How much users are like the seeds.

    Args:
        features: ``(n, dim)`` what is known of each user, finite.
        seeds: ``(n,)`` who is named.
        users: ``(n,)`` ids.
        seed: of the folds.

    Raises:
        DataError: there are too few seeds, or nobody else.
    """
    if seeds.sum() < _FEWEST or seeds.all():
        raise DataError(
            f"look-alikes: expected at least {_FEWEST} named users among others, got "
            f"{int(seeds.sum())} of {len(seeds):,}."
        )
    scale = features.std(axis=0)
    x = (features - features.mean(axis=0)) / np.where(scale > 1e-9, scale, 1.0)
    x, y = np.clip(x, -5, 5), seeds.astype(np.int64)
    folds = folds_of(users, seed)
    weight = np.where(seeds, 0.5 / seeds.mean(), 0.5 / (1 - seeds.mean()))

    def told(strength: float) -> Floats:
        def fit(rows: NDArray[np.intp]) -> Callable[[NDArray[np.intp]], Floats]:
            head = linear(x[rows], y[rows], strength=strength, weight=weight[rows])
            return lambda asked: head.predict_proba(x[asked])[:, 1]

        return cross_fit(folds, fit)

    def area(chance: Floats) -> Estimate:
        owners = Owners.of(users)
        measure = PositivesFirst(Descending.of(chance), y.astype(np.float64), owners).measure
        return resample(measure, owners, seed=seed)["auroc"].estimate()

    tried = {strength: told(strength) for strength in _STRENGTHS}
    areas = {strength: area(chance) for strength, chance in tried.items()}
    best = max(_STRENGTHS, key=lambda strength: areas[strength].value)
    top = np.argsort(-tried[best], kind="stable")[: max(1, len(seeds) // 10)]
    lift = float(seeds[top].mean() / seeds.mean())
    return Alike(tried[best], areas[best], lift, best)
