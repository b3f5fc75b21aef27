"""Slates and look-alikes of a trained shop: rules kept, chances logged, judged, refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.csv as pacsv
import pytest

from shoploom.cli import run as cli_run
from shoploom.core.time import DAY_US
from tests.conftest import SHOP_DAYS, SHOP_START
from tests.journeys.conftest import Said, ShopFolder, write_shop

Shoploom = Callable[..., Said]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> ShopFolder:
    """Trained, with items shown at random all the time, and clicked at random."""
    folder = write_shop(tmp_path_factory.mktemp("shop"))
    events = pacsv.read_csv(folder.path / "events.csv").to_pandas()
    users = sorted(events["user_id"].astype(str).unique())
    items = sorted(events["item_id"].dropna().astype(str).unique())
    draw = np.random.default_rng(0)
    n = 4000
    item = draw.integers(0, len(items), n)
    shown = pd.DataFrame(
        {
            "user_id": [users[u] for u in draw.integers(0, len(users), n)],
            "time": np.sort(SHOP_START + draw.integers(0, SHOP_DAYS * DAY_US, n)),
            "arm": [f"item:{items[i]}" for i in item],
            "propensity": 1 / len(items),
            "clicked": draw.random(n) < 0.3,
        }
    )
    folder.add(exposures=shown)
    folder.set(
        tasks={"next_item": {"window_days": 14}},
        engines={"popularity": {}, "cooccurrence": {}},
    )
    assert cli_run(["run", str(folder.yaml), "--quiet"]) == 0
    return folder


def test_slates_keep_the_rules_and_carry_their_chances(
    shop: ShopFolder, shoploom: Shoploom, tmp_path: Path
) -> None:
    out, stock = tmp_path / "slates.parquet", tmp_path / "stock.csv"
    items = pacsv.read_csv(shop.path / "items.csv")["item_id"].to_pylist()
    banned, short = str(items[0]), str(items[1])
    stock.write_text(f"item_id,stock\n{short},2\n")
    how = ("--outcome", "clicked", "--temperature", 0.5, "--diversity", 0.3, "--k", 4)
    said = shoploom(
        "slates", shop.yaml, "--quiet", *how, "--without", banned, "--stock", stock, "--out", out
    )
    assert said.code == 0, said.err
    assert "logged policy" in said.out
    table = pd.read_parquet(out)
    assert banned not in set(table["item_id"])
    assert (table["item_id"] == short).sum() <= 2
    assert table.groupby("user_id")["item_id"].nunique().max() <= 4
    assert not table.duplicated(["user_id", "item_id"]).any()
    assert table["propensity"].between(0, 1, inclusive="right").all()
    kept = json.loads((shop.run / "slates.json").read_text())
    assert kept["judged_on"] > 100
    low, high = kept["estimates"]["snipw"][1:]
    assert low < 0.3 < high  # clicks fall at random: no policy brings more
    again = tmp_path / "again.parquet"
    shoploom(
        "slates", shop.yaml, "--quiet", *how, "--without", banned, "--stock", stock, "--out", again
    )
    pd.testing.assert_frame_equal(table, pd.read_parquet(again))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (("--diversity", "1.5"), "expected diversity"),
        (("--without", "nothing"), "expected known items"),
        (("--stock", "nowhere.csv"), "found none at"),
        (("--outcome", "spend"), "was not logged"),
        (("--engine", "coocurrence", "--outcome", "clicked"), "Did you mean 'cooccurrence'"),
    ],
)
def test_what_cannot_be_is_refused(
    how: tuple, message: str, shop: ShopFolder, shoploom: Shoploom
) -> None:
    said = shoploom("slates", shop.yaml, "--quiet", *how)
    assert said.code in (2, 3)
    assert message in said.err


def test_look_alikes_are_found_and_measured(
    shop: ShopFolder, shoploom: Shoploom, tmp_path: Path
) -> None:
    events = pacsv.read_csv(shop.path / "events.csv").to_pandas()
    counts = events["user_id"].astype(str).value_counts()
    seeds, out = tmp_path / "seeds.csv", tmp_path / "alike.csv"
    pd.DataFrame({"user_id": counts.index[:5]}).to_csv(seeds, index=False)
    said = shoploom("lookalike", shop.yaml, "--quiet", "--seeds", seeds)
    assert said.code == 3
    assert "at least 20 named users" in said.err
    named = counts.index[:25].tolist()
    pd.DataFrame({"user_id": [*named, "stranger"]}).to_csv(seeds, index=False)
    said = shoploom("lookalike", shop.yaml, "--quiet", "--seeds", seeds, "--size", 5, "--out", out)
    assert said.code == 0, said.err
    table = pd.read_csv(out)
    assert 0 < len(table) <= 5
    assert not set(table["user_id"].astype(str)) & set(named)
    assert table["likeness"].is_monotonic_decreasing
    assert "AUROC" in said.out
    pd.DataFrame({"user_id": ["x"] * 3}).to_csv(seeds, index=False)
    said = shoploom("lookalike", shop.yaml, "--quiet", "--seeds", seeds)
    assert said.code == 2
    assert "found none of 1" in said.err
