"""Where one table of a shop comes from, and how the shop's words map to the contract's.

Plain values only, so that a YAML file can hold a source and nothing here opens anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from shoploom.core.errors import ConfigError

#: What a file can be; without ``format`` its suffix decides.
Format = Literal["parquet", "csv", "json", "jsonl", "arrow", "duckdb", "sqlite"]
TimeUnit = Literal["s", "ms", "us"]


@dataclass(frozen=True)
class Source:
    """One place that rows of one table come from.

    >>> Source("log.csv", columns={"user_id": "visitor"}, actions={"buy": "purchase"}).path
    'log.csv'

    Attributes:
        path: a file, a list of files, a glob, a folder of parts, or a database address such as
            ``sqlite:///shop.db``.
        data: rows that are in memory already: a pandas or polars frame, an Arrow table or record
            batch reader, a DuckDB relation, an Ibis table of any backend.
        table: the table's name inside a database.
        columns: contract column -> the shop's name for it; same names need no entry.
        constants: contract column -> the one value that every row has.
        actions: the shop's word -> contract action.
        format: what the files are, where their suffix does not say it.
        delimiter: CSV only; found from the header where it is not given.
        header: False for a CSV without a header line; then ``names`` gives its columns in order.
        names: see ``header``.
        encoding: CSV only, any name that Python knows, such as ``gb18030``; UTF-8 by default.
        time_format: how times are written, as in ``%d/%m/%Y %H:%M``; ISO 8601 by default.
        time_unit: the unit of times that are numbers; found from their size where not given.
        timezone: the zone of times without an offset, such as ``Asia/Shanghai``.
    """

    path: str | Path | Sequence[str | Path] | None = None
    data: Any = None
    table: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    actions: Mapping[str, str] = field(default_factory=dict)
    format: Format | None = None
    delimiter: str | None = None
    header: bool = True
    names: Sequence[str] | None = None
    encoding: str = "utf-8"
    time_format: str | None = None
    time_unit: TimeUnit | None = None
    timezone: str | None = None

    def __post_init__(self) -> None:
        if (self.path is None) == (self.data is None):
            raise ConfigError(
                "expected a source with either path or data, got "
                f"{'neither' if self.path is None else 'both'}. Give exactly one of them."
            )
        if not self.header and not self.names:
            raise ConfigError(
                f"expected names for {self.path}, which has header: false, got none. "
                "Add names: [...], its columns in order."
            )
