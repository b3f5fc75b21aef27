import numpy as np

from shoploom.evaluation import head_items, slices
from tests.evaluation.asked import questions, ragged


def as_lists(found):
    return {
        name: {value: rows.tolist() for value, rows in values.items()}
        for name, values in found.items()
    }


def test_users_are_new_until_thirty_days_or_when_never_seen():
    found = slices(questions([0] * 4), tenure_days=np.array([30, 29.9, np.nan, 400]))
    assert as_lists(found) == {"user": {"new": [1, 2], "returning": [0, 3]}}


def test_activity_is_cut_into_thirds_and_keeps_equals_together():
    found = slices(questions([0] * 6), history=np.array([1, 9, 2, 8, 3, 7]))
    assert as_lists(found)["activity"] == {"low": [0, 2], "middle": [4, 5], "high": [1, 3]}
    equal = slices(questions([0] * 3), history=np.array([5, 5, 5]))
    assert as_lists(equal)["activity"] == {"low": [0, 1, 2]}


def test_the_head_is_the_top_fifth_of_the_items():
    counts = {f"i{i}": float(i % 5) for i in range(10)}
    assert head_items(counts) == {"i4", "i9"}
    assert head_items({"a": 1, "b": 1}) == {"a"}


def test_a_ranking_is_sliced_by_the_first_item_that_came():
    counts = {"a": 90, "b": 6, "c": 5, "d": 1, "e": 2}
    asked = questions(ragged([["a", "c"], ["b"], [], ["c"], ["unknown"]]))
    found = as_lists(slices(asked, counts=counts))
    assert found["item"] == {"head": [0], "tail": [1, 3, 4]}
    assert found["item_history"] == {"unseen": [4], "rare": [3], "common": [0, 1]}


def test_subjects_are_sliced_by_the_first_part_of_their_category():
    asked = questions([0] * 6, subjects=["a", "b", "c", "d", "e", "a"])
    paths = {"a": "Food > Tea", "b": "Food", "c": "Toys > Dolls", "d": "Home"}
    found = slices(asked, categories=paths, largest=2)
    assert as_lists(found) == {"category": {"Food": [0, 1, 5], "Home": [3], "other": [2]}}


def test_nothing_given_is_nothing_sliced():
    assert slices(questions([0, 1])) == {}
    assert slices(questions([0, 1]), counts={"a": 1}, categories={"a": "x"}) == {}


def test_cold_users_have_a_slice_of_their_own():
    found = slices(questions([0] * 5), history=np.array([0, np.nan, 5, 6, 1]))
    assert as_lists(found)["user_history"] == {"none": [0, 1], "few": [2, 4], "many": [3]}
