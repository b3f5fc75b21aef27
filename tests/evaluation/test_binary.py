import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shoploom.core.errors import ConfigError
from shoploom.evaluation import (
    auroc,
    calibration,
    gains,
    score,
    threshold_by_cost,
    threshold_by_f1,
    threshold_by_share,
)
from shoploom.evaluation.bins import equal_mass_bins
from tests.evaluation import twins
from tests.evaluation.asked import questions, valued

# Few distinct values, so that ties are common.
judged = st.lists(
    st.tuples(st.integers(0, 8).map(lambda i: i / 8), st.integers(0, 1)), min_size=2, max_size=30
).filter(lambda rows: 0 < sum(y for _, y in rows) < len(rows))


@given(judged)
def test_every_metric_equals_its_plain_twin(rows):
    values, truth = (list(column) for column in zip(*rows, strict=True))
    scores = score("binary", questions(truth), valued(values), resamples=0, threshold=0.5)
    hits, alarms, misses = twins.confusion(values, truth, 0.5)
    n = len(values)
    expected = {
        "auroc": twins.auroc(values, truth),
        "auprc": twins.auprc(values, truth),
        "lift@10%": twins.captured(values, truth, n / 10) / sum(truth) / 0.1,
        "accuracy": 1 - (alarms + misses) / n,
        "precision": hits / (hits + alarms) if hits + alarms else np.nan,
        "recall": hits / (hits + misses),
        "f1": 2 * hits / (2 * hits + alarms + misses),
        "log_loss": twins.log_loss(values, truth),
        "brier": sum((p - y) ** 2 for p, y in rows) / n,
        "ece": calibration(np.array(values), np.array(truth)).ece,
    }
    assert {name: s.value for name, s in scores.items()} == pytest.approx(expected, nan_ok=True)


@given(judged)
def test_auroc_knows_only_the_order(rows):
    values, truth = (np.array(column) for column in zip(*rows, strict=True))
    assert auroc(np.exp(3 * values), truth) == pytest.approx(auroc(values, truth))
    assert auroc(-values, truth) == pytest.approx(1 - auroc(values, truth))


@pytest.mark.parametrize("answer", [0, 1])
def test_one_class_only_leaves_order_undefined(answer):
    scores = score("binary", questions([answer] * 4), valued([0.1, 0.2, 0.6, 0.9]), resamples=20)
    for name in ("auroc", "auprc", "lift@10%"):
        assert np.isnan(scores[name].value)
        assert scores[name].as_list() == [None, None, None]
        assert scores[name].n == 4
    assert scores["accuracy"].value == 0.5


def test_no_rows_are_undefined_and_no_error():
    scores = score("binary", questions([]), valued([]), resamples=20)
    assert {s.n for s in scores.values()} == {0}
    assert all(np.isnan(s.value) for s in scores.values())


def test_calibration_compares_what_was_said_with_what_came():
    values = np.repeat([0.2, 0.7], 10)
    truth = np.concatenate((np.arange(10) < 2, np.arange(10) < 5)).astype(float)
    curve = calibration(values, truth)
    assert curve.predicted == pytest.approx([0.2, 0.7])
    assert curve.observed == pytest.approx([0.2, 0.5])
    assert curve.n.tolist() == [10, 10]
    assert curve.ece == pytest.approx(0.1)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=80), st.integers(1, 12))
def test_bins_keep_the_order_and_equal_scores_together(scores, bins):
    scores = np.array(scores)
    codes = equal_mass_bins(scores, bins)
    order = np.argsort(scores, kind="stable")
    assert (np.diff(codes[order]) >= 0).all()
    assert all(len(set(codes[scores == score])) == 1 for score in scores)
    assert sorted(set(codes)) == list(range(codes.max() + 1))
    assert codes.max() < bins


@given(st.integers(1, 10), st.integers(1, 20))
def test_bins_of_distinct_scores_are_of_equal_mass(bins, each):
    codes = equal_mass_bins(np.arange(bins * each), bins)
    assert np.ptp(np.bincount(codes)) <= 1


@given(judged)
def test_no_threshold_has_a_better_f1(rows):
    values, truth = (np.array(column) for column in zip(*rows, strict=True))

    def f1(threshold):
        hits, alarms, misses = twins.confusion(values, truth, threshold)
        return 2 * hits / (2 * hits + alarms + misses)

    chosen = f1(threshold_by_f1(values, truth).value)
    assert chosen == pytest.approx(max(f1(threshold) for threshold in [*values, 2]))


@given(judged, st.integers(0, 5), st.integers(0, 5))
def test_no_threshold_costs_less(rows, miss_cost, alarm_cost):
    values, truth = (np.array(column) for column in zip(*rows, strict=True))

    def cost(threshold):
        _, alarms, misses = twins.confusion(values, truth, threshold)
        return misses * miss_cost + alarms * alarm_cost

    chosen = threshold_by_cost(values, truth, miss_cost=miss_cost, alarm_cost=alarm_cost)
    assert cost(chosen.value) == min(cost(threshold) for threshold in [*values, 2])


@given(judged, st.integers(1, 10).map(lambda i: i / 10))
def test_a_share_is_never_exceeded(rows, share):
    values = np.array([value for value, _ in rows])
    threshold = threshold_by_share(values, share).value
    assert np.mean(values >= threshold) <= share
    lower = values[values < threshold]
    assume(len(lower))
    assert np.mean(values >= lower.max()) > share


def test_thresholds_say_how_they_were_chosen():
    values, truth = np.array([0.1, 0.6, 0.8]), np.array([0, 1, 1])
    assert threshold_by_f1(values, truth).value == 0.6
    assert threshold_by_f1(values, truth).rule == "best F1 on validation"
    assert "no validation answer was yes" in threshold_by_f1(values, np.zeros(3)).rule
    assert "5 a miss" in threshold_by_cost(values, truth, miss_cost=5, alarm_cost=1).rule
    assert threshold_by_share(values, 0.34).rule == "the top 34% on validation"
    with pytest.raises(ConfigError, match="above 0"):
        threshold_by_share(values, 0.0)


@given(judged)
def test_gains_rise_from_nothing_to_everything(rows):
    values, truth = (np.array(column) for column in zip(*rows, strict=True))
    curve = gains(values, truth, points=7)
    expected = [twins.captured(values, truth, s * len(rows)) / truth.sum() for s in curve.share]
    assert curve.captured == pytest.approx(expected)
    assert (np.diff(curve.captured) >= 0).all()


def test_gains_without_positives_are_undefined():
    assert np.isnan(gains(np.array([0.2, 0.1]), np.zeros(2)).captured).all()
