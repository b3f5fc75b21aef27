"""Files, frames and databases as Ibis tables on one DuckDB connection, nothing typed yet.

Parquet and Arrow stay where they are and are read when asked. Text formats, which every look at
would parse again, and rows that come from other engines are copied once to Parquet in the
connection's temporary folder, in bounded memory.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false

from __future__ import annotations

import glob
import json
import sqlite3
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, DataError, nearest
from shoploom.tables import _csv
from shoploom.tables.source import Source

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pyarrow as pa
    from ibis.backends.duckdb import Backend

_SUFFIXES = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".duckdb": "duckdb",
    ".ddb": "duckdb",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".db": "sqlite",
}
NOT_JSON = "line is no JSON object"
_BATCH = 100_000  # rows copied together


@dataclass(frozen=True)
class Opened:
    """The rows of one source.

    Attributes:
        table: the shop's own columns, and ``_file`` and ``_row`` (null where there is no order).
        columns: the shop's own columns.
        label: what messages call the source.
        numbered: whether ``_row`` is known.
        damaged: rows that could not be split into columns, as text with ``_file``, ``_row``,
            ``_reason``; None when there are none.
        damaged_rows: how many those are, by reason.
    """

    table: ir.Table
    columns: tuple[str, ...]
    label: str
    numbered: bool = True
    damaged: ir.Table | None = None
    damaged_rows: Mapping[str, int] = field(default_factory=dict)


def open_source(source: Source, connection: Backend, name: str) -> Opened | None:
    """The rows of a source, or None when its files hold nothing at all, not even a header.

    Raises:
        DataError: a file is missing, unreadable or of an unknown format.
    """
    if source.data is not None:
        return _open_data(source.data, connection, f"{name} ({_kind(source.data)})")
    if isinstance(source.path, str) and "://" in source.path:
        return _open_address(source.path, source.table, connection)
    paths = find(source.path)  # type: ignore[arg-type]
    kinds = {source.format or file_format(path) for path in paths}
    if len(kinds) > 1:
        raise DataError(
            f"expected the files of one source to have one format, got {', '.join(sorted(kinds))} "
            f"for {name}. Give each format a source of its own."
        )
    kind = kinds.pop()
    if kind in ("duckdb", "sqlite"):
        if len(paths) > 1 or source.table is None:
            raise ConfigError(
                f"expected one database file and a table for {name}, got "
                f"{', '.join(path.name for path in paths)} and table: {source.table}. "
                "Add table: NAME."
            )
        return _open_database(paths[0], kind, source.table, connection)
    if kind == "parquet":
        return _open_parquet(paths, connection)
    if kind == "arrow":
        return _open_arrow(paths, connection)
    if kind == "csv":
        return _open_csv(paths, source, connection)
    return _open_json(paths, kind, connection)


def file_format(path: Path) -> str:
    """The format that a file's suffix says.

    Raises:
        DataError: it says none that is known.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    if suffixes and suffixes[-1] in _SUFFIXES:
        return _SUFFIXES[suffixes[-1]]
    raise DataError(
        f"expected a file ending in {', '.join(_SUFFIXES)}, got {path.name}. "
        "Rename it, or set format: csv (or parquet, jsonl, ...)."
    )


