import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoploom.core.errors import DataError
from shoploom.evaluation import score
from shoploom.evaluation.ranking import exposure_gini, ranking_evidence, self_information
from tests.evaluation.asked import questions, ragged, ranked
from tests.evaluation.twins import RANKING

CATALOGUE = list("abcdefgh")

rows = st.lists(
    st.tuples(
        st.lists(st.sampled_from(CATALOGUE), unique=True, max_size=6),
        # "z" is unknown to the catalogue.
        st.lists(st.sampled_from([*CATALOGUE, "z"]), unique=True, min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=8,
)


@given(rows)
def test_every_metric_equals_its_plain_twin(pairs):
    lists, wanted = zip(*pairs, strict=True)
    found = ranking_evidence(ranked(lists, CATALOGUE, k=6), ragged(wanted), ks=(1, 3, 6))
    for name, twin in RANKING.items():
        for k in (1, 3, 6):
            expected = [twin(a, b, k) for a, b in pairs]
            assert found.per_row[f"{name}@{k}"] == pytest.approx(expected, abs=1e-6)
            assert all(0 <= value <= 1 + 1e-6 for value in found.per_row[f"{name}@{k}"])


def test_a_perfect_ranking_scores_one():
    wanted = [["a", "b"], ["c"]]
    scores = score(
        "ranking", questions(ragged(wanted)), ranked(wanted, CATALOGUE, k=2), ks=(2,), resamples=10
    )
    for name in ("hr@2", "recall@2", "ndcg@2", "mrr@2", "map@2"):
        assert scores[name].value == 1


def test_an_item_unknown_to_the_catalogue_is_a_miss():
    found = ranking_evidence(ranked([["a", "b"]], CATALOGUE), ragged([["z", "b"]]), ks=(2,))
    assert found.per_row["recall@2"].tolist() == [0.5]


def test_questions_to_which_nothing_came_are_not_judged():
    asked = questions(ragged([["a"], [], ["b"]]))
    scores = score("ranking", asked, ranked([["a"], ["b"], ["c"]], CATALOGUE), ks=(1,))
    assert scores["hr@1"].value == 0.5
    assert scores["hr@1"].n == 2


def test_taken_rows_score_as_if_they_had_been_asked_alone():
    wanted = ragged([["a"], [], ["b"], ["c", "d"]])
    answers = ranked([["a", "b"], ["b"], ["c", "b"], ["d"]], CATALOGUE)
    found = ranking_evidence(answers, wanted, ks=(2,))
    part = found.take(np.array([1, 2, 3]))
    assert part.rows.tolist() == [1, 2]
    assert part.per_row["hr@2"].tolist() == [1, 1]
    assert part.per_row["recall@2"].tolist() == [1, 0.5]


def test_coverage_and_exposure_tell_of_all_lists_together():
    found = ranking_evidence(
        ranked([["a", "b"], ["a", "c"]], CATALOGUE), ragged([["a"], ["a"]]), ks=(1, 2)
    )
    assert found.whole["coverage@1"] == 1 / 8
    assert found.whole["coverage@2"] == 3 / 8
    assert found.whole["exposure_gini@1"] == pytest.approx(7 / 8)


def test_rare_items_are_news():
    counts = {"a": 3.0, "b": 1.0}
    answers = ranked([["a", "b"]], ["a", "b"])
    bits = self_information(answers.catalogue, counts)
    assert bits == pytest.approx([-np.log2(4 / 6), -np.log2(2 / 6)])
    found = ranking_evidence(answers, ragged([["a"]]), ks=(1, 2), counts=counts)
    assert found.per_row["novelty@1"] == pytest.approx([bits[0]])
    assert found.per_row["novelty@2"] == pytest.approx([bits.mean()])


@given(st.lists(st.integers(0, 20), min_size=1, max_size=12).filter(any))
def test_exposure_gini_is_half_the_relative_mean_difference(shown):
    n, mean = len(shown), sum(shown) / len(shown)
    difference = sum(abs(a - b) for a in shown for b in shown) / n**2
    assert exposure_gini(np.array(shown)) == pytest.approx(difference / (2 * mean))


def test_many_rows_are_judged_in_blocks_as_in_one(monkeypatch):
    generator = np.random.default_rng(0)
    lists = [list(generator.permutation(CATALOGUE)[:4]) for _ in range(23)]
    wanted = ragged([list(generator.permutation(CATALOGUE)[: i % 4]) for i in range(23)])
    whole = ranking_evidence(ranked(lists, CATALOGUE), wanted, ks=(2, 4), counts={"a": 2})
    monkeypatch.setattr("shoploom.evaluation.ranking._BLOCK", 5)
    parts = ranking_evidence(ranked(lists, CATALOGUE), wanted, ks=(2, 4), counts={"a": 2})
    assert parts.whole == whole.whole
    for name, values in whole.per_row.items():
        assert parts.per_row[name].tolist() == values.tolist()


def test_a_small_catalogue_may_give_short_lists():
    found = ranking_evidence(ranked([["a", "b"]], ["a", "b"]), ragged([["b"]]), ks=(5,))
    assert found.per_row["hr@5"].tolist() == [1]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (ranked([["a"]], CATALOGUE), "expected 2 items a list"),
        (ranked([["a", "a"]], CATALOGUE), "distinct items"),
    ],
)
def test_lists_that_break_the_contract_are_refused(answers, message):
    with pytest.raises(DataError, match=message):
        ranking_evidence(answers, ragged([["a"]]), ks=(2,))


def test_codes_outside_the_catalogue_are_refused():
    answers = ranked([["a", "b"]], CATALOGUE)
    answers.items[0, 1] = 8
    with pytest.raises(DataError, match="from -1 to 7, got 0 to 8"):
        ranking_evidence(answers, ragged([["a"]]), ks=(2,))


def test_no_questions_are_undefined_and_no_error():
    asked = questions(ragged([[]])).take(np.array([], dtype=int))
    scores = score("ranking", asked, ranked([], CATALOGUE, k=2), ks=(2,), counts={"a": 1})
    assert {s.n for s in scores.values()} == {0}
    assert np.isnan(scores["hr@2"].value)
    assert np.isnan(scores["exposure_gini@2"].value)
    assert scores["coverage@2"].value == 0
