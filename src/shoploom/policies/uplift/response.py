"""Who does it anyway: the outcome with treatment, which is no uplift; a baseline."""

from __future__ import annotations

from dataclasses import dataclass, field

from shoploom.evaluation.uplift import Trial
from shoploom.policies.regression import Boosting, Matrix, Mixture
from shoploom.policies.uplift.learner import LEARNERS, Effect, by_arm


@LEARNERS.register("response")
@dataclass(frozen=True)
class Response:
    """The outcome of those who are treated: who does it, moved or not.

    Attributes:
        trees: of the model.
    """

    trees: Boosting = field(default_factory=Boosting)

    def fit(self, features: Matrix, trial: Trial, *, seed: int = 0) -> Effect:
        """As in ``UpliftLearner``."""
        return Mixture(((1.0, by_arm(features, trial, self.trees, seed)[0]),))
