"""Alarms for questions and features that would let the past see the future.

A leak raises every score and warns nobody, so it is looked for before anything is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import LeakageError
from shoploom.core.time import DAY_US, iso
from shoploom.evaluation.binary import auroc
from shoploom.tasks import Questions

_SUSPICIOUS = 0.995  # AUROC of one feature alone
_FEWEST = 10  # rows of either class; below, one feature among many is perfect by chance


def check_questions(
    train: Questions, valid: Questions, test: Questions, *, window_days: int
) -> None:
    """Nothing, where the questions of one task keep apart in time.

    Raises:
        LeakageError: a question of an earlier part is asked again in a later one, or its window
            reaches past the first moment of the later one.
    """
    parts = {"training": train, "validation": valid, "test": test}
    for earlier, later in (
        ("training", "validation"),
        ("training", "test"),
        ("validation", "test"),
    ):
        _check_pair(parts[earlier], parts[later], earlier, later, window_days * DAY_US)


def _check_pair(before: Questions, after: Questions, earlier: str, later: str, window: int) -> None:
    where = f"task {after.task!r}"
    if len(before) == 0 or len(after) == 0:
        return
    if len(shared := shared_rows(before, after)):
        row = shared[0]
        subject = "" if after.subjects is None else f", subject {after.subjects[row]!r}"
        raise LeakageError(
            f"{where}: expected {earlier} and {later} to share no question, got {len(shared)} in "
            f"both (first: user {after.users[row]!r} at {iso(int(after.times[row]))}{subject}). "
            f"Drop them from {earlier}."
        )
    end, start = int(before.times.max()) + window, int(after.times.min())
    if end > start:
        raise LeakageError(
            f"{where}: expected every {earlier} window to end by the first {later} moment "
            f"{iso(start)}, got one that ends at {iso(end)}. Ask the {earlier} questions earlier."
        )


def shared_rows(before: Questions, after: Questions) -> NDArray[np.int64]:
    """Rows of ``after`` whose user, time and subject also stand in one row of ``before``."""
    # Parts of a sound split share no moment, so that little is left to compare by id.
    mine = np.flatnonzero(np.isin(after.times, before.times))
    theirs = np.flatnonzero(np.isin(before.times, after.times))
    asked = set(_keys(before, theirs))
    return mine[np.fromiter((key in asked for key in _keys(after, mine)), bool, len(mine))]


def _keys(questions: Questions, rows: NDArray[np.int64]) -> zip[tuple[object, ...]]:
    columns = [questions.users[rows], questions.times[rows].tolist()]
    if questions.subjects is not None:
        columns.append(questions.subjects[rows])
    return zip(*columns, strict=True)


@dataclass(frozen=True)
class Suspect:
    """A feature that alone predicts the answer too well to be true.

    Attributes:
        feature: its name.
        auroc: how well it orders the answers, in whichever direction is better.
    """

    feature: str
    auroc: float


def check_features(names: Sequence[str], values: NDArray, answers: NDArray) -> tuple[Suspect, ...]:
    """The features that are probably leaks, worst first; empty where none is.

    A feature is suspect when it alone tells answers above zero from the others with an AUROC over
    .995, in either direction; missing values count as the lowest. Answers with fewer than ten rows
    of either class are too few to accuse anybody.

    Args:
        names: the ``dim`` features.
        values: ``(n, dim)`` numbers, NaN where missing.
        answers: ``(n,)`` 0/1, counts or amounts.

    >>> answer = np.repeat([0.0, 1.0], 10)
    >>> check_features(["age", "answer"], np.column_stack([np.ones(20), answer]), answer)
    (Suspect(feature='answer', auroc=1.0),)
    """
    positive = (np.asarray(answers) > 0).astype(np.float64)
    if min(positive.sum(), len(positive) - positive.sum()) < _FEWEST:
        return ()
    filled = np.where(np.isnan(values), -np.inf, values)
    suspects = []
    for name, column in zip(names, filled.T, strict=True):
        area = auroc(column, positive)
        if max(area, 1 - area) > _SUSPICIOUS:
            suspects.append(Suspect(name, max(area, 1 - area)))
    return tuple(sorted(suspects, key=lambda suspect: -suspect.auroc))
