"""What will each user buy next?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.tables import Tables
from shoploom.tasks.asking import (
    check_action,
    check_days,
    moments,
    past,
    places,
    users_of,
    window,
)
from shoploom.tasks.questions import TASKS, Kind, Questions, Ragged

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


@TASKS.register("next_item")
@dataclass(frozen=True)
class NextItem:
    """Which items a user buys in the window, ranked.

    Asked to every user with history. The answer is the distinct items bought, in the order in
    which they were first bought; users who buy nothing are left out of answered questions,
    because a ranking cannot be judged without a truth.

    Attributes:
        window_days: how far ahead counts as next.
        action: what counts as taking an item. A shop without purchases sets ``view``.
        repeat: whether an item that the user met before may be an answer. When False such items
            are neither candidates nor answers.
    """

    window_days: int = 7
    action: str = c.PURCHASE
    repeat: bool = True

    name: ClassVar[str] = "next_item"
    kind: ClassVar[Kind] = "ranking"
    unit: ClassVar[str] = "items"
    metric: ClassVar[str] = "ndcg@10"

    def __post_init__(self) -> None:
        check_days(self, "window_days")
        check_action(self.action, self.name)

    def ask(self, tables: Tables, at: int, *, answered: bool = True) -> Questions:
        """Questions at ``at``, users sorted by id.

        Raises:
            DataError: the shop has no event of this action at all.
        """
        users = users_of(past(tables, at))
        answers = None
        if answered:
            answers = _by_user(self._taken(tables, at), users)
            if not len(answers.values):
                self._check_has_action(tables)
            some = np.flatnonzero(answers.lengths)
            users, answers = users[some], answers.take(some)
        return Questions(
            task=self.name,
            users=users,
            times=moments(len(users), at),
            answers=answers,
            exclude_seen=not self.repeat,
        )

    def _taken(self, tables: Tables, at: int) -> pa.Table:
        """The first time in the window that each user took each item."""
        events = window(tables, at, self.window_days, action=self.action)
        events = events.filter(events[c.ITEM_ID].notnull())
        if not self.repeat:
            events = events.anti_join(past(tables, at), [c.USER_ID, c.ITEM_ID])
        firsts = events.group_by(c.USER_ID, c.ITEM_ID).aggregate(**{c.TIME: events[c.TIME].min()})
        return firsts.order_by(c.USER_ID, c.TIME, c.ITEM_ID).to_pyarrow()

    def _check_has_action(self, tables: Tables) -> None:
        events = tables.events
        if not events.filter(events[c.ACTION] == self.action).limit(1).to_pyarrow().num_rows:
            raise DataError(
                f"expected events with action {self.action!r} for task {self.name!r}, found none "
                f"in the events table; set the task's action to one that the shop records, "
                f"such as {c.VIEW!r}."
            )


def _by_user(taken: pa.Table, users: NDArray[np.object_]) -> Ragged:
    """One list of items per user, from rows sorted by user."""
    place = places(taken[c.USER_ID], users)
    asked = place >= 0
    items = taken[c.ITEM_ID].to_numpy().astype(object)[asked]
    lengths = np.bincount(place[asked], minlength=len(users))
    return Ragged(items, np.concatenate(([0], np.cumsum(lengths))).astype(np.int64))
