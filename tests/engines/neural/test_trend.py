"""Where catalogues turn over, answers follow what is taken of late."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shoploom.core.errors import ConfigError
from shoploom.engines import load_state, save_state
from shoploom.engines._ranking import all_histories
from shoploom.engines.neural import Neural
from shoploom.engines.neural.trend import judged_with, trend_of
from shoploom.tasks import make_task

from ..shops import ask, inputs, listed, sequences

TASK = make_task("next_item")
SMALL = Neural(dim=16, heads=2, layers=1, dropout=0.1, max_epochs=2, batch=64)


def _turning(n_users: int = 120) -> dict[str, list[tuple[float, str]]]:
    """Until day 100 people mostly take old items, after it new ones, each by chance."""
    rng = np.random.default_rng(0)
    shop = {}
    for n in range(n_users):
        start = rng.integers(0, 112)
        days = [float(start + step) for step in range(5)]
        shop[f"u{n:03d}"] = [
            (day, f"{'old' if (day < 100) == (rng.random() < 0.9) else 'new'}{rng.integers(6)}")
            for day in days
        ]
    return shop


def _share_new(answers) -> float:
    return float(np.mean([item.startswith("new") for row in listed(answers) for item in row]))


def test_the_latest_favourites_come_first_where_validation_says_so(tmp_path) -> None:
    shop = _turning()
    asked = [f"u{n:03d}" for n in range(60)]
    truth = [[f"new{n % 6}", f"new{(n + 1) % 6}"] for n in range(60)]
    validation = {TASK.name: ask(*asked, day=118, answers=truth)}
    tuned = SMALL.tune(inputs(shop, 118), {TASK.name: TASK}, {}, validation)
    assert tuned.trend is not None
    assert tuned.trend > 0
    fitted = tuned.fit(inputs(shop, 118), {}, {})
    answers = fitted.answer(TASK, ask(*asked, "nobody", day=118), inputs(shop, 118), k=3)
    still = replace(tuned, trend=0.0).fit(inputs(shop, 118), {}, {})
    before = still.answer(TASK, ask(*asked, day=118), inputs(shop, 118), k=3)
    assert _share_new(answers) > _share_new(before) + 0.2
    assert np.mean([item.startswith("new") for item in listed(answers)[-1]]) == 1
    np.testing.assert_array_less(answers.scores.sum(1), 1.0001)
    save_state(tmp_path / "neural", "neural", fitted.state())
    again = load_state(tmp_path / "neural").answer(
        TASK, ask(*asked, "nobody", day=118), inputs(shop, 118), k=3
    )
    np.testing.assert_array_equal(again.scores, answers.scores)


def test_equal_shares_at_all_times_change_nothing() -> None:
    shop = {f"u{n}": [(float(day), f"i{(n + day) % 9}") for day in range(6)] for n in range(9)}
    found = trend_of(replace(SMALL, trend=1.0), all_histories(sequences(shop)), 9)
    assert found is not None
    np.testing.assert_allclose(found, 0, atol=1e-6)
    assert trend_of(replace(SMALL, trend=0.0), all_histories(sequences(shop)), 9) is None
    assert trend_of(SMALL, all_histories(sequences(shop)), 9) is None


def test_epochs_are_judged_with_and_without_a_trend_where_it_is_still_to_be_found() -> None:
    turning, still = (all_histories(sequences(shop)) for shop in (_turning(), {"a": [(1.0, "x")]}))
    without, following = judged_with(SMALL, turning, 12)
    assert without is None
    assert following is not None
    assert len(judged_with(SMALL, still, 1)) == 1
    (named,) = judged_with(replace(SMALL, trend=0.5), turning, 12)
    assert named is not None


def test_a_trend_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="trend of at least 0"):
        Neural(trend=-1.0)
