"""Items and events as vectors, the backbone between them, and what is asked of its states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from shoploom.core.columns import ACTIONS
from shoploom.engines.neural.asked import Asked, Seen
from shoploom.engines.neural.backbones import BACKBONES, Shape
from shoploom.engines.neural.content import Content
from shoploom.engines.neural.dropout import Dropout
from shoploom.engines.neural.heads import Head
from shoploom.engines.neural.profile import Profile
from shoploom.engines.neural.repeats import Repeats
from shoploom.engines.neural.tokens import GAPS, VISIT, Batch

_SPREAD = 0.02  # of what is drawn before training


class Network(nn.Module):
    """From batches of histories to states, and from states to items.

    Items have one vector of length one each, for reading and for answering; a state looks for an
    item by the cosine of the two, divided by a temperature. An event is the sum of its item, its
    action and the time since the event before; what is not the item starts at zero, so that
    shops with one action, or without times, pay nothing for them.

    Args:
        n_items: size of the catalogue.
        backbone: a name in ``BACKBONES``.
        shape: its size.
        temperature: the smaller, the more a small difference of cosines means.
        content: what items say and show, if anything.
        taken: ``(n_items,)`` which items were met in training. Where there is content, the others
            have no vector of their own, and are found by their content alone.
        item_dropout: the share of items that have, in a training step, their content alone.
        repeats: the share of coming items that are in the history already, to start from; None
            leaves all of the answer to the softmax.
        profile: makes the profiles that heads read, where there are heads.
        heads: by task.
        apart: whether heads read what the network has learned without moving it.
    """

    def __init__(
        self,
        n_items: int,
        backbone: str,
        shape: Shape,
        *,
        temperature: float = 0.05,
        content: Content | None = None,
        taken: Tensor | None = None,
        item_dropout: float = 0.0,
        repeats: float | None = None,
        profile: Profile | None = None,
        heads: Mapping[str, Head] | None = None,
        apart: bool = False,
    ):
        super().__init__()
        self.n_items, self.shape, self.temperature = n_items, shape, temperature
        self.item = nn.Embedding(n_items, shape.dim)
        self.action = nn.Embedding(len(ACTIONS), shape.dim)
        self.gap = nn.Embedding(GAPS, shape.dim)
        self.asked = nn.Embedding(VISIT + 1, shape.dim)
        self.backbone = BACKBONES.get(backbone)(shape)
        self.norm = nn.LayerNorm(shape.dim)
        self.dropout = Dropout(shape.dropout)
        self.content, self.item_dropout = content, item_dropout
        self.taken = None if content is None or taken is None or taken.all() else taken[:, None]
        for part in (self.action, self.gap, self.asked):
            nn.init.zeros_(part.weight)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1 and parameter.abs().sum() > 0 and "norm" not in name:
                nn.init.normal_(parameter, std=_SPREAD)
        # Each modality's vector of the next item is rebuilt from the state, if that is learned.
        sizes = {} if content is None else {m: v.shape[1] for m, v in content.vectors.items()}
        self.rebuild = nn.ModuleDict({m: nn.Linear(shape.dim, n) for m, n in sizes.items()})
        self.repeats = None if repeats is None else Repeats(shape.dim, shape.length, repeats)
        self.profile, self.heads, self.apart = profile, nn.ModuleDict(heads or {}), apart

    @property
    def causal(self) -> bool:
        """Whether states know nothing of later events."""
        return self.backbone.causal

    def shared(self) -> Iterator[nn.Parameter]:
        """The parameters that more than one objective may move."""
        for name, parameter in self.named_parameters():
            if not name.startswith(("heads.", "rebuild.")):
                yield parameter

    def tables(self) -> list[Tensor]:
        """The embeddings of what events are made of."""
        return [self.item.weight, self.action.weight, self.gap.weight]

    def items(self) -> Tensor:
        """``(n_items, dim)`` vectors of all items, of length one where they have a direction."""
        own = self.item.weight
        if self.content is not None:
            if self.taken is not None:
                own = own * self.taken
            if self.training and self.item_dropout:
                left = torch.rand(self.n_items) >= self.item_dropout
                own = own * (left | ~self.content.any)[:, None]
            own = own + self.content()
        return directions(own)

    def states(self, batch: Batch, items: Tensor) -> Tensor:
        """``(n, length, dim)`` the state after each event; at padding anything.

        Args:
            batch: histories.
            items: what ``items`` gave; making it once serves reading and answering.
        """
        read = nn.functional.embedding(batch.item.clamp_max(self.n_items - 1), items)
        if bool((batch.lengths == 0).any()):
            read = read * batch.real[..., None]
        if batch.hidden is not None:
            read = read.masked_fill(batch.hidden[..., None], 0.0)
        read = read * self.shape.dim**0.5  # about one per dimension, as what the backbone adds
        events = read + self.action(batch.action) + self.gap(batch.gap)
        return self.norm(self.backbone(self.dropout(events), batch.time, batch.lengths))

    def query(self, states: Tensor, action: Tensor) -> Tensor:
        """``(n, dim)`` what looks for the item of a coming event of that action, or of a visit.

        Its product with ``items`` is the logit of each item.
        """
        query = nn.functional.normalize(states + self.asked(action), dim=-1)
        return query / self.temperature

    def last_scores(self, batch: Batch, items: Tensor, action: Tensor) -> Tensor:
        """``(n, n_items)`` what is largest for the likeliest item after each history.

        Logits, or log-probabilities where some may come again.

        Args:
            batch: histories, at least one event each.
            items: what ``items`` gave.
            action: ``(n,)`` code of the coming action, or of a visit.
        """
        states = self.states(batch, items)
        logits = self.query(batch.last(states), action) @ items.T
        if self.repeats is None:
            return logits
        row = torch.arange(len(batch))
        again = self.repeats(states, batch, row, batch.lengths - 1, action)
        return again.log_probabilities(logits)

    def profiles(self, seen: Seen, items: Tensor) -> Tensor:
        """``(m, profile dim)`` of users at moments."""
        assert self.profile is not None
        if self.training and self.apart:
            # As answers will see them: whole, and nothing of them to be moved.
            self.eval()
            with torch.no_grad():
                profiles = self.profiles(seen, self.items())
            self.train()
            return profiles
        state = seen.batch.last(self.states(seen.batch, items))
        return self.profile(state, items, seen.batch, seen.ago, seen.numbers)

    def outputs(self, task: str, profiles: Tensor, asked: Asked) -> Tensor:
        """``(n, outputs)`` of the task's head, one row per question about those profiles."""
        return self.heads[task](profiles[asked.of], asked.pairs, asked.subject)


def directions(rows: Tensor) -> Tensor:
    """``(n, dim)`` rows of length one, those aside that have no direction.

    What is much shorter than an item at the start has none yet. Blowing it up to length one would
    blow up its gradient: closed gates could never open.
    """
    return _Directions.apply(rows, _SPREAD * rows.shape[1] ** 0.5 / 2)


class _Directions(torch.autograd.Function):
    """Rows divided by their lengths, or by ``shortest`` where they are shorter than that.

    As ``functional.normalize``, whose backward pass goes over all items eight times: next to
    products in bfloat16 that was a fifth of the time of training.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, shortest: float) -> Tensor:
        length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        whole = length >= shortest
        shrink = length.clamp_min_(shortest).reciprocal_()
        directions = rows * shrink
        ctx.save_for_backward(directions, shrink, whole)
        return directions

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        directions, shrink, whole = ctx.saved_tensors
        # What points along a direction changes its length only.
        along = torch.linalg.vecdot(grads[0], directions)[:, None] * whole
        lost = directions * along
        return torch.sub(grads[0], lost, out=lost).mul_(shrink), None
