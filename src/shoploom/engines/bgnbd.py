"""BG/NBD with Gamma-Gamma: how many more orders, and what they will be worth, from order dates.

The engine looks at four numbers of a buyer: how many orders, when the first and the last came,
and what they were worth. It learns from histories alone, never from the answers to questions, and
so can be asked about any window. Users who looked but never ordered wait for a first order
(exponential-gamma). The mathematics is in ``_customer_base``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import ConfigError
from shoploom.engines._customer_base import (
    BGNBD,
    FirstOrder,
    GammaGamma,
    expected_purchases,
    expected_value,
    fit_bgnbd,
    fit_first_order,
    fit_gamma_gamma,
    probability_alive,
    probability_of_first,
    probability_of_none,
    sample_histories,
)
from shoploom.engines.engine import ENGINES, Inputs, State
from shoploom.sequences import UserStatistics
from shoploom.tasks import Answers, Kind, Questions, Task

__all__ = [
    "BGNBD",
    "BgnbdEngine",
    "FirstOrder",
    "FittedBgnbd",
    "GammaGamma",
    "Outlook",
    "expected_purchases",
    "expected_value",
    "fit_bgnbd",
    "fit_first_order",
    "fit_gamma_gamma",
    "probability_alive",
    "probability_of_first",
    "probability_of_none",
    "sample_histories",
]

Floats = NDArray[np.float64]

#: The statistics it reads: of being seen, of orders, of the first and the last of them, of money.
_STATISTICS = ("tenure_days", "orders", "purchase_tenure_days", "purchase_recency_days", "spend")

#: ``represent`` looks this far ahead.
_HORIZON_DAYS = 28.0


@dataclass(frozen=True)
class OrderHistories:
    """What BG/NBD knows of users, one entry each; times in days before the moment of looking.

    Attributes:
        seen: ``(n,)`` days since the first event; NaN for a user without history.
        orders: ``(n,)`` orders so far.
        first, last: ``(n,)`` days since the first and the last order; NaN without orders.
        spend: ``(n,)`` money spent so far.
    """

    seen: Floats
    orders: Floats
    first: Floats
    last: Floats
    spend: Floats

    @classmethod
    def of(
        cls, statistics: UserStatistics, users: NDArray[np.object_] | None = None
    ) -> OrderHistories:
        """The histories of the given users, or of all."""
        rows = statistics.values if users is None else statistics.take(users)
        seen, orders, first, last, spend = (
            rows[:, statistics.names.index(name)].astype(np.float64) for name in _STATISTICS
        )
        return cls(seen, np.nan_to_num(orders), first, last, np.nan_to_num(spend))

    @property
    def bought(self) -> NDArray[np.bool_]:
        """``(n,)`` whether a user has ordered."""
        return self.orders > 0

    def repeats(self) -> tuple[Floats, Floats, Floats]:
        """Frequency, recency and age of the buyers alone, as BG/NBD wants them."""
        buyers = self.bought
        # float32 days may put the last of two orders of one moment a hair before the first.
        recency = np.maximum(self.first[buyers] - self.last[buyers], 0)
        return self.orders[buyers] - 1, recency, np.maximum(self.first[buyers], recency)

    def mean_value(self) -> tuple[Floats, Floats]:
        """Orders and mean order value of the buyers alone."""
        orders = self.orders[self.bought]
        return orders, self.spend[self.bought] / orders

    def waits(self) -> tuple[Floats, NDArray[np.bool_]]:
        """Days until the first order, or so far, of all who did not order at first sight."""
        waited = np.where(self.bought, self.seen - self.first, self.seen)
        waiting = np.isfinite(self.seen) & ((waited > 0) | ~self.bought)
        return np.maximum(waited[waiting], 0), self.bought[waiting]


@dataclass(frozen=True)
class Outlook:
    """What is to be expected of users within a horizon, one entry each.

    Attributes:
        none: ``(n,)`` probability of no order.
        orders: ``(n,)`` expected orders.
        spend: ``(n,)`` expected money.
    """

    none: Floats
    orders: Floats
    spend: Floats


@ENGINES.register("bgnbd")
@dataclass(frozen=True)
class BgnbdEngine:
    """BG/NBD, Gamma-Gamma and the wait for a first order; there is nothing to set."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"binary", "count", "amount"})
    only: ClassVar[frozenset[str]] = frozenset({"purchase", "churn", "orders", "spend"})

    def tune(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        validation: Mapping[str, Questions],
        *,
        seed: int = 0,
    ) -> BgnbdEngine:
        """Itself: there are no settings to choose."""
        return self

    def fit(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        *,
        seed: int = 0,
    ) -> FittedBgnbd:
        """Parameters from all histories before ``inputs.until``; questions are not looked at."""
        return fit_histories(OrderHistories.of(inputs.statistics(inputs.until)))

    @staticmethod
    def from_state(state: State) -> FittedBgnbd:
        """The parameters of a saved state."""
        saved = state.config
        return FittedBgnbd(
            buying=BGNBD(**saved["buying"]) if saved["buying"] else None,
            value=GammaGamma(**saved["value"]) if saved["value"] else None,
            waiting=FirstOrder(**saved["waiting"]) if saved["waiting"] else None,
        )


