"""Items like an item, and items that answer a search: by words, by meaning, by photo.

Words are looked up in an index that SQLite keeps on disk (FTS5, ranked by BM25; Robertson and
Zaragoza 2009); meaning and photos are compared by the cosine of the vectors that encoding made.
Where both words and meaning are there, their lists are joined by reciprocal ranks (Cormack, Clarke
and Buettcher 2009).
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import DataError, NotFitted, ShoploomError
from shoploom.core.files import atomic_path
from shoploom.core.ids import Vocabulary
from shoploom.encoders import FittedEncoder
from shoploom.engines import load_state
from shoploom.engines.cooccurrence import FittedCooccurrence
from shoploom.serving.goods import Goods
from shoploom.workflows.encode import read_encoded, read_encoder
from shoploom.workflows.run import Run

CONTENT, TOGETHER = "content", "together"
WORDS, MEANING, PHOTO = "words", "meaning", "photo"

_DEPTH = 100  # of lists that are joined
_LATE = 60.0  # places that soften the first ones, as in the paper
_WORD = re.compile(r"[㐀-鿿]|[^\W_]+")
_HAN = re.compile(r"[㐀-鿿]")

Found = list[tuple[str, float]]


@dataclass(frozen=True)
class Vectors:
    """Directions of items in one modality.

    Attributes:
        items: vocabulary of those that have one.
        rows: ``(n, dim)`` float32 of length one, less what all have in common.
        centre: ``(dim,)`` that.
    """

    items: Vocabulary
    rows: NDArray[np.float32]
    centre: NDArray[np.float32]

    @classmethod
    def of(cls, run: Run, column: str) -> Vectors | None:
        """Those of a column that was encoded; None where none was."""
        try:
            read = read_encoded(run, column)
        except NotFitted:
            return None
        there = np.flatnonzero(read.encoded.present)
        if not len(there):
            return None
        ids = read.ids[there].astype(object)
        order = np.argsort(ids.astype(str), kind="stable")
        rows = read.encoded.vectors[there][order].astype(np.float32)
        centre = rows.mean(axis=0)
        return cls(Vocabulary(ids[order]), _directions(rows - centre), centre)

    def near(self, vector: NDArray[np.floating], k: int, without: str | None = None) -> Found:
        """The items nearest to a vector of the same encoder, with their cosines."""
        asked = _directions(np.asarray(vector, dtype=np.float32)[None] - self.centre)[0]
        return self.nearest(asked, k, without)

    def nearest(self, direction: NDArray[np.float32], k: int, without: str | None = None) -> Found:
        """The same for a direction of this space."""
        cosine = self.rows @ direction
        depth = min(k + 1, len(cosine))
        best = np.argpartition(-cosine, depth - 1)[:depth]
        best = best[np.argsort(-cosine[best], kind="stable")]
        found = [(str(self.items.ids[i]), float(cosine[i])) for i in best.tolist()]
        return [pair for pair in found if pair[0] != without][:k]

    def direction(self, item: str) -> NDArray[np.float32] | None:
        """Of an item; None where it has none."""
        code = int(self.items.encode([item])[0])
        return None if code < 0 else self.rows[code]


class Likeness:
    """What is like what among a run's items; each part is read when it is first asked for.

    Args:
        run: an encoded run, or one without content.
        goods: its catalogue.
        engines: names of those that were trained.
    """

    def __init__(self, run: Run, goods: Goods, engines: Sequence[str]):
        self._run, self._goods, self._engines = run, goods, engines
        self._lock = threading.Lock()

    def similar(self, item: str, k: int, by: str | None = None) -> tuple[str, Found]:
        """Items like one, and what likeness means: content, or being bought together.

        Raises:
            NotFitted: nothing says what is like this item.
        """
        found: Found = []
        if by in (None, CONTENT):
            found = self._by_content(item, k)
            if found or by == CONTENT:
                return CONTENT, found
        together = self._together
        if together is None:
            raise NotFitted(
                "expected content of items or the engine cooccurrence, this model has neither; add "
                "`encoders: auto` or the engine to shop.yaml and run again."
            )
        code = int(together.catalogue.encode([item])[0])
        if code < 0:
            return TOGETHER, []
        row = together.votes[code]
        order = np.argsort(-row.data, kind="stable")[: k + 1]
        names = together.catalogue.ids[row.indices[order]]
        pairs = zip(map(str, names), row.data[order].tolist(), strict=True)
        return TOGETHER, [pair for pair in pairs if pair[0] != item][:k]

    def search(self, query: str, k: int) -> tuple[str, Found]:
        """Items that answer a text, and how they were found."""
        by_words = self._by_words(query, _DEPTH)
        encoder, vectors = self._reader("text"), self._texts
        if encoder is None or vectors is None:
            return WORDS, by_words[:k]
        with self._lock:  # an encoder is no thing for two at once
            encoded = encoder.encode([query])
        if not encoded.present[0]:
            return WORDS, by_words[:k]
        by_meaning = vectors.near(encoded.vectors[0], _DEPTH)
        return f"{WORDS}+{MEANING}", _joined([by_words, by_meaning])[:k]

    def search_photo(self, photo: bytes, k: int) -> Found:
        """Items whose photos are like one.

        Raises:
            NotFitted: photos were not encoded.
            DataError: the bytes are no photo that can be read.
        """
        encoder, vectors = self._reader("image"), self._photos
        if encoder is None or vectors is None:
            raise NotFitted(
                "expected encoded photos of items, this model has none; add `encoders: auto` to "
                "shop.yaml and run again."
            )
        with self._lock:
            encoded = encoder.encode([photo])
        if not encoded.present[0]:
            reason = encoded.reasons.get(0, "not readable")
            raise DataError(f"expected a photo (JPEG, PNG, WebP ...), got none: {reason}.")
        return vectors.near(encoded.vectors[0], k)

    def _by_content(self, item: str, k: int) -> Found:
        """By the mean of cosines of the modalities that the item has."""
        total: dict[str, float] = {}
        parts = [v for v in (self._texts, self._photos) if v is not None]
        told = [(v, d) for v in parts if (d := v.direction(item)) is not None]
        for vectors, direction in told:
            cosine = vectors.rows @ direction / len(told)
            for name, value in zip(vectors.items.ids.tolist(), cosine.tolist(), strict=True):
                total[name] = total.get(name, 0.0) + value
        total.pop(item, None)
        return sorted(total.items(), key=lambda pair: (-pair[1], pair[0]))[:k]

    @cached_property
    def _texts(self) -> Vectors | None:
        return Vectors.of(self._run, "items.text")

    @cached_property
    def _photos(self) -> Vectors | None:
        return Vectors.of(self._run, "items.image")

    @cached_property
    def _together(self) -> FittedCooccurrence | None:
        if "cooccurrence" not in self._engines:
            return None
        found = load_state(self._run.engine("cooccurrence"))
        assert isinstance(found, FittedCooccurrence)
        return found

    def _reader(self, modality: Any) -> FittedEncoder | None:
        if modality not in self._encoders:
            try:
                self._encoders[modality] = read_encoder(self._run, modality)
            except ShoploomError:  # not encoded, or its package is missing here
                self._encoders[modality] = None
        return self._encoders[modality]

    @cached_property
    def _encoders(self) -> dict[str, FittedEncoder | None]:
        return {}

    def _by_words(self, query: str, k: int) -> Found:
        asked = [word for word in _words(query) if word]
        if not asked:
            return []
        said = " OR ".join(f'"{word}"' for word in dict.fromkeys(asked))
        with closing(sqlite3.connect(f"file:{self._index}?mode=ro", uri=True)) as index:
            rows = index.execute(
                "SELECT item_id, -bm25(goods) FROM goods WHERE goods MATCH ? "
                "ORDER BY bm25(goods), item_id LIMIT ?",
                (said, k),
            ).fetchall()
        return [(str(item), float(score)) for item, score in rows]

    @cached_property
    def _index(self) -> Path:
        """The index of words, made where there is none for this catalogue."""
        stamp = self._run.fingerprint_of("prepare")
        path = self._run.folder / "serving" / f"words.{stamp}.db"
        if path.exists():
            return path
        columns = [
            self._goods.columns.get(n) for n in (c.TITLE, c.CATEGORY, c.BRAND, c.DESCRIPTION)
        ]
        texts = [
            " ".join(str(column[row]) for column in columns if column is not None and column[row])
            for row in range(len(self._goods.items))
        ]
        with atomic_path(path) as temporary, closing(sqlite3.connect(temporary)) as index:
            index.execute(
                "CREATE VIRTUAL TABLE goods USING fts5(item_id UNINDEXED, words, "
                'tokenize = "unicode61 remove_diacritics 2")'
            )
            rows = zip(self._goods.items.ids.tolist(), map(_spaced, texts), strict=True)
            index.executemany("INSERT INTO goods VALUES (?, ?)", rows)
            index.commit()
        return path


def _words(text: str) -> list[str]:
    """Words in small letters; of Chinese, single characters where alone, else pairs of them."""
    found: list[str] = []
    run: list[str] = []
    for word in [*_WORD.findall(text.lower()), ""]:
        if _HAN.match(word):
            run.append(word)
            continue
        found += run if len(run) == 1 else [a + b for a, b in pairwise(run)]
        run = []
        found.append(word)
    return found


def _spaced(text: str) -> str:
    """A text as the index reads it: with single characters of Chinese as well."""
    return " ".join([*_words(text), *_HAN.findall(text)])


def _joined(lists: Sequence[Found]) -> Found:
    total: dict[str, float] = {}
    for found in lists:
        for place, (item, _) in enumerate(found):
            total[item] = total.get(item, 0.0) + 1 / (_LATE + place + 1)
    return sorted(total.items(), key=lambda pair: (-pair[1], pair[0]))


def _directions(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    return (rows / np.maximum(length, 1e-12)).astype(np.float32)
