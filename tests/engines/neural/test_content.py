from __future__ import annotations

import numpy as np
import torch

from shoploom.core.ids import Vocabulary
from shoploom.engines import ItemContent
from shoploom.engines.neural import Neural
from shoploom.engines.neural.content import Content, Whitening, whitenings
from shoploom.engines.neural.fitted import network_of
from shoploom.engines.neural.network import _Directions


def _vectors(n: int = 500, dim: int = 6) -> np.ndarray:
    draw = np.random.default_rng(0)
    # One large common direction and unequal spreads, as pretrained encoders give.
    return 5 + draw.normal(size=(n, dim)) * np.array([3, 2, 1, 0.5, 0.3, 0.0])


def _content(items: Vocabulary, vectors: dict, present: dict) -> Content:
    content = ItemContent(items, vectors, present)
    return Content(content, whitenings(content, 4, {}), 8)


def test_whitened_axes_are_uncorrelated_with_a_spread_of_one() -> None:
    rows = Whitening.of(_vectors(), 4).apply(_vectors())
    np.testing.assert_allclose(np.cov(rows.T), np.eye(4), atol=0.02)


def test_an_axis_without_spread_stays_small() -> None:
    rows = Whitening.of(_vectors(), 6).apply(_vectors())
    assert np.abs(rows[:, 5]).max() < 0.01


def test_items_without_content_do_not_move_the_others() -> None:
    vectors, has = _vectors().astype(np.float16), np.arange(500) < 400
    garbage = np.where(has[:, None], vectors, 1000).astype(np.float16)
    items = Vocabulary.of(f"{n:03d}" for n in range(500))
    clean, dirty = (_content(items, {"text": rows}, {"text": has}) for rows in (vectors, garbage))
    torch.testing.assert_close(clean.vectors["text"], dirty.vectors["text"])
    assert not clean.vectors["text"][400:].any()


def test_gates_start_closed_and_can_open() -> None:
    draw = np.random.default_rng(0)
    rows = {"text": draw.normal(size=(5, 4)), "image": draw.normal(size=(5, 3))}
    rows = {name: each.astype(np.float16) for name, each in rows.items()}
    has = {name: np.ones(5, dtype=bool) for name in rows}
    content = _content(Vocabulary.of("abcde"), rows, has)
    assert not content().any()
    content().sum().backward()
    assert all(gate.grad is not None and gate.grad.any() for gate in content.gate.values())


def test_content_is_taken_by_item() -> None:
    content = ItemContent(
        Vocabulary.of("abc"), {"text": np.eye(3, dtype=np.float16)}, {"text": np.ones(3, bool)}
    )
    other = content.take(Vocabulary.of("bcd"))
    assert other.present["text"].tolist() == [True, True, False]
    assert other.vectors["text"].tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 0]]


def test_closed_gates_open_although_items_lose_their_own_vectors() -> None:
    draw = np.random.default_rng(0)
    vectors = {"text": draw.normal(size=(30, 4)).astype(np.float16)}
    items = Vocabulary.of(f"{n:02d}" for n in range(30))
    content = ItemContent(items, vectors, {"text": np.arange(30) < 20})
    network = network_of(Neural(dim=16, item_dropout=0.5), 30, 0, content=content).train()
    torch.manual_seed(0)
    made = network.items()
    assert made[20:].any(1).all()  # what has no content keeps its own vector
    assert not made[:20].any(1).all()
    made.sum().backward()
    gate, own = network.content.gate["text"].grad, network.item.weight.grad
    assert gate is not None
    # A vector of no length must not have a gradient of no bound.
    assert 0 < float(gate.abs().max()) < 100 * float(own.abs().max())


def test_directions_have_the_gradients_of_their_lengths() -> None:
    rows = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        rows[0] *= 0.01
    assert torch.autograd.gradcheck(lambda x: _Directions.apply(x, 0.1), rows)
    made = _Directions.apply(rows, 0.1).detach()
    torch.testing.assert_close(made[1:].norm(dim=1), torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(made[0], rows[0].detach() / 0.1)
