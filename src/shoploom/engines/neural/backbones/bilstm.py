"""Two recurrent networks, one from each end (Schuster and Paliwal 1997)."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from shoploom.engines.neural.backbones.backbone import BACKBONES, Shape
from shoploom.engines.neural.dropout import Dropout


@BACKBONES.register("bilstm")
class BiLstm(nn.Module):
    """Long short-term memory in both directions beside a direct connection.

    Every state knows the whole history it was given, later events included: one state is trained
    on per history rather than all, which takes more epochs.
    """

    causal: ClassVar[bool] = False

    def __init__(self, shape: Shape):
        super().__init__()
        rate = shape.dropout if shape.layers > 1 else 0.0
        self.layers = nn.LSTM(
            shape.dim,
            shape.dim // 2,
            shape.layers,
            batch_first=True,
            dropout=rate,
            bidirectional=True,
        )
        self.dropout = Dropout(shape.dropout)

    def forward(self, events: Tensor, time: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(
            events, lengths.clamp_min(1), batch_first=True, enforce_sorted=False
        )
        states, _ = pad_packed_sequence(
            self.layers(packed)[0], batch_first=True, total_length=events.shape[1]
        )
        # What the second network knows of the whole history stands at the first event.
        half = states.shape[2] // 2
        ends = states[:, :1, half:].expand(-1, states.shape[1], -1)
        return events + self.dropout(torch.cat((states[..., :half], ends), -1))
