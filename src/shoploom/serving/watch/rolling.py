"""The last hour as it stands: who is here, how far they get, what is looked at more than usual.

Every worker follows the store from number to number, so that all of them say the same a second
later, whichever took an event in. Time is that of the events.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from shoploom.core import columns as c
from shoploom.core.time import MINUTE_US
from shoploom.serving.store import Deed, Store

WINDOW_MINUTES = 60
STEPS = (c.VIEW, c.CART, c.PURCHASE)

_FEED = 200
_READ = 20_000  # events at once
_ACTIVE = 5_000  # users that are remembered as active of late
_FEWEST = 3  # events of an item that can be trending
_CODES = {name: code for code, name in enumerate(c.ACTIONS)}
#: Codes of actions that say that somebody has come so far.
_CODES_OF = {
    c.VIEW: frozenset(_CODES[name] for name in (c.VIEW, c.CLICK, c.WATCH)),
    c.CART: frozenset([_CODES[c.CART]]),
    c.PURCHASE: frozenset([_CODES[c.PURCHASE]]),
}


@dataclass(frozen=True)
class Trending:
    """An item that is taken more often than it used to be.

    Attributes:
        item_id: which.
        n: events in the window.
        expected: how many there would be, had each item its usual share of all events.
        surprise: ``(n - expected) / sqrt(expected + 1)``.
    """

    item_id: str
    n: int
    expected: float
    surprise: float


@dataclass(frozen=True)
class Snapshot:
    """The last hour.

    Attributes:
        at: microseconds.
        users: different users with an event.
        events: how many.
        funnel: different users who looked, put into the cart, bought; by step.
        revenue: of purchases, in currency.
        conversion: buyers among those who came; None without any.
        trending: items, the most surprising first.
        feed: the last events of all, newest first.
    """

    at: int
    users: int
    events: int
    funnel: dict[str, int]
    revenue: float
    conversion: float | None
    trending: list[Trending]
    feed: list[Deed]


class _Minute:
    """What came in one minute."""

    __slots__ = ("cents", "events", "items", "users")

    def __init__(self) -> None:
        self.events, self.cents = 0, 0
        self.users: dict[str, set[str]] = {step: set() for step in ("", *STEPS)}
        self.items: Counter[str] = Counter()


class Rolling:
    """Follows a store.

    Args:
        store: of live events.
        now: what time it is, microseconds.
    """

    def __init__(self, store: Store, now: Callable[[], int]):
        self._store, self._now = store, now
        self._seq = max(0, store.last_seq() - 5 * _READ)
        self._minutes: dict[int, _Minute] = {}
        self._feed: deque[Deed] = deque(maxlen=_FEED)
        self._active: dict[str, int] = {}

    def update(self) -> int:
        """Read what is new; how many events that were."""
        n = 0
        while True:
            deeds = self._store.since(self._seq, _READ)
            self._add(deeds)
            n += len(deeds)
            if deeds:
                self._seq = deeds[-1].seq
            if len(deeds) < _READ:
                break
        self._forget()
        return n

    @property
    def seq(self) -> int:
        """The number of the last event that was read."""
        return self._seq

    def active(self) -> list[str]:
        """Users with an event of late, the latest last."""
        return list(self._active)

    def snapshot(self, usual: Callable[[Sequence[str]], np.ndarray], k: int = 12) -> Snapshot:
        """The last hour.

        Args:
            usual: from items, the usual share of each among all that are taken.
            k: items that trend.
        """
        minutes = [m for start, m in self._minutes.items() if start > self._since()]
        users = {step: set().union(*(m.users[step] for m in minutes)) for step in ("", *STEPS)}
        items: Counter[str] = Counter()
        for minute in minutes:
            items.update(minute.items)
        seen = len(users[""])
        return Snapshot(
            at=self._now(),
            users=seen,
            events=sum(m.events for m in minutes),
            funnel={step: len(users[step]) for step in STEPS},
            revenue=sum(m.cents for m in minutes) / 100,
            conversion=len(users[c.PURCHASE]) / seen if seen else None,
            trending=_trending(items, usual, k),
            feed=list(self._feed),
        )

    def _since(self) -> int:
        return self._now() - (WINDOW_MINUTES + 1) * MINUTE_US

    def _add(self, deeds: Sequence[Deed]) -> None:
        """Count events, minute by minute: there may be tens of thousands a second."""
        self._feed.extendleft(deeds[-_FEED:])
        for deed in deeds[-_ACTIVE:]:
            self._active.pop(deed.user_id, None)
            self._active[deed.user_id] = deed.time
        since = self._since()
        by_minute: dict[int, list[Deed]] = {}
        for deed in deeds:
            if deed.time > since:
                by_minute.setdefault(deed.time // MINUTE_US, []).append(deed)
        for number, some in by_minute.items():
            minute = self._minutes.setdefault(number * MINUTE_US, _Minute())
            minute.events += len(some)
            minute.items.update([deed.item_id for deed in some if deed.item_id is not None])
            minute.users[""].update([deed.user_id for deed in some])
            for step, codes in _CODES_OF.items():
                minute.users[step].update([d.user_id for d in some if d.action in codes])
            minute.cents += sum(
                round(deed.price * (deed.quantity or 1.0) * 100)
                for deed in some
                if deed.action == _CODES[c.PURCHASE] and deed.price is not None
            )

    def _forget(self) -> None:
        since = self._since()
        for start in [start for start in self._minutes if start <= since]:
            del self._minutes[start]
        for user in list(self._active)[: max(0, len(self._active) - _ACTIVE)]:
            del self._active[user]


def _trending(
    items: Counter[str], usual: Callable[[Sequence[str]], np.ndarray], k: int
) -> list[Trending]:
    taken = [(item, n) for item, n in items.items() if n >= _FEWEST]
    if not taken:
        return []
    expected = usual([item for item, _ in taken]) * items.total()
    found = [
        Trending(item, n, float(mean), float((n - mean) / np.sqrt(mean + 1)))
        for (item, n), mean in zip(taken, expected.tolist(), strict=True)
    ]
    found = [each for each in found if each.surprise > 0]
    return sorted(found, key=lambda each: (-each.surprise, each.item_id))[:k]
