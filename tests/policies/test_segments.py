"""Groups of users: planted ones are found, small ones are shown to nobody, lists stay put."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from shoploom.core.errors import DataError
from shoploom.policies.segments import (
    Space,
    distinguishing,
    explained,
    explained_difference,
    find_segments,
)


def _planted(n: int = 600, k: int = 4, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    draw = np.random.default_rng(seed)
    group = draw.integers(0, k, n)
    centres = 3 * draw.normal(size=(k, 5))
    return {
        "habits": centres[group] + draw.normal(size=(n, 5)),
        "tastes": 100 * np.eye(k)[group] + 30 * draw.normal(size=(n, k)),
    }, group


def test_planted_groups_and_their_number_are_found() -> None:
    blocks, group = _planted()
    found = find_segments(blocks, seed=1)
    assert len(found) == 4
    assert found.stability[4][0] > 0.9
    told = found.assign(blocks)
    assert adjusted_rand_score(group, told) > 0.9
    assert (np.diff(np.bincount(told)) <= 0).all()  # the largest first
    np.testing.assert_array_equal(find_segments(blocks, seed=1).assign(blocks), told)


def test_a_block_s_unit_decides_nothing() -> None:
    blocks, _ = _planted()
    other = {"habits": blocks["habits"] * 1000, "tastes": blocks["tastes"] - 7}
    one, two = (find_segments(b, k=4).assign(b) for b in (blocks, other))
    assert adjusted_rand_score(one, two) > 0.99
    assert Space.of({"same": np.ones((9, 2)), "x": blocks["habits"]}).means.keys() == {"x"}


def test_small_groups_are_joined_to_their_nearest() -> None:
    draw = np.random.default_rng(0)
    places = np.concatenate([draw.normal(size=(200, 2)), draw.normal(size=(3, 2)) + 50])
    found = find_segments({"x": places}, k=2, fewest=20)
    assert found.merged == 1
    assert len(found) == 1
    with pytest.raises(DataError, match="at least 40 users"):
        find_segments({"x": places[:30]})
    with pytest.raises(DataError, match="alike"):
        find_segments({"x": np.ones((100, 2))})


def test_users_move_only_when_clearly_nearer_to_another_group() -> None:
    blocks, _ = _planted()
    found = find_segments(blocks, k=4)
    draw = np.random.default_rng(1)
    before = found.assign(blocks)
    moved = {
        name: rows + 1.0 * rows.std() * draw.normal(size=rows.shape)
        for name, rows in blocks.items()
    }
    held, plain = found.assign(moved, before), found.assign(moved)
    assert (held == before).mean() > (plain == before).mean()
    new = np.full(len(before), -1)
    np.testing.assert_array_equal(found.assign(moved, new), plain)


def test_what_groups_explain_is_the_share_of_the_spread_between_them() -> None:
    users = np.arange(400).astype(str).astype(object)
    groups = np.arange(400) % 2
    draw = np.random.default_rng(0)
    outcome = np.stack([groups * 2.0, np.zeros(400)], axis=1) + draw.normal(size=(400, 2))
    mean = outcome.mean(0)
    between = sum(((outcome[groups == g].mean(0) - mean) ** 2).sum() * 200 for g in (0, 1))
    expected = between / ((outcome - mean) ** 2).sum()
    found = explained(groups, outcome, users)
    assert found.value == pytest.approx(expected)
    assert found.low < expected < found.high
    chance = draw.permutation(groups)
    assert explained_difference(groups, chance, outcome, users).low > 0


def test_groups_are_told_by_what_sets_them_apart() -> None:
    numbers = np.zeros((100, 3))
    numbers[:50, 1], numbers[50:, 1] = 0.8, -0.6
    numbers[:, 2] = np.linspace(-0.1, 0.1, 100)[np.random.default_rng(0).permutation(100)]
    first, second = distinguishing(numbers, np.repeat([0, 1], 50), ("a", "b", "c"), most=1)
    assert first == [("b", pytest.approx(0.8))]
    assert second == [("b", pytest.approx(-0.6))]
