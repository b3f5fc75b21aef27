"""Acts of a day to events in time: who did what in which second of which session."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from shoploom.core import columns as c
from shoploom.simulate.state import Rows

if TYPE_CHECKING:
    from shoploom.simulate.visits import Sessions

NO_ITEM = -1

#: Columns of the acts, with the value that means "nothing of the kind".
_DEFAULTS: dict[str, tuple[type, float]] = {
    "session": (np.int64, -1),
    "visit": (np.int64, 0),
    "stage": (np.int64, 0),
    "time": (np.int64, -1),
    "users": (np.int64, -1),
    "items": (np.int32, NO_ITEM),
    "category": (np.int32, -1),
    "price": (np.float64, np.nan),
    "quantity": (np.float64, np.nan),
    "dwell": (np.float32, np.nan),
    "stream": (np.int32, -1),
    "ad": (np.int32, -1),
    "origin": (np.int32, -1),
    "slot": (np.int32, -1),
    "searched": (np.bool_, False),
    "cause_item": (np.int32, NO_ITEM),
}

#: Typical seconds between an act and the one before it in its session.
_GAPS_S = {c.VIEW: 25.0, c.SEARCH: 9.0, c.CART: 6.0, c.PURCHASE: 3.0}
_OTHER_GAP_S = 8.0


@dataclass
class Parts:
    """The acts of a day by kind, gathered before they are put in order."""

    n_reasons: int
    rows: list[Rows] = field(default_factory=list)

    #: The "visit" of purchases: they come last in their session.
    CHECKOUT = 1_000

    def add(self, action: str, **columns: npt.ArrayLike) -> slice:
        """Add acts within sessions; columns as in ``_DEFAULTS``, scalars for all rows.

        Returns:
            Where these acts stand among all that are added.
        """
        return self._append(action, len(np.atleast_1d(columns["session"])), columns)

    def add_at(self, action: str, **columns: npt.ArrayLike) -> slice:
        """Add acts outside sessions, whose time is known; where they stand comes back."""
        return self._append(action, len(np.atleast_1d(columns["time"])), columns)

    def _append(self, action: str, n: int, columns: dict[str, npt.ArrayLike]) -> slice:
        first = sum(len(part["action"]) for part in self.rows)
        self.rows.append(self._complete(action, n, columns))
        return slice(first, first + n)

    def _complete(self, action: str, n: int, columns: dict[str, npt.ArrayLike]) -> Rows:
        whole = {
            name: np.broadcast_to(np.asarray(columns.get(name, empty)).astype(kind), n)
            for name, (kind, empty) in _DEFAULTS.items()
        }
        whole["action"] = np.full(n, c.ACTIONS.index(action), np.int32)
        nothing = np.full((1, self.n_reasons), np.nan, np.float32)
        whole["reasons"] = np.broadcast_to(columns.get("reasons", nothing), (n, self.n_reasons))
        return whole


def order_in_time(
    parts: Parts, sessions: Sessions, draw: np.random.Generator
) -> tuple[Rows, npt.NDArray[np.int64]]:
    """The events of a day in the order of time, and the time of each act as it was added.

    Args:
        parts: the acts; those within sessions get their time here.
        sessions: when each session starts, and whose it is.
        draw: randomness.

    Returns:
        Columns of ``_DEFAULTS`` but session, stage and visit, with action (code into ACTIONS),
        number (of the session, -1 outside) and reasons (n, n_reasons); and times, one per act in
        the order in which acts were added.
    """
    acts = {name: np.concatenate([part[name] for part in parts.rows]) for name in parts.rows[0]}
    inside = acts["session"] >= 0
    n = int(inside.sum())
    # Acts of sessions first, by session, visit and stage; the others keep their own time.
    rank = np.where(inside, (acts["session"] * 2_000 + acts["visit"]) * 2_000 + acts["stage"], -1)
    rank[~inside] = np.iinfo(np.int64).max
    order = np.argsort(rank, kind="stable")
    acts = {name: column[order] for name, column in acts.items()}
    session = acts["session"][:n]
    typical = np.full(len(c.ACTIONS), _OTHER_GAP_S)
    for action, seconds in _GAPS_S.items():
        typical[c.ACTIONS.index(action)] = seconds
    gap_s = typical[acts["action"][:n]] * np.exp(draw.normal(-0.3, 0.7, n))
    gap_us = (np.maximum(gap_s, 1.2) * 1e6).astype(np.int64)
    passed = np.cumsum(gap_us)
    first = np.concatenate([[True], session[1:] != session[:-1]]) if n else np.zeros(0, bool)
    before = np.maximum.accumulate(np.where(first, passed - gap_us, 0)) if n else passed
    acts["time"][:n] = sessions.start[session] + passed - before
    acts["users"][:n] = sessions.users[session]
    acts["number"] = np.concatenate([sessions.number[session], np.full(len(order) - n, -1)]).astype(
        np.int64
    )
    times = np.empty(len(order), np.int64)
    times[order] = acts["time"]
    for name in ("session", "visit", "stage"):
        del acts[name]
    in_time = np.argsort(acts["time"], kind="stable")
    return {name: column[in_time] for name, column in acts.items()}, times
