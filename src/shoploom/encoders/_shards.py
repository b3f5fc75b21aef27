"""Rows of equal width under 128-bit keys, in files that are only ever added.

A shard is an Arrow file named by the hash of its own bytes: the name is unique, two processes that
write the same rows write the same file, and damage shows. A shelf is a folder of shards whose keys
are held in memory, sorted; rows stay on disk. What keys and rows mean is for ``store`` to say.
"""

from __future__ import annotations

import fcntl
import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.core.files import atomic_path
from shoploom.core.progress import Progress

#: ``(n, 2)`` halves of 128-bit hashes; two zeros stand for "nothing there".
Keys = NDArray[np.uint64]

_KEY, _ROW, _REASON = "key", "row", "reason"
_BYTES = 16  # of a key
_SHARD, _DAMAGED = ".arrow", ".damaged"
_REWRITTEN_TOGETHER = 65_536  # rows
_LEFTOVER_S = 3600.0  # a shard is written in well under a second


class Found(NamedTuple):
    """Rows of a shelf.

    Attributes:
        rows: ``(n, width)``; zeros where a key was not found or its content could not be read.
        reasons: by row, why the content could not be read; "" where there was none.
    """

    rows: NDArray[Any]
    reasons: dict[int, str]


class _Sorted(NamedTuple):
    """Keys of some shards by their first half, and the place on the shelf of each."""

    first: NDArray[np.uint64]
    second: NDArray[np.uint64]
    place: NDArray[np.int64]


@dataclass(frozen=True)
class _Shard:
    """A shard and the place on the shelf of its first row."""

    path: Path
    start: int
    length: int


