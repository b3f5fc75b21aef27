"""The floor: which words and characters occur, and a logistic layer. Needs no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from shoploom.core.progress import Progress
from shoploom.engines.engine import State
from shoploom.engines.readers._head import Head, tuned_head
from shoploom.engines.readers._ngrams import Ngrams, require_sklearn
from shoploom.engines.readers.reader import READERS, Encode, check_labels


@READERS.register("tfidf")
@dataclass(frozen=True)
class Tfidf:
    """Settings of the floor.

    Attributes:
        most: terms of either kind (words, characters) at most.
        strengths: inverse regularisations to choose from.
    """

    most: int = 300_000
    strengths: tuple[float, ...] = (0.25, 1.0, 4.0, 16.0)

    def fit(
        self,
        texts: Sequence[str],
        labels: NDArray[np.int64],
        *,
        n_labels: int,
        seed: int = 0,
        encode: Encode | None = None,
        progress: Progress | None = None,
    ) -> FittedTfidf:
        """Terms, their weights and a head; see ``Reader.fit``."""
        require_sklearn("tfidf")
        check_labels(texts, labels, "tfidf")
        ngrams = Ngrams.fit(texts, most=self.most)
        head = tuned_head(
            ngrams.transform(texts),
            labels,
            n_labels=n_labels,
            strengths=self.strengths,
            seed=seed,
        )
        return FittedTfidf(ngrams, head)

    @staticmethod
    def from_state(state: State) -> FittedTfidf:
        """The fitted reader that gave this state."""
        ngrams = Ngrams(
            state.vocabularies["words"], state.vocabularies["chars"], state.arrays["idf"]
        )
        arrays = state.arrays
        return FittedTfidf(
            ngrams, Head(arrays["weights"], arrays["bias"], state.config["temperature"])
        )


@dataclass(frozen=True)
class FittedTfidf:
    """The floor, having learned."""

    ngrams: Ngrams
    head: Head

    name: ClassVar[str] = "tfidf"

    @property
    def n_labels(self) -> int:
        return len(self.head.bias)

    def predict(
        self,
        texts: Sequence[str],
        *,
        encode: Encode | None = None,
        progress: Progress | None = None,
    ) -> NDArray[np.float64]:
        """``(n, n_labels)`` probabilities."""
        return self.head.probabilities(self.ngrams.transform(texts))

    def state(self) -> State:
        """Settings, arrays and terms."""
        return State(
            {"temperature": self.head.temperature},
            {"idf": self.ngrams.idf, "weights": self.head.weights, "bias": self.head.bias},
            {"words": self.ngrams.words, "chars": self.ngrams.chars},
        )
