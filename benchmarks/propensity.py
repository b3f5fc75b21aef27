"""Propensities that only benchmarks ask about: items, price buckets, and what waits in a cart.

The library asks of every user and *category* whether the user buys there. Here an item is made a
category of its own, or its price bucket is, so that the same task and the same engines answer.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false, reportCallIssue=false

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import ibis
import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.engines import Inputs
from shoploom.engines._features import Columns
from shoploom.tables import Tables
from shoploom.tasks import Answers, Kind, Questions
from shoploom.tasks.asking import moments, past, places, window
from shoploom.tasks.category import Category

if TYPE_CHECKING:
    import ibis.expr.types as ir


def by_item(tables: Tables) -> Tables:
    """The shop with every item as a category of its own."""
    return replace(tables, items=_items(tables).mutate(**{c.CATEGORY: ibis._[c.ITEM_ID]}))


def by_price(tables: Tables, *, until: int, buckets: int = 10) -> Tables:
    """The shop with the price bucket of every item, ``p0`` the cheapest, as its category.

    An item's price is that of its first event that names one, so that it is known from then on and
    no later change of price tells anything. Buckets hold equally many purchases before ``until``
    (microseconds UTC); an item that no event prices has none.
    """
    priced = tables.events.filter(tables.events[c.PRICE].notnull())
    first = priced[c.PRICE].first(order_by=[priced[c.TIME], priced[c.PRICE]])
    prices = priced.group_by(c.ITEM_ID).aggregate(first_price=first)
    bought = past(tables, until, action=c.PURCHASE).inner_join(prices, c.ITEM_ID)
    known = bought.first_price.to_pyarrow().to_numpy()
    if not len(known):
        raise DataError("expected purchases with a price before the first training moment.")
    edges = np.unique(np.quantile(known, np.arange(1, buckets) / buckets)).tolist()
    bucket = prices.first_price.bucket(
        edges, close_extreme=False, include_under=True, include_over=True
    )
    prices = prices.select(c.ITEM_ID, bucket=ibis.literal("p") + bucket.cast("string"))
    items = _items(tables).inner_join(prices, c.ITEM_ID)
    return replace(tables, items=items.mutate(**{c.CATEGORY: ibis._.bucket}).drop("bucket"))


def _items(tables: Tables) -> ir.Table:
    if tables.items is None:
        raise DataError("expected a shop with an items table to ask about its items, got none.")
    return tables.items


@dataclass(frozen=True)
class Propensity:
    """The library's question about categories under a name of its own.

    Attributes:
        name: how it is called beside other such questions.
        asked: which categories are asked about, to whom, in which window.
    """

    name: str
    asked: Category

    kind: ClassVar[Kind] = "multilabel"
    unit: ClassVar[str] = "probability"
    metric: ClassVar[str] = "auroc"

    @property
    def window_days(self) -> int:
        return self.asked.window_days

    def ask(self, tables: Tables, at: int, *, answered: bool = True) -> Questions:
        """The questions of ``asked``."""
        return replace(self.asked.ask(tables, at, answered=answered), task=self.name)


@dataclass(frozen=True)
class CartToBuy:
    """Whether a user buys what is in their cart, one question per user and item.

    Asked about every item that was carted before ``at`` and neither bought nor removed since.

    Attributes:
        window_days: the length of the window.
    """

    window_days: int = 1

    name: ClassVar[str] = "cart_to_buy"
    kind: ClassVar[Kind] = "multilabel"
    unit: ClassVar[str] = "probability"
    metric: ClassVar[str] = "auroc"

    def ask(self, tables: Tables, at: int, *, answered: bool = True) -> Questions:
        """Questions at ``at``, by user id and item id; the answer is 1 for a buyer of the item."""
        events = past(tables, at)
        time, action = events[c.TIME], events[c.ACTION]
        pairs = events.group_by(c.USER_ID, c.ITEM_ID).aggregate(
            carted=time.max(where=action == c.CART),
            left=time.max(where=action.isin([c.PURCHASE, c.REMOVE])),
        )
        waiting = pairs.filter(
            pairs.carted.notnull(), pairs.left.isnull() | (pairs.left < pairs.carted)
        )
        rows = waiting.order_by(c.USER_ID, c.ITEM_ID).select(c.USER_ID, c.ITEM_ID).to_pyarrow()
        users = rows[c.USER_ID].to_numpy().astype(object)
        items = rows[c.ITEM_ID].to_numpy().astype(object)
        answers = None
        if answered:
            answers = self._bought(tables, at, users, items)
        return Questions(self.name, users, moments(len(users), at), subjects=items, answers=answers)

    def _bought(
        self,
        tables: Tables,
        at: int,
        users: NDArray[np.object_],
        items: NDArray[np.object_],
    ) -> NDArray[np.float64]:
        """``(n,)`` 1 for each pair with a purchase in the window, else 0."""
        events = window(tables, at, self.window_days, action=c.PURCHASE)
        rows = events.select(c.USER_ID, c.ITEM_ID).distinct().to_pyarrow()
        asked_users, user = np.unique(users, return_inverse=True)
        asked_items, item = np.unique(items, return_inverse=True)
        buyer, bought = places(rows[c.USER_ID], asked_users), places(rows[c.ITEM_ID], asked_items)
        known = (buyer >= 0) & (bought >= 0)
        width = max(len(asked_items), 1)
        pairs = buyer[known] * width + bought[known]
        return np.isin(user * width + item, pairs).astype(np.float64)


def recency(questions: Questions, inputs: Inputs) -> Answers:
    """The simplest ranking of pairs: ``1 / (1 + days since the user met the subject)``.

    It is an order, no probability; a pair that never met is 0.
    """
    columns = Columns.of(questions, inputs)
    days = columns.matrix(questions, inputs)[:, columns.names.index("category_recency_days")]
    return Answers(questions.task, values=1 / (1 + np.where(np.isnan(days), np.inf, days)))