@dataclass(frozen=True)
class FittedBgnbd:
    """Nine numbers about a shop's customers.

    Attributes:
        buying: how they order and drop out; None where nobody has ever ordered.
        value: what their orders are worth; None where no order had a price above 0.
        waiting: how they wait for a first order; None where everybody ordered at first sight.
    """

    buying: BGNBD | None
    value: GammaGamma | None
    waiting: FirstOrder | None

    def answer(self, task: Task, questions: Questions, inputs: Inputs, *, k: int = 20) -> Answers:
        """Probabilities for purchase and churn, expected orders for counts, money for amounts.

        Raises:
            ConfigError: a binary task is about something else than buying.
        """
        values = np.empty(len(questions))
        for at in np.unique(questions.times):
            rows = np.flatnonzero(questions.times == at)
            histories = OrderHistories.of(inputs.statistics(int(at)), questions.users[rows])
            values[rows] = _answer(task, self.outlook(histories, task.window_days))
        return Answers(task.name, values=values)

    def outlook(self, histories: OrderHistories, horizon_days: float) -> Outlook:
        """What to expect of users with such histories in the next days.

        A user without any history is taken for a newcomer who has just been seen first.
        """
        n = len(histories.orders)
        none, orders, worth = np.ones(n), np.zeros(n), np.zeros(n)
        if self.buying is None:
            return Outlook(none, orders, orders)
        buyers = histories.bought
        repeats = histories.repeats()
        none[buyers] = probability_of_none(self.buying, *repeats, horizon_days)
        orders[buyers] = expected_purchases(self.buying, *repeats, horizon_days)
        newcomer = expected_purchases(self.buying, 0, 0, 0, horizon_days)
        if self.waiting is None:
            none[~buyers] = probability_of_none(self.buying, 0, 0, 0, horizon_days)
            orders[~buyers] = newcomer
        else:
            waited = np.nan_to_num(histories.seen[~buyers])
            first = probability_of_first(self.waiting, waited, horizon_days)
            # A first order comes half way through the horizon on average; repeats follow it.
            more = expected_purchases(self.buying, 0, 0, 0, horizon_days / 2)
            none[~buyers] = 1 - first
            orders[~buyers] = first * (1 + more)
        if self.value is not None:
            worth[:] = expected_value(self.value, 0, 0)
            worth[buyers] = expected_value(self.value, *histories.mean_value())
        return Outlook(none, orders, orders * worth)

    def represent(self, users: NDArray[np.object_], at: int, inputs: Inputs) -> NDArray[np.float32]:
        """``(len(users), 4)`` float32: probabilities to be a living customer and to stay silent
        for four weeks, and the logs of one plus the orders and the money expected in them.
        """
        histories = OrderHistories.of(inputs.statistics(at), users)
        outlook = self.outlook(histories, _HORIZON_DAYS)
        alive = np.zeros(len(users))
        if self.buying is not None:
            alive[histories.bought] = probability_alive(self.buying, *histories.repeats())
        columns = (alive, outlook.none, np.log1p(outlook.orders), np.log1p(outlook.spend))
        return np.column_stack(columns).astype(np.float32)

    def state(self) -> State:
        """The parameters as JSON."""
        parts = {"buying": self.buying, "value": self.value, "waiting": self.waiting}
        return State({name: part and asdict(part) for name, part in parts.items()})


def fit_histories(histories: OrderHistories) -> FittedBgnbd:
    """The three models of the given histories, each where there is something to learn it from."""
    orders, mean_value = histories.mean_value()
    waited, ordered = histories.waits()
    return FittedBgnbd(
        buying=fit_bgnbd(*histories.repeats()) if len(orders) else None,
        value=fit_gamma_gamma(orders, mean_value) if (mean_value > 0).any() else None,
        waiting=fit_first_order(waited, ordered) if len(waited) else None,
    )


def _answer(task: Task, outlook: Outlook) -> Floats:
    """The part of an outlook that the task asks for."""
    if task.kind == "count":
        return outlook.orders
    if task.kind == "amount":
        return outlook.spend
    if task.name == "churn":
        return outlook.none
    if task.name == "purchase":
        return 1 - outlook.none
    raise ConfigError(
        f"the engine 'bgnbd' expected a task about buying (purchase, churn, orders, spend), got "
        f"{task.name!r}; leave it to another engine."
    )
