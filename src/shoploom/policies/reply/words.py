"""Counted words of Chinese and English, and linear heads on them: what a few hundred texts allow.

Chinese is counted by characters and pairs of them, everything else by words and pairs of words.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_TOKEN = r"[\u3400-\u9fff]|[^\W_]+(?:'[^\W_]+)?|[?!？！]"
_ITERATIONS = 300

Floats = NDArray[np.float64]


class Words:
    """TF-IDF of texts, learned from some of them.

    Args:
        texts: to learn words from.
        longest: runs of so many words are counted.
        least: texts that a run has to stand in.
    """

    def __init__(self, texts: Sequence[str], *, longest: int = 2, least: int = 2):
        _need_sklearn()
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


def linear(x: Any, y: NDArray, *, strength: float = 3.0, weight: NDArray | None = None) -> Any:
    """Multinomial logistic regression; ``strength`` is the inverse of the penalty.

    Raises:
        DataError: there is only one class, or scikit-learn is missing.
    """
    _need_sklearn()
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(y)) < 2:
        raise DataError(f"texts: expected several classes to tell apart, got {np.unique(y)!r}.")
    return LogisticRegression(C=strength, max_iter=_ITERATIONS).fit(x, y, sample_weight=weight)


def chances(head: Any, x: Any, classes: Sequence[Any]) -> Floats:
    """``(n, n_classes)`` in the order of ``classes``; 0 for those the head has not met."""
    out = np.zeros((x.shape[0], len(classes)))
    place = {value: code for code, value in enumerate(classes)}
    if x.shape[0]:
        told = head.predict_proba(x)
        for column, value in enumerate(head.classes_.tolist()):
            out[:, place[value]] = told[:, column]
    return out


def _need_sklearn() -> None:
    if find_spec("sklearn") is None:
        raise DataError(
            "expected the package scikit-learn, found it nowhere; run: pip install "
            "'shoploom[policies]'."
        )
