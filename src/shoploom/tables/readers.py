"""Sources to typed tables: contract names and types, and rows that could not be typed set aside.

A reader never judges: an absurd price is a number and passes. It never loses a row either: what
was read is typed rows plus quarantined rows, always. A column that fails on most of its rows is
taken for a mistake in the mapping, and all such mistakes are reported together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoploom.core import columns as c
from shoploom.core.errors import DataError, UnknownName, nearest
from shoploom.core.time import to_us
from shoploom.tables import _files, _types
from shoploom.tables.raw import RawTables
from shoploom.tables.schema import SCHEMAS, Column
from shoploom.tables.source import Source

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend

_DTYPES = {
    "id": "string",
    "text": "string",
    "time": "int64",
    "number": "float64",
    "flag": "boolean",
    "action": "string",
    "ids": "array<string>",
}

#: What shops call the contract's columns, for suggestions only: nothing is mapped unasked.
_LIKE_COLUMNS = {
    c.USER_ID: (
        "user",
        "visitor",
        "customer",
        "household",
        "member",
        "reviewer",
        "buyer",
        "client",
    ),
    c.ITEM_ID: ("item", "product", "sku", "asin", "article", "goods", "stockcode"),
    c.TIME: ("time", "date", "datetime", "ts", "created", "when"),
    c.ACTION: ("action", "event", "behavior", "behaviour", "type"),
    c.PRICE: ("price", "amount", "unitprice", "cost"),
    c.ARM: ("arm", "variant", "treatment", "campaign", "group"),
}


def connect(
    *,
    memory_limit: str | None = None,
    threads: int | None = None,
    temp_dir: str | Path | None = None,
    keep_order: bool = True,
) -> Backend:
    """An Ibis DuckDB backend in memory, in UTC, that spills to disk rather than fails.

    Args:
        memory_limit: such as ``"2GB"``; DuckDB's default is 80 % of the machine.
        threads: DuckDB's default is one per core.
        temp_dir: where spilled data and text formats' copies go; the system's default otherwise.
        keep_order: rows without an explicit order keep the order of their file. False lets large
            writes use less memory.
    """
    import ibis

    settings: dict[str, Any] = {"preserve_insertion_order": keep_order}
    if memory_limit is not None:
        settings["memory_limit"] = memory_limit
    if threads is not None:
        settings["threads"] = threads
    if temp_dir is not None:
        Path(temp_dir).mkdir(parents=True, exist_ok=True)
        settings["temp_directory"] = str(temp_dir)
    connection = ibis.duckdb.connect(**settings)
    connection.con.execute("set timezone = 'UTC'")
    return connection


def read_tables(
    sources: Mapping[str, Source | Sequence[Source]],
    *,
    timezone: str = "UTC",
    connection: Backend | None = None,
) -> RawTables:
    """The tables of a shop, typed, with provenance; untypable rows in quarantine.

    Parquet, Arrow and tables of the same connection are only looked at (one scan that counts)
    and stay lazy. Text formats and other databases are copied once to temporary Parquet.

    Args:
        sources: by table name; several sources of one table are put under each other.
        timezone: the zone of times without an offset, where a source names none.
        connection: a DuckDB backend (``connect``); a new one by default.

    Raises:
        UnknownName: a table or a mapped column is not in the contract.
        DataError: a file is missing or broken, a required column is not there, a column fails on
            more than half of its values, or ``events`` has no row.
    """
    connection = connection if connection is not None else connect()
    _check_names(sources)
    reader = _Reader(connection, timezone)
    tables: dict[str, ir.Table] = {}
    quarantine: dict[str, ir.Table] = {}
    for name, given in sources.items():
        parts = [given] if isinstance(given, Source) else list(given)
        read = [part for source in parts if (part := reader.read(name, source)) is not None]
        if not read:
            continue
        tables[name] = _files.union_by_name([part.typed for part in read])
        if aside := [table for part in read for table in part.aside]:
            quarantine[name] = _files.union_by_name(aside)
    if reader.mistakes:
        raise DataError("\n".join(reader.mistakes))
    if "events" in sources and not reader.rows.get("events"):
        raise DataError(_no_events(sources["events"], reader))
    return RawTables(tables, quarantine, tuple(reader.notes))


def _no_events(given: Source | Sequence[Source], reader: _Reader) -> str:
    paths = [s.path for s in ([given] if isinstance(given, Source) else given) if s.path]
    where = ", ".join(Path(str(path)).name for path in paths) or "events"
    aside = reader.rows_aside.get("events", 0)
    found = f"{aside:,} rows, none readable" if aside else "no row"
    reasons = " " + " ".join(reader.notes) if aside else ""
    return f"{where}: expected at least one event, found {found}.{reasons} Check the export."


def _check_names(sources: Mapping[str, Source | Sequence[Source]]) -> None:
    for name, given in sources.items():
        if name not in SCHEMAS:
            raise UnknownName("table", name, SCHEMAS)
        for source in [given] if isinstance(given, Source) else given:
            for place in (source.columns, source.constants):
                for column in place:
                    if name != "users" and column not in SCHEMAS[name]:
                        raise UnknownName(f"column of {name}", column, SCHEMAS[name])
            for word, action in source.actions.items():
                if action not in c.ACTIONS:
                    raise UnknownName("action", action, c.ACTIONS, where=f"for {word!r}")


@dataclass(frozen=True)
class _Read:
    """One source, read: typed rows, and tables of rows set aside."""

    typed: ir.Table
    aside: list[ir.Table]


@dataclass
class _Reader:
    """Reads source after source and gathers what a person must know about all of them."""

    connection: Backend
    timezone: str
    notes: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    rows_aside: dict[str, int] = field(default_factory=dict)

    def read(self, name: str, source: Source) -> _Read | None:
        """The rows of one source, or None when there is nothing or a mistake was noted."""
        opened = _files.open_source(source, self.connection, name)
        if opened is None:
            self.notes.append(f"{name}: {source.path} is empty, not even a header.")
            return None
        schema = SCHEMAS[name]
        mapped = self._map(name, source, opened)
        if mapped is None:
            return None
        how = _types.How(
            _types.check_timezone(source.timezone or self.timezone),
            source.time_format,
            source.time_unit,
            source.actions,
        )
        typed_columns = {n: schema[n].type for n in mapped if n in schema}
        opened = _with_trimmed(self.connection, opened, typed_columns, mapped)
        raw = opened.table
        readings = {
            column: _types.reading(kind, _cell(raw, column, mapped), how)
            for column, kind in typed_columns.items()
        }
        facts, rows = self._facts(raw, readings, opened)
        self._count_damage(name, opened, rows)
        settled = {column: each.settle(facts[column]) for column, each in readings.items()}
        if name == "users":
            extra = {n: n for n in opened.columns if n not in mapped.values()}
            mapped |= {n: s for n, s in extra.items() if n not in mapped}
        else:
            self._note_unused(mapped, opened)
        values = {column: entry.value for column, entry in settled.items()}
        values |= {n: _attribute(raw[s]) for n, s in mapped.items() if n not in values}
        values |= {
            column: _constant(schema.get(column), column, value, source)
            for column, value in source.constants.items()
        }
        in_order = [n for n in schema if n in values]
        values = {n: values[n] for n in [*in_order, *(n for n in values if n not in schema)]}
        judged = _judge(self.connection, opened, values, settled, schema, mapped, facts, rows)
        self._note_settled(readings, settled, facts, mapped, opened, judged)
        typed, aside, n_bad = judged.typed, [], judged.n_bad
        if opened.damaged is not None:
            aside.append(opened.damaged)
        if judged.aside is not None:
            aside.append(judged.aside)
        if not opened.numbered:
            typed = typed.drop(c.FILE, c.ROW)
        if not rows - n_bad:
            self.notes.append(f"{opened.label}: {name} has no readable row.")
        self.rows[name] = self.rows.get(name, 0) + rows - n_bad
        damaged = sum(opened.damaged_rows.values())
        self.rows_aside[name] = self.rows_aside.get(name, 0) + n_bad + damaged
        return _Read(typed, aside)

    def _map(self, name: str, source: Source, opened: _files.Opened) -> dict[str, str] | None:
        """Contract column -> the source's column; None after noting columns that are missing."""
        schema, found = SCHEMAS[name], opened.columns
        mapped = {n: n for n in schema if n in found and n not in source.constants}
        mapped |= source.columns
        missing = [
            column.name
            for column in schema.values()
            if column.required and column.name not in mapped and column.name not in source.constants
        ]
        absent = [column for column, shop in source.columns.items() if shop not in found]
        if not missing and not absent:
            return mapped
        free = [n for n in found if n not in mapped.values()]
        lines = []
        for column in missing + [n for n in absent if n not in missing]:
            asked = source.columns.get(column, column)
            guess = nearest(asked, found) or _likely_column(column, free)
            what = f'column "{asked}"' + (f" for {column}" if asked != column else "")
            hint = f"did you mean {guess!r}? " if guess else ""
            lines.append(f"  {what}: {hint}In shop.yaml, under tables: {name}: columns: "
                         f"write {column}: {guess or 'NAME'}")  # fmt: skip
        self.mistakes.append(
            f"{opened.label}: expected {len(lines)} more column{'s'[: len(lines) > 1]}; found "
            f"{', '.join(found)}.\n" + "\n".join(lines)
        )
        return None

    def _facts(
        self, raw: ir.Table, readings: Mapping[str, _types.Reading], opened: _files.Opened
    ) -> tuple[dict[str, dict[str, Any]], int]:
        """Every column's facts in one scan, and the number of rows."""
        marks = {
            f"{column}.{name}": mark
            for column, reading in readings.items()
            for name, mark in reading.marks().items()
        }
        with _files.whole(opened.label, "rows"):
            # A view, so that a mark which several facts build on is found once.
            marked = _files.view(self.connection, raw.select(**marks, **{c.ROW: raw[c.ROW]}))
            facts = {name: _types.sum_up(marked[name]) for name in marks}
            [found] = marked.aggregate(**facts, rows=marked.count()).to_pyarrow().to_pylist()
        rows = found.pop("rows")
        by_column: dict[str, dict[str, Any]] = {column: {} for column in readings}
        for key, value in found.items():
            column, _, name = key.rpartition(".")
            by_column[column][name] = value
        return by_column, rows

    def _count_damage(self, name: str, opened: _files.Opened, rows: int) -> None:
        damaged = sum(opened.damaged_rows.values())
        if not damaged:
            return
        counts = ", ".join(f"{n:,} × {reason}" for reason, n in opened.damaged_rows.items())
        total = rows + damaged
        message = f"{opened.label}: {damaged:,} of {total:,} rows could not be split into columns "
        if damaged > total / 2 and total > 1:
            self.mistakes.append(
                f"{message}({counts}). Set delimiter, encoding (gb18030, latin-1, ...) or header "
                f"for {name}, or export the file again."
            )
        else:
            self.notes.append(f"{message}({counts}); they are in quarantine.")

    def _note_settled(
        self,
        readings: Mapping[str, _types.Reading],
        settled: Mapping[str, _types.Settled],
        facts: Mapping[str, Mapping[str, Any]],
        mapped: Mapping[str, str],
        opened: _files.Opened,
        judged: _Judged,
    ) -> None:
        """Say what was found in each column; note those that mostly fail as mistakes."""
        for column, entry in settled.items():
            reading, shop = readings[column], mapped[column]
            where = f'{opened.label}, column "{shop}"'
            bad, cells = facts[column]["bad"], facts[column]["cells"]
            if bad:
                row, value = judged.first(column)
                first = f'row {row:,}, "{value}"' if row is not None else f'"{value}"'
                what = f"{bad:,} of {cells:,} values {_PLURAL[reading.failure]} (first: {first})"
                if bad > cells / 2:
                    remedy = _remedy(column, reading, entry)
                    self.mistakes.append(f"{where}: {what}. {remedy}")
                    continue
                self.notes.append(f"{where}: {what}; their rows are in quarantine.")
            self.notes += [f"{where}: {note}." for note in entry.notes]

    def _note_unused(self, mapped: Mapping[str, str], opened: _files.Opened) -> None:
        if unused := [n for n in opened.columns if n not in mapped.values()]:
            self.notes.append(
                f"{opened.label}: left out {', '.join(unused)}, which no contract column is "
                "mapped to."
            )


