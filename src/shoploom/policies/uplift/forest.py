"""A generalised random forest on residuals (Athey, Tibshirani and Wager 2019), by econml."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec

import numpy as np

from shoploom.core.errors import DataError
from shoploom.evaluation.uplift import Trial
from shoploom.policies.regression import Boosting, Matrix
from shoploom.policies.uplift.learner import LEARNERS, Effect, outcomes_of_others


@LEARNERS.register("forest")
@dataclass(frozen=True)
class CausalForest:
    """econml's generalised random forest on residuals of outcome and treatment.

    Attributes:
        size: trees of the forest.
        min_rows: in a leaf of them.
        trees: of the models of the outcome.
    """

    size: int = 400
    min_rows: int = 50
    trees: Boosting = field(default_factory=Boosting)

    def fit(self, features: Matrix, trial: Trial, *, seed: int = 0) -> Effect:
        """As in ``UpliftLearner``.

        Raises:
            DataError: econml is not installed.
        """
        if find_spec("econml") is None:
            raise DataError(
                "uplift learner 'forest': expected the package econml, found it nowhere; "
                "run: pip install 'shoploom[policies]', or take the learner dr."
            )
        from econml.grf import CausalForest as Forest

        with_it, without = outcomes_of_others(features, trial, self.trees, seed)
        chance = trial.propensity
        mean = chance * with_it + (1 - chance) * without
        filled = _filled(features)
        forest = Forest(
            n_estimators=self.size, min_samples_leaf=self.min_rows, random_state=seed, n_jobs=1
        )
        forest.fit(filled, trial.treated - chance, trial.outcome - mean)
        return lambda asked: np.asarray(forest.predict(_filled(asked))).reshape(-1)


def _filled(features: Matrix) -> Matrix:
    """Unknown numbers as one that is below all others: a split of its own."""
    return np.where(np.isfinite(features), features, -1e6)
