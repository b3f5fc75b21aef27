"""Weighted counts of words and characters, reduced: text as vectors without any model.

English is counted in words and pairs of words, Chinese, which has no spaces, in stretches of one
to three characters. Terms are kept by name, none is hashed. Needs no extra package.

Sources: Deerwester and others 1990 (latent semantic analysis); Halko, Martinsson and Tropp 2011
(the randomised decomposition).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import ConfigError, DataError
from shoploom.core.progress import Progress, Quiet
from shoploom.core.seeds import rng
from shoploom.encoders._windows import CHUNK, given, normalised
from shoploom.encoders.encoder import ENCODERS, Encoded, Modality

if TYPE_CHECKING:
    from scipy.sparse import csr_array

#: A run of characters written without spaces, or a word.
_RUN = re.compile(r"([㐀-䶿一-鿿豈-﫿぀-ヿ]+)|[^\W_]+(?:['’][^\W_]+)*")


@ENCODERS.register("tfidf")
@dataclass(frozen=True)
class Tfidf:
    """Settings of TF-IDF.

    Attributes:
        dim: length of a vector; the columns beyond what the texts can fill are zeros.
        max_terms: at most so many terms, those in most texts.
        min_texts: a term must be in so many texts.
        learn_from: at most so many texts, drawn at random, are learned from.
    """

    dim: int = 256
    max_terms: int = 50_000
    min_texts: int = 2
    learn_from: int = 50_000

    modality: ClassVar[Modality] = "text"

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 1:
                raise ConfigError(f"encoder 'tfidf': expected {name} of at least 1, got {value}.")

    def fit(self, column: Sequence[Any], *, seed: int = 0) -> FittedTfidf:
        """Terms, their weights, and the directions in which texts differ most.

        A column without any repeated term gives an encoder whose vectors are zeros.
        """
        import pyarrow as pa

        random = rng(seed, "tfidf")
        _, texts = given(column)
        if len(texts) > self.learn_from:
            rows = np.sort(random.choice(len(texts), self.learn_from, replace=False))
            texts = [texts[row] for row in rows]
        row, names = _occurrences(texts)
        encoded = pa.array(names, pa.string()).dictionary_encode()
        known = encoded.dictionary.to_pylist()
        code = encoded.indices.to_numpy().astype(np.int64)
        in_texts = np.bincount(np.unique(row * len(known) + code) % max(len(known), 1))
        in_texts = np.pad(in_texts, (0, len(known) - len(in_texts)))
        # Most frequent first; equal ones by name, so that the order of rows decides nothing.
        kept = [n for n in np.lexsort((known, -in_texts)) if in_texts[n] >= self.min_texts]
        kept = np.array(kept[: self.max_terms], dtype=np.int64)
        idf = (np.log((1 + len(texts)) / (1 + in_texts[kept])) + 1).astype(np.float32)
        fitted = FittedTfidf(
            self, tuple(known[n] for n in kept), idf, np.zeros((len(kept), 0), np.float32)
        )
        return FittedTfidf(
            self, fitted.terms, idf, _directions(fitted.weigh(texts), self.dim, random)
        )


@dataclass(frozen=True, eq=False)
class FittedTfidf:
    """TF-IDF that has learned.

    Attributes:
        terms: ``(n_terms,)`` names.
        idf: ``(n_terms,)`` weight of a term: the log of how rare it is.
        directions: ``(n_terms, k)`` right singular vectors, k at most ``dim``.
    """

    settings: Tfidf
    terms: tuple[str, ...]
    idf: NDArray[np.float32]
    directions: NDArray[np.float32]

    modality: ClassVar[Modality] = "text"

    @property
    def identity(self) -> str:
        digest = hashlib.sha256("\n".join(self.terms).encode())
        digest.update(self.idf.tobytes())
        digest.update(np.ascontiguousarray(self.directions).tobytes())
        return f"tfidf/1 dim={self.dim} learned={digest.hexdigest()[:16]}"

    @property
    def dim(self) -> int:
        return self.settings.dim

    def encode(self, column: Sequence[Any], *, progress: Progress | None = None) -> Encoded:
        """Unit vectors ``(n, dim)`` float32; zeros for missing texts and for unknown terms."""
        progress = progress or Quiet()
        present, texts = given(column)
        made = np.zeros((len(texts), self.dim), dtype=np.float32)
        chunks = range(0, len(texts), CHUNK)
        for start in progress.track(chunks, "texts", total=len(chunks)):
            some = texts[start : start + CHUNK]
            reduced = np.asarray(self.weigh(some) @ self.directions)
            made[start : start + len(some), : len(self.directions.T)] = normalised(reduced)
        vectors = np.zeros((len(column), self.dim), dtype=np.float32)
        vectors[present] = made
        return Encoded(vectors, present)

    def weigh(self, texts: list[str]) -> csr_array:
        """``(n_texts, n_terms)`` rows of unit length: (1 + log count) times rarity."""
        import pyarrow as pa
        import pyarrow.compute as pc
        from scipy.sparse import csr_array

        row, names = _occurrences(texts)
        found = pc.call_function(
            "index_in",
            [pa.array(names, pa.string())],
            pc.SetLookupOptions(pa.array(self.terms, pa.string())),
        )
        code = found.fill_null(-1).to_numpy(zero_copy_only=False)
        ones = np.ones(int((code >= 0).sum()), dtype=np.float32)
        counts = csr_array(
            (ones, (row[code >= 0], code[code >= 0])), shape=(len(texts), len(self.terms))
        )
        counts.sum_duplicates()
        counts.data = (1 + np.log(counts.data)) * self.idf[counts.indices]
        length = np.sqrt(np.asarray((counts * counts).sum(axis=1)))
        each = np.repeat(np.maximum(length, 1e-12), np.diff(counts.indptr))
        counts.data /= each.astype(np.float32)
        return counts

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
        """JSON-able values, and arrays."""
        values = {"version": 1, "settings": asdict(self.settings), "terms": list(self.terms)}
        return values, {"idf": self.idf, "directions": self.directions}

    @classmethod
    def from_state(cls, values: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> FittedTfidf:
        """The encoder that ``state`` described.

        Raises:
            DataError: another version wrote it.
        """
        if values.get("version") != 1:
            raise DataError(
                f"expected a saved 'tfidf' encoder of version 1, got {values.get('version')!r}; "
                "fit it again."
            )
        terms = tuple(values["terms"])
        return cls(Tfidf(**values["settings"]), terms, arrays["idf"], arrays["directions"])


def terms(text: str) -> list[str]:
    """Every term of a text, repeated as often as it occurs.

    >>> terms("Nice dress 很好")
    ['nice', 'dress', '很', '好', '很好', 'nice dress']
    """
    found, words = [], []
    for match in _RUN.finditer(text.lower()):
        run = match[0]
        if match[1]:
            for size in (1, 2, 3):
                found += [run[at : at + size] for at in range(len(run) - size + 1)]
        else:
            words.append(run)
            found.append(run)
    return found + [f"{one} {next_}" for one, next_ in pairwise(words)]


def _occurrences(texts: list[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Of each occurrence of a term: the row of its text, and its name."""
    each = [terms(text) for text in texts]
    row = np.repeat(np.arange(len(texts)), np.fromiter(map(len, each), np.int64, len(each)))
    return row, list(chain.from_iterable(each))


