"""Re-ranking: trees put in order what simpler engines propose (targets, section 1b).

A question's candidates are the items that the sources list for it, fitted on what precedes its
moment; the trees see how each source ranked them and counts from before that moment, and learn
from earlier questions whose answers lie in the training part. Nothing of the catalogue is used:
its rows bear no date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from shoploom.core.ids import Vocabulary
from shoploom.core.seeds import rng
from shoploom.core.time import DAY_US
from shoploom.engines import Fitted, Inputs
from shoploom.engines._ranking import Ranked, by_moment, histories, popular_first, rank
from shoploom.engines._trees import Trees, TreeSettings, choose, grow
from shoploom.sequences import UserSequences
from shoploom.tasks import Answers, Questions, Ragged, Task, make_task

CANDIDATES = (
    TreeSettings(leaves=8, min_rows=100),
    TreeSettings(leaves=16, min_rows=100),
    TreeSettings(leaves=32, min_rows=200),
)
MOST_ROUNDS = 600
RECENT_DAYS = (7, 30, 90, 365)
SOURCE_FEATURES = ("score", "place")
ITEM_FEATURES = (
    *(f"item_events_{days}d" for days in RECENT_DAYS),
    "item_events",
    "item_age_days",
    "item_recency_days",
    "item_growth",
)
USER_FEATURES = (
    "user_events",
    "user_recency_days",
    "user_active_days",
    "user_taste_popularity",
    "user_taste_age_days",
)


class Source(Protocol):
    """An engine with its settings chosen: all that a source of candidates has to be."""

    def fit(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        *,
        seed: int = 0,
    ) -> Fitted: ...


@dataclass(frozen=True)
class Reranking:
    """Gradient-boosted trees over the candidates of other engines.

    Attributes:
        sources: engines by name, their settings chosen.
        depth: how many items each source lists.
        negatives: about so many candidates that were not taken are learned from per question; 60
            or all of them (about 270) ranked no better on validation.
        trees: how the trees are grown; ``tune`` chooses.
    """

    sources: Mapping[str, Source]
    depth: int = 100
    negatives: int = 20
    trees: TreeSettings = field(default_factory=TreeSettings)

    def tune(
        self,
        inputs: Inputs,
        earlier: Sequence[Questions],
        validation: Questions,
        *,
        seed: int = 0,
    ) -> Reranking:
        """The trees with the least loss on validation, learned from earlier questions alone."""
        best = choose(
            self._examples(inputs, earlier, seed),
            self._examples(inputs, [validation], seed),
            "binary",
            [replace(each, rounds=MOST_ROUNDS) for each in CANDIDATES],
            seed=seed,
        )
        return replace(self, trees=best)

    def fit(self, inputs: Inputs, asked: Sequence[Questions], *, seed: int = 0) -> FittedReranking:
        """Trees grown on answered questions; sources fitted on everything before ``until``.

        Args:
            inputs: histories; the window of every question must end at or before ``until``.
            asked: questions of one moment each.
            seed: of sources and trees.
        """
        trees = grow(*self._examples(inputs, asked, seed), "binary", self.trees, seed=seed)
        return FittedReranking(self._fit_sources(inputs, seed), trees, self.depth, seed)

    def _examples(
        self, inputs: Inputs, asked: Sequence[Questions], seed: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Candidates of questions, ``(n, dim)``, and ``(n,)`` whether each was taken.

        Questions none of whose candidates was taken say nothing about an order and are left out.
        """
        features, answers = [], []
        for questions in asked:
            at = int(questions.times[0])
            past = inputs.upto(at)
            found = propose(self._fit_sources(past, seed), questions, past, self.depth)
            taken = found.taken(questions)
            some_taken = np.bincount(found.row, taken, len(questions))[found.row] > 0
            proposed = np.bincount(found.row)[found.row]
            drawn = rng(seed, "negatives", str(at)).random(len(taken)) < self.negatives / proposed
            kept = some_taken & (drawn | (taken > 0))
            features.append(found.features[kept])
            answers.append(taken[kept])
        return np.concatenate(features), np.concatenate(answers)

    def _fit_sources(self, inputs: Inputs, seed: int) -> dict[str, Fitted]:
        return {name: each.fit(inputs, {}, {}, seed=seed) for name, each in self.sources.items()}


@dataclass(frozen=True)
class FittedReranking:
    """Trees and the fitted sources of their candidates."""

    sources: Mapping[str, Fitted]
    trees: Trees
    depth: int
    seed: int

    def answer(self, task: Task, questions: Questions, inputs: Inputs, *, k: int = 20) -> Answers:
        """Candidates by the probability that they are taken, then popular items."""
        ranked = Ranked.empty(len(questions), k)
        for at, rows in by_moment(questions.times):
            sequences, asked = inputs.sequences(at), questions.take(rows)
            found = propose(self.sources, asked, inputs, self.depth)
            chance = self.trees.predict(found.features).astype(np.float32)
            shape = (len(asked), len(sequences.items))
            scores = csr_matrix((chance, (found.row, found.item)), shape)
            counts = np.bincount(sequences.item, minlength=shape[1]).astype(np.float64)
            order = popular_first(counts, rng(self.seed, "popularity"))
            seen = None
            if asked.exclude_seen:
                seen = histories(sequences, asked.users, sequences.items)
            ranked.put(rows, rank(scores, order, k, seen))
        return ranked.answers(questions, inputs.sequences(inputs.until).items)


