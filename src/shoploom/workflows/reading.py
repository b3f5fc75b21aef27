"""Readers at work: sentiment and aspects of reviews, answered by whoever has not seen them.

A text is never answered by a reader that learned from it: labelled rows are answered by
cross-fitting, the others by a reader of all labelled ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.core.progress import Progress, Quiet
from shoploom.encoders import make_encoder
from shoploom.engines.readers import (
    SHIPPED_SENTIMENT,
    Encode,
    FittedReader,
    Reader,
    load_reader,
    make_reader,
)
from shoploom.evaluation.intervals import Estimate
from shoploom.evaluation.labelled import score_labels
from shoploom.tasks.content.aspects import ASPECTS, Mentions, find_mentions
from shoploom.tasks.content.readings import UNKNOWN
from shoploom.tasks.content.sentiment import Sentiment
from shoploom.workflows.review_file import Reviews

if TYPE_CHECKING:
    import pandas as pd

#: Columns of the answer.
SENTIMENT, PROBABILITY, ASPECT_SIGNS = "sentiment", "probability", "aspects"

FOLDS = 5
FEWEST = 50  # labelled rows of either label; fewer teach less than the reader that ships knows
ENCODER = "e5"


@dataclass(frozen=True)
class Aspect:
    """What reviews say of one aspect.

    Attributes:
        name: one of ASPECTS.
        n: how many reviews mention it.
        positive: the share of them that praise it.
        best, worst: the clauses that praise and blame it most, with their reviews' rows.
    """

    name: str
    n: int
    positive: float
    best: tuple[tuple[int, str], ...]
    worst: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Read:
    """Sentiment of reviews.

    Attributes:
        frame: the columns of the file, then ``sentiment``, ``probability`` (that it is positive)
            and ``aspects`` such as ``quality+ delivery-``; empty cells for empty texts.
        reader: what answered: a reader's name, or ``shipped``.
        judged: metrics on the labelled rows by ``reader`` and ``majority``; empty without labels.
        aspects: one for each that is mentioned, in the order of ASPECTS.
    """

    frame: pd.DataFrame
    reader: str
    judged: Mapping[str, Mapping[str, Estimate]]
    aspects: tuple[Aspect, ...]

    def summary(self) -> list[str]:
        """What a person wants to know first, in lines of text."""
        answered = self.frame[SENTIMENT].dropna()
        positive = float((answered == Sentiment.labels[1]).mean())
        lines = [
            f"{len(answered):,} reviews, {positive:.0%} positive; answered by the reader "
            f"{self.reader!r}"
        ]
        if self.judged:
            right, majority = (self.judged[name]["accuracy"] for name in ("reader", "majority"))
            lines.append(
                f"accuracy on {right.n:,} labelled reviews: {right.value:.3f} "
                f"({right.low:.3f} to {right.high:.3f}); always saying the commonest label: "
                f"{majority.value:.3f}"
            )
        for aspect in self.aspects:
            lines.append(
                f"  {aspect.name:<9}{aspect.n:>7,} mentions  {aspect.positive:>4.0%} praise   "
                f"best: {_short(aspect.best[0][1])}   worst: {_short(aspect.worst[0][1])}"
            )
        return lines


def read_sentiment(
    reviews: Reviews,
    *,
    reader: str = "linear",
    seed: int = 0,
    progress: Progress | None = None,
) -> Read:
    """Sentiment and aspects of every review.

    With enough labels (50 of either kind) a reader learns from the file; it answers where it does
    better on labelled rows it has not seen than the reader that ships. A row with a label is
    answered by a reader that has not seen it.

    Args:
        reviews: what ``read_reviews`` gave.
        reader: the reader that learns where there are labels.
        seed: of all randomness.
        progress: told what is done and what was chosen.

    Raises:
        DataError: no review says anything, or an extra is missing.
        UnknownName: no such reader.
    """
    progress = progress or Quiet()
    said = np.flatnonzero([bool(text) for text in reviews.texts])
    if not len(said):
        raise DataError("expected reviews that say something, got empty texts only.")
    texts, labels = reviews.texts[said].tolist(), reviews.labels[said]
    learner = make_reader(reader)
    encode = keep_vectors(ENCODER, None, progress)
    shipped = load_reader(SHIPPED_SENTIMENT)
    with progress.step(f"Reading {len(texts):,} reviews"):
        probability = shipped.predict(texts, encode=encode)
    name = "shipped"
    known = labels != UNKNOWN
    if np.bincount(labels[known], minlength=2).min() >= FEWEST:
        with progress.step(f"Learning from {known.sum():,} labels"):
            own = _learned(learner, texts, labels, seed, encode, progress)
        losses = [_loss(p[known], labels[known]) for p in (own, probability)]
        if losses[0] < losses[1]:
            name, probability = reader, own
        progress.note(
            f"log loss on labelled rows: {reader} {losses[0]:.3f}, shipped {losses[1]:.3f}; "
            f"{name} answers"
        )
    mentions, signs = read_aspects(texts, shipped, encode, progress)
    frame = reviews.frame.copy()
    frame[SENTIMENT] = _filled(
        np.where(probability[:, 1] >= 0.5, *Sentiment.labels[::-1]), said, frame
    )
    frame[PROBABILITY] = _filled(probability[:, 1].round(4), said, frame)
    frame[ASPECT_SIGNS] = _filled(_written(len(texts), mentions, signs), said, frame)
    metrics = {}
    if known.any() and len(np.unique(labels[known])) == 2:
        metrics = judged({"reader": probability}, labels, said.astype(str).astype(object))
    return Read(frame, name, metrics, summarised(mentions, signs, said))


def read_aspects(
    texts: Sequence[str],
    reader: FittedReader,
    encode: Encode | None = None,
    progress: Progress | None = None,
) -> tuple[Mentions, NDArray[np.float64]]:
    """The clauses of texts that mention an aspect, and ``(n,)`` how likely each is praise."""
    mentions = find_mentions(texts)
    if not len(mentions):
        return mentions, np.empty(0)
    progress = progress or Quiet()
    distinct, place = np.unique(mentions.clauses.astype(str), return_inverse=True)
    with progress.step(f"Reading {len(distinct):,} clauses about {', '.join(ASPECTS)}"):
        praise = reader.predict(distinct.tolist(), encode=encode)[:, 1]
    return mentions, praise[place]


def keep_vectors(encoder: str, folder: Path | None, progress: Progress) -> Encode:
    """How texts become vectors, each distinct text once.

    Args:
        encoder: its name; nothing is loaded before the first text.
        folder: of a store that keeps vectors; None keeps them in memory, as float16.
        progress: told how encoding goes.
    """
    memory: dict[str, NDArray[np.float16]] = {}

    def encode(texts: Sequence[str]) -> NDArray[np.floating]:
        from shoploom.encoders.store import VectorStore, encode_column

        fitted = make_encoder(encoder).fit([])
        if folder is not None:
            return encode_column(fitted, texts, VectorStore(folder), progress=progress).vectors
        new = sorted({text for text in texts if text not in memory})
        if new:
            vectors = fitted.encode(new, progress=progress).vectors.astype(np.float16)
            memory.update(zip(new, vectors, strict=True))
        return np.stack([memory[text] for text in texts])

    return encode


def cross_fitted(
    reader: Reader,
    texts: Sequence[str],
    labels: NDArray[np.int64],
    *,
    n_labels: int,
    seed: int = 0,
    folds: int = FOLDS,
    encode: Encode | None = None,
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """``(n, n_labels)`` probabilities of each text by a reader that has not seen it.

    Copies of a text fall into the same fold.
    """
    progress = progress or Quiet()
    fold = _hashes(texts, seed) % folds
    out = np.full((len(texts), n_labels), 1 / n_labels)
    for k in progress.track(range(folds), "folds", total=folds):
        train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        if not len(test) or len(np.unique(labels[train])) < 2:
            continue
        fitted = reader.fit(
            _at(texts, train), labels[train], n_labels=n_labels, seed=seed, encode=encode
        )
        out[test] = fitted.predict(_at(texts, test), encode=encode)
    return out


def _learned(
    reader: Reader,
    texts: list[str],
    labels: NDArray[np.int64],
    seed: int,
    encode: Encode,
    progress: Progress,
) -> NDArray[np.float64]:
    """``(n, 2)``: labelled texts cross-fitted, the others by a reader of all labelled ones."""
    known, unknown = np.flatnonzero(labels != UNKNOWN), np.flatnonzero(labels == UNKNOWN)
    out = np.empty((len(texts), 2))
    learned = {"n_labels": 2, "seed": seed, "encode": encode}
    out[known] = cross_fitted(
        reader, _at(texts, known), labels[known], **learned, progress=progress
    )
    if len(unknown):
        fitted = reader.fit(_at(texts, known), labels[known], **learned)
        out[unknown] = fitted.predict(_at(texts, unknown), encode=encode)
    return out


def judged(
    answers: Mapping[str, NDArray[np.float64]],
    labels: NDArray[np.int64],
    users: NDArray[np.object_],
) -> dict[str, dict[str, Estimate]]:
    """Metrics of answers on labelled rows, beside always saying the commonest label."""
    known = labels != UNKNOWN
    n_labels = next(iter(answers.values())).shape[1]
    shares = np.bincount(labels[known], minlength=n_labels) / known.sum()
    everything = {**answers, "majority": np.tile(shares, (len(labels), 1))}
    return {
        name: score_labels(probabilities[known], labels[known], users[known])
        for name, probabilities in everything.items()
    }


def summarised(
    mentions: Mentions, praise: NDArray[np.float64], rows: NDArray[np.int64]
) -> tuple[Aspect, ...]:
    """What is said of each aspect that is mentioned, a review counting once."""
    found = []
    for number, name in enumerate(ASPECTS):
        at = np.flatnonzero(mentions.aspects == number)
        if not len(at):
            continue
        reviews, mean = _by_review(mentions.texts[at], praise[at])
        order = at[np.argsort(praise[at], kind="stable")]
        ends = [
            tuple((int(rows[mentions.texts[i]]), str(mentions.clauses[i])) for i in some)
            for some in (order[::-1][:2], order[:2])
        ]
        found.append(Aspect(name, len(reviews), float((mean >= 0.5).mean()), *ends))
    return tuple(found)


def _by_review(
    texts: NDArray[np.int64], praise: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The texts that occur, and the mean praise of each."""
    distinct, place, count = np.unique(texts, return_inverse=True, return_counts=True)
    return distinct, np.bincount(place, weights=praise) / count


