"""What items say and show, as vectors, as of a moment: for engines that read it.

Titles, descriptions, photos, films, brands, categories and prices stand in the catalogue, which has
no date. What customers wrote about an item, and how it was looked at and bought, depends on the
moment.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.ids import Vocabulary
from shoploom.encoders import FittedEncoder
from shoploom.encoders.saving import load_encoder
from shoploom.encoders.series import Series
from shoploom.engines import Inputs, ItemContent
from shoploom.sequences import UserSequences
from shoploom.workflows.encode import CONTENT, FIELDS, read_encoded, read_field, saved_encoder
from shoploom.workflows.run import Run

#: Modalities of items beside those of the catalogue, which are called by their columns.
REVIEWS, SERIES = "reviews", "series"
#: Events of an item whose rhythm is told apart; None is all of them.
_RHYTHMS = (None, c.PURCHASE)


@dataclass(frozen=True)
class ItemContents:
    """Content of items as of any moment: called, it is what ``Inputs`` takes as ``content``.

    Attributes:
        catalogue: what has no date.
        reviews: what customers wrote.
        rhythms: the encoder of how items are looked at and bought.
    """

    catalogue: ItemContent | None = None
    reviews: _Reviews | None = None
    rhythms: FittedEncoder | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The modalities."""
        found = () if self.catalogue is None else tuple(self.catalogue.vectors)
        found += () if self.reviews is None else (REVIEWS,)
        return found + (() if self.rhythms is None else (SERIES,))

    def __call__(self, inputs: Inputs, at: int) -> ItemContent | None:
        """The content as known strictly before ``at``; None if nothing."""
        parts = [] if self.catalogue is None else [self.catalogue]
        if self.reviews is not None:
            parts.append(self.reviews.before(at))
        if self.rhythms is not None:
            parts.append(_rhythms(self.rhythms, inputs.sequences(at), at))
        return joined(parts) if parts else None

    def only(self, names: Collection[str]) -> ItemContents:
        """The same without other modalities."""
        catalogue = self.catalogue
        if catalogue is not None:
            kept = [name for name in catalogue.vectors if name in names]
            vectors = {name: catalogue.vectors[name] for name in kept}
            present = {name: catalogue.present[name] for name in kept}
            catalogue = ItemContent(catalogue.items, vectors, present) if kept else None
        return ItemContents(
            catalogue,
            self.reviews if REVIEWS in names else None,
            self.rhythms if SERIES in names else None,
        )


def item_contents(run: Run, modalities: Collection[str]) -> ItemContents | None:
    """All content of items that a run has encoded; None if nothing.

    Args:
        run: an encoded run.
        modalities: those that shop.yaml names. What an encoder left that it no longer names is not
            looked at.
    """
    rhythms = saved_encoder(run, SERIES)
    found = ItemContents(
        item_content(run, modalities),
        _Reviews.of(run) if "text" in modalities else None,
        load_encoder(rhythms) if SERIES in modalities and rhythms.exists() else None,
    )
    return found if found.names else None


def item_content(run: Run, modalities: Collection[str]) -> ItemContent | None:
    """What the catalogue says and shows in these modalities; None if nothing."""
    stored = [
        (column, read_encoded(run, str(column)))
        for column in CONTENT
        if column.table == "items" and column.modality in modalities and column.path(run).exists()
    ]
    fields = [(each, read_field(run, each)) for each in FIELDS if each.modality in modalities]
    parts = []
    for column, read in [*stored, *fields]:
        if read is not None:
            vectors, present = read.encoded.vectors.astype(np.float16), read.encoded.present
            items = Vocabulary(read.ids)
            parts.append(ItemContent(items, {column.name: vectors}, {column.name: present}))
    return joined(parts) if parts else None


def joined(parts: Collection[ItemContent]) -> ItemContent:
    """Several modalities of the items of all parts."""
    first = next(iter(parts)).items
    same = all(part.items is first for part in parts)
    items = first if same else Vocabulary.of([id_ for part in parts for id_ in part.items.ids])
    taken = [part.take(items) for part in parts]
    return ItemContent(
        items,
        {name: rows for part in taken for name, rows in part.vectors.items()},
        {name: rows for part in taken for name, rows in part.present.items()},
    )


class _Reviews:
    """Encoded reviews with their items and dates: an item's vector is the mean of its reviews'."""

    def __init__(
        self, items: Vocabulary, item: NDArray[np.int32], time: NDArray[np.int64], vectors: NDArray
    ):
        self.items, self.item, self.time, self.vectors = items, item, time, vectors

    @classmethod
    def of(cls, run: Run) -> _Reviews | None:
        if not any(str(x) == "reviews.text" and x.path(run).exists() for x in CONTENT):
            return None
        encoded = read_encoded(run, "reviews.text").encoded
        table = pq.read_table(run.prepared / "reviews.parquet", columns=[c.ITEM_ID, c.TIME])
        ids = table[c.ITEM_ID].to_numpy(zero_copy_only=False)
        known = encoded.present & np.array([id_ is not None for id_ in ids], dtype=bool)
        items = Vocabulary.of(ids[known])
        time = table[c.TIME].to_numpy(zero_copy_only=False)[known]
        return cls(items, items.encode(ids[known]), time, encoded.vectors[known])

    def before(self, at: int) -> ItemContent:
        """The means over reviews written strictly before a moment."""
        from scipy.sparse import csr_matrix

        rows = np.flatnonzero(self.time < at)
        item, n = self.item[rows], len(self.items)
        counts = np.bincount(item, minlength=n)
        share = (1 / np.maximum(counts, 1))[item].astype(np.float32)
        mean = csr_matrix((share, (item, np.arange(len(rows)))), (n, len(rows)))
        vectors = mean @ self.vectors[rows].astype(np.float32)
        return ItemContent(self.items, {REVIEWS: vectors.astype(np.float16)}, {REVIEWS: counts > 0})


def _rhythms(encoder: FittedEncoder, sequences: UserSequences, at: int) -> ItemContent:
    """How each item was looked at and bought."""
    vectors, present = [], np.zeros(len(sequences.items), dtype=bool)
    for series in _series(sequences, at):
        encoded = encoder.encode(series)  # type: ignore[arg-type]
        vectors.append(encoded.vectors)
        present |= encoded.present
    stacked = np.hstack(vectors).astype(np.float16)
    return ItemContent(sequences.items, {SERIES: stacked}, {SERIES: present})


def _series(sequences: UserSequences, at: int) -> Iterator[Series]:
    n = len(sequences.items)
    for action in _RHYTHMS:
        chosen = sequences.item >= 0
        if action is not None:
            chosen &= sequences.action == c.ACTIONS.index(action)
        item, time = sequences.item[chosen], sequences.time[chosen]
        order = np.argsort(item, kind="stable")
        offsets = np.concatenate(([0], np.cumsum(np.bincount(item, minlength=n))))
        yield Series(offsets, time[order], at)
