"""Co-occurrence: what others took near the things that this user took last.

Pairs of items within a short window of one user's history are counted, nearer ones more; a user's
latest items then vote for their neighbours. No gradient, a fit of under a second on a small shop,
and on sparse shops the engine that neural ones must beat. ``docs/engines/cooccurrence.md`` has
the equations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shoploom.core.columns import CART, CLICK, FAVOURITE, PURCHASE, VIEW
from shoploom.core.errors import ConfigError
from shoploom.core.ids import Vocabulary
from shoploom.core.seeds import rng
from shoploom.core.time import DAY_US
from shoploom.engines._ranking import (
    Histories,
    Ranked,
    action_weights,
    age_weights,
    all_histories,
    by_moment,
    check_half_lives,
    histories,
    places_in,
    popular_first,
    rank,
    recency_weights,
    shares,
    spans,
    strengths,
    strongest,
)
from shoploom.engines._search import coordinate_search, first_moment, ranking_judge
from shoploom.engines.engine import ENGINES, Inputs, State
from shoploom.tasks import Answers, Kind, Questions, Task

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_TUNING_PAIRS = 2_500_000  # about so many pairs are counted for each setting that is tried
_TUNING_NEIGHBOURS = 200  # enough to tell settings apart; more would only cost time
_PAIRS = 4_000_000  # pairs counted at once: about 100 MB while they are sorted
_CANDIDATES = 4_000_000  # scored items held at once: about 64 MB
_POPULAR = 500  # how many popular items can enter a list by their popularity
_NEVER = np.float32(-1e9)  # outweighs every vote: an excluded item stays below 0


@ENGINES.register("cooccurrence")
@dataclass(frozen=True)
class Cooccurrence:
    """Decayed pair counts, normalised by popularity, asked with a decayed history.

    A step is a moment: events of one user at one time form a basket, have no order among
    themselves and share a step.

    Attributes:
        window: pairs at most this many events apart are counted.
        decay: what one more step between the two items leaves of a pair's weight.
        back: weight of "the other came before" relative to "the other came after".
        together: weight of a pair within one basket, either way.
        gap_half_life_days: a pair also counts half for each such time between its events;
            None ignores time.
        age_half_life_days: pairs, and the popularity they are divided by, count half for each
            such time before the shop's last event.
        source_power, target_power: how strongly counts are divided by the popularity of the item
            that votes and of the item voted for.
        smoothing: added to popularity first, so that a pair of rare items is not believed at once.
        query_decay: what one step back leaves of a vote.
        query_last: at most so many last events of a user vote.
        query_half_life_days: a vote also counts half for each such time before the user's last
            event.
        repeat: weight of the user's own items against their neighbours; 0 leaves them to the
            votes. Where seen items are excluded it has no effect.
        repeat_half_life_days: decay of the user's own items, as in ``personal``.
        popular: weight of what everybody takes lately against the votes. In a shop whose
            assortment changes quickly it matters more than any pair.
        popular_half_life_days: what "lately" means, counted from the shop's last event.
        neighbours: keep only so many strongest neighbours of each item; None keeps all, which
            answers several times more slowly where popular items meet nearly all others.
        action_weights: what an action counts, by name. An action that is not named counts 1,
            ``remove`` and ``return`` 0.
        dim: length of the vector of ``represent``.
    """

    window: int = 10
    decay: float = 0.8
    back: float = 0.3
    together: float = 1.0
    gap_half_life_days: float | None = None
    age_half_life_days: float | None = None
    source_power: float = 0.3
    target_power: float = 0.2
    smoothing: float = 3.0
    query_decay: float = 0.6
    query_last: int = 50
    query_half_life_days: float | None = None
    repeat: float = 1.0
    repeat_half_life_days: float | None = 60.0
    popular: float = 0.0
    popular_half_life_days: float | None = 30.0
    neighbours: int | None = 500
    action_weights: Mapping[str, float] = field(default_factory=dict)
    dim: int = 32

    kinds: ClassVar[frozenset[Kind]] = frozenset({"ranking"})

    def __post_init__(self) -> None:
        action_weights(self.action_weights)
        check_half_lives(self, "cooccurrence")
        least = dict.fromkeys(("window", "query_last", "neighbours", "dim"), 1)
        least |= dict.fromkeys(("decay", "back", "together", "smoothing"), 0)
        least |= dict.fromkeys(("query_decay", "repeat", "popular"), 0)
        for name, value in least.items():
            if (got := getattr(self, name)) is not None and got < value:
                raise ConfigError(
                    f"expected {name} of at least {value}, got {got} for engine 'cooccurrence'."
                )

    def tune(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        validation: Mapping[str, Questions],
        *,
        seed: int = 0,
    ) -> Cooccurrence:
        """The settings with the best NDCG@10 on validation, found one at a time.

        Pairs are learned before the first validation question. In a large shop a sample of its
        users is learned from, in one round through the settings: a second changes little. Only
        the strongest neighbours of each item are kept meanwhile. Settings that the data cannot
        tell apart (baskets without baskets, days within a day) are left alone.
        """
        past = inputs.upto(first_moment(validation))
        sequences = past.sequences(past.until)
        events = _some_users(all_histories(sequences), seed)
        n_items = len(sequences.items)
        counts = _latest(lambda engine: engine._count(events, n_items, seed))
        votes = _latest(lambda engine: engine._vote(events, counts(engine, engine._counting)))

        def fit(engine: Cooccurrence) -> FittedCooccurrence:
            few = min(engine.neighbours or _TUNING_NEIGHBOURS, _TUNING_NEIGHBOURS)
            voted = votes(replace(engine, neighbours=few), engine._voting)
            return engine._assemble(events, sequences.items, voted, seed)

        judge = ranking_judge(fit, inputs, tasks, validation, seed)
        seen_allowed = not all(asked.exclude_seen for asked in validation.values())
        whole = len(events) == len(sequences)
        return coordinate_search(self, _space(events, seen_allowed), judge, refine=whole)

    def fit(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        *,
        seed: int = 0,
    ) -> FittedCooccurrence:
        """Pair counts of everything before ``inputs.until``."""
        sequences = inputs.sequences(inputs.until)
        events = all_histories(sequences)
        counts = self._count(events, len(sequences.items), seed)
        return self._assemble(events, sequences.items, self._vote(events, counts), seed)

    @staticmethod
    def from_state(state: State) -> FittedCooccurrence:
        """The fitted engine that gave this state."""
        from scipy.sparse import csr_matrix

        catalogue, arrays = state.vocabularies["items"], state.arrays
        asked_for = csr_matrix(
            (arrays["data"], arrays["indices"], arrays["indptr"]),
            shape=(2 * len(catalogue) + 1, len(catalogue)),
        )
        return FittedCooccurrence(
            Cooccurrence(**state.config["settings"]),
            catalogue,
            asked_for,
            arrays["order"],
            state.config["seed"],
        )

    @property
    def _counting(self) -> tuple[Any, ...]:
        """The settings that the raw counts depend on."""
        weights = sorted(self.action_weights.items())
        half_lives = self.gap_half_life_days, self.age_half_life_days
        return self.window, self.decay, self.back, self.together, half_lives, weights

    @property
    def _voting(self) -> tuple[Any, ...]:
        """The settings that the votes depend on."""
        return *self._counting, self.source_power, self.target_power, self.smoothing

    def _count(self, events: Histories, n_items: int, seed: int) -> csr_matrix:
        """``(n_items, n_items)`` decayed counts of "column came after row".

        A pair within a basket is entered both ways, scaled so that it weighs ``together`` each
        way once the backward direction has been added.
        """
        from scipy.sparse import csr_matrix

        weights = action_weights(self.action_weights)
        step = events.steps()
        order = slice(None)
        if len(step) and step[-1] < len(step):
            # Within a basket the given order is that of the ids. Where the window cuts a large
            # basket, a shuffle makes what is left a fair sample of its pairs.
            order = np.lexsort((rng(seed, "basket order").random(len(step)), step))
        item, value = events.item[order], weights[events.action[order]]
        row, time = events.row, events.time
        age = age_weights(events, self.age_half_life_days)
        in_basket = np.float32(self.together / (1 + self.back))
        total = csr_matrix((n_items, n_items), dtype=np.float32)
        for start, stop in spans(np.diff(events.offsets) * self.window, _PAIRS):
            first, end = events.offsets[start], events.offsets[stop]
            found = []
            for distance in range(1, min(self.window, end - first - 1) + 1):
                a = np.arange(first, end - distance)
                b = a + distance
                kept = (row[a] == row[b]) & (item[a] != item[b])
                a, b = a[kept], b[kept]
                steps = step[b] - step[a]
                weight = value[a] * value[b] * age[b]
                weight = weight * np.float32(self.decay) ** np.maximum(steps - 1, 0)
                if self.gap_half_life_days is not None:
                    gap = (time[b] - time[a]) / (self.gap_half_life_days * DAY_US)
                    weight = weight * np.exp2(-gap)
                same = steps == 0
                weight = np.where(same, weight * in_basket, weight).astype(np.float32)
                found.append((item[a], item[b], weight))
                if same.any():
                    found.append((item[b[same]], item[a[same]], weight[same]))
            if found:
                source, target, weight = (np.concatenate(part) for part in zip(*found, strict=True))
                block = csr_matrix((weight, (source, target)), shape=total.shape)
                total = block if not total.nnz else total + block
        return total

    def _vote(self, events: Histories, counts: csr_matrix) -> csr_matrix:
        """``(n_items, n_items)`` counts in both directions, divided by powers of popularity."""
        weights = action_weights(self.action_weights)[events.action]
        age = age_weights(events, self.age_half_life_days)
        popularity = strengths(events, weights * age, counts.get_shape()[0])
        votes = (counts + self.back * counts.T).tocsr() if self.back else counts.copy()
        smoothed = np.maximum(popularity + self.smoothing, 1e-9)
        source = (smoothed**-self.source_power).astype(np.float32)
        target = (smoothed**-self.target_power).astype(np.float32)
        votes.data *= np.repeat(source, np.diff(votes.indptr))
        votes.data *= target[votes.indices]
        votes.eliminate_zeros()
        if votes.nnz:
            # One scale for all shops and any number of neighbours, so that ``repeat`` means the
            # same everywhere.
            votes.data *= np.float32(counts.get_shape()[0] / votes.data.sum(dtype=np.float64))
        return votes if self.neighbours is None else strongest(votes, self.neighbours)

    def _assemble(
        self, events: Histories, catalogue: Vocabulary, votes: csr_matrix, seed: int
    ) -> FittedCooccurrence:
        """Votes with what is popular lately."""
        weights = action_weights(self.action_weights)[events.action]
        lately = weights * age_weights(events, self.popular_half_life_days)
        popularity = strengths(events, lately, len(catalogue))
        order = popular_first(popularity, rng(seed, "popularity"))
        return FittedCooccurrence(self, catalogue, stacked(votes, popularity, order), order, seed)


@dataclass(frozen=True)
class FittedCooccurrence:
    """Votes between items.

    Attributes:
        settings: the engine's settings.
        catalogue: ``n_items`` items.
        asked_for: ``(2 n_items + 1, n_items)`` sparse float32: the votes of each item, the items
            themselves, and what is popular lately.
        order: ``(n_items,)`` int32 codes from the most popular on, ties shuffled by the seed.
        seed: what ``represent`` draws from.
    """

    settings: Cooccurrence
    catalogue: Vocabulary
    asked_for: csr_matrix
    order: NDArray[np.int32]
    seed: int

    def answer(self, task: Task, questions: Questions, inputs: Inputs, *, k: int = 20) -> Answers:
        """The items with most votes, then popular ones; a user without history gets only those.

        Scores are votes, with the user's own items added by ``repeat``; 0 where popularity
        fills up.
        """
        ranked = Ranked.empty(len(questions), k)
        neighbours = np.diff(self.asked_for.indptr)
        for at, rows in by_moment(questions.times):
            asked = histories(inputs.sequences(at), questions.users[rows], self.catalogue)
            costs = np.bincount(asked.row, weights=neighbours[asked.item], minlength=len(asked))
            costs = np.minimum(costs, len(self.catalogue)) + 1
            for start, stop in spans(costs, _CANDIDATES):
                block = asked.rows(start, stop)
                scores = self._scores(block, exclude_seen=questions.exclude_seen)
                excluded = block if questions.exclude_seen else None
                ranked.put(rows[start:stop], rank(scores, self.order, k, excluded, self._place))
        return ranked.answers(questions, self.catalogue)

    def represent(self, users: NDArray[np.object_], at: int, inputs: Inputs) -> NDArray[np.float32]:
        """``(len(users), dim)`` mean factors of what votes for a user; zeros for an unknown one."""
        from scipy.sparse import csr_matrix

        asked = histories(inputs.sequences(at), users, self.catalogue)
        query = csr_matrix(
            (self._query(asked), asked.item, asked.offsets), (len(asked), len(self.catalogue))
        )
        return np.asarray(query @ self.factors, dtype=np.float32)

    def because(
        self, users: NDArray[np.object_], items: NDArray[np.int32], at: int, inputs: Inputs
    ) -> NDArray[np.int32]:
        """``(n, k)`` codes of the own item whose one event spoke most for each; -1 for none."""
        asked = histories(inputs.sequences(at), users, self.catalogue)
        query, own = self._query(asked), self._own(asked)
        votes, k = self.votes, items.shape[1]
        reasons = np.full(items.shape, -1, dtype=np.int32)
        lengths = np.diff(asked.offsets)
        for start, stop in spans(lengths * k + 1, _CANDIDATES):
            events = slice(asked.offsets[start], asked.offsets[stop])
            rows = np.flatnonzero(lengths[start:stop]) + start
            if not len(rows):
                continue
            target = items[asked.row[events]]
            source = np.broadcast_to(asked.item[events][:, None], target.shape)
            voted = np.asarray(votes[source.ravel(), np.maximum(target, 0).ravel()])
            spoke = query[events, None] * voted.reshape(target.shape)
            spoke = np.where(target >= 0, spoke + own[events, None] * (source == target), 0)
            starts = asked.offsets[rows] - events.start
            most = np.maximum.reduceat(spoke, starts)
            is_most = spoke == np.repeat(most, lengths[rows], axis=0)
            last = np.maximum.reduceat(
                np.where(is_most, np.arange(len(spoke))[:, None], -1), starts
            )
            reasons[rows] = np.where(most > 0, asked.item[events][last], -1)
        return reasons

    def state(self) -> State:
        """The votes as arrays, the order of popularity and the settings."""
        return State(
            config={"settings": asdict(self.settings), "seed": self.seed},
            arrays={
                "data": self.asked_for.data,
                "indices": self.asked_for.indices,
                "indptr": self.asked_for.indptr,
                "order": self.order,
            },
            vocabularies={"items": self.catalogue},
        )

    def _query(self, asked: Histories) -> NDArray[np.float32]:
        """``(n_events,)`` weight of each event's vote, summing to 1 in a row."""
        settings = self.settings
        value = action_weights(settings.action_weights)[asked.action]
        value = value * np.float32(settings.query_decay) ** asked.steps_ago()
        value = value * recency_weights(asked, settings.query_half_life_days)
        events_left = np.repeat(asked.offsets[1:], np.diff(asked.offsets)) - np.arange(len(value))
        return shares(np.where(events_left <= settings.query_last, value, 0), asked)

    def _own(self, asked: Histories) -> NDArray[np.float32]:
        """``(n_events,)`` weight of each event for its own item."""
        settings = self.settings
        value = action_weights(settings.action_weights)[asked.action]
        value = value * recency_weights(asked, settings.repeat_half_life_days)
        return settings.repeat * shares(value, asked)

    def _scores(self, asked: Histories, *, exclude_seen: bool) -> csr_matrix:
        """``(n, n_items)`` votes plus own and popular items; excluded ones come out below 0.

        One sparse product does it all: each event asks for the votes of its item and for the
        item itself, each row once for what is popular.
        """
        from scipy.sparse import csr_matrix

        n, n_items = len(asked), len(self.catalogue)
        # Of an event: its votes, itself. After a row's events: the popular items.
        places = 2 * (np.arange(len(asked.item)) + asked.row)[:, None] + [0, 1]
        ends = 2 * (asked.offsets[1:] + np.arange(1, n + 1)) - 2
        weights = np.zeros(2 * (len(asked.item) + n), dtype=np.float32)
        columns = np.zeros(len(weights), dtype=np.int32)
        weights[places[:, 0]] = self._query(asked)
        weights[places[:, 1]] = _NEVER if exclude_seen else self._own(asked)
        weights[ends] = self.settings.popular
        columns[places] = asked.item[:, None] + np.array([0, n_items], dtype=np.int32)
        columns[ends] = 2 * n_items
        kept = weights != 0
        offsets = np.concatenate(([0], np.cumsum(kept)))[np.append(0, ends + 2)]
        query = csr_matrix((weights[kept], columns[kept], offsets), (n, 2 * n_items + 1))
        return query @ self.asked_for

    @cached_property
    def _place(self) -> NDArray[np.int64]:
        return places_in(self.order)

    @property
    def votes(self) -> csr_matrix:
        """``(n_items, n_items)`` from the row's item to the column's; no copy."""
        from scipy.sparse import csr_matrix

        n_items = len(self.catalogue)
        ends = self.asked_for.indptr[: n_items + 1]
        parts = self.asked_for.data[: ends[-1]], self.asked_for.indices[: ends[-1]], ends
        return csr_matrix(parts, (n_items, n_items), copy=False)

    @cached_property
    def factors(self) -> NDArray[np.float32]:
        """``(n_items, dim)`` left singular vectors of the votes, scaled by root singular values.

        Randomised range finding with two power iterations (Halko, Martinsson & Tropp 2011,
        "Finding structure with randomness", algorithm 4.4).
        """
        n_items, dim, votes = len(self.catalogue), self.settings.dim, self.votes
        width = min(n_items, dim + 8)
        draw = rng(self.seed, "factors").standard_normal((n_items, width)).astype(np.float32)
        basis = np.linalg.qr(votes @ draw)[0]
        for _ in range(2):
            basis = np.linalg.qr(votes @ (votes.T @ basis))[0]
        left, singular, _ = np.linalg.svd((votes.T @ basis).T, full_matrices=False)
        factors = np.zeros((n_items, dim), dtype=np.float32)
        rank_ = min(dim, len(singular))
        factors[:, :rank_] = (basis @ left[:, :rank_]) * np.sqrt(singular[:rank_])
        return factors


