"""Counted words of Chinese and English.

Chinese is counted by characters and pairs of them, everything else by words and pairs of words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from shoploom.core.errors import DataError
from shoploom.policies.linear import need_sklearn

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_TOKEN = r"[\u3400-\u9fff]|[^\W_]+(?:'[^\W_]+)?|[?!？！]"


class Words:
    """TF-IDF of texts, learned from some of them.

    Args:
        texts: to learn words from.
        longest: runs of so many words are counted.
        least: texts that a run has to stand in.
    """

    def __init__(self, texts: Sequence[str], *, longest: int = 2, least: int = 2):
        need_sklearn()
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._counts = TfidfVectorizer(
            token_pattern=_TOKEN,
            ngram_range=(1, longest),
            min_df=min(least, max(1, len(texts))),
            sublinear_tf=True,
            dtype=np.float64,
        )
        try:
            self._counts.fit(texts)
        except ValueError:
            raise DataError(f"texts: expected words, found none in {len(texts):,} texts.") from None

    def __call__(self, texts: Sequence[str]) -> csr_matrix:
        """``(n, n_words)`` sparse."""
        return self._counts.transform(texts)
