"""A bandit learns what pays while it says how likely each option was."""

from __future__ import annotations

import numpy as np
import pytest

from shoploom.core.errors import ConfigError, DataError

pytest.importorskip("vowpalwabbit", reason="the extra `policies` is not installed")

from shoploom.policies.bandit import Bandit


@pytest.mark.parametrize("exploring", ["thompson", "optimism"])
def test_it_finds_what_pays_and_keeps_trying(exploring: str) -> None:
    draw = np.random.default_rng(0)
    bandit = Bandit(exploring, seed=1)  # type: ignore[arg-type]
    options = np.broadcast_to(np.eye(3), (400, 3, 3))
    context = draw.integers(0, 2, (400, 1)).astype(float)
    # Where the context is 1 the third option pays, else the first.
    pays = np.where(context[:, 0] == 1, 2, 0)
    reward = np.zeros(400)
    for start in range(0, 400, 20):
        some = slice(start, start + 20)
        chances = bandit.propensities(context[some], options[some])
        np.testing.assert_allclose(chances.sum(axis=1), 1)
        taken = np.array([draw.choice(3, p=p) for p in chances])
        reward[some] = taken == pays[some]
        own = chances[np.arange(20), taken]
        bandit.learn(context[some], options[some], taken, reward[some], own)
    assert reward[200:].mean() > reward[:100].mean()
    assert reward[200:].mean() > 0.8
    found = bandit.propensities(np.array([[0.0], [1.0]]), options[:2])
    assert found[0].argmax() == 0
    assert found[1].argmax() == 2
    assert (found > 0).all()
    with pytest.raises(DataError, match="propensities above 0"):
        bandit.learn(context[:1], options[:1], np.zeros(1, int), np.ones(1), np.zeros(1))
    bandit.close()


def test_another_way_is_refused() -> None:
    with pytest.raises(ConfigError, match="thompson or optimism"):
        Bandit("luck")  # type: ignore[arg-type]
