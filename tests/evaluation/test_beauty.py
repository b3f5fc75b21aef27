"""Popularity on Amazon Beauty, leave-one-out: figures that others have published too."""

from pathlib import Path

import numpy as np
import pytest

from shoploom.core.ids import Vocabulary
from shoploom.evaluation import score
from shoploom.tasks import Answers, Questions, Ragged

BEAUTY = Path(__file__).parents[2] / "../shared/data/amazon_sequences/Beauty.txt"

pytestmark = pytest.mark.skipif(not BEAUTY.exists(), reason=f"no {BEAUTY.name} beside the project")


@pytest.fixture(scope="module")
def lines():
    return [line.split()[1:] for line in BEAUTY.read_text().splitlines()]


def most_popular(counts, seen, k):
    """``(n_users, k)`` the most counted items that each user has not seen; ties by code."""
    order = np.lexsort((np.arange(len(counts)), -counts))
    longest = max(map(len, seen))
    lists = np.empty((len(seen), k), dtype=np.int32)
    for row, mine in enumerate(seen):
        top = order[: k + longest]
        lists[row] = top[~np.isin(top, mine)][:k]
    return lists


@pytest.mark.parametrize(("held_out_counted", "expected"), [(False, 0.0115), (True, 0.0152)])
def test_popularity_scores_what_is_published(lines, held_out_counted, expected):
    catalogue = Vocabulary.of(item for line in lines for item in line)
    codes = [catalogue.encode(line) for line in lines]
    counted = np.concatenate([code if held_out_counted else code[:-2] for code in codes])
    counts = np.bincount(counted, minlength=len(catalogue))
    items = most_popular(counts, [code[:-1] for code in codes], 10)
    users = np.array([f"u{i}" for i in range(len(lines))], dtype=object)
    truth = Ragged(np.array([line[-1] for line in lines], dtype=object), np.arange(len(lines) + 1))
    asked = Questions("next_item", users, np.zeros(len(users), dtype=np.int64), answers=truth)
    answers = Answers("next_item", items=items, catalogue=catalogue)
    found = score("ranking", asked, answers, ks=(10,), resamples=100)["hr@10"]
    assert found.n == 22_363
    assert found.value == pytest.approx(expected, abs=5e-5)
    assert found.low < found.value < found.high
