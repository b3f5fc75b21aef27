"""What the counting engines share: histories as asked, exact top-k, and filling up.

It knows flat arrays and sparse scores only; no dense users x items array exists anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, UnknownName
from shoploom.core.ids import Vocabulary
from shoploom.core.time import DAY_US
from shoploom.sequences import UserSequences
from shoploom.tasks import Answers, Questions

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

#: An item that somebody removes from the cart or returns is no sign that others want it.
ACTION_WEIGHTS = dict.fromkeys(c.ACTIONS, 1.0) | {c.REMOVE: 0.0, c.RETURN: 0.0}

_BLOCK_CELLS = 4_000_000  # 8 bytes each: the largest temporary array is 32 MB


def action_weights(overrides: Mapping[str, float]) -> NDArray[np.float32]:
    """``(n_actions,)`` weight of each code of core.columns.ACTIONS.

    Raises:
        UnknownName: a name is no action.
        ConfigError: a weight is negative.
    """
    for name, weight in overrides.items():
        if name not in c.ACTIONS:
            raise UnknownName("action", name, c.ACTIONS, where="action_weights")
        if weight < 0:
            raise ConfigError(
                f"expected a weight of at least 0, got {weight} for action {name!r} in "
                "action_weights; use 0 to leave an action out."
            )
    weights = ACTION_WEIGHTS | dict(overrides)
    return np.array([weights[action] for action in c.ACTIONS], dtype=np.float32)


def check_half_lives(settings: object, engine: str) -> None:
    """Refuse a half-life that is not above 0.

    Raises:
        ConfigError: a field whose name ends in ``half_life_days`` is 0 or less.
    """
    for name, value in vars(settings).items():
        if name.endswith("half_life_days") and value is not None and value <= 0:
            raise ConfigError(
                f"expected {name} above 0, got {value} for engine {engine!r}; "
                "leave it null to let time make no difference."
            )


@dataclass(frozen=True)
class Histories:
    """What the askers of ``n`` questions did; row ``i`` owns ``offsets[i]:offsets[i + 1]``.

    Events without an item, or with one that the catalogue lacks, are left out.

    Attributes:
        item: ``(n_events,)`` int32 codes into the catalogue.
        action: ``(n_events,)`` int8 codes into core.columns.ACTIONS.
        time: ``(n_events,)`` int64 microseconds, ascending within a row.
        offsets: ``(n + 1,)`` int64.
    """

    item: NDArray[np.int32]
    action: NDArray[np.int8]
    time: NDArray[np.int64]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def row(self) -> NDArray[np.int64]:
        """``(n_events,)`` the question that each event belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def rows(self, start: int, stop: int) -> Histories:
        """The questions ``start:stop``."""
        events = slice(self.offsets[start], self.offsets[stop])
        offsets = self.offsets[start : stop + 1] - self.offsets[start]
        return Histories(self.item[events], self.action[events], self.time[events], offsets)

    def steps(self) -> NDArray[np.int64]:
        """``(n_events,)`` a number that grows by one whenever a row's time moves on.

        Events of one moment (a basket) share a step: their order means nothing.
        """
        later = np.ones(len(self.time), dtype=np.int64)
        later[1:] = self.time[1:] != self.time[:-1]
        starts = self.offsets[:-1][np.diff(self.offsets) > 0]
        later[starts] = 1
        return np.cumsum(later)

    def steps_ago(self) -> NDArray[np.int64]:
        """``(n_events,)`` steps between an event and the last one of its row."""
        steps = self.steps()
        lengths = np.diff(self.offsets)
        last = steps[self.offsets[1:][lengths > 0] - 1]
        return np.repeat(last, lengths[lengths > 0]) - steps


def all_histories(sequences: UserSequences) -> Histories:
    """Every user's events that have an item; the catalogue is ``sequences.items``."""
    return _drop_itemless(
        Histories(sequences.item, sequences.action, sequences.time, sequences.offsets)
    )


