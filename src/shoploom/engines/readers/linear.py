"""Vectors of a frozen text encoder beside words and characters, under one logistic layer.

The vectors know what words mean, the words which of them matter to this shop. How much the vectors
count against the words is chosen on a validation part, with the regularisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from shoploom.core.progress import Progress, Quiet
from shoploom.core.seeds import rng
from shoploom.encoders import make_encoder
from shoploom.engines.engine import State
from shoploom.engines.readers._head import Head, fit_head, validate
from shoploom.engines.readers._ngrams import Ngrams, require_sklearn
from shoploom.engines.readers.reader import READERS, Encode, check_labels

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@READERS.register("linear")
@dataclass(frozen=True)
class Linear:
    """Settings of the default reader.

    Attributes:
        encoder: name of a pretrained text encoder.
        most: terms of either kind (words, characters) at most; with 0 the vectors stand alone.
        strengths: inverse regularisations to choose from.
        scales: lengths of a typical vector to choose from; words have length 1 and so have
            characters.
        choose_on: settings are chosen on at most so many texts.
    """

    encoder: str = "e5"
    most: int = 300_000
    strengths: tuple[float, ...] = (0.25, 1.0, 4.0, 16.0)
    scales: tuple[float, ...] = (1.0, 3.0)
    choose_on: int = 20_000

    def fit(
        self,
        texts: Sequence[str],
        labels: NDArray[np.int64],
        *,
        n_labels: int,
        seed: int = 0,
        encode: Encode | None = None,
        progress: Progress | None = None,
    ) -> FittedLinear:
        """Terms, centre and scale of vectors, and a head; see ``Reader.fit``."""
        require_sklearn("linear")
        check_labels(texts, labels, "linear")
        progress = progress or Quiet()
        vectors = vectors_of(texts, self.encoder, encode, progress)
        ngrams = Ngrams.fit(texts, most=self.most)
        terms = ngrams.transform(texts)
        centre = vectors.mean(axis=0)
        length = float(np.linalg.norm(vectors - centre, axis=1).mean()) or 1.0
        shapes = [Shape(centre, scale / length) for scale in self.scales]
        some = np.arange(len(texts))
        if len(some) > self.choose_on:
            some = np.sort(rng(seed, "linear reader").permutation(len(texts))[: self.choose_on])
        settings = [(shape, strength) for shape in shapes for strength in self.strengths]
        with progress.step(f"choosing among {len(settings)} settings on {len(some):,} texts"):
            choices = [
                validate(
                    shape.features(vectors[some], terms[some]),
                    labels[some],
                    n_labels=n_labels,
                    strength=strength,
                    seed=seed,
                )
                for shape, strength in settings
            ]
        best = int(np.argmin([loss for _, loss in choices]))
        shape, strength = settings[best]
        features = shape.features(vectors, terms)
        head = fit_head(features, labels, n_labels=n_labels, strength=strength)
        return FittedLinear(
            self.encoder, ngrams, shape, replace(head, temperature=choices[best][0])
        )

    @staticmethod
    def from_state(state: State) -> FittedLinear:
        """The fitted reader that gave this state."""
        config, arrays = state.config, state.arrays
        return FittedLinear(
            config["encoder"],
            Ngrams(state.vocabularies["words"], state.vocabularies["chars"], arrays["idf"]),
            Shape(arrays["centre"], config["scale"]),
            Head(arrays["weights"], arrays["bias"], config["temperature"]),
        )


@dataclass(frozen=True)
class Shape:
    """How vectors stand beside words: centred, because those of E5 crowd in one cone, and scaled.

    Attributes:
        centre: ``(dim,)`` the mean training vector.
        scale: what a centred vector is multiplied by.
    """

    centre: NDArray[np.float32]
    scale: float

    def features(self, vectors: NDArray[np.float32], terms: csr_matrix) -> csr_matrix:
        """``(n, dim + n_terms)``; a text without a vector has zeros there."""
        from scipy.sparse import csr_matrix, hstack

        present = np.any(vectors != 0, axis=1, keepdims=True)
        placed = (vectors - self.centre) * (self.scale * present)
        return csr_matrix(hstack([csr_matrix(placed.astype(np.float32)), terms], format="csr"))


@dataclass(frozen=True)
class FittedLinear:
    """The default reader, having learned."""

    encoder: str
    ngrams: Ngrams
    shape: Shape
    head: Head

    name: ClassVar[str] = "linear"

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
        vectors = vectors_of(texts, self.encoder, encode, progress or Quiet())
        return self.head.probabilities(self.shape.features(vectors, self.ngrams.transform(texts)))

    def state(self) -> State:
        """Settings, arrays and terms."""
        return State(
            {
                "encoder": self.encoder,
                "scale": self.shape.scale,
                "temperature": self.head.temperature,
            },
            {
                "centre": self.shape.centre,
                "idf": self.ngrams.idf,
                "weights": self.head.weights,
                "bias": self.head.bias,
            },
            {"words": self.ngrams.words, "chars": self.ngrams.chars},
        )


def vectors_of(
    texts: Sequence[str], encoder: str, encode: Encode | None, progress: Progress
) -> NDArray[np.float32]:
    """``(n, dim)`` vectors of the texts, from ``encode`` or else from the encoder of that name."""
    if encode is not None:
        return np.asarray(encode(texts), dtype=np.float32)
    fitted = make_encoder(encoder).fit([])
    return np.asarray(fitted.encode(texts, progress=progress).vectors, dtype=np.float32)
