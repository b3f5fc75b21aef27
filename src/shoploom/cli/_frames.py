"""How a table of answers leaves the command line: printed, or written to a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shoploom.core.errors import ConfigError
from shoploom.core.files import atomic_path

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 20


def show_frame(frame: pd.DataFrame, out: Path | None) -> None:
    """Write the frame to ``out`` by its suffix, or print its first rows.

    Raises:
        ConfigError: the suffix is neither .parquet nor .csv.
    """
    if out is None:
        print(frame.head(_SHOWN).to_string(index=False))
        if len(frame) > _SHOWN:
            print(f"... {len(frame) - _SHOWN:,} more rows; --out FILE.parquet writes them all")
        return
    if out.suffix not in (".parquet", ".csv"):
        raise ConfigError(f"--out: expected a file ending in .parquet or .csv, got {out.name!r}.")
    with atomic_path(out) as temporary:
        if out.suffix == ".parquet":
            frame.to_parquet(temporary, index=False)
        else:
            frame.to_csv(temporary, index=False)
    print(f"{len(frame):,} rows in {out}")
