import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoploom.evaluation import deciles, score
from tests.evaluation import twins
from tests.evaluation.asked import questions, valued

judged = st.lists(
    st.tuples(st.integers(0, 12).map(lambda i: i / 4), st.integers(0, 5)), min_size=2, max_size=25
).filter(lambda rows: len({y for _, y in rows}) > 1)


@given(judged)
def test_every_metric_equals_its_plain_twin(rows):
    values, truth = (list(column) for column in zip(*rows, strict=True))
    scores = score("count", questions(truth), valued(values), resamples=0)
    n, mean = len(rows), sum(truth) / len(rows)
    squares = sum((p - y) ** 2 for p, y in rows)
    expected = {
        "mae": sum(abs(p - y) for p, y in rows) / n,
        "rmse": math.sqrt(squares / n),
        "bias": sum(p - y for p, y in rows) / n,
        "r2": 1 - squares / sum((y - mean) ** 2 for y in truth),
        "gini": twins.normalised_gini(values, truth),
        "poisson_deviance": twins.poisson_deviance(values, truth),
    }
    assert {name: s.value for name, s in scores.items()} == pytest.approx(expected, abs=1e-9)


@given(judged)
def test_a_perfect_order_has_a_gini_of_one(rows):
    truth = np.array([y for _, y in rows], dtype=float)
    scores = score("amount", questions(truth), valued(truth * 2 + 1), resamples=0)
    assert scores["gini"].value == pytest.approx(1)
    assert "poisson_deviance" not in scores


def test_equal_truths_leave_order_and_spread_undefined():
    scores = score("amount", questions([0.1] * 7), valued(np.arange(7.0)), resamples=20)
    assert scores["gini"].as_list() == [None, None, None]
    assert scores["r2"].as_list() == [None, None, None]
    assert scores["bias"].value == pytest.approx(2.9)


def test_deciles_go_from_the_lowest_prediction_to_the_highest():
    values = np.arange(100.0)
    table = deciles(values, values * 2)
    assert table.predicted.tolist() == [4.5 + 10 * i for i in range(10)]
    assert table.actual.tolist() == [9.0 + 20 * i for i in range(10)]
    assert table.n.tolist() == [10] * 10


def test_equal_predictions_share_a_decile():
    table = deciles(np.zeros(9), np.arange(9.0))
    assert table.as_dict() == {"predicted": [0.0], "actual": [4.0], "n": [9]}
