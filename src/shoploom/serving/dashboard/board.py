"""What a page is built from: the run that answers, what goes on, who asks and in which language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from shoploom.serving.api.server import Server
from shoploom.serving.bundle import Bundle
from shoploom.serving.dashboard.charts import Chart, Column
from shoploom.serving.dashboard.facts import Facts
from shoploom.serving.dashboard.wording import Words


@dataclass
class Board:
    """One page in the making.

    Attributes:
        server: the worker.
        bundle: the run that answers.
        facts: what the run has found.
        words: in the language of whoever looks.
        query: parameters of the address.
        now: microseconds.
        charts: those of the page so far, by name.
    """

    server: Server
    bundle: Bundle
    facts: Facts
    words: Words
    query: Mapping[str, str]
    now: int
    charts: dict[str, Chart] = field(default_factory=dict)

    def chart(
        self,
        name: str,
        title: str,
        kind: str,
        columns: Sequence[tuple[str, str, str]],
        rows: Sequence[Sequence[Any]],
        *,
        note: str = "",
        **options: Any,
    ) -> Chart:
        """A chart of this page; its download asks for the same page.

        Args:
            name: within the page.
            title: said above it.
            note: under the title.
            kind: how it is drawn.
            columns: key, label and kind of each.
            rows: the values.
            **options: to the drawing.
        """
        kept = {k: v for k, v in self.query.items() if k != "lang" and v}
        made = Chart(
            name,
            title,
            kind,
            [Column(*column) for column in columns],
            rows,
            note,
            options,
            f"?{urlencode(kept)}" if kept else "",
        )
        self.charts[name] = made
        return made
