"""The profile of a user at a moment, z: what every head reads.

Blocks of different origin stand side by side, each normalised by itself, so that none drowns the
others: the state of the backbone, means of item vectors over several windows of time, means of
the factors of co-occurrence, and the user's statistics as places among all users. In the open
challenge on behaviour profiles of 2025 (RecSys), hybrids of this sort took the first places.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from shoploom.engines.neural.tokens import Batch

#: The last days whose items are averaged; the last window is all that is read.
WINDOWS_DAYS = (7.0, 30.0, 120.0, float("inf"))


class Profile(nn.Module):
    """Blocks of a profile, ``(n, dim)``.

    Args:
        dim: of states and item vectors.
        factors: ``(n_items, n_factors)`` of co-occurrence.
        n_numbers: statistics of a user.
    """

    def __init__(self, dim: int, factors: Tensor, n_numbers: int):
        super().__init__()
        self.factors = nn.Buffer(factors)
        n_factors = factors.shape[1]
        widths = [dim, *[dim] * len(WINDOWS_DAYS), n_factors]
        self.norms = nn.ModuleList(
            nn.LayerNorm(width, elementwise_affine=False) for width in widths
        )
        self.dim = sum(widths) + n_numbers
        ends = [0, dim, dim * (1 + len(WINDOWS_DAYS)), sum(widths), self.dim]
        #: Where each block begins and ends among the columns of a profile.
        self.blocks: dict[str, tuple[int, int]] = dict(
            zip(("state", "pools", "factors", "statistics"), pairwise(ends), strict=True)
        )

    def forward(
        self, states: Tensor, items: Tensor, batch: Batch, ago: Tensor, numbers: Tensor
    ) -> Tensor:
        """``(n, dim)`` profiles.

        Args:
            states: ``(n, dim)`` after the last event.
            items: ``(n_items, dim)``.
            batch: the histories.
            ago: ``(n,)`` days from the last event to the moment.
            numbers: ``(n, n_numbers)`` scaled statistics.
        """
        code = batch.item.clamp_max(len(items) - 1)
        read, factors = nn.functional.embedding(code, items), self.factors[code]
        age = ago[:, None] - batch.time
        pooled = [_mean(read, batch.real & (age < days)) for days in WINDOWS_DAYS]
        blocks = [states, *pooled, _mean(factors, batch.real)]
        has = (batch.lengths > 0)[:, None]
        normal = [
            norm(block) * (has & (block != 0).any(1, keepdim=True))
            for norm, block in zip(self.norms, blocks, strict=True)
        ]
        return torch.cat([*normal, numbers], 1)


def _mean(vectors: Tensor, chosen: Tensor) -> Tensor:
    """``(n, dim)`` mean over the chosen events of each row; zeros where none is."""
    weights = chosen / chosen.sum(1, keepdim=True).clamp_min(1)
    return (weights[:, None].float() @ vectors)[:, 0]
