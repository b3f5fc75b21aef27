"""Encode: the texts, photos and films of a prepared shop become vectors, each content once.

Vectors lie in ``RUN/vectors``, by content; ``RUN/encoded/TABLE.COLUMN.parquet`` says for each row
of a table which content it has. An encoder that learns is fitted on what was known before the test
moment, so that what it says about the past cannot hold the future.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import NotFitted
from shoploom.core.files import atomic_path, fingerprint, read_json, write_json
from shoploom.core.progress import Progress
from shoploom.encoders import Encoded, Encoder, FittedEncoder, Modality
from shoploom.encoders.images import Unreadable, locate
from shoploom.encoders.saving import Learned, load_encoder, name_of, save_encoder
from shoploom.encoders.store import Contents, VectorStore, encode_missing
from shoploom.tables import open_tables
from shoploom.tasks.content.readings import joined
from shoploom.workflows.config import ShopConfig, describe
from shoploom.workflows.content_quality import content_quality
from shoploom.workflows.run import Run
from shoploom.workflows.split import split_of

#: Names of columns in ``TABLE.COLUMN.parquet`` that are no contract columns.
ROW, KEY, PRESENT, UNREAD = "row", "key", "present", "reason"

_VERSION = "1"


@dataclass(frozen=True)
class Content:
    """A column of content of one table.

    Attributes:
        table: its name.
        name: of the column, as ``TABLE.NAME``.
        modality: of what it holds.
        columns: of the table; texts of several are joined.
        id: the column that names its rows; None = they are numbered, as they lie in the table.
        distinct: each content once.
    """

    table: str
    name: str
    modality: Modality
    columns: tuple[str, ...]
    id: str | None = None
    distinct: bool = False

    def __str__(self) -> str:
        return f"{self.table}.{self.name}"

    def path(self, run: Run) -> Path:
        """Where its file lies."""
        return run.folder / "encoded" / f"{self}.parquet"


#: What is encoded of a shop.
CONTENT = (
    Content("items", c.TEXT, "text", (c.TITLE, c.DESCRIPTION), c.ITEM_ID),
    Content("items", c.IMAGE, "image", (c.IMAGE,), c.ITEM_ID),
    Content("items", c.VIDEO, "video", (c.VIDEO,), c.ITEM_ID),
    Content("reviews", c.TEXT, "text", (c.TITLE, c.TEXT)),
    Content("reviews", c.IMAGE, "image", (c.IMAGE,)),
    Content("dialogues", c.TEXT, "text", (c.TEXT,)),
    Content("events", c.QUERY, "text", (c.QUERY,), c.QUERY, distinct=True),
    Content("streams", c.VIDEO, "video", (c.VIDEO,)),
    Content("streams", c.TRANSCRIPT, "text", (c.TRANSCRIPT,)),
)

#: What a catalogue says in a word or a number: made anew whenever it is read, which costs less than
#: to keep it.
FIELDS = (
    Content("items", c.BRAND, "category", (c.BRAND,), c.ITEM_ID),
    Content("items", c.CATEGORY, "category", (c.CATEGORY,), c.ITEM_ID),
    Content("items", c.PRICE, "number", (c.PRICE,), c.ITEM_ID),
)


@dataclass(frozen=True)
class EncodedColumn:
    """Vectors of a column, in the order of its table.

    Attributes:
        ids: ``(n,)`` item ids or queries; the numbers of rows in ``prepared/TABLE.parquet`` for
            tables whose rows have no id.
        encoded: their vectors, presence, and why content could not be read.
        identity: of the encoder that made them.
    """

    ids: NDArray[Any]
    encoded: Encoded
    identity: str


def encode(config: ShopConfig, run: Run, progress: Progress) -> None:
    """Fill ``run``'s vectors, the tables that point into them, and ``content`` of quality.json.

    What was encoded before, with the same encoders, is not encoded again, whatever happened
    between: rows may have come and gone, photos may have moved, a run may have been killed.

    Raises:
        DataError: a package of an encoder is missing.
        NotFitted: the shop has not been prepared.
    """
    prepared = run.fingerprint_of("prepare")
    if not config.encoders:
        progress.note("shop.yaml names no encoders: texts and photos are not looked at.")
        return
    columns = _columns_of(config, run)
    # Learners depend on the test moment, and so on the split.
    chosen = {key: [name_of(e), describe(e)] for key, e in config.encoders.items()}
    files = [_stamps(config, run, column) for column in columns if column.modality != "text"]
    mark = fingerprint(
        "encode", prepared, chosen, describe(config.split), config.window_days, config.seed, files
    )
    if run.is_done("encode", mark) and "content" in read_json(run.quality_json):
        return
    with progress.step("Encode texts, photos and films"), run.stage("encode", mark):
        store = VectorStore(run.folder / "vectors")
        fitted = {key: _fit(config, run, encoder, key) for key, encoder in config.encoders.items()}
        counted = {}
        for column in columns:
            ids, rows, refused = _read(column, config, run)
            encoder = fitted[column.modality]
            contents = store.contents(rows, column.modality, progress=progress)
            new = encode_missing(encoder, rows, contents, store, progress=progress)
            known = store.read(encoder.identity, encoder.dim, contents, vectors=False)
            known = Encoded(known.vectors, known.present, {**known.reasons, **refused})
            _write(column, run, ids, contents, known, encoder)
            counted[str(column)] = content_quality(
                column.modality, ids, rows, contents, known, encoder, store, progress
            )
            progress.note(
                f"{column}: {int(known.present.sum()):,} of {len(ids):,} rows have a vector, "
                f"{new:,} were new."
            )
        _tell(config, run, fitted, counted)


def read_encoded(run: Run, column: str) -> EncodedColumn:
    """The vectors of a column such as ``"items.text"`` that the stage has encoded.

    Raises:
        NotFitted: it has not, or tables were prepared anew since.
        DataError: the store has lost some of them.
    """
    path = run.folder / "encoded" / f"{column}.parquet"
    if not path.exists():
        known = sorted(p.stem for p in path.parent.glob("*.parquet"))
        raise NotFitted(
            f"expected the encoded column {column!r} in {path.parent}, there is "
            f"{', '.join(known) or 'none'}; name an encoder for it under `encoders:` of shop.yaml "
            "and run `shoploom encode`."
        )
    table = pq.read_table(path)
    head = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    if head["prepared"] != run.fingerprint_of("prepare"):
        raise NotFitted(
            f"expected {column!r} encoded from the tables in {run.prepared}, it is of earlier "
            "ones; run `shoploom encode` again."
        )
    keys = table[KEY].combine_chunks().fill_null(bytes(16))
    contents = Contents(np.frombuffer(b"".join(keys.to_pylist()), "<u8").reshape(-1, 2))
    store = VectorStore(run.folder / "vectors")
    encoded = store.read(head["encoder"], int(head["dim"]), contents)
    why = table[UNREAD].to_pylist()
    reasons = {row: reason for row, reason in enumerate(why) if reason is not None}
    ids = table.column(0).to_numpy(zero_copy_only=False)
    return EncodedColumn(ids, Encoded(encoded.vectors, encoded.present, reasons), head["encoder"])


def read_field(run: Run, column: Content) -> EncodedColumn | None:
    """The vectors of one of ``FIELDS``; None where the shop has no such column or encoder."""
    saved, path = saved_encoder(run, column.modality), run.prepared / f"{column.table}.parquet"
    if not saved.exists() or not _columns_there(column, run):
        return None
    encoder = load_encoder(saved)
    table = pq.read_table(path, columns=[str(column.id), *column.columns])
    ids = table.column(0).to_numpy(zero_copy_only=False)
    return EncodedColumn(ids, encoder.encode(table.column(1).to_pylist()), encoder.identity)


def read_encoder(run: Run, modality: Modality) -> FittedEncoder:
    """The encoder that the stage used, to encode something new beside what it encoded.

    Raises:
        NotFitted: the stage has not encoded that modality.
        DataError: the encoder's package is missing or has changed.
    """
    folder = saved_encoder(run, modality)
    if not folder.exists():
        raise NotFitted(
            f"expected an encoder of {modality} in {folder}, there is none; name one under "
            "`encoders:` of shop.yaml and run `shoploom encode`."
        )
    return load_encoder(folder)


def saved_encoder(run: Run, modality: str) -> Path:
    """Where the encoder of a modality lies."""
    return run.folder / "encoded" / f"{modality}.encoder"


def _fit(config: ShopConfig, run: Run, encoder: Encoder, modality: str) -> FittedEncoder:
    """The encoder, fitted on what was known before the test moment where it learns."""
    fitted = encoder.fit([])
    if isinstance(fitted, Learned):
        before = split_of(config, open_tables(run.prepared)).test
        known: list[Any] = []
        for column in _columns_of(config, run, (*CONTENT, *FIELDS)):
            if column.modality == modality:
                known += _read(column, config, run, before=before)[1]
        fitted = encoder.fit(known, seed=config.seed)
    save_encoder(saved_encoder(run, modality), encoder, fitted)
    return fitted


def _columns_of(
    config: ShopConfig, run: Run, known: Collection[Content] = CONTENT
) -> list[Content]:
    """The content columns that the shop has, of modalities that have an encoder."""
    return [
        column
        for column in known
        if column.modality in config.encoders and _columns_there(column, run)
    ]


def _columns_there(column: Content, run: Run) -> list[str]:
    path = run.prepared / f"{column.table}.parquet"
    if not path.exists():
        return []
    there = pq.ParquetDataset(path).schema.names
    return [name for name in column.columns if name in there]


def _read(
    column: Content, config: ShopConfig, run: Run, *, before: int | None = None
) -> tuple[pa.Array, list[Any], dict[int, str]]:
    """Ids and contents of a column's rows, and by row, why a file may not be read.

    Args:
        column: which.
        config: of the shop.
        run: holds the prepared tables.
        before: leave out rows that came at or after this moment, microseconds UTC.
    """
    path = run.prepared / f"{column.table}.parquet"
    names = pq.ParquetDataset(path).schema.names
    dated = [name for name in (c.TIME, c.CREATED) if name in names]
    parts = _columns_there(column, run)
    own = [] if column.id is None else [column.id]
    table = pq.read_table(path, columns=list(dict.fromkeys([*parts, *own, *dated])))
    if column.id is None:
        table = table.append_column(ROW, pa.array(np.arange(len(table))))
    if before is not None and dated:
        past = pc.call_function("less", [table[dated[0]], pa.scalar(before)])
        table = table.filter(past.fill_null(True))  # an item without a date is taken as old
    if column.distinct:
        values = table[parts[0]].combine_chunks().unique().drop_null()
        table = pa.table({parts[0]: values}).sort_by(parts[0])
    ids = table[column.id or ROW].combine_chunks()
    if column.modality == "text":
        said = joined([table[part].to_numpy(zero_copy_only=False) for part in parts])
        return ids, said.tolist(), {}
    rows = table[parts[0]].to_pylist()
    if column.modality not in ("image", "video"):
        return ids, rows, {}
    refused: dict[int, str] = {}
    for row, name in enumerate(rows):
        place = locate(config.folder, name) if name else None
        if isinstance(place, Unreadable):
            refused[row], place = place.reason, None
        rows[row] = place
    return ids, rows, refused


def _stamps(config: ShopConfig, run: Run, column: Content) -> str:
    """A hash of the names, sizes and times of a column's files: changes when a file does."""
    seen = []
    for place in dict.fromkeys(_read(column, config, run)[1]):
        if place is not None and place.exists():
            facts = place.stat()
            seen.append([str(place), facts.st_size, facts.st_mtime_ns])
    return fingerprint(seen)


