"""CSV files to Parquet, every cell as text, without losing or guessing a row.

A well-formed file is DuckDB's work from end to end. Where its strict reader refuses one, the
file is salvaged: rows with the right number of fields are read, the others are set aside with
their reason, and every row keeps its own number. The salvage looks at bytes in blocks; only
lines that hold a quote are parsed one by one, since only there can a comma or a line end be text.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pyarrow as pa
    from ibis.backends.duckdb import Backend

TOO_FEW = "row has too few fields"
TOO_MANY = "row has too many fields"
QUOTES = "quotes are not balanced"
ENCODING = "text is not in the file's encoding"
LINE_END = "row holds a stray line end"
#: In quarantine, the text of a row that could not be split into its columns.
LINE = "_line"

_BLOCK = 1 << 24  # bytes looked at together
_LONGEST = 500  # lines that one quoted text may span in a damaged file
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Layout:
    """How a CSV file is written: its columns in order and what separates them."""

    names: tuple[str, ...]
    delimiter: str
    header: bool
    encoding: str


@dataclass
class Damage:
    """The rows of one file that could not be split into columns."""

    rows: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def add(self, row: int, reason: str, line: str) -> None:
        """Set one row aside."""
        self.rows.append(row)
        self.reasons.append(reason)
        self.lines.append(line)


def look(
    path: Path, *, delimiter: str | None, header: bool, names: Sequence[str] | None, encoding: str
) -> Layout | None:
    """How the file is written, or None when it is empty.

    Raises:
        ConfigError: Python knows no such encoding.
        DataError: the header names a column twice or not at all.
    """
    try:
        encoding = codecs.lookup(encoding).name
    except LookupError:
        raise ConfigError(
            f"expected an encoding such as utf-8 or gb18030 for {path.name}, got {encoding!r}."
        ) from None
    with open_bytes(path, encoding) as stream:
        first = stream.read(1 << 16).decode(errors="replace").removeprefix("\ufeff")
    if not first.strip():
        return None
    line = first.splitlines()[0]
    delimiter = delimiter or max(",;\t|", key=line.count)
    if len(delimiter) != 1 or not delimiter.isascii():
        raise ConfigError(
            f"expected one ASCII character as the delimiter of {path.name}, got {delimiter!r}."
        )
    if not header:
        return Layout(tuple(names or ()), delimiter, False, encoding)
    # The csv module takes header cells that span lines, which splitlines would cut.
    cells = next(csv.reader(io.StringIO(first, newline=""), delimiter=delimiter))
    found = tuple(cell.strip() for cell in cells)
    if len(found) > 1 and not found[-1]:
        found = found[:-1]  # a header that ends in a delimiter
    # pandas writes its index under an empty name.
    found = tuple(name or f"column{place}" for place, name in enumerate(found))
    if doubled := sorted({name for name in found if found.count(name) > 1}):
        raise DataError(
            f"{path.name}: expected every column once, found {', '.join(doubled)} more than once. "
            "Rename one of them in the file, or set header: false with names."
        )
    return Layout(found, delimiter, True, encoding)


def to_parquet(connection: Backend, path: Path, layout: Layout, out: Path) -> Damage:
    """Write the file's rows to ``out`` as text with ``_row``; gives back the rows set aside."""
    import duckdb

    if layout.encoding == "utf-8":
        try:
            _read_whole(connection, path, layout, out)
            return Damage()
        except duckdb.Error:
            out.unlink(missing_ok=True)
    return _salvage(path, layout, out)


def _read_whole(connection: Backend, path: Path, layout: Layout, out: Path) -> None:
    import ibis

    table = connection.read_csv(
        str(path),
        table_name=ibis.util.gen_name("csv"),
        columns=dict.fromkeys(layout.names, "VARCHAR"),
        auto_detect=False,
        header=layout.header,
        delim=layout.delimiter,
        quote='"',
        escape='"',
        strict_mode=True,
        null_padding=False,
        compression="gzip" if path.suffix == ".gz" else "none",
    )
    numbered = table.mutate(**{c.ROW: ibis.row_number() + 1})
    connection.to_parquet(numbered, out, compression="snappy")


