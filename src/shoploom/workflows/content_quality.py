"""What a person should know about a column of content: coverage, languages, damage, duplicates."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shoploom.core.progress import Progress
from shoploom.encoders import Encoded, FittedEncoder, Modality
from shoploom.encoders.images import READING, difference_hashes, near_duplicates
from shoploom.encoders.language import detect
from shoploom.encoders.store import Contents, VectorStore, distinct, encode_missing

_EXAMPLES = 3  # of a reason
_MOST_REASONS = 20
_GROUPS, _MEMBERS = 20, 5  # of duplicates that are listed
_MOST_COMPARED = 200_000  # photos; of more, only equal hashes are told
_NO_LETTER = re.compile(r"[\W_]+")


def content_quality(
    modality: Modality,
    ids: pa.Array,
    column: Sequence[Any],
    contents: Contents,
    known: Encoded,
    encoder: FittedEncoder,
    store: VectorStore,
    progress: Progress,
) -> dict[str, Any]:
    """Counts of one column as JSON-able values; docs/architecture.md describes them.

    Args:
        modality: of the column.
        ids: ``(n,)`` what its rows are called.
        column: texts, or paths.
        contents: their hashes.
        known: presence and reasons; its vectors are not looked at.
        encoder: that made the vectors.
        store: holds them.
        progress: where to report to.
    """
    given = contents.given
    given[list(known.reasons)] = True  # a file that is not there was named nonetheless
    rows = np.flatnonzero(known.present)
    first = rows[distinct(contents.keys[rows])[1]]
    counted: dict[str, Any] = {
        "modality": modality,
        "rows": len(column),
        "given": int(given.sum()),
        "present": len(rows),
        "distinct": len(first),
        "unreadable": _unreadable(ids, known),
    }
    groups: list[NDArray[np.int64]] = []
    if modality == "text":
        texts = [column[row] for row in rows.tolist()]
        languages = Counter(detect(texts).tolist())
        counted["languages"] = dict(sorted(languages.items(), key=lambda p: (-p[1], p[0])))
        groups = _alike([column[row] for row in first.tolist()])
    elif modality == "image":
        photos = Contents(contents.keys[first])
        paths = [column[row] for row in first.tolist()]
        groups = _same_photos(paths, photos, encoder, store, progress)
    counted["duplicates"] = {
        "same": len(rows) - len(first),
        "near": sum(len(group) - 1 for group in groups),
        "groups": [
            ids.take(pa.array(first[group[:_MEMBERS]])).to_pylist()
            for group in sorted(groups, key=lambda group: (-len(group), int(group[0])))[:_GROUPS]
        ],
    }
    return counted


def _unreadable(ids: pa.Array, known: Encoded) -> dict[str, Any]:
    """How many rows, and by reason how many and which, the most frequent first."""
    by_reason: dict[str, list[int]] = {}
    for row, reason in known.reasons.items():
        # What follows the colon differs from file to file; the column's own file keeps it.
        by_reason.setdefault(reason.split(":")[0], []).append(row)
    told = sorted(by_reason.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    return {
        "rows": len(known.reasons),
        "reasons": {
            reason: {
                "rows": len(rows),
                "examples": ids.take(pa.array(rows[:_EXAMPLES])).to_pylist(),
            }
            for reason, rows in told[:_MOST_REASONS]
        },
    }


def _alike(texts: Sequence[str]) -> list[NDArray[np.int64]]:
    """Groups of texts that differ in case, width, spaces and punctuation only."""
    bare = [
        _NO_LETTER.sub("", unicodedata.normalize("NFKC", text).casefold()) or text for text in texts
    ]
    label = np.unique(np.array(bare, dtype=object), return_inverse=True)[1]
    order = np.argsort(label, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
    return [group for group in groups if len(group) > 1]


def _same_photos(
    paths: Sequence[Any],
    photos: Contents,
    encoder: FittedEncoder,
    store: VectorStore,
    progress: Progress,
) -> list[NDArray[np.int64]]:
    """Groups of photos that are the same photo, recompressed, reduced or slightly cropped."""
    hashing = _PhotoHash()
    encode_missing(hashing, paths, photos, store, progress=progress)
    hashed = store.read(hashing.identity, hashing.dim, photos)
    there = np.flatnonzero(hashed.present)
    hashes = np.packbits(hashed.vectors[there] > 0, axis=1).view(np.uint64).reshape(-1)
    vectors = None
    if len(there) <= _MOST_COMPARED:
        vectors = store.read(encoder.identity, encoder.dim, Contents(photos.keys[there])).vectors
    return [there[group] for group in near_duplicates(hashes, vectors)]


@dataclass(frozen=True)
class _PhotoHash:
    """Difference hashes in the clothes of an encoder, so that the store keeps them too."""

    modality: ClassVar[Modality] = "image"
    identity: str = f"difference hash/1 {READING}"
    dim: int = 64

    def encode(self, column: Sequence[Any], *, progress: Progress | None = None) -> Encoded:
        """The 64 bits of each photo as zeros and ones."""
        hashes, present = difference_hashes(column, progress=progress)
        bits = np.unpackbits(hashes[:, None].view(np.uint8), axis=1)
        return Encoded(bits.astype(np.float16), present)
