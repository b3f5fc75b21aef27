from __future__ import annotations

import pytest
import torch

from shoploom.engines.neural.weighting import LossWeights


def _gradients(scheme, scales: dict[str, float], steps: int = 300) -> dict[str, float]:
    """Norms of what each objective adds to a shared parameter, after some steps."""
    shared = torch.nn.Parameter(torch.zeros(3))
    weights = LossWeights(scheme, list(scales), {"b": 0.5})
    optimiser = torch.optim.SGD(weights.parameters(), lr=0.05)
    found = {}
    for step in range(steps * len(scales)):
        name = list(scales)[step % len(scales)]
        optimiser.zero_grad()
        shared.grad = None
        loss = scales[name] * (1 + (shared + 1).sum())
        weights({name: loss}, [shared]).backward()
        found[name] = float(shared.grad.norm())
        optimiser.step()
    return found


def test_fixed_weights_scale_losses() -> None:
    found = _gradients("fixed", {"a": 1.0, "b": 1.0}, steps=1)
    assert found["b"] == pytest.approx(0.5 * found["a"])


def test_equal_weights_ignore_the_fixed_ones() -> None:
    found = _gradients("equal", {"a": 1.0, "b": 1.0}, steps=1)
    assert found["b"] == pytest.approx(found["a"])


def test_balanced_objectives_pull_alike() -> None:
    found = _gradients("balanced", {"a": 100.0, "b": 1.0})
    assert found["a"] == pytest.approx(found["b"], rel=1e-3)


def test_uncertainty_weighs_down_what_stays_large() -> None:
    found = _gradients("uncertainty", {"a": 10.0, "b": 1.0})
    # Each settles where its scale is its loss: both then pull alike.
    assert found["a"] == pytest.approx(found["b"], rel=0.05)


def test_losses_of_one_step_are_added() -> None:
    shared = torch.nn.Parameter(torch.ones(2))
    weights = LossWeights("fixed", ["a", "b"], {"b": 0.5})
    assert weights({"a": shared.sum(), "b": shared.sum()}, [shared]).item() == 3.0


def test_a_head_that_knows_nothing_yet_is_not_blown_up() -> None:
    shared = torch.nn.Parameter(torch.ones(2))
    weights = LossWeights("balanced", ["a", "b"], {})
    losses = {"a": shared.sum(), "b": 1.0 + 0.0 * shared.sum()}
    assert weights(losses, [shared]).item() == 3.0
    assert weights({**losses, "b": 1.0 + 1e-9 * shared.sum()}, [shared]).item() < 20.0
