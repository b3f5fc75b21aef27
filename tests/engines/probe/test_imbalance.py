"""What balancing promises: as much yes as no, and made-up rows like the real ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shoploom.engines.neural.heads import KINDS
from shoploom.engines.probe.calibration import Platt, fit_platt, prior_shift
from shoploom.engines.probe.features import Examples
from shoploom.engines.probe.gan import fit_gan
from shoploom.engines.probe.imbalance import (
    class_weights,
    focal,
    over_sampled,
    under_sampled,
    weighted,
)

ANSWERS = np.array([1.0] * 7 + [0.0] * 93)


@pytest.mark.parametrize("answers", [ANSWERS, 1 - ANSWERS])
def test_sampling_gives_balance(answers: np.ndarray) -> None:
    rows = over_sampled(answers, np.random.default_rng(0))
    assert answers[rows].mean() == 0.5
    times = np.bincount(rows, minlength=100)
    rare = answers == answers[0]
    assert (times[~rare] == 1).all()
    assert set(times[rare].tolist()) == {13, 14}
    rows = under_sampled(answers, np.random.default_rng(0))
    assert answers[rows].mean() == 0.5
    assert len(np.unique(rows)) == 14
    again = under_sampled(answers, np.random.default_rng(1))
    assert set(again.tolist()) != set(rows.tolist())


def test_weights_give_both_sorts_half() -> None:
    no, yes = class_weights(ANSWERS)
    assert 93 * no == pytest.approx(50)
    assert 7 * yes == pytest.approx(50)
    outputs, answers = torch.zeros(2, 1), torch.tensor([0.0, 1.0])
    assert weighted(outputs, answers, 2.0, 4.0).item() == pytest.approx(3 * np.log(2))


def test_focal_loss_is_that_of_the_paper() -> None:
    outputs = torch.tensor([[-2.0], [0.5], [3.0], [200.0]])
    answers = torch.tensor([0.0, 1.0, 1.0, 1.0])
    p = torch.sigmoid(torch.tensor([2.0, 0.5, 3.0, 200.0]))
    expected = (-((1 - p) ** 2) * torch.log(p)).mean()
    torch.testing.assert_close(focal(outputs, answers, 2.0), expected)
    torch.testing.assert_close(focal(outputs, answers, 0.0), KINDS["binary"].loss(outputs, answers))


def test_recalibration_finds_the_line_that_was_planted() -> None:
    draw = np.random.default_rng(0)
    said = draw.normal(size=20_000) * 2
    truth = (draw.random(20_000) < 1 / (1 + np.exp(-(0.5 * said - 2)))).astype(float)
    found = fit_platt(said, truth, start=Platt())
    assert found.slope == pytest.approx(0.5, abs=0.05)
    assert found.intercept == pytest.approx(-2, abs=0.1)


def test_recalibration_never_turns_the_order_round() -> None:
    said = np.linspace(-2, 2, 200)
    found = fit_platt(said, (said < 0).astype(float), start=Platt())
    assert found.slope > 0


def test_without_held_out_answers_the_prior_alone_is_corrected() -> None:
    start = Platt(intercept=prior_shift(0.5, 0.02))
    found = fit_platt(np.empty(0), np.empty(0), start=start)
    assert (found.slope, found.intercept) == (start.slope, start.intercept)
    assert found.probabilities(np.zeros(1))[0] == pytest.approx(0.02)


def _planted(n: int = 4000, n_rare: int = 250) -> tuple[Examples, np.ndarray, np.ndarray]:
    """Two Gaussians: the rarer one elsewhere, and with two numbers that go together."""
    draw = np.random.default_rng(0)
    mean = np.array([1.0, -1.0, 0.5, 0.0])
    covariance = np.eye(4)
    covariance[0, 1] = covariance[1, 0] = 0.7
    rows = draw.normal(size=(n, 4))
    rows[:n_rare] = draw.multivariate_normal(mean, covariance, n_rare)
    answers = (np.arange(n) < n_rare).astype(float)
    profile = torch.from_numpy(rows.astype(np.float32))
    pairs = torch.empty((n, 0))
    return Examples(profile, torch.arange(n), pairs, None, answers), mean, covariance


@pytest.mark.slow
def test_made_up_rows_have_the_means_and_spread_of_the_rarer_sort() -> None:
    examples, _, _ = _planted()
    real = examples.profile.numpy()[:250]
    made = fit_gan(examples, seed=0).draw(4000, np.random.default_rng(1))
    assert (made.answers == 1).all()
    rows = made.profile.numpy()
    assert np.abs(rows.mean(0) - real.mean(0)).max() < 0.15
    assert np.abs(np.cov(rows.T) - np.cov(real.T)).max() < 0.25
    assert np.corrcoef(rows.T)[0, 1] > 0.4  # of all rows together it is about 0
    assert len(np.unique(rows, axis=0)) == 4000  # none is copied


def test_made_up_rows_balance_each_batch(monkeypatch) -> None:
    monkeypatch.setattr("shoploom.engines.probe.gan._STEPS", 2)
    examples, _, _ = _planted(400, 40)
    gan = fit_gan(examples, seed=0)
    batch = gan.balance(examples.batch(np.arange(30, 130)), np.random.default_rng(0))
    assert batch.answers.mean() == 0.5
    assert len(batch.profile) == len(batch.pairs) == len(batch.answers) == 180
    full = examples.batch(np.arange(0, 80))
    assert gan.balance(full, np.random.default_rng(0)) is full
