"""From a price test to proposals: learned, judged, within guardrails, or refused in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.csv as pacsv
import pytest

from shoploom.cli import run as cli_run
from shoploom.core.time import DAY_US, WEEK_US
from tests.conftest import SHOP_DAYS, SHOP_START
from tests.journeys.conftest import Said, ShopFolder, write_shop

Shoploom = Callable[..., Said]
ARMS = (0.8, 0.9, 1.0, 1.1, 1.25)
LIST = 20.0


def write_price_test(folder: ShopFolder, **changed: object) -> ShopFolder:
    """Prices drawn for eight weeks: gold users answer with 3, others with 1.2; items cost 10."""
    events = pacsv.read_csv(folder.path / "events.csv").to_pandas()
    users = sorted(events["user_id"].astype(str).unique())
    items = sorted(events["item_id"].dropna().astype(str).unique())
    draw = np.random.default_rng(0)
    gold = {user: n % 2 == 0 for n, user in enumerate(users)}
    about = pd.DataFrame(
        {
            "user_id": users,
            "tier": ["gold" if gold[u] else "basic" for u in users],
            "gender": [("f", "m")[n % 3 == 0] for n in range(len(users))],
        }
    )
    cost = changed.pop("cost", 10.0)
    goods = pd.DataFrame(
        {
            "item_id": items,
            "title": [f"Thing {n}" for n in range(len(items))],
            "category": ["Things"] * len(items),
            "price": [LIST] * len(items),
            "cost": [cost] * len(items),
        }
    )
    factor = float(changed.pop("factor", 1.0))  # type: ignore[arg-type]
    n = 8_000
    user, item = draw.integers(0, len(users), n), draw.integers(0, len(items), n)
    arm = np.array(ARMS)[draw.integers(0, len(ARMS), n)]
    elasticity = np.where([gold[users[u]] for u in user], 3.0, 1.2)
    units = draw.poisson(0.6 * arm**-elasticity)
    price = np.round(LIST * arm * factor, 2)
    time = SHOP_START + (SHOP_DAYS - 56) * DAY_US + draw.integers(0, 56 * DAY_US, n)
    shown = pd.DataFrame(
        {
            "user_id": [users[u] for u in user],
            "time": np.sort(time),
            "arm": [f"price:{a:g}" for a in arm],
            "propensity": 0.2,
            "context": [
                json.dumps({"item_id": items[i], "price": p})
                for i, p in zip(item, price, strict=True)
            ],
            "spend": units * price,
        }
    )
    for name, value in changed.items():
        shown[name] = value
    folder.add(users=about, items=goods, exposures=shown)
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> ShopFolder:
    folder = write_price_test(write_shop(tmp_path_factory.mktemp("shop")))
    assert cli_run(["prepare", str(folder.yaml), "--quiet"]) == 0
    return folder


def test_prices_are_proposed_judged_and_exported(
    shop: ShopFolder, shoploom: Shoploom, tmp_path: Path
) -> None:
    out, draws, stock = tmp_path / "p.csv", tmp_path / "d.parquet", tmp_path / "stock.csv"
    first = str(pacsv.read_csv(shop.path / "items.csv")["item_id"][0].as_py())
    stock.write_text(f"item_id,stock\n{first},12\nnone,3\n")
    how = ("--by", "tier", "--protected", "gender", "--out", out, "--draws", draws)
    said = shoploom("price", shop.yaml, "--quiet", *how, "--stock", stock, "--parity", 0.01)
    assert said.code == 0, said.err
    assert "logged policy" in said.out
    assert "season of none: none, not in the catalogue" in said.out
    table, kept = pd.read_csv(out), json.loads((shop.run / "price.json").read_text())
    gold, basic = kept["groups"]["gold"], kept["groups"]["basic"]
    assert gold == pytest.approx(3.0, abs=0.5)
    assert basic == pytest.approx(1.2, abs=0.5)
    assert kept["drawn"]
    assert kept["refused"] is None
    assert (np.abs(table["proposed"] / table["price"] - 1) <= 0.1 + 1e-9).all()
    assert (table["proposed"] >= 10 * 1.05).all()
    assert set(table["action"]) <= {"raise", "lower", "keep"}
    # Discounts are for those who answer, cut until women and men pay alike.
    assert table["discount of basic"].eq(0).all()
    assert kept["discounts"]["apart"] <= 0.01 + 1e-9
    assert set(kept["judged"]["policies"]) >= {"proposed", "best tried", "everybody: 1"}
    chances = pd.read_parquet(draws)
    np.testing.assert_allclose(chances.groupby("item_id")["propensity"].sum(), 1)
    assert kept["season"][0]["stock"] == 12
    assert kept["season"][0]["brings"] >= kept["season"][0]["kept"] - 1e-6
    assert len(kept["curves"][0]["prices"]) == 25
    again = tmp_path / "again.csv"
    shoploom(
        "price",
        shop.yaml,
        "--quiet",
        "--by",
        "tier",
        "--protected",
        "gender",
        "--parity",
        0.01,
        "--out",
        again,
    )
    pd.testing.assert_frame_equal(table, pd.read_csv(again))


@pytest.mark.parametrize(
    ("changed", "how", "message"),
    [
        ({"arm": "price:1"}, (), "expected several prices"),
        ({"arm": "price:dear"}, (), "expected arms such as price:0.9"),
        ({"factor": 7.2}, (), "7.2 times as high"),
        ({"context": None}, (), "expected a context"),
        ({"spend": 0.0}, (), "too little was sold"),
        ({"cost": None}, (), "expected items with a cost"),
        ({}, ("--by", "tire"), "Did you mean 'tier'"),
        ({}, ("--step", "3"), "expected step from"),
        ({}, ("--stock", "nowhere.csv"), "found none at"),
    ],
)
def test_what_cannot_be_priced_is_refused(
    changed: dict, how: tuple, message: str, folder: ShopFolder, shoploom: Shoploom, tmp_path: Path
) -> None:
    write_price_test(folder, **changed)
    assert shoploom("prepare", folder.yaml, "--quiet").code == 0
    out = tmp_path / "prices.csv"
    said = shoploom("price", folder.yaml, "--quiet", *how, "--out", out)
    assert said.code in (2, 3)
    assert message in said.err
    assert not out.exists()


@pytest.mark.slow
def test_below_cost_nothing_is_proposed(
    folder: ShopFolder, shoploom: Shoploom, tmp_path: Path
) -> None:
    write_price_test(folder, cost=25.0)
    assert shoploom("prepare", folder.yaml, "--quiet").code == 0
    out = tmp_path / "prices.csv"
    said = shoploom("price", folder.yaml, "--quiet", "--out", out)
    assert said.code == 0, said.err
    table = pd.read_csv(out)
    assert (table["proposed"] == table["price"]).all()
    assert table["reason"].str.contains("costs more than it brings").any()


def test_offers_that_nobody_drew_are_not_exported_unasked(
    folder: ShopFolder, shoploom: Shoploom, tmp_path: Path
) -> None:
    events = pacsv.read_csv(folder.path / "events.csv").to_pandas()
    items = sorted(events["item_id"].dropna().astype(str).unique())
    draw = np.random.default_rng(0)
    monday = SHOP_START - SHOP_START % WEEK_US
    offers = pd.DataFrame(
        [
            {
                "item_id": i,
                "time": int(monday + w * WEEK_US),
                "price": 20 * float(draw.choice(ARMS)),
            }
            for i in items
            for w in range(SHOP_DAYS // 7)
        ]
    )
    folder.add(offers=offers)
    assert shoploom("prepare", folder.yaml, "--quiet").code == 0
    out = tmp_path / "prices.csv"
    how = ("--quiet", "--assume-margin", "0.4", "--out", out)
    said = shoploom("price", folder.yaml, *how)
    assert said.code == 3
    assert "no export" in said.err
    assert "observational" in said.out
    assert not out.exists()
    assert shoploom("price", folder.yaml, *how, "--observational").code == 0
    assert out.exists()


def test_a_shop_without_prices_is_told(folder: ShopFolder, shoploom: Shoploom) -> None:
    assert shoploom("prepare", folder.yaml, "--quiet").code == 0
    said = shoploom("price", folder.yaml, "--quiet")
    assert said.code == 3
    assert "expected" in said.err
