"""Orders of people by how much a treatment moves them, judged."""

from __future__ import annotations

import numpy as np
import pytest

from shoploom.core.errors import DataError
from shoploom.evaluation.uplift import Trial, gain_curve, uplift_compare, uplift_score


def _trial(n: int = 4000, seed: int = 0, chance: float = 0.5) -> tuple[Trial, np.ndarray]:
    """Half of the people are moved by .3, the others put off by .1."""
    draw = np.random.default_rng(seed)
    effect = np.where(draw.random(n) < 0.5, 0.3, -0.1)
    treated = draw.random(n) < chance
    outcome = (draw.random(n) < 0.3 + effect * treated).astype(float)
    users = np.arange(n).astype(str).astype(object)
    return Trial(users, treated, outcome, np.full(n, chance)), effect


def test_gains_agree_with_hand_computation() -> None:
    n = 200
    treated = np.arange(n) % 2 == 0
    outcome = np.where(treated & (np.arange(n) < 100), 1.0, 0.0)
    trial = Trial(np.arange(n).astype(str).astype(object), treated, outcome, np.full(n, 0.5))
    found = uplift_score(trial, -np.arange(n), resamples=0)
    assert found["effect"].value == pytest.approx(0.5)
    assert found["uplift@10"].value == pytest.approx(1.0)
    # The gain rises to .5 at half of the people and stays there.
    assert found["auuc"].value == pytest.approx(0.375, abs=1e-3)
    assert found["qini"].value == pytest.approx(0.125, abs=1e-3)
    curve = gain_curve(trial, -np.arange(n), resamples=0)
    assert curve.gain[[0, 50, 100]].tolist() == pytest.approx([0, 0.5, 0.5])


def test_the_true_order_is_better_than_chance_and_its_reverse_worse() -> None:
    trial, effect = _trial()
    true = uplift_score(trial, effect)
    assert true["qini"].low > 0
    assert true["effect"].low < 0.1 < true["effect"].high
    assert true["uplift@30"].low < 0.3 < true["uplift@30"].high
    assert uplift_score(trial, -effect)["qini"].high < 0
    chance = uplift_score(trial, np.zeros(len(trial)))["qini"]
    assert chance.low < 0 < chance.high
    versus = uplift_compare(trial, {"true": effect, "none": np.zeros(len(trial))}, "true")
    assert versus["none"]["auuc"].low > 0


def test_unequal_chances_are_weighed() -> None:
    draw = np.random.default_rng(1)
    n = 20_000
    chance = np.where(draw.random(n) < 0.5, 0.8, 0.2)
    treated = draw.random(n) < chance
    # Who is likelier treated buys more anyway; the treatment does nothing.
    outcome = (draw.random(n) < chance).astype(float)
    trial = Trial(np.arange(n).astype(str).astype(object), treated, outcome, chance)
    effect = uplift_score(trial, draw.random(n))["effect"]
    assert effect.low < 0 < effect.high
    assert abs(effect.value) < 0.03


def test_a_trial_with_one_arm_is_refused() -> None:
    trial, _ = _trial(400)
    with pytest.raises(DataError, match="at least 30 untreated people, got 0"):
        Trial(trial.users, np.ones(400, dtype=bool), trial.outcome, trial.propensity)
    with pytest.raises(DataError, match="strictly between 0 and 1"):
        Trial(trial.users, trial.treated, trial.outcome, np.ones(400))
    with pytest.raises(DataError, match="shape"):
        Trial(trial.users, trial.treated, trial.outcome[:3], trial.propensity)
    with pytest.raises(DataError, match="finite scores"):
        uplift_score(trial, np.full(400, np.nan))
