"""How the views of ``engines.Inputs`` are computed from tables."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypedDict

from shoploom.sequences.sequences import user_sequences
from shoploom.sequences.statistics import user_statistics
from shoploom.sequences.types import UserSequences, UserStatistics
from shoploom.tables import Tables


class Views(TypedDict):
    """A function per view, each from a moment to what was known before it."""

    sequences: Callable[[int], UserSequences]
    statistics: Callable[[int], UserStatistics]


def views(tables: Tables, *, last: int | None = None) -> Views:
    """The views of tables, as keyword arguments: ``Inputs(until=..., **views(tables))``.

    Args:
        tables: the shop's tables.
        last: keep only each user's latest events in sequences; all when None.
    """
    return {
        "sequences": partial(user_sequences, tables, last=last),
        "statistics": partial(user_statistics, tables),
    }
