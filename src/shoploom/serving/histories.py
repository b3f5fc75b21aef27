"""Everybody's events up to the end of a run's data, on disk, one user's readable in microseconds.

Plain arrays that are mapped into memory rather than read: workers share them, and what nobody asks
for costs nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shoploom import __version__
from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.core.files import atomic_path, fingerprint, read_json
from shoploom.core.ids import Vocabulary
from shoploom.core.time import DAY_US, MINUTE_US
from shoploom.engines import ItemCounts
from shoploom.sequences import UserEvents, user_events
from shoploom.tables import Tables

_ARRAYS = ("item", "action", "time", "price", "quantity", "order", "offsets")
_LATE_DAYS = 35
_PURCHASE = c.ACTIONS.index(c.PURCHASE)


@dataclass(frozen=True)
class Histories:
    """Events of ``n_users`` users, as ``UserEvents`` has them.

    Attributes:
        folder: where they lie.
        items: vocabulary of the items in them.
        highest: ``(n_items,)`` the highest price that anybody paid for each, NaN where unknown.
        end: just after the last event, microseconds UTC.
    """

    folder: Path
    items: Vocabulary
    highest: NDArray[np.float64]
    end: int
    _arrays: dict[str, NDArray]
    _names: NDArray[np.uint8]
    _ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self._ends) - 1

    @classmethod
    def open(cls, folder: Path) -> Histories:
        """What ``write_histories`` wrote.

        Raises:
            DataError: a file is missing or cut short.
        """
        about = read_json(folder / "histories.json")
        try:
            arrays = {
                name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
                for name in (*_ARRAYS, "highest", "names", "ends")
            }
            items = Vocabulary(np.array(read_json(folder / "items.json"), dtype=object))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{folder}: expected whole arrays of events, could not read them ({error}); remove "
                "the folder, it is made anew."
            ) from None
        n = arrays["offsets"][-1]
        if any(len(arrays[name]) != n for name in _ARRAYS[:-1]):
            raise DataError(f"{folder}: its arrays differ in length; remove the folder.")
        events = {name: arrays[name] for name in _ARRAYS}
        highest = np.array(arrays["highest"])
        return cls(folder, items, highest, about["end"], events, arrays["names"], arrays["ends"])

    def row(self, user: str) -> int:
        """The place of a user; -1 where nothing is known of them."""
        wanted = user.encode("utf-8", "surrogatepass")
        names, ends = self._names, self._ends
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if names[ends[middle] : ends[middle + 1]].tobytes() < wanted:
                low = middle + 1
            else:
                high = middle
        found = low < len(self) and names[ends[low] : ends[low + 1]].tobytes() == wanted
        return low if found else -1

    def user(self, row: int) -> str:
        """The id at a place."""
        return self._names[self._ends[row] : self._ends[row + 1]].tobytes().decode()

    def users(self, begins: str, limit: int) -> list[str]:
        """The first ids in order that begin with a text."""
        low, high, wanted = 0, len(self), begins.encode("utf-8", "surrogatepass")
        while low < high:
            middle = (low + high) // 2
            if self._names[self._ends[middle] : self._ends[middle + 1]].tobytes() < wanted:
                low = middle + 1
            else:
                high = middle
        found = []
        for row in range(low, min(low + limit, len(self))):
            if not (name := self.user(row)).startswith(begins):
                break
            found.append(name)
        return found

    def active_since(self, moment: int) -> NDArray[np.int64]:
        """Places of users with an event from a moment on."""
        offsets, time = self._arrays["offsets"], self._arrays["time"]
        last = np.asarray(time)[np.asarray(offsets[1:]) - 1]
        return np.flatnonzero(last >= moment)

    def of(self, row: int) -> dict[str, NDArray]:
        """Arrays of one user's events; ``item`` are codes of ``items``."""
        span = slice(int(self._arrays["offsets"][row]), int(self._arrays["offsets"][row + 1]))
        return {name: np.array(self._arrays[name][span]) for name in _ARRAYS[:-1]}

    def everybody(self) -> UserEvents:
        """All of it as one value; for what is computed once."""
        names = [self.user(row) for row in range(len(self))]
        users = Vocabulary(np.array(names, dtype=object))
        return UserEvents(users=users, items=self.items, **self._arrays)

    def counts(self, since: int) -> ItemCounts:
        """How often everybody took each item from a moment on, in the last five weeks at most."""
        time, item, action = (self._late[name] for name in ("time", "item", "action"))
        late = (time >= since) & (item >= 0)
        n, width = len(self.items), len(c.ACTIONS)
        cell = item[late].astype(np.int64) * width + action[late]
        return ItemCounts(self.items, np.bincount(cell, minlength=n * width).reshape(n, width))

    def minutes(self, since: int) -> tuple[NDArray[np.int64], ...]:
        """Counts by minute and action from a moment on, as ``Store.minutes`` has them.

        Returns:
            ``(n,)`` each: start of the minute, code of the action, events, cents of purchases.
        """
        time, action = self._late["time"], self._late["action"]
        late = time >= since
        start = time[late] - time[late] % MINUTE_US
        price, quantity = (self._late[name][late] for name in ("price", "quantity"))
        worth = np.nan_to_num(price) * np.where(np.isnan(quantity), 1.0, quantity) * 100
        worth = np.where(action[late] == _PURCHASE, np.round(worth), 0)
        key = start * len(c.ACTIONS) + action[late]
        keys, place = np.unique(key, return_inverse=True)
        n = np.bincount(place, minlength=len(keys))
        cents = np.bincount(place, worth, minlength=len(keys)).astype(np.int64)
        return keys // len(c.ACTIONS), keys % len(c.ACTIONS), n, cents

    @cached_property
    def _late(self) -> dict[str, NDArray]:
        """Arrays of the last weeks; the whole is not kept in memory for them."""
        late = np.flatnonzero(np.asarray(self._arrays["time"]) >= self.end - _LATE_DAYS * DAY_US)
        names = ("time", "item", "action", "price", "quantity")
        return {name: np.asarray(self._arrays[name])[late] for name in names}