def _written(n: int, mentions: Mentions, praise: NDArray[np.float64]) -> NDArray[np.object_]:
    """``(n,)`` aspects with their signs, such as ``quality+ delivery-``."""
    words: list[list[str]] = [[] for _ in range(n)]
    for number, name in enumerate(ASPECTS):
        at = mentions.aspects == number
        for row, mean in zip(*_by_review(mentions.texts[at], praise[at]), strict=True):
            words[row].append(f"{name}{'+' if mean >= 0.5 else '-'}")
    return np.array([" ".join(each) for each in words], dtype=object)


def _filled(values: NDArray, rows: NDArray[np.int64], frame: pd.DataFrame) -> NDArray[np.object_]:
    """A column that has the values at the rows, and nothing elsewhere."""
    column = np.full(len(frame), None, dtype=object)
    column[rows] = values
    return column


def _hashes(texts: Sequence[str], seed: int) -> NDArray[np.int64]:
    """``(n,)`` numbers that depend on text and seed alone."""
    key = str(seed).encode()
    digests = (
        hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=4, key=key).digest()
        for text in texts
    )
    return np.array([int.from_bytes(digest, "big") for digest in digests], dtype=np.int64)


def _at(texts: Sequence[str], rows: NDArray[np.int64]) -> list[str]:
    return [texts[int(row)] for row in rows]


def _loss(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    true = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(true, 1e-12, 1)).mean())


def _short(text: str, most: int = 40) -> str:
    """One line of a text."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"
