"""Several learners together, weighted by how well they foretell doubly robust pseudo-outcomes.

Which learner is best depends on the trial: where the effect is a share of what people do anyway,
``response`` orders them best; where some are put off, the others do. Weights of at least zero are
found by least squares on effects told by people whom the learners had not met (Han and Wu 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from shoploom.evaluation.uplift import Trial
from shoploom.policies.regression import Boosting, Floats, Matrix, Mixture
from shoploom.policies.uplift.learner import (
    LEARNERS,
    Effect,
    effects_of_others,
    outcomes_of_others,
    pseudo_outcomes,
)


@LEARNERS.register("stack")
@dataclass(frozen=True)
class Stack:
    """A weighted sum of other learners' effects.

    Attributes:
        members: names of learners.
        folds: that weights are found in.
        trees: of all models.
    """

    members: tuple[str, ...] = ("t", "x", "dr", "response")
    folds: int = 3
    trees: Boosting = field(default_factory=Boosting)

    def fit(self, features: Matrix, trial: Trial, *, seed: int = 0) -> Effect:
        """As in ``UpliftLearner``."""
        from scipy.optimize import nnls

        learners = [LEARNERS.make(name, trees=self.trees) for name in self.members]
        told = [
            effects_of_others(each, features, trial, seed=seed, n_folds=self.folds)
            for each in learners
        ]
        target = pseudo_outcomes(trial, *outcomes_of_others(features, trial, self.trees, seed))
        columns, level = np.stack(told, axis=1), float(target.mean())
        middle = columns.mean(axis=0)
        weights, _ = nnls(columns - middle, target - level)
        effects = [each.fit(features, trial, seed=seed) for each in learners]

        if all(isinstance(each, Mixture) for each in effects):
            return _summed(effects, weights, level - float(middle @ weights))

        def effect(asked: Matrix) -> np.ndarray:
            found = np.stack([each(asked) for each in effects], axis=1)
            return level + (found - middle) @ weights

        return effect


def _summed(effects: Sequence[Effect], weights: Floats, level: float) -> Mixture:
    """Weighted mixtures as one; those without weight are left out."""
    parts = []
    for effect, weight in zip(effects, weights.tolist(), strict=True):
        assert isinstance(effect, Mixture)
        level += weight * effect.level
        if weight > 0:
            parts += [(weight * own, part) for own, part in effect.parts]
    return Mixture(tuple(parts), level)
