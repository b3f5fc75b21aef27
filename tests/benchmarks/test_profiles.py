"""Behaviour profiles on the tiny shop: every question is judged, with the baselines beside it."""

from __future__ import annotations

import json

from profiles import run_tasks
from propensity import CartToBuy, Propensity, by_item
from shoploom.core.time import DAY_US
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
    run_tasks("tiny", asked, split, ["rfm", "bgnbd"], 0, as_json=True)
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