def histories_of(tables: Tables, folder: Path, prepared: str) -> Histories:
    """The histories of a run, written unless they are there already.

    Args:
        tables: clean tables.
        folder: where they are kept.
        prepared: the fingerprint of the tables.
    """
    mark = fingerprint("histories", __version__, prepared)
    about = folder / "histories.json"
    if not about.exists() or read_json(about).get("fingerprint") != mark:
        write_histories(user_events(tables), folder, mark)
    return Histories.open(folder)


def write_histories(events: UserEvents, folder: Path, mark: str) -> None:
    """Write arrays that ``Histories.open`` reads, all or nothing."""
    encoded = [str(user).encode("utf-8", "surrogatepass") for user in events.users.ids]
    order = sorted(range(len(encoded)), key=encoded.__getitem__)
    if order != list(range(len(encoded))):  # code points sort as their bytes do, but for surrogates
        raise DataError("users: expected ids in the order of their UTF-8 bytes.")
    highest = np.full(len(events.items), np.nan)
    bought = np.flatnonzero((events.action == _PURCHASE) & (events.item >= 0))
    np.fmax.at(highest, events.item[bought], events.price[bought])
    arrays = {name: getattr(events, name) for name in _ARRAYS} | {
        "highest": highest,
        "names": np.frombuffer(b"".join(encoded), dtype=np.uint8),
        "ends": np.cumsum([0, *map(len, encoded)], dtype=np.int64),
    }
    with atomic_path(folder) as temporary:
        temporary.mkdir(parents=True)
        for name, array in arrays.items():
            np.save(temporary / f"{name}.npy", array, allow_pickle=False)
        ids = json.dumps(events.items.ids.tolist(), ensure_ascii=False)
        (temporary / "items.json").write_text(ids, encoding="utf-8")
        end = int(events.time.max(initial=0)) + 1
        about = {"fingerprint": mark, "end": end, "users": len(events), "events": len(events.time)}
        (temporary / "histories.json").write_text(json.dumps(about), encoding="utf-8")