def _with_trimmed(
    connection: Backend,
    opened: _files.Opened,
    kinds: Mapping[str, str],
    mapped: Mapping[str, str],
) -> _files.Opened:
    """The source with a trimmed copy of every column whose text is to be parsed."""
    raw = opened.table
    trimmed = {
        f"trimmed.{column}": _types.trimmed(raw[mapped[column]])
        for column, kind in kinds.items()
        if _types.needs_trimming(kind, raw[mapped[column]])
    }
    if not trimmed:
        return opened
    return replace(opened, table=_files.view(connection, raw.mutate(**trimmed)))


def _cell(raw: ir.Table, column: str, mapped: Mapping[str, str]) -> Any:
    """The values of a contract column, trimmed where they are to be parsed."""
    trimmed = f"trimmed.{column}"
    return raw[trimmed if trimmed in raw.columns else mapped[column]]


@dataclass(frozen=True)
class _Judged:
    """The rows of one source, parted.

    Attributes:
        typed: rows whose every value could be read.
        aside: the others, as text, with the reason; None when there are none.
        n_bad: how many those are.
        staged: all rows, with both their typed values and (under ``raw.NAME``) their own.
    """

    typed: ir.Table
    aside: ir.Table | None = None
    n_bad: int = 0
    staged: ir.Table | None = None

    def first(self, column: str) -> tuple[int | None, Any]:
        """The row number and the text of the first value of a column that could not be read."""
        assert self.staged is not None
        rows = self.staged.filter(_fails(self.staged, column)).order_by(c.ROW).limit(1)
        [found] = (
            rows.select(c.ROW, value=_own(rows, column).cast("string")).to_pyarrow().to_pylist()
        )
        return found[c.ROW], found["value"]


