"""Live events as they come in: read, checked, and given the form that stores keep.

One event is a JSON object with the columns of the data contract and an ``event_id``, by which it
counts once for its user, however often it is sent. What is wrong is said in the words of all our
errors; the event itself goes to quarantine with that reason.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeGuard

from shoploom.core import columns as c
from shoploom.core.errors import nearest
from shoploom.core.time import MINUTE_US, SECOND_US, iso, to_us

EVENT_ID = "event_id"

_LONGEST_ID, _LONGEST_TEXT = 200, 2_000
_EARLIEST = to_us("2000-01-01")
_EARLY_US = 5 * MINUTE_US  # clocks of browsers run ahead
_ACTION = {name: code for code, name in enumerate(c.ACTIONS)}
_IDS = (c.ITEM_ID, c.SESSION_ID, c.STREAM_ID)
_TEXTS = (c.QUERY, c.SOURCE)
_NUMBERS = {c.PRICE: (0.0, 1e9), c.QUANTITY: (1e-9, 1e6), c.DWELL_S: (0.0, 1e7)}
#: What an event may say.
FIELDS = (EVENT_ID, c.USER_ID, c.ACTION, c.TIME, *_IDS, *_TEXTS, *_NUMBERS)
_KNOWN = frozenset(FIELDS)


class Event(NamedTuple):
    """One event.

    Attributes:
        key: 64 bits that stand for its ``event_id`` among the events of its user.
        user_id: who.
        time: microseconds UTC.
        action: code of core.columns.ACTIONS.
        item_id, price, quantity, session_id, query, dwell_s, stream_id, source: as in the data
            contract; None where not said.
    """

    key: int
    user_id: str
    time: int
    action: int
    item_id: str | None = None
    price: float | None = None
    quantity: float | None = None
    session_id: str | None = None
    query: str | None = None
    dwell_s: float | None = None
    stream_id: str | None = None
    source: str | None = None


class Rejected(NamedTuple):
    """What could not be taken: its place in the batch, the id it gave, the reason, itself."""

    place: int
    event_id: str | None
    reason: str
    given: Any


def key_of(event_id: str) -> int:
    """64 bits, with a sign, that stand for an event's id among those of one user."""
    digest = hashlib.blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def read_events(given: Sequence[Any], now: int) -> tuple[list[Event], list[Rejected]]:
    """The events of a batch, and what is wrong with the others.

    Args:
        given: values of parsed JSON.
        now: what an event that says no time gets; microseconds UTC.
    """
    events, rejected = [], []
    for place, each in enumerate(given):
        found = _read(each, now)
        if isinstance(found, str):
            name = each.get(EVENT_ID) if isinstance(each, Mapping) else None
            rejected.append(Rejected(place, name if isinstance(name, str) else None, found, each))
        else:
            events.append(found)
    return events, rejected


def _read(given: Any, now: int) -> Event | str:
    """The event, or what is wrong with it."""
    if not isinstance(given, dict):
        return f"expected an object with {', '.join(FIELDS[:3])}, got {shown(given)}."
    if not given.keys() <= _KNOWN:
        return _unknown(next(key for key in given if key not in _KNOWN))
    event_id, user, action = given.get(EVENT_ID), given.get(c.USER_ID), given.get(c.ACTION)
    if not is_id(event_id):
        return _bad_id(EVENT_ID, event_id)
    if not is_id(user):
        return _bad_id(c.USER_ID, user)
    code = _ACTION.get(action) if isinstance(action, str) else None
    if code is None:
        return _bad_action(action)
    time = given.get(c.TIME)
    if time is None:
        time = now
    elif not isinstance(time := moment(time), int):
        return f"{c.TIME}: expected ISO 8601 text or microseconds since 1970, got {shown(time[0])}."
    elif not _EARLIEST <= time <= now + _EARLY_US:
        return f"{c.TIME}: expected a moment up to now ({iso(now - now % SECOND_US)}), got {time}."
    for name in _IDS:
        value = given.get(name)
        if value is not None and not is_id(value):
            return _bad_id(name, value)
    for name in _TEXTS:
        value = given.get(name)
        if value is not None and not unicode_text(value, _LONGEST_TEXT):
            return (
                f"{name}: expected a text of at most {_LONGEST_TEXT:,} letters, got {shown(value)}."
            )
    for name, (least, most) in _NUMBERS.items():
        value = given.get(name)
        if value is not None and not is_number(value, least, most):
            return f"{name}: expected a number from {least:g} to {most:g}, got {shown(value)}."
    get = given.get
    return Event(
        key_of(event_id),
        user,
        time,
        code,
        get(c.ITEM_ID),
        get(c.PRICE),
        get(c.QUANTITY),
        get(c.SESSION_ID),
        get(c.QUERY),
        get(c.DWELL_S),
        get(c.STREAM_ID),
        get(c.SOURCE),
    )


def is_id(value: Any) -> TypeGuard[str]:
    """Whether a value can be an id: printable text of a line."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= _LONGEST_ID
        and value.isprintable()
        and _encodes(value)
    )


def _encodes(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def unicode_text(value: Any, longest: int) -> bool:
    """Whether a value is text that any database takes, and not too long."""
    return (
        isinstance(value, str)
        and len(value) <= longest
        and _encodes(value)
        and (value.isprintable() or "\0" not in value)
    )


def is_number(value: Any, least: float, most: float) -> bool:
    """Whether a value is a finite number within bounds."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and least <= value <= most
    )


def moment(value: Any) -> int | tuple[Any]:
    """Microseconds, or what was given in a tuple where it is no moment."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= 40:
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            return (value,)
        if found.tzinfo is None:
            found = found.replace(tzinfo=UTC)
        try:
            return to_us(found)
        except OverflowError:
            return (value,)
    return (value,)


def _unknown(key: Any) -> str:
    near = nearest(str(key), FIELDS)
    hint = f" Did you mean {near!r}?" if near else ""
    return f"no field is named {shown(key)}; the known ones are {', '.join(FIELDS)}.{hint}"


def _bad_id(name: str, value: Any) -> str:
    return f"{name}: expected text of 1 to {_LONGEST_ID} printable letters, got {shown(value)}."


def _bad_action(value: Any) -> str:
    near = nearest(value, c.ACTIONS) if isinstance(value, str) else None
    hint = f" Did you mean {near!r}?" if near else ""
    return f"{c.ACTION}: expected one of {', '.join(c.ACTIONS)}, got {shown(value)}.{hint}"


def shown(value: Any) -> str:
    """A value as messages show it."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
