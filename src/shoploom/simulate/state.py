"""What people remember and what the shop has counted: all that changes from day to day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from shoploom.simulate.catalogue import CATEGORIES
from shoploom.simulate.choice import Floats, stars
from shoploom.simulate.world import World

Rows = dict[str, npt.NDArray]

#: Share of fatigue, of unhappiness and of counted sales that is left a day later.
FATIGUE_KEPT, UNHAPPINESS_KEPT, SALES_KEPT = 0.85, 0.97, 0.93

NEVER = -10_000


class Waiting:
    """Rows that wait for their day: parcels on their way, reviews yet to be written."""

    def __init__(self) -> None:
        self._rows: defaultdict[int, list[Rows]] = defaultdict(list)

    def put(self, day: npt.NDArray[np.integer], rows: Mapping[str, npt.NDArray]) -> None:
        """Let each row wait for its day."""
        for each in np.unique(day):
            due = day == each
            self._rows[int(each)].append({name: column[due] for name, column in rows.items()})

    def take(self, day: int) -> Rows:
        """The rows of a day, in the order in which they came; empty when there are none."""
        parts = self._rows.pop(day, [])
        if not parts:
            return {}
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


class State:
    """The moving part of a shop; begins on the first morning.

    Attributes:
        alive: (n_users,) who has not left.
        unhappiness: (n_users,) what bad experiences have left, 0 = none.
        bought, bought_day: (n_users, n_categories) the item bought last and when, -1 = none.
        last_item, last_item_day: (n_users,) the same over all categories.
        last_category: (n_users,) what the user looked at last, -1 = nothing.
        fatigue: (n_users, n_categories) looks of the last days, decayed.
        rating_sum, reviews: (n_items,) what has been written so far.
        sold: (n_items,) units sold, decayed.
        ad, ad_clicked, week_spend: (n_users,) this week's advertisement (-1 = not asked), whether
            it was clicked, and what the user has spent since.
        parcels, opinions, regrets: deliveries, reviews and returns to come.
        sessions, dialogues: numbers given so far.
    """

    def __init__(self, world: World) -> None:
        n_users, n_items, n_categories = len(world.users), len(world.items), len(CATEGORIES)
        self.alive = np.ones(n_users, bool)
        self.unhappiness = np.zeros(n_users, np.float32)
        self.bought = np.full((n_users, n_categories), -1, np.int32)
        self.bought_day = np.full((n_users, n_categories), NEVER, np.int32)
        self.last_item = np.full(n_users, -1, np.int32)
        self.last_item_day = np.full(n_users, NEVER, np.int32)
        self.last_category = np.full(n_users, -1, np.int32)
        self.fatigue = np.zeros((n_users, n_categories), np.float32)
        self.rating_sum = np.zeros(n_items)
        self.reviews = np.zeros(n_items)
        self.sold = np.zeros(n_items, np.float32)
        self.ad = np.full(n_users, -1, np.int8)
        self.ad_clicked = np.zeros(n_users, bool)
        self.week_spend = np.zeros(n_users)
        self.parcels, self.opinions, self.regrets = Waiting(), Waiting(), Waiting()
        self.sessions = self.dialogues = 0

    def stars(self) -> Floats:
        """(n_items,) what pages show of the ratings so far, minus the prior."""
        return stars(self.rating_sum, self.reviews)

    def sleep(self) -> None:
        """Let a night pass."""
        self.fatigue *= FATIGUE_KEPT
        self.unhappiness *= UNHAPPINESS_KEPT
        self.sold *= SALES_KEPT

    def remember_purchases(
        self,
        users: npt.NDArray[np.integer],
        items: npt.NDArray[np.integer],
        categories: npt.NDArray[np.integer],
        day: int,
    ) -> None:
        """Keep what was bought; of several purchases of a day the last one counts."""
        self.bought[users, categories] = items
        self.bought_day[users, categories] = day
        self.last_item[users] = items
        self.last_item_day[users] = day
