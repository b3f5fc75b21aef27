"""What is learned: each objective gives batches for an epoch and losses for a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from shoploom.core.time import SECOND_US
from shoploom.engines._ranking import Histories, ranges
from shoploom.engines.neural.asked import Known, Rows
from shoploom.engines.neural.heads import KINDS
from shoploom.engines.neural.losses import ItemSoftmax
from shoploom.engines.neural.network import Network
from shoploom.engines.neural.tokens import VISIT, Batch, batch_of, buckets, some
from shoploom.tasks import Kind

_NONE = np.empty(0, dtype=np.int64)
_VISIT_US = 6 * 3_600 * SECOND_US  # without an event, a visit is over


class Objective(Protocol):
    """Something to be learned.

    ``name`` decides the order of its batches; ``names`` are those of its losses.
    """

    name: str

    @property
    def names(self) -> Sequence[str]: ...

    def batches(self, rng: np.random.Generator, share: float = 1.0) -> list[Any]:
        """The batches of one epoch, in an order drawn anew.

        Args:
            rng: draws it.
            share: of the examples, those with the shortest histories first.
        """
        ...

    def losses(self, network: Network, items: Tensor, batch: Any) -> dict[str, Tensor]:
        """The mean losses of a batch by name, those that it says nothing about left out.

        Args:
            network: what learns.
            items: what ``network.items()`` gave in this step.
            batch: one of ``batches``.
        """
        ...


class NextEvent:
    """Which item comes next, after every event that is followed by one.

    Histories longer than the network reads are cut into pieces, so that every event is learned.

    Most purchases follow a look at the same item. Who asks what a user will buy some day asks
    before that look: so each event of the asked action is also learned from the state at the end of
    the visit before its own.

    Args:
        events: histories to learn from.
        n_items: size of the catalogue.
        length: events that the network reads at most.
        softmax: the loss over items.
        tokens: events in a batch.
        causal: whether each state may be trained on; otherwise each piece is cut at one place
            per epoch, and what follows is learned.
        asked: code of the action that rankings ask about; None where all events are of it.
    """

    name = "next event"
    visit = "next visit"

    def __init__(
        self,
        events: Histories,
        n_items: int,
        length: int,
        softmax: ItemSoftmax,
        *,
        tokens: int,
        causal: bool,
        asked: int | None = None,
    ):
        self._events = _pieces(events, length)
        self._from, self._to = _visits(self._events, asked) if causal else (_NONE, _NONE)
        self._n_items, self._softmax = n_items, softmax
        self._tokens, self._causal, self._length = tokens, causal, length

    def __len__(self) -> int:
        """How many pieces there are."""
        return len(self._events)

    @property
    def names(self) -> Sequence[str]:
        """Its own name, and that of the next visit's loss where there is one."""
        return (self.name, self.visit) if len(self._from) else (self.name,)

    def batches(
        self, rng: np.random.Generator, share: float = 1.0
    ) -> list[tuple[NDArray[np.intp], NDArray[Any]]]:
        """Rows, and how many events of each are read."""
        lengths = _shortest(np.diff(self._events.offsets) - 1, share)
        if not self._causal:
            lengths = np.ceil(rng.random(len(lengths)) * lengths).astype(np.int64)
        return [(rows, lengths[rows]) for rows in buckets(lengths, self._tokens, rng)]

    def losses(
        self, network: Network, items: Tensor, batch: tuple[NDArray[np.intp], NDArray[Any]]
    ) -> dict[str, Tensor]:
        """Cross-entropy of the item that came, and of what the next visit asked for."""
        read = self._read(network, items, batch)
        target, action = self._events.item[read.after], self._events.action[read.after]
        found = {self.name: self._loss(network, items, read, read.row, read.place, target, action)}
        rows, _ = batch
        starts = self._events.offsets[:-1][rows]
        first, last = (
            np.searchsorted(self._from, x) for x in (starts, self._events.offsets[1:][rows])
        )
        pairs = ranges(first, last - first)
        if len(pairs):
            row = np.repeat(np.arange(len(rows)), last - first)
            place = torch.from_numpy(self._from[pairs] - starts[row])
            came, action = self._events.item[self._to[pairs]], np.full(len(pairs), VISIT)
            of = torch.from_numpy(row)
            found[self.visit] = self._loss(network, items, read, of, place, came, action)
        return found

    def _loss(
        self,
        network: Network,
        items: Tensor,
        read: _Read,
        row: Tensor,
        place: Tensor,
        target: NDArray[np.integer],
        action: NDArray[np.integer],
    ) -> Tensor:
        came, asked = (torch.from_numpy(x.astype(np.int64)) for x in (target, action))
        query = network.query(read.states[row, place], asked)
        if network.repeats is None:
            return self._softmax(query, items, came)
        again = network.repeats(read.states, read.batch, row, place, asked)
        return self._softmax(query, items, came, again.mixed(came))

    def _read(
        self, network: Network, items: Tensor, batch: tuple[NDArray[np.intp], NDArray[Any]]
    ) -> _Read:
        rows, lengths = batch
        starts = self._events.offsets[:-1][rows]
        read = batch_of(self._events, starts, lengths, self._n_items)
        states = network.states(read, items)
        if self._causal:
            row, place = read.real.nonzero(as_tuple=True)
            return _Read(read, states, row, place, ranges(starts + 1, lengths))
        row, place = torch.arange(len(rows)), (read.lengths - 1).clamp_min(0)
        return _Read(read, states, row, place, starts + lengths)


