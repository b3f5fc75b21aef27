"""A shop's checked tables, and the one way to look at them as they were at a moment."""

# Ibis types its columns too loosely for arithmetic.
# pyright: reportOperatorIssue=false

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from shoploom.core import columns as c

if TYPE_CHECKING:
    import ibis.expr.types as ir


@dataclass(frozen=True)
class Tables:
    """Clean tables of the data contract as Ibis expressions on one backend.

    Columns have the contract's names and types (``tables.schema``); only columns that the shop
    has are there, except that ``events`` always carries every column that cleaning writes.
    A table that the shop lacks is None.
    """

    events: ir.Table
    items: ir.Table | None = None
    users: ir.Table | None = None
    reviews: ir.Table | None = None
    dialogues: ir.Table | None = None
    offers: ir.Table | None = None
    exposures: ir.Table | None = None
    streams: ir.Table | None = None

    def present(self) -> dict[str, ir.Table]:
        """The tables that the shop has, by name."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: table for name, table in named.items() if table is not None}

    def as_of(self, at: int) -> Tables:
        """The same tables with everything at or after ``at`` (microseconds UTC) hidden.

        The past is strictly before ``at``; a question's window is ``[at, at + window)``.
        Items created later are hidden too; items without a creation time are taken as old.
        """
        seen: dict[str, ir.Table] = {}
        for name, table in self.present().items():
            if c.TIME in table.columns:
                table = table.filter(table[c.TIME] < at)
            elif c.CREATED in table.columns:
                table = table.filter(table[c.CREATED].isnull() | (table[c.CREATED] < at))
            seen[name] = table
        return replace(self, **seen)
