"""What every layout does: read its files through the readers, write tables and a shop.yaml."""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoploom.core import columns as c
from shoploom.core.errors import DataError, nearest
from shoploom.core.files import write_text
from shoploom.core.progress import Progress
from shoploom.tables._files import open_source
from shoploom.tables._types import How, StampTime
from shoploom.tables.readers import connect, read_tables
from shoploom.tables.source import Source
from shoploom.tables.storage import write_table

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend


@dataclass
class ShopWriter:
    """A shop folder being written from one publisher's files."""

    folder: Path
    out: Path
    progress: Progress
    written: list[str] = field(default_factory=list)

    @cached_property
    def connection(self) -> Backend:
        """The one connection that all files of the layout are read on."""
        return connect()

    def find(self, *patterns: str) -> list[Path]:
        """The files that the first pattern with any match means; gzipped ones count too.

        Raises:
            DataError: no pattern matches; the message names what is there.
        """
        for pattern in patterns:
            for suffix in ("", ".gz"):
                if found := sorted(self.folder.glob(pattern + suffix)):
                    return found
        beside = sorted(path.name for path in self.folder.iterdir())
        near = nearest(patterns[0], beside)
        raise DataError(
            f"expected {' or '.join(patterns)} in {self.folder}, found "
            f"{', '.join(beside[:12]) or 'no file'}."
            + (f" Did you mean {near}?" if near else " Unpack the download there.")
        )

    def has(self, pattern: str) -> bool:
        """Whether any file matches."""
        return any(self.folder.glob(pattern)) or any(self.folder.glob(pattern + ".gz"))

    def rows(self, source: Source) -> ir.Table:
        """The rows of a source as they are (text, for CSV), with ``_file`` and ``_row``.

        Raises:
            DataError: the files are empty.
        """
        opened = open_source(source, self.connection, "layout")
        if opened is None:
            raise DataError(f"expected rows in {source.path}, found an empty file.")
        for reason, n in opened.damaged_rows.items():
            self.progress.note(f"{opened.label}: left out {n:,} rows: {reason}")
        return opened.table

    def write(self, name: str, table: ir.Table) -> None:
        """Write one canonical table."""
        with self.progress.step(f"Write {name}"):
            write_table(table, self.out / f"{name}.parquet")
        self.written.append(name)
        rows = (
            self.connection.read_parquet(self.out / f"{name}.parquet").count().to_pyarrow().as_py()
        )
        self.progress.note(f"{name}: {rows:,} rows")

    def write_typed(self, sources: Mapping[str, Source], *, timezone: str = "UTC") -> None:
        """Read sources by the data contract and write them; rows set aside are written too."""
        raw = read_tables(sources, timezone=timezone, connection=self.connection)
        for note in raw.notes:
            self.progress.note(note)
        for name, table in raw.tables.items():
            self.write(name, table.drop(*(n for n in (c.FILE, c.ROW) if n in table.columns)))
        for name, table in raw.quarantine.items():
            write_table(table, self.out / "quarantine" / f"{name}.parquet")

    def finish(self, name: str, *, caveat: str, currency: str, timezone: str = "UTC") -> Path:
        """Write ``shop.yaml`` for the tables written so far and give back its path."""
        import yaml

        shop: dict[str, Any] = {
            "name": name,
            "currency": currency,
            "timezone": timezone,
            "caveat": caveat,
            "tables": {table: {"path": f"{table}.parquet"} for table in self.written},
        }
        path = self.out / "shop.yaml"
        write_text(path, yaml.safe_dump(shop, sort_keys=False, allow_unicode=True, width=88))
        self.progress.note(f"Wrote {path}")
        return path


def time_us(stamp: Any, timezone: str = "UTC") -> Any:
    """int64 microseconds UTC of a timestamp column that holds wall time of a zone."""
    return StampTime(stamp, How(timezone)).settle({"bad": 0}).value


def path_of(*parts: Any) -> Any:
    """Category parts joined to one path, without those that are missing; None when all are."""
    import ibis

    present = ibis.array(list(parts)).filter(lambda part: part.notnull())
    return (present.length() > 0).ifelse(present.join(c.CATEGORY_SEPARATOR), None)
