"""Files and frames to checked tables: the data contract, readers, cleaning, quarantine, quality.

What needs Ibis is fetched when first used, so that importing the contract stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from shoploom.tables.raw import RawTables
from shoploom.tables.schema import SCHEMAS, Column
from shoploom.tables.source import Source
from shoploom.tables.tables import Tables

if TYPE_CHECKING:
    from shoploom.tables.cleaning import CleaningRules
    from shoploom.tables.layouts import LAYOUTS, import_layout
    from shoploom.tables.prepare import prepare_tables
    from shoploom.tables.readers import connect, read_tables
    from shoploom.tables.storage import open_tables, write_table

_LAZY = {
    "CleaningRules": "shoploom.tables.cleaning",
    "prepare_tables": "shoploom.tables.prepare",
    "LAYOUTS": "shoploom.tables.layouts",
    "import_layout": "shoploom.tables.layouts",
    "connect": "shoploom.tables.readers",
    "read_tables": "shoploom.tables.readers",
    "open_tables": "shoploom.tables.storage",
    "write_table": "shoploom.tables.storage",
}

__all__ = [
    "LAYOUTS",
    "SCHEMAS",
    "CleaningRules",
    "Column",
    "RawTables",
    "Source",
    "Tables",
    "connect",
    "import_layout",
    "open_tables",
    "prepare_tables",
    "read_tables",
    "write_table",
]


def __getattr__(name: str) -> object:
    """Fetch a public name from the module that owns it."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'shoploom.tables' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