@dataclass(frozen=True)
class _Read:
    """Histories that were read.

    Attributes:
        batch: of them.
        states: ``(n, length, dim)``.
        row, place: ``(m,)`` of the states that something follows.
        after: ``(m,)`` places of the events that do.
    """

    batch: Batch
    states: Tensor
    row: Tensor
    place: Tensor
    after: NDArray[np.int64]


class Rebuild(NextEvent):
    """The content of the next item, from the state before it: squared error of each modality.

    Squared errors are of whitened vectors, whose spread is one: predicting nothing costs one.
    """

    name = "content"

    @property
    def names(self) -> Sequence[str]:
        """Its own name: there is one loss."""
        return (self.name,)

    def losses(
        self, network: Network, items: Tensor, batch: tuple[NDArray[np.intp], NDArray[Any]]
    ) -> dict[str, Tensor]:
        """The mean over modalities."""
        assert network.content is not None
        read = self._read(network, items, batch)
        states = read.states[read.row, read.place]
        target = torch.from_numpy(self._events.item[read.after].astype(np.int64))
        total = torch.zeros(())
        for name, vectors in network.content.vectors.items():
            error = ((network.rebuild[name](states) - vectors[target]) ** 2).mean(1)
            has = network.content.present[name][target]
            total = total + (error * has).sum() / has.sum().clamp_min(1)
        return {self.name: total / len(network.rebuild)}


class MaskedEvents(NextEvent):
    """Which item was there, where the items of some events are hidden (cloze: BERT4Rec, Sun 2019).

    A causal backbone knows what came before a hidden event and how it was acted and when; one that
    is not causal also knows what came after.

    Args:
        share: of the events that are hidden; at least one of each history is.
    """

    name = "masked event"

    def __init__(self, *args: Any, share: float = 0.2, **how: Any):
        super().__init__(*args, **how)
        self._share = share

    @property
    def names(self) -> Sequence[str]:
        """Its own name: there is one loss."""
        return (self.name,)

    def batches(
        self, rng: np.random.Generator, share: float = 1.0
    ) -> list[tuple[NDArray[np.intp], NDArray[Any]]]:
        """Rows, all of whose events are read."""
        lengths = _shortest(np.diff(self._events.offsets), share)
        longest = np.minimum(lengths, self._length)
        return [(rows, longest[rows]) for rows in buckets(longest, self._tokens, rng)]

    def losses(
        self, network: Network, items: Tensor, batch: tuple[NDArray[np.intp], NDArray[Any]]
    ) -> dict[str, Tensor]:
        """Cross-entropy of the items that were hidden."""
        rows, lengths = batch
        starts = self._events.offsets[:-1][rows]
        read = batch_of(self._events, starts, lengths, self._n_items)
        chance = torch.rand(read.item.shape).masked_fill(~read.real, 2.0)
        hidden = (chance < self._share) | (chance == chance.min(1, keepdim=True).values)
        states = network.states(replace(read, hidden=hidden), items)[hidden]
        query = network.query(states, read.action[hidden])
        return {self.name: self._softmax(query, items, read.item[hidden])}


