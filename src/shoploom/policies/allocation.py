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

    def chosen(price: float) -> NDArray[np.int64]:
        return (value - price * cost).argmax(axis=1)

    def spent(options: NDArray[np.int64]) -> float:
        return float(cost[np.arange(len(cost)), options].sum())

    free = chosen(0.0)
    if budget is None or spent(free) <= budget:
        return free
    low, high = 0.0, 1.0
    while spent(chosen(high)) > budget and high < 1e18:
        low, high = high, 2 * high
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if spent(chosen(middle)) > budget else (low, middle)
    within, beyond = chosen(high), chosen(low)
    # Those who would take more at a price a little lower, as long as the money lasts.
    for person in np.flatnonzero(within != beyond):
        tried = within.copy()
        tried[person] = beyond[person]
        if spent(tried) <= budget:
            within = tried
    return within
