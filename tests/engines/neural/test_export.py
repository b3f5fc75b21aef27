from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from shoploom.core.columns import ACTIONS
from shoploom.core.errors import ConfigError
from shoploom.engines.neural.asked import read
from shoploom.engines.neural.export import tower_inputs
from shoploom.tasks import Questions

from .test_tasks import AT, SHOP, SMALL, TASKS, USERS, _fit


def _seen(fitted, users: list[str]):
    name = TASKS["binary"].name
    asked = Questions(name, np.array(users, dtype=object), np.full(len(users), AT))
    reader = {name: fitted.learned[name].reader}
    known, rows = read(reader, {name: asked}, SHOP, fitted.catalogue, fitted.settings.length)
    return known.batch(np.arange(len(users)), len(fitted.catalogue)), rows[name].order


@pytest.mark.parametrize("backbone", ["transformer", "gru"])
def test_the_graph_answers_as_torch_does(backbone: str, tmp_path) -> None:
    fitted = _fit(replace(SMALL, backbone=backbone, epochs=3), "binary", "amount")
    made = fitted.export(tmp_path / "tower", {"shoploom": "1"})
    session = onnxruntime.InferenceSession(made.graph, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    tasks = [TASKS["binary"].name, TASKS["amount"].name]
    assert names == ["state", "query", "again", "events", "profile", *tasks]
    items = np.load(made.items)
    # One user, several of unequal length, and one without any history.
    for users in ([USERS[3]], USERS[:6], [*USERS[:3], "nobody"]):
        seen, order = _seen(fitted, users)
        action = torch.full((len(users),), ACTIONS.index("purchase"))
        got = dict(zip(names, session.run(None, tower_inputs(seen, action)), strict=True))
        known = np.isin(np.array(users)[order], USERS)
        with torch.no_grad():
            profile = fitted.network.profiles(seen, fitted.items).numpy()
            state = seen.batch.last(fitted.network.states(seen.batch, fitted.items))
            logits = (fitted.network.query(state, action) @ fitted.items.T).numpy()
            whole = fitted.network.last_scores(seen.batch, fitted.items, action).exp().numpy()
        np.testing.assert_allclose(got["profile"], profile, atol=1e-4)
        np.testing.assert_allclose((got["query"] @ items.T)[known], logits[known], atol=1e-3)
        mixed = _mixed(got, items, seen.batch.item.numpy())
        np.testing.assert_allclose(mixed[known], whole[known], atol=1e-4)
        for kind in ("binary", "amount"):
            task = TASKS[kind]
            asked = Questions(
                task.name, np.array(users, dtype=object)[order], np.full(len(users), AT)
            )
            answers = fitted.answer(task, asked, SHOP).values
            np.testing.assert_allclose(got[task.name], answers, rtol=1e-3, atol=1e-4)


def _mixed(got: dict[str, np.ndarray], items: np.ndarray, history: np.ndarray) -> np.ndarray:
    """The probability of every item, as the card says."""
    logits = got["query"] @ items.T
    found = np.exp(logits - logits.max(1, keepdims=True))
    found *= ((1 - got["again"]) / found.sum(1))[:, None]
    row = np.repeat(np.arange(len(history)), history.shape[1])
    inside = history.ravel() < len(items)
    again = (got["again"][:, None] * got["events"]).ravel()
    np.add.at(found, (row[inside], history.ravel()[inside]), again[inside])
    return found


def test_the_card_says_what_goes_in(tmp_path) -> None:
    fitted = _fit(replace(SMALL, epochs=1), "binary")
    made = fitted.export(tmp_path / "tower", {"shoploom": "1"})
    card = json.loads(made.card.read_text())
    assert card["n_items"] == len(json.loads(made.ids.read_text())) == len(np.load(made.items))
    assert not np.load(made.trend).any()
    assert card["shoploom"] == "1"
    assert list(card["inputs"])[:2] == ["item", "action"]
    assert card["tasks"] == {TASKS["binary"].name: {"kind": "binary", "window_days": 14}}


def test_the_trend_stands_beside_the_items(tmp_path) -> None:
    fitted = _fit(replace(SMALL, epochs=1, trend=1.0), "binary")
    made = fitted.export(tmp_path / "tower", {"shoploom": "1"})
    assert fitted.trend is not None
    np.testing.assert_array_equal(np.load(made.trend), fitted.trend.numpy())


def test_what_onnx_cannot_hold_is_refused(tmp_path) -> None:
    fitted = _fit(replace(SMALL, backbone="bilstm", epochs=1), "binary")
    with pytest.raises(ConfigError, match="transformer, gru"):
        fitted.export(tmp_path / "tower", {"shoploom": "1"})
    assert not (tmp_path / "tower").exists()
