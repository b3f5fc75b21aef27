"""In which categories will a user buy?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError
from shoploom.tables import Tables, measures
from shoploom.tasks.asking import check_days, moments, past, places, users_of, window
from shoploom.tasks.questions import TASKS, Kind, Questions

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from numpy.typing import NDArray


@TASKS.register("category")
@dataclass(frozen=True)
class Category:
    """The probability that a user buys in a category, one question per user and category.

    Asked to users who were here lately, about the categories with the most buyers before ``at``
    (ties by name). Rows run through all categories of the first user, then of the next.

    Attributes:
        window_days: the length of the window.
        active_days: only users with any event in the last ``active_days`` are asked; every user
            with history when None.
        level: how many parts of the category path make a category.
        top: how many categories are asked about.
    """

    window_days: int = 28
    active_days: int | None = 56
    level: int = 1
    top: int = 20

    name: ClassVar[str] = "category"
    kind: ClassVar[Kind] = "multilabel"
    unit: ClassVar[str] = "probability"
    metric: ClassVar[str] = "auroc"

    def __post_init__(self) -> None:
        check_days(self, "window_days", "active_days")
        for name in ("level", "top"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"expected at least 1, got {getattr(self, name)} for {name!r} of task "
                    f"{self.name!r}."
                )

    def ask(self, tables: Tables, at: int, *, answered: bool = True) -> Questions:
        """Questions at ``at``, by user id and then by category; the answer is 1 for a buyer.

        Raises:
            DataError: the shop's items have no categories.
        """
        users = users_of(past(tables, at, days=self.active_days))
        categories = self._categories(tables.as_of(at), at)
        answers = None
        if answered:
            answers = np.zeros((len(users), len(categories)))
            user, category = self._bought(tables, at, users, categories)
            answers[user, category] = 1
            answers = answers.ravel()
        return Questions(
            task=self.name,
            users=np.repeat(users, len(categories)),
            times=moments(len(users) * len(categories), at),
            subjects=np.tile(categories, len(users)),
            answers=answers,
        )

    def _categories(self, known: Tables, at: int) -> NDArray[np.object_]:
        """The categories with the most buyers so far, sorted by name."""
        import ibis

        pairs = self._pairs(past(known, at, action=c.PURCHASE), known)
        buyers = pairs.group_by(c.CATEGORY).aggregate(buyers=pairs.count())
        largest = buyers.order_by(ibis.desc("buyers"), c.CATEGORY).limit(self.top).to_pyarrow()
        return np.sort(largest[c.CATEGORY].to_numpy().astype(object))

    def _bought(
        self,
        tables: Tables,
        at: int,
        users: NDArray[np.object_],
        categories: NDArray[np.object_],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Places of the users and of the categories in which they buy in the window."""
        events = window(tables, at, self.window_days, action=c.PURCHASE)
        pairs = self._pairs(events, tables).to_pyarrow()
        user, category = places(pairs[c.USER_ID], users), places(pairs[c.CATEGORY], categories)
        asked = (user >= 0) & (category >= 0)
        return user[asked], category[asked]

    def _pairs(self, events: ir.Table, tables: Tables) -> ir.Table:
        """Distinct users and categories of events."""
        pairs = events.inner_join(measures.item_categories(tables, level=self.level), c.ITEM_ID)
        return pairs.select(c.USER_ID, c.CATEGORY).distinct()
