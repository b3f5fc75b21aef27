from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shoploom.core.time import DAY_US, SECOND_US
from shoploom.engines._ranking import Histories
from shoploom.engines.neural.tokens import batch_of, buckets, power_of_two


def _events(*rows: list[int], day: int = DAY_US) -> Histories:
    item = np.array([i for row in rows for i in row], dtype=np.int32)
    time = np.array([place * day for row in rows for place in range(len(row))], dtype=np.int64)
    offsets = np.cumsum([0, *map(len, rows)])
    return Histories(item, np.zeros(len(item), np.int8), time, offsets)


def test_a_batch_is_padded_on_the_right() -> None:
    events = _events([5, 6, 7], [8])
    batch = batch_of(events, np.array([3, 0]), np.array([1, 3]), n_items=9)
    assert batch.item.tolist() == [[8, 9, 9], [5, 6, 7]]
    assert batch.real.tolist() == [[True, False, False], [True, True, True]]
    assert batch.lengths.tolist() == [1, 3]
    np.testing.assert_allclose(batch.time[1].numpy(), [-2, -1, 0])


def test_a_row_may_be_read_in_part() -> None:
    events = _events([5, 6, 7, 8])
    batch = batch_of(events, np.array([1]), np.array([2]), n_items=9)
    assert batch.item.tolist() == [[6, 7]]
    assert batch.gap[0, 0] == 0  # nothing is known before the first that is read
    assert batch.gap[0, 1] > 1


def test_time_counts_in_powers_of_two() -> None:
    assert power_of_two(np.array([0.0, 1.0, 3.0, 1e12])).tolist() == [1, 2, 3, 31]
    assert power_of_two(np.array([-SECOND_US])).tolist() == [1]


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 100), st.booleans())
def test_buckets_hold_every_row_once_and_fit(
    lengths: list[int], tokens: int, shuffled: bool
) -> None:
    rng = np.random.default_rng(0) if shuffled else None
    own = np.array(lengths, dtype=np.int64)
    groups = list(buckets(own, tokens, rng))
    rows = np.concatenate(groups) if groups else np.array([], dtype=int)
    assert sorted(rows.tolist()) == np.flatnonzero(own).tolist()
    for group in groups:
        assert len(group) == 1 or own[group].max() * len(group) <= tokens
