"""Scores of answers and differences between engines, each with its interval over users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError, UnknownName
from shoploom.evaluation.amounts import AmountEvidence
from shoploom.evaluation.binary import BinaryEvidence
from shoploom.evaluation.intervals import Estimate, Measure, Owners, Resampled, resample
from shoploom.evaluation.ranking import ranking_evidence
from shoploom.tasks import Answers, Kind, Questions, Ragged

KS = (1, 5, 10, 20)


class Evidence(Protocol):
    """Answers beside the truth in the form that metrics of one kind are made from."""

    @property
    def n(self) -> int:
        """How many rows are judged."""
        ...

    def take(self, rows: NDArray[np.integer]) -> Evidence:
        """The given rows of the questions."""
        ...

    def measure(self, owners: Owners) -> Measure:
        """The metrics as functions of how often each user was drawn."""
        ...


def score(
    kind: Kind,
    questions: Questions,
    answers: Answers,
    *,
    seed: int = 0,
    resamples: int = 500,
    ks: Sequence[int] = KS,
    counts: Mapping[str, float] | None = None,
    threshold: float = 0.5,
) -> dict[str, Estimate]:
    """Every metric of the kind, with its 95 % interval over users.

    A metric that is undefined (one class only, no rows) is NaN, never an error.

    Args:
        kind: of the task.
        questions: with their truth.
        answers: in the order of the questions.
        seed: of the resamples.
        resamples: draws of users behind each interval.
        ks: ranking only: the cut-offs.
        counts: ranking only: training events by item id, for novelty.
        threshold: binary and multilabel only: the probability from which an answer is yes.

    Raises:
        DataError: the answers do not fit the questions, or the kind cannot be judged.
    """
    found = evidence(kind, questions, answers, ks=ks, counts=counts, threshold=threshold)
    drawn = draws(found, Owners.of(questions.users), seed=seed, resamples=resamples)
    return {name: metric.estimate() for name, metric in drawn.items()}


def compare(
    kind: Kind,
    questions: Questions,
    answers: Mapping[str, Answers],
    chosen: str,
    *,
    seed: int = 0,
    resamples: int = 500,
    ks: Sequence[int] = KS,
    counts: Mapping[str, float] | None = None,
    thresholds: Mapping[str, float] | None = None,
) -> dict[str, dict[str, Estimate]]:
    """By other engine, every metric of ``chosen`` minus that engine's, paired over users.

    Both engines meet the same resamples, so what is hard for both cancels out. Arguments are those
    of :func:`score`; ``thresholds`` are by engine, one half where not given.

    Raises:
        UnknownName: ``chosen`` is not among the answers.
        DataError: as for :func:`score`.
    """
    if chosen not in answers:
        raise UnknownName("engine", chosen, answers, where="answers to compare")
    owners = Owners.of(questions.users)
    drawn = {}
    for engine, given in answers.items():
        threshold = (thresholds or {}).get(engine, 0.5)
        found = evidence(kind, questions, given, ks=ks, counts=counts, threshold=threshold)
        drawn[engine] = draws(found, owners, seed=seed, resamples=resamples)
    return differences(drawn, chosen)


def differences(
    drawn: Mapping[str, Mapping[str, Resampled]], chosen: str
) -> dict[str, dict[str, Estimate]]:
    """By other engine, the paired difference ``chosen`` - other of every metric both have."""
    mine = drawn[chosen]
    return {
        engine: {name: mine[name].minus(theirs[name]) for name in mine if name in theirs}
        for engine, theirs in drawn.items()
        if engine != chosen
    }


def draws(
    found: Evidence, owners: Owners, *, seed: int = 0, resamples: int = 500
) -> dict[str, Resampled]:
    """Every metric of the evidence on the sample and on its resamples."""
    return resample(found.measure(owners), owners, seed=seed, resamples=resamples, n=found.n)


def evidence(
    kind: Kind,
    questions: Questions,
    answers: Answers,
    *,
    ks: Sequence[int] = KS,
    counts: Mapping[str, float] | None = None,
    threshold: float = 0.5,
) -> Evidence:
    """The checked evidence of answers to questions; arguments as for :func:`score`.

    Raises:
        DataError: the answers do not fit the questions, or the kind cannot be judged.
    """
    truth, where = questions.answers, f"task {questions.task!r}"
    if truth is None:
        raise DataError(f"{where}: expected questions with their truth, got unanswered ones.")
    if kind == "ranking":
        if not isinstance(truth, Ragged) or answers.items is None:
            raise DataError(f"{where}: expected lists of items as truth and answers of a ranking.")
        _check_length(len(answers.items), len(questions), where)
        return ranking_evidence(answers, truth, ks=ks, counts=counts)
    if kind not in ("binary", "multilabel", "count", "amount", "ordinal"):
        raise DataError(f"{where}: {kind} answers cannot be judged; they have no metrics.")
    if isinstance(truth, Ragged) or answers.values is None:
        raise DataError(f"{where}: expected one number a row as truth and answer of a {kind} task.")
    values = np.asarray(answers.values, dtype=np.float64)
    truth = np.asarray(truth, dtype=np.float64)
    _check_length(len(values), len(questions), where)
    _check(values, np.isfinite(values), f"{where}, answers", "finite numbers")
    _check(truth, np.isfinite(truth), f"{where}, truth", "finite numbers")
    if kind in ("binary", "multilabel"):
        sound = (values >= 0) & (values <= 1)
        _check(values, sound, f"{where}, answers", "probabilities from 0 to 1")
        _check(truth, np.isin(truth, (0, 1)), f"{where}, truth", "0 or 1")
        return BinaryEvidence(values, truth, threshold)
    return AmountEvidence(values, truth, counts=kind == "count")


def _check_length(got: int, expected: int, where: str) -> None:
    if got != expected:
        raise DataError(
            f"{where}: expected {expected} answers, one for each question in its order, got {got}."
        )


def _check(
    values: NDArray[np.float64], sound: NDArray[np.bool_], where: str, expected: str
) -> None:
    wrong = np.flatnonzero(~sound)
    if len(wrong):
        raise DataError(
            f"{where}: expected {expected}, got {len(wrong)} other values "
            f"(first: row {wrong[0]}, {values[wrong[0]]})."
        )
