"""What does a customer want?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shoploom.core import columns as c
from shoploom.tables import Tables
from shoploom.tasks.content._messages import messages
from shoploom.tasks.content.readings import READINGS, Examples
from shoploom.tasks.questions import Kind


@READINGS.register("intent")
@dataclass(frozen=True)
class Intent:
    """The probability of each intent that the shop's dialogues name."""

    name: ClassVar[str] = "intent"
    kind: ClassVar[Kind] = "multiclass"
    labels: ClassVar[tuple[str, ...]] = ()
    metric: ClassVar[str] = "accuracy"

    def examples(self, tables: Tables) -> Examples:
        """Every turn of a customer; see ``Reading.examples``."""
        return messages(tables, self.name, c.INTENT)
