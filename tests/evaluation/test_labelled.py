"""Metrics of labels against brute-force twins."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss

from shoploom.evaluation.labelled import confusion, score_labels


@pytest.fixture
def answers():
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(4), size=300)
    labels = random.integers(0, 4, 300)
    users = random.integers(0, 100, 300).astype(str).astype(object)
    return probabilities, labels, users


def test_metrics_equal_those_of_scikit_learn(answers):
    probabilities, labels, _ = answers
    said = probabilities.argmax(axis=1)
    metrics = score_labels(*answers)
    assert metrics["accuracy"].value == pytest.approx(accuracy_score(labels, said))
    assert metrics["f1"].value == pytest.approx(f1_score(labels, said, average="macro"))
    assert metrics["log_loss"].value == pytest.approx(log_loss(labels, probabilities))
    expected = probabilities @ np.arange(4)
    assert metrics["mae"].value == pytest.approx(np.abs(expected - labels).mean())
    assert all(m.low <= m.value <= m.high for m in metrics.values())


def test_honest_probabilities_have_a_small_calibration_error():
    random = np.random.default_rng(1)
    p = random.uniform(size=20_000)
    labels = (random.uniform(size=len(p)) < p).astype(np.int64)
    users = np.arange(len(p)).astype(str).astype(object)
    honest = score_labels(np.stack([1 - p, p], axis=1), labels, users, resamples=20)
    boastful = np.round(np.stack([1 - p, p], axis=1))
    assert honest["ece"].value < 0.02
    assert score_labels(boastful, labels, users, resamples=20)["ece"].value > 0.2


def test_a_label_that_does_not_occur_is_left_out_of_f1():
    sure = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    users = np.array(["a", "b"], dtype=object)
    assert score_labels(sure, np.array([0, 1]), users)["f1"].value == 1


def test_confusion_has_the_truth_in_rows():
    assert confusion(np.array([1, 1, 0]), np.array([0, 1, 0]), 2).tolist() == [[1, 1], [0, 1]]
