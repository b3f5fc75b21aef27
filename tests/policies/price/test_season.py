"""A season's plan: against all sequences by hand, and in the environment."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import poisson

from shoploom.core.errors import ConfigError
from shoploom.policies.price.season import Season, plan_season, value_of
from shoploom.simulate.season import SeasonEnv


def test_one_week_is_the_best_price_of_that_week() -> None:
    prices, rate = np.array([8.0, 10.0, 13.0]), np.array([[4.0, 2.5, 1.5]])
    plan = plan_season(Season(prices, rate, stock=3, salvage=1.0))
    by_hand = []
    for price, mean in zip(prices, rate[0], strict=True):
        sold = np.minimum(np.arange(60), 3)
        chance = poisson.pmf(np.arange(60), mean)
        by_hand.append(float(chance @ (price * sold + 1.0 * (3 - sold))))
    assert plan.value[0, 3] == pytest.approx(max(by_hand))
    assert plan.choice[0, 3] == int(np.argmax(by_hand))
    assert plan.value[0, 0] == 0


def test_scarce_stock_is_sold_dearer_and_late_stock_cheaper() -> None:
    prices = np.linspace(8, 14, 7)
    rate = np.tile(5 * (prices / 10) ** -2.0, (6, 1))
    plan = plan_season(Season(prices, rate, stock=60))
    assert plan.choice[0, 10] > plan.choice[0, 60]
    assert plan.choice[5, 20] <= plan.choice[0, 20]
    assert (np.diff(plan.value[0]) >= -1e-9).all()


def test_the_plan_brings_in_the_environment_what_it_says() -> None:
    env = SeasonEnv(stock=20, rates=[4.0] * 5, elasticity=2.0, price=10.0, salvage=2.0)
    season = Season(env.prices, env.rates, 20, 2.0)
    plan, totals = plan_season(season), []
    for episode in range(600):
        env.reset(seed=episode)
        left, total = 20, 0.0
        for week in range(5):
            _, reward, over, _, info = env.step(plan.choice[week, left])
            left, total = left - info["units"], total + reward
        assert over
        totals.append(total)
    error = 3 * np.std(totals) / np.sqrt(len(totals))
    assert abs(np.mean(totals) - plan.value[0, 20]) < error
    listed = np.full_like(plan.choice, 2)
    assert value_of(season, listed) < value_of(season, plan.choice)
    assert value_of(season, plan.choice) == pytest.approx(plan.value[0, 20])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="a rate for every price"):
        Season(np.array([1.0]), np.ones((2, 3)), 5)
