"""Tiny shops written as what each user did, for engines that read only sequences."""

from __future__ import annotations

import numpy as np

from shoploom.core.columns import ACTIONS, PURCHASE
from shoploom.core.ids import Vocabulary
from shoploom.core.time import DAY_US
from shoploom.engines import Inputs
from shoploom.sequences import UserSequences, UserStatistics
from shoploom.tasks import Questions, Ragged

Event = tuple[float, str] | tuple[float, str, str]  # day, item and perhaps action


def sequences(shop: dict[str, list[Event]], at_day: float = np.inf) -> UserSequences:
    """Histories before a day, of users that have one."""
    rows = sorted(
        (user, day, item, *(rest or [PURCHASE]))
        for user, events in shop.items()
        for day, item, *rest in events
        if day < at_day
    )
    users = Vocabulary.of(row[0] for row in rows)
    items = Vocabulary.of(row[2] for row in rows if row[2])
    user = users.encode([row[0] for row in rows])
    return UserSequences(
        users=users,
        items=items,
        item=items.encode([row[2] for row in rows]),
        action=np.array([ACTIONS.index(row[3]) for row in rows], dtype=np.int8),
        time=np.array([round(row[1] * DAY_US) for row in rows], dtype=np.int64),
        price=np.full(len(rows), np.nan, dtype=np.float32),
        offsets=np.searchsorted(user, np.arange(len(users) + 1)).astype(np.int64),
    )


def inputs(shop: dict[str, list[Event]], until_day: float = 1000) -> Inputs:
    def statistics(at: int) -> UserStatistics:
        raise AssertionError("these engines need no statistics")

    return Inputs(
        until=round(until_day * DAY_US),
        sequences=lambda at: sequences(shop, at / DAY_US),
        statistics=statistics,
    )


def ask(
    *users: str,
    day: float = 1000,
    exclude_seen: bool = False,
    answers: list[list[str]] | None = None,
) -> Questions:
    truth = None
    if answers is not None:
        values = np.array([item for row in answers for item in row], dtype=object)
        truth = Ragged(values, np.concatenate(([0], np.cumsum([len(row) for row in answers]))))
    return Questions(
        task="next_item",
        users=np.array(users, dtype=object),
        times=np.full(len(users), round(day * DAY_US), dtype=np.int64),
        answers=truth,
        exclude_seen=exclude_seen,
    )


def listed(answers) -> list[list[str]]:
    """Item ids of every row; None where the catalogue is exhausted."""
    return answers.catalogue.decode(answers.items).tolist()
