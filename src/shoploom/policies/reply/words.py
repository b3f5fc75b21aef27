"""Counted words of Chinese and English.

Chinese is counted by characters and pairs of them, everything else by words and pairs of words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.policies.linear import need_sklearn

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_TOKEN = r"[\u3400-\u9fff]|[^\W_]+(?:'[^\W_]+)?|[?!？！]"


def _counting(longest: int, **settings: Any) -> Any:
    need_sklearn()
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        token_pattern=_TOKEN,
        ngram_range=(1, longest),
        sublinear_tf=True,
        dtype=np.float64,
        **settings,
    )


class Words:
    """TF-IDF of texts, learned from some of them.

    Args:
        texts: to learn words from.
        longest: runs of so many words are counted.
        least: texts that a run has to stand in.
    """

    def __init__(self, texts: Sequence[str], *, longest: int = 2, least: int = 2):
        self._counts = _counting(longest, min_df=min(least, max(1, len(texts))))
        try:
            self._counts.fit(texts)
        except ValueError:
            raise DataError(f"texts: expected words, found none in {len(texts):,} texts.") from None

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
        """The words in their order, and their weights."""
        places = self._counts.vocabulary_
        config = {
            "words": sorted(places, key=places.__getitem__),
            "longest": self._counts.ngram_range[1],
        }
        return config, {"idf": np.asarray(self._counts.idf_)}

    @classmethod
    def from_state(cls, config: dict[str, Any], arrays: Mapping[str, NDArray]) -> Words:
        """What gave this state."""
        found = cls.__new__(cls)
        found._counts = _counting(config["longest"], vocabulary=config["words"])
        found._counts.fit(["."])  # it wants to have seen a text; words and weights are given
        found._counts.idf_ = arrays["idf"]
        return found

    def __call__(self, texts: Sequence[str]) -> csr_matrix:
        """``(n, n_words)`` sparse."""
        return self._counts.transform(texts)
