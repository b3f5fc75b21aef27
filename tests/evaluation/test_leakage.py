import numpy as np
import pytest

from shoploom.core.errors import LeakageError
from shoploom.core.time import DAY_US
from shoploom.evaluation import check_features, check_questions
from shoploom.evaluation.leakage import shared_rows
from shoploom.tasks import concatenate
from tests.evaluation.asked import questions


def at(day, users=("a", "b"), subjects=None):
    return questions([0] * len(users), users, subjects, at=day * DAY_US)


def test_parts_that_keep_apart_pass():
    assert check_questions(at(10), at(20), at(30), window_days=10) is None
    empty = at(0, users=())
    assert check_questions(empty, at(20), at(30), window_days=10) is None


@pytest.mark.parametrize(
    ("train", "valid", "test", "message"),
    [
        (11, 20, 30, "every training window to end by the first validation moment 1970-01-21"),
        (10, 21, 30, "every validation window to end by the first test moment 1970-01-31"),
        (40, 20, 30, "every training window"),
    ],
)
def test_windows_that_reach_into_a_later_part_are_refused(train, valid, test, message):
    with pytest.raises(LeakageError, match=message):
        check_questions(at(train), at(valid), at(test), window_days=10)


def test_a_question_asked_again_is_refused_by_name():
    train = concatenate([at(10), at(30, users=("b",))])
    with pytest.raises(LeakageError, match=r"got 1 in both \(first: user 'b' at 1970-01-31\)"):
        check_questions(train, at(20, users=()), at(30), window_days=1)


def test_rows_are_shared_only_when_user_time_and_subject_agree():
    before = at(1, users=("a", "a", "b"), subjects=("x", "y", "x"))
    after = at(1, users=("a", "b", "b", "c"), subjects=("y", "y", "x", "x"))
    assert shared_rows(before, after).tolist() == [0, 2]
    assert shared_rows(before, at(2, users=("a",), subjects=("x",))).tolist() == []


def test_a_feature_that_gives_the_answer_away_is_reported():
    generator = np.random.default_rng(0)
    answers = np.repeat([0.0, 3.0], 40)
    values = np.column_stack(
        [
            generator.normal(answers, 3.0),
            -answers,
            np.where(answers > 0, 1.0, np.nan),
            generator.normal(size=80),
        ]
    )
    found = check_features(["informative", "inverted", "missing", "noise"], values, answers)
    assert {suspect.feature for suspect in found} == {"inverted", "missing"}
    assert [suspect.auroc for suspect in found] == [1.0, 1.0]


def test_too_few_answers_accuse_nobody():
    answers = np.concatenate((np.zeros(50), np.ones(9)))
    assert check_features(["same"], answers[:, None], answers) == ()
