"""Self-attention that knows how many events, and how much time, lie between two events.

Pre-norm blocks (Xiong and others 2020). Neither place nor time is added to the events: every head
has a number per distance in events and one per power of two of the time between (after T5, Raffel
and others 2020, and TiSASRec, Li and others 2020), which are added to its attention.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from shoploom.engines.neural.backbones.backbone import BACKBONES, Shape
from shoploom.engines.neural.dropout import Dropout
from shoploom.engines.neural.tokens import GAPS, ago

_DAY_S = 86_400


@BACKBONES.register("transformer")
class Transformer(nn.Module):
    """Causal self-attention with biases by distance and by time between."""

    causal: ClassVar[bool] = True

    def __init__(self, shape: Shape):
        super().__init__()
        self.distance = nn.Embedding(shape.length, shape.heads)
        self.between = nn.Embedding(GAPS, shape.heads)
        nn.init.zeros_(self.distance.weight)
        nn.init.zeros_(self.between.weight)
        self.blocks = nn.ModuleList(_Block(shape) for _ in range(shape.layers))

    def forward(self, events: Tensor, time: Tensor, lengths: Tensor) -> Tensor:
        bias = self._bias(time)
        for block in self.blocks:
            events = block(events, bias)
        return events

    def _bias(self, time: Tensor) -> Tensor:
        """``(n or 1, heads, length, length)`` added to the attention of each event to another."""
        place = torch.arange(time.shape[1])
        apart = place[:, None] - place
        bias = self.distance(apart.clamp_min(0)).masked_fill((apart < 0)[..., None], -torch.inf)
        bias = bias.permute(2, 0, 1)[None]
        if time.min() > -1 / _DAY_S:  # no second passes anywhere: only the order is known
            return bias
        power = ago(time[:, :, None] - time[:, None, :])
        return bias + self.between(power).permute(0, 3, 1, 2)


class _Block(nn.Module):
    def __init__(self, shape: Shape):
        super().__init__()
        dim = shape.dim
        self.heads, self.rate = shape.heads, shape.dropout
        self.norm_in, self.norm_out = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.mix = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.wide, self.narrow = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)
        self.dropout = Dropout(shape.dropout)

    def forward(self, events: Tensor, bias: Tensor) -> Tensor:
        n, length, dim = events.shape
        qkv = self.qkv(self.norm_in(events)).view(n, length, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attention = torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + bias, -1)
        mixed = (attention @ v).transpose(1, 2).reshape(n, length, dim)
        events = events + self.dropout(self.mix(mixed))
        wide = self.dropout(functional.gelu(self.wide(self.norm_out(events))))
        return events + self.dropout(self.narrow(wide))