def find(path: str | Path | Sequence[str | Path]) -> list[Path]:
    """The files that a path, list, glob or folder of parts means, in order.

    Raises:
        DataError: there is none; the message names the nearest file in that folder.
    """
    if not isinstance(path, str | Path):
        return [found for one in path for found in find(one)]
    path = Path(path)
    if path.is_file():
        return [path]
    if path.is_dir():
        found = [
            part
            for part in sorted(path.rglob("*"))
            if part.is_file() and not part.name.startswith(("_", "."))
        ]
    else:
        # Path.glob wants a pattern without a root, and here the pattern may hold one.
        found = [Path(part) for part in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
    if found:
        return found
    folder = path if path.is_dir() else path.parent
    beside = sorted(part.name for part in folder.iterdir()) if folder.is_dir() else []
    message = f"expected a file at {path}, found nothing there."
    if not folder.is_dir():
        message += f" The folder {folder} does not exist."
    elif near := nearest(path.name, beside) or nearest(
        path.name.lower(), [name.lower() for name in beside]
    ):
        message += f" Did you mean {near}?"
    elif beside:
        message += f" The folder holds {', '.join(beside[:8])}{' …' if len(beside) > 8 else ''}."
    raise DataError(message)


def scratch(connection: Backend, suffix: str = ".parquet") -> Path:
    """A new path in the connection's temporary folder, which goes when the connection goes."""
    folder: Path | None = getattr(connection, "_shoploom_scratch", None)
    if folder is None:
        within = connection.con.execute("select current_setting('temp_directory')").fetchone()
        parent = Path(within[0]) if within and within[0] else None
        owned = tempfile.TemporaryDirectory(
            prefix="shoploom-", dir=parent if parent and parent.is_dir() else None
        )
        folder = Path(owned.name)
        connection._shoploom_scratch = folder  # type: ignore[attr-defined]
        # Only the finalizer may hold the folder: a reference from the connection to ``owned`` would
        # be collected with it in any order, with a warning.
        connection._shoploom_scratch_end = weakref.finalize(connection, owned.cleanup)  # type: ignore[attr-defined]
    return folder / f"{len(list(folder.iterdir())):04d}{suffix}"


def view(connection: Backend, table: ir.Table) -> ir.Table:
    """The same rows under a name of their own, so that queries on them stay short."""
    import ibis

    name = ibis.util.gen_name("view")
    connection.con.execute(f'create temp view "{name}" as {connection.compile(table)}')
    return connection.table(name)


def stored(connection: Backend, table: ir.Table) -> ir.Table:
    """The same rows, computed once into the connection's temporary folder."""
    import ibis

    out = scratch(connection)
    connection.to_parquet(table, out, compression="snappy")
    return connection.read_parquet(out, table_name=ibis.util.gen_name("stored"))


@contextmanager
def whole(label: str, kind: str) -> Iterator[None]:
    """Turn an engine's complaint about a file's bytes into one that says what to do."""
    import duckdb
    import pyarrow as pa

    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError, EOFError, sqlite3.DatabaseError) as error:
        first = str(error).strip().splitlines()[0]
        raise DataError(
            f"{label}: expected whole {kind}, could not read on ({first}). "
            "Was it cut short, or has it another format? Copy it again, or set format."
        ) from None


def _open_parquet(paths: Sequence[Path], connection: Backend) -> Opened:
    import ibis

    with whole(_label(paths), "Parquet"):
        table = connection.read_parquet(
            [str(path) for path in paths],
            table_name=ibis.util.gen_name("parquet"),
            union_by_name=True,
            filename=True,
            file_row_number=True,
        )
    columns = tuple(n for n in table.columns if n not in ("filename", "file_row_number"))
    names = ibis.literal(paths[0].name)
    if len(paths) > 1:
        names = table["filename"].replace(f"{_common(paths)}/", "")
    table = table.select(
        *columns, **{c.FILE: names, c.ROW: (table["file_row_number"] + 1).cast("int64")}
    )
    return Opened(table, columns, _label(paths))


def _common(paths: Sequence[Path]) -> Path:
    parents = [path.parent for path in paths]
    while len(set(parents)) > 1:
        deepest = max(len(parent.parts) for parent in parents)
        parents = [p.parent if len(p.parts) == deepest else p for p in parents]
    return parents[0]


def _label(paths: Sequence[Path]) -> str:
    return paths[0].name if len(paths) == 1 else f"{_common(paths).name}/ ({len(paths)} files)"


def _open_arrow(paths: Sequence[Path], connection: Backend) -> Opened:
    import pyarrow as pa
    import pyarrow.feather

    with whole(_label(paths), "Arrow"):
        parts = [
            _numbered(pyarrow.feather.read_table(path, memory_map=True), path.name)
            for path in paths
        ]
        table = pa.concat_tables(parts, promote_options="permissive")
    return _register(table, connection, _label(paths))


def _numbered(table: pa.Table, name: str) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    files = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), len(table)), [name])
    return table.append_column(c.FILE, files).append_column(
        c.ROW, pa.array(np.arange(1, len(table) + 1))
    )


