"""Estimates from another policy's log: formulas by hand, intervals, and refusals in clear words."""

from __future__ import annotations

import numpy as np
import pytest

from shoploom.core.errors import DataError
from shoploom.evaluation.off_policy import (
    Decisions,
    compare_policies,
    judge,
    near_weights,
    slates,
    unsupported,
    weights,
)


def _users(n: int) -> np.ndarray:
    return np.arange(n).astype(str).astype(object)


def _by_hand() -> Decisions:
    # Four decisions between two actions, each drawn with chances .5, .25, .5 and .8.
    w = weights(np.array([0.5, 0.25, 0.5, 0.8]), np.array([1.0, 0.5, 0.0, 0.4]))
    return Decisions(
        _users(4),
        reward=np.array([1.0, 0.0, 2.0, 1.0]),
        weight=w,
        predicted=np.array([0.5, 0.2, 1.0, 0.5]),
        expected=np.array([0.5, 0.3, 0.4, 0.6]),
    )


def test_formulas_agree_with_hand_computation() -> None:
    found = judge(_by_hand(), resamples=0)
    assert _by_hand().weight.tolist() == [2.0, 2.0, 0.0, 0.5]
    value = {name: each.value for name, each in found.estimates.items()}
    assert value["ipw"] == pytest.approx((2 * 1 + 2 * 0 + 0 + 0.5 * 1) / 4, abs=1e-9)
    assert value["snipw"] == pytest.approx(2.5 / 4.5, abs=1e-9)
    assert value["dm"] == pytest.approx(0.45, abs=1e-9)
    # Corrections: 2 x .5, 2 x -.2, 0, .5 x .5.
    assert value["dr"] == pytest.approx(0.45 + (1.0 - 0.4 + 0.25) / 4, abs=1e-9)
    assert value["sndr"] == pytest.approx(0.45 + 0.85 / 4.5, abs=1e-9)
    assert found.logged.value == pytest.approx(1.0)
    assert found.effective == pytest.approx(4.5**2 / 8.25)
    assert found.threshold in (0.5, 1.25, 2.0)
    kept = np.array([2.0, 2.0, 0.0, 0.5]) <= found.threshold
    corrections = np.array([1.0, -0.4, 0.0, 0.25])
    assert value["switch_dr"] == pytest.approx(0.45 + (corrections * kept).sum() / 4, abs=1e-9)
    assert list(found.estimates) == ["ipw", "snipw", "dm", "dr", "sndr", "switch_dr"]


def test_weights_are_cut_and_counted() -> None:
    found = judge(_by_hand(), clip=1.0, resamples=0)
    assert found.estimates["ipw"].value == pytest.approx(1.5 / 4)
    assert found.clipped == 0.5
    assert found.mean_weight.value == pytest.approx(4.5 / 4)


def test_a_slate_counts_as_far_as_its_rewards_depend_on_it() -> None:
    reward = np.array([[1.0, 0.0], [0.0, 1.0]])
    propensity, probability = np.full((2, 2), 0.5), np.array([[1.0, 0.5], [0.5, 1.0]])
    ratios = np.array([[2.0, 1.0], [1.0, 2.0]])
    by_hand = {
        "independent": (ratios * reward).sum(),
        "cascade": (ratios.cumprod(1) * reward).sum(),
        "standard": (ratios.prod(1, keepdims=True) * reward).sum(),
    }
    for model, total in by_hand.items():
        decisions = slates(_users(2), reward, propensity, probability, model)  # type: ignore[arg-type]
        found = judge(decisions, resamples=0)
        assert found.estimates["ipw"].value == pytest.approx(total / 2)
    with pytest.raises(DataError, match="cascade"):
        slates(_users(2), reward, propensity, probability, "other")  # type: ignore[arg-type]