def _orthonormal(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Left singular vectors of a tall matrix, the largest first; those of no size are left out.

    From the small Gram matrix, which is forty times faster than a decomposition of the tall one.
    """
    size, turned = np.linalg.eigh((block.T @ block).astype(np.float64))
    size, turned = size[::-1], turned[:, ::-1]
    kept = size > 1e-6 * size[0]
    return block @ (turned[:, kept] / np.sqrt(size[kept])).astype(np.float32)


def _directions(rows: Any, k: int, random: np.random.Generator) -> NDArray[np.float32]:
    """``(n_columns, k)`` leading right singular vectors; fewer where there are not so many.

    Two power iterations on a block ten wider than asked.
    """
    k = min(k, *rows.shape)
    if not k:
        return np.zeros((rows.shape[1], 0), dtype=np.float32)
    block = random.standard_normal((rows.shape[1], min(k + 10, *rows.shape)), dtype=np.float32)
    for _ in range(2):
        block = _orthonormal(rows.T @ (rows @ block))
    seen = rows.T @ _orthonormal(rows @ block)
    right = _orthonormal(seen)[:, :k].T
    # A vector and its opposite are the same direction: let its largest entry be positive.
    largest = np.abs(right).argmax(axis=1)
    right *= np.sign(right[np.arange(len(right)), largest])[:, None]
    return np.ascontiguousarray(right.T, dtype=np.float32)
