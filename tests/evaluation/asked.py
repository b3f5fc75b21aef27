"""Small questions and answers."""

import numpy as np

from shoploom.core.ids import Vocabulary
from shoploom.tasks import Answers, Questions, Ragged


def questions(answers, users=None, subjects=None, task="t", at=0):
    n = len(answers)
    users = [f"u{i}" for i in range(n)] if users is None else users
    return Questions(
        task,
        np.array(users, dtype=object),
        np.full(n, at, dtype=np.int64),
        None if subjects is None else np.array(subjects, dtype=object),
        answers if isinstance(answers, Ragged) else np.array(answers, dtype=np.float64),
    )


def valued(values, task="t"):
    return Answers(task, values=np.array(values, dtype=np.float64))


def ragged(rows):
    values = np.array([item for row in rows for item in row], dtype=object)
    return Ragged(values, np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(int))


def ranked(rows, catalogue, k=None, task="t"):
    """Lists of item ids as codes, padded with -1 to k."""
    vocabulary = Vocabulary.of(catalogue)
    k = max(map(len, rows)) if k is None else k
    items = np.full((len(rows), k), -1, dtype=np.int32)
    for i, row in enumerate(rows):
        items[i, : len(row)] = vocabulary.encode(row)
    return Answers(task, items=items, catalogue=vocabulary)
