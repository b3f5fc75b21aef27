"""Events to histories: one ordered list of events per user, strictly before a moment.

``sequence_table`` is a portable Ibis expression, the same on DuckDB and Spark, in which only the
last events of each user leave the backend. ``user_sequences`` turns tables into flat arrays.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false, reportCallIssue=false

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import UnknownName
from shoploom.core.ids import Vocabulary
from shoploom.sequences.types import UserSequences
from shoploom.tables import Tables

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa

#: The list column of ``sequence_table``.
HISTORY = "history"

_TOKEN = (c.TIME, c.ITEM_ID, c.ACTION, c.PRICE)

# Actions travel as their place in the alphabet, so that sorting numbers sorts names.
_ALPHABET = sorted(c.ACTIONS)
_ACTION_CODE = np.array([c.ACTIONS.index(name) for name in _ALPHABET], dtype=np.int8)


def sequence_table(
    events: ir.Table, *, last: int = 50, actions: Collection[str] | None = None
) -> ir.Table:
    """One row per user: ``user_id`` and ``history``, the user's latest events in order.

    ``history`` is an array of structs ``(time, item_id, action, price)`` sorted by time, item and
    action. ``item_id`` is empty text where an event has no item, ``action`` an int8 place in the
    sorted action names, ``price`` NaN where unknown: no field is null, because backends disagree
    on where nulls sort.

    Args:
        events: the events to look at, already cut to a moment.
        last: how many of a user's latest events are kept.
        actions: only these actions; all when None. Users without any are left out.

    Raises:
        UnknownName: one of ``actions`` is no action.
    """
    import ibis

    tokens = _tokens(events, actions)
    token = ibis.struct({name: tokens[name] for name in _TOKEN})
    # Not every backend can collect in order; sorting a list of structs is the same on all.
    lists = tokens.group_by(c.USER_ID).aggregate(**{HISTORY: token.collect()})
    history = lists[HISTORY].sort()
    start = ibis.greatest(history.length() - last, 0)
    return lists.select(lists[c.USER_ID], history[start:].name(HISTORY))


def user_sequences(
    tables: Tables, at: int, *, last: int | None = None, actions: Collection[str] | None = None
) -> UserSequences:
    """Histories of every user strictly before ``at`` (microseconds UTC).

    Args:
        tables: the shop's tables.
        at: the moment; nothing at or after it is read.
        last: keep only each user's latest events; the whole history when None.
        actions: only these actions; all when None. Users without any are left out.

    Raises:
        UnknownName: one of ``actions`` is no action.
    """
    import pyarrow.compute as pc

    events = tables.as_of(at).events
    if last is None:
        rows = _tokens(events, actions).to_pyarrow()
        users, user = encode(rows[c.USER_ID])
        return _sequences(users, user, {name: rows[name] for name in _TOKEN})
    lists = sequence_table(events, last=last, actions=actions).to_pyarrow().sort_by(c.USER_ID)
    users, user = encode(lists[c.USER_ID])
    history = lists[HISTORY].combine_chunks()
    user = np.repeat(user, pc.list_value_length(history).to_numpy())
    tokens = history.flatten().flatten()  # list of structs -> structs -> one array per field
    return _sequences(users, user, dict(zip(_TOKEN, tokens, strict=True)))


def encode(column: pa.ChunkedArray | pa.Array) -> tuple[Vocabulary, NDArray[np.int32]]:
    """The vocabulary of a text column, and each row's int32 code in it, ``(n,)``.

    Null and empty text are no ids: their code is -1.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = column.fill_null("").dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    code = np.empty(len(order), dtype=np.int32)
    code[order] = np.arange(len(order), dtype=np.int32)
    ids = encoded.dictionary.to_numpy(zero_copy_only=False).astype(object)[order]
    if len(ids) and ids[0] == "":  # nothing sorts before empty text
        ids, code = ids[1:], code - 1
    return Vocabulary(ids), code[encoded.indices.to_numpy()]


def _tokens(events: ir.Table, actions: Collection[str] | None) -> ir.Table:
    """``user_id`` and the fields of a token, none of them null."""
    import ibis

    if actions is not None:
        for action in actions:
            if action not in c.ACTIONS:
                raise UnknownName("action", action, c.ACTIONS)
        events = events.filter(events[c.ACTION].isin(list(actions)))
    places = [(name, ibis.literal(place, "int8")) for place, name in enumerate(_ALPHABET)]
    return events.select(
        events[c.USER_ID],
        events[c.TIME],
        events[c.ITEM_ID].fill_null("").name(c.ITEM_ID),
        events[c.ACTION].cases(*places).name(c.ACTION),
        events[c.PRICE].fill_null(float("nan")).name(c.PRICE),
    )


def _sequences(
    users: Vocabulary, user: NDArray[np.int32], tokens: Mapping[str, pa.ChunkedArray | pa.Array]
) -> UserSequences:
    """Sequences from one token per event, sorted here unless they came sorted."""
    items, item = encode(tokens[c.ITEM_ID])
    time, place, price = (tokens[name].to_numpy() for name in (c.TIME, c.ACTION, c.PRICE))
    if not _sorted(user, time, item, place):
        order = np.lexsort((price, place, item, time, user))
        user, item, time, place, price = (a[order] for a in (user, item, time, place, price))
    lengths = np.bincount(user, minlength=len(users))
    return UserSequences(
        users=users,
        items=items,
        item=item,
        action=_ACTION_CODE[place],
        time=time,
        price=price.astype(np.float32),
        offsets=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
    )


def _sorted(*keys: NDArray[np.integer]) -> bool:
    """Whether rows are in the order of the first key, ties in that of the second, and so on."""
    tied = np.ones(max(len(keys[0]) - 1, 0), dtype=bool)
    for key in keys:
        step = np.diff(key)
        if (tied & (step < 0)).any():
            return False
        tied &= step == 0
    return True
