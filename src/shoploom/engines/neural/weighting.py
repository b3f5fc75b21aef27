"""How the losses of several objectives share one network: L = sum of lambda_i times loss_i."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

Weighting = Literal["fixed", "equal", "uncertainty", "balanced", "single"]

_KEPT = 0.98  # what the running size of gradients keeps at each step of an objective


class LossWeights(nn.Module):
    """The lambda of each objective.

    Args:
        scheme: ``fixed`` takes the given weights and ``equal`` ones. ``uncertainty`` learns
            ``loss / s + log s`` for each (Kendall, Gal and Cipolla 2018, with the noise as a
            free scale). ``balanced`` divides by the running norm of an objective's gradient and
            multiplies by their geometric mean, so that all pull equally (GradNorm, Chen and others
            2018, with all rates equal).
        names: of the objectives.
        fixed: weights by name; 1 where not named.
    """

    def __init__(self, scheme: Weighting, names: Sequence[str], fixed: Mapping[str, float]):
        super().__init__()
        self.scheme, self.place = scheme, {name: i for i, name in enumerate(names)}
        given = [fixed.get(name, 1.0) if scheme == "fixed" else 1.0 for name in names]
        self.given = nn.Buffer(torch.tensor(given), persistent=False)
        self.log_scale = nn.Parameter(torch.zeros(len(names)), scheme == "uncertainty")
        self.norms = nn.Buffer(torch.zeros(len(names)))

    def forward(self, name: str, loss: Tensor) -> Tensor:
        """The weighted loss of an objective."""
        place = self.place[name]
        if self.scheme == "uncertainty":
            return loss * torch.exp(-self.log_scale[place]) + self.log_scale[place]
        return loss * self.given[place]

    @torch.no_grad()
    def balance(self, name: str, shared: Sequence[Tensor]) -> None:
        """Scale the gradients of the shared parameters, if the scheme balances them."""
        if self.scheme != "balanced" or len(self.place) < 2:
            return
        place = self.place[name]
        gradients = [each.grad for each in shared if each.grad is not None]
        norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
        before = self.norms[place]
        self.norms[place] = norm if before == 0 else before * _KEPT + norm * (1 - _KEPT)
        known = self.norms[self.norms > 0]
        factor = torch.exp(torch.log(known).mean()) / self.norms[place].clamp_min(1e-12)
        for gradient in gradients:
            gradient *= factor
