"""Dropout with cheap randomness: a byte per activation instead of a float."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Leaves out a share of activations while training and scales the others up.

    Torch's own takes a tenth of the time of a training on a CPU, 15 ns per activation. Here its
    generator only seeds a faster one for each call, so that saving its state still saves all.

    Args:
        rate: the share, rounded to 256ths.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.below = round(rate * 256)

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or not self.below:
            return values
        kept = torch.from_numpy(random_bytes(values.numel()) >= self.below).view(values.shape)
        return values * (kept.float() * (256 / (256 - self.below)))


def random_bytes(n: int) -> np.ndarray:
    """``(n,)`` uint8, drawn from torch's generator through a faster one."""
    seed = int(torch.randint(2**62, ()))
    return np.frombuffer(np.random.Generator(np.random.SFC64(seed)).bytes(n), dtype=np.uint8)
