"""What a live store promises, whatever database it is on.

What ``append`` has returned for is on disk: a killed process or a lost power supply takes nothing
back. An event counts once, by its key. Events and everything counted from them change together.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import ShoploomError
from shoploom.core.time import HOUR_US, MINUTE_US
from shoploom.serving.events import Event, Rejected


class StoreError(ShoploomError):
    """The live store cannot take or give what it was asked for; nothing was acknowledged."""


class Deed(NamedTuple):
    """An event as it was kept; fields as in ``Event``, with its number in the store."""

    seq: int
    user_id: str
    time: int
    action: int
    item_id: str | None
    price: float | None
    quantity: float | None
    session_id: str | None
    query: str | None = None
    dwell_s: float | None = None
    stream_id: str | None = None
    source: str | None = None


class Text(NamedTuple):
    """Something that a customer said.

    Attributes:
        key: 16 bytes that stand for its id.
        kind: ``review`` or ``message``.
        user_id, time: who and when.
        item_id: of a review. dialogue_id, role: of a message.
        rating: 1 to 5, None where not given.
        title, text: what was said.
        positive: chance that it is positive; None where nobody has read it yet.
    """

    key: bytes
    kind: str
    user_id: str
    time: int
    item_id: str | None
    dialogue_id: str | None
    role: str | None
    rating: float | None
    title: str | None
    text: str
    positive: float | None = None


class Key(NamedTuple):
    """An API key, without its secret.

    Attributes:
        id: what it is called in logs.
        name: what people call it.
        digest: SHA-256 of the secret.
        scopes: what it allows, by commas.
        created, expires: microseconds UTC; 0 for never.
        revoked: whether it no longer works.
    """

    id: str
    name: str
    digest: bytes
    scopes: str
    created: int
    expires: int = 0
    revoked: int = 0


class Audited(NamedTuple):
    """Who did what: one line of the audit log."""

    time: int
    key: str
    action: str
    target: str
    outcome: str

    @classmethod
    def now(cls, key: str, action: str, target: str, outcome: str) -> Audited:
        """A line of this moment."""
        return cls(time.time_ns() // 1000, key, action, target, outcome)


@dataclass(frozen=True)
class Counts:
    """How often each action came, by minute or hour, from the earliest on.

    Attributes:
        start: ``(n,)`` int64 microseconds at which each span begins.
        action: ``(n,)`` codes.
        n: ``(n,)`` how often.
        cents: ``(n,)`` worth of purchases in hundredths.
    """

    start: NDArray[np.int64]
    action: NDArray[np.int64]
    n: NDArray[np.int64]
    cents: NDArray[np.int64]


class Store(Protocol):
    """The live store; one object may be used from several threads."""

    def append(self, events: Sequence[Event]) -> list[bool]:
        """Keep events for good; of each, whether it is new.

        Raises:
            StoreError: nothing of them was kept.
        """
        ...

    def quarantine(self, rejected: Sequence[Rejected], at: int) -> None:
        """Keep what could not be taken, with its reason."""
        ...

    def history(self, user: str, after: int = 0) -> list[Deed]:
        """A user's events with a number above ``after``, in the order they came."""
        ...

    def since(self, seq: int, limit: int) -> list[Deed]:
        """At most ``limit`` events of all users with a number above ``seq``, in their order."""
        ...

    def latest(self, limit: int) -> list[Deed]:
        """The last events of all users, the newest first."""
        ...

    def last_seq(self) -> int:
        """The number of the newest event; 0 without any."""
        ...

    def minutes(self, since: int, until: int) -> Counts:
        """Counts by minute of events in ``[since, until)``, by the time of the event."""
        ...

    def item_hours(self, since: int, until: int) -> list[tuple[str, int, int]]:
        """``(item_id, action, n)`` of events in the hours that touch ``[since, until)``."""
        ...

    def add_texts(self, texts: Sequence[Text]) -> list[bool]:
        """Keep what customers said; of each, whether it is new."""
        ...

    def unread(self, limit: int) -> list[tuple[bytes, str]]:
        """Texts without a sentiment, oldest first: key and text."""
        ...

    def set_positive(self, found: Sequence[tuple[bytes, float]]) -> None:
        """Note the chance that texts are positive."""
        ...

    def texts(self, since: int, limit: int, user: str | None = None) -> list[Text]:
        """What was said from a moment on, newest first."""
        ...

    def get(self, name: str) -> str | None:
        """A setting that all workers share."""
        ...

    def put(self, name: str, value: str) -> None:
        """Set it."""
        ...

    def put_first(self, name: str, value: str) -> str:
        """Set it where it is not set yet; what it is now."""
        ...

    def api_keys(self) -> list[Key]:
        """All API keys."""
        ...

    def add_key(self, key: Key) -> None:
        """Add one."""
        ...

    def revoke_key(self, key_id: str) -> bool:
        """Let one no longer work; False where there is none."""
        ...

    def audit(self, lines: Sequence[Audited]) -> None:
        """Add lines to the audit log."""
        ...

    def audited(self, limit: int, actions: Sequence[str] = ()) -> list[Audited]:
        """The last lines of the audit log, newest first; of some actions where any are named."""
        ...

    def quarantined(self, limit: int) -> list[tuple[int, str | None, str, str]]:
        """What was rejected last: time, event id, reason, and the JSON that came."""
        ...

    def check(self) -> None:
        """Raise StoreError where the store cannot be read."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


@dataclass(frozen=True)
class Tally:
    """What a group of new events adds to the counts.

    Attributes:
        minutes: by (minute, action), how many and their cents.
        items: by (hour, item_id, action), how many.
    """

    minutes: dict[tuple[int, int], tuple[int, int]]
    items: dict[tuple[int, str, int], int]

    @classmethod
    def of(cls, events: Sequence[Event], purchase: int) -> Tally:
        """Of some events."""
        minutes: dict[tuple[int, int], tuple[int, int]] = {}
        items: dict[tuple[int, str, int], int] = {}
        for event in events:
            place = (event.time - event.time % MINUTE_US, event.action)
            n, cents = minutes.get(place, (0, 0))
            if event.action == purchase and event.price is not None:
                cents += round(event.price * (event.quantity or 1.0) * 100)
            minutes[place] = n + 1, cents
            if event.item_id is not None:
                cell = (event.time - event.time % HOUR_US, event.item_id, event.action)
                items[cell] = items.get(cell, 0) + 1
        return cls(minutes, items)


def counts_of(rows: Sequence[Sequence[Any]]) -> Counts:
    """From rows of (start, action, n, cents)."""
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return Counts(*table.T)
