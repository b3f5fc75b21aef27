"""Ways of balancing on the tiny shop: each is judged, before and after recalibration."""

from __future__ import annotations

import json

from imbalance import run
from shoploom.core.time import DAY_US
from shoploom.engines.probe import Probe
from shoploom.evaluation import TimeSplit
from shoploom.tables import Tables
from shoploom.tasks import make_task
from tests.conftest import SHOP_AT


def test_every_way_of_balancing_is_judged_beside_the_baselines(
    shop: Tables, capsys, monkeypatch
) -> None:
    monkeypatch.setattr("shoploom.engines.probe.gan._STEPS", 10)
    days = [SHOP_AT + day * DAY_US for day in (-42, -28, -14)]
    split = TimeSplit((days[0],), days[1], days[2], 14 * DAY_US, SHOP_AT)
    asked = [(shop, [make_task("churn", window_days=14)])]
    probe = Probe(settings={"epochs": 1, "dim": 16, "layers": 1})
    run("tiny", asked, split, probe, rare=0.51, seed=0, as_json=True)
    results = json.loads(capsys.readouterr().out.splitlines()[-1])["results"]
    ways = {"class_weights", "focal", "over_sampling", "under_sampling", "gan"}
    assert {"none", *ways, "boosting", "rfm"} <= results.keys()
    for way in ways:
        assert {"auroc", "ece", "ece raw"} <= results[way].keys()
        value, low, high = results[f"{way} - none"]["brier"]
        assert low <= value <= high
        assert abs(value - (results[way]["brier"][0] - results["none"]["brier"][0])) < 1e-9


def test_tasks_that_are_not_rare_are_left_out(shop: Tables, capsys) -> None:
    days = [SHOP_AT + day * DAY_US for day in (-42, -28, -14)]
    split = TimeSplit((days[0],), days[1], days[2], 14 * DAY_US, SHOP_AT)
    asked = [(shop, [make_task("churn", window_days=14)])]
    run("tiny", asked, split, Probe(), rare=0.0, seed=0, as_json=True)
    assert capsys.readouterr().out == ""
