"""The simple baseline: a regression that recovers what is planted and never surprises."""

from __future__ import annotations

import numpy as np
import pytest

from shoploom.core.errors import NotFitted
from shoploom.core.seeds import rng
from shoploom.engines import Inputs
from shoploom.engines.recency import Rfm, fit_regression
from shoploom.sequences import views
from shoploom.tables import Tables
from shoploom.tasks import make_task


def test_planted_weights_are_recovered() -> None:
    draw = rng(0, "planted")
    values = draw.normal(size=(20_000, 2))
    chance = 1 / (1 + np.exp(-(0.5 + 1.5 * values[:, 0])))
    answers = (draw.random(len(chance)) < chance).astype(float)
    found = fit_regression(values, answers, "binary", ridge=1e-6)
    assert np.abs(found.predict(values) - chance).max() < 0.05


def test_amounts_are_expected_in_the_shops_money() -> None:
    draw = rng(0, "planted")
    values = draw.normal(size=(20_000, 1))
    amounts = draw.poisson(np.exp(1 + values[:, 0])) * 100.0
    found = fit_regression(values, amounts, "amount", ridge=1e-6)
    assert found.predict(values).mean() == pytest.approx(amounts.mean(), rel=0.02)


@pytest.mark.parametrize("answer", [0.0, 1.0])
def test_one_answer_only_is_never_certain(answer: float) -> None:
    found = fit_regression(np.zeros((50, 2)), np.full(50, answer), "binary", ridge=1e-4)
    assert found.predict(np.zeros((1, 2)))[0] == pytest.approx(abs(answer - 0.5 / 51), abs=1e-6)


def test_unknown_numbers_have_a_weight_of_their_own() -> None:
    values = np.array([[1.0], [2.0], [np.nan], [np.nan]] * 50)
    answers = np.array([0.0, 0.0, 1.0, 1.0] * 50)
    found = fit_regression(values, answers, "binary", ridge=1e-4)
    assert found.predict(np.array([[np.nan]]))[0] > 0.9


def test_only_learned_tasks_are_answered(shop: Tables, shop_at: int) -> None:
    task, other = make_task("churn", window_days=14), make_task("spend", window_days=14)
    inputs = Inputs(until=shop_at, tables=shop, **views(shop))
    asked = task.ask(shop, shop_at - 14 * 86_400_000_000)
    fitted = Rfm().fit(inputs, {"churn": task}, {"churn": asked})
    with pytest.raises(NotFitted, match="rfm has learned churn, not 'spend'"):
        fitted.answer(other, other.ask(shop, shop_at, answered=False), inputs)
