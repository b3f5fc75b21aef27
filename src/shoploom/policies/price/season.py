"""Prices over a season with limited stock: what is sold today cannot be sold next week.

Backward recursion over weeks and stock (Bellman 1957; Gallego and van Ryzin 1994):

    V(t, s) = max over p of E[p · min(D, s) + V(t + 1, s − min(D, s))],  D ~ Poisson(n_t p^−ε)

with what is left over brought in at its salvage value. Demand is what was learned of it, a mean
over draws, so that the plan knows how little it knows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import ConfigError
from shoploom.policies.price.hierarchy import Floats

_TAIL = 1e-9  # probability beyond which demand is not followed


@dataclass(frozen=True)
class Season:
    """What is to be sold.

    Attributes:
        prices: ``(k,)`` that may be set, in currency.
        rate: ``(n_weeks, k)`` expected units of each week at each price, if stock lasts; or
            ``(n_draws, n_weeks, k)`` where it is known only so far.
        stock: units at the beginning.
        salvage: what a unit left over brings.
    """

    prices: Floats
    rate: Floats
    stock: int
    salvage: float = 0.0

    def __post_init__(self) -> None:
        if self.stock < 0 or self.rate.shape[-1] != len(self.prices):
            raise ConfigError(
                "season: expected a stock of at least 0 and a rate for every price, got a stock of "
                f"{self.stock} and {self.rate.shape[-1]} rates for {len(self.prices)} prices."
            )

    @property
    def weeks(self) -> int:
        """How many."""
        return self.rate.shape[-2]


@dataclass(frozen=True)
class Plan:
    """What to do in every week at every stock.

    Attributes:
        choice: ``(n_weeks, stock + 1)`` places in ``prices``.
        value: ``(n_weeks + 1, stock + 1)`` expected money from then on.
    """

    choice: NDArray[np.int64]
    value: Floats


def plan_season(season: Season) -> Plan:
    """The best plan under the given rates."""
    return _recursion(season, None)


def value_of(season: Season, choice: NDArray[np.integer]) -> float:
    """Expected money of a plan made elsewhere, under this season's rates."""
    return float(_recursion(season, choice).value[0, season.stock])


def _recursion(season: Season, choice: NDArray[np.integer] | None) -> Plan:
    rate = season.rate if season.rate.ndim == 3 else season.rate[None]
    stock = np.arange(season.stock + 1)
    value = np.zeros((season.weeks + 1, season.stock + 1))
    value[-1] = season.salvage * stock
    taken = np.zeros((season.weeks, season.stock + 1), dtype=np.int64)
    for week in range(season.weeks - 1, -1, -1):
        worth = np.stack(
            [
                _expected(rate[:, week, k], season.prices[k], value[week + 1])
                for k in range(len(season.prices))
            ]
        )
        taken[week] = worth.argmax(axis=0) if choice is None else choice[week]
        value[week] = worth[taken[week], stock]
    return Plan(taken, value)


def _expected(rates: Floats, price: float, after: Floats) -> Floats:
    """``(stock + 1,)`` money from a week at this price on, by stock at its beginning."""
    from scipy.stats import poisson

    n = len(after)
    most = min(n, int(poisson.isf(_TAIL, float(rates.max()))) + 2)
    units = np.arange(most)
    chance = poisson.pmf(units[None, :], rates[:, None]).mean(axis=0)
    out = np.zeros(n)
    left = np.ones(n)
    for sold in range(most):
        # Fewer than the stock: that many go. The rest of the probability sells it out.
        fits = np.arange(n) > sold
        out[fits] += chance[sold] * (price * sold + after[np.arange(n)[fits] - sold])
        left[fits] -= chance[sold]
    return out + np.maximum(left, 0) * (price * np.arange(n) + after[0])
