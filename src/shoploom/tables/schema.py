"""The data contract: which tables there are, their columns, and what each column means.

Every table but ``events`` is optional; a table that is absent is data, never an exception.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shoploom.core import columns as c

#: What a column holds: ``id`` and ``text`` are strings, ``time`` int64 microseconds UTC,
#: ``number`` float64, ``flag`` bool, ``action`` one of core.columns.ACTIONS, ``ids`` a list.
ColumnType = Literal["id", "text", "time", "number", "flag", "action", "ids"]


@dataclass(frozen=True)
class Column:
    """One column of the contract."""

    name: str
    type: ColumnType
    required: bool = False


def _columns(required: dict[str, ColumnType], optional: dict[str, ColumnType]) -> dict[str, Column]:
    all_columns = [Column(name, kind, required=True) for name, kind in required.items()]
    all_columns += [Column(name, kind) for name, kind in optional.items()]
    return {column.name: column for column in all_columns}


#: table name -> column name -> Column. ``users`` also keeps any further attribute columns.
SCHEMAS: dict[str, dict[str, Column]] = {
    "events": _columns(
        {c.USER_ID: "id", c.TIME: "time", c.ACTION: "action"},
        {
            c.ITEM_ID: "id",
            c.PRICE: "number",
            c.QUANTITY: "number",
            c.SESSION_ID: "id",
            c.QUERY: "text",
            c.DWELL_S: "number",
            c.STREAM_ID: "id",
            c.SOURCE: "text",
        },
    ),
    "items": _columns(
        {c.ITEM_ID: "id"},
        {
            c.TITLE: "text",
            c.DESCRIPTION: "text",
            c.CATEGORY: "text",
            c.BRAND: "text",
            c.PRICE: "number",
            c.COST: "number",
            c.IMAGE: "text",
            c.VIDEO: "text",
            c.CREATED: "time",
        },
    ),
    "users": _columns({c.USER_ID: "id"}, {c.CONSENT: "text"}),
    "reviews": _columns(
        {c.USER_ID: "id", c.ITEM_ID: "id", c.TIME: "time"},
        {c.RATING: "number", c.TITLE: "text", c.TEXT: "text", c.IMAGE: "text"},
    ),
    "dialogues": _columns(
        {c.DIALOGUE_ID: "id", c.USER_ID: "id", c.TIME: "time"},
        {
            c.ROLE: "text",
            c.TEXT: "text",
            c.INTENT: "text",
            c.EMOTION: "text",
            c.SATISFACTION: "number",
        },
    ),
    "offers": _columns(
        {c.ITEM_ID: "id", c.TIME: "time", c.PRICE: "number"},
        {
            c.COMPETITOR_PRICE: "number",
            c.PROMOTION: "text",
            c.DISPLAY: "text",
            c.MARKET: "text",
        },
    ),
    "exposures": _columns(
        {c.USER_ID: "id", c.TIME: "time", c.ARM: "text"},
        {
            c.PROPENSITY: "number",
            c.CONTEXT: "text",
            c.CLICKED: "flag",
            c.CONVERTED: "flag",
            c.SPEND: "number",
            c.COST: "number",
        },
    ),
    "streams": _columns(
        {c.STREAM_ID: "id", c.TIME: "time"},
        {c.VIDEO: "text", c.ITEMS_SHOWN: "ids", c.TRANSCRIPT: "text"},
    ),
}
