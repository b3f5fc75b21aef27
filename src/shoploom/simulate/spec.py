"""What is asked of the simulator: one frozen value that decides every byte it writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from shoploom.core.errors import ConfigError
from shoploom.core.time import DAY_US, to_us
from shoploom.simulate.dirt import Dirt

#: Below this many items some categories would stand empty.
FEWEST_ITEMS = 48


@dataclass(frozen=True)
class ShopSpec:
    """The size and the settings of a simulated shop.

    Attributes:
        users: how many people, of whom some join later and some leave.
        items: how many products, of which some appear later.
        days: how long the log is.
        seed: decides everything random.
        start: the first day, ISO 8601.
        sessions_per_week: visits of a mean user; people differ by a Gamma distribution.
        content: whether to write photos, films, texts of reviews and dialogues; without it the
            log, the items, the offers and the exposures are written alone.
        photo_size: side of a product photo in pixels.
        films: how many items have a short film.
        photos_folder: real photos to compose product photos from; drawn ones by default.
        dirt: what is soiled afterwards, and how often; ``Dirt.none()`` for a clean shop.
    """

    users: int = 2_000
    items: int = 800
    days: int = 180
    seed: int = 0
    start: str = "2025-01-06"
    sessions_per_week: float = 1.2
    content: bool = True
    photo_size: int = 224
    films: int = 12
    photos_folder: Path | None = None
    dirt: Dirt = field(default_factory=Dirt)

    def __post_init__(self) -> None:
        for name, least in (("users", 1), ("items", FEWEST_ITEMS), ("days", 14), ("films", 0)):
            value = getattr(self, name)
            if value < least:
                raise ConfigError(f"simulate: expected {name} of at least {least}, got {value}.")
        if self.sessions_per_week <= 0:
            raise ConfigError(
                f"simulate: expected sessions_per_week above 0, got {self.sessions_per_week}."
            )

    @property
    def start_us(self) -> int:
        """Midnight UTC of the first day."""
        return to_us(self.start)

    @property
    def end_us(self) -> int:
        """Midnight UTC after the last day."""
        return self.start_us + self.days * DAY_US
