"""What crosses the seam out of ``sequences``: ragged histories and tables of statistics.

Everything is columnar numpy; no object per user or per event exists anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shoploom.core.ids import Vocabulary


@dataclass(frozen=True)
class UserSequences:
    """Histories of users as flat arrays; user ``u`` owns ``offsets[u]:offsets[u + 1]``.

    Within a user, events are in order of (time, item, action).

    Attributes:
        users: vocabulary of ``n_users`` user ids; row ``u`` belongs to ``users.ids[u]``.
        items: vocabulary of the item ids that ``item`` codes refer to.
        item: ``(n_events,)`` int32 codes into ``items``; -1 where an event has no item.
        action: ``(n_events,)`` int8 codes into core.columns.ACTIONS.
        time: ``(n_events,)`` int64 microseconds UTC.
        price: ``(n_events,)`` float32; NaN where unknown.
        offsets: ``(n_users + 1,)`` int64, from 0 to n_events.
    """

    users: Vocabulary
    items: Vocabulary
    item: NDArray[np.int32]
    action: NDArray[np.int8]
    time: NDArray[np.int64]
    price: NDArray[np.float32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.users)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """``(n_users,)`` events per user."""
        return np.diff(self.offsets)


@dataclass(frozen=True)
class UserStatistics:
    """One row of numbers per user, computed from what was known before ``at``.

    Attributes:
        at: the moment, microseconds UTC; nothing at or after it was looked at.
        users: vocabulary of the ``n_users`` users with any history before ``at``.
        names: the ``dim`` column names.
        values: ``(n_users, dim)`` float32; NaN where a statistic is undefined.
    """

    at: int
    users: Vocabulary
    names: tuple[str, ...]
    values: NDArray[np.float32]

    def take(self, users: NDArray[np.object_]) -> NDArray[np.float32]:
        """``(len(users), dim)`` rows in the order asked; NaN rows for users without history."""
        codes = self.users.encode(users)
        out = np.full((len(codes), len(self.names)), np.nan, dtype=np.float32)
        known = codes >= 0
        out[known] = self.values[codes[known]]
        return out

    def column(self, name: str) -> NDArray[np.float32]:
        """``(n_users,)`` values of one statistic."""
        return self.values[:, self.names.index(name)]
