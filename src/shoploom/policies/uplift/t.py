"""Two models of the outcome, one of the treated and one of the others, and their difference."""

from __future__ import annotations

from dataclasses import dataclass, field

from shoploom.evaluation.uplift import Trial
from shoploom.policies.regression import Boosting, Matrix, Mixture
from shoploom.policies.uplift.learner import LEARNERS, Effect, by_arm


@LEARNERS.register("t")
@dataclass(frozen=True)
class TLearner:
    """Two models and their difference.

    Attributes:
        trees: of each model.
    """

    trees: Boosting = field(default_factory=Boosting)

    def fit(self, features: Matrix, trial: Trial, *, seed: int = 0) -> Effect:
        """As in ``UpliftLearner``."""
        one, other = by_arm(features, trial, self.trees, seed)
        return Mixture(((1.0, one), (-1.0, other)))
