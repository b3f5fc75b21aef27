"""How satisfied a customer leaves a dialogue, told from what was said.

Counted words of several views of a dialogue (each side, its end, its beginning) feed a linear
head. Where moods of turns are labelled, a second head learns them. Boosted trees then read both,
the moods as they went through the dialogue, and how long it was. What the trees learn from is told
by heads that have not met the dialogue (stacking: Wolpert 1992).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.core.seeds import rng
from shoploom.policies.linear import chances, linear
from shoploom.policies.regression import Floats
from shoploom.policies.reply.words import Words

_FOLDS = 3
_SEEDS = 3  # boosters whose mean is taken
_FADES = 0.7  # weight of a turn beside the next one, in the fading mean of moods
_ENDS, _MARKED, _BEGINS = 3, 4, 6  # turns that count as the end, with their role, as the beginning
_BEFORE = 20  # words of the turn before that a mood is told with
_FEWEST = 30  # dialogues that teach anything

Turns = tuple[Sequence[str], Sequence[str]]


@dataclass(frozen=True)
class Satisfaction:
    """What was learned.

    Attributes:
        classes: as they were given.
    """

    classes: tuple[Any, ...]
    _views: Views
    _head: Any
    _moods: _Moods | None
    _trees: tuple[Any, ...]

    def probabilities(self, dialogues: Sequence[Turns]) -> Floats:
        """``(n, n_classes)`` of every class, by dialogue."""
        if not len(dialogues):
            return np.empty((0, len(self.classes)))
        told = chances(self._head, self._views(dialogues), self.classes)
        features = _stacked(told, self._moods, dialogues)
        return np.mean([tree.predict(features) for tree in self._trees], axis=0)


def fit_satisfaction(
    dialogues: Sequence[Turns],
    labels: Sequence[Any] | NDArray,
    moods: Sequence[Sequence[Any]] | None = None,
    *,
    seed: int = 0,
) -> Satisfaction:
    """Learn from dialogues that were rated.

    Args:
        dialogues: of each, the roles and the texts of its turns.
        labels: how satisfied each customer was, one of a few classes.
        moods: by dialogue and turn, the mood it was said in; None where no turn is labelled.
        seed: of folds and trees.

    Raises:
        DataError: too few dialogues, or all of one class.
    """
    import lightgbm as lgb

    label = np.asarray(labels)
    classes = tuple(np.unique(label).tolist())
    if len(dialogues) < _FEWEST or len(classes) < 2:
        raise DataError(
            f"satisfaction: expected at least {_FEWEST} rated dialogues of several classes, got "
            f"{len(dialogues)} of {len(classes)}."
        )
    fold = rng(seed, "folds of dialogues").permutation(len(dialogues)) % _FOLDS
    views = Views.of(dialogues)
    x = views(dialogues)
    told = np.zeros((len(dialogues), len(classes)))
    for one in range(_FOLDS):
        inside, others = np.flatnonzero(fold == one), np.flatnonzero(fold != one)
        told[inside] = chances(linear(x[others], label[others]), x[inside], classes)
    learned = None
    feelings: list[Floats] | None = None
    if moods is not None:
        learned = _Moods(dialogues, moods)
        feelings = learned.of_others(dialogues, moods, fold)
    features = _stacked(told, learned, dialogues, feelings)
    code = np.searchsorted(np.array(classes), label)
    trees = [
        lgb.train(
            {
                "objective": "multiclass",
                "num_class": len(classes),
                "learning_rate": 0.03,
                "num_leaves": 8,
                "min_data_in_leaf": max(2, min(40, len(dialogues) // 10)),
                "bagging_fraction": 0.7,
                "bagging_freq": 1,
                "feature_fraction": 0.4,
                "seed": seed + turn,
                "deterministic": True,
                "force_row_wise": True,
                "verbosity": -1,
            },
            lgb.Dataset(features, code),
            200,
        )
        for turn in range(_SEEDS)
    ]
    return Satisfaction(classes, views, linear(x, label), learned, tuple(trees))


@dataclass(frozen=True)
class Views:
    """Counted words of every view of dialogues, side by side.

    Attributes:
        words: of each view, in order.
    """

    words: Sequence[Words]

    @classmethod
    def of(cls, dialogues: Sequence[Turns]) -> Views:
        """With the words of some dialogues."""
        return cls(
            [
                Words(texts, longest=3 if name in ("customer", "end", "marked") else 2, least=3)
                for name, texts in _texts(dialogues).items()
            ]
        )

    def __call__(self, dialogues: Sequence[Turns]) -> Any:
        from scipy.sparse import csr_matrix, hstack

        texts = _texts(dialogues).values()
        parts = [words(some) for words, some in zip(self.words, texts, strict=True)]
        return csr_matrix(hstack(parts))


def _texts(dialogues: Sequence[Turns]) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for roles, texts in dialogues:
        by = {
            who: [text for role, text in zip(roles, texts, strict=True) if role == who]
            for who in c.ROLES
        }
        marked = [
            " ".join(f"{role[0]}{word}" for word in text.split())
            for role, text in zip(roles[-_MARKED:], texts[-_MARKED:], strict=True)
        ]
        begins = [
            text
            for role, text in zip(roles[:_BEGINS], texts[:_BEGINS], strict=True)
            if role == c.CUSTOMER
        ]
        views = {
            "customer": by[c.CUSTOMER],
            "agent": by[c.AGENT],
            "end": by[c.CUSTOMER][-_ENDS:],
            "end of agent": by[c.AGENT][-_ENDS:],
            "marked": marked,
            "begin": begins,
        }
        for name, some in views.items():
            out.setdefault(name, []).append(" ".join(some))
    # A side that never says a word still needs one to count.
    return {name: [text or "nothing" for text in some] for name, some in out.items()}


class _Moods:
    """The mood of every turn, told from what is said in it and before it."""

    def __init__(self, dialogues: Sequence[Turns], moods: Sequence[Sequence[Any]]):
        texts, _ = _turns(dialogues)
        label = np.array([mood for some in moods for mood in some])
        self.classes = tuple(np.unique(label).tolist())
        self._words = Words(texts, least=3)
        self._head = _fast(self._words(texts), label)

    def __call__(self, dialogues: Sequence[Turns]) -> list[Floats]:
        """Of each dialogue, ``(n_turns, n_moods)`` chances."""
        texts, of = _turns(dialogues)
        told = chances(self._head, self._words(texts), self.classes)
        return np.split(told, np.cumsum(np.bincount(of, minlength=len(dialogues)))[:-1])

    def of_others(
        self, dialogues: Sequence[Turns], moods: Sequence[Sequence[Any]], fold: NDArray[np.integer]
    ) -> list[Floats]:
        """The same, told by heads that have not met the dialogue."""
        texts, of = _turns(dialogues)
        label = np.array([mood for some in moods for mood in some])
        x = self._words(texts)
        told = np.zeros((len(texts), len(self.classes)))
        for one in np.unique(fold):
            inside = np.flatnonzero(fold[of] == one)
            head = _fast(*(part[np.flatnonzero(fold[of] != one)] for part in (x, label)))
            told[inside] = chances(head, x[inside], self.classes)
        return np.split(told, np.cumsum(np.bincount(of, minlength=len(dialogues)))[:-1])


def _turns(dialogues: Sequence[Turns]) -> tuple[list[str], NDArray[np.int64]]:
    """The text of every turn with its role and the turn before, and the dialogue it is of."""
    texts, of = [], []
    for number, (roles, said) in enumerate(dialogues):
        before = ""
        for role, text in zip(roles, said, strict=True):
            earlier = " ".join(f"before{word}" for word in before.split()[:_BEFORE])
            texts.append(f"role{role} {text} {earlier}")
            of.append(number)
            before = text
    return texts, np.array(of, dtype=np.int64)


def _fast(x: Any, label: NDArray) -> Any:
    """A logistic head by stochastic gradients: turns are many."""
    from sklearn.linear_model import SGDClassifier

    # No early stop: a fixed number of passes is fast, and the same every time.
    settings: dict[str, Any] = {"max_iter": 8, "tol": None, "random_state": 0}
    return SGDClassifier(loss="log_loss", alpha=3e-6, **settings).fit(x, label)


def _stacked(
    told: Floats,
    moods: _Moods | None,
    dialogues: Sequence[Turns],
    feelings: list[Floats] | None = None,
) -> Floats:
    """What the trees read of each dialogue."""
    if moods is not None and feelings is None:
        feelings = moods(dialogues)
    rows = []
    for number, (roles, texts) in enumerate(dialogues):
        mine = np.array([role == c.CUSTOMER for role in roles], dtype=bool)
        words = sum(len(text.split()) for text in texts)
        ends = float(mine[-1]) if len(mine) else 0.0
        row = [np.array([len(mine), mine.sum(), np.log1p(words), ends])]
        if feelings is not None:
            row += [_course(feelings[number][side]) for side in (mine, ~mine)]
        rows.append(np.concatenate(row))
    return np.hstack([np.log(told + 1e-6), np.array(rows)])


def _course(mood: Floats) -> Floats:
    """How the moods of one side went: mean, most, last, first, fading mean."""
    if not len(mood):
        mood = np.full((1, mood.shape[1]), 1 / mood.shape[1])
    weight = _FADES ** np.arange(len(mood))[::-1]
    fading = (weight / weight.sum()) @ mood
    return np.concatenate([mood.mean(axis=0), mood.max(axis=0), mood[-1], mood[0], fading])
