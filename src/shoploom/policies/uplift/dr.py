"""Doubly robust pseudo-outcomes, regressed on the features (Kennedy 2023)."""

from __future__ import annotations

from dataclasses import dataclass, field

from shoploom.evaluation.uplift import Trial
from shoploom.policies.regression import Boosting, Matrix, Mixture, regress
from shoploom.policies.uplift.learner import LEARNERS, Effect, outcomes_of_others, pseudo_outcomes


@LEARNERS.register("dr")
@dataclass(frozen=True)
class DRLearner:
    """Pseudo-outcomes, regressed on the features.

    Attributes:
        trees: of each model.
    """

    trees: Boosting = field(default_factory=Boosting)

    def fit(self, features: Matrix, trial: Trial, *, seed: int = 0) -> Effect:
        """As in ``UpliftLearner``."""
        target = pseudo_outcomes(trial, *outcomes_of_others(features, trial, self.trees, seed))
        return Mixture(((1.0, regress(features, target, seed=seed, settings=self.trees)),))
