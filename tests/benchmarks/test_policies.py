"""What the benchmarks of uplift and off-policy estimates count on."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from off_policy import chances, coverage, estimate, wilson
from uplift import CONTROL, NUMBERS, WORDS, baselines, trial_of


def _log(n: int = 600, seed: int = 0) -> pa.Table:
    draw = np.random.default_rng(seed)
    item = draw.integers(0, 4, n)
    return pa.table(
        {
            "timestamp": [f"2020-01-01 00:00:{row:04d}" for row in range(n)],
            "item_id": item,
            "position": draw.integers(1, 4, n),
            "click": (draw.random(n) < 0.1 + 0.1 * item).astype(int),
            "propensity_score": np.full(n, 0.25),
            "user_feature_0": draw.choice(["a", "b"], n),
        }
    )


def test_chances_of_each_place_sum_to_one() -> None:
    found = chances(_log(), 5)
    assert found.shape == (3, 5)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found[:, 4] == 0).all()  # never logged, never chosen


def test_a_policy_is_estimated_to_bring_what_it_brought() -> None:
    found, truth = estimate(_log(seed=0), _log(seed=1), seed=0)
    assert found.refused is None
    each = found.estimates["snipw"]
    assert each.low <= truth.high  # two samples of the same clicks
    assert truth.low <= each.high
    assert found.mean_weight.value == pytest.approx(1, abs=0.05)


def test_made_up_logs_have_a_known_truth() -> None:
    held = coverage(6, seed=0)
    assert set(held) == {"ipw", "snipw", "dm", "dr", "sndr", "switch_dr"}
    assert held["snipw"] > 0.5
    low, high = wilson(0.9, 100)
    assert low < 0.9 < high < 0.96


def test_an_arm_is_compared_with_none() -> None:
    n = 300
    draw = np.random.default_rng(0)
    segment = draw.choice(["Mens E-Mail", "Womens E-Mail", CONTROL], n)
    table = pa.table(
        {
            **{name: draw.random(n) for name in NUMBERS},
            **{name: draw.choice(["x", "y"], n) for name in WORDS},
            "segment": segment,
            "visit": draw.integers(0, 2, n),
        }
    )
    features, trial = trial_of(table, "Mens E-Mail", "visit")
    assert len(trial) == len(features) == (segment != "Womens E-Mail").sum()
    assert trial.treated.sum() == (segment == "Mens E-Mail").sum()
    assert features.shape[1] == len(NUMBERS) + 4
    assert set(baselines(features, 0)) == {"random", "recency", "history"}