def _made_up(n: int, seed: int) -> tuple[Decisions, float]:
    """Two actions; the judged policy takes the better one three times in four."""
    draw = np.random.default_rng(seed)
    action = draw.random(n) < 0.3
    reward = (draw.random(n) < np.where(action, 0.5, 0.2)).astype(float)
    w = weights(np.where(action, 0.3, 0.7), np.where(action, 0.75, 0.25))
    predicted = np.where(action, 0.4, 0.1)  # a poor model
    return Decisions(_users(n), reward, w, predicted, np.full(n, 0.325)), 0.75 * 0.5 + 0.25 * 0.2


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    held = dict.fromkeys(("ipw", "snipw", "dr", "sndr", "switch_dr"), 0)
    for seed in range(60):
        decisions, truth = _made_up(800, seed)
        found = judge(decisions, resamples=200)
        assert found.refused is None
        for name in held:
            held[name] += found.estimates[name].low <= truth <= found.estimates[name].high
    assert min(held.values()) >= 52  # of 60: 95 % but for chance


def test_a_better_policy_is_found_better_than_the_logged_one() -> None:
    decisions, _ = _made_up(4000, 0)
    found = judge(decisions)
    assert found.minus_logged["sndr"].low > 0
    worse = Decisions(
        decisions.users, decisions.reward, np.ones(4000), decisions.predicted, decisions.predicted
    )
    assert compare_policies(decisions, worse).low > 0


def test_near_prices_count_for_the_wanted_one() -> None:
    draw = np.random.default_rng(0)
    price = draw.uniform(5, 15, 20_000)
    reward = price * np.maximum(2 - 0.1 * price, 0)
    w = near_weights(price, np.full(20_000, 0.1), np.full(20_000, 10.0), 1.0)
    found = judge(Decisions(_users(20_000), reward, w))
    assert found.refused is None
    assert found.estimates["snipw"].value == pytest.approx(10.0, rel=0.01)
    with pytest.raises(DataError, match="bandwidth"):
        near_weights(price, np.full(20_000, 0.1), price, 0.0)


@pytest.mark.parametrize("bad", [0.0, -0.1, 1.5, float("nan")])
def test_chances_that_cannot_be_are_refused(bad: float) -> None:
    with pytest.raises(DataError, match="row 1"):
        weights(np.array([0.5, bad]), np.array([0.5, 0.5]))
    if bad != 0.0:
        with pytest.raises(DataError, match="judged policy"):
            weights(np.array([0.5, 0.5]), np.array([0.5, bad]))


def test_too_little_support_gets_no_verdict() -> None:
    n = 500
    log = np.tile([1.0, 0.0], (n, 1))
    judged = np.tile([0.2, 0.8], (n, 1))
    lost = unsupported(log, judged)
    assert lost == pytest.approx(0.8)
    with_it = Decisions(_users(n), np.ones(n), np.full(n, 0.2), unsupported=lost)
    refused = judge(with_it).refused
    assert refused is not None
    assert "80%" in refused
    # The same without all chances at hand: weights average .2.
    refused = judge(Decisions(_users(n), np.ones(n), np.full(n, 0.2))).refused
    assert refused is not None
    assert "average 0.20" in refused
    few = np.zeros(n)
    few[:3] = n / 3
    refused = judge(Decisions(_users(n), np.ones(n), few)).refused
    assert refused is not None
    assert "worth 3 decisions" in refused


def test_bad_logs_are_refused_with_the_row() -> None:
    with pytest.raises(DataError, match="got none"):
        judge(Decisions(_users(0), np.empty(0), np.empty(0)))
    with pytest.raises(DataError, match="reward, got nan in row 1"):
        Decisions(_users(2), np.array([1.0, np.nan]), np.ones(2))
    with pytest.raises(DataError, match="shape"):
        Decisions(_users(2), np.ones(2), np.ones(3))
    with pytest.raises(DataError, match="or neither"):
        Decisions(_users(2), np.ones(2), np.ones(2), predicted=np.ones(2))
    with pytest.raises(DataError, match="at least 0"):
        Decisions(_users(2), np.ones(2), -np.ones(2))
