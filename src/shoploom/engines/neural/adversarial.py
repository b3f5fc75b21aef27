"""Training against the worst small change of the embeddings.

``w`` is moved to ``w + r`` with ``|r| <= size |w|`` where the loss grows most, and the gradient
there is added to that at ``w``: one step along the gradient (FGM: Miyato, Dai and Goodfellow 2017),
or several smaller ones, each brought back to the ball (PGD: Madry and others 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Attack:
    """How embeddings are moved.

    Attributes:
        size: the longest move, as a share of the length of all embeddings of a table together.
        steps: gradients that are followed to it; each is as long as ``1.5 size / steps``, so that
            the edge can be reached and followed.
    """

    size: float
    steps: int = 1

    def add_gradients(self, tables: Sequence[Tensor], loss: Callable[[], Tensor]) -> None:
        """Add the gradients at the worst place found to those that all parameters have.

        Args:
            tables: embeddings, each with its gradient; they end as they were.
            loss: the loss at the present weights, with a graph.
        """
        moved = [each for each in tables if each.grad is not None]
        clean = {each: each.grad.clone() for each in moved if each.grad is not None}
        if not moved:
            return
        start = [each.detach().clone() for each in moved]
        reach = [self.size * float(each.norm()) for each in start]
        stride = 1.0 if self.steps == 1 else 1.5 / self.steps
        for step in range(self.steps):
            for table, origin, most in zip(moved, start, reach, strict=True):
                _move(table, origin, most * stride, most)
            if step + 1 < self.steps:  # only the way there: these gradients are not learned from
                found = torch.autograd.grad(loss(), moved, allow_unused=True)
                for table, gradient in zip(moved, found, strict=True):
                    table.grad = gradient
        for table in moved:
            table.grad = clean[table]
        loss().backward()
        with torch.no_grad():
            for table, origin in zip(moved, start, strict=True):
                table.copy_(origin)


@torch.no_grad()
def _move(table: Tensor, origin: Tensor, stride: float, most: float) -> None:
    """A step along the gradient, and back to the ball around the origin."""
    if table.grad is None or not (length := float(table.grad.norm())):
        return
    table.add_(table.grad, alpha=stride / length)
    away = table - origin
    if (distance := float(away.norm())) > most:
        table.copy_(origin + away * (most / distance))
