import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from shoploom.core.errors import DataError, UnknownName
from shoploom.evaluation import (
    METRICS,
    Estimate,
    best_engine,
    compare,
    describe,
    evaluate_task,
    score,
    slices,
    threshold_by_f1,
)
from tests.evaluation.asked import questions, ragged, ranked, valued


@dataclass(frozen=True)
class Task:
    name: str = "t"
    kind: str = "binary"
    unit: str = "probability"
    window_days: int = 28
    metric: str = "auroc"

    def ask(self, tables, at, *, answered=True):
        raise NotImplementedError


TRUTH = [0, 0, 1, 1] * 10
GOOD = valued([0.1, 0.3, 0.6, 0.8] * 10)
GOOD_TWO = valued([0.2, 0.7])
BAD = valued([0.6, 0.5, 0.4, 0.5] * 10)


def test_a_binary_task_is_told_in_full():
    asked = questions(TRUTH)
    parts = slices(asked, tenure_days=np.arange(40))
    cut = {"good": threshold_by_f1(GOOD.values, asked.answers)}
    answers = {"bad": BAD, "good": GOOD}
    block = evaluate_task(Task(), asked, answers, "bad", thresholds=cut, slices=parts, resamples=50)
    assert list(block) == [
        *("kind", "unit", "window_days", "metric", "n", "users", "base_rate", "chosen", "best"),
        *("results", "versus", "slices", "calibration", "threshold", "deciles"),
    ]
    assert (block["n"], block["users"], block["base_rate"]) == (40, 40, 0.5)
    assert (block["chosen"], block["best"]) == ("bad", "good")
    assert block["results"]["good"]["auroc"] == [1, 1, 1]
    assert block["results"]["good"]["f1"][0] == 1
    assert block["versus"]["good"]["auroc"][0] == pytest.approx(0.125 - 1)
    assert list(block["versus"]) == ["good"]
    assert block["slices"]["user"]["new"]["n"] == 30
    assert block["slices"]["user"]["returning"]["results"]["good"]["auroc"] == [1, 1, 1]
    assert block["threshold"] == {
        "bad": {"value": 0.5, "rule": "one half, as none was chosen"},
        "good": {"value": 0.6, "rule": "best F1 on validation"},
    }
    assert sum(block["calibration"]["good"]["n"]) == 40
    assert block["deciles"] == {}


def test_an_amount_task_has_deciles_and_no_base_rate():
    task = Task(kind="count", unit="purchases", metric="mae")
    answers = {"mean": valued([1] * 40), "good": GOOD}
    block = evaluate_task(task, questions(TRUTH), answers, "good", resamples=20)
    assert block["base_rate"] is None
    assert block["best"] == "good"
    assert block["deciles"]["good"]["n"] == [10, 10, 10, 10]
    assert block["calibration"] == {}
    assert "poisson_deviance" in block["results"]["good"]


def test_a_ranking_task_is_sliced_without_being_ranked_again():
    asked = questions(ragged([["a"], ["b"], ["c"], []]))
    answers = {"x": ranked([["a", "b"]] * 4, "abcd"), "y": ranked([["c", "d"]] * 4, "abcd")}
    counts = {"a": 9.0, "b": 2.0, "c": 1.0}
    block = evaluate_task(
        Task(kind="ranking", unit="items", metric="ndcg@2"),
        asked,
        answers,
        "x",
        slices=slices(asked, counts=counts),
        counts=counts,
        ks=(1, 2),
        resamples=20,
    )
    assert block["best"] == "x"
    assert block["results"]["x"]["hr@2"][0] == pytest.approx(2 / 3)
    assert block["slices"]["item"]["tail"]["results"]["x"]["hr@2"][0] == 0.5
    assert "novelty@2" in block["results"]["y"]
    assert "coverage@2" not in block["slices"]["item"]["head"]["results"]["x"]


def test_the_block_is_json_even_where_metrics_are_undefined():
    block = evaluate_task(Task(), questions([0, 0]), {"x": valued([0, 0])}, "x", resamples=5)
    text = json.dumps(block, allow_nan=False)
    assert json.loads(text)["results"]["x"]["auroc"] == [None, None, None]
    assert block["best"] == "x"


def test_every_metric_that_is_scored_has_a_direction():
    scored = {
        *score("binary", questions([0, 1]), GOOD_TWO),
        *score("count", questions([0, 1]), GOOD_TWO),
    }
    asked = questions(ragged([["a"]]))
    scored |= {*score("ranking", asked, ranked([["a"]], "a"), ks=(1,), counts={"a": 1})}
    assert {name.split("@")[0] for name in scored} == set(METRICS)


def estimate(value):
    return {"rmse": Estimate(value, value, value, 1), "bias": Estimate(-value, 0, 0, 1)}


def test_the_best_engine_depends_on_the_direction():
    results = {"a": estimate(2.0), "b": estimate(1.0), "c": estimate(np.nan), "d": estimate(1.0)}
    assert best_engine("rmse", results) == "b"
    assert best_engine("bias", results) == "b"
    raised = {name: {"auroc": by["rmse"]} for name, by in results.items()}
    assert best_engine("auroc", raised) == "a"


def test_unknown_names_are_refused_with_a_suggestion():
    with pytest.raises(UnknownName, match="Did you mean 'auroc'"):
        describe("auroc_")
    with pytest.raises(UnknownName, match="Did you mean 'auroc'"):
        best_engine("auprc", {"a": {"auroc": Estimate(1, 1, 1, 1)}})
    with pytest.raises(UnknownName, match="Did you mean 'good'"):
        evaluate_task(Task(), questions(TRUTH), {"good": GOOD}, "god")
    with pytest.raises(UnknownName, match="no engine is named 'x'"):
        compare("binary", questions(TRUTH), {"good": GOOD}, "x")


@pytest.mark.parametrize(
    ("kind", "asked", "answers", "message"),
    [
        ("binary", replace(questions([0, 1]), answers=None), GOOD_TWO, "got unanswered"),
        ("binary", questions([0, 1]), GOOD, "expected 2 answers, .* got 40"),
        ("binary", questions([0, 2]), GOOD_TWO, r"truth: expected 0 or 1, .* row 1, 2\.0"),
        ("binary", questions([0, 1]), valued([0, 1.5]), r"probabilities .* row 1, 1\.5"),
        ("amount", questions([0, 1]), valued([np.nan, 1]), "finite numbers, .* row 0, nan"),
        ("amount", questions([np.inf, 1]), GOOD_TWO, "truth: expected finite numbers"),
        ("amount", questions(ragged([["a"]])), GOOD_TWO, "one number a row"),
        ("ranking", questions(ragged([["a"]])), GOOD_TWO, "lists of items"),
        ("ranking", questions(ragged([["a"]])), ranked([["a"]] * 2, "a"), "expected 1 answers"),
        ("unlabelled", questions([0, 1]), GOOD_TWO, "cannot be judged"),
    ],
)
def test_answers_that_do_not_fit_are_refused(kind, asked, answers, message):
    with pytest.raises(DataError, match=message):
        score(kind, asked, answers)
