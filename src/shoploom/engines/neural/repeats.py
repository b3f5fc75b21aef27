"""Items that come again: a share of each answer is left to what the history already holds.

Where people rebuy, or look at what they then buy, most coming items are in the history, and a
softmax over the whole catalogue has to find each of them among all others. Here a state says how
likely the coming item is one of the history's, and by attention which event it repeats; the rest
of the probability stays with the softmax (pointer mixture: See and others 2017; repeat and explore:
RepeatNet, Ren and others 2019).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from shoploom.core.columns import ACTIONS
from shoploom.engines.neural.tokens import GAPS, VISIT, Batch, ago

_LEAST = 1e-20  # of a probability, before its logarithm is taken


@dataclass(frozen=True)
class Repeated:
    """How likely items of the history come again, for ``m`` states.

    Attributes:
        log_new, log_again: ``(m,)`` logarithms of the softmax's share and of the history's.
        events: ``(m, length)`` share of each event in what comes again; 0 at padding and at events
            after the state. They sum to one.
        item: ``(m, length)`` int64 items of the events.
    """

    log_new: Tensor
    log_again: Tensor
    events: Tensor
    item: Tensor

    def mixed(self, target: Tensor) -> tuple[Tensor, Tensor]:
        """What ``ItemSoftmax`` takes as ``mixed``, for ``(m,)`` targets."""
        own = (self.events * (self.item == target[:, None])).sum(1)
        return self.log_new, self.log_again + torch.log(own.clamp_min(_LEAST))

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """``(m, n_items)`` of all items, from the softmax's logits, which are overwritten."""
        found = torch.softmax(logits, 1, out=logits).mul_(self.log_new.exp()[:, None])
        again = self.events * self.log_again.exp()[:, None]
        # Padding has a code of its own and no share.
        found.scatter_add_(1, self.item.clamp_max(found.shape[1] - 1), again)
        return found.clamp_min_(_LEAST).log_()


class Repeats(nn.Module):
    """Which of a history's events comes again.

    Args:
        dim: of states.
        length: the most events of a history.
        share: of coming items that are in the history, which each answer starts from.
    """

    def __init__(self, dim: int, length: int, share: float):
        super().__init__()
        self.look, self.known = nn.Linear(dim, dim), nn.Linear(dim, dim, bias=False)
        self.again = nn.Linear(dim, 1)
        kinds = VISIT + 1
        self.asked = nn.Embedding(kinds, 1)
        # An event is likelier or not by its age, its place and its action, for each thing asked.
        self.age = nn.Embedding(kinds, GAPS)
        self.place = nn.Embedding(length, 1)
        self.action = nn.Embedding(kinds, len(ACTIONS))
        for part in (self.again, self.asked, self.age, self.place, self.action):
            nn.init.zeros_(part.weight)
        share = min(max(share, 0.01), 0.99)
        nn.init.constant_(self.again.bias, math.log(share / (1 - share)))

    def forward(
        self, states: Tensor, batch: Batch, row: Tensor, place: Tensor, asked: Tensor
    ) -> Repeated:
        """What comes again after some events.

        Args:
            states: ``(n, length, dim)`` of the batch.
            batch: histories.
            row: ``(m,)`` int64 of each event.
            place: ``(m,)`` int64 in the row.
            asked: ``(m,)`` int64 code of the coming action, or of a visit.
        """
        at = states[row, place]
        alike = self.look(states) @ self.known(states).transpose(1, 2) * states.shape[-1] ** -0.5
        back = place[:, None] - torch.arange(states.shape[1])
        age = ago(batch.time[row, place][:, None] - batch.time[row])
        scores = (
            alike[row, place]
            + self.age(asked).gather(1, age)
            + self.place(back.clamp_min(0))[..., 0]
            + self.action(asked).gather(1, batch.action[row])
        )
        gone = (back < 0) | ~batch.real[row]
        events = torch.softmax(scores.masked_fill(gone, -1e9), 1)
        logit = (self.again(at) + self.asked(asked))[:, 0]
        return Repeated(
            functional.logsigmoid(-logit), functional.logsigmoid(logit), events, batch.item[row]
        )
