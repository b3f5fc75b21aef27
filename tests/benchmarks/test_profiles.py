"""Behaviour profiles on the tiny shop: every question is judged, with the baselines beside it."""

from __future__ import annotations

import json

from profiles import run_tasks
from propensity import CartToBuy, Propensity, by_item
from shoploom.core.time import DAY_US
from shoploom.engines import ENGINES
from shoploom.evaluation import TimeSplit
from shoploom.tables import Tables
from shoploom.tasks import make_task
from shoploom.tasks.category import Category
from tests.conftest import SHOP_AT


def test_every_task_is_judged_with_an_interval(shop: Tables, capsys) -> None:
    days = [SHOP_AT + day * DAY_US for day in (-42, -28, -14)]
    split = TimeSplit((days[0],), days[1], days[2], 14 * DAY_US, SHOP_AT)
    asked = [
        (shop, [make_task("churn", window_days=14)]),
        (by_item(shop), [Propensity("item", Category(window_days=14)), CartToBuy()]),
    ]
    engines = {name: ENGINES.make(name) for name in ("rfm", "bgnbd")}
    run_tasks("tiny", asked, split, engines, 0, as_json=True)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    results = told["results"]
    assert {"churn:auroc", "item:auroc"} <= results["rfm"].keys()
    assert "churn:auroc" in results["bgnbd"]
    assert not any(name.startswith("item") for name in results["bgnbd"])
    assert results["recency"].keys() == {"item:auroc", "item:auprc"}
    # In this shop everything carted is bought at once: nothing waits, so nothing is judged.
    assert told["settings"]["cart_to_buy questions"].startswith("0")
    value, low, high = results["rfm"]["item:auroc"]
    assert low < value < high


def test_each_block_of_z_is_probed_and_compared(shop: Tables, capsys) -> None:
    days = [SHOP_AT + day * DAY_US for day in (-42, -28, -14)]
    split = TimeSplit((days[0],), days[1], days[2], 14 * DAY_US, SHOP_AT)
    asked = [(shop, [make_task("churn", window_days=14)])]
    small = {"dim": 16, "layers": 1, "max_epochs": 1}
    engines = {
        "rfm": ENGINES.make("rfm"),
        "neural": ENGINES.make("neural", **small),
        "probe": ENGINES.make("probe", settings=small),
    }
    run_tasks("tiny", asked, split, engines, 0, as_json=True, blocks=True)
    results = json.loads(capsys.readouterr().out.splitlines()[-1])["results"]
    blocks = {"z: state", "z: pools", "z: factors", "z: statistics"}
    assert results.keys() == {"rfm", "neural", "probe", *blocks}
    for name in ("neural", "probe", *blocks):
        value, low, high = results[name]["churn:auroc - rfm"]
        assert low <= value <= high
        difference = results[name]["churn:auroc"][0] - results["rfm"]["churn:auroc"][0]
        assert abs(value - difference) < 1e-9
    assert "churn:auroc - rfm" not in results["rfm"]