class Shelf:
    """The shards of one folder.

    Attributes:
        folder: where they lie.
        label: what made the rows; written into every shard.
        dtype, width: of a row.
    """

    def __init__(self, folder: Path, label: str, dtype: Any, width: int):
        self.folder, self.label = folder, label
        self.dtype, self.width = np.dtype(dtype), width
        self._shards: list[_Shard] = []
        self._seen: set[str] = set()
        self._sound: set[int] = set()
        self._runs: list[_Sorted] = []

    @classmethod
    def of(cls, folder: Path) -> Shelf | None:
        """The shelf that lies in a folder, by its own shards; None where none can be read."""
        import pyarrow as pa

        for path in sorted(folder.glob(f"*{_SHARD}")):
            try:
                with pa.memory_map(str(path)) as source:
                    schema = pa.ipc.open_file(source).schema
                    row, label = schema.field(_ROW).type, schema.metadata[b"label"].decode()
                    return cls(folder, label, row.value_type.to_pandas_dtype(), row.list_size)
            except (pa.ArrowException, OSError, KeyError, TypeError):
                continue
        return None

    def find(self, keys: Keys, progress: Progress) -> NDArray[np.int64]:
        """``(n,)`` places of keys among all shards on disk by now, -1 where there is none.

        Places point into shards that were read to their last byte and found sound; a damaged one
        is renamed with a note, and its rows count as not there.
        """
        while True:
            self._look_for_shards(progress)
            places = self._lookup(keys)
            touched = np.unique(self._shard_of(places[places >= 0])).tolist()
            damaged = [number for number in touched if not self._is_sound(number)]
            if not damaged:
                return places
            for number in damaged:
                self._set_aside(self._shards[number].path, "its bytes have changed", progress)
            gone = {self._shards[number].path.name for number in damaged}
            kept = [s.path.name for s in self._shards if s.path.name not in gone]
            self._forget()
            self._load(kept, progress)

    def take(self, places: NDArray[np.int64], *, rows: bool = True) -> Found:
        """What lies at places that ``find`` gave.

        Args:
            places: ``(n,)``; -1 gives zeros.
            rows: False gives rows of no width, which cost neither time nor memory.
        """
        import pyarrow as pa

        found = np.zeros((len(places), self.width if rows else 0), self.dtype)
        reasons: dict[int, str] = {}
        there = np.flatnonzero(places >= 0)
        there = there[np.argsort(places[there], kind="stable")]
        shard = self._shard_of(places[there])
        ends = np.flatnonzero(np.diff(shard, append=-1)) + 1
        for part in np.split(there, ends[:-1]) if len(there) else ():
            own = self._shards[int(self._shard_of(places[part[:1]])[0])]
            within = places[part] - own.start
            # Mapped for this moment only: what was read does not stay in our memory.
            with pa.memory_map(str(own.path)) as source:
                batch = pa.ipc.open_file(source).get_batch(0)
                if rows:
                    found[part] = _matrix(batch.column(_ROW), self.width)[within]
                if batch.column(_REASON).null_count < len(batch):
                    why = batch.column(_REASON).take(pa.array(within))
                    at = np.flatnonzero(why.is_valid().to_numpy(zero_copy_only=False))
                    for nth in at.tolist():
                        reasons[int(part[nth])] = why[nth].as_py()
                del batch
        return Found(found, dict(sorted(reasons.items())))

    def add(self, keys: Keys, rows: NDArray[Any], reasons: Mapping[int, str]) -> Path:
        """The shard that now holds these rows; it is on disk, whole, when this returns."""
        import pyarrow as pa

        self.folder.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(self.folder)
        ragged = np.ascontiguousarray(rows, self.dtype).reshape(-1)
        key = [None, pa.py_buffer(np.ascontiguousarray(keys, "<u8"))]
        columns = {
            _KEY: pa.FixedSizeBinaryArray.from_buffers(pa.binary(_BYTES), len(keys), key),
            _ROW: pa.FixedSizeListArray.from_arrays(pa.array(ragged), self.width),
            _REASON: pa.array([reasons.get(row) for row in range(len(keys))], pa.string()),
        }
        batch = pa.record_batch(columns).replace_schema_metadata({"label": self.label})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)
        content = sink.getvalue()
        name = hashlib.blake2b(content, digest_size=_BYTES).hexdigest() + _SHARD
        with atomic_path(self.folder / name) as temporary:
            temporary.write_bytes(content)
        return self.folder / name

    def all_keys(self, progress: Progress) -> Keys:
        """``(n, 2)`` distinct keys of all shards."""
        self._look_for_shards(progress)
        parts = [np.stack([run.first, run.second], axis=1) for run in self._runs]
        return distinct(np.concatenate([np.zeros((0, 2), np.uint64), *parts]))[0]

    def paths(self) -> list[Path]:
        """The shards on disk."""
        return sorted(self.folder.glob(f"*{_SHARD}"))

    def keep_only(self, wanted: Keys | None, progress: Progress) -> None:
        """Rewrite the shelf in few shards, with all keys or the wanted ones, each once."""
        old, new = set(self.folder.glob(f"*{_SHARD}")), set()
        old |= set(self.folder.glob(f"*{_DAMAGED}"))
        keys = self.all_keys(progress)
        if wanted is not None:
            keys = keys[_is_in(keys, wanted)]
        for start in range(0, len(keys), _REWRITTEN_TOGETHER):
            part = keys[start : start + _REWRITTEN_TOGETHER]
            places = self.find(part, progress)
            part, places = part[places >= 0], places[places >= 0]
            new.add(self.add(part, *self.take(places)))
        for path in old - new:
            path.unlink(missing_ok=True)
        self._forget()

    # --- shards in memory ---------------------------------------------------------------------

    def _look_for_shards(self, progress: Progress) -> None:
        """Take in what any process has added since."""
        names = [path.name for path in self.paths()]
        self._load([name for name in names if name not in self._seen], progress)

    def _load(self, names: list[str], progress: Progress) -> None:
        import pyarrow as pa

        for name in names:
            path = self.folder / name
            try:
                keys = self._read_keys(path)
            except (pa.ArrowException, OSError, ValueError) as error:
                self._set_aside(path, str(error).splitlines()[0][:120], progress)
                continue
            start = self._shards[-1].start + self._shards[-1].length if self._shards else 0
            self._shards.append(_Shard(path, start, len(keys)))
            self._seen.add(name)
            run = _Sorted(keys[:, 0], keys[:, 1], start + np.arange(len(keys)))
            # Each run is at least twice as long as the next, so that there are few of them and
            # no key is moved often.
            self._runs.append(_by_first([run]))
            while len(self._runs) > 1 and len(self._runs[-2].first) < 2 * len(self._runs[-1].first):
                last, before = self._runs.pop(), self._runs.pop()
                self._runs.append(_by_first([before, last]))

    def _read_keys(self, path: Path) -> Keys:
        import pyarrow as pa

        with pa.memory_map(str(path)) as source:
            reader = pa.ipc.open_file(source)
            batch = reader.get_batch(0)
            batch.validate()
            row = batch.column(_ROW).type
            if batch.schema.names != [_KEY, _ROW, _REASON] or row.list_size != self.width:
                raise ValueError(f"not a shard of {self.width} columns")
            buffer = batch.column(_KEY).buffers()[1]
            return np.frombuffer(buffer, "<u8", 2 * len(batch)).reshape(-1, 2).copy()

    def _lookup(self, keys: Keys) -> NDArray[np.int64]:
        places = np.full(len(keys), -1, np.int64)
        todo = np.arange(len(keys))
        for run in self._runs:
            first, second = keys[todo, 0], keys[todo, 1]
            at = np.searchsorted(run.first, first)
            while True:
                same = at < len(run.first)
                same[same] = run.first[at[same]] == first[same]
                hit = same.copy()
                hit[same] = run.second[at[same]] == second[same]
                other = same & ~hit
                # Two keys with one first half are nearly unheard of, and yet looked through.
                if not other.any():
                    break
                at = at + other
            places[todo[hit]] = run.place[at[hit]]
            todo = todo[~hit]
        return places

    def _shard_of(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        starts = np.array([shard.start for shard in self._shards], np.int64)
        return np.searchsorted(starts, places, side="right") - 1

    def _is_sound(self, number: int) -> bool:
        if number not in self._sound:
            path = self._shards[number].path
            try:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_BYTES))
            except OSError:
                return False
            if digest.hexdigest() != path.stem:
                return False
            self._sound.add(number)
        return True

    def _set_aside(self, path: Path, why: str, progress: Progress) -> None:
        try:
            path.rename(path.with_suffix(_DAMAGED))
        except FileNotFoundError:  # another process was quicker
            return
        progress.note(
            f"{path} is damaged ({why}): set aside as {path.stem + _DAMAGED}, encoded again."
        )

    def _forget(self) -> None:
        self._shards, self._runs = [], []
        self._seen, self._sound = set(), set()


