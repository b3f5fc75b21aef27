"""Words and stretches of characters that occur in a text, weighted by how rare they are.

Stretches of characters serve Chinese, which has no spaces, and misspelt words of any language.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.core.ids import Vocabulary

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_WORD = r"(?u)\w+"
_SMALL = 2_000  # with fewer texts than this, terms that occur once are kept


@dataclass(frozen=True)
class Ngrams:
    """Terms and their weights.

    Attributes:
        words: one and two words.
        chars: one to four characters, spaces and punctuation included.
        idf: ``(len(words) + len(chars),)`` float32 weights.
    """

    words: Vocabulary
    chars: Vocabulary
    idf: NDArray[np.float32]

    @classmethod
    def fit(cls, texts: Sequence[str], *, most: int) -> Ngrams:
        """The terms of training texts.

        Args:
            texts: training texts.
            most: terms of either kind at most, by how often they occur.
        """
        if not most:
            return cls(Vocabulary.of([]), Vocabulary.of([]), np.empty(0, dtype=np.float32))
        least = 1 if len(texts) < _SMALL else 2
        terms, idf = [], []
        for kind in ("words", "chars"):
            counter = _counter(kind, min_df=least, max_features=most)
            try:
                counts = counter.fit_transform(texts)
            except ValueError:  # nothing but punctuation
                terms.append(Vocabulary.of([]))
                continue
            terms.append(Vocabulary.of(counter.vocabulary_))
            texts_with = np.bincount(counts.indices, minlength=counts.shape[1])
            idf.append(np.log((1 + len(texts)) / (1 + texts_with)) + 1)
        words, chars = terms
        return cls(words, chars, np.concatenate([np.empty(0), *idf]).astype(np.float32))

    def __len__(self) -> int:
        return len(self.idf)

    def transform(self, texts: Sequence[str]) -> csr_matrix:
        """``(n, len(self))`` float32; words and characters have length one each where any occur."""
        from scipy.sparse import csr_matrix, hstack

        blocks, start = [], 0
        for kind, terms in (("words", self.words), ("chars", self.chars)):
            idf = self.idf[start : start + len(terms)]
            start += len(terms)
            if not len(terms):
                continue
            counter = _counter(kind, vocabulary={term: i for i, term in enumerate(terms.ids)})
            counts = counter.transform(texts).astype(np.float32)
            counts.data = (1 + np.log(counts.data)) * idf[counts.indices]
            length = np.sqrt(np.asarray(counts.multiply(counts).sum(axis=1))).ravel()
            counts.data /= np.repeat(np.maximum(length, 1e-12), np.diff(counts.indptr))
            blocks.append(counts)
        if not blocks:
            return csr_matrix((len(texts), 0), dtype=np.float32)
        return csr_matrix(hstack(blocks, format="csr", dtype=np.float32))


def require_sklearn(reader: str) -> None:
    """Nothing, when scikit-learn is installed.

    Raises:
        DataError: it is not.
    """
    from importlib.util import find_spec

    if find_spec("sklearn") is None:
        raise DataError(
            f"reader {reader!r}: expected the package scikit-learn, found it nowhere; "
            "run: pip install 'shoploom[text]'"
        )


def _counter(kind: str, **settings: Any) -> Any:
    from sklearn.feature_extraction.text import CountVectorizer

    if kind == "words":
        return CountVectorizer(token_pattern=_WORD, ngram_range=(1, 2), **settings)
    return CountVectorizer(analyzer="char", ngram_range=(1, 4), **settings)
