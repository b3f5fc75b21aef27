"""How the views of ``engines.Inputs`` are computed from tables."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypedDict

from shoploom.sequences.categories import CategoryStatistics, category_statistics
from shoploom.sequences.sequences import user_sequences
from shoploom.sequences.statistics import user_statistics
from shoploom.sequences.types import UserSequences, UserStatistics
from shoploom.tables import Tables

#: Every category that there is, rather than the largest.
_ALL = 1_000_000


class Views(TypedDict):
    """A function per view, each from a moment to what was known before it.

    Categories also take the level, how many parts of the category path count.
    """

    sequences: Callable[[int], UserSequences]
    statistics: Callable[[int], UserStatistics]
    categories: Callable[[int, int], CategoryStatistics]


def views(tables: Tables, *, last: int | None = None) -> Views:
    """The views of tables, as keyword arguments: ``Inputs(until=..., **views(tables))``.

    Args:
        tables: the shop's tables.
        last: keep only each user's latest events in sequences; all when None.
    """
    return {
        "sequences": partial(user_sequences, tables, last=last),
        "statistics": partial(user_statistics, tables),
        "categories": lambda at, level: category_statistics(tables, at, level=level, top=_ALL),
    }
