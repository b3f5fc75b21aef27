"""What is known of one user at this moment: last night's history and today's events as one.

Engines are asked through the same ``Inputs`` as in training, so that what they learned on is what
they answer from.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.ids import Vocabulary
from shoploom.core.time import MINUTE_US
from shoploom.engines import Inputs, ItemContent, ItemCounts
from shoploom.sequences import (
    CategoryStatistics,
    UserEvents,
    UserStatistics,
    category_statistics_of,
    statistics_of,
)
from shoploom.sequences.user_events import in_order, order_of
from shoploom.serving.histories import Histories
from shoploom.serving.store import Deed

_KEPT = 64  # things that are made once and kept


@dataclass(frozen=True)
class Known:
    """One user at a moment.

    Attributes:
        user: id.
        at: the moment; everything below lies before it.
        events: the user's; of nobody where nothing is known.
        live: how many of them are not in the run's own data.
        highest: ``(n_items,)`` the highest price that anybody paid for each of ``events.items``.
    """

    user: str
    at: int
    events: UserEvents
    live: int
    highest: NDArray[np.float64]

    @property
    def is_known(self) -> bool:
        """Whether there is any event."""
        return len(self.events) > 0

    @cached_property
    def statistics(self) -> UserStatistics:
        """The user's, computed once for all engines."""
        return statistics_of(self.events, self.at, self.highest)


def known(histories: Histories, deeds: Sequence[Deed], user: str, now: int) -> Known:
    """A user's events from both sources, in order.

    Args:
        histories: up to the end of the run's data.
        deeds: the user's live events that are not in it.
        user: id.
        now: the moment; events that a fast clock dated a little later still count.
    """
    row = histories.row(user)
    old = histories.of(row) if row >= 0 else None
    n_old = 0 if old is None else len(old["time"])
    if not n_old and not deeds:
        nothing = Vocabulary(np.array([], dtype=object))
        return Known(user, now, _empty(nothing), 0, np.empty(0))
    at = max(now, 1 + max((deed.time for deed in deeds), default=0))
    codes = old["item"] if old is not None else np.empty(0, dtype=np.int32)
    used, place = np.unique(codes, return_inverse=True)
    names = histories.items.decode(used)  # None stands for no item
    fresh = [deed.item_id for deed in deeds]
    ids = sorted({*(n for n in names if n is not None), *(i for i in fresh if i is not None)})
    items = Vocabulary(np.array(ids, dtype=object))
    item = np.concatenate([items.encode(names)[place], items.encode(fresh)]).astype(np.int32)
    live = {
        "action": np.array([deed.action for deed in deeds], dtype=np.int8),
        "time": np.array([deed.time for deed in deeds], dtype=np.int64),
        "price": np.array([deed.price for deed in deeds], dtype=np.float64),
        "quantity": np.array([deed.quantity for deed in deeds], dtype=np.float64),
        "order": np.array([order_of(d.session_id, d.time) for d in deeds], dtype=np.int64),
    }
    whole = live if old is None else {k: np.concatenate([old[k], live[k]]) for k in live}
    if deeds:
        order = in_order(np.zeros(len(item), dtype=np.int64), whole["time"], item, whole["action"])
        item, whole = item[order], {name: column[order] for name, column in whole.items()}
    events = UserEvents(
        users=Vocabulary(np.array([user], dtype=object)),
        items=items,
        item=item,
        offsets=np.array([0, len(item)], dtype=np.int64),
        **whole,
    )
    highest = np.full(len(items), np.nan)
    mine = items.encode(names)
    highest[mine[mine >= 0]] = histories.highest[used[mine >= 0]]
    elsewhere = np.flatnonzero(np.isnan(highest))
    if len(elsewhere):
        found = histories.items.encode(items.ids[elsewhere])
        highest[elsewhere[found >= 0]] = histories.highest[found[found >= 0]]
    return Known(user, at, events, len(deeds), highest)


def after_last(user: Known) -> Known:
    """A user as they were a minute after their last event."""
    return replace(user, at=int(user.events.time[-1]) + MINUTE_US)


def _empty(items: Vocabulary) -> UserEvents:
    return UserEvents(
        users=items,
        items=items,
        item=np.empty(0, dtype=np.int32),
        action=np.empty(0, dtype=np.int8),
        time=np.empty(0, dtype=np.int64),
        price=np.empty(0),
        quantity=np.empty(0),
        order=np.empty(0, dtype=np.int64),
        offsets=np.zeros(1, dtype=np.int64),
    )


@dataclass(frozen=True)
class Surroundings:
    """What engines see besides the user who is asked about.

    Attributes:
        categories: by level, statistics of the whole shop in its categories, and the category of
            each item.
        content: of items; None where nothing was encoded.
        counts: how often everybody took each item, in a span up to a moment.
    """

    categories: Mapping[int, tuple[CategoryStatistics, Mapping[str, str]]]
    content: ItemContent | None
    counts: Callable[[int, int], ItemCounts]
    made: dict[Hashable, Any] = field(default_factory=lambda: _Kept())

    def inputs(self, user: Known) -> Inputs:
        """What engines may look at to answer about one user."""

        def categories(at: int, level: int) -> CategoryStatistics:
            shop, of = self.categories[level]
            code = shop.categories.encode([of.get(item) for item in user.events.items.ids])
            return category_statistics_of(user.events, at, code, shop)

        return Inputs(
            until=user.at,
            sequences=lambda at: user.events.sequences(),
            statistics=lambda at: user.statistics,
            categories=categories,
            counts=self.counts,
            content=lambda inputs, at: self.content,
            made=self.made,
        )


class _Kept(dict[Hashable, Any]):
    """A dict of the last things that were put into it."""

    def __setitem__(self, key: Hashable, value: Any) -> None:
        super().__setitem__(key, value)
        while len(self) > _KEPT:
            del self[next(iter(self))]
