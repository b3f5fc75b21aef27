"""Vectors that were made once and are kept: content hash and encoder to vector, on disk.

A text is known by the hash of its UTF-8, a photo or film by that of its bytes, wherever it lies and
however often it occurs. Each encoder has a shelf of its own, named by its identity, so that a
change of settings never meets vectors of other settings. Any number of processes may read and add
at once, and any of them may be killed at any moment: at most the part that it was encoding is
lost. ``docs/encoders/README.md`` describes the files.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.core.files import remove
from shoploom.core.progress import Progress, Quiet
from shoploom.encoders._shards import Keys, Shelf, distinct, using
from shoploom.encoders.encoder import Encoded, FittedEncoder, Modality
from shoploom.encoders.images import Unreadable, first_line, open_regular

#: Modalities whose vectors cost more to make than to keep, and rows that are encoded and written
#: together: a few seconds of work, which is what a killed process loses.
CHUNKS: Mapping[Modality, int] = {"text": 4096, "image": 512, "video": 8}

_FILES = "files"  # the shelf that knows the hashes of files: from path, size and time
_HASHED_TOGETHER = 4096
_SETTLED_NS = 2_000_000_000  # a file changed later than this ago may change again unseen
_LARGEST = 1 << 40  # bytes of a file that is hashed; what is too large to read, its encoder says
_BLOCK = 1 << 20  # bytes read at once
_BYTES = 16
_NOTHING = bytes(_BYTES)


@dataclass(frozen=True)
class Contents:
    """What a column holds, by hash.

    Attributes:
        keys: ``(n, 2)``; zeros where a row is missing or its file cannot be opened.
        reasons: by row, why a file cannot be opened.
    """

    keys: Keys
    reasons: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def given(self) -> NDArray[np.bool_]:
        """``(n,)`` whether a row has content."""
        return (self.keys[:, 0] != 0) | (self.keys[:, 1] != 0)


@dataclass(frozen=True)
class Size:
    """What a store holds of one encoder: distinct contents, files, and bytes on disk."""

    contents: int
    shards: int
    bytes: int


class VectorStore:
    """A folder of vectors by encoder and content.

    The object holds keys (16 bytes and a place for each content), never vectors.

    Args:
        folder: made when something is first written.
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        self._shelves: dict[str, Shelf] = {}

    def contents(
        self, column: Sequence[Any], modality: Modality, *, progress: Progress | None = None
    ) -> Contents:
        """The hashes of a column of texts, photos or films.

        Args:
            column: texts; or paths and bytes of photos or films. None and "" are missing.
            modality: says which.
            progress: where to report to.

        Raises:
            DataError: a row is neither content of that modality nor missing.
        """
        with using(self.folder):
            if modality in ("image", "video"):
                return self._hash_files(column, progress or Quiet())
            return _hash_texts(column)

    def missing(self, identity: str, dim: int, keys: Keys, progress: Progress) -> NDArray[np.bool_]:
        """``(n,)`` which contents (zeros are none) have not been encoded yet."""
        return (self._shelf(identity, dim).find(keys, progress) < 0) & keys.any(axis=1)

    def add(self, identity: str, keys: Keys, encoded: Encoded) -> None:
        """Keep the vectors of contents, or why there is none.

        Raises:
            DataError: a number does not fit into float16.
        """
        with np.errstate(over="ignore"):
            rows = encoded.vectors.astype(np.float16)
        if not np.isfinite(rows).all():
            raise DataError(
                f"expected vectors of finite numbers within 65,504, as float16 holds them, got "
                f"others from the encoder {identity!r}; scale what it gives."
            )
        reasons = dict.fromkeys(np.flatnonzero(~encoded.present).tolist(), "")
        with using(self.folder):
            shelf = self._shelf(identity, rows.shape[1])
            shelf.add(keys, rows, {**reasons, **encoded.reasons})

    def read(
        self,
        identity: str,
        dim: int,
        contents: Contents,
        *,
        vectors: bool = True,
        progress: Progress | None = None,
    ) -> Encoded:
        """Vectors of contents that were encoded before.

        Args:
            identity: of the encoder.
            dim: of its vectors.
            contents: of the column.
            vectors: False gives vectors of no width: presence and reasons only.
            progress: where to report to.

        Raises:
            DataError: some were not.
        """
        with using(self.folder):
            shelf = self._shelf(identity, dim)
            places = shelf.find(contents.keys, progress or Quiet())
            if lost := int(((places < 0) & contents.given).sum()):
                raise DataError(
                    f"expected {len(contents):,} contents encoded by {identity!r} in "
                    f"{self.folder}, {lost:,} of them are not; encode the column again."
                )
            rows, reasons = shelf.take(places, rows=vectors)
        present = contents.given
        present[list(reasons)] = False
        told = {row: reason for row, reason in reasons.items() if reason}
        return Encoded(rows, present, dict(sorted({**contents.reasons, **told}.items())))

    def size(self) -> dict[str, Size]:
        """What is held, by identity of the encoder."""
        return {
            shelf.label: Size(
                contents=len(shelf.all_keys(Quiet())),
                shards=len(paths := shelf.paths()),
                bytes=sum(path.stat().st_size for path in paths),
            )
            for shelf in self._on_disk()
        }

    def prune(self, keep: Mapping[str, Keys | None], *, progress: Progress | None = None) -> None:
        """Remove all vectors but these, and gather what stays in few files.

        Args:
            keep: by identity of an encoder, the contents to keep, or None for all. Encoders that
                are not named are removed.
            progress: where to report to.

        Raises:
            DataError: another process is using the store; nothing was removed.
        """
        with using(self.folder, alone=True):
            for shelf in self._on_disk():
                if shelf.label in keep:
                    shelf.keep_only(keep[shelf.label], progress or Quiet())
                else:
                    remove(shelf.folder)
            self._shelves.clear()

    def _on_disk(self) -> Iterator[Shelf]:
        """The shelves of encoders, read afresh."""
        for folder in sorted(self.folder.glob("*/")):
            if folder.name != _FILES and (shelf := Shelf.of(folder)):
                yield shelf

    def _shelf(self, identity: str, dim: int) -> Shelf:
        if identity not in self._shelves:
            name = re.sub(r"[^a-z0-9]+", "-", identity.lower()).strip("-")[:24].strip("-")
            digest = hashlib.blake2b(identity.encode(), digest_size=8).hexdigest()
            folder = self.folder / f"{name}-{digest}"
            self._shelves[identity] = Shelf(folder, identity, np.float16, dim)
        return self._shelves[identity]

    def _hash_files(self, column: Sequence[Any], progress: Progress) -> Contents:
        """Hashes of photos or films; a file that has not changed is not read again."""
        keys = np.zeros((len(column), 2), np.uint64)
        reasons: dict[int, str] = {}
        stamps: dict[int, bytes] = {}
        for row, content in enumerate(column):
            if isinstance(content, bytes | bytearray | memoryview):
                keys[row] = _key(_digest(content)) if len(content) else 0
            elif isinstance(content, str | Path) and content != "":
                stamp = _stamp(content)
                if isinstance(stamp, Unreadable):
                    reasons[row] = stamp.reason
                else:
                    stamps[row] = stamp
            else:
                _check_missing(content, row, "a path or bytes")
        rows = np.fromiter(stamps, np.int64, len(stamps))
        stamp_keys = np.frombuffer(b"".join(stamps.values()), "<u8").reshape(-1, 2)
        shelf = self._shelves.setdefault(
            _FILES, Shelf(self.folder / _FILES, "hashes of files", np.uint64, 2)
        )
        places = shelf.find(stamp_keys, progress)
        keys[rows] = shelf.take(places).rows
        new = np.flatnonzero(places < 0)
        if not len(new):
            return Contents(keys, reasons)
        parts = np.split(new, range(_HASHED_TOGETHER, len(new), _HASHED_TOGETHER))
        for part in progress.track(parts, "hashes of files", total=len(parts)):
            for nth in part.tolist():
                row = int(rows[nth])
                digest = _file_digest(column[row])
                if isinstance(digest, Unreadable):
                    reasons[row] = digest.reason
                else:
                    keys[row] = _key(digest)
            known = part[[_is_settled(column[row]) for row in rows[part].tolist()]]
            known = known[keys[rows[known]].any(axis=1)]
            if len(known):
                shelf.add(stamp_keys[known], keys[rows[known]], {})
        return Contents(keys, dict(sorted(reasons.items())))


