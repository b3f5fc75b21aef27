"""The long run: who leaves is missed, and the policy knows it."""

from __future__ import annotations

import numpy as np
import pytest

from shoploom.core.errors import DataError
from shoploom.policies.longterm import Visits, fit_longterm


def _visits(n: int = 6000, seed: int = 0) -> Visits:
    """Option 1 brings 2 instead of 1, and drives one in two away."""
    draw = np.random.default_rng(seed)
    taken = draw.integers(0, 2, n)
    options = np.tile(np.array([[0.0], [1.0]]), (n, 1, 1)).reshape(n, 2, 1)
    return Visits(
        user=draw.random((n, 1)),
        options=options,
        taken=taken,
        propensity=np.full(n, 0.5),
        reward=1.0 + taken + draw.normal(0, 0.1, n),
        other=np.zeros(n),
        stayed=draw.random(n) < np.where(taken == 1, 0.5, 1.0),
    )


def test_the_long_run_outweighs_a_quick_gain() -> None:
    visits = _visits()
    found = fit_longterm(visits, 5)
    some = visits.take(np.arange(50))
    assert (found.act(some, 1) == 1).all()
    assert (found.act(some, 5) == 0).all()
    assert (found.greedy().act(some, 5) == 1).all()
    # W(1) = 2, W(2) = max(1 + 2, 2 + 1) = 3, W(m) = 1 + W(m - 1) from there on.
    value = [v.predict(some.user).mean() for v in found.values]
    np.testing.assert_allclose(value, [2, 3, 4, 5, 6], atol=0.25)


def test_without_anybody_leaving_there_is_no_long_run() -> None:
    visits = _visits(200)
    with pytest.raises(DataError, match="who left"):
        fit_longterm(Visits(**{**vars(visits), "stayed": np.ones(200, dtype=bool)}), 3)
    with pytest.raises(DataError, match="propensities above 0"):
        Visits(**{**vars(visits), "propensity": np.zeros(200)})
