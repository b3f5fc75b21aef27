"""Boosting and its trees on small matrices whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from shoploom.core.errors import ConfigError, DataError, NotFitted
from shoploom.core.seeds import rng
from shoploom.engines import ENGINES, Inputs
from shoploom.engines._trees import TreeSettings, choose, grow
from shoploom.engines.boosting import Boosting
from shoploom.evaluation import auroc
from shoploom.sequences import views
from shoploom.tables import Tables
from shoploom.tasks import make_task

SETTINGS = TreeSettings(rounds=40, min_rows=20)


def _planted(n: int = 2_000) -> tuple[np.ndarray, np.ndarray]:
    """``(n, 3)`` features, of which the first decides, and its chance of a yes."""
    draw = rng(0, "planted")
    features = draw.normal(size=(n, 3)).astype(np.float32)
    return features, 1 / (1 + np.exp(-2.0 * features[:, 0]))


def test_what_decides_is_found_and_missing_values_are_borne() -> None:
    features, chance = _planted()
    answers = (rng(1, "draw").random(len(chance)) < chance).astype(float)
    features[::7, 1] = np.nan
    trees = grow(features[:1500], answers[:1500], "binary", SETTINGS, seed=0)
    assert auroc(trees.predict(features[1500:]), answers[1500:]) > 0.85
    assert np.argmax(trees.gains(3)) == 0


@pytest.mark.parametrize(
    ("kind", "answer", "expected"),
    [
        ("binary", 0.0, 0.5 / 101),
        ("binary", 1.0, 100.5 / 101),
        ("count", 3.0, 3.0),
        ("amount", 12.5, 12.5),
    ],
)
def test_one_answer_only_gives_the_base_rate(kind: str, answer: float, expected: float) -> None:
    features = np.zeros((100, 2), dtype=np.float32)
    trees = grow(features, np.full(100, answer), kind, SETTINGS, seed=0)
    assert trees.predict(features) == pytest.approx(np.full(100, expected))


def test_amounts_are_expected_on_average() -> None:
    features, chance = _planted()
    amounts = np.where(chance > 0.7, 100.0, 0.0)
    trees = grow(features, amounts, "amount", SETTINGS, seed=0)
    assert trees.predict(features).mean() == pytest.approx(amounts.mean(), rel=0.1)


def test_impossible_answers_are_refused() -> None:
    with pytest.raises(DataError, match="from 0 to 1"):
        grow(np.zeros((2, 1), dtype=np.float32), np.array([0.0, 2.0]), "binary", SETTINGS, seed=0)
    with pytest.raises(DataError, match="got none"):
        grow(np.zeros((0, 1), dtype=np.float32), np.zeros(0), "binary", SETTINGS, seed=0)


def test_rounds_are_chosen_on_validation() -> None:
    features, chance = _planted()
    answers = (rng(1, "draw").random(len(chance)) < chance).astype(float)
    train, valid = (features[:1500], answers[:1500]), (features[1500:], answers[1500:])
    best = choose(train, valid, "binary", [TreeSettings(rounds=400, min_rows=20)], seed=0)
    assert 1 <= best.rounds < 400


def test_another_window_than_learned_needs_a_start(shop: Tables, shop_at: int) -> None:
    task, other = make_task("churn", window_days=14), make_task("churn", window_days=28)
    inputs = Inputs(until=shop_at, tables=shop, **views(shop))
    asked = task.ask(shop, shop_at - 14 * 86_400_000_000)
    fitted = Boosting().fit(inputs, {"churn": task}, {"churn": asked})
    with pytest.raises(ConfigError, match="window of 14 days"):
        fitted.answer(other, other.ask(shop, shop_at, answered=False), inputs)
    with pytest.raises(NotFitted, match="not 'spend'"):
        fitted.importance("spend")
    assert sum(fitted.importance("churn").values()) in (0.0, pytest.approx(1.0))


def test_tuned_settings_say_what_they_are(shop: Tables, shop_at: int) -> None:
    step = 14 * 86_400_000_000
    task = make_task("spend", window_days=14)
    inputs = Inputs(until=shop_at, tables=shop, **views(shop))
    tuned = ENGINES.get("boosting")().tune(
        inputs,
        {"spend": task},
        {"spend": task.ask(shop, shop_at - 2 * step)},
        {"spend": task.ask(shop, shop_at - step)},
    )
    assert tuned.per_task["spend"]["rounds"] >= 1
    with pytest.raises(ConfigError, match="per_task: spend"):
        Boosting(per_task={"spend": {"trees": 3}}).fit(
            inputs, {"spend": task}, {"spend": task.ask(shop, shop_at - step)}
        )


@pytest.mark.parametrize(("start", "name"), [(None, "churn"), (None, "spend"), ("bgnbd", "orders")])
def test_what_was_added_sums_to_the_answer(
    shop: Tables, shop_at: int, start: str | None, name: str
) -> None:
    task = make_task(name, window_days=14)
    inputs = Inputs(until=shop_at, tables=shop, **views(shop))
    asked = {name: task.ask(shop, shop_at - 14 * 86_400_000_000)}
    engine = Boosting(start=start, per_task={name: {"rounds": 20, "min_rows": 5}})
    fitted = engine.fit(inputs, {name: task}, asked, seed=0)
    questions = task.ask(shop, shop_at, answered=False)
    told = fitted.account(task, questions, inputs)
    total = told.base + told.added.sum(axis=1)
    values = fitted.answer(task, questions, inputs).values
    assert values is not None
    expected = np.log(values / (1 - values)) if name == "churn" else np.log(values)
    np.testing.assert_allclose(total, expected, atol=1e-5)
    assert np.abs(told.added).max() > 0
