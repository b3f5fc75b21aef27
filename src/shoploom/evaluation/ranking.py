"""Judging ranked lists: what came, how high it stood, and how much of the shop was shown.

Truth is turned into catalogue codes once; from there on a list is a row of integers. Nothing of
size users x items is ever made. An item that the catalogue does not know can be in no list, so it
counts as a miss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.core.ids import Vocabulary
from shoploom.evaluation.intervals import Measure, Owners, Weights, ratio
from shoploom.tasks import Answers, Ragged

_METRICS = ("hr", "ndcg", "mrr", "map", "recall", "precision")
_BLOCK = 2**17  # rows judged at once


@dataclass(frozen=True)
class RankingEvidence:
    """What each row's list scores, ready to be averaged.

    Attributes:
        rows: ``(n_judged,)`` ascending numbers of the questions that have a truth; a question
            to which nothing came has no right answer and is not judged.
        per_row: by metric name, ``(n_judged,)`` float32.
        whole: by metric name, values of all lists together, which have no interval.
    """

    rows: NDArray[np.int64]
    per_row: dict[str, NDArray[np.float32]]
    whole: dict[str, float] = field(default_factory=dict)

    @property
    def n(self) -> int:
        return len(self.rows)

    def take(self, rows: NDArray[np.integer]) -> RankingEvidence:
        """The given rows of the questions; what is said of the whole catalogue is left out."""
        place = np.minimum(np.searchsorted(self.rows, rows), max(self.n - 1, 0))
        judged = self.rows[place] == rows if self.n else np.zeros(len(rows), dtype=bool)
        place = place[judged]
        kept = {name: values[place] for name, values in self.per_row.items()}
        return RankingEvidence(np.flatnonzero(judged), kept)

    def measure(self, owners: Owners) -> Measure:
        """The mean of every metric over the judged rows, and the metrics of the whole."""
        judged = Owners(owners.codes[self.rows], owners.count)
        table = judged.sums([*self.per_row.values(), np.ones(self.n)])

        def measure(weights: Weights) -> dict[str, NDArray[np.float64]]:
            *totals, n = (weights.astype(np.float64) @ table).T
            means = {
                name: ratio(total, n) for name, total in zip(self.per_row, totals, strict=True)
            }
            return means | {name: np.full(len(n), value) for name, value in self.whole.items()}

        return measure


def ranking_evidence(
    answers: Answers,
    truth: Ragged,
    *,
    ks: Sequence[int] = (1, 5, 10, 20),
    counts: Mapping[str, float] | None = None,
) -> RankingEvidence:
    """Every ranking metric at every cut-off.

    With ``rel`` the relevance (0 or 1) of the listed items and ``R`` the number of items that
    came, at cut-off k per row: ``hr`` whether any came, ``recall`` hits / R, ``precision``
    hits / k, ``ndcg`` (sum of rel / log2(place + 1)) over its best possible value at min(k, R)
    items, ``mrr`` 1 / place of the first hit, ``map`` the mean over min(k, R) of the precision at
    each hit. ``novelty`` is the mean of -log2 p(item) over the listed items (Zhou et al. 2010,
    "Solving the apparent diversity-accuracy dilemma"), with p from training counts plus one.
    Of all judged lists together: ``coverage`` the share of the catalogue that is listed, and
    ``exposure_gini`` how unevenly (0 evenly, near 1 all on one item).

    Args:
        answers: the lists, with their catalogue.
        truth: the items that came, by question.
        ks: the cut-offs.
        counts: events in training by item id, for novelty; no novelty without.

    Raises:
        DataError: lists are too short for a cut-off, hold codes outside the catalogue, or repeat
            an item.
    """
    if answers.items is None or answers.catalogue is None:
        raise DataError(
            f"task {answers.task!r}: expected ranked items and their catalogue, got none."
        )
    size, rows = len(answers.catalogue), np.flatnonzero(truth.lengths > 0)
    listed = _listed(answers, max(ks))
    relevant = truth.take(rows)
    wanted = answers.catalogue.encode(relevant.values).astype(np.int64)
    information = None if counts is None else self_information(answers.catalogue, counts)

    metrics = (*_METRICS, "novelty") if information is not None else _METRICS
    names = [f"{metric}@{k}" for metric in metrics for k in ks]
    per_row = {name: np.empty(len(rows), dtype=np.float32) for name in names}
    shown = {k: np.zeros(size, dtype=np.int64) for k in ks}
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        lists = listed[rows[block]]
        offsets = relevant.offsets[start : start + len(lists) + 1]
        hits = _hits(lists, wanted[offsets[0] : offsets[-1]], np.diff(offsets), size)
        values = _per_row(hits, np.diff(offsets), ks)
        for k in ks:
            top = lists[:, :k]
            present = top >= 0
            if information is not None:
                bits = np.append(information, 0)[top].sum(axis=1)  # -1 reads the added 0
                values[f"novelty@{k}"] = bits / np.maximum(present.sum(axis=1), 1)
            shown[k] += np.bincount(top[present], minlength=size)
        for name, value in values.items():
            per_row[name][block] = value
    whole = {f"coverage@{k}": float(np.mean(shown[k] > 0)) if size else np.nan for k in ks}
    whole |= {f"exposure_gini@{k}": exposure_gini(shown[k]) for k in ks}
    return RankingEvidence(rows, per_row, whole)


def self_information(catalogue: Vocabulary, counts: Mapping[str, float]) -> NDArray[np.float64]:
    """``(n_items,)`` bits, -log2 of each item's share of the counts, one added to every item."""
    ids = catalogue.ids
    seen = np.fromiter((counts.get(i, 0) for i in ids), dtype=np.float64, count=len(ids)) + 1
    return -np.log2(seen / seen.sum())


