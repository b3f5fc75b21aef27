"""Will a user who was here lately buy?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shoploom.core import columns as c
from shoploom.tables import Tables
from shoploom.tasks.asking import check_days, does, moments, past, users_of
from shoploom.tasks.questions import TASKS, Kind, Questions


@TASKS.register("purchase")
@dataclass(frozen=True)
class Purchase:
    """The probability that a user buys anything in the window.

    Attributes:
        window_days: the length of the window.
        active_days: only users with any event in the last ``active_days`` are asked; every user
            with history when None.
    """

    window_days: int = 28
    active_days: int | None = 56

    name: ClassVar[str] = "purchase"
    kind: ClassVar[Kind] = "binary"
    unit: ClassVar[str] = "probability"
    metric: ClassVar[str] = "auroc"

    def __post_init__(self) -> None:
        check_days(self, "window_days", "active_days")

    def ask(self, tables: Tables, at: int, *, answered: bool = True) -> Questions:
        """Questions at ``at``, users sorted by id; the answer is 1 for a user who buys."""
        users = users_of(past(tables, at, days=self.active_days))
        answers = None
        if answered:
            answers = does(tables, at, self.window_days, c.PURCHASE, users)
        return Questions(self.name, users, moments(len(users), at), answers=answers)
