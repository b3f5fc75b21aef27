"""How does a customer feel?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shoploom.core import columns as c
from shoploom.tables import Tables
from shoploom.tasks.content._messages import messages
from shoploom.tasks.content.readings import READINGS, Examples
from shoploom.tasks.questions import Kind


@READINGS.register("emotion")
@dataclass(frozen=True)
class Emotion:
    """The probability of each emotion that the shop's dialogues name."""

    name: ClassVar[str] = "emotion"
    kind: ClassVar[Kind] = "multiclass"
    labels: ClassVar[tuple[str, ...]] = ()
    metric: ClassVar[str] = "f1"

    def examples(self, tables: Tables) -> Examples:
        """Every turn of a customer; see ``Reading.examples``."""
        return messages(tables, self.name, c.EMOTION)