def stacked(
    votes: csr_matrix, popularity: NDArray[np.float64], order: NDArray[np.int32]
) -> csr_matrix:
    """``(2 n_items + 1, n_items)`` votes, an identity, and the shares of the most popular items."""
    from scipy.sparse import csr_matrix, identity, vstack

    n_items = len(order)
    top = np.sort(order[:_POPULAR])
    share = popularity[top] / max(popularity.sum(), 1e-300)
    popular = csr_matrix((share.astype(np.float32), top, [0, len(top)]), (1, n_items))
    own = identity(n_items, dtype="float32", format="csr")
    return csr_matrix(vstack((votes, own, popular), format="csr"))


def _latest(
    make: Callable[[Cooccurrence], csr_matrix],
) -> Callable[[Cooccurrence, tuple[Any, ...]], csr_matrix]:
    """``make`` that keeps what it made last: neighbouring candidates mostly share a key."""
    kept: list[Any] = [None, None]

    def get(engine: Cooccurrence, key: tuple[Any, ...]) -> csr_matrix:
        if kept[0] != key:
            kept[:] = key, make(engine)
        return kept[1]

    return get


def _some_users(events: Histories, seed: int) -> Histories:
    """Whole histories of users drawn by the seed; all of them where pairs are few."""
    lengths = np.diff(events.offsets)
    pairs = lengths * np.minimum(lengths, Cooccurrence.window)
    share = _TUNING_PAIRS / max(pairs.sum(), 1)
    if share >= 1:
        return events
    drawn = rng(seed, "tuning users").random(len(events)) < share
    kept = np.repeat(drawn, lengths)
    offsets = np.concatenate(([0], np.cumsum(lengths[drawn])))
    return Histories(events.item[kept], events.action[kept], events.time[kept], offsets)


