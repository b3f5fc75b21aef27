"""Live streams: when they run and which items they show at which second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shoploom.core.seeds import rng
from shoploom.core.time import DAY_US, HOUR_US
from shoploom.simulate.world import Codes, World

#: A stream every so many days, at this hour UTC, of so many items, each shown so long.
EVERY_DAYS, HOUR, ITEMS_SHOWN, SECONDS_EACH = 14, 20, 6, 5.0


@dataclass(frozen=True)
class Stream:
    """One live stream.

    Attributes:
        number: counts from 0. day, time: when it begins; time in microseconds UTC.
        items: codes of the items, in the order in which they are shown.
        language: code into LANGUAGES that its host speaks.
    """

    number: int
    day: int
    time: int
    items: Codes
    language: int

    @property
    def seconds(self) -> float:
        """How long it runs."""
        return len(self.items) * SECONDS_EACH


def plan_streams(world: World) -> dict[int, Stream]:
    """By day, the streams of the whole log."""
    spec, draw = world.spec, rng(world.spec.seed, "streams")
    planned = {}
    for number, day in enumerate(range(EVERY_DAYS // 2, spec.days, EVERY_DAYS)):
        there = np.flatnonzero(world.items.first_day <= day)
        items = draw.choice(there, min(ITEMS_SHOWN, len(there)), replace=False)
        planned[day] = Stream(
            number,
            day,
            spec.start_us + day * DAY_US + HOUR * HOUR_US,
            items.astype(np.int32),
            int(draw.integers(0, 2)),
        )
    return planned
