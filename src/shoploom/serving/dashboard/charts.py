"""A chart is a table with a way to draw it: what is drawn, read and downloaded is the same rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shoploom.core.time import iso
from shoploom.serving.dashboard.wording import Words

SHOWN = 60  # rows of a table on a page; the download has all


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        key: its name in downloads.
        label: its name on the page.
        kind: ``text``, ``number``, ``decimal``, ``share``, ``money``, ``signed``, ``time``
            (microseconds) or ``day``.
    """

    key: str
    label: str
    kind: str = "text"


@dataclass(frozen=True)
class Chart:
    """Something to look at, with the table behind it.

    Attributes:
        name: of the chart within its page; part of the download's address.
        title, note: what is said above it.
        kind: how board.js draws it: ``lines``, ``columns``, ``bars``, ``whiskers``, ``heat``,
            ``curve`` or ``graph``; ``table`` shows the table alone.
        columns, rows: what is drawn.
        options: to the drawing, JSON-able.
        query: what the page was asked for, to be repeated by the download.
    """

    name: str
    title: str
    kind: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    note: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    query: str = ""

    @property
    def payload(self) -> str:
        """What board.js draws from, as JSON that no HTML parser can leave."""
        value = {
            "kind": self.kind,
            "columns": [[each.key, each.label, each.kind] for each in self.columns],
            "rows": [list(row) for row in self.rows],
            "options": dict(self.options),
        }
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        for character in "<>&\u2028\u2029":
            text = text.replace(character, f"\\u{ord(character):04x}")
        return text

    def cells(self, words: Words) -> list[list[tuple[str, str]]]:
        """Rows as a page shows them: text of each cell and its kind."""
        return [
            [
                (words.value(column.kind, value), column.kind)
                for column, value in zip(self.columns, row, strict=True)
            ]
            for row in self.rows[:SHOWN]
        ]

    def csv(self) -> str:
        """All rows; moments as ISO 8601."""
        out = io.StringIO()
        # Spreadsheets of half the world take what is not marked so for another encoding.
        out.write("\ufeff")
        writer = csv.writer(out)
        writer.writerow([column.key for column in self.columns])
        for row in self.rows:
            writer.writerow(
                [_plain(column.kind, v) for column, v in zip(self.columns, row, strict=True)]
            )
        return out.getvalue()


def _plain(kind: str, value: Any) -> Any:
    if value is None:
        return ""
    if kind == "time":
        return iso(int(value))
    # A spreadsheet would run what begins like a formula.
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value
