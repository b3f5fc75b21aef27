"""From exposures to a list of users: who is moved, judged, with consent and a hold-out."""

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
LEARNER = ("--learner", "dr")


def _users(folder: ShopFolder) -> list[str]:
    return sorted(
        {str(u) for u in pacsv.read_csv(folder.path / "events.csv")["user_id"].to_pylist()}
    )


def write_ads(folder: ShopFolder, **changed: object) -> ShopFolder:
    """Exposures with planted truth: gold users spend 4 more when shown a discount, others 1 less;
    the ad costs .5. Every user is drawn an arm daily for six weeks.
    """
    users = _users(folder)
    draw = np.random.default_rng(0)
    gold = {user: n % 2 == 0 for n, user in enumerate(users)}
    about = pd.DataFrame(
        {
            "user_id": users,
            "tier": ["gold" if gold[u] else "basic" for u in users],
            "consent": ["service only" if n % 10 == 0 else "all" for n in range(len(users))],
        }
    )
    rows = []
    for day in range(SHOP_DAYS - 42, SHOP_DAYS):
        for user in users:
            arm = "ad:discount" if draw.random() < 0.4 else "ad:none"
            moved = (4.0 if gold[user] else -1.0) if arm == "ad:discount" else 0.0
            rows.append(
                {
                    "user_id": user,
                    "time": int(SHOP_START + day * DAY_US),
                    "arm": arm,
                    "propensity": 0.4 if arm == "ad:discount" else 0.6,
                    "spend": 5 + moved + draw.normal(),
                    "cost": 0.5 if arm == "ad:discount" else 0.0,
                }
            )
    frame = pd.DataFrame(rows)
    for name, value in changed.items():
        if value is None:
            frame = frame.drop(columns=name)
        else:
            frame[name] = value
    folder.add(users=about, exposures=frame)
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> ShopFolder:
    folder = write_ads(write_shop(tmp_path_factory.mktemp("shop")))
    assert cli_run(["prepare", str(folder.yaml), "--quiet"]) == 0
    return folder


def test_those_who_are_moved_and_have_agreed_are_named(
    shop: ShopFolder, shoploom: Shoploom, tmp_path: Path
) -> None:
    out = tmp_path / "ads.parquet"
    said = shoploom("audience", shop.yaml, "--quiet", *LEARNER, "--hold-out", 0.3, "--out", out)
    assert said.code == 0, said.err
    assert "logged policy" in said.out
    assert "not shown to be better" not in said.out
    named = pd.read_parquet(out)
    users = pacsv.read_csv(shop.path / "users.csv").to_pandas().set_index("user_id")
    about = users.loc[named["user_id"]]
    assert (about["consent"] == "all").all()
    assert (about["tier"] == "gold").mean() > 0.95
    assert len(named) > 15
    assert named["gain"].is_monotonic_decreasing
    held = named["group"] == "hold-out"
    assert 0 < held.mean() < 0.7
    assert named.loc[held, "cost"].eq(0).all()
    saved = json.loads((shop.run / "audience" / "ad.json").read_text())
    low, high = saved["policies"]["chosen"]["estimates"]["sndr"][1:]
    # Half of the users spend 4 more for .5; the truth is 5 + .5 x 3.5.
    assert low < 6.75 < high
    assert saved["chosen_minus_best"][1] > 0
    assert saved["orders"]["discount"]["results"]["dr"]["qini"][1] > 0
    assert len(saved["orders"]["discount"]["curve"]["gain"]) == 101
    again = tmp_path / "again.parquet"
    shoploom("audience", shop.yaml, "--quiet", *LEARNER, "--hold-out", 0.3, "--out", again)
    pd.testing.assert_frame_equal(named, pd.read_parquet(again))


@pytest.mark.slow
def test_a_budget_is_kept(shop: ShopFolder, shoploom: Shoploom, tmp_path: Path) -> None:
    out = tmp_path / "ads.csv"
    said = shoploom("audience", shop.yaml, "--quiet", *LEARNER, "--budget", 2, "--out", out)
    assert said.code == 0, said.err
    named = pd.read_csv(out)
    assert 0 < len(named) <= 4
    assert named["cost"].sum() <= 2


@pytest.mark.slow
def test_without_propensities_it_is_called_observational(
    shoploom: Shoploom, folder: ShopFolder
) -> None:
    write_ads(folder, propensity=None)
    assert shoploom("prepare", folder.yaml, "--quiet").code == 0
    said = shoploom("audience", folder.yaml, "--quiet", *LEARNER)
    assert said.code == 0, said.err
    assert "observational" in said.out


@pytest.mark.parametrize(
    ("changed", "how", "message"),
    [
        ({"arm": "ad:discount"}, (), "expected several arms"),
        ({"propensity": 0.0}, (), "holds no rows"),  # cleaning has set all of them aside
        ({"propensity": 1.0}, (), "strictly between 0 and 1"),
        ({}, ("--outcome", "clicked"), "was not logged"),
        ({}, ("--kind", "add"), "Did you mean 'ad'"),
        ({}, ("--control", "nothing"), "no arm is named"),
        ({}, ("--learner", "drr"), "no uplift learner is named"),
        ({}, ("--budget", "-1"), "above 0"),
        ({}, ("--kind", "../ad"), "expected a kind of letters"),
    ],
)
def test_what_cannot_be_judged_names_nobody(
    changed: dict, how: tuple, message: str, folder: ShopFolder, shoploom: Shoploom, tmp_path: Path
) -> None:
    write_ads(folder, **changed)
    assert shoploom("prepare", folder.yaml, "--quiet").code == 0
    out = tmp_path / "ads.parquet"
    said = shoploom("audience", folder.yaml, "--quiet", *(how or LEARNER), "--out", out)
    assert said.code in (2, 3)
    assert message in said.err
    assert not out.exists()


def test_a_shop_without_exposures_is_told(folder: ShopFolder, shoploom: Shoploom) -> None:
    assert shoploom("prepare", folder.yaml, "--quiet").code == 0
    said = shoploom("audience", folder.yaml, "--quiet")
    assert said.code == 3
    assert "expected a table of exposures" in said.err
