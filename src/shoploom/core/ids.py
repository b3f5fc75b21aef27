"""Vocabularies: the shop's own ids outside, dense integer codes inside."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import repeat

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Vocabulary:
    """Sorted distinct ids; the code of an id is its place, and -1 stands for unknown.

    Sorting makes codes independent of the order in which ids were first seen, so that a tie
    broken by code carries no hint about the future.

    Attributes:
        ids: ``(n,)`` object array of str, sorted, distinct.
    """

    ids: NDArray[np.object_]

    @classmethod
    def of(cls, ids: object) -> Vocabulary:
        """The vocabulary of any sequence of strings, duplicates allowed."""
        distinct = sorted({str(i) for i in ids})  # type: ignore[attr-defined]
        return cls(np.array(distinct, dtype=object))

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {id_: code for code, id_ in enumerate(self.ids)}

    def encode(self, ids: object) -> NDArray[np.int32]:
        """``(n,)`` int32 codes of the given ids, -1 where unknown."""
        values = list(ids)  # type: ignore[call-overload]
        codes = map(self._codes.get, values, repeat(-1))
        return np.fromiter(codes, dtype=np.int32, count=len(values))

    def decode(self, codes: NDArray[np.integer]) -> NDArray[np.object_]:
        """Ids of codes, any shape; None for negative codes."""
        codes = np.asarray(codes)
        out = np.full(codes.shape, None, dtype=object)
        known = codes >= 0
        out[known] = self.ids[codes[known]]
        return out