def _register(table: pa.Table, connection: Backend, label: str) -> Opened:
    import ibis
    import pyarrow as pa

    dictionary = table.schema.field(c.FILE)
    if pa.types.is_dictionary(dictionary.type):
        at = table.schema.get_field_index(c.FILE)
        table = table.set_column(at, c.FILE, table.column(at).cast(pa.string()))
    name = ibis.util.gen_name("arrow")
    connection.con.register(name, table)
    columns = tuple(n for n in table.column_names if n not in (c.FILE, c.ROW))
    return Opened(connection.table(name), columns, label)


def _open_csv(paths: Sequence[Path], source: Source, connection: Backend) -> Opened | None:
    import ibis
    import pyarrow as pa

    parts: list[ir.Table] = []
    lines: list[ir.Table] = []
    columns: dict[str, None] = {}
    counts: dict[str, int] = {}
    # Rows are numbered as they are read, which needs DuckDB to keep them in order.
    with _in_order(connection), whole(_label(paths), "CSV"):
        for path in paths:
            layout = _csv.look(
                path,
                delimiter=source.delimiter or ("\t" if ".tsv" in path.suffixes else None),
                header=source.header,
                names=source.names,
                encoding=source.encoding,
            )
            if layout is None:
                continue
            out = scratch(connection)
            damage = _csv.to_parquet(connection, path, layout, out)
            table = connection.read_parquet(out, table_name=ibis.util.gen_name("csv"))
            parts.append(table.mutate(**{c.FILE: ibis.literal(path.name)}))
            columns |= dict.fromkeys(layout.names)
            if damage.rows:
                broken = pa.table(
                    {
                        c.ROW: pa.array(damage.rows, pa.int64()),
                        c.REASON: damage.reasons,
                        _csv.LINE: damage.lines,
                        c.FILE: [path.name] * len(damage.rows),
                    }
                )
                lines.append(_memory(broken, connection))
                for reason in damage.reasons:
                    counts[reason] = counts.get(reason, 0) + 1
    if not parts:
        return None
    table = union_by_name(parts)
    damaged = ibis.union(*lines) if len(lines) > 1 else lines[0] if lines else None
    return Opened(table, tuple(columns), _label(paths), True, damaged, counts)


@contextmanager
def _in_order(connection: Backend) -> Iterator[None]:
    found = connection.con.execute("select current_setting('preserve_insertion_order')").fetchone()
    connection.con.execute("set preserve_insertion_order = true")
    try:
        yield
    finally:
        if found and not found[0]:
            connection.con.execute("set preserve_insertion_order = false")


def _memory(table: pa.Table, connection: Backend) -> ir.Table:
    import ibis

    name = ibis.util.gen_name("memory")
    connection.con.register(name, table)
    return connection.table(name)


def _open_json(paths: Sequence[Path], kind: str, connection: Backend) -> Opened | None:
    import duckdb
    import ibis
    import pyarrow as pa

    parts: list[ir.Table] = []
    broken: list[tuple[str, int, str]] = []
    for path in paths:
        if path.stat().st_size == 0:
            continue
        try:
            table = _read_json(path, kind, connection)
        except duckdb.Error as error:
            whole = scratch(connection, ".jsonl")
            found = _salvage_json(path, whole)
            if found is None:
                first = str(error).splitlines()[0]
                raise DataError(
                    f"expected JSON objects at {path.name}, one a line or in one list, could not "
                    f"read them ({first}). Was it cut short?"
                ) from None
            broken += [(path.name, row, line) for row, line in found]
            table = _read_json(whole, "jsonl", connection, line_rows=True)
        parts.append(table.mutate(**{c.FILE: ibis.literal(path.name)}))
    if not parts:
        return None
    table = union_by_name(parts)
    columns = tuple(name for name in table.columns if name not in (c.FILE, c.ROW))
    if not broken:
        return Opened(table, columns, _label(paths))
    names, rows, lines = zip(*broken, strict=True)
    damaged = pa.table(
        {
            c.ROW: pa.array(rows, pa.int64()),
            c.REASON: [NOT_JSON] * len(broken),
            _csv.LINE: lines,
            c.FILE: names,
        }
    )
    return Opened(
        table, columns, _label(paths), True, _memory(damaged, connection), {NOT_JSON: len(broken)}
    )


