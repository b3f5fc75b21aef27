"""How far a metric would move had other users come: 95 % bootstrap intervals over users.

The rows of one user stay together, because they agree with each other more than strangers do.
Every metric is written once, as a function of how often each user was drawn. The sample itself
is the draw in which everybody came once; a resample draws each user a Poisson(1) number of times
(the Poisson bootstrap: Chamandy et al. 2012, "Estimating uncertainty for massive data streams").
Two engines that answered the same questions meet the same draws, so that their difference is
paired.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shoploom.core.seeds import rng

#: ``(n_draws, n_users)`` uint8: how often each user came in each draw.
Weights = NDArray[np.uint8]

#: What a metric is: from weights to ``(n_draws,)`` values by metric name, NaN where undefined.
Measure = Callable[[Weights], dict[str, NDArray[np.float64]]]

_CELLS = 2**22  # draws x rows held at once; a few arrays of this many float64 exist at a time
_TAIL = 0.025  # on either side of a 95 % interval


@dataclass(frozen=True)
class Estimate:
    """A metric and its 95 % interval.

    Attributes:
        value: the metric on the sample; NaN where it is undefined (one class only, no rows).
        low, high: the interval; both equal ``value`` where one user leaves nothing to resample.
        n: how many rows it rests on.
    """

    value: float
    low: float
    high: float
    n: int

    def as_list(self) -> list[float | None]:
        """``[value, low, high]`` for JSON, None where not finite.

        >>> Estimate(0.5, float("nan"), 1.0, 3).as_list()
        [0.5, None, 1.0]
        """
        return [x if math.isfinite(x) else None for x in (self.value, self.low, self.high)]


@dataclass(frozen=True)
class Resampled:
    """A metric on the sample and on every resample.

    Attributes:
        value: on the sample.
        draws: ``(resamples,)`` on the resamples, NaN where undefined there.
        n: how many rows it rests on.
    """

    value: float
    draws: NDArray[np.float64]
    n: int

    def estimate(self) -> Estimate:
        """The value with the percentile interval of its draws.

        Metrics such as calibration error are larger on resamples than on the sample. Where that
        pushes the interval past the value, it is stretched to hold it.
        """
        draws = self.draws[np.isfinite(self.draws)]
        if not math.isfinite(self.value) or not len(draws):
            return Estimate(self.value, self.value, self.value, self.n)
        low, high = (float(x) for x in np.quantile(draws, [_TAIL, 1 - _TAIL]))
        return Estimate(self.value, min(low, self.value), max(high, self.value), self.n)

    def minus(self, other: Resampled) -> Estimate:
        """This metric minus another's on the same draws: a paired difference."""
        return Resampled(self.value - other.value, self.draws - other.draws, self.n).estimate()


@dataclass(frozen=True)
class Owners:
    """Which user each row belongs to.

    Attributes:
        codes: ``(n_rows,)`` int64 from 0 to ``count - 1``.
        count: the number of distinct users.
    """

    codes: NDArray[np.int64]
    count: int

    @classmethod
    def of(cls, users: NDArray[np.object_]) -> Owners:
        """The owners of rows by user id."""
        names = users.tolist()
        code = {user: i for i, user in enumerate(dict.fromkeys(names))}
        codes = np.fromiter(map(code.__getitem__, names), dtype=np.int64, count=len(names))
        return cls(codes, len(code))

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: NDArray[np.integer]) -> Owners:
        """The owners of the given rows, counted anew."""
        distinct, codes = np.unique(self.codes[rows], return_inverse=True)
        return Owners(codes.astype(np.int64), len(distinct))

    def sums(self, columns: Sequence[NDArray]) -> NDArray[np.float64]:
        """``(n_users, n_columns)`` sums of each ``(n_rows,)`` column over each user's rows."""
        totals = np.empty((self.count, len(columns)))
        for j, column in enumerate(columns):
            totals[:, j] = np.bincount(self.codes, weights=column, minlength=self.count)
        return totals


def resample(
    measure: Measure, owners: Owners, *, resamples: int = 500, seed: int = 0, n: int | None = None
) -> dict[str, Resampled]:
    """Every metric of ``measure`` on the sample and on ``resamples`` draws of its users.

    Args:
        measure: the metrics as functions of weights.
        owners: whose each row is; equal owners, resamples and seed give equal draws.
        resamples: how many draws; 0 gives values without intervals.
        seed: of the draws.
        n: how many rows the metrics rest on, where that is not all of them.
    """
    n = len(owners) if n is None else n
    sample = measure(np.ones((1, owners.count), dtype=np.uint8))
    # With one user every resample is that user again, or nobody.
    parts = [measure(w) for w in _draws(owners, resamples, seed)] if owners.count > 1 else []
    return {
        name: Resampled(
            float(value[0]), np.concatenate([part[name] for part in parts] or [np.empty(0)]), n
        )
        for name, value in sample.items()
    }


def mean_interval(
    values: NDArray, users: NDArray[np.object_], *, resamples: int = 500, seed: int = 0
) -> Estimate:
    """The mean of one value per row, with its interval over users.

    >>> mean_interval(np.array([1.0, 3.0]), np.array(["a", "a"], dtype=object))
    Estimate(value=2.0, low=2.0, high=2.0, n=2)
    """
    owners = Owners.of(users)
    table = owners.sums([values, np.ones(len(values))])

    def measure(weights: Weights) -> dict[str, NDArray[np.float64]]:
        total, n = (weights.astype(np.float64) @ table).T
        return {"mean": ratio(total, n)}

    return resample(measure, owners, resamples=resamples, seed=seed)["mean"].estimate()


def ratio(over: NDArray, under: NDArray) -> NDArray[np.float64]:
    """``over / under``, NaN where ``under`` is zero."""
    nan = np.full(np.broadcast_shapes(over.shape, under.shape), np.nan)
    return np.divide(over, under, out=nan, where=under != 0)


def _draws(owners: Owners, resamples: int, seed: int) -> Iterator[Weights]:
    """Blocks of Poisson(1) weights, ``resamples`` draws in all."""
    generator = rng(seed, "bootstrap over users")
    block = max(1, _CELLS // max(len(owners), 1))
    for start in range(0, resamples, block):
        shape = (min(block, resamples - start), owners.count)
        yield _POISSON[generator.integers(0, 2**16, size=shape, dtype=np.uint16)]


def _poisson_table() -> NDArray[np.uint8]:
    """``(65536,)`` Poisson(1) quantiles; looking them up is ten times as fast as drawing."""
    chance = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(20)])
    return np.searchsorted(chance, (np.arange(2**16) + 0.5) / 2**16).astype(np.uint8)


_POISSON = _poisson_table()
