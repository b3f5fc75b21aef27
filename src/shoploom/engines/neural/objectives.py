"""What is learned: each objective gives batches for an epoch and a loss for a batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shoploom.engines._ranking import Histories, ranges
from shoploom.engines.neural.asked import Rows
from shoploom.engines.neural.heads import KINDS
from shoploom.engines.neural.losses import ItemSoftmax
from shoploom.engines.neural.network import Network
from shoploom.engines.neural.tokens import batch_of, buckets, some
from shoploom.tasks import Kind


class Objective(Protocol):
    """Something to be learned."""

    name: str

    def batches(self, rng: np.random.Generator) -> list[Any]:
        """The batches of one epoch, in an order drawn anew."""
        ...

    def loss(self, network: Network, items: Tensor, batch: Any) -> Tensor:
        """The mean loss of a batch.

        Args:
            network: what learns.
            items: what ``network.items()`` gave in this step.
            batch: one of ``batches``.
        """
        ...


class NextEvent:
    """Which item comes next, after every event that is followed by one.

    Histories longer than the network reads are cut into pieces, so that every event is learned.

    Args:
        events: histories to learn from.
        n_items: size of the catalogue.
        length: events that the network reads at most.
        softmax: the loss over items.
        tokens: events in a batch.
        causal: whether each state may be trained on; otherwise each piece is cut at one place
            per epoch, and what follows is learned.
    """

    name = "next event"

    def __init__(
        self,
        events: Histories,
        n_items: int,
        length: int,
        softmax: ItemSoftmax,
        *,
        tokens: int,
        causal: bool,
    ):
        self._events = _pieces(events, length)
        self._n_items, self._softmax = n_items, softmax
        self._tokens, self._causal = tokens, causal

    def __len__(self) -> int:
        """How many pieces there are."""
        return len(self._events)

    def batches(self, rng: np.random.Generator) -> list[tuple[NDArray[np.intp], NDArray[Any]]]:
        """Rows, and how many events of each are read."""
        lengths = np.diff(self._events.offsets) - 1
        if not self._causal:
            lengths = np.ceil(rng.random(len(lengths)) * lengths).astype(np.int64)
        return [(rows, lengths[rows]) for rows in buckets(lengths, self._tokens, rng)]

    def loss(
        self, network: Network, items: Tensor, batch: tuple[NDArray[np.intp], NDArray[Any]]
    ) -> Tensor:
        """Cross-entropy of the item that came."""
        states, target, action = self._read(network, items, batch)
        return self._softmax(network.query(states, action), items, target)

    def _read(
        self, network: Network, items: Tensor, batch: tuple[NDArray[np.intp], NDArray[Any]]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """States that something follows, with the item and the action that did."""
        rows, lengths = batch
        starts = self._events.offsets[:-1][rows]
        read = batch_of(self._events, starts, lengths, self._n_items)
        states = network.states(read, items)
        if self._causal:
            coming = ranges(starts + 1, lengths)
            states = states.flatten(0, 1)[read.real.flatten().nonzero()[:, 0]]
        else:
            coming, states = starts + lengths, read.last(states)
        target = torch.from_numpy(self._events.item[coming].astype(np.int64))
        return states, target, torch.from_numpy(self._events.action[coming].astype(np.int64))


class Rebuild(NextEvent):
    """The content of the next item, from the state before it: squared error of each modality.

    Squared errors are of whitened vectors, whose spread is one: predicting nothing costs one.
    """

    name = "content"

    def loss(
        self, network: Network, items: Tensor, batch: tuple[NDArray[np.intp], NDArray[Any]]
    ) -> Tensor:
        assert network.content is not None
        states, target, _ = self._read(network, items, batch)
        total = torch.zeros(())
        for name, vectors in network.content.vectors.items():
            error = ((network.rebuild[name](states) - vectors[target]) ** 2).mean(1)
            has = network.content.present[name][target]
            total = total + (error * has).sum() / has.sum().clamp_min(1)
        return total / len(network.rebuild)


class TaskAnswers:
    """The answers to a task's questions.

    Args:
        name: of the task.
        kind: of the task.
        rows: its questions, answered.
        n_items: size of the catalogue.
        tokens: events in a batch.
    """

    def __init__(self, name: str, kind: Kind, rows: Rows, n_items: int, *, tokens: int):
        self.name, self._rows = name, rows
        self._kind: Kind = kind
        self._n_items, self._tokens = n_items, tokens

    def batches(self, rng: np.random.Generator) -> list[NDArray[np.intp]]:
        """Users at moments, with all that is asked about each."""
        return list(buckets(self._rows.lengths, self._tokens, rng))

    def loss(self, network: Network, items: Tensor, batch: NDArray[np.intp]) -> Tensor:
        """The loss of the kind."""
        asked = self._rows.batch(batch, self._n_items)
        assert asked.answers is not None
        return KINDS[self._kind].loss(network.outputs(self.name, asked, items), asked.answers)

    def quality(self, network: Network, start: list[float]) -> float:
        """Nats per question that the network's loss is below that of ``start`` for everybody."""
        gained, n = 0.0, len(self._rows)
        with torch.inference_mode():
            items = network.items()
            for users in buckets(self._rows.lengths, self._tokens):
                asked = self._rows.batch(users, self._n_items)
                assert asked.answers is not None
                outputs = network.outputs(self.name, asked, items)
                same = torch.tensor(start).expand(len(outputs), -1)
                loss = KINDS[self._kind].loss
                less = loss(same, asked.answers) - loss(outputs, asked.answers)
                gained += float(less) * len(outputs)
        return gained / max(n, 1)


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
            for rows, states in last_states(network, self.events, items):
                query = network.query(states, torch.from_numpy(self.action[rows].astype(np.int64)))
                scores = query @ items.T
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


def last_states(
    network: Network, events: Histories, items: Tensor, tokens: int = 8192
) -> Iterator[tuple[NDArray[np.intp], Tensor]]:
    """Rows with their states after the last event; rows without events are left out."""
    lengths = np.diff(events.offsets)
    read = np.minimum(lengths, network.shape.length)
    recent = Histories(events.item, events.action, events.time, events.offsets)
    starts = events.offsets[1:] - read
    for rows in buckets(read, tokens):
        batch = batch_of(recent, starts[rows], read[rows], network.n_items)
        yield rows, batch.last(network.states(batch, items))


def mask(scores: Tensor, events: Histories, rows: NDArray[np.intp]) -> None:
    """Make the items of each row's history impossible, in place."""
    starts = events.offsets[:-1][rows]
    lengths = events.offsets[1:][rows] - starts
    row = torch.from_numpy(np.repeat(np.arange(len(rows)), lengths))
    item = torch.from_numpy(events.item[ranges(starts, lengths)].astype(np.int64))
    scores[row, item] = -torch.inf


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
