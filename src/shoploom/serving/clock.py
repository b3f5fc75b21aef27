"""What time it is for the shop: the wall clock, or one that goes on where the data ended.

A shop whose log ends today is served by the wall clock. A demo's log ended years ago: by the wall
clock everybody would have left. Its clock starts at the end of the data and ticks like any other.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from shoploom.serving.store import Store

_OFFSET = "clock_offset_us"


@dataclass(frozen=True)
class Clock:
    """A clock that all workers of a store share.

    Attributes:
        offset_us: added to the wall clock, microseconds.
    """

    offset_us: int = 0

    def now(self) -> int:
        """Microseconds since 1970 UTC."""
        return time.time_ns() // 1000 + self.offset_us

    @property
    def is_wall(self) -> bool:
        """Whether it is the time of day."""
        return self.offset_us == 0


def clock_of(store: Store, starts_at: int | None) -> Clock:
    """The clock of a store.

    Args:
        store: which remembers how far its clock is off.
        starts_at: the moment that the clock shows when it is started for the first time; None for
            the wall clock.
    """
    if starts_at is None:
        return Clock()
    offset = starts_at - time.time_ns() // 1000
    return Clock(int(store.put_first(_OFFSET, str(offset))))
