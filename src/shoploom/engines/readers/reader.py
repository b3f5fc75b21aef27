"""What a reader is: labelled texts in, calibrated probabilities of labels for other texts out.

A reader is a frozen dataclass of settings under ``READERS.register(name)``; ``fit`` returns a new
fitted object. It knows texts and label numbers only: what a label means, and which texts may be
learned from, is the business of ``tasks.content`` and of whoever calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.core.progress import Progress
from shoploom.core.registry import Registry
from shoploom.engines.engine import State, read_state, save_state

#: How texts become vectors: from ``n`` texts to ``(n, dim)``. Whoever keeps vectors passes one.
Encode = Callable[[Sequence[str]], NDArray[np.floating]]


class FittedReader(Protocol):
    """A reader that has learned."""

    name: ClassVar[str]

    @property
    def n_labels(self) -> int: ...

    def predict(
        self,
        texts: Sequence[str],
        *,
        encode: Encode | None = None,
        progress: Progress | None = None,
    ) -> NDArray[np.float64]:
        """``(n, n_labels)`` probabilities, rows adding to 1; an empty text gets a defined row."""
        ...

    def state(self) -> State:
        """Everything needed to rebuild this object with the reader's ``from_state``."""
        ...


class Reader(Protocol):
    """Settings of a reader; a frozen dataclass under ``READERS.register(name)``."""

    def fit(
        self,
        texts: Sequence[str],
        labels: NDArray[np.int64],
        *,
        n_labels: int,
        seed: int = 0,
        encode: Encode | None = None,
        progress: Progress | None = None,
    ) -> FittedReader:
        """A new fitted reader.

        Args:
            texts: ``n`` training texts; every one is learned from or used to choose settings.
            labels: ``(n,)`` from 0 to ``n_labels - 1``.
            n_labels: how many labels there are, seen or not.
            seed: of all randomness.
            encode: how texts become vectors, for readers that need them; their encoder when None.
            progress: where long work reports to.

        Raises:
            DataError: fewer than two labels occur, or a package is missing.
        """
        ...

    @staticmethod
    def from_state(state: State) -> FittedReader:
        """The fitted reader that gave this state."""
        ...


#: Members are reader dataclasses; ``READERS.get(name)()`` has default settings.
READERS: Registry[type] = Registry("reader", "shoploom.engines.readers")


def make_reader(name: str, **settings: object) -> Reader:
    """The reader of that name with the given settings.

    Raises:
        UnknownName: no such reader, or no such setting.
    """
    return READERS.make(name, **settings)


def check_labels(texts: Sequence[str], labels: NDArray[np.int64], reader: str) -> None:
    """Nothing, where there is something to learn.

    Raises:
        DataError: texts and labels differ in number, or fewer than two labels occur.
    """
    if len(texts) != len(labels):
        raise DataError(
            f"reader {reader!r}: expected one label per text, got {len(labels)} for {len(texts)}."
        )
    occurring = np.unique(labels)
    if len(occurring) < 2:
        raise DataError(
            f"reader {reader!r}: expected texts of at least two labels to learn from, got "
            f"{len(texts)} of {len(occurring)}; label more, or use a reader that is trained."
        )


def save_reader(folder: Path, fitted: FittedReader) -> None:
    """Write a fitted reader as ``state.json`` and ``arrays.safetensors``, atomically."""
    save_state(folder, fitted.name, fitted.state())


def load_reader(folder: Path) -> FittedReader:
    """The fitted reader saved in ``folder``.

    Raises:
        DataError: a file is missing, cut short or of a newer format.
    """
    reader, state = read_state(folder)
    return READERS.get(reader).from_state(state)


#: The sentiment reader that ships: labels negative and positive, English and Chinese; made by
#: ``benchmarks/make_sentiment_head.py``.
SHIPPED_SENTIMENT = Path(__file__).parent / "data/sentiment"