def _write(
    column: Content,
    run: Run,
    ids: pa.Array,
    contents: Contents,
    known: Encoded,
    encoder: FittedEncoder,
) -> None:
    # The bits of a column of booleans are those that say which values are not null.
    given = pa.array(contents.given).buffers()[1]
    whole = pa.py_buffer(np.ascontiguousarray(contents.keys, "<u8"))
    keys = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(contents), [given, whole])
    table = pa.table(
        {
            column.id or ROW: ids,
            KEY: keys,
            PRESENT: pa.array(known.present),
            UNREAD: pa.array([known.reasons.get(row) for row in range(len(ids))], pa.string()),
        }
    )
    head = {
        "version": _VERSION,
        "encoder": encoder.identity,
        "dim": str(encoder.dim),
        "modality": column.modality,
        "prepared": run.fingerprint_of("prepare"),
    }
    with atomic_path(column.path(run)) as temporary:
        pq.write_table(table.replace_schema_metadata(head), temporary, compression="zstd")


def _tell(
    config: ShopConfig,
    run: Run,
    fitted: Mapping[str, FittedEncoder],
    counted: Mapping[str, Mapping[str, Any]],
) -> None:
    """Put what was counted into quality.json."""
    document = read_json(run.quality_json)
    document["content"] = {
        "encoders": {
            key: {
                "name": name_of(config.encoders[key]),
                "identity": encoder.identity,
                "dim": encoder.dim,
            }
            for key, encoder in fitted.items()
        },
        "columns": counted,
    }
    write_json(run.quality_json, document)
