"""Ids as whole numbers while events are cleaned: to compare, join and sort these is much cheaper.

Codes stand in the order of the ids' text, so that sorting by one is sorting by the other. They
live as long as one cleaning; what is written holds the shop's own ids.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoploom.core import columns as c

if TYPE_CHECKING:
    import ibis.expr.types as ir

#: Computes an expression once and gives back a table of the result; the text is its name.
Stage = Callable[["ir.Table", str], "ir.Table"]

#: The columns of events that are coded.
CODED = (c.USER_ID, c.ITEM_ID)

_ID, _CODE = "_id", "_code"


@dataclass(frozen=True)
class Codes:
    """The ids that a table of events holds, each with its code.

    Attributes:
        ids: by column name, one row per id: ``_id`` (text) and ``_code`` (int32, from 1).
    """

    ids: Mapping[str, ir.Table]

    def encode(self, table: ir.Table) -> ir.Table:
        """The table with codes in place of ids; null where there is no id or it has no code."""
        return self._replace(table, _ID, _CODE)

    def decode(self, table: ir.Table) -> ir.Table:
        """The table with ids in place of codes."""
        return self._replace(table, _CODE, _ID)

    def _replace(self, table: ir.Table, old: str, new: str) -> ir.Table:
        columns = table.columns
        for name in columns:
            if name in self.ids:
                ids = self.ids[name]
                joined = table.left_join(ids, table[name] == ids[old])
                table = joined.mutate(**{name: joined[new]}).select(columns)
        return table


def action_place(events: ir.Table) -> ir.IntegerColumn:
    """The place of each event's action among the sorted names (int8); null where it is unknown."""
    import ibis

    places = ((name, ibis.literal(place, "int8")) for place, name in enumerate(sorted(c.ACTIONS)))
    return events[c.ACTION].cases(*places)


def action_name(events: ir.Table) -> ir.StringColumn:
    """The action of each event that has ``action_place`` for its action."""
    return events[c.ACTION].cases(*enumerate(sorted(c.ACTIONS)))


def find_codes(events: ir.Table, stage: Stage) -> Codes:
    """Codes of all users and items of ``events``.

    Args:
        events: events with ids as text.
        stage: where to keep the ids.
    """
    import ibis

    found = {}
    for name in CODED:
        if name in events.columns:
            ids = events.filter(events[name].notnull()).select(**{_ID: name}).distinct()
            place = ibis.row_number().over(ibis.window(order_by=_ID)) + 1
            found[name] = stage(ids.mutate(**{_CODE: place.cast("int32")}), f"codes-{name}")
    return Codes(found)
