"""What text encoders share: which rows hold text, windows over long texts, batches, threads.

A text longer than a model can read is cut into windows that overlap; its vector is the mean of
their vectors, weighted by their lengths.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import ConfigError, DataError

#: Rows that are cut into tokens together; bounds memory, and lets lengths be sorted.
CHUNK = 2048


def require(package: str, module: str, where: str) -> None:
    """Nothing, when the module is installed.

    Raises:
        DataError: it is not.
    """
    if find_spec(module) is None:
        raise DataError(
            f"{where}: expected the package {package}, found it nowhere; "
            "run: pip install 'shoploom[text]'"
        )


def check_window(window: int, overlap: int, longest: int | None, where: str) -> None:
    """Nothing, when windows of that size can move on.

    Raises:
        ConfigError: a window too small or too large, or an overlap that is no part of it.
    """
    if window < 8 or (longest is not None and window > longest):
        upper = "" if longest is None else f" to {longest}"
        raise ConfigError(f"{where}: expected a window of 8{upper} tokens, got {window}.")
    if not 0 <= overlap <= window // 2:
        raise ConfigError(
            f"{where}: expected an overlap of 0 to {window // 2} tokens (half the window), "
            f"got {overlap}."
        )


def given(column: Sequence[Any]) -> tuple[NDArray[np.bool_], list[str]]:
    """Which rows hold text, and those texts.

    None, NaN and white space are missing; the texts are ``writable``.

    Returns:
        ``(n,)`` bool, and one text per True.

    Raises:
        DataError: a row is neither text nor missing.
    """
    texts = []
    present = np.zeros(len(column), dtype=bool)
    for row, value in enumerate(column):
        if isinstance(value, str):
            if value and not value.isspace():
                present[row] = True
                texts.append(value)
        elif value is not None and value == value:
            raise DataError(
                f"expected text or None, got {value!r} in row {row}; turn the column into text."
            )
    return present, writable(texts)


def writable(texts: list[str]) -> list[str]:
    """The texts with half surrogates, which no encoding can write, as "?"."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return [text.encode("utf-8", "replace").decode() for text in texts]
    return texts


@dataclass(frozen=True)
class Windows:
    """Stretches of tokens, by the text they belong to.

    Attributes:
        text: ``(n_windows,)`` row of the text.
        start: ``(n_windows,)`` first token, counted over all texts.
        length: ``(n_windows,)`` tokens; 0 for a text without any.
    """

    text: NDArray[np.int64]
    start: NDArray[np.int64]
    length: NDArray[np.int64]

    def mean(self, vectors: NDArray[np.float32], n_texts: int) -> NDArray[np.float32]:
        """``(n_texts, dim)`` means of the windows' vectors, weighted by length."""
        if len(self.text) == n_texts:
            return vectors
        weights = np.maximum(self.length, 1).astype(np.float32)[:, None]
        first = np.searchsorted(self.text, np.arange(n_texts))
        summed = np.add.reduceat(vectors * weights, first)
        return (summed / np.add.reduceat(weights, first)).astype(np.float32)


def windows(lengths: NDArray[np.int64], size: int, overlap: int) -> Windows:
    """Windows of at most ``size`` tokens, neighbours sharing ``overlap`` of them."""
    step = size - overlap
    count = 1 + np.maximum(0, -(-(lengths - size) // step))
    text = np.repeat(np.arange(len(lengths)), count)
    nth = np.arange(len(text)) - np.repeat(np.cumsum(count) - count, count)
    within = nth * step
    first = np.cumsum(lengths) - lengths
    return Windows(text, first[text] + within, np.minimum(lengths[text] - within, size))


def batches(lengths: NDArray[np.int64], tokens: int) -> list[NDArray[np.int64]]:
    """Rows by length, in batches that hold about so many tokens."""
    if not len(lengths):
        return []
    order = np.argsort(lengths, kind="stable")
    filled = np.cumsum(lengths[order]) // tokens
    return np.split(order, np.flatnonzero(np.diff(filled)) + 1)


def normalised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vectors at length one; zeros stay zeros."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(length, 1e-12)


@contextmanager
def torch_threads(n: int | None) -> Iterator[None]:
    """A block in which torch uses ``n`` threads; None leaves its own choice."""
    import torch

    before = torch.get_num_threads()
    if n is not None:
        torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
