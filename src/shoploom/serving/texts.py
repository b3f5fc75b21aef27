"""Live texts as they come in: reviews and turns of dialogues, read and checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from shoploom.core import columns as c
from shoploom.core.errors import nearest
from shoploom.core.time import MINUTE_US
from shoploom.serving.events import is_id, is_number, moment, shown, unicode_text
from shoploom.serving.store import Text

REVIEW, MESSAGE = "review", "message"
REVIEW_ID, MESSAGE_ID = "review_id", "message_id"

_LONGEST, _LONGEST_TITLE = 5_000, 500
_REVIEW = (REVIEW_ID, c.USER_ID, c.ITEM_ID, c.TIME, c.RATING, c.TITLE, c.TEXT)
_MESSAGE = (MESSAGE_ID, c.DIALOGUE_ID, c.USER_ID, c.TIME, c.ROLE, c.TEXT)


def read_review(given: Any, now: int) -> Text | str:
    """A review, or what is wrong with it."""
    wrong = _first(given, _REVIEW, (REVIEW_ID, c.USER_ID, c.ITEM_ID))
    if wrong is not None:
        return wrong
    rating, title = given.get(c.RATING), given.get(c.TITLE)
    if rating is not None and not is_number(rating, 1, 5):
        return f"{c.RATING}: expected a number from 1 to 5, got {shown(rating)}."
    if title is not None and not unicode_text(title, _LONGEST_TITLE):
        return (
            f"{c.TITLE}: expected a text of at most {_LONGEST_TITLE} letters, got {shown(title)}."
        )
    time = _time(given, now)
    if isinstance(time, str):
        return time
    return Text(
        key=_key(REVIEW, given[REVIEW_ID]),
        kind=REVIEW,
        user_id=given[c.USER_ID],
        time=time,
        item_id=given[c.ITEM_ID],
        dialogue_id=None,
        role=None,
        rating=None if rating is None else float(rating),
        title=title,
        text=given[c.TEXT],
    )


def read_message(given: Any, now: int) -> Text | str:
    """A turn of a dialogue, or what is wrong with it."""
    wrong = _first(given, _MESSAGE, (MESSAGE_ID, c.DIALOGUE_ID, c.USER_ID))
    if wrong is not None:
        return wrong
    role = given.get(c.ROLE, c.CUSTOMER)
    if role not in c.ROLES:
        return f"{c.ROLE}: expected {' or '.join(c.ROLES)}, got {shown(role)}."
    time = _time(given, now)
    if isinstance(time, str):
        return time
    return Text(
        key=_key(MESSAGE, given[MESSAGE_ID]),
        kind=MESSAGE,
        user_id=given[c.USER_ID],
        time=time,
        item_id=None,
        dialogue_id=given[c.DIALOGUE_ID],
        role=role,
        rating=None,
        title=None,
        text=given[c.TEXT],
    )


def _first(given: Any, known: tuple[str, ...], ids: tuple[str, ...]) -> str | None:
    """What is wrong with the form, the ids or the text."""
    if not isinstance(given, Mapping):
        return f"expected an object with {', '.join(known)}, got {shown(given)}."
    for key in given:
        if key not in known:
            near = nearest(str(key), known)
            hint = f" Did you mean {near!r}?" if near else ""
            return f"no field is named {shown(key)}; the known ones are {', '.join(known)}.{hint}"
    for name in ids:
        if not is_id(value := given.get(name)):
            return f"{name}: expected text of 1 to 200 printable letters, got {shown(value)}."
    text = given.get(c.TEXT)
    if not unicode_text(text, _LONGEST) or not str(text).strip():
        return f"{c.TEXT}: expected a text of 1 to {_LONGEST:,} letters, got {shown(text)}."
    return None


def _time(given: Mapping[str, Any], now: int) -> int | str:
    time = given.get(c.TIME)
    if time is None:
        return now
    found = moment(time)
    if not isinstance(found, int) or not 0 < found <= now + 5 * MINUTE_US:
        return (
            f"{c.TIME}: expected a moment up to now, ISO 8601 or microseconds, got {shown(time)}."
        )
    return found


def _key(kind: str, name: str) -> bytes:
    told = f"{kind}/{name}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(told, digest_size=16).digest()


Reader = Callable[[Any, int], Text | str]
