from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shoploom.engines import Inputs, fit_once, tune_once
from shoploom.engines.boosting import Boosting
from shoploom.engines.cooccurrence import Cooccurrence
from shoploom.engines.neural import Neural, fitting
from shoploom.tasks import make_task

from .shops import ask, inputs

TASKS = {"next_item": make_task("next_item")}
SHOP = {f"u{n}": [(float(day), f"i{(n + day) % 7}") for day in range(8)] for n in range(20)}
LATER = ask(*SHOP, day=7.5, answers=[[f"i{(n + 8) % 7}"] for n in range(20)])


def _inputs(kept: Path | None = None) -> Inputs:
    plain = inputs(SHOP)
    return Inputs(
        until=plain.until, sequences=plain.sequences, statistics=plain.statistics, kept=kept
    )


def _listed(fitted, shop: Inputs) -> np.ndarray:
    asked = ask(*SHOP)
    return fitted.answer(TASKS["next_item"], asked, shop, k=5).items


def test_another_process_finds_what_was_learned(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _inputs(tmp_path)
    tuned = tune_once(Cooccurrence(), first, TASKS, {}, {"next_item": LATER})
    listed = _listed(fit_once(tuned, first, TASKS, {}), first)

    def never(*args: object, **kwargs: object) -> None:
        raise AssertionError("learned again")

    monkeypatch.setattr(Cooccurrence, "tune", never)
    monkeypatch.setattr(Cooccurrence, "fit", never)
    again = _inputs(tmp_path)
    assert tune_once(Cooccurrence(), again, TASKS, {}, {"next_item": LATER}) == tuned
    assert np.array_equal(_listed(fit_once(tuned, again, TASKS, {}), again), listed)
    with pytest.raises(AssertionError, match="learned again"):  # settings decide what is found
        fit_once(replace(tuned, window=9), again, TASKS, {})
    with pytest.raises(AssertionError, match="learned again"):
        fit_once(tuned, _inputs(), TASKS, {})


def test_what_tuning_has_trained_is_not_trained_again(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Neural(dim=16, layers=1, batch=64, max_epochs=40)
    shop = _inputs()
    tuned = tune_once(engine, shop, TASKS, {}, {"next_item": LATER})
    past = shop.upto(int(LATER.times.min()))
    trained = tuned.fit(past, TASKS, {}).state()
    monkeypatch.setattr(fitting, "train", None)
    kept = fit_once(tuned, past, TASKS, {}).state()
    assert kept.config == trained.config
    assert all(np.array_equal(kept.arrays[key], trained.arrays[key]) for key in trained.arrays)


def test_whole_numbers_stay_whole_on_disk(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    tuned = Boosting(per_task={"churn": {"rounds": 30, "learning_rate": 0.1}})
    monkeypatch.setattr(Boosting, "tune", lambda *args, **how: tuned)
    for _ in range(2):
        found = tune_once(Boosting(), _inputs(tmp_path), TASKS, {}, {})
        assert isinstance(found.per_task["churn"]["rounds"], int)
