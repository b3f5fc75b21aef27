"""A gated recurrent network (Cho and others 2014; GRU4Rec, Hidasi and others 2016)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from shoploom.engines.neural.backbones.backbone import BACKBONES, Shape
from shoploom.engines.neural.dropout import Dropout


@BACKBONES.register("gru")
class Gru(nn.Module):
    """Layers of gated recurrent units beside a direct connection."""

    causal: ClassVar[bool] = True

    def __init__(self, shape: Shape):
        super().__init__()
        rate = shape.dropout if shape.layers > 1 else 0.0
        self.layers = nn.GRU(shape.dim, shape.dim, shape.layers, batch_first=True, dropout=rate)
        self.dropout = Dropout(shape.dropout)

    def forward(self, events: Tensor, time: Tensor, lengths: Tensor) -> Tensor:
        return events + self.dropout(self.layers(events)[0])