def _own(staged: ir.Table, column: str) -> Any:
    return staged[f"raw.{column}"]


def _fails(staged: ir.Table, column: str) -> Any:
    return _types.present(_own(staged, column)) & staged[column].isnull()


def _judge(
    connection: Backend,
    opened: _files.Opened,
    values: Mapping[str, Any],
    settled: Mapping[str, _types.Settled],
    schema: Mapping[str, Column],
    mapped: Mapping[str, str],
    facts: Mapping[str, Mapping[str, Any]],
    rows: int,
) -> _Judged:
    """Part typed rows from those that could not be typed.

    Rows with nothing wrong and nothing to parse stay an expression on the source. Each step that
    others build on is a view, as inlining it in all of them would make queries grow with every
    column. What is costly to parse is parsed once, into a temporary file.
    """
    import ibis

    raw = opened.table
    provenance = {n: raw[n] for n in (c.FILE, c.ROW)}
    costly = any(entry.costly for entry in settled.values())
    wrong = [column for column, entry in settled.items() if entry.failing]
    missing = [
        column for column in settled if schema[column].required and facts[column]["cells"] < rows
    ]
    if not wrong and not missing:
        typed = raw.select(**values, **provenance)
        return _Judged(_files.stored(connection, typed) if costly else typed)
    own = {f"raw.{column}": _cell(raw, column, mapped) for column in settled}
    text = {f"text.{n}": raw[n].cast("string") for n in opened.columns}
    staged = _files.view(connection, raw.select(**values, **provenance, **own, **text))
    branches = [(_fails(staged, n), f"{n} {_FAILURES[schema[n].type]}") for n in wrong]
    branches += [(staged[n].isnull(), f"{n} is missing") for n in missing]
    marked = _files.view(connection, staged.mutate(**{c.REASON: ibis.cases(*branches)}))
    bad = marked[c.REASON].notnull()
    whole = ibis.struct({n: marked[f"text.{n}"] for n in opened.columns})
    parted = marked.select(
        *values, c.FILE, c.ROW, c.REASON, whole=bad.ifelse(whole, ibis.null(whole.type()))
    )
    if costly:
        parted = _files.stored(connection, parted)
    aside = parted.filter(parted[c.REASON].notnull())
    return _Judged(
        typed=parted.filter(parted[c.REASON].isnull()).drop(c.REASON, "whole"),
        aside=aside.select(
            **{n: aside["whole"][n] for n in opened.columns},
            **{n: aside[n] for n in (c.FILE, c.ROW, c.REASON)},
        ),
        n_bad=aside.count().to_pyarrow().as_py(),
        staged=staged,
    )