def _read_json(path: Path, kind: str, connection: Backend, line_rows: bool = False) -> ir.Table:
    """The objects of a file, copied once to Parquet, with ``_row``."""
    import ibis

    given = {"format": "newline_delimited" if kind == "jsonl" else "auto", "sample_size": -1}
    seen = connection.read_json(str(path), table_name=ibis.util.gen_name("json"), **given)
    if seen.columns == ("json",):
        raise DataError(
            f"expected JSON objects at {path.name}, found other values. "
            'Write each row as {"column": value, ...}.'
        )
    # Dates are left as they are written: only the source says which zone they are in. Columns
    # of mixed types become text.
    described = connection.con.execute(
        "select column_name, data_type from duckdb_columns() where table_name = ?",
        [seen.get_name()],
    ).fetchall()
    kept = ("BIGINT", "UBIGINT", "HUGEINT", "DOUBLE", "BOOLEAN", "VARCHAR[]")
    types = {name: dtype if dtype in kept else "VARCHAR" for name, dtype in described}
    table = connection.read_json(
        str(path), table_name=ibis.util.gen_name("json"), columns=types, **given
    )
    if line_rows:
        table = table.rename({c.ROW: _LINE_ROW})
    else:
        table = table.mutate(**{c.ROW: ibis.row_number() + 1})
    out = scratch(connection)
    with _in_order(connection):
        connection.to_parquet(table, out, compression="snappy")
    return connection.read_parquet(out, table_name=ibis.util.gen_name("json"))


_LINE_ROW = "__row"


def _salvage_json(path: Path, out: Path) -> list[tuple[int, str]] | None:
    """Copy the lines that are JSON objects; gives back the others, or None if no line is one."""
    broken: list[tuple[int, str]] = []
    good = 0
    with _csv.open_bytes(path) as stream, out.open("w", encoding="utf-8") as copy:
        for row, line in enumerate((line for line in stream if line.strip()), start=1):
            try:
                value = json.loads(line)
            except ValueError:
                value = None
            if isinstance(value, dict):
                copy.write(json.dumps(value | {_LINE_ROW: row}, ensure_ascii=False) + "\n")
                good += 1
            else:
                broken.append((row, line.decode(errors="backslashreplace").rstrip("\r\n")))
    return broken if good else None


def _open_database(path: Path, kind: str, table: str, connection: Backend) -> Opened:
    import ibis

    label = f"{path.name}, table {table}"
    with whole(label, "database files"):
        if kind == "sqlite":
            return _open_sqlite(path, table, connection, label)
        other = ibis.duckdb.connect(path, read_only=True)
        rows = other.con.execute("select table_name from information_schema.tables").fetchall()
        _known(table, [row[0] for row in rows], path.name)
        return _copy(_batches(other.table(table)), connection, label)


def _known(table: str, tables: Sequence[str], where: str) -> None:
    if table in tables:
        return
    near = nearest(table, tables)
    raise DataError(
        f"expected a table {table!r} in {where}, found {', '.join(sorted(tables)) or 'none'}."
        + (f" Did you mean {near!r}?" if near else "")
    )


def _open_sqlite(path: Path, table: str, connection: Backend, label: str) -> Opened:
    """A SQLite table, every cell as text: SQLite lets one column hold values of many types."""
    import pyarrow as pa

    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        names = [row[0] for row in database.execute("select name from sqlite_master")]
        _known(table, names, path.name)
        quoted = table.replace('"', '""')
        columns = [row[1] for row in database.execute(f'pragma table_info("{quoted}")')]
        cells = ", ".join('cast("{}" as text)'.format(name.replace('"', '""')) for name in columns)
        rows = database.execute(f'select {cells} from "{quoted}"')
        schema = pa.schema([(name, pa.string()) for name in columns])

        def batches() -> Iterator[pa.RecordBatch]:
            while block := list(islice(rows, _BATCH)):
                arrays = [pa.array(cells, pa.string()) for cells in zip(*block, strict=True)]
                yield pa.record_batch(arrays, schema=schema)

        reader = pa.RecordBatchReader.from_batches(schema, batches())
        return _copy(reader, connection, label)
    finally:
        database.close()


def _open_address(address: str, table: str | None, connection: Backend) -> Opened:
    """A table of any database that Ibis reaches, copied once."""
    import ibis

    scheme, _, rest = address.partition("://")
    if table is None:
        raise ConfigError(
            f"expected a table beside the {scheme} address, got none. Add table: NAME."
        )
    if scheme in ("duckdb", "sqlite"):
        [path] = find(rest)
        return _open_database(path, scheme, table, connection)
    other: Any = ibis.connect(address)
    _known(table, other.list_tables(), f"the {scheme} database")
    return _copy(_batches(other.table(table)), connection, f"{scheme} table {table}")


