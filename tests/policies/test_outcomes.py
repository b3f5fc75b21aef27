"""Models of what comes of actions never saw the user they are asked about."""

from __future__ import annotations

import numpy as np
import pytest

from shoploom.evaluation.off_policy import judge
from shoploom.policies.outcomes import decisions_of, outcome_model
from shoploom.policies.regression import cross_fit, folds_of, regress


def test_rows_of_a_user_are_in_one_fold() -> None:
    users = np.array([f"u{n % 17}" for n in range(170)], dtype=object)
    folds = folds_of(users, 0)
    assert set(folds) == {0, 1, 2, 3, 4}
    for user in set(users):
        assert len(set(folds[users == user])) == 1
    told = cross_fit(folds, lambda rows: lambda asked: np.full(len(asked), float(len(rows))))
    np.testing.assert_array_equal(told, [170 - (folds == fold).sum() for fold in folds])


def test_little_or_constant_data_gives_the_mean() -> None:
    features = np.random.default_rng(0).normal(size=(50, 2))
    assert regress(features, np.arange(50.0)).predict(features[:2]).tolist() == [24.5, 24.5]
    assert regress(np.tile(features, (10, 1)), np.ones(500)).predict(features[:1]).tolist() == [1]
    assert regress(features, np.arange(50.0)).predict(features[:0]).shape == (0,)


def test_the_model_makes_a_policy_s_value_sure() -> None:
    draw = np.random.default_rng(0)
    n, k = 6000, 3
    x = draw.normal(size=(n, 2)).astype(np.float32)
    best = (x[:, 0] > 0).astype(int) + (x[:, 0] > 1)
    propensities = np.full((n, k), 1 / 3)
    action = draw.integers(0, k, n)
    reward = 3.0 * (action == best) + x[:, 1] + draw.normal(size=n) * 0.1
    modelled = outcome_model(x, action, reward, np.arange(n).astype(str).astype(object), np.eye(k))
    assert modelled.shape == (n, k)
    assert (modelled.argmax(1) == best).mean() > 0.9
    judged = np.eye(k)[best]
    users = np.arange(n).astype(str).astype(object)
    found = judge(
        decisions_of(
            users,
            action,
            reward,
            propensities[:, 0],
            judged,
            modelled=modelled,
            propensities=propensities,
        )
    )
    assert found.refused is None
    truth = 3 + x[:, 1].mean()
    wide, narrow = found.estimates["ipw"], found.estimates["dr"]
    assert narrow.low <= truth <= narrow.high
    assert (narrow.high - narrow.low) < (wide.high - wide.low) / 3


def test_no_context_is_a_model_of_actions_alone() -> None:
    action = np.arange(900) % 3
    reward = action.astype(float)
    users = np.arange(900).astype(str).astype(object)
    told = outcome_model(np.empty((900, 0)), action, reward, users, np.eye(3))
    assert told[0].tolist() == pytest.approx([0, 1, 2], abs=0.2)
