"""What the log of exposures says: chances, ads of late, guesses; worked out by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from shoploom.core.errors import DataError
from shoploom.core.time import DAY_US
from shoploom.policies.target import (
    Shown,
    _chances,
    _recent,
    choose,
    with_guessed_chances,
)


def test_only_ads_of_the_four_weeks_before_count_as_shown_of_late() -> None:
    users = np.array(["a", "b", "a", "a", "a", "b"], dtype=object)
    times = np.array([0, 1, 10, 27, 29, 40]) * DAY_US
    counted = np.array([True, True, False, True, True, True])
    assert _recent(users, times, counted).tolist() == [0, 0, 1, 1, 1, 0]
    # What comes later moves nothing that came before.
    later = counted.copy()
    later[4:] = False
    assert _recent(users, times, later)[:5].tolist() == [0, 0, 1, 1, 1]


def test_what_the_drawn_arm_leaves_is_shared_out_by_the_others_means() -> None:
    frame = pa.table({"user_id": ["a", "b", "c", "d"], "propensity": [0.5, 0.3, 0.2, 0.4]})
    found = _chances(frame, np.array([0, 1, 2, 0]), 3)
    assert found is not None
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_allclose(found[0], [0.5, 0.3, 0.2])
    np.testing.assert_allclose(found[1], [0.7 * 0.45 / 0.65, 0.3, 0.7 * 0.2 / 0.65])
    with pytest.raises(DataError, match="'b'"):
        _chances(pa.table({"user_id": ["a", "b"], "propensity": [0.5, 1.0]}), np.array([0, 1]), 2)
    assert _chances(pa.table({"user_id": ["a"]}), np.array([0]), 2) is None


def _unlogged(n: int = 8000) -> tuple[np.ndarray, Shown]:
    """The first column decides who gets the ad; above .9 everybody does."""
    draw = np.random.default_rng(0)
    features = draw.random((n, 1)).astype(np.float32)
    arm = (draw.random(n) < np.where(features[:, 0] > 0.9, 1.0, 0.5)).astype(np.int64)
    return features, Shown(
        np.arange(n).astype(str).astype(object),
        np.arange(n) * DAY_US,
        ("none", "ad"),
        arm,
        np.full((n, 2), np.nan),
        np.zeros(n),
        np.zeros(2),
        np.zeros(n),
        np.full(n, None, dtype=object),
        observational=True,
    )


def test_guessed_chances_are_near_and_leave_out_who_had_no_choice() -> None:
    features, log = _unlogged()
    found, kept = with_guessed_chances(log, features, seed=0)
    assert len(found) == len(kept) < len(log)
    assert found.users.tolist() == log.users[kept].tolist()
    np.testing.assert_allclose(found.chance.sum(axis=1), 1)
    inside = features[kept, 0] < 0.85
    assert abs(found.chance[inside, 1].mean() - 0.5) < 0.05
    assert (features[kept, 0] > 0.92).mean() < 0.02


def test_an_arm_is_chosen_where_it_brings_more_than_it_costs() -> None:
    effects = np.array([[0.0, 2.0, 1.0], [0.0, 0.4, 0.1], [0.0, -1.0, 3.0]])
    cost = np.array([0.0, 0.5, 0.5])
    assert choose(effects, cost).tolist() == [1, 0, 2]
    assert choose(effects, cost, value=0.1).tolist() == [0, 0, 0]
    assert choose(effects, cost, budget=0.5).tolist() == [0, 0, 2]
