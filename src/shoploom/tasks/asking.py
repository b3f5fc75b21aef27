"""What tasks share: who is asked, what lies in the window, and lining the two up.

Everything about *who* reads ``tables.as_of(at)``; only ``window`` looks ahead, and only the
answering half of a task calls it.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false, reportCallIssue=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, UnknownName
from shoploom.core.time import DAY_US
from shoploom.tables import Tables

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa


def past(
    tables: Tables, at: int, *, action: str | None = None, days: int | None = None
) -> ir.Table:
    """Events before ``at``: of one action, and of the last ``days``, where given."""
    events = tables.as_of(at).events
    if action is not None:
        events = events.filter(events[c.ACTION] == action)
    if days is not None:
        events = events.filter(events[c.TIME] >= at - days * DAY_US)
    return events


def window(tables: Tables, at: int, days: int, *, action: str) -> ir.Table:
    """Events of one action in ``[at, at + days)``: the future, for answers only."""
    events = tables.events
    time = events[c.TIME]
    return events.filter((time >= at) & (time < at + days * DAY_US), events[c.ACTION] == action)


def users_of(events: ir.Table) -> NDArray[np.object_]:
    """``(n,)`` distinct user ids of the events, sorted."""
    users = events.select(c.USER_ID).distinct().order_by(c.USER_ID).to_pyarrow()[c.USER_ID]
    return users.to_numpy().astype(object)


def places(ids: pa.ChunkedArray, known: NDArray[np.object_]) -> NDArray[np.int64]:
    """``(len(ids),)`` where each id stands in ``known``; -1 where it does not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.index_in(ids, value_set=pa.array(known, pa.string()))
    return found.fill_null(-1).to_numpy().astype(np.int64)


def aligned(rows: pa.Table, value: str, users: NDArray[np.object_]) -> NDArray[np.float64]:
    """``(len(users),)`` the value of each user's row; zero for users without one."""
    place = places(rows[c.USER_ID], users)
    asked = place >= 0
    out = np.zeros(len(users))
    out[place[asked]] = rows[value].to_numpy()[asked]
    return out


def does(
    tables: Tables, at: int, days: int, action: str, users: NDArray[np.object_]
) -> NDArray[np.float64]:
    """``(len(users),)`` 1 for each user with an event of the action in the window, else 0."""
    import pyarrow as pa
    import pyarrow.compute as pc

    events = window(tables, at, days, action=action)
    doers = events.select(c.USER_ID).distinct().to_pyarrow()[c.USER_ID]
    found = pc.is_in(pa.array(users, pa.string()), value_set=doers)
    return found.to_numpy(zero_copy_only=False).astype(np.float64)


def moments(n: int, at: int) -> NDArray[np.int64]:
    """``(n,)`` times that are all ``at``."""
    return np.full(n, at, dtype=np.int64)


def check_days(task: Any, *names: str) -> None:
    """Every named setting is a positive number of days, or None.

    Raises:
        ConfigError: one is not.
    """
    for name in names:
        value = getattr(task, name)
        if value is not None and not (isinstance(value, int) and value > 0):
            raise ConfigError(
                f"expected a positive whole number of days, got {value!r} for {name!r} of task "
                f"{task.name!r}; set it to 7 or 28, for example."
            )


def check_action(action: str, task: str) -> None:
    """The name is an action of the data contract.

    Raises:
        UnknownName: it is not.
    """
    if action not in c.ACTIONS:
        raise UnknownName("action", action, c.ACTIONS, where=f"task {task!r}")