def encode_column(
    encoder: FittedEncoder,
    column: Sequence[Any],
    store: VectorStore,
    *,
    progress: Progress | None = None,
    chunk: int | None = None,
) -> Encoded:
    """What ``encoder.encode`` gives, in float16; only what the store lacks is encoded, each
    content once.

    Numbers, categories and series cost less to encode than to keep: they pass the store by.

    Args:
        encoder: a fitted one.
        column: as the encoder takes it. Files must not change while they are being encoded.
        store: where vectors are kept.
        progress: a bar with the time left, and notes of damage.
        chunk: rows that are encoded, then written, together; by modality when None.

    Raises:
        DataError: the column holds something else than the encoder takes, or the store does not
            keep what is written to it.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from shoploom.encoders import ENCODERS
        >>> encoder = ENCODERS.get("tfidf")(dim=2).fit(["red shoes", "red hat"])
        >>> with TemporaryDirectory() as folder:
        ...     encode_column(encoder, ["red", None], VectorStore(folder)).present.tolist()
        [True, False]
    """
    if encoder.modality not in CHUNKS:
        return encoder.encode(column, progress=progress)
    with using(store.folder):
        contents = store.contents(column, encoder.modality, progress=progress)
        encode_missing(encoder, column, contents, store, progress=progress, chunk=chunk)
        return store.read(encoder.identity, encoder.dim, contents, progress=progress)


