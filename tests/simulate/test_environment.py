"""The environment keeps gymnasium's contract, and its clairvoyant value is the best there is."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from shoploom.simulate.environment import (
    Rules,
    ShopEnv,
    clairvoyant,
    myopic,
    observe,
    outcomes,
    play,
)
from tests.simulate.planted import clean_spec


@pytest.fixture(scope="module")
def env() -> ShopEnv:
    return ShopEnv(clean_spec(users=40, items=120, days=30))


def test_it_keeps_gymnasiums_contract(env: ShopEnv) -> None:
    from gymnasium.utils.env_checker import check_env

    with warnings.catch_warnings():
        # It was made without gymnasium.make, so its render modes cannot be tried; it has none.
        warnings.filterwarnings("ignore", message=".*environment not having a spec")
        check_env(env)


def test_the_same_seed_plays_the_same_season(env: ShopEnv) -> None:
    def act(env: ShopEnv) -> np.ndarray:
        return np.array([2, 0, 3])

    assert play(env, act, 3, seed=5) == pytest.approx(play(env, act, 3, seed=5))
    assert play(env, act, 1, seed=5) != pytest.approx(play(env, act, 1, seed=6))


def test_the_clairvoyant_earns_what_its_value_says(env: ShopEnv) -> None:
    best = clairvoyant(env, samples=400)
    earned = play(env, best.act, 40, seed=1)
    error = earned.std() / np.sqrt(len(earned))
    assert abs(earned.mean() - best.value) < 3 * error


def test_nobody_earns_more_than_the_clairvoyant() -> None:
    # Where staying is worth much and leaving is easy, looking ahead pays.
    env = ShopEnv(clean_spec(users=40, items=120, days=30), Rules(visits=20, leaves_unsuited=0.5))
    best = clairvoyant(env, samples=100)
    env.action_space.seed(0)
    clever = play(env, best.act, 25, seed=1).mean()
    short_sighted = play(env, myopic, 25, seed=1).mean()
    careless = play(env, lambda env: env.action_space.sample(), 25, seed=1).mean()
    assert clever > 1.1 * short_sighted
    assert short_sighted > 1.5 * careless


def test_a_dearer_price_sells_less_at_the_planted_elasticity(env: ShopEnv) -> None:
    env.reset(seed=0)
    mean = outcomes(env.world, env.rules, env.contexts)
    assert (np.diff(mean.stays_item, axis=2) >= 0).all()  # fewer buy, fewer are let down
    assert mean.profit.shape == (40 * env.rules.visits, env.rules.candidates, 5)


def test_what_is_observed_hides_taste_group_and_quality(env: ShopEnv) -> None:
    from dataclasses import replace

    env.reset(seed=0)
    left = np.ones(len(env.contexts))
    users, items = env.world.users, env.world.items
    other = replace(
        env.world,
        users=replace(users, group=users.group[::-1], taste_style=-users.taste_style),
        items=replace(items, quality=-items.quality, style=-items.style),
    )
    same = observe(other, env.contexts, left)
    assert np.array_equal(same, observe(env.world, env.contexts, left))


def test_who_has_left_does_not_come_again() -> None:
    rules = Rules(asks=1.0, leaves_unsuited=1.0, leaves_suited=1.0)
    env = ShopEnv(clean_spec(users=10, items=60, days=14), rules)
    env.reset(seed=0)
    steps, over = 0, False
    while not over:
        _, _, over, _, info = env.step(np.array([2, 0, 0]))
        steps += 1
        assert info["left"]
    assert steps == 10
