"""What is a customer worth in the window: how much money, in how many orders?

Both are judged by the normalised Gini coefficient: how well the predicted order of customers
concentrates the real money (orders). An absolute error is shown beside it but does not choose,
because most customers come to zero in a short window and the mean absolute error is then best
for an engine that always says zero.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false, reportCallIssue=false

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shoploom.core import columns as c
from shoploom.tables import Tables, measures
from shoploom.tasks.asking import aligned, check_days, moments, past, users_of, window
from shoploom.tasks.questions import TASKS, Kind, Questions


@TASKS.register("spend")
@dataclass(frozen=True)
class Spend:
    """The money that a customer spends in the window, in the shop's currency.

    Asked to every user who bought before. A purchase counts unit price times quantity (one where
    missing); purchases without a price add nothing.

    Attributes:
        window_days: the length of the window.
    """

    window_days: int = 28

    name: ClassVar[str] = "spend"
    kind: ClassVar[Kind] = "amount"
    unit: ClassVar[str] = "currency"
    metric: ClassVar[str] = "gini"

    def __post_init__(self) -> None:
        check_days(self, "window_days")

    def ask(self, tables: Tables, at: int, *, answered: bool = True) -> Questions:
        """Questions at ``at``, users sorted by id; the answer is the money, zero for none."""
        users = users_of(past(tables, at, action=c.PURCHASE))
        answers = None
        if answered:
            events = window(tables, at, self.window_days, action=c.PURCHASE)
            cents = measures.cents(events).sum().fill_null(0).cast("float64")
            totals = events.group_by(c.USER_ID).aggregate(cents=cents)
            answers = aligned(totals.to_pyarrow(), "cents", users) / 100
        return Questions(self.name, users, moments(len(users), at), answers=answers)


@TASKS.register("orders")
@dataclass(frozen=True)
class Orders:
    """The number of orders that a customer places in the window.

    Asked to every user who bought before. Purchases of one session are one order; where the shop
    records no session, those of one day are.

    Attributes:
        window_days: the length of the window.
    """

    window_days: int = 28

    name: ClassVar[str] = "orders"
    kind: ClassVar[Kind] = "count"
    unit: ClassVar[str] = "purchases"
    metric: ClassVar[str] = "gini"

    def __post_init__(self) -> None:
        check_days(self, "window_days")

    def ask(self, tables: Tables, at: int, *, answered: bool = True) -> Questions:
        """Questions at ``at``, users sorted by id; the answer is a count, zero for none."""
        users = users_of(past(tables, at, action=c.PURCHASE))
        answers = None
        if answered:
            events = window(tables, at, self.window_days, action=c.PURCHASE)
            orders = events.select(events[c.USER_ID], order=measures.order_key(events)).distinct()
            totals = orders.group_by(c.USER_ID).aggregate(orders=orders.count())
            answers = aligned(totals.to_pyarrow(), "orders", users)
        return Questions(self.name, users, moments(len(users), at), answers=answers)
