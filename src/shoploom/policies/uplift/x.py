"""Effects imputed for each person from the other arm's model (Kunzel and others 2019)."""

from __future__ import annotations

from dataclasses import dataclass, field

from shoploom.evaluation.uplift import Trial
from shoploom.policies.regression import Boosting, Matrix, Mixture, regress
from shoploom.policies.uplift.learner import LEARNERS, Effect, outcomes_of_others


@LEARNERS.register("x")
@dataclass(frozen=True)
class XLearner:
    """Imputed effects of the treated and of the untreated, weighted by the chances.

    Attributes:
        trees: of each model.
    """

    trees: Boosting = field(default_factory=Boosting)

    def fit(self, features: Matrix, trial: Trial, *, seed: int = 0) -> Effect:
        """As in ``UpliftLearner``."""
        with_it, without = outcomes_of_others(features, trial, self.trees, seed)
        treated = trial.treated
        gained = regress(
            features[treated], (trial.outcome - without)[treated], seed=seed, settings=self.trees
        )
        missed = regress(
            features[~treated], (with_it - trial.outcome)[~treated], seed=seed, settings=self.trees
        )
        # The larger arm's model is the better one, and imputes the other arm's effects.
        share = float(trial.propensity.mean())
        return Mixture(((share, missed), (1 - share, gained)))
