"""The protocols of the recommendation benchmarks: what may be learned from, what is asked."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders import (
    CUT,
    LAST,
    SECOND_LAST,
    WHOLE,
    one_user,
    read_leave_one_out,
    read_sessions,
    read_time_split,
)
from shoploom.core.errors import DataError, LeakageError
from shoploom.engines.popularity import Popularity
from shoploom.evaluation import score

BEAUTY = Path(__file__).parents[2] / "../shared/data/amazon_sequences/Beauty.txt"


def _histories(sequences, names=None) -> list[list[str]]:
    ids = sequences.items.ids if names is None else names
    return [
        ids[sequences.item[a:b]].tolist()
        for a, b in zip(sequences.offsets[:-1], sequences.offsets[1:], strict=True)
    ]


@pytest.fixture
def orders(tmp_path) -> Path:
    path = tmp_path / "orders.txt"
    path.write_text("1 a b c d\n2 a c\n3 b a d\n\n4 c b a d e\n")
    return path


def test_the_last_item_is_the_test_and_the_one_before_it_validation(orders):
    data = read_leave_one_out(orders)
    named = dict(zip(data.everything.items.ids, data.item_names, strict=True))
    assert [named[i] for i in data.test.answers.values] == ["d", "d", "e"]
    assert [named[i] for i in data.validation.answers.values] == ["c", "a", "d"]
    assert data.test.exclude_seen


def test_asking_shows_all_but_the_last_and_training_all_but_two(orders):
    data = read_leave_one_out(orders)
    shown = _histories(data.inputs.sequences(LAST), data.item_names)
    assert shown == [["a", "b", "c"], ["b", "a"], ["c", "b", "a", "d"]]
    trained = _histories(data.inputs.upto(SECOND_LAST).sequences(SECOND_LAST), data.item_names)
    assert trained == [["a", "b"], ["b"], ["c", "b", "a"]]


def test_the_test_part_cannot_be_reached(orders):
    with pytest.raises(LeakageError):
        read_leave_one_out(orders).inputs.sequences(LAST + 1)


def test_items_are_renamed_by_the_seed(tmp_path):
    path = tmp_path / "orders.txt"
    path.write_text("\n".join(f"{u} " + " ".join(f"i{u + n}" for n in range(9)) for u in range(30)))
    one, again, other = (read_leave_one_out(path, seed=seed).item_names for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert sorted(one) == sorted(other)


def test_a_line_without_items_is_refused(tmp_path):
    path = tmp_path / "orders.txt"
    path.write_text("1 a b c\n2\n")
    with pytest.raises(DataError, match="a line without an item"):
        read_leave_one_out(path)


def test_one_user_is_a_history_of_its_own(orders):
    history = read_leave_one_out(orders).inputs.sequences(LAST)
    alone = one_user(history, 1)
    assert alone.users.ids.tolist() == [history.users.ids[1]]
    assert _histories(alone) == _histories(history)[1:2]


def test_beauty_popularity_is_the_published_one():
    if not BEAUTY.exists():
        pytest.skip("../shared/data/amazon_sequences/Beauty.txt is not here")
    data = read_leave_one_out(BEAUTY)
    fitted = Popularity().fit(data.inputs.upto(SECOND_LAST), {}, {})
    answers = fitted.answer(None, data.test.unanswered(), data.inputs, k=10)
    found = score("ranking", data.test, answers, resamples=20, ks=(10,))
    # Ties among items of equal count leave room in the fourth digit.
    assert found["hr@10"].value == pytest.approx(0.0115, abs=0.0002)
    assert found["ndcg@10"].value == pytest.approx(0.0055, abs=0.0002)


@pytest.fixture
def sessions(tmp_path) -> Path:
    train = [[n % 7, (n + 1) % 7, (n + 2) % 7] for n in range(40)]
    table = pa.table({"session_id": range(40), "items": train})
    pq.write_table(table, tmp_path / "train.parquet")
    test = pa.table({"items": [[1, 2], [99]], "target": [3, 98]})
    pq.write_table(test, tmp_path / "test.parquet")
    return tmp_path


def test_validation_sessions_are_the_last_tenth_and_are_cut(sessions):
    data = read_sessions(sessions)
    assert len(data.validation) == 4
    whole = _histories(data.inputs.sequences(WHOLE))
    cut = _histories(data.inputs.sequences(CUT))
    assert cut[:36] == whole[:36]
    for i, answer in enumerate(data.validation.answers.values):
        shown, full = cut[36 + i], whole[36 + i]
        assert 1 <= len(shown) < 3
        assert full[: len(shown) + 1] == [*shown, answer]


def test_test_prefixes_are_no_training_sessions(sessions):
    data = read_sessions(sessions)
    assert len(data.inputs.sequences(WHOLE)) == 40
    prefixes = data.asking.sequences(CUT)
    assert len(prefixes) == 2
    assert prefixes.lengths.tolist() == [2, 1]
    assert prefixes.item.tolist()[2] == -1  # an item that training never saw
    assert not data.test.exclude_seen
    assert data.test.answers.values[1] not in set(prefixes.items.ids)


def test_prefixes_and_training_name_items_alike(sessions):
    data = read_sessions(sessions)
    trained = data.inputs.sequences(WHOLE)
    prefix = data.asking.sequences(CUT)
    a, b = prefix.item[:2]
    follows = {
        (x, y)
        for row in _histories(trained, np.arange(len(trained.items)))
        for x, y in pairwise(row)
    }
    assert (a, b) in follows
    assert trained.items.ids[b] != data.test.answers.values[0]
    assert (b, trained.items.encode([data.test.answers.values[0]])[0]) in follows


def _ratings(path, rows):
    names = ("user_id", "item_id", "timestamp", "rating")
    pq.write_table(pa.table(dict(zip(names, zip(*rows, strict=True), strict=True))), path)
    return str(path)


def test_only_new_liked_items_are_asked_for(tmp_path):
    ms = 1_600_000_000_000
    train = _ratings(
        tmp_path / "train.parquet",
        [("ann", "a", ms, 5.0), ("bob", "b", ms + 1000, 2.0), ("ann", "b", ms + 95_000, 4.0)],
    )
    test = _ratings(
        tmp_path / "test.parquet",
        [
            ("ann", "b", ms + 100_000, 5.0),
            ("ann", "c", ms + 102_000, 5.0),
            ("ann", "a2", ms + 101_000, 4.0),
            ("bob", "a", ms + 105_000, 3.0),
            ("new", "a", ms + 106_000, 5.0),
        ],
    )
    items = tmp_path / "items.parquet"
    pq.write_table(pa.table({"item_id": ["a", "never rated"]}), items)
    data = read_time_split([train], test, str(items))
    assert data.moment == (ms + 100_000) * 1000
    assert data.test.users.tolist() == ["ann", "new"]
    assert data.test.answers.take(np.array([0])).values.tolist() == ["a2", "c"]
    assert data.dropped == 1
    assert data.validation.users.tolist() == ["ann"]
    assert data.validation.answers.values.tolist() == ["b"]
    assert data.validation.times.tolist() == [(ms + 94_000) * 1000]
    assert data.inputs.sequences(data.moment).items.ids.tolist() == ["a", "b", "never rated"]


def test_earlier_windows_end_where_the_next_begins(tmp_path):
    ms = 1_600_000_000_000
    days = [("ann", f"i{day:02d}", ms + day * 86_400_000, 5.0) for day in range(10)]
    train = _ratings(tmp_path / "train.parquet", days)
    coming = [("ann", "new", ms + day * 86_400_000, 5.0) for day in (10, 12)]
    test = _ratings(tmp_path / "test.parquet", coming)
    data = read_time_split([train], test, None)
    windows = [data.validation, *data.earlier]
    assert [asked.answers.values.tolist() for asked in windows] == [
        ["i08", "i09"],
        ["i06", "i07"],
        ["i04", "i05"],
        ["i02", "i03"],
        ["i00", "i01"],
    ]
    moments = [(int(asked.times[0]) // 1000 - ms) // 86_400_000 for asked in windows]
    assert moments == [8, 6, 4, 2, 0]
    assert len(read_time_split([train], test, None, earlier=2).earlier) == 2


def test_a_split_that_overlaps_is_refused(tmp_path):
    train = _ratings(tmp_path / "train.parquet", [("ann", "a", 20, 5.0)])
    test = _ratings(tmp_path / "test.parquet", [("ann", "b", 10, 5.0)])
    with pytest.raises(DataError, match="before the first test row"):
        read_time_split([train], test, None)