def distinct(keys: Keys) -> tuple[Keys, NDArray[np.int64]]:
    """The distinct keys in the order of their first rows, and those rows."""
    import pyarrow as pa

    buffers = [None, pa.py_buffer(np.ascontiguousarray(keys, "<u8"))]
    whole = pa.FixedSizeBinaryArray.from_buffers(pa.binary(_BYTES), len(keys), buffers)
    codes = whole.dictionary_encode().indices.to_numpy()
    first = np.sort(np.unique(codes, return_index=True)[1])
    return keys[first], first


def _is_in(keys: Keys, among: Keys) -> NDArray[np.bool_]:
    firsts = distinct(np.concatenate([among, keys]))[1]
    alone = np.zeros(len(among) + len(keys), bool)
    alone[firsts] = True
    return ~alone[len(among) :]


@contextmanager
def using(folder: Path, *, alone: bool = False) -> Iterator[None]:
    """A block in which nobody removes shards, or in which nobody else uses them.

    The lock is the operating system's: it ends with its process, however that ends.

    Raises:
        DataError: ``alone``, and another process is using the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
        except BlockingIOError:
            raise DataError(
                f"expected nobody to use the vectors in {folder}, another process does; "
                "wait until it has ended."
            ) from None
        yield


def _matrix(column: Any, width: int) -> NDArray[Any]:
    return column.flatten().to_numpy(zero_copy_only=True).reshape(-1, width)


def _by_first(runs: list[_Sorted]) -> _Sorted:
    whole = [np.concatenate(parts) for parts in zip(*runs, strict=True)]
    order = np.argsort(whole[0], kind="stable")
    return _Sorted(*(part[order] for part in whole))


def _clear_leftovers(folder: Path) -> None:
    """Remove what processes that were killed had begun to write."""
    for path in folder.glob(f".*{_SHARD}.*.tmp"):
        try:
            if time.time() - path.stat().st_mtime > _LEFTOVER_S:
                path.unlink()
        except FileNotFoundError:
            continue
