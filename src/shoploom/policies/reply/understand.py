"""What a customer wants and how they feel, told from what they have said so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.policies.linear import chances, linear
from shoploom.policies.regression import Floats, cross_fit, folds_of
from shoploom.policies.reply.words import Words

_FEWEST = 2  # texts of a class; rarer ones are not told


@dataclass(frozen=True)
class Understanding:
    """A head on counted words.

    Attributes:
        classes: names, sorted.
    """

    classes: tuple[str, ...]
    _words: Words | None
    _head: Any

    def __call__(self, texts: Sequence[str]) -> Floats:
        """``(n, n_classes)`` chances; all alike where a text says nothing."""
        if self._words is None or not len(texts):
            return np.full((len(texts), len(self.classes)), 1 / max(len(self.classes), 1))
        told = chances(self._head, self._words(texts), self.classes)
        silent = np.array([not text.strip() for text in texts])
        return np.where(silent[:, None], 1 / len(self.classes), told)


def understand(texts: Sequence[str], labels: Sequence[str | None]) -> Understanding:
    """Learn from the texts that are labelled; where none are, all classes are as likely."""
    told = np.array([str(label) for label in labels if label is not None], dtype=str)
    names, counts = np.unique(told, return_counts=True)
    names = names[counts >= _FEWEST]
    classes = set(names.tolist())
    kept = [n for n, label in enumerate(labels) if label in classes and texts[n].strip()]
    if len({labels[n] for n in kept}) < 2:
        return Understanding(tuple(names.tolist()), None, None)
    some = [texts[n] for n in kept]
    words = Words(some)
    head = linear(words(some), np.array([str(labels[n]) for n in kept]), strength=10.0)
    return Understanding(tuple(names.tolist()), words, head)


def understand_others(
    texts: list[str],
    labels: Sequence[str | None],
    users: NDArray[np.object_],
    classes: Sequence[str],
    seed: int,
) -> Floats:
    """``(n, n_classes)`` chances told by other users' texts."""

    def fit(rows: NDArray[np.intp]) -> Callable[[NDArray[np.intp]], Floats]:
        found = understand([texts[n] for n in rows.tolist()], [labels[n] for n in rows.tolist()])
        place = [list(classes).index(name) for name in found.classes]

        def predict(asked: NDArray[np.intp]) -> Floats:
            out = np.zeros((len(asked), len(classes)))
            out[:, place] = found([texts[n] for n in asked.tolist()])
            return out

        return predict

    return cross_fit(folds_of(users, seed), fit, len(classes))
