"""Events of some users as flat arrays: all that statistics and sequences are made of.

Tables answer about everybody at once; a server has the events of one user in its hands and a
millisecond of time. What is computed here from arrays equals what ``statistics``, ``categories``
and ``sequences`` compute from tables.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.ids import Vocabulary
from shoploom.core.time import DAY_US
from shoploom.sequences.sequences import encode
from shoploom.sequences.types import UserSequences
from shoploom.tables import Tables

_COLUMNS = (c.USER_ID, c.TIME, c.ITEM_ID, c.ACTION, c.PRICE, c.QUANTITY, c.SESSION_ID)


@dataclass(frozen=True)
class UserEvents:
    """Events of users; user ``u`` owns ``offsets[u]:offsets[u + 1]``.

    Within a user, events are in order of (time, item, action), as in ``UserSequences``.

    Attributes:
        users: vocabulary of ``n_users`` user ids, each with at least one event.
        items: vocabulary of the item ids that ``item`` codes refer to.
        item: ``(n_events,)`` int32 codes into ``items``; -1 where an event has no item.
        action: ``(n_events,)`` int8 codes into core.columns.ACTIONS.
        time: ``(n_events,)`` int64 microseconds UTC.
        price: ``(n_events,)`` float64; NaN where unknown.
        quantity: ``(n_events,)`` float64; NaN where unknown, which counts as one.
        order: ``(n_events,)`` int64, the same for two purchases of a user in one order
            (``order_of``).
        offsets: ``(n_users + 1,)`` int64, from 0 to n_events.
    """

    users: Vocabulary
    items: Vocabulary
    item: NDArray[np.int32]
    action: NDArray[np.int8]
    time: NDArray[np.int64]
    price: NDArray[np.float64]
    quantity: NDArray[np.float64]
    order: NDArray[np.int64]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.users)

    @property
    def row(self) -> NDArray[np.int64]:
        """``(n_events,)`` the user that each event belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def sequences(self) -> UserSequences:
        """The same without what only statistics read."""
        return UserSequences(
            users=self.users,
            items=self.items,
            item=self.item,
            action=self.action,
            time=self.time,
            price=self.price.astype(np.float32),
            offsets=self.offsets,
        )

    def before(self, at: int) -> UserEvents:
        """Events strictly before a moment, of the users who have some."""
        kept = self.time < at
        if kept.all():
            return self
        counts = np.bincount(self.row[kept], minlength=len(self))
        return UserEvents(
            users=Vocabulary(self.users.ids[counts > 0]),
            items=self.items,
            item=self.item[kept],
            action=self.action[kept],
            time=self.time[kept],
            price=self.price[kept],
            quantity=self.quantity[kept],
            order=self.order[kept],
            offsets=np.concatenate(([0], np.cumsum(counts[counts > 0]))),
        )


def user_events(tables: Tables) -> UserEvents:
    """Every user's events, from clean tables."""
    rows = tables.events.select(*_COLUMNS).to_pyarrow()
    users, user = encode(rows[c.USER_ID])
    items, item = encode(rows[c.ITEM_ID])
    actions, code = encode(rows[c.ACTION])
    action = np.array([c.ACTIONS.index(name) for name in actions.ids], dtype=np.int8)[code]
    time = rows[c.TIME].to_numpy()
    price, quantity = (
        rows[name].cast("float64").to_numpy(zero_copy_only=False) for name in (c.PRICE, c.QUANTITY)
    )
    sessions, session = encode(rows[c.SESSION_ID])
    hashes = np.array([order_of(name, 0) for name in sessions.ids.tolist()], dtype=np.int64)
    order = time // DAY_US
    order[session >= 0] = hashes[session[session >= 0]]
    place = in_order(user, time, item, action)
    return UserEvents(
        users=users,
        items=items,
        item=item[place],
        action=action[place],
        time=time[place],
        price=price[place],
        quantity=quantity[place],
        order=order[place],
        offsets=np.concatenate(([0], np.cumsum(np.bincount(user, minlength=len(users))))),
    )


#: Actions sort by their names, as in sequences.
_ALPHABETICAL = np.argsort(np.argsort(np.array(c.ACTIONS))).astype(np.int8)


def in_order(
    user: NDArray[np.integer],
    time: NDArray[np.int64],
    item: NDArray[np.integer],
    action: NDArray[np.int8],
) -> NDArray[np.intp]:
    """Places of ``(n,)`` events in the order of (user, time, item, action)."""
    return np.lexsort((_ALPHABETICAL[action], item, time, user))


def order_of(session: str | None, time: int) -> int:
    """What makes two purchases of one user the same order: the session, else the UTC day.

    Sessions are told by 63 bits of a hash, as a number below 0; days are not below 0.
    """
    if not session:
        return time // DAY_US
    digest = hashlib.blake2b(session.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return -1 - (int.from_bytes(digest, "big") >> 1)
