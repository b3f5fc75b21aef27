"""What an uplift learner is, and how its predictions are made for people it has not met.

Chances of treatment are known, since who got an ad was drawn; no model of them is fitted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shoploom.core.registry import Registry
from shoploom.evaluation.uplift import Trial
from shoploom.policies.regression import (
    Boosting,
    Floats,
    Matrix,
    Regression,
    cross_fit,
    folds_of,
    regress,
)

#: Effect of a treatment on people with such features, ``(n,)``; a ``Mixture`` can be saved.
Effect = Callable[[Matrix], Floats]


class UpliftLearner(Protocol):
    """Settings that learn who is moved."""

    def fit(self, features: Matrix, trial: Trial, *, seed: int = 0) -> Effect:
        """The effect by features, from ``(n, n_features)`` and a trial of the same ``n`` people."""
        ...


LEARNERS: Registry[type[UpliftLearner]] = Registry("uplift learner", "shoploom.policies.uplift")


def effects_of_others(
    learner: UpliftLearner, features: Matrix, trial: Trial, *, seed: int = 0, n_folds: int = 5
) -> Floats:
    """``(n,)`` effect on each person, from a learner that has not met them."""

    def fit(rows: NDArray[np.intp]) -> Callable[[NDArray[np.intp]], Floats]:
        effect = learner.fit(features[rows], trial.take(rows), seed=seed)
        return lambda asked: effect(features[asked])

    return cross_fit(folds_of(trial.users, seed, n_folds), fit)


def by_arm(
    features: Matrix, trial: Trial, trees: Boosting, seed: int
) -> tuple[Regression, Regression]:
    """Models of the outcome with and without treatment."""
    found = []
    for arm in (True, False):
        inside = np.flatnonzero(trial.treated == arm)
        chance = trial.propensity[inside]
        weight = 1 / (chance if arm else 1 - chance)
        learned = regress(
            features[inside],
            trial.outcome[inside],
            weight=weight / weight.mean(),
            seed=seed,
            settings=trees,
        )
        found.append(learned)
    return found[0], found[1]


def outcomes_of_others(
    features: Matrix, trial: Trial, trees: Boosting, seed: int
) -> tuple[Floats, Floats]:
    """``(n,)`` outcomes to be expected with and without treatment, told by other people."""

    def fit(rows: NDArray[np.intp]) -> Callable[[NDArray[np.intp]], Floats]:
        arms = by_arm(features[rows], trial.take(rows), trees, seed)
        return lambda asked: np.stack([arm.predict(features[asked]) for arm in arms], axis=1)

    both = cross_fit(folds_of(trial.users, seed + 1), fit, 2)
    return both[:, 0], both[:, 1]


def pseudo_outcomes(trial: Trial, with_it: Floats, without: Floats) -> Floats:
    """``(n,)`` numbers whose mean given the features is the effect; each outcome is in its own.

    μ₁ − μ₀ + (t − e) / (e (1 − e)) · (y − μ_t) (Kennedy 2023).

    Args:
        trial: of ``n`` people.
        with_it: ``(n,)`` outcomes to be expected with treatment.
        without: without.
    """
    own = np.where(trial.treated, with_it, without)
    chance = trial.propensity
    moved = (trial.treated - chance) / (chance * (1 - chance)) * (trial.outcome - own)
    return with_it - without + moved
