import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoploom.evaluation import Estimate, compare, mean_interval, score
from shoploom.evaluation.amounts import AmountEvidence
from shoploom.evaluation.binary import BinaryEvidence
from shoploom.evaluation.intervals import _POISSON, Owners, Resampled, resample
from tests.evaluation import twins
from tests.evaluation.asked import questions, ragged, ranked, valued

users_of_rows = st.lists(st.integers(0, 4), min_size=3, max_size=12)


def names(codes):
    return np.array([f"u{code}" for code in codes], dtype=object)


def test_intervals_cover_the_mean_of_clustered_rows():
    generator = np.random.default_rng(1)
    covered = 0
    for trial in range(300):
        # Three rows a user that agree: rows taken for independent would cover about 0.74.
        user_effect = np.repeat(generator.normal(2.0, 1.0, 80), 3)
        values = user_effect + generator.normal(0, 0.1, 240)
        found = mean_interval(values, names(np.repeat(np.arange(80), 3)), resamples=300, seed=trial)
        covered += found.low <= 2.0 <= found.high
    assert 0.91 <= covered / 300 <= 0.98


def test_auroc_intervals_cover_the_truth():
    generator = np.random.default_rng(2)
    expected, covered = 0.76025, 0  # the chance that N(1, 1) exceeds N(0, 1)
    for trial in range(150):
        truth = np.arange(120) % 2
        values = 1 / (1 + np.exp(-generator.normal(truth, 1)))
        found = score("binary", questions(truth), valued(values), resamples=200, seed=trial)
        covered += found["auroc"].low <= expected <= found["auroc"].high
    assert 0.88 <= covered / 150 <= 0.99


def test_one_user_leaves_nothing_to_resample():
    found = score("amount", questions([1, 2, 4], users=["a"] * 3), valued([1, 2, 3]))
    assert found["mae"] == Estimate(1 / 3, 1 / 3, 1 / 3, 3)


@given(users_of_rows, st.data())
def test_a_user_drawn_twice_weighs_as_two_users(codes, data):
    """Weighted metrics equal the plain twins on rows repeated as often as their user came."""
    owners = Owners.of(names(codes))
    n = len(codes)
    counts = st.lists(st.integers(0, 3), min_size=owners.count, max_size=owners.count)
    weights = np.array(data.draw(counts), dtype=np.uint8)
    values = np.array(data.draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))) / 4
    truth = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    rows = np.repeat(np.arange(n), weights[owners.codes])
    v, y = values[rows].tolist(), truth[rows].tolist()
    got = BinaryEvidence(values, truth).measure(owners)(weights[None])
    if 0 < sum(y) < len(y):
        assert got["auroc"][0] == pytest.approx(twins.auroc(v, y))
        assert got["auprc"][0] == pytest.approx(twins.auprc(v, y))
        lift = twins.captured(v, y, len(y) / 10) / sum(y) / 0.1
        assert got["lift@10%"][0] == pytest.approx(lift)
        assert got["brier"][0] == pytest.approx(np.mean((values[rows] - truth[rows]) ** 2))
        gini = AmountEvidence(values, truth).measure(owners)(weights[None])["gini"]
        assert gini[0] == pytest.approx(twins.normalised_gini(v, y))
    else:
        assert np.isnan(got["auroc"][0])


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 1)), min_size=2, max_size=20))
def test_the_difference_of_identical_answers_is_exactly_zero(rows):
    values, truth = zip(*rows, strict=True)
    answers = valued(np.array(values) / 8)
    found = compare("binary", questions(truth), {"a": answers, "b": answers}, "a", resamples=50)
    for estimate in found["b"].values():
        assert np.isnan(estimate.value) or estimate.as_list() == [0, 0, 0]


def test_differences_are_paired():
    generator = np.random.default_rng(0)
    truth = generator.gamma(1, 100, 400)
    near, far = valued(truth + 1), valued(truth + 2)
    found = compare("amount", questions(truth), {"near": near, "far": far}, "near", resamples=100)
    assert found["far"]["mae"].as_list() == pytest.approx([-1, -1, -1])
    noisy = {"a": valued(truth * 0.5), "b": valued(truth * 0.49)}
    paired = compare("amount", questions(truth), noisy, "a", resamples=200)["b"]["mae"]
    alone = score("amount", questions(truth), noisy["a"], resamples=200)["mae"]
    assert paired.high < 0
    assert paired.high - paired.low < 0.1 * (alone.high - alone.low)


def test_the_same_seed_gives_the_same_interval():
    asked, given_answers = questions([0, 1, 1, 0, 1] * 8), valued([0.1, 0.7, 0.4, 0.5, 0.9] * 8)
    first = score("binary", asked, given_answers, seed=3, resamples=60)
    assert score("binary", asked, given_answers, seed=3, resamples=60) == first
    assert score("binary", asked, given_answers, seed=4, resamples=60) != first


def test_drawing_in_blocks_counts_every_resample(monkeypatch):
    monkeypatch.setattr("shoploom.evaluation.intervals._CELLS", 50)
    sizes = []

    def measure(weights):
        sizes.append(len(weights))
        return {"users": weights.sum(axis=1).astype(float)}

    found = resample(measure, Owners.of(names(range(7))), resamples=17)
    assert sizes == [1, 7, 7, 3]
    assert found["users"].value == 7
    assert len(found["users"].draws) == 17


def test_draws_are_poisson_with_mean_and_variance_of_one():
    assert _POISSON.mean() == pytest.approx(1, abs=1e-4)
    assert _POISSON.var() == pytest.approx(1, abs=1e-3)


def test_an_interval_holds_its_value_and_skips_undefined_draws():
    found = Resampled(0.1, np.array([np.nan, 0.2, 0.4]), 3).estimate()
    assert found.low == 0.1
    assert found.high == pytest.approx(0.395)
    assert np.isnan(Resampled(np.nan, np.array([0.1]), 3).estimate().low)


def test_what_is_said_of_the_whole_catalogue_has_no_interval():
    asked = questions(ragged([["a"], ["b"], ["c"]]))
    found = score("ranking", asked, ranked([["a"], ["a"], ["c"]], "abcd"), ks=(1,), resamples=50)
    assert found["coverage@1"].as_list() == [0.5, 0.5, 0.5]
    assert found["hr@1"].low < found["hr@1"].value < found["hr@1"].high