def histories(
    sequences: UserSequences, users: NDArray[np.object_], catalogue: Vocabulary
) -> Histories:
    """Histories of the given users in the order asked; an unknown user has an empty one."""
    codes = sequences.users.encode(users)
    known = codes >= 0
    starts = np.where(known, sequences.offsets[codes], 0)
    lengths = np.where(known, sequences.offsets[codes + 1] - starts, 0)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    events = ranges(starts, lengths)
    item = sequences.item[events]
    if sequences.items is not catalogue:
        # One place more for "no item", which code -1 then finds at the end.
        translate = np.append(catalogue.encode(sequences.items.ids), np.int32(-1))
        item = translate[item]
    return _drop_itemless(
        Histories(item, sequences.action[events], sequences.time[events], offsets)
    )


def _drop_itemless(asked: Histories) -> Histories:
    kept = asked.item >= 0
    if kept.all():
        return asked
    offsets = np.concatenate(([0], np.cumsum(kept)))[asked.offsets]
    return Histories(asked.item[kept], asked.action[kept], asked.time[kept], offsets)


def by_moment(times: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Each distinct moment with the rows that ask at it."""
    moments, place = np.unique(times, return_inverse=True)
    if len(moments) == 1:
        yield int(moments[0]), np.arange(len(times))
        return
    order = np.argsort(place, kind="stable")
    bounds = np.searchsorted(place[order], np.arange(len(moments) + 1))
    for i, moment in enumerate(moments):
        yield int(moment), order[bounds[i] : bounds[i + 1]]


def popular_first(strength: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int32]:
    """``(n_items,)`` codes from the strongest to the weakest.

    Equals are shuffled: the order of a shop's ids often tells which item came later.
    """
    return np.lexsort((rng.random(len(strength)), -strength)).astype(np.int32)


def strengths(events: Histories, weights: NDArray[np.float32], n_items: int) -> NDArray[np.float64]:
    """``(n_items,)`` sum of the ``(n_events,)`` weights of each item's events."""
    return np.bincount(events.item, weights=weights, minlength=n_items).astype(np.float64)


def age_weights(events: Histories, half_life_days: float | None) -> NDArray[np.float32]:
    """``(n_events,)`` 1 for the shop's last event, halved for every half-life before it.

    None makes all equal.
    """
    if half_life_days is None or not len(events.time):
        return np.ones(len(events.time), dtype=np.float32)
    return _halved(events.time.max() - events.time, half_life_days)


def no_scores(n: int, n_items: int) -> csr_matrix:
    """An ``(n, n_items)`` sparse matrix without entries: everything is left to popularity."""
    from scipy.sparse import csr_matrix

    return csr_matrix((n, n_items), dtype=np.float32)


def activity(
    sequences: UserSequences, users: NDArray[np.object_], catalogue: Vocabulary
) -> NDArray[np.float32]:
    """``(len(users), 1)`` log(1 + number of events with an item of the catalogue)."""
    lengths = np.diff(histories(sequences, users, catalogue).offsets)
    return np.log1p(lengths).astype(np.float32)[:, None]


def recency_weights(events: Histories, half_life_days: float | None) -> NDArray[np.float32]:
    """``(n_events,)`` 1 for a row's last event, halved for every half-life before it.

    None makes all equal. Age is counted from the last event rather than from the moment asked:
    it changes no ranking and cannot underflow for somebody who was long away.
    """
    if half_life_days is None:
        return np.ones(len(events.item), dtype=np.float32)
    lengths = np.diff(events.offsets)
    last = np.repeat(events.time[events.offsets[1:][lengths > 0] - 1], lengths[lengths > 0])
    return _halved(last - events.time, half_life_days)


def _halved(age: NDArray[np.int64], half_life_days: float) -> NDArray[np.float32]:
    """``(n,)`` 2 ** -(age in half-lives), never 0: what is old still counts before what is not."""
    return np.exp2(-np.minimum(age / (half_life_days * DAY_US), 60)).astype(np.float32)


def shares(values: NDArray[np.float32], events: Histories) -> NDArray[np.float32]:
    """``(n_events,)`` values divided by the sum of their row; 0 where that is 0."""
    row = events.row
    total = np.bincount(row, weights=values, minlength=len(events))[row]
    return np.divide(values, total, out=np.zeros_like(values), where=total > 0, casting="unsafe")


@dataclass(frozen=True)
class Ranked:
    """The best ``k`` items of each row.

    Attributes:
        items: ``(n, k)`` int32 codes, best first; -1 where the catalogue is exhausted.
        scores: ``(n, k)`` float32, descending; 0 where popularity filled up.
    """

    items: NDArray[np.int32]
    scores: NDArray[np.float32]

    @classmethod
    def empty(cls, n: int, k: int) -> Ranked:
        return cls(np.full((n, k), -1, dtype=np.int32), np.zeros((n, k), dtype=np.float32))

    def put(self, rows: NDArray[np.intp], part: Ranked) -> None:
        """Write the answers of some rows in their place."""
        self.items[rows], self.scores[rows] = part.items, part.scores

    def answers(self, questions: Questions, catalogue: Vocabulary) -> Answers:
        return Answers(questions.task, items=self.items, scores=self.scores, catalogue=catalogue)


def rank(
    scores: csr_matrix,
    order: NDArray[np.int32],
    k: int,
    excluded: Histories | None = None,
    place: NDArray[np.int64] | None = None,
) -> Ranked:
    """The ``k`` best items of each row; rows with fewer are filled in the order of popularity.

    Exactly equal scores are decided by popularity, so that no answer hangs on how an item is
    numbered or on how the partition happens to run.

    Args:
        scores: ``(n, n_items)`` sparse float32; entries at or below 0 are no candidates. An item
            that is excluded must have no entry above 0.
        order: ``(n_items,)`` codes, most popular first.
        k: how many to list.
        excluded: items of these histories are not filled in.
        place: what ``places_in(order)`` gives, for who asks often.
    """
    ranked = Ranked.empty(len(scores.indptr) - 1, k)
    if place is None:
        place = places_in(order)
    found = _best(scores, order, place, ranked)
    _fill(ranked, found, order, place, excluded)
    return ranked


def places_in(order: NDArray[np.int32]) -> NDArray[np.int64]:
    """``(n_items,)`` where in the order each code stands."""
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return place


def _best(
    scores: csr_matrix, order: NDArray[np.int32], place: NDArray[np.int64], ranked: Ranked
) -> NDArray[np.int64]:
    """Write the best scored items into ``ranked``; returns how many each row got."""
    k, n_items = ranked.items.shape[1], len(order)
    data = np.asarray(scores.data, dtype=np.float32)
    columns, offsets = scores.indices, scores.indptr.astype(np.int64)
    positive = data > 0
    if not positive.all():
        data, columns = data[positive], columns[positive]
        offsets = np.concatenate(([0], np.cumsum(positive)))[offsets]
    keys = _keys(data, n_items - 1 - place[columns])
    widths = np.diff(offsets)
    for rows, width in _blocks(widths):
        lengths = widths[rows]
        inside = np.arange(width) < lengths[:, None]
        table = np.full((len(rows), width), -1, dtype=np.int64)
        table[inside] = keys[ranges(offsets[rows], lengths)]
        if width > k:
            table = np.partition(table, width - k, axis=1)[:, -k:]
        table = np.sort(table, axis=1)[:, ::-1]
        listed = table >= 0
        items = order[n_items - 1 - (table & 0xFFFFFFFF)[listed]]
        at_row, at_column = np.nonzero(listed)
        ranked.items[rows[at_row], at_column] = items
        values = (table[listed] >> 32).astype(np.int32).view(np.float32)
        ranked.scores[rows[at_row], at_column] = values
    return np.minimum(widths, k)


def _fill(
    ranked: Ranked,
    found: NDArray[np.int64],
    order: NDArray[np.int32],
    place: NDArray[np.int64],
    excluded: Histories | None,
) -> None:
    """Complete rows that list fewer than ``k`` with the most popular items not yet taken."""
    k = ranked.items.shape[1]
    short = np.flatnonzero(found < k)
    if not len(short):
        return
    n_excluded = np.diff(excluded.offsets)[short] if excluded else np.zeros(len(short), np.int64)
    for some, width in _blocks(k + n_excluded):
        rows = short[some]
        width = min(width, len(order))
        free = np.ones((len(rows), width), dtype=bool)
        _take(free, np.repeat(np.arange(len(rows)), k), ranked.items[rows].ravel(), place)
        if excluded:
            lengths = n_excluded[some]
            items = excluded.item[ranges(excluded.offsets[rows], lengths)]
            _take(free, np.repeat(np.arange(len(rows)), lengths), items, place)
        target = np.cumsum(free, axis=1) - 1 + found[rows][:, None]
        at_row, popular = np.nonzero(free & (target < k))
        ranked.items[rows[at_row], target[at_row, popular]] = order[popular]


def _take(
    free: NDArray[np.bool_],
    rows: NDArray[np.integer],
    items: NDArray[np.int32],
    place: NDArray[np.int64],
) -> None:
    """Strike items out of ``free``, whose columns are places in popularity."""
    rows, columns = rows[items >= 0], place[items[items >= 0]]
    near = columns < free.shape[1]
    free[rows[near], columns[near]] = False


def _blocks(widths: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.intp], int]]:
    """Rows of similar width with the block's widest, so that padding and memory stay small."""
    rows = np.argsort(-widths, kind="stable")
    rows = rows[widths[rows] > 0]
    start = 0
    while start < len(rows):
        width = int(widths[rows[start]])
        stop = start + max(1, _BLOCK_CELLS // width)
        # A block also ends where rows get much narrower than its first.
        narrow = np.searchsorted(-widths[rows[start:stop]], -(width // 2), side="right")
        stop = min(stop, start + max(int(narrow), 64))
        yield rows[start:stop], width
        start = stop


def spans(costs: NDArray[np.integer], budget: int) -> Iterator[tuple[int, int]]:
    """Consecutive ranges ``start, stop`` whose costs sum to at most ``budget``, or hold one row."""
    total = np.cumsum(costs)
    start, spent = 0, 0
    while start < len(costs):
        stop = max(start + 1, int(np.searchsorted(total, spent + budget, side="right")))
        yield start, stop
        start, spent = stop, int(total[stop - 1])


def strongest(votes: csr_matrix, n: int) -> csr_matrix:
    """The ``n`` largest entries of each row, none below 0; the lower column wins a tie.

    Only rows that hold more are touched: in most shops a few popular items have nearly all
    neighbours.
    """
    from scipy.sparse import csr_matrix

    offsets = votes.indptr.astype(np.int64)
    lengths = np.diff(offsets)
    long = np.flatnonzero(lengths > n)
    if not len(long):
        return votes
    data, last = np.asarray(votes.data, dtype=np.float32), votes.get_shape()[1] - 1
    kept = np.ones(len(data), dtype=bool)
    for some, width in _blocks(lengths[long]):
        rows = long[some]
        inside = np.arange(width) < lengths[rows][:, None]
        entries = ranges(offsets[rows], lengths[rows])
        table = np.full((len(rows), width), -1, dtype=np.int64)
        table[inside] = _keys(data[entries], last - votes.indices[entries])
        least = np.partition(table, width - n, axis=1)[:, width - n, None]
        kept[entries] = (table >= least)[inside]
    ends = np.concatenate(([0], np.cumsum(kept)))[offsets]
    return csr_matrix((votes.data[kept], votes.indices[kept], ends), shape=votes.shape)


def ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """``(sum of lengths,)`` the numbers ``start .. start + length - 1`` of each range in turn."""
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - before, lengths)


def _keys(values: NDArray[np.float32], low: NDArray[np.integer]) -> NDArray[np.int64]:
    """Integers in the order of the values, equal ones in the order of ``low``.

    A float32 of at least 0 read as an integer keeps its order; with ``low`` below it in one
    int64, a plain partition of integers is exact and breaks every tie.
    """
    return (values.astype(np.float32).view(np.int32).astype(np.int64) << 32) | low
