"""What readers hand to cleaning: typed tables with provenance, and rows that could not be typed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis.expr.types as ir


@dataclass(frozen=True)
class RawTables:
    """Tables as read: contract names and types, nothing judged yet.

    Attributes:
        tables: by table name. Columns have the contract's names and types; where the reader knows
            them there are also ``_file`` (text) and ``_row`` (int64, 1-based).
        quarantine: by table name, rows that could not be typed (cut rows, text in a price,
            unreadable times, unknown actions): original columns as text, ``_file``, ``_row``,
            ``_reason``. A table without such rows is absent.
        notes: sentences a person should read, such as times without an offset among times with.
    """

    tables: dict[str, ir.Table]
    quarantine: dict[str, ir.Table] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
