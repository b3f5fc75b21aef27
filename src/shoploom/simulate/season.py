"""A season with limited stock as a gymnasium environment: a price a week, then the rest is lost.

The demand of one item is Poisson, rate · ratio^−elasticity, as in the log (``choice``); what is
sold today cannot be sold next week (Gallego and van Ryzin 1994).
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from shoploom.simulate.market import PRICE_ARMS


class SeasonEnv(gymnasium.Env[npt.NDArray[np.float32], np.int64]):
    """One episode is a season; one step a week; the reward is money.

    Action: which of ``PRICE_ARMS``. Observation: weeks left and stock left, shares of the whole.

    >>> env = SeasonEnv(stock=40, rates=[5.0] * 8, elasticity=2.0, price=20.0)
    >>> observation, info = env.reset(seed=0)
    >>> observation.tolist()
    [1.0, 1.0]
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (gymnasium's own form)

    def __init__(
        self,
        stock: int,
        rates: npt.ArrayLike,
        elasticity: float,
        price: float,
        salvage: float = 0.0,
    ) -> None:
        """A season.

        Args:
            stock: units at the beginning.
            rates: ``(n_weeks,)`` expected units of each week at the list price.
            elasticity: of demand, positive.
            price: the list price.
            salvage: what a unit left over brings.
        """
        self.stock, self.price, self.salvage = stock, price, salvage
        arms = np.array(PRICE_ARMS)
        #: ``(n_weeks, n_arms)`` expected units of each week at each price: the truth.
        self.rates = np.asarray(rates, dtype=np.float64)[:, None] * arms**-elasticity
        self.prices = price * arms
        self.action_space = spaces.Discrete(len(arms))
        self.observation_space = spaces.Box(0.0, 1.0, (2,), np.float32)
        self._week, self._left = 0, stock

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        """Begin with the whole stock."""
        super().reset(seed=seed, options=options)
        self._week, self._left = 0, self.stock
        return self._observation(), {}

    def step(
        self, action: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """A week at a price."""
        arm = int(np.asarray(action))
        sold = min(int(self.np_random.poisson(self.rates[self._week, arm])), self._left)
        reward = sold * self.prices[arm]
        self._left -= sold
        self._week += 1
        over = self._week == len(self.rates)
        if over:
            reward += self.salvage * self._left
        return self._observation(), float(reward), over, False, {"units": sold}

    def _observation(self) -> npt.NDArray[np.float32]:
        weeks, stock = len(self.rates), max(self.stock, 1)
        return np.array([1 - self._week / weeks, self._left / stock], dtype=np.float32)
