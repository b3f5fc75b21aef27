"""Who gets what, where all of it together may cost only so much."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_STEPS = 60  # halvings of the price of money


def allocate(
    value: NDArray[np.floating], cost: NDArray[np.floating], budget: float | None = None
) -> NDArray[np.int64]:
    """``(n,)`` option of each person, the total value the highest that the budget allows.

    A multiple-choice knapsack. Each takes the option with the most value minus λ times its cost,
    and λ is the smallest that keeps within the budget (Lagrange; Sinha and Zoltners 1979): at most
    the value of a single option is lost against the best that there is.

    Args:
        value: ``(n, n_options)`` what each option brings, its cost already taken off; the first is
            to do nothing, and brings 0.
        cost: ``(n, n_options)`` what it costs, 0 for the first, none negative.
        budget: of all together; None for no bound.
    """
    low, high = _prices(value, cost, budget)
    within, beyond = chosen_at(value, cost, high), chosen_at(value, cost, low)
    # Those who would take more at a price a little lower, as long as the money lasts.
    for person in np.flatnonzero(within != beyond):
        tried = within.copy()
        tried[person] = beyond[person]
        if budget is not None and _spent(cost, tried) <= budget:
            within = tried
    return within


def price_of_money(
    value: NDArray[np.floating], cost: NDArray[np.floating], budget: float | None = None
) -> float:
    """λ: what a unit of cost has to bring beyond itself, so that the budget lasts; 0 without need.

    Arguments as for ``allocate``; ``chosen_at`` gives what it means for anybody else.
    """
    return _prices(value, cost, budget)[1]


def chosen_at(
    value: NDArray[np.floating], cost: NDArray[np.floating], price: float
) -> NDArray[np.int64]:
    """``(n,)`` the option of each person with the most value minus ``price`` times its cost."""
    return (value - price * cost).argmax(axis=1)


def _prices(
    value: NDArray[np.floating], cost: NDArray[np.floating], budget: float | None
) -> tuple[float, float]:
    """Two neighbouring prices of money, the lower one beyond the budget, the higher one within."""
    if budget is None or _spent(cost, chosen_at(value, cost, 0.0)) <= budget:
        return 0.0, 0.0
    low, high = 0.0, 1.0
    while _spent(cost, chosen_at(value, cost, high)) > budget and high < 1e18:
        low, high = high, 2 * high
    for _ in range(_STEPS):
        middle = (low + high) / 2
        beyond = _spent(cost, chosen_at(value, cost, middle)) > budget
        low, high = (middle, high) if beyond else (low, middle)
    return low, high


def _spent(cost: NDArray[np.floating], options: NDArray[np.int64]) -> float:
    return float(cost[np.arange(len(cost)), options].sum())
