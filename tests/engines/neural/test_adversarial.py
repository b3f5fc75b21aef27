from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from shoploom.engines.neural import Neural
from shoploom.engines.neural.adversarial import Attack

from ..shops import ask, inputs, listed
from .test_neural import CIRCLE, SHOP, SMALL, TASK


def _attacked(steps: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The gradient after an attack on ``|w|^2 / 2``, whose own gradient is w, and where it went."""
    table = torch.nn.Parameter(torch.tensor([[3.0, 4.0]]))
    visited = []

    def loss() -> torch.Tensor:
        visited.append(table.detach().clone())
        return (table**2).sum() / 2

    loss().backward()
    Attack(0.1, steps).add_gradients([table], loss)
    assert table.tolist() == [[3.0, 4.0]]
    return table.grad, visited


@pytest.mark.parametrize("steps", [1, 4])
def test_the_worst_place_is_at_the_edge(steps: int) -> None:
    gradient, visited = _attacked(steps)
    # The loss grows away from zero: the worst place is 10 % further out.
    torch.testing.assert_close(visited[-1], torch.tensor([[3.3, 4.4]]))
    torch.testing.assert_close(gradient, torch.tensor([[6.3, 8.4]]))


def test_several_steps_never_leave_the_ball() -> None:
    _, visited = _attacked(6)
    start = visited[0]
    assert max(float((place - start).norm()) for place in visited) <= 0.5 + 1e-6


@pytest.mark.parametrize("kind", ["fgm", "pgd"])
def test_an_attacked_training_learns_and_differs(kind: str) -> None:
    attacked = replace(SMALL, adversarial=kind, adversarial_size=0.1).fit(inputs(SHOP), {}, {})
    plain = SMALL.fit(inputs(SHOP), {}, {})
    assert not np.array_equal(attacked.state().arrays["items"], plain.state().arrays["items"])
    asked = [f"u{n:02d}" for n in range(8)]
    expected = [[CIRCLE[(n + 4 + n % 4) % 8]] for n in range(8)]
    assert listed(attacked.answer(TASK, ask(*asked), inputs(SHOP), k=1)) == expected


def test_no_change_is_allowed() -> None:
    still = replace(SMALL, epochs=2, adversarial="fgm", adversarial_size=0.0)
    assert isinstance(still, Neural)
    still.fit(inputs(SHOP), {}, {})
