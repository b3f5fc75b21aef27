from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from shoploom.core.errors import ConfigError
from shoploom.core.ids import Vocabulary
from shoploom.engines import Inputs, ItemContent, load_state, save_state
from shoploom.engines._ranking import all_histories
from shoploom.engines.cooccurrence import Cooccurrence
from shoploom.engines.neural.content import Content, whitenings
from shoploom.engines.neural.fitting import fit
from shoploom.engines.neural.objectives import Contrast, MaskedEvents, NextEvent

from ..shops import ask, inputs, listed
from .test_neural import CIRCLE, SHOP, SMALL, TASK, _with_content


def _two_modalities(n: int = 60) -> ItemContent:
    """Text and photo are two views of the same hidden numbers."""
    draw = np.random.default_rng(0)
    hidden = draw.normal(size=(n, 4))
    views = {
        name: (hidden @ draw.normal(size=(4, 8))).astype(np.float16) for name in ("image", "text")
    }
    items = Vocabulary.of(f"{i:02d}" for i in range(n))
    return ItemContent(items, views, {name: np.ones(n, dtype=bool) for name in views})


class _OnlyContent(torch.nn.Module):
    def __init__(self, content: ItemContent):
        super().__init__()
        self.content = Content(content, whitenings(content, 4, {}), 8)


def test_contrast_brings_photo_and_text_of_an_item_together() -> None:
    torch.manual_seed(0)
    network = _OnlyContent(_two_modalities())
    contrast = Contrast(network.content.present)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.03)
    losses = []
    for epoch in range(60):
        (batch,) = contrast.batches(np.random.default_rng(epoch))
        loss = contrast.losses(network, None, batch)["contrast"]  # type: ignore[arg-type]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] > 3  # near log(60): nothing is known
    assert losses[-1] < 1


def test_items_with_one_modality_are_no_pairs() -> None:
    content = _two_modalities()
    content.present["text"][:50] = False
    present = {name: torch.from_numpy(has) for name, has in content.present.items()}
    (batch,) = Contrast(present).batches(np.random.default_rng(0))
    assert sorted(batch.tolist()) == list(range(50, 60))


@pytest.mark.parametrize("backbone", ["transformer", "bilstm"])
def test_hidden_items_are_told_from_the_others(backbone: str) -> None:
    engine = replace(SMALL, backbone=backbone, epochs=30, masked=1.0, weights={"next event": 0})
    _, course = fit(engine, inputs(SHOP), {}, {}, seed=0)
    assert course.losses[-1] < 0.6 * course.losses[0]


def test_what_is_hidden_is_not_looked_at() -> None:
    network = SMALL.fit(inputs(SHOP), {}, {}).network
    events = all_histories(inputs(SHOP).sequences(inputs(SHOP).until))
    masked = MaskedEvents(
        events, 8, 50, lambda query, items, target: query.sum(), tokens=64, causal=True, share=0.999
    )
    (batch, *_) = masked.batches(np.random.default_rng(0))
    with torch.no_grad():
        sums = [
            masked.losses(network, items, batch) for items in torch.eye(2, 8 * 16).view(2, 8, 16)
        ]
    assert sums[0] == sums[1]


def test_pretraining_starts_the_tasks_from_something() -> None:
    base = replace(SMALL, epochs=1)
    plain = fit(base, inputs(SHOP), {}, {}, seed=0)[1].losses[0]
    after = fit(replace(base, pretrain=15), inputs(SHOP), {}, {}, seed=0)[1].losses[0]
    assert after < 0.8 * plain


def test_a_curriculum_begins_with_short_histories() -> None:
    events = all_histories(inputs(SHOP).sequences(inputs(SHOP).until))
    learned = NextEvent(events, 8, 50, None, tokens=64, causal=True)  # type: ignore[arg-type]
    drawn = [
        np.concatenate([lengths for _, lengths in learned.batches(np.random.default_rng(0), share)])
        for share in (0.25, 1.0)
    ]
    assert drawn[0].max() < drawn[1].max()
    assert len(drawn[0]) < len(drawn[1])


def _renamed(shop: dict, prefix: str) -> dict:
    """The same habits in a shop with other items."""
    return {
        user: [(day, f"{prefix}{item}") for day, item in events] for user, events in shop.items()
    }


def _titles(shop: dict, prefix: str) -> ItemContent:
    """Items say where in the circle they stand."""
    items = Vocabulary.of(f"{prefix}{item}" for item in CIRCLE)
    angle = np.arange(8) * np.pi / 4
    rows = np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)], 1)
    return ItemContent(items, {"text": rows.astype(np.float16)}, {"text": np.ones(8, dtype=bool)})


def test_another_shop_starts_from_what_was_learned(tmp_path) -> None:
    first = replace(SMALL, item_dropout=0.9, epochs=60).fit(
        _with_content(SHOP, _titles(SHOP, "")), {}, {}
    )
    save_state(tmp_path / "first", "neural", first.state())
    few = {user: events[:2] for user, events in list(_renamed(SHOP, "x").items())[:8]}
    there: Inputs = _with_content(few, _titles(few, "x"))
    kept = load_state(tmp_path / "first")
    assert kept.state().arrays.keys() == first.state().arrays.keys()
    asked = ask(*few)
    right = 0
    for start in (None, str(tmp_path / "first")):
        engine = replace(SMALL, epochs=1, learning_rate=1e-4, start_from=start)
        got = listed(engine.fit(there, {}, {}).answer(TASK, asked, there, k=1))
        was, right = right, sum(row == [f"x{CIRCLE[(n + 2) % 8]}"] for n, row in enumerate(got))
    assert was <= 2  # of 8, by chance
    assert right >= 6


def test_starting_from_another_size_or_engine_is_refused(tmp_path) -> None:
    save_state(tmp_path / "neural", "neural", SMALL.fit(inputs(SHOP), {}, {}).state())
    with pytest.raises(ConfigError, match="dim"):
        replace(SMALL, dim=32, start_from=str(tmp_path / "neural")).fit(inputs(SHOP), {}, {})
    other = Cooccurrence().fit(inputs(SHOP), {}, {})
    save_state(tmp_path / "cooccurrence", "cooccurrence", other.state())
    with pytest.raises(ConfigError, match="start_from"):
        replace(SMALL, start_from=str(tmp_path / "cooccurrence")).fit(inputs(SHOP), {}, {})
