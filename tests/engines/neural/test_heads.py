from __future__ import annotations

import numpy as np
import pytest
import torch

from shoploom.core.errors import DataError
from shoploom.engines.neural.heads import KINDS, Head, check_answers
from shoploom.tasks import Kind

DRAW = np.random.default_rng(0)
ANSWERS: dict[Kind, np.ndarray] = {
    "binary": (DRAW.random(4000) < 0.2).astype(float),
    "count": DRAW.poisson(1.7, 4000).astype(float),
    "amount": np.where(DRAW.random(4000) < 0.4, np.exp(DRAW.normal(3, 0.8, 4000)), 0.0),
    "ordinal": DRAW.choice(5, 4000, p=[0.1, 0.1, 0.2, 0.4, 0.2]).astype(float),
    "multiclass": DRAW.choice(3, 4000, p=[0.2, 0.5, 0.3]).astype(float),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_head_starts_from_what_is_usual(kind: Kind) -> None:
    answers, how = ANSWERS[kind], KINDS[kind]
    start = torch.tensor(how.start(answers)).expand(3, -1)
    expected = 1.0 if kind == "multiclass" else answers.mean()  # the commonest class
    np.testing.assert_allclose(how.answer(start).numpy(), expected, rtol=0.05)


@pytest.mark.parametrize("kind", ANSWERS)
def test_no_other_constant_has_a_smaller_loss(kind: Kind) -> None:
    how, answers = KINDS[kind], torch.from_numpy(ANSWERS[kind]).float()
    start = torch.tensor(how.start(ANSWERS[kind]))
    least = float(how.loss(start.expand(len(answers), -1), answers))
    for place in range(len(start)):
        for step in (-0.3, 0.3):
            other = start.clone()
            other[place] += step
            assert float(how.loss(other.expand(len(answers), -1), answers)) > least


def test_amounts_are_a_zero_or_a_lognormal() -> None:
    log_mean, spread, share = 2.0, 0.5, 0.3
    outputs = torch.tensor([[np.log(share / 0.7), log_mean, np.log(np.expm1(spread))]]).float()
    expected = share * np.exp(log_mean + spread**2 / 2)
    assert float(KINDS["amount"].answer(outputs)) == pytest.approx(expected, rel=1e-5)
    density = np.exp(-((np.log(9.0) - log_mean) ** 2) / 2 / spread**2)
    density /= 9.0 * spread  # less the constant root of two pi
    loss = float(KINDS["amount"].loss(outputs, torch.tensor([9.0])))
    assert loss == pytest.approx(-np.log(share * density), rel=1e-5)


def test_a_wild_amount_stays_finite() -> None:
    wild = torch.tensor([[50.0, 1e6, 1e6]])
    assert torch.isfinite(KINDS["amount"].answer(wild)).all()
    assert torch.isfinite(KINDS["count"].answer(torch.tensor([[1e6]]))).all()


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        ("binary", np.array([0.5])),
        ("count", np.array([-1.0])),
        ("ordinal", np.array([1.5])),
        ("amount", np.array([np.nan])),
        ("amount", None),
    ],
)
def test_answers_of_another_kind_are_refused(kind: Kind, answers: object) -> None:
    with pytest.raises(DataError, match="'spend'"):
        check_answers(answers, kind, "spend")


def test_a_head_knows_its_subjects() -> None:
    torch.manual_seed(0)
    head = Head(4, 2, 3, [0.0], dropout=0.0)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.05)
    subject = torch.tensor([1, 2, 3]).repeat(20)
    answers = (subject == 2).float()
    same = torch.zeros(60, 4), torch.zeros(60, 2), subject
    for _ in range(100):
        optimiser.zero_grad()
        KINDS["multilabel"].loss(head(*same), answers).backward()
        optimiser.step()
    found = KINDS["multilabel"].answer(head(*same))
    assert ((found > 0.5) == (answers > 0)).all()


def test_a_head_knows_nothing_of_users_before_it_learns() -> None:
    head = Head(10, 0, 0, [0.3], dropout=0.0, narrow=6)
    assert torch.equal(head(torch.randn(5, 10), torch.zeros(5, 0), None), torch.full((5, 1), 0.3))


def test_what_goes_the_narrow_way_is_learned_too() -> None:
    torch.manual_seed(0)
    head = Head(10, 0, 0, [0.0], dropout=0.0, narrow=6)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.02)
    profile = torch.randn(400, 10)
    answers = (profile[:, 0] > 0).float()
    for _ in range(200):
        optimiser.zero_grad()
        KINDS["binary"].loss(head(profile, torch.zeros(400, 0), None), answers).backward()
        optimiser.step()
    new = torch.randn(200, 10)
    found = KINDS["binary"].answer(head.eval()(new, torch.zeros(200, 0), None)) > 0.5
    assert (found == (new[:, 0] > 0)).float().mean() > 0.9
