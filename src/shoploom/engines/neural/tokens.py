"""Histories to the batches that the network reads, without a Python loop over events.

A batch holds users of nearly equal length, so that padding is rare; it is on the right, where a
causal backbone never looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shoploom.core.columns import ACTIONS
from shoploom.core.ids import Vocabulary
from shoploom.core.time import SECOND_US
from shoploom.engines._ranking import Histories, histories, ranges
from shoploom.sequences import UserSequences

#: Time is told by the power of two of its seconds: 0 for the first event, 1 for no time at all,
#: and so on to the last, which is more than 17 years.
GAPS = 32
#: Asked instead of an action: what the next visit will be for.
VISIT = len(ACTIONS)


@dataclass(frozen=True)
class Batch:
    """The latest events of some users, oldest first, as ``(n, length)`` tensors.

    Attributes:
        item: int64 codes; the number of items where a row is over.
        action: int64 codes into core.columns.ACTIONS.
        gap: int64 below ``GAPS``, the time since the row's event before.
        time: float32 days before the row's last event, 0 or less.
        lengths: ``(n,)`` int64 events per row.
        hidden: ``(n, length)`` bool, True where the item may not be looked at; None hides none.
    """

    item: Tensor
    action: Tensor
    gap: Tensor
    time: Tensor
    lengths: Tensor
    hidden: Tensor | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def real(self) -> Tensor:
        """``(n, length)`` bool, False at padding."""
        return torch.arange(self.item.shape[1]) < self.lengths[:, None]

    def last(self, states: Tensor) -> Tensor:
        """``(n, dim)`` of ``(n, length, dim)``: each row's state after its last event."""
        return states[torch.arange(self.lengths.shape[0]), (self.lengths - 1).clamp_min(0)]


def histories_in(
    sequences: UserSequences, users: NDArray[np.object_], catalogue: Vocabulary
) -> Histories:
    """As ``_ranking.histories``, but only items that occur are looked up in the catalogue.

    A server holds the history of one user, and a catalogue of its own that is as long as ever.
    """
    own = histories(sequences, users, sequences.items)
    if sequences.items is catalogue or not len(own.item):
        return own
    used, place = np.unique(own.item, return_inverse=True)
    item = catalogue.encode(sequences.items.ids[used])[place]
    known = item >= 0
    offsets = np.concatenate(([0], np.cumsum(known)))[own.offsets]
    return Histories(item[known], own.action[known], own.time[known], offsets)


def latest(events: Histories, length: int) -> Histories:
    """The last ``length`` events of each row."""
    lengths = np.minimum(np.diff(events.offsets), length)
    kept = ranges(events.offsets[1:] - lengths, lengths)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    return Histories(events.item[kept], events.action[kept], events.time[kept], offsets)


def some(events: Histories, rows: NDArray[np.integer]) -> Histories:
    """The given rows, in the given order."""
    starts = events.offsets[:-1][rows]
    lengths = events.offsets[1:][rows] - starts
    kept = ranges(starts, lengths)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    return Histories(events.item[kept], events.action[kept], events.time[kept], offsets)


def batch_of(
    events: Histories, starts: NDArray[np.int64], lengths: NDArray[np.int64], n_items: int
) -> Batch:
    """The ``lengths`` events from each of ``starts`` on.

    Args:
        events: flat histories.
        starts: ``(n,)`` places of first events.
        lengths: ``(n,)`` events of each row; a row without any is all padding.
        n_items: size of the catalogue.
    """
    width = max(int(lengths.max(initial=0)), 1)
    inside = np.arange(width) < lengths[:, None]
    flat = ranges(starts, lengths)
    first = np.zeros(len(flat), dtype=bool)
    first[(np.cumsum(lengths) - lengths)[lengths > 0]] = True
    time = events.time[flat]
    has = lengths > 0
    last = np.repeat(events.time[(starts + lengths - 1)[has]], lengths[has])
    gap = power_of_two(np.diff(time, prepend=time[:1]) / SECOND_US)
    gap[first] = 0

    def padded(values: NDArray[np.generic], fill: float, dtype: type) -> Tensor:
        out = np.full(inside.shape, fill, dtype=dtype)
        out[inside] = values
        return torch.from_numpy(out)

    return Batch(
        item=padded(events.item[flat], n_items, np.int64),
        action=padded(events.action[flat], 0, np.int64),
        gap=padded(gap, 0, np.int64),
        time=padded((time - last) / (86_400 * SECOND_US), 0, np.float32),
        lengths=torch.from_numpy(lengths.astype(np.int64)),
    )


def power_of_two(seconds: NDArray[np.floating]) -> NDArray[np.int64]:
    """``(n,)`` from 1 (no time) to ``GAPS - 1``: one more whenever the time doubles."""
    return np.clip(np.log2(np.maximum(seconds, 0) + 1) + 1, 1, GAPS - 1).astype(np.int64)


def ago(days: Tensor) -> Tensor:
    """``power_of_two`` of a tensor of days; below 0 counts as no time."""
    seconds = days.clamp_min(0) * 86_400
    return (torch.log2(seconds + 1) + 1).clamp_max_(GAPS - 1).long()


def buckets(
    lengths: NDArray[np.int64], tokens: int, rng: np.random.Generator | None = None
) -> Iterator[NDArray[np.intp]]:
    """Rows in groups of similar length that hold about ``tokens`` positions with padding.

    Args:
        lengths: ``(n,)`` events per row; rows without any are left out.
        tokens: positions of a group.
        rng: shuffles rows of about equal length, and the groups; None keeps both in order.
    """
    rows = np.flatnonzero(lengths > 0)
    if not len(rows):
        return
    blur = 0.0 if rng is None else rng.random(len(rows)) * 1.5
    rows = rows[np.argsort(lengths[rows] + blur, kind="stable")]
    groups, start = [], 0
    while start < len(rows):
        widest = np.maximum.accumulate(lengths[rows[start : start + tokens]])
        fits = widest * np.arange(1, len(widest) + 1) <= tokens
        stop = start + max(1, int(fits.sum()))
        groups.append(rows[start:stop])
        start = stop
    order = range(len(groups)) if rng is None else rng.permutation(len(groups))
    for group in order:
        yield groups[group]
