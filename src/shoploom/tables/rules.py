"""What cleaning sets aside and what it repairs: every setting in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shoploom.core.errors import ConfigError
from shoploom.core.time import to_us


@dataclass(frozen=True)
class CleaningRules:
    """What cleaning sets aside and what it repairs.

    Attributes:
        earliest: the first possible moment, ISO 8601.
        near_duplicate_seconds: an event that repeats the user's same act within so many seconds
            is a double click or a double delivery; 0 keeps it.
        max_events_per_hour: more acts of one user in an hour (UTC) mark a bot.
        max_events_per_day: more acts of one user in a day (UTC) mark a bot.
        outlier_fence: how far prices and quantities may lie outside the middle 98 %, in times of
            its spread on the log scale; larger is more generous.
        rating_range: the lowest and highest possible rating.
        unknown_items: what to do with events whose item is not in the items table.
        unknown_users: what to do with events whose user is not in the users table.
        impute_prices: whether a missing price is taken from the item's past.
        session_gap_minutes: a longer pause ends a session, where the shop gives no session ids.

    Raises:
        ConfigError: a value is impossible.
    """

    earliest: str = "1990-01-01"
    near_duplicate_seconds: float = 1.0
    max_events_per_hour: int = 1_000
    max_events_per_day: int = 5_000
    outlier_fence: float = 1.0
    rating_range: tuple[float, float] = (0.0, 10.0)
    unknown_items: Literal["keep", "quarantine"] = "keep"
    unknown_users: Literal["keep", "quarantine"] = "keep"
    impute_prices: bool = True
    session_gap_minutes: float = 30.0

    def __post_init__(self) -> None:
        to_us(self.earliest)
        positive = ("max_events_per_hour", "max_events_per_day", "session_gap_minutes")
        for name in (*positive, "near_duplicate_seconds", "outlier_fence"):
            value = getattr(self, name)
            if value < 0 or (value == 0 and name in positive):
                least = "more than 0" if name in positive else "0 or more"
                raise ConfigError(f"cleaning: expected {name} to be {least}, got {value!r}.")
        for name in ("unknown_items", "unknown_users"):
            if getattr(self, name) not in ("keep", "quarantine"):
                raise ConfigError(
                    f'cleaning: expected {name} to be "keep" or "quarantine", '
                    f"got {getattr(self, name)!r}."
                )
