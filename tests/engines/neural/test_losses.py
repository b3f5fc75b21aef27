from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from shoploom.engines.neural.losses import ItemSoftmax


def _random(n: int = 600, n_items: int = 40, dim: int = 8) -> tuple[torch.Tensor, ...]:
    draw = torch.Generator().manual_seed(0)
    query = torch.randn(n, dim, generator=draw, requires_grad=True)
    weight = torch.randn(n_items, dim, generator=draw, requires_grad=True)
    return query, weight, torch.randint(n_items, (n,), generator=draw)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_gradients_are_those_of_the_cross_entropy(smoothing: float) -> None:
    query, weight, target = _random()
    softmax = ItemSoftmax(40, np.ones(40, int), smoothing=smoothing)
    (3 * softmax(query, weight, target)).backward()
    got = query.grad, weight.grad
    query.grad = weight.grad = None
    (3 * functional.cross_entropy(query @ weight.T, target, label_smoothing=smoothing)).backward()
    torch.testing.assert_close(got, (query.grad, weight.grad), rtol=1e-4, atol=1e-6)


def test_the_loss_is_that_of_what_came() -> None:
    query, weight, target = _random()
    got = ItemSoftmax(40, np.ones(40, int), smoothing=0.2)(query, weight, target)
    torch.testing.assert_close(got, functional.cross_entropy(query @ weight.T, target))


def test_bfloat16_is_near() -> None:
    query, weight, target = _random()
    softmax = ItemSoftmax(40, np.ones(40, int), dtype=torch.bfloat16)
    loss = softmax(query, weight, target)
    loss.backward()
    low = query.grad
    query.grad = None
    full = functional.cross_entropy(query @ weight.T, target)
    full.backward()
    assert float(loss.detach()) == pytest.approx(float(full.detach()), rel=0.01)
    assert functional.cosine_similarity(low.flatten(), query.grad.flatten(), 0) > 0.9999


def test_drawing_every_item_is_the_full_softmax() -> None:
    query, weight, target = _random()
    # With as many draws as items each is expected once, so that nothing is corrected.
    softmax = ItemSoftmax(40, np.ones(40, int), negatives=40)
    torch.testing.assert_close(
        softmax(query, weight, target), functional.cross_entropy(query @ weight.T, target)
    )


def test_what_was_not_drawn_gets_no_gradient() -> None:
    query, weight, target = _random(n=5, n_items=1000)
    torch.manual_seed(0)
    ItemSoftmax(1000, np.ones(1000, int), negatives=20)(query, weight, target).backward()
    touched = (weight.grad != 0).any(1)
    assert 20 <= int(touched.sum()) <= 25
    assert touched[target].all()