def encode_missing(
    encoder: FittedEncoder,
    column: Sequence[Any],
    contents: Contents,
    store: VectorStore,
    *,
    progress: Progress | None = None,
    chunk: int | None = None,
) -> int:
    """Encode what the store lacks of a column, and say how many contents that was.

    Memory holds one chunk of vectors, however long the column.

    Args:
        encoder: a fitted one.
        column: as the encoder takes it.
        contents: of the column, as ``store.contents`` gave them.
        store: where vectors are kept.
        progress: a bar with the time left, and notes of damage.
        chunk: rows that are encoded, then written, together; by modality when None.
    """
    progress = progress or Quiet()
    chunk = chunk or CHUNKS[encoder.modality]
    identity, dim = encoder.identity, encoder.dim
    keys, rows = distinct(contents.keys)
    lacking = rows[store.missing(identity, dim, keys, progress)]
    if not len(lacking):
        return 0
    parts = np.split(lacking, range(chunk, len(lacking), chunk))
    for part in progress.track(parts, f"{encoder.modality}, {chunk} at once", total=len(parts)):
        # Another process may have encoded some of them meanwhile.
        part = part[store.missing(identity, dim, contents.keys[part], progress)]
        if len(part):
            content = [column[row] for row in part.tolist()]
            encoded = encoder.encode(content, progress=_Notes(progress))
            store.add(identity, contents.keys[part], encoded)
    return len(lacking)


class _Notes(Quiet):
    """Passes on what an encoder notes; the bar is that of the column."""

    def __init__(self, progress: Progress):
        self._progress = progress

    def note(self, message: str) -> None:
        self._progress.note(message)


def _hash_texts(column: Sequence[Any]) -> Contents:
    parts = []
    for start in range(0, len(column), _HASHED_TOGETHER):
        part = column[start : start + _HASHED_TOGETHER]
        digests = [
            _digest(text.encode("utf-8", "surrogatepass"))
            if isinstance(text, str) and text
            else _check_missing(text, start + row, "text")
            for row, text in enumerate(part)
        ]
        parts.append(np.frombuffer(b"".join(digests), "<u8").reshape(-1, 2))
    return Contents(np.concatenate([np.zeros((0, 2), np.uint64), *parts]))


def _digest(content: bytes | bytearray | memoryview) -> bytes:
    return hashlib.blake2b(content, digest_size=_BYTES).digest()


def _file_digest(path: Path | str) -> bytes | Unreadable:
    opened = open_regular(path, limit=_LARGEST)
    if isinstance(opened, Unreadable):
        return opened
    try:
        digest = hashlib.blake2b(digest_size=_BYTES)
        with opened as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        return digest.digest()
    except OSError as error:
        return Unreadable(f"cannot be read: {first_line(error)}")


def _key(digest: bytes) -> NDArray[np.uint64]:
    return np.frombuffer(digest, "<u8")


def _stamp(path: Path | str) -> bytes | Unreadable:
    """What names a file as it is now: a hash of its path, size and time."""
    try:
        facts = os.stat(path, follow_symlinks=False)  # noqa: PTH116 (a str as well)
    except FileNotFoundError:
        return Unreadable("no such file")
    except (OSError, ValueError) as error:
        return Unreadable(f"cannot be opened: {first_line(error)}")
    name = os.path.abspath(path)  # noqa: PTH100 (Path.resolve would follow links)
    return _digest(f"{name}\0{facts.st_size}\0{facts.st_mtime_ns}".encode("utf-8", "surrogatepass"))


def _is_settled(path: Path | str) -> bool:
    """Whether a later change of the file would show in its time."""
    try:
        changed_ns = os.stat(path).st_mtime_ns  # noqa: PTH116
    except OSError:
        return False
    return time.time_ns() - changed_ns > _SETTLED_NS


def _check_missing(content: Any, row: int, expected: str) -> bytes:
    """The key of nothing, where there is nothing."""
    if content is None or content == "" or content != content:
        return _NOTHING
    raise DataError(
        f"expected {expected} or None, got {content!r} in row {row}; "
        "give the encoder a column of its own modality."
    )
