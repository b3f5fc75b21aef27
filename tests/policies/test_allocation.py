"""Who gets what within a budget, against trying everything."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoploom.policies.allocation import allocate, chosen_at, price_of_money


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 10_000), st.floats(0.1, 6))
def test_within_the_budget_and_nearly_the_best(n: int, k: int, seed: int, budget: float) -> None:
    draw = np.random.default_rng(seed)
    value = np.hstack([np.zeros((n, 1)), draw.normal(size=(n, k))])
    cost = np.hstack([np.zeros((n, 1)), draw.uniform(0, 2, size=(n, k))])
    chosen = allocate(value, cost, budget)
    rows = np.arange(n)
    assert cost[rows, chosen].sum() <= budget + 1e-9
    worth = [
        value[rows, list(options)].sum()
        for options in product(range(k + 1), repeat=n)
        if cost[rows, list(options)].sum() <= budget
    ]
    assert value[rows, chosen].sum() >= max(worth) - max(value.max(), 0) - 1e-9


def test_without_a_bound_everybody_gets_the_best() -> None:
    value = np.array([[0, 1.0, 2.0], [0, -1.0, -2.0]])
    cost = np.array([[0, 5.0, 5.0], [0, 1.0, 1.0]])
    assert allocate(value, cost).tolist() == [2, 0]
    assert allocate(value, cost, 4.0).tolist() == [0, 0]


def test_a_thousand_people_share_a_budget_by_what_money_brings() -> None:
    draw = np.random.default_rng(0)
    value = np.stack([np.zeros(1000), draw.exponential(size=1000)], axis=1)
    cost = np.tile([0.0, 1.0], (1000, 1))
    chosen = allocate(value, cost, 100.0)
    assert chosen.sum() == 100
    assert value[chosen == 1, 1].min() >= np.sort(value[:, 1])[-100] - 1e-12
    assert cost[np.arange(1000), chosen].sum() == pytest.approx(100)


def test_a_price_of_money_decides_for_one_as_for_all() -> None:
    draw = np.random.default_rng(0)
    value = np.stack([np.zeros(1000), *draw.normal(size=(2, 1000))], axis=1)
    cost = np.tile([0.0, 1.0, 0.5], (1000, 1))
    price = price_of_money(value, cost, 150.0)
    alone = np.array([chosen_at(value[[n]], cost[[n]], price)[0] for n in range(1000)])
    spent = cost[np.arange(1000), alone].sum()
    assert 148 < spent <= 150
    assert (alone != allocate(value, cost, 150.0)).sum() <= 2
    assert price_of_money(value, cost) == 0