def _batches(table: ir.Table) -> pa.RecordBatchReader:
    """The rows of an Ibis table on another backend, a batch at a time."""
    import pyarrow as pa

    backend: Any = table.get_backend()
    if backend.name != "duckdb":
        return table.to_pyarrow_batches()
    return pa.RecordBatchReader.from_stream(backend.con.sql(backend.compile(table)))


def _copy(reader: pa.RecordBatchReader, connection: Backend, label: str) -> Opened:
    """Rows from elsewhere, copied batch by batch to Parquet."""
    import ibis
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = scratch(connection)
    with pq.ParquetWriter(out, reader.schema) as writer:
        for batch in reader:
            writer.write_table(pa.table(batch))
    opened = _open_parquet([out], connection)
    table = opened.table.mutate(**{c.FILE: ibis.literal(label)})
    return Opened(table, opened.columns, label)


def _kind(data: Any) -> str:
    module = type(data).__module__.split(".")[0].lstrip("_")
    return f"{module} {type(data).__name__}"


def _open_data(data: Any, connection: Backend, label: str) -> Opened:
    import ibis.expr.types as ir
    import pyarrow as pa

    if isinstance(data, ir.Table):
        return _open_ibis(data, connection, label)
    if isinstance(data, pa.RecordBatchReader):
        return _copy(data, connection, label)
    if isinstance(data, pa.Table):
        table = data
    elif type(data).__module__.startswith("pandas"):
        table = _from_pandas(data)
    elif type(data).__name__ == "LazyFrame":
        table = data.collect().to_arrow()
    elif type(data).__module__.lstrip("_").startswith("duckdb"):
        return _copy(pa.RecordBatchReader.from_stream(data), connection, label)
    elif hasattr(data, "__arrow_c_stream__"):
        table = pa.RecordBatchReader.from_stream(data).read_all()
    elif isinstance(data, Mapping | Sequence) and not isinstance(data, str):
        table = pa.Table.from_pylist(data) if isinstance(data, Sequence) else pa.table(dict(data))
    else:
        raise DataError(
            f"expected rows as a pandas or polars frame, an Arrow table, a DuckDB relation or an "
            f"Ibis table, got {type(data).__name__}. For a file, give path instead."
        )
    return _register(_numbered(table, label), connection, label)


def _open_ibis(data: ir.Table, connection: Backend, label: str) -> Opened:
    import ibis

    backends = data._find_backends()[0]
    if backends and backends[0] is not connection:
        return _copy(_batches(data), connection, label)
    columns = tuple(name for name in data.columns if name not in (c.FILE, c.ROW))
    if c.FILE in data.columns and c.ROW in data.columns:
        return Opened(data, columns, label)
    numbers = ibis.null("int64")
    table = data.select(*columns, **{c.FILE: ibis.literal(label), c.ROW: numbers})
    return Opened(table, columns, label, numbered=False)


def _from_pandas(frame: Any) -> pa.Table:
    """An Arrow table; columns of mixed types become text, 1 and 1.0 and "1" alike."""
    import pyarrow as pa

    arrays = {}
    for name in frame.columns:
        column = frame[name]
        try:
            arrays[str(name)] = pa.Array.from_pandas(column)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            text = column.where(column.isna(), column.astype(str))
            arrays[str(name)] = pa.Array.from_pandas(text, type=pa.string())
    return pa.table(arrays)


def union_by_name(tables: Sequence[ir.Table]) -> ir.Table:
    """All rows of all tables; a column that a table lacks is null there.

    Where tables disagree on a column's type it becomes text.
    """
    import ibis

    if len(tables) == 1:
        return tables[0]
    types: dict[str, Any] = {}
    for table in tables:
        for name, dtype in table.schema().items():
            types[name] = dtype if types.get(name, dtype) == dtype else ibis.dtype("string")
    return ibis.union(
        *(
            table.select(
                **{
                    name: table[name].cast(dtype) if name in table.columns else ibis.null(dtype)
                    for name, dtype in types.items()
                }
            )
            for table in tables
        )
    )