@dataclass(frozen=True)
class Candidates:
    """Pairs of a question and an item, by question and then by item.

    Attributes:
        row: ``(n,)`` int64 the question.
        item: ``(n,)`` int64 codes into ``catalogue``.
        features: ``(n, dim)`` float32: per source its score and place, then the item's numbers,
            then the user's; NaN where unknown.
        catalogue: every item.
    """

    row: NDArray[np.int64]
    item: NDArray[np.int64]
    features: NDArray[np.float32]
    catalogue: Vocabulary

    def taken(self, questions: Questions) -> NDArray[np.float64]:
        """``(n,)`` 1 for a candidate that is among the question's answers, else 0."""
        truth = questions.answers
        assert isinstance(truth, Ragged)
        row = np.repeat(np.arange(len(truth)), truth.lengths)
        wanted = row * len(self.catalogue) + self.catalogue.encode(truth.values)
        return np.isin(self.row * len(self.catalogue) + self.item, wanted).astype(np.float64)


def propose(
    sources: Mapping[str, Fitted], questions: Questions, inputs: Inputs, depth: int
) -> Candidates:
    """What the sources list for questions of one moment, with numbers from before it."""
    at = int(questions.times[0])
    sequences = inputs.sequences(at)
    n_items = len(sequences.items)
    asked, task = questions.unanswered(), make_task("next_item")
    keys, values = [], []
    for fitted in sources.values():
        listed = fitted.answer(task, asked, inputs, k=depth)
        assert listed.items is not None
        assert listed.scores is not None
        row, place = np.nonzero(listed.items >= 0)
        keys.append(row * n_items + listed.items[row, place])
        values.append(np.column_stack((listed.scores[row, place], place)))
    every = np.unique(np.concatenate(keys))
    row, item = np.divmod(every, n_items)
    by_source = np.full((len(every), len(sources) * len(SOURCE_FEATURES)), np.nan, np.float32)
    for i, (key, value) in enumerate(zip(keys, values, strict=True)):
        columns = slice(i * len(SOURCE_FEATURES), (i + 1) * len(SOURCE_FEATURES))
        by_source[np.searchsorted(every, key), columns] = value
    by_item = _item_numbers(sequences, at)
    by_user = _user_numbers(sequences, questions.users, by_item, at)
    return Candidates(
        row, item, np.hstack((by_source, by_item[item], by_user[row])), sequences.items
    )


def _item_numbers(sequences: UserSequences, at: int) -> NDArray[np.float32]:
    """``(n_items, len(ITEM_FEATURES))`` from events before ``at``."""
    n_items = len(sequences.items)
    days = (at - sequences.time) / DAY_US
    recent = [np.bincount(sequences.item[days <= d], minlength=n_items) for d in RECENT_DAYS]
    total = np.bincount(sequences.item, minlength=n_items)
    oldest, latest = np.full(n_items, np.nan), np.full(n_items, np.nan)
    np.fmax.at(oldest, sequences.item, days)
    np.fmin.at(latest, sequences.item, days)
    # Events of the last month against those of the quarter: above a third, demand grows.
    growth = (recent[1] + 1) / (recent[2] + 3)
    return np.column_stack((*recent, total, oldest, latest, growth)).astype(np.float32)


def _user_numbers(
    sequences: UserSequences, users: NDArray[np.object_], by_item: NDArray[np.float32], at: int
) -> NDArray[np.float32]:
    """``(n, len(USER_FEATURES))``; strangers have no events and NaN elsewhere."""
    own = histories(sequences, users, sequences.items)
    lengths = np.diff(own.offsets)
    days = (at - own.time) / DAY_US
    recency, span = np.full(len(own), np.nan), np.full(len(own), np.nan)
    last = own.offsets[1:][lengths > 0] - 1
    first = own.offsets[:-1][lengths > 0]
    recency[lengths > 0] = days[last]
    span[lengths > 0] = days[first] - days[last]
    # What a user takes: how popular, and how long on sale.
    taste = [
        np.bincount(own.row, by_item[own.item, ITEM_FEATURES.index(name)], len(own))
        for name in ("item_events", "item_age_days")
    ]
    with np.errstate(invalid="ignore"):
        taste = [total / lengths for total in taste]
    return np.column_stack((lengths, recency, span, *taste)).astype(np.float32)
