"""A number as its place among the training numbers, on the scale of a normal distribution.

Whatever the distribution (prices, counts, durations), what comes out has mean 0, spread 1 and no
outliers. Source: the normal scores of van der Waerden 1952, with mid-ranks for ties.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import ConfigError, DataError
from shoploom.core.progress import Progress
from shoploom.encoders.encoder import ENCODERS, Encoded, Modality

_DIM = 2


@ENCODERS.register("number")
@dataclass(frozen=True)
class Number:
    """Settings of the scaling.

    Attributes:
        quantiles: at most so many are remembered; between two the scale is linear.
    """

    quantiles: int = 1000

    modality: ClassVar[Modality] = "number"

    def __post_init__(self) -> None:
        if self.quantiles < 2:
            raise ConfigError(
                f"encoder 'number': expected at least 2 quantiles, got {self.quantiles}."
            )

    def fit(self, column: Sequence[Any], *, seed: int = 0) -> FittedNumber:
        """The quantiles of the finite numbers of a column; of none, a scale that gives 0."""
        numbers = _numbers(column)
        values, counts = np.unique(numbers[np.isfinite(numbers)], return_counts=True)
        shares = (np.cumsum(counts) - counts / 2) / max(int(counts.sum()), 1)
        if len(values) > self.quantiles:
            wanted = np.linspace(shares[0], shares[-1], self.quantiles)
            kept = np.unique(np.searchsorted(shares, wanted))
            values, shares = values[kept], shares[kept]
        return FittedNumber(self, values, shares)


@dataclass(frozen=True, eq=False)
class FittedNumber:
    """A scale that has learned.

    Attributes:
        values: ``(n,)`` numbers, ascending.
        shares: ``(n,)`` of the training numbers that lie below, half of the equal ones included.
    """

    settings: Number
    values: NDArray[np.float64]
    shares: NDArray[np.float64]

    modality: ClassVar[Modality] = "number"

    @property
    def identity(self) -> str:
        digest = hashlib.sha256(self.values.tobytes() + self.shares.tobytes())
        return f"number/1 learned={digest.hexdigest()[:16]}"

    @property
    def dim(self) -> int:
        return _DIM

    def encode(self, column: Sequence[Any], *, progress: Progress | None = None) -> Encoded:
        """Vectors ``(n, 2)`` float32: the number scaled, and 1 for being there.

        Missing and infinite numbers are zeros in both, so that a missing number is not mistaken
        for the median, which is 0 and 1. Beyond the training numbers the scale ends.
        """
        from scipy.special import ndtri

        numbers = _numbers(column)
        present = np.isfinite(numbers)
        vectors = np.zeros((len(numbers), _DIM), np.float32)
        if len(self.values):
            shares = np.interp(numbers[present], self.values, self.shares)
            vectors[present, 0] = ndtri(shares)
        vectors[present, 1] = 1
        infinite = np.flatnonzero(np.isinf(numbers)).tolist()
        return Encoded(vectors, present, dict.fromkeys(infinite, "an infinite number"))

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
        """JSON-able values, and arrays."""
        return (
            {"version": 1, "settings": asdict(self.settings)},
            {"values": self.values, "shares": self.shares},
        )

    @classmethod
    def from_state(cls, values: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> FittedNumber:
        """The encoder that ``state`` described.

        Raises:
            DataError: another version wrote it.
        """
        if values.get("version") != 1:
            raise DataError(
                f"expected a saved 'number' encoder of version 1, got {values.get('version')!r}; "
                "fit it again."
            )
        return cls(Number(**values["settings"]), arrays["values"], arrays["shares"])


def _numbers(column: Sequence[Any]) -> NDArray[np.float64]:
    """``(n,)`` float64, NaN for None."""
    try:
        return np.asarray(column, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"encoder 'number': expected numbers or None ({error}); turn the column into numbers, "
            "or take the encoder 'category'."
        ) from None
