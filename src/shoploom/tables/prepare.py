"""Raw tables to the ``prepared/`` folder: clean, set aside, count, and appear all at once."""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoploom.core import columns as c
from shoploom.core.files import atomic_path, remove, write_json
from shoploom.core.progress import Progress, Quiet
from shoploom.tables.bounds import Bounds
from shoploom.tables.cleaning import EVENT_ORDER, clean
from shoploom.tables.quality import quality
from shoploom.tables.raw import RawTables
from shoploom.tables.rules import CleaningRules
from shoploom.tables.storage import write_table
from shoploom.tables.tables import Tables

if TYPE_CHECKING:
    import ibis.expr.types as ir


def prepare_tables(
    raw: RawTables,
    folder: Path | str,
    rules: CleaningRules = CleaningRules(),  # noqa: B008 (frozen)
    *,
    now: int | None = None,
    bounds: Bounds | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Clean ``raw`` into ``folder`` and return the content of its ``quality.json``.

    The folder holds NAME.parquet per table (events sorted by user, time, item, action),
    quarantine/NAME.parquet for tables that lost rows, bounds.json and quality.json. It appears
    whole or, when something fails half-way, stays as it was. On Spark each NAME.parquet is a
    folder of parts.

    Args:
        raw: typed tables on one backend, and the rows that their reader could not type.
        folder: where to write; what stands there is replaced.
        rules: what to set aside and repair.
        now: the moment of cleaning, microseconds UTC; the present by default.
        bounds: bounds found by an earlier cleaning.
        progress: where to report to.

    Raises:
        DataError: there is no events table, or none of its rows is left.
    """
    progress = progress or Quiet()
    with atomic_path(folder) as temporary, _views() as view:
        stages = temporary / "stages"

        def stage(table: ir.Table, name: str) -> ir.Table:
            path = stages / f"{name}.parquet"
            _write_briefly(table, path)
            return view(path, table)

        with progress.step("judging rows"):
            cleaned = clean(raw, rules, now=now, bounds=bounds, stage=stage)
            rejects = {
                name: stage(rows, f"{name}-rejects") for name, rows in raw.quarantine.items()
            }
        tables = {}
        for name, table in cleaned.tables.present().items():
            with progress.step(f"writing {name}"):
                # Cleaning gives events in order already.
                ordered = table if name == "events" else table.order_by(_order(table))
                path = write_table(ordered, temporary / f"{name}.parquet")
                tables[name] = view(path, table)
        cleaned = replace(cleaned, tables=Tables(**tables))
        with progress.step("counting"):
            document = quality(cleaned, rejects, raw.notes)
        for name, counts in document["tables"].items():
            if counts["rows_quarantined"]:
                parts = [part[name] for part in (rejects, cleaned.quarantine) if name in part]
                write_table(_as_text(parts), temporary / "quarantine" / f"{name}.parquet")
        write_json(temporary / "bounds.json", cleaned.bounds.to_json())
        write_json(temporary / "quality.json", document)
        remove(stages)
    for note in document["notes"]:
        progress.note(note)
    return document


@contextmanager
def _views() -> Iterator[Callable[[Path, ir.Table], ir.Table]]:
    """Opens Parquet on the backend of another table; the views are gone when the block ends."""
    views: list[ir.Table] = []

    def view(path: Path, like: ir.Table) -> ir.Table:
        parts = path / "*.parquet" if path.is_dir() else path
        views.append(like.get_backend().read_parquet(str(parts)))
        return views[-1]

    try:
        yield view
    finally:
        for table in views:
            # The name is Ibis's own; its drop_view does not parse on every release of sqlglot.
            table.get_backend().raw_sql(f"DROP VIEW {table.get_name()}")


def _write_briefly(table: ir.Table, path: Path) -> None:
    """Write what is read a few times and then removed: not packed, in any order.

    Packing, and looking for repeated text to pack, costs more than reading all bytes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if table.get_backend().name == "pyspark":
        table.to_parquet_dir(str(path))
    else:
        table.to_parquet(path, compression="uncompressed", dictionary_size_limit=1)


def _order(table: ir.Table) -> list[str]:
    """The columns by which a clean table is sorted, so that the same rows give the same file."""
    ids = (c.DIALOGUE_ID, c.STREAM_ID, c.ARM)
    return [name for name in (*EVENT_ORDER, *ids) if name in table.columns]


def _as_text(parts: Sequence[ir.Table]) -> ir.Table:
    """Rows set aside by reader and cleaning in one table: every column as text, ``_row`` int64.

    A rejected row may have anything in any column, so text is the one type that keeps it.
    """
    import ibis

    columns = list(dict.fromkeys(name for part in parts for name in part.columns))
    last = [name for name in (c.FILE, c.ROW, c.REASON) if name in columns]
    columns = [name for name in columns if name not in last] + last

    def text(part: ir.Table, name: str) -> ir.Value:
        kind = "int64" if name == c.ROW else "string"
        value = part[name].cast(kind) if name in part.columns else ibis.null(kind)
        return value.name(name)

    return ibis.union(*(part.select(*(text(part, name) for name in columns)) for part in parts))