_FAILURES = {
    "id": _types.Id.failure,
    "text": _types.Text.failure,
    "time": _types.TextTime.failure,
    "number": _types.Number.failure,
    "flag": _types.Flag.failure,
    "ids": _types.Ids.failure,
    "action": _types.Action.failure,
}


_PLURAL = {
    _types.Number.failure: "are not numbers",
    _types.TextTime.failure: "are not times",
    _types.Flag.failure: "are neither true nor false",
    _types.Action.failure: "are unknown actions",
}


def _remedy(column: str, reading: _types.Reading, entry: _types.Settled) -> str:
    if isinstance(reading, _types.Action):
        return entry.notes[0][0].upper() + entry.notes[0][1:] + "."
    if isinstance(reading, _types.TextTime):
        return (
            'Set time_format to how they are written, such as "%d/%m/%Y %H:%M", or map another '
            f"column to {column}."
        )
    return f"Map another column to {column}, or leave them empty."


def _likely_column(column: str, found: Sequence[str]) -> str | None:
    """The shop's column that most probably is a contract column, by its name."""
    for alike in _LIKE_COLUMNS.get(column, ()):
        for name in found:
            if alike in name.casefold():
                return name
    return None


def _constant(column: Column | None, name: str, value: Any, source: Source) -> Any:
    """One value for every row, in the contract's type."""
    import ibis

    if column is None:
        return ibis.literal(value)
    if column.type == "action":
        value = source.actions.get(value, value)
        if value not in c.ACTIONS:
            raise UnknownName("action", str(value), c.ACTIONS, where=f"the constant {name}")
    if column.type == "time":
        value = to_us(value)
    if column.type in ("id", "text"):
        value = str(value)
    if column.type == "number":
        try:
            value = float(value)
        except ValueError:
            raise DataError(f"expected a number as the constant {name}, got {value!r}.") from None
    return ibis.literal(value, type=_DTYPES[column.type])


def _attribute(raw: Any) -> Any:
    """A user attribute as it is; blank text is missing."""
    return raw.strip().nullif("") if raw.type().is_string() else raw
