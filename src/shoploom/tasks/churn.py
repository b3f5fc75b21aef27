"""Which customers are leaving?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shoploom.core import columns as c
from shoploom.tables import Tables
from shoploom.tasks.asking import check_days, does, moments, past, users_of
from shoploom.tasks.questions import TASKS, Kind, Questions


@TASKS.register("churn")
@dataclass(frozen=True)
class Churn:
    """The probability that a customer does not buy in the window.

    Asked only to those who bought lately. This is not one minus ``purchase``, which is asked to
    everybody who was here lately, visitors who never bought included: churn is about losing
    customers, and a visitor cannot be lost.

    Attributes:
        window_days: the length of the window.
        active_days: only users with a purchase in the last ``active_days`` are asked; twice the
            window when None.
    """

    window_days: int = 28
    active_days: int | None = None

    name: ClassVar[str] = "churn"
    kind: ClassVar[Kind] = "binary"
    unit: ClassVar[str] = "probability"
    metric: ClassVar[str] = "auroc"

    def __post_init__(self) -> None:
        check_days(self, "window_days", "active_days")

    def ask(self, tables: Tables, at: int, *, answered: bool = True) -> Questions:
        """Questions at ``at``, users sorted by id; the answer is 1 for a user who is lost."""
        days = self.active_days or 2 * self.window_days
        users = users_of(past(tables, at, action=c.PURCHASE, days=days))
        answers = None
        if answered:
            answers = 1 - does(tables, at, self.window_days, c.PURCHASE, users)
        return Questions(self.name, users, moments(len(users), at), answers=answers)