class Contrast:
    """Which photo belongs to which text: each modality of an item picks the item's others out of
    those of other items (InfoNCE: van den Oord and others 2018; CLIP: Radford and others 2021).

    Args:
        present: by modality ``(n_items,)`` bool.
        items: in a batch.
        temperature: that cosines are divided by.
    """

    name = "contrast"

    def __init__(
        self, present: Mapping[str, Tensor], *, items: int = 512, temperature: float = 0.07
    ):
        have = torch.stack(list(present.values())).numpy()
        self._several = np.flatnonzero(have.sum(0) > 1)
        self._items, self._temperature = items, temperature

    def __len__(self) -> int:
        """How many items have more than one modality."""
        return len(self._several)

    @property
    def names(self) -> Sequence[str]:
        """Its own name: there is one loss."""
        return (self.name,)

    def batches(self, rng: np.random.Generator, share: float = 1.0) -> list[NDArray[np.intp]]:
        """Items, drawn anew; there are no short ones among them."""
        order = rng.permutation(self._several)
        return [order[i : i + self._items] for i in range(0, len(order) - 1, self._items)]

    def losses(self, network: Network, items: Tensor, batch: NDArray[np.intp]) -> dict[str, Tensor]:
        """The mean over pairs of modalities and both directions."""
        assert network.content is not None
        rows = torch.from_numpy(batch)
        content, found = network.content, []
        for one, other in combinations(content.vectors, 2):
            both = rows[content.present[one][rows] & content.present[other][rows]]
            if len(both) < 2:
                continue
            a, b = (functional.normalize(content.projected(m, both), dim=1) for m in (one, other))
            logits, own = a @ b.T / self._temperature, torch.arange(len(both))
            found += [functional.cross_entropy(x, own) for x in (logits, logits.T)]
        return {self.name: torch.stack(found).mean()} if found else {}


class TaskAnswers:
    """The answers to the questions of all tasks: users at moments are read once for all of them.

    Args:
        known: users at moments.
        rows: by task, its questions about them, answered.
        kinds: of the tasks.
        n_items: size of the catalogue.
        tokens: events in a batch.
    """

    name = "tasks"

    def __init__(
        self,
        known: Known,
        rows: Mapping[str, Rows],
        kinds: Mapping[str, Kind],
        n_items: int,
        *,
        tokens: int,
    ):
        self._known, self._rows, self._kinds = known, rows, kinds
        self._n_items, self._tokens = n_items, tokens

    @property
    def names(self) -> Sequence[str]:
        """The tasks."""
        return tuple(self._rows)

    def batches(self, rng: np.random.Generator, share: float = 1.0) -> list[NDArray[np.intp]]:
        """Users at moments, with all that is asked about each."""
        return list(buckets(_shortest(self._known.lengths, share), self._tokens, rng))

    def losses(self, network: Network, items: Tensor, batch: NDArray[np.intp]) -> dict[str, Tensor]:
        """The loss of each task's kind, where the task asks about these users at all."""
        return {
            name: KINDS[self._kinds[name]].loss(outputs, answers)
            for name, outputs, answers in self._outputs(network, items, batch)
        }

    def gains(self, network: Network, start: Mapping[str, Sequence[float]]) -> dict[str, float]:
        """By task, nats per question that its loss is below that of ``start`` for everybody."""
        gained = dict.fromkeys(self._rows, 0.0)
        with torch.inference_mode():
            items = network.items()
            for users in buckets(self._known.lengths, self._tokens):
                for name, outputs, answers in self._outputs(network, items, users):
                    loss = KINDS[self._kinds[name]].loss
                    same = torch.tensor(start[name]).expand(len(outputs), -1)
                    less = loss(same, answers) - loss(outputs, answers)
                    gained[name] += float(less) * len(outputs)
        return {name: gained[name] / max(len(rows), 1) for name, rows in self._rows.items()}

    def _outputs(
        self, network: Network, items: Tensor, users: NDArray[np.intp]
    ) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Each task that asks about these, with its outputs and the answers."""
        profiles = network.profiles(self._known.batch(users, self._n_items), items)
        for name, rows in self._rows.items():
            asked = rows.about(users)
            if len(asked):
                assert asked.answers is not None
                yield name, network.outputs(name, profiles, asked), asked.answers


def _shortest(lengths: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """The lengths, 0 where a row is not among that share of the shortest."""
    if share >= 1 or not len(lengths):
        return lengths
    return np.where(lengths <= np.quantile(lengths, share), lengths, 0)


@dataclass(frozen=True)
class Holdout:
    """Events kept back, to see how well they are foretold.

    Attributes:
        events: histories before them, at least one event each.
        item, action: ``(n,)`` what came.
        new_only: whether items of the history are no candidates.
    """

    events: Histories
    item: NDArray[np.int32]
    action: NDArray[np.int8]
    new_only: bool

    def __len__(self) -> int:
        return len(self.item)

    def quality(self, network: Network) -> float:
        """NDCG@10 of the item that came, among all items."""
        gain = 0.0
        with torch.inference_mode():
            items = network.items()
            for rows, batch in last_batches(network, self.events):
                action = torch.from_numpy(self.action[rows].astype(np.int64))
                scores = network.last_scores(batch, items, action)
                target = torch.from_numpy(self.item[rows].astype(np.int64))[:, None]
                reached = scores.gather(1, target)
                if self.new_only:
                    mask(scores, self.events, rows)
                better = (scores > reached).sum(1)
                gain += float(torch.where(better < 10, 1 / torch.log2(better + 2.0), 0.0).sum())
        return gain / max(len(self), 1)


def hold_out(
    events: Histories, rng: np.random.Generator, *, most: int = 2000, share: float = 0.1
) -> tuple[Histories, Holdout]:
    """What is left to learn from, and the last event of some users that have three.

    Args:
        events: all histories.
        rng: draws the users.
        most: users drawn at most.
        share: of the users, likewise at most.
    """
    lengths = np.diff(events.offsets)
    able = np.flatnonzero(lengths >= 3)
    n = min(most, int(np.ceil(share * len(able))))
    rows = np.sort(rng.choice(able, n, replace=False)) if n else able[:0]
    last = events.offsets[1:][rows] - 1
    left = np.ones(len(events.item), dtype=bool)
    left[last] = False
    before = Histories(
        events.item[left],
        events.action[left],
        events.time[left],
        np.concatenate(([0], np.cumsum(left)))[events.offsets],
    )
    kept = some(before, rows)
    repeats = np.isin(
        kept.row * (int(events.item.max(initial=0)) + 1) + kept.item,
        np.arange(n) * (int(events.item.max(initial=0)) + 1) + events.item[last],
    )
    return before, Holdout(kept, events.item[last], events.action[last], not repeats.any())


def last_batches(
    network: Network, events: Histories, tokens: int = 8192, rows: int | None = None
) -> Iterator[tuple[NDArray[np.intp], Batch]]:
    """Rows with the latest events that the network reads of them; rows without are left out.

    Args:
        network: what reads.
        events: histories.
        tokens: events in a batch.
        rows: in a batch, at most.
    """
    read = np.minimum(np.diff(events.offsets), network.shape.length)
    starts = events.offsets[1:] - read
    for found in buckets(read, tokens):
        for at in range(0, len(found), rows or len(found)):
            some = found[at : at + (rows or len(found))]
            yield some, batch_of(events, starts[some], read[some], network.n_items)


def share_repeated(events: Histories) -> float:
    """The share of events, first ones of a row aside, whose item came before in the row."""
    later = len(events.item) - int((np.diff(events.offsets) > 0).sum())
    row = np.repeat(np.arange(len(events)), np.diff(events.offsets))
    pairs = row * (int(events.item.max(initial=0)) + 1) + events.item
    return (len(pairs) - len(np.unique(pairs))) / max(later, 1)


def mask(scores: Tensor, events: Histories, rows: NDArray[np.intp]) -> None:
    """Make the items of each row's history impossible, in place."""
    starts = events.offsets[:-1][rows]
    lengths = events.offsets[1:][rows] - starts
    row = torch.from_numpy(np.repeat(np.arange(len(rows)), lengths))
    item = torch.from_numpy(events.item[ranges(starts, lengths)].astype(np.int64))
    scores[row, item] = -torch.inf


