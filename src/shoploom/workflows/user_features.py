"""What was known of users at the moments of decisions: statistics as they were, and attributes."""

# Values of an attribute are of any type, None among them:
# pyright: reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.time import WEEK_US
from shoploom.engines import Inputs
from shoploom.tables import Tables

_MOMENTS = 26  # at most so many that statistics are taken at, whole weeks apart
_WORDS = 50  # an attribute of users with more values than that is not looked at


def user_features(
    inputs: Inputs, tables: Tables, users: NDArray[np.object_], moments: NDArray[np.int64]
) -> NDArray[np.float32]:
    """``(n, dim)`` statistics of each user at the moment, NaN where unknown, then attributes."""
    parts: NDArray[np.float32] | None = None
    for at in np.unique(moments).tolist():
        rows = np.flatnonzero(moments == at)
        some = inputs.statistics(at).take(users[rows])
        if parts is None:
            parts = np.full((len(users), some.shape[1]), np.nan, dtype=np.float32)
        parts[rows] = some
    if parts is None:
        parts = np.empty((0, len(inputs.statistics(inputs.until).names)), dtype=np.float32)
    return np.hstack([parts, attributes(tables, users)])


def moments_before(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """The last of a few moments before each time."""
    weeks = max(1, -(-int(times.max() - times.min()) // (_MOMENTS * WEEK_US)))
    return times - (times - times.min()) % (weeks * WEEK_US)


def attributes(tables: Tables, users: NDArray[np.object_]) -> NDArray[np.float32]:
    """``(n, n_values)`` what the users' table says in few words, each a column of 0 and 1."""
    if tables.users is None:
        return np.empty((len(users), 0), dtype=np.float32)
    frame = tables.users.to_pyarrow()
    place = {str(user): row for row, user in enumerate(frame[c.USER_ID].to_pylist())}
    row = np.array([place.get(str(user), -1) for user in users], dtype=np.int64)
    found = [np.empty((len(users), 0), dtype=np.float32)]
    for name, values in words_of(frame).items():
        column = np.array(frame[name].to_pylist(), dtype=object)
        found.append(in_columns(np.where(row >= 0, column[row], None), values))
    return np.hstack(found)


def words_of(users: pa.Table) -> dict[str, list[str]]:
    """Attributes that say something in few words, with all that they say, in order."""
    found = {}
    for name in sorted(set(users.column_names) - {c.USER_ID, c.CONSENT}):
        values = sorted({x for x in users[name].unique().to_pylist() if isinstance(x, str)})
        if 1 < len(values) <= _WORDS:
            found[name] = values
    return found


def in_columns(said: NDArray[np.object_], values: Sequence[str]) -> NDArray[np.float32]:
    """``(n, n_values)`` an attribute of ``n`` users, each of its values a column of 0 and 1."""
    return (said[:, None] == np.array(values, dtype=object)).astype(np.float32)