def exposure_gini(shown: NDArray) -> float:
    """The Gini coefficient of how often ``(n_items,)`` were shown; NaN when nothing was.

    >>> exposure_gini(np.array([2, 2, 2]))
    0.0
    """
    n, total = len(shown), shown.sum()
    if not total:
        return float("nan")
    place = 2 * np.arange(1, n + 1) - n - 1
    return float(place @ np.sort(shown) / (n * total))


def _listed(answers: Answers, k: int) -> NDArray[np.int32]:
    """The lists cut or padded to k, checked against the catalogue."""
    items, size = answers.items, len(answers.catalogue or ())
    assert items is not None
    where = f"task {answers.task!r}, ranked items"
    if items.shape[1] < k and items.shape[1] < size:
        raise DataError(
            f"{where}: expected {k} items a list to judge at {k}, got {items.shape[1]}; "
            f"let the engine answer with k={k} or judge at smaller ks."
        )
    if items.size and not -1 <= items.min() <= items.max() < size:
        raise DataError(
            f"{where}: expected codes from -1 to {size - 1}, got {items.min()} to {items.max()}; "
            "they must be codes into the answers' own catalogue."
        )
    missing = max(k - items.shape[1], 0)
    padding = np.full((len(items), missing), -1, dtype=np.int32)
    return np.concatenate((items[:, :k], padding), axis=1) if missing else items[:, :k]


def _hits(
    lists: NDArray[np.int32], wanted: NDArray[np.int64], lengths: NDArray[np.int64], size: int
) -> NDArray[np.bool_]:
    """``(n, k)`` whether each listed item is wanted in its row."""
    ordered = np.sort(lists, axis=1)
    if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any():
        raise DataError(
            "ranked items: expected distinct items in each list, got one twice; "
            "a repeated item would be counted as two hits."
        )
    row = np.repeat(np.arange(len(lists)), lengths)
    keys = np.sort((row * size + wanted)[wanted >= 0])
    if not len(keys):
        return np.zeros(lists.shape, dtype=bool)
    asked = np.arange(len(lists))[:, None] * size + lists
    place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return (keys[place] == asked) & (lists >= 0)


def _per_row(
    hits: NDArray[np.bool_], lengths: NDArray[np.int64], ks: Sequence[int]
) -> dict[str, NDArray[np.float64]]:
    """Every metric of each row from its ``(n, k)`` hits and the number of wanted items."""
    place = np.arange(1, hits.shape[1] + 1)
    found = np.cumsum(hits, axis=1)
    gain = np.cumsum(hits / np.log2(place + 1), axis=1)
    best_gain = np.cumsum(1 / np.log2(place + 1))
    precision = np.cumsum(hits * found / place, axis=1)
    first = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1.0, np.inf)
    values = {}
    for k in ks:
        possible = np.minimum(lengths, k)
        values[f"hr@{k}"] = found[:, k - 1] > 0
        values[f"recall@{k}"] = found[:, k - 1] / lengths
        values[f"precision@{k}"] = found[:, k - 1] / k
        values[f"ndcg@{k}"] = gain[:, k - 1] / best_gain[possible - 1]
        values[f"mrr@{k}"] = np.where(first <= k, 1 / first, 0)
        values[f"map@{k}"] = precision[:, k - 1] / possible
    return values
