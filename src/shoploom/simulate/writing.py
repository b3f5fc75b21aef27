"""Codes to the tables of the data contract and of the truth, a chunk at a time."""

# pyarrow.compute makes its functions at run time:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

#: Rows that wait in memory before a row group is written.
GROUP_ROWS = 500_000


class Writers:
    """Parquet files of one folder, written a chunk at a time, in bounded memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[str, int] = {}
        self._schemas: dict[str, pa.Schema] = {}
        self._waiting: dict[str, list[pa.Table]] = {}
        self._writers: dict[str, pq.ParquetWriter] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for name in list(self._waiting):
            if kind is None:
                self._flush(name)
        for writer in self._writers.values():
            writer.close()

    def add(self, name: str, table: pa.Table) -> None:
        """Append rows to ``NAME.parquet``; a name may hold a folder, as in ``truth/causes``."""
        waiting = self._waiting.setdefault(name, [])
        self._schemas.setdefault(name, table.schema)
        waiting.append(table)
        self.rows[name] = self.rows.get(name, 0) + table.num_rows
        if sum(part.num_rows for part in waiting) >= GROUP_ROWS:
            self._flush(name)

    def schema(self, name: str) -> pa.Schema:
        """The columns and types of what has been added under a name."""
        return self._schemas[name]

    def _flush(self, name: str) -> None:
        if not self._waiting[name]:
            return
        table = pa.concat_tables(self._waiting[name])
        self._waiting[name] = []
        if name not in self._writers:
            path = self.folder / f"{name}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writers[name] = pq.ParquetWriter(path, table.schema, compression="zstd")
        self._writers[name].write_table(table, row_group_size=GROUP_ROWS)


def numbered(prefix: str, n: int) -> pa.Array:
    """Ids ``u00000``, ``u00001`` ..., as wide as the last one needs."""
    width = max(len(str(max(n - 1, 0))), 4)
    digits = pc.utf8_lpad(pa.array(np.arange(n)).cast(pa.string()), width, padding="0")
    return pc.binary_join_element_wise(prefix, digits, "")


def coded(codes: npt.NDArray[np.integer], names: pa.Array | Sequence[str]) -> pa.DictionaryArray:
    """Text by code; a code below 0 is missing.

    Names must differ from each other: of a dictionary with repetitions, Arrow leaves part of the
    page it writes as it found the memory, so that files would differ from run to run.
    """
    names = names if isinstance(names, pa.Array) else pa.array(list(names), pa.string())
    indices = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, names)


def labelled(prefix: str, numbers: npt.NDArray[np.integer]) -> pa.Array:
    """Text such as ``s17``; a number below 0 is missing."""
    text = pa.array(numbers, mask=numbers < 0).cast(pa.string())
    return pc.binary_join_element_wise(prefix, text, "")


def number(values: npt.NDArray[np.floating]) -> pa.Array:
    """Numbers of which NaN is missing."""
    return pa.array(values, from_pandas=True)


def to_json(**columns: pa.Array) -> pa.Array:
    """A JSON object a row, such as ``{"item_id":"i7","slot":0}``; text must need no escapes."""
    parts: list[pa.Array | str] = ["{"]
    for place, (name, values) in enumerate(columns.items()):
        quote = "" if pa.types.is_integer(values.type) or pa.types.is_floating(values.type) else '"'
        parts += [f'{"," if place else ""}"{name}":{quote}', values.cast(pa.string()), quote]
    return pc.binary_join_element_wise(*parts, "}", "")