def _visits(events: Histories, action: int | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places of the last events of visits, and of what the action was done to in the next ones.

    A row's first visit follows none. Both are ascending.
    """
    if action is None or not len(events.item):
        return _NONE, _NONE
    begins = np.zeros(len(events.item), dtype=bool)
    begins[1:] = np.diff(events.time) > _VISIT_US
    begins[events.offsets[:-1][np.diff(events.offsets) > 0]] = True
    visit = np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))
    row = np.repeat(np.arange(len(events)), np.diff(events.offsets))
    target = np.flatnonzero((events.action == action) & (visit > events.offsets[:-1][row]))
    return visit[target] - 1, target


def _pieces(events: Histories, length: int) -> Histories:
    """Rows of at most ``length + 1`` events; a piece begins with the last event of the one before.

    Rows without two events teach nothing and are left out.
    """
    lengths = np.diff(events.offsets)
    n_pieces = np.maximum(-(-(lengths - 1) // length), 0)
    row = np.repeat(np.arange(len(lengths)), n_pieces)
    # Counted from the end: full pieces hold the latest events.
    back = np.concatenate([[0], np.cumsum(n_pieces)])[1:][row] - 1 - np.arange(len(row))
    stops = events.offsets[1:][row] - back * length
    starts = np.maximum(stops - length - 1, events.offsets[:-1][row])
    kept = ranges(starts, stops - starts)
    offsets = np.concatenate(([0], np.cumsum(stops - starts)))
    return Histories(events.item[kept], events.action[kept], events.time[kept], offsets)
