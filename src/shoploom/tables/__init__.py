"""Files and frames to checked tables: the data contract, readers, cleaning, quarantine, quality."""

from shoploom.tables.schema import SCHEMAS, Column
from shoploom.tables.tables import Tables

__all__ = ["SCHEMAS", "Column", "Tables"]
