"""What a policy decides rests on the past alone: outcomes that come later move no decision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from shoploom.core import columns as c
from shoploom.core.progress import Quiet
from shoploom.core.time import to_us
from shoploom.policies.price import log as price_log
from shoploom.policies.price.demand import fit_demand
from shoploom.policies.price.proposals import Guardrails
from shoploom.simulate import ShopSpec, simulate
from shoploom.simulate.dirt import Dirt
from shoploom.tables import Tables, open_tables
from shoploom.workflows import audience as audiences
from shoploom.workflows import load_config
from shoploom.workflows import price as prices
from shoploom.workflows import reply as replies
from shoploom.workflows.config import ShopConfig
from shoploom.workflows.prepare import prepare
from shoploom.workflows.run import Run


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[ShopConfig, Run]:
    spec = ShopSpec(users=800, items=80, days=90, content=False, seed=3)
    folder = tmp_path_factory.mktemp("simulated") / "shop"
    config = load_config(simulate(folder, replace(spec, dirt=Dirt.none())))
    run = Run(config.run)
    prepare(config, run, Quiet())
    return config, run


def _rewritten(tables: Tables, at: int) -> Tables:
    """The same shop, in which everything came out otherwise from a moment on."""
    assert tables.exposures is not None
    assert tables.offers is not None
    shown, events, offers = tables.exposures, tables.events, tables.offers
    late = shown[c.TIME] >= at
    shown = shown.mutate(
        **{
            c.SPEND: late.ifelse(shown[c.SPEND] * 0 + 1.0, shown[c.SPEND]),
            c.CONVERTED: late.ifelse(~shown[c.CONVERTED], shown[c.CONVERTED]),
        }
    )
    events = events.filter((events[c.TIME] < at) | (events[c.ACTION] != c.PURCHASE))
    later = offers[c.TIME] >= at
    dearer = {
        name: later.ifelse(offers[name] * 3, offers[name]) for name in (c.PRICE, c.COMPETITOR_PRICE)
    }
    return replace(tables, exposures=shown, events=events, offers=offers.mutate(**dearer))


def test_rewriting_the_future_moves_no_past_elasticity(shop: tuple[ShopConfig, Run]) -> None:
    tables = open_tables(shop[1].prepared)
    last = int(tables.events[c.TIME].max().to_pyarrow().as_py())
    at = last - 10 * 86_400_000_000
    found = []
    for some in (tables, _rewritten(tables, at)):
        past = some.as_of(at)
        goods, groups = price_log.catalogue(past), price_log.groups_of(past, "tier")
        drawn, _ = price_log.tested(past, goods, groups)
        for log in (drawn, price_log.offered(past, goods, groups)):
            found.append(fit_demand(log).elasticity)
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[1], found[3])
    assert not np.array_equal(np.nan_to_num(found[0]), np.nan_to_num(found[1]))


def _audience(config: ShopConfig, run: Run) -> dict[str, Any]:
    campaign = audiences.Campaign(learner="t", value=0.4)
    return audiences.audience(config, run, Quiet(), campaign).about


def _price(config: ShopConfig, run: Run) -> dict[str, Any]:
    asked = prices.Pricing(by="tier", rails=Guardrails(competitor=(0.9, 1.1), sure=0.5))
    return prices.price(config, run, Quiet(), asked).about["judged"]


def _reply(config: ShopConfig, run: Run) -> dict[str, Any]:
    return replies.service(config, run, Quiet()).about


@pytest.mark.parametrize(
    ("module", "work", "chosen"),
    [
        pytest.param(audiences, _audience, "chosen", marks=pytest.mark.slow),
        (prices, _price, "proposed"),
        pytest.param(replies, _reply, "chosen", marks=pytest.mark.slow),
    ],
)
def test_what_came_later_moves_no_judged_decision(
    module: Any,
    work: Any,
    chosen: str,
    shop: tuple[ShopConfig, Run],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """How many decisions of the policy's own the log is worth depends on its decisions alone."""
    config, run = shop
    before = work(config, run)
    start = before.get("from") or before["judged_on"][0]
    other = _rewritten(open_tables(run.prepared), to_us(start))
    if module is not prices:  # their features of later exposures may read earlier purchases
        other = replace(other, events=open_tables(run.prepared).events)
    monkeypatch.setattr(module, "open_tables", lambda path: other)
    after = work(config, run)
    first, second = (about["policies"][chosen] for about in (before, after))
    assert first["effective"] == pytest.approx(second["effective"], rel=1e-9)
    assert before["logged"] != after["logged"]  # the future did change
