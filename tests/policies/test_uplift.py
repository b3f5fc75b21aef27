"""Contracts of uplift learners on a trial whose effects are known."""

from __future__ import annotations

import numpy as np
import pytest

from shoploom.evaluation.uplift import Trial, uplift_score
from shoploom.policies.regression import Boosting
from shoploom.policies.uplift import LEARNERS, effects_of_others

N = 3000
TREES = Boosting(rounds=60, learning_rate=0.1)


def _planted(seed: int = 0) -> tuple[np.ndarray, Trial, np.ndarray]:
    """The first column says who is moved, the second who buys anyway, the third nothing."""
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(N, 3)).astype(np.float32)
    effect = np.where(features[:, 0] > 0, 0.25, -0.05)
    base = np.where(features[:, 1] > 0, 0.5, 0.2)
    chance = np.where(features[:, 2] > 0, 0.5, 0.35)
    treated = draw.random(N) < chance
    outcome = (draw.random(N) < base + effect * treated).astype(float)
    features[::50, 2] = np.nan
    return (
        features,
        Trial(np.arange(N).astype(str).astype(object), treated, outcome, chance),
        effect,
    )


@pytest.mark.parametrize("name", LEARNERS.names())
def test_learners_keep_their_contract(name: str) -> None:
    if name == "forest":
        pytest.importorskip("econml", reason="the extra policies is not installed")
    features, trial, effect = _planted()
    size = {"size": 100} if name == "forest" else {}
    learner = LEARNERS.make(name, trees=TREES, **size)
    learned = learner.fit(features, trial, seed=3)
    told = learned(features)
    assert told.shape == (N,)
    assert np.isfinite(told).all()
    # The same seed tells the same; the order of those asked changes nothing.
    np.testing.assert_array_equal(learner.fit(features, trial, seed=3)(features), told)
    np.testing.assert_allclose(learned(features[::-1])[::-1], told)
    others = effects_of_others(learner, features, trial, seed=3)
    if name == "response":  # knows who buys, not who is moved
        assert np.corrcoef(told, features[:, 1] > 0)[0, 1] > 0.5
        return
    assert np.corrcoef(others, effect)[0, 1] > 0.6
    assert uplift_score(trial, others)["qini"].low > 0
    assert abs(others.mean() - effect.mean()) < 0.05


def test_effects_are_told_by_other_people() -> None:
    features, trial, _ = _planted()
    draw = np.random.default_rng(5)
    noise = Trial(
        trial.users, trial.treated, (draw.random(N) < 0.3).astype(float), trial.propensity
    )
    others = effects_of_others(LEARNERS.make("t", trees=TREES), features, noise, seed=0)
    # Nothing is to be found, and nothing was learned by heart.
    assert uplift_score(noise, others)["qini"].low < 0