def open_bytes(path: Path, encoding: str = "utf-8") -> IO[bytes]:
    """The file's bytes as UTF-8; bytes that its own encoding does not know stay invalid."""
    stream: IO[bytes] = gzip.GzipFile(path) if path.suffix == ".gz" else path.open("rb")  # type: ignore[assignment]
    if encoding == "utf-8":
        return stream
    return _Recoded(stream, encoding)  # type: ignore[return-value]


class _Recoded(io.RawIOBase):
    """A byte stream of another encoding, read as UTF-8."""

    def __init__(self, stream: IO[bytes], encoding: str):
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="surrogateescape")

    def read(self, size: int = -1) -> bytes:
        raw = self._stream.read(size)
        text = self._decoder.decode(raw, final=not raw)
        if raw and not text:
            return self.read(size)
        return text.encode("utf-8", errors="surrogateescape")

    def close(self) -> None:
        self._stream.close()
        super().close()


def _blocks(stream: IO[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Blocks of bytes in order, each with whether it is the last."""
    block = stream.read(_BLOCK).removeprefix(_BOM)
    while block:
        following = stream.read(_BLOCK)
        yield block, not following
        block = following


def _salvage(path: Path, layout: Layout, out: Path) -> Damage:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.string()) for name in layout.names] + [(c.ROW, pa.int64())])
    damage = Damage()
    row, rest, header = 1, b"", layout.header
    with open_bytes(path, layout.encoding) as stream, pq.ParquetWriter(out, schema) as writer:
        for block, last in _blocks(stream):
            block = rest + block
            if header:
                block = _after_header(block, layout.delimiter)
                header = False
            reading = _Block(block, layout, row, damage)
            table, row, rest = reading.read(last)
            writer.write_table(table.cast(schema))
    return damage


def _after_header(block: bytes, delimiter: str) -> bytes:
    """The block without its first record, whose cells may span lines."""
    text = io.StringIO(block.decode(errors="surrogateescape"), newline="")
    next(csv.reader(text, delimiter=delimiter))
    return text.read().encode(errors="surrogateescape")


class _Block:
    """One block of a damaged file, its lines found and counted."""

    def __init__(self, block: bytes, layout: Layout, row: int, damage: Damage):
        self.block, self.layout, self.row, self.damage = block, layout, row, damage
        self.codes = np.frombuffer(block, dtype=np.uint8)
        ends = np.flatnonzero(self.codes == ord("\n")) + 1
        if len(block) and (not len(ends) or ends[-1] != len(block)):
            ends = np.append(ends, len(block))
        self.starts, self.ends = np.append(0, ends[:-1]).astype(np.int64), ends

    def count(self, character: str) -> NDArray[np.int64]:
        """``(n_lines,)`` occurrences of a character in each line."""
        hits = np.zeros(len(self.codes) + 1, dtype=np.int32)
        np.cumsum(self.codes == ord(character), out=hits[1:])
        return (hits[self.ends] - hits[self.starts]).astype(np.int64)

    def line(self, number: int, until: int | None = None) -> bytes:
        """The bytes of a line, or of a line and those after it, without the line end."""
        stop = self.ends[number if until is None else until - 1]
        return self.block[self.starts[number] : stop].rstrip(b"\r\n")

    def read(self, last: bool) -> tuple[pa.Table, int, bytes]:
        """Rows of the block, the number of the next row, and bytes left for the next block."""
        import pyarrow as pa

        n_lines = len(self.ends)
        if not last:  # the last line may go on in the next block
            n_lines -= 1
        width = len(self.layout.names)
        lengths = self.ends - self.starts
        blank = (lengths <= 2) & (self.count("\n") + self.count("\r") == lengths)
        if width == 1:
            blank &= False  # an empty line is a missing value where there is one column
        plain = (self.count('"') == 0) & (self.count(self.layout.delimiter) == width - 1)
        returns = self.codes[np.maximum(self.ends - 2, 0)] == ord("\r")
        plain &= (self.count("\r") == 0) | ((self.count("\r") == 1) & returns)
        if not _is_utf8(self.block):
            plain[self._undecodable(np.flatnonzero(plain))] = False
        special = np.flatnonzero(~plain & ~blank)
        numbered = ~blank
        parsed: list[list[str]] = []
        parsed_at: list[int] = []
        bad: list[tuple[int, str, str]] = []
        done = 0
        for number in special:
            if number < done or number >= n_lines:
                continue
            fields, until, reason = self._record(int(number), n_lines)
            if fields is None and reason is None and not last and number > n_lines - _LONGEST:
                n_lines = int(number)  # the quoted text goes on in the next block
                break
            numbered[number + 1 : until] = False
            plain[number:until] = False
            done = until
            if fields is not None:
                parsed.append(fields)
                parsed_at.append(int(number))
            else:
                line = self.line(int(number)).decode(errors="backslashreplace")
                bad.append((int(number), reason or QUOTES, line))
        numbered[n_lines:] = False
        plain[n_lines:] = False
        plain &= numbered
        rows = self.row - 1 + np.cumsum(numbered)
        for number, reason, line in bad:
            self.damage.add(int(rows[number]), reason, line)
        quoted = pa.table(
            [*(list(cells) for cells in zip(*parsed, strict=True))] or [[]] * width,
            names=list(self.layout.names),
        )
        quoted = quoted.append_column(c.ROW, pa.array(rows[parsed_at], pa.int64()))
        table = self._plain(plain).append_column(c.ROW, pa.array(rows[plain], pa.int64()))
        table = pa.concat_tables([table, quoted.cast(table.schema)])
        end = int(self.ends[n_lines - 1]) if n_lines else 0
        return table.sort_by(c.ROW), self.row + int(numbered.sum()), self.block[end:]

    def _record(self, number: int, n_lines: int) -> tuple[list[str] | None, int, str | None]:
        """The fields of the record that starts at a line, the line after it, and what is wrong.

        A quote that is never closed would swallow the rest of the file: only the line where it
        opened is given up, and reading goes on with the next one.
        """
        width = len(self.layout.names)
        for until in range(number + 1, min(number + 1 + _LONGEST, n_lines + 1)):
            try:
                text = self.line(number, until).decode()
            except UnicodeDecodeError:
                return None, number + 1, ENCODING if until == number + 1 else QUOTES
            try:
                [fields] = csv.reader([text], delimiter=self.layout.delimiter, strict=True)
            except csv.Error as error:
                if "unexpected end of data" in str(error):
                    continue
                return None, number + 1, LINE_END if "new-line" in str(error) else QUOTES
            if len(fields) == width + 1 and not fields[-1]:
                fields = fields[:-1]  # every line of some files ends in a delimiter
            if len(fields) == width:
                return fields, until, None
            if until > number + 1:
                return None, number + 1, QUOTES
            return None, until, TOO_FEW if len(fields) < width else TOO_MANY
        return None, number + 1, None

    def _undecodable(self, lines: NDArray[np.int64]) -> list[int]:
        return [int(number) for number in lines if not _is_utf8(self.line(int(number)))]

    def _plain(self, plain: NDArray[np.bool_]) -> pa.Table:
        """The lines without quotes and with the right number of fields, parsed by Arrow."""
        import pyarrow as pa
        import pyarrow.csv

        names = list(self.layout.names)
        if not plain.any():
            return pa.table({name: pa.array([], pa.string()) for name in names})
        kept = self.codes[np.repeat(plain, self.ends - self.starts)].tobytes()
        return pyarrow.csv.read_csv(
            pa.py_buffer(kept),
            read_options=pyarrow.csv.ReadOptions(column_names=names, block_size=2 * _BLOCK),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=self.layout.delimiter, quote_char=False, ignore_empty_lines=False
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=True,
                null_values=[""],
            ),
        )


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
