"""Nearest-neighbour baselines that only benchmarks need.

An item's neighbours are the items whose users look alike; a user is asked with all of their items
at equal weight, in no order. What is fitted is the product's own fitted co-occurrence with other
votes, so that masking, ties and filling up are the same and only the votes are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import csr_matrix

from shoploom.core.seeds import rng
from shoploom.engines import Inputs
from shoploom.engines._ranking import all_histories, popular_first, strongest
from shoploom.engines.cooccurrence import Cooccurrence, FittedCooccurrence, stacked
from shoploom.tasks import Questions, Task


@dataclass(frozen=True)
class ItemKNN:
    """Votes between items by the likeness of their users.

    Attributes:
        weighting: ``bm25`` weighs a user in an item as a term in a document (Robertson &
            Zaragoza 2009, "The probabilistic relevance framework", equation 3.15 with k1 and b);
            ``cosine`` divides by the items' lengths.
        neighbours: how many neighbours an item keeps.
        k1, b: of BM25.
        query_decay: 1 asks with all items alike, less asks more with the last ones.
        repeat: see ``Cooccurrence``; only where seen items may come again.
    """

    weighting: Literal["bm25", "cosine"] = "bm25"
    neighbours: int = 100
    k1: float = 1.2
    b: float = 0.75
    query_decay: float = 1.0
    repeat: float = 0.0

    def fit(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        *,
        seed: int = 0,
    ) -> FittedCooccurrence:
        sequences = inputs.sequences(inputs.until)
        events = all_histories(sequences)
        shape = (len(sequences.items), len(events))
        taken = csr_matrix((np.ones(len(events.item)), (events.item, events.row)), shape)
        popularity = np.asarray(taken.sum(axis=1)).ravel()
        weighted = self._bm25(taken) if self.weighting == "bm25" else _unit_rows(taken)
        votes = (weighted @ weighted.T).tocsr()
        votes.setdiag(0)
        votes.eliminate_zeros()
        votes = strongest(votes.astype(np.float32), self.neighbours)
        settings = Cooccurrence(
            query_decay=self.query_decay, query_last=10**9, repeat=self.repeat, smoothing=0
        )
        order = popular_first(popularity, rng(seed, "popularity"))
        asked_for = stacked(votes, popularity, order)
        return FittedCooccurrence(settings, sequences.items, asked_for, order, seed)

    def _bm25(self, taken: csr_matrix) -> csr_matrix:
        n_items = taken.shape[0]
        length = np.asarray(taken.sum(axis=1)).ravel()
        items_of_user = np.bincount(taken.indices, minlength=taken.shape[1])
        idf = np.log1p((n_items - items_of_user + 0.5) / (items_of_user + 0.5))
        saturation = self.k1 * (1 - self.b + self.b * length / length.mean())
        weighted = taken.copy()
        rows = np.repeat(np.arange(n_items), np.diff(taken.indptr))
        frequency = weighted.data
        weighted.data = idf[taken.indices] * frequency * (self.k1 + 1)
        weighted.data /= frequency + saturation[rows]
        return weighted


def _unit_rows(taken: csr_matrix) -> csr_matrix:
    length = np.sqrt(np.asarray(taken.multiply(taken).sum(axis=1)).ravel())
    unit = taken.copy()
    unit.data /= np.repeat(np.maximum(length, 1e-12), np.diff(taken.indptr))
    return unit
