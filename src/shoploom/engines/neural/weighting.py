"""How the losses of several objectives share one network: L = sum of lambda_i times loss_i."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

Weighting = Literal["apart", "fixed", "equal", "uncertainty", "balanced", "single"]

_KEPT = 0.9  # what the running size of a gradient keeps when it is measured anew
_EVERY = 10  # losses of a name between two measurements: each costs a backward pass
_MOST = 10.0  # that a loss is raised or lowered: heads start at zero, and with them the gradients


class LossWeights(nn.Module):
    """The lambda of each loss.

    Args:
        scheme: ``apart`` and ``fixed`` take the given weights and ``equal`` ones. ``uncertainty``
            learns ``loss / s + log s`` for each (Kendall, Gal and Cipolla 2018, with the noise as
            a free scale). ``balanced`` divides by the running norm of the loss's gradient and
            multiplies by their geometric mean, so that all pull equally (GradNorm, Chen and others
            2018, with all rates equal), within a factor of ten.
        names: of the losses.
        fixed: weights by name; 1 where not named.
    """

    def __init__(self, scheme: Weighting, names: Sequence[str], fixed: Mapping[str, float]):
        super().__init__()
        self.scheme, self.place = scheme, {name: i for i, name in enumerate(names)}
        given = [fixed.get(name, 1.0) if scheme in ("apart", "fixed") else 1.0 for name in names]
        self.given = nn.Buffer(torch.tensor(given), persistent=False)
        self.log_scale = nn.Parameter(torch.zeros(len(names)), scheme == "uncertainty")
        self.norms = nn.Buffer(torch.zeros(len(names)))
        self.seen = nn.Buffer(torch.zeros(len(names), dtype=torch.int64))

    def forward(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """The weighted sum of some losses of one step.

        Args:
            losses: by name.
            shared: the parameters that more than one loss moves.
        """
        if self.scheme == "balanced":
            for name, loss in losses.items():
                self._measure(self.place[name], loss, shared)
        return torch.stack(
            [self._weighted(self.place[n], loss) for n, loss in losses.items()]
        ).sum()

    def _weighted(self, place: int, loss: Tensor) -> Tensor:
        if self.scheme == "uncertainty":
            return loss * torch.exp(-self.log_scale[place]) + self.log_scale[place]
        if self.scheme == "balanced":
            return loss * self._balance(place)
        return loss * self.given[place]

    def _balance(self, place: int) -> Tensor:
        """The middle of all norms over this one; 1 until it is known."""
        if self.norms[place] == 0:
            return torch.ones(())
        middle = torch.log(self.norms[self.norms > 0]).mean()
        return torch.exp(middle - torch.log(self.norms[place])).clamp(1 / _MOST, _MOST)

    def _measure(self, place: int, loss: Tensor, shared: Sequence[Tensor]) -> None:
        """Bring the running norm of a loss's gradient up to date, now and then."""
        due = int(self.seen[place]) % _EVERY == 0 or bool(self.norms[place] == 0)
        self.seen[place] += 1
        if not due:
            return
        gradients = torch.autograd.grad(loss, shared, retain_graph=True, allow_unused=True)
        norm = torch.stack([each.norm() for each in gradients if each is not None]).norm()
        before = self.norms[place]
        self.norms[place] = norm if before == 0 else before * _KEPT + norm * (1 - _KEPT)