def _space(events: Histories, seen_allowed: bool) -> dict[str, tuple[Any, ...]]:
    """The values to try, as far as these events can tell them apart; what matters most first."""
    lasts_days = len(events.time) > 0 and np.ptp(events.time) > DAY_US
    step = events.steps()
    has_baskets = len(step) > 0 and step[-1] < len(step)
    half_lives = (30.0, 120.0, None)
    space: dict[str, tuple[Any, ...]] = {}
    if seen_allowed:
        space["repeat"] = (0.0, 0.3, 1.0, 3.0, 10.0, 30.0)
        if lasts_days:
            space["repeat_half_life_days"] = (14.0, 30.0, 60.0, 120.0, 240.0, None)
    space["popular"] = (0.0, 0.1, 1.0, 10.0, 30.0)
    if lasts_days:
        space["popular_half_life_days"] = (3.0, 7.0, 14.0, 30.0, 90.0, None)
        space["age_half_life_days"] = (30.0, 90.0, 365.0, None)
    space["query_decay"] = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    space["source_power"] = (0.0, 0.3, 0.5, 0.8)
    space["target_power"] = (0.0, 0.1, 0.2, 0.3, 0.5)
    space["smoothing"] = (0.0, 3.0, 10.0, 30.0)
    if lasts_days:
        space["query_half_life_days"] = half_lives
        space["gap_half_life_days"] = half_lives
    space["back"] = (0.1, 0.2, 0.3, 0.5, 1.0)
    space["decay"] = (0.4, 0.6, 0.7, 0.8, 0.9)
    space["window"] = (5, 10, 20)
    if has_baskets:
        space["together"] = (0.3, 1.0, 3.0)
    if len(np.unique(events.action)) > 1:
        hints = {VIEW: 0.2, CLICK: 0.2, CART: 0.5, FAVOURITE: 0.5}
        space["action_weights"] = ({}, hints, {PURCHASE: 5.0})
    return space
