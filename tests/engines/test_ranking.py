"""The exact top-k beneath the counting engines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from shoploom.core.errors import ConfigError, UnknownName
from shoploom.engines import _ranking
from shoploom.engines._ranking import Histories, action_weights, rank


def _histories(rows: list[list[int]]) -> Histories:
    item = np.array([i for row in rows for i in row], dtype=np.int32)
    return Histories(
        item,
        np.zeros(len(item), dtype=np.int8),
        np.arange(len(item), dtype=np.int64),
        np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64),
    )


@st.composite
def _problems(draw):
    n_items = draw(st.integers(1, 12))
    n = draw(st.integers(1, 6))
    # Few distinct values, so that ties abound.
    scores = draw(
        st.lists(
            st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=n_items, max_size=n_items),
            min_size=n,
            max_size=n,
        )
    )
    seen = draw(st.lists(st.lists(st.integers(0, n_items - 1), max_size=4), min_size=n, max_size=n))
    order = draw(st.permutations(range(n_items)))
    return (
        np.array(scores, dtype=np.float32),
        seen,
        np.array(order, np.int32),
        draw(st.integers(1, 14)),
    )


@given(_problems())
def test_the_ranking_is_that_of_a_full_sort(problem):
    scores, seen, order, k = problem
    place = np.argsort(order)
    masked = scores.copy()
    for row, items in enumerate(seen):
        masked[row, items] = 0
    got = rank(csr_matrix(masked), order, k, _histories(seen))
    for row, items in enumerate(seen):
        left = [i for i in range(len(order)) if i not in items]
        best = sorted(left, key=lambda i: (-masked[row, i], place[i]))[:k]
        expected = best + [-1] * (k - len(best))
        assert got.items[row].tolist() == expected
        assert got.scores[row].tolist() == [masked[row, i] if i >= 0 else 0 for i in expected]


@settings(max_examples=20)
@given(_problems())
def test_the_size_of_blocks_changes_nothing(problem):
    scores, _seen, order, k = problem
    whole = rank(csr_matrix(scores), order, k, None)
    before = _ranking._BLOCK_CELLS
    try:
        _ranking._BLOCK_CELLS = 1
        small = rank(csr_matrix(scores), order, k, None)
    finally:
        _ranking._BLOCK_CELLS = before
    assert np.array_equal(whole.items, small.items)
    assert np.array_equal(whole.scores, small.scores)


def test_scores_below_zero_are_no_candidates():
    scores = csr_matrix(np.array([[-1.0, 2.0, 0.0]], dtype=np.float32))
    got = rank(scores, np.array([2, 1, 0], dtype=np.int32), 2, _histories([[0]]))
    assert got.items.tolist() == [[1, 2]]


def test_an_unknown_action_is_refused_by_name():
    with pytest.raises(UnknownName, match="Did you mean 'purchase'"):
        action_weights({"purchas": 2})


def test_a_negative_weight_is_refused():
    with pytest.raises(ConfigError, match="at least 0, got -1"):
        action_weights({"view": -1})


def test_items_taken_back_do_not_count():
    from shoploom.core.columns import ACTIONS

    weights = dict(zip(ACTIONS, action_weights({"view": 0.5}), strict=True))
    assert (weights["return"], weights["remove"], weights["view"], weights["cart"]) == (
        0,
        0,
        0.5,
        1,
    )
