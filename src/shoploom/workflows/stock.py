"""How many units of which items there are, as a shop hands it in."""

from __future__ import annotations

import csv
from pathlib import Path

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError


def read_stock(path: Path) -> list[tuple[str, int]]:
    """Items and their units, of a CSV file.

    Raises:
        ConfigError: it is not there, or not laid out like that.
    """
    if not path.exists():
        raise ConfigError(f"--stock: expected a CSV file (item_id, stock), found none at {path}.")
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if not {c.ITEM_ID, "stock"} <= set(rows.fieldnames or ()):
            raise ConfigError(
                f"{path.name}: expected the columns item_id and stock, got "
                f"{', '.join(rows.fieldnames or ()) or 'nothing'}."
            )
        out = []
        for line, row in enumerate(rows, 2):
            text = (row["stock"] or "").strip()
            if not text.isdigit():
                raise ConfigError(
                    f"{path.name}, line {line}: expected a whole number of units, got {text!r}."
                )
            out.append((str(row[c.ITEM_ID]), int(text)))
    return out
