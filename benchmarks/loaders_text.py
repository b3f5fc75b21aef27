"""Labelled texts in files, how they are parted into training and test, and who reads them.

A text belongs to the side that its hash says, so that copies of a text never stand on both sides,
and everybody who parts the same texts gets the same sides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.engines.readers import Reader, make_reader
from shoploom.tasks.content.readings import UNKNOWN, joined
from shoploom.tasks.content.sentiment import Sentiment

_TRAIN = 0.8  # share of the training side


@dataclass(frozen=True)
class Texts:
    """Texts and what they are labelled.

    Attributes:
        texts: ``(n,)`` not empty.
        labels: ``(n,)`` int64, UNKNOWN where the file does not tell.
        names: what the labels are called.
        groups: ``(n,)`` the domain of each text, "" where the file names none.
    """

    texts: list[str]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    groups: NDArray[np.object_]

    def take(self, rows: NDArray) -> Texts:
        """The given rows."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        return Texts(
            [self.texts[row] for row in rows], self.labels[rows], self.names, self.groups[rows]
        )


def read_frame(path: str | Path) -> pd.DataFrame:
    """The rows of a Parquet or CSV file."""
    path = Path(path)
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def read_texts(
    path: str | Path,
    *,
    text: str = "text",
    label: str = "label",
    rating: str | None = None,
    group: str | None = None,
    names: Sequence[str] | None = None,
) -> Texts:
    """The texts of a file.

    Args:
        path: Parquet or CSV.
        text: its columns of text, comma-separated; several are joined.
        label: the column of labels.
        rating: a column of stars that tells sentiment, instead of labels.
        group: the column of domains.
        names: the labels, for a file whose labels must agree with those of another; others
            become UNKNOWN.

    Raises:
        DataError: a column is not there.
    """
    frame = read_frame(path)
    wanted = [*text.split(","), rating or label, *([group] if group else [])]
    lacking = [name for name in wanted if name not in frame.columns]
    if lacking:
        raise DataError(
            f"{path}: expected columns {', '.join(wanted)}, found {', '.join(frame.columns)}; "
            "name them with --text, --label and --group."
        )
    texts = joined([frame[name].to_numpy(object) for name in text.split(",")])
    said = np.array([bool(t.strip("\ufeff ")) for t in texts])
    if rating:
        labels = Sentiment().label(frame[rating].to_numpy(np.float64))
        names = Sentiment.labels
    else:
        words = frame[label].astype(str).to_numpy(object)
        labelled = said & frame[label].notna().to_numpy()
        names = tuple(sorted(set(words[labelled]))) if names is None else tuple(names)
        place = {name: number for number, name in enumerate(names)}
        labels = np.array([place.get(word, UNKNOWN) for word in words], dtype=np.int64)
    groups = frame[group].astype(str) if group else pd.Series([""] * len(frame))
    everything = Texts(
        [t.strip("\ufeff ") for t in texts], labels, tuple(names), groups.to_numpy(object)
    )
    return everything.take(said)


def training_side(texts: Sequence[str]) -> NDArray[np.bool_]:
    """``(n,)`` True for the four fifths that may be learned from."""
    digests = (hashlib.blake2b(t.encode("utf-8", "replace"), digest_size=8) for t in texts)
    return np.array([int.from_bytes(d.digest(), "big") / 2**64 < _TRAIN for d in digests])


def named_reader(name: str, finetuned: str | None = None) -> Reader:
    """The reader of that name; ``finetuned`` are whole numbers that it is set to, as `epochs=2`."""
    given = finetuned.split(",") if finetuned and name == "finetuned" else []
    return make_reader(name, **{key: int(value) for key, value in (g.split("=") for g in given)})
