"""From logged replies to answers: learned, judged, escalated, refused."""

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
ASKS = {
    "delivery": ("Where is my parcel?", "我的包裹在哪里？"),
    "refund": ("I want my money back.", "我要退款。"),
}
SUITS = {("delivery", "facts"): 0.9, ("refund", "pay"): 0.9}


def write_replies(folder: ShopFolder, n: int = 600, **changed: object) -> ShopFolder:
    """Facts suit who asks for a parcel, money suits who wants it back; drawn evenly."""
    events = pacsv.read_csv(folder.path / "events.csv").to_pandas()
    users = sorted(events["user_id"].astype(str).unique())
    draw = np.random.default_rng(0)
    turns, shown = [], []
    for number in range(n):
        user, intent = users[draw.integers(len(users))], ("delivery", "refund")[draw.integers(2)]
        reply = ("facts", "pay")[draw.integers(2)]
        time = int(SHOP_START + (SHOP_DAYS - 60) * DAY_US + number * DAY_US // 12)
        suited = bool(draw.random() < SUITS.get((intent, reply), 0.2))
        said = (
            ("customer", ASKS[intent][draw.integers(2)]),
            ("agent", "It is on its way." if reply == "facts" else "We have paid it back."),
            ("customer", "thanks" if suited else "no"),
        )
        for place, (role, text) in enumerate(said):
            turns.append(
                {
                    "dialogue_id": f"d{number}",
                    "user_id": user,
                    "time": time + place,
                    "role": role,
                    "text": text,
                    "satisfaction": (5.0 if suited else 1.0) if place == 2 else None,
                }
            )
        about = {"dialogue_id": f"d{number}", "intent": intent, "emotion": "calm"}
        shown.append(
            {
                "user_id": user,
                "time": time,
                "arm": f"reply:{reply}",
                "propensity": 0.5,
                "context": json.dumps(about),
                "converted": suited,
            }
        )
    frame = pd.DataFrame(shown)
    for name, value in changed.items():
        frame = frame.drop(columns=name) if value is None else frame.assign(**{name: value})
    folder.add(dialogues=pd.DataFrame(turns), exposures=frame)
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> ShopFolder:
    folder = write_replies(write_shop(tmp_path_factory.mktemp("shop")))
    assert cli_run(["prepare", str(folder.yaml), "--quiet"]) == 0
    return folder


def test_replies_are_learned_judged_and_given(
    shop: ShopFolder, shoploom: Shoploom, tmp_path: Path
) -> None:
    out = tmp_path / "answers.csv"
    texts = ("--text", "where is the parcel", "--text", "我要退款")
    said = shoploom("reply", shop.yaml, "--quiet", *texts, "--out", out)
    assert said.code == 0, said.err
    assert "logged policy" in said.out
    answers = pd.read_csv(out)
    assert answers["reply"].tolist() == ["facts", "pay"]
    assert answers["intent"].tolist() == ["delivery", "refund"]
    assert answers["source"].tolist() == ["past", "past"]
    assert not answers["person"].any()
    kept = json.loads((shop.run / "reply.json").read_text())
    assert kept["refused"] is None
    # The log has .55 suited on average; the best replies .9, each worth 10.
    chosen = kept["policies"]["chosen"]
    low, high = chosen["estimates"][chosen["read"]][1:]
    assert low < 9.0 < high
    assert chosen["minus_logged"][chosen["read"]][1] > 0
    assert kept["chosen_minus_best"][1] > 0
    assert kept["matrix"]["delivery"]["facts"] > 0.7
    said = shoploom("reply", shop.yaml, "--quiet", "--text", "hello", "--least", 0.99)
    assert "a person should answer" in said.out


@pytest.mark.parametrize(
    ("changed", "how", "message"),
    [
        ({"propensity": None}, (), "expected propensities, found none"),
        ({"arm": "reply:facts"}, (), "expected several arms"),
        ({}, ("--outcome", "clicked"), "was not logged"),
    ],
)
def test_what_cannot_be_judged_answers_nobody(
    changed: dict, how: tuple, message: str, folder: ShopFolder, shoploom: Shoploom
) -> None:
    write_replies(folder, 100, **changed)
    assert shoploom("prepare", folder.yaml, "--quiet").code == 0
    said = shoploom("reply", folder.yaml, "--quiet", "--text", "hello", *how)
    assert said.code == 3
    assert message in said.err


def test_wrong_settings_are_told_at_once(shop: ShopFolder, shoploom: Shoploom) -> None:
    for how, message in (
        (("--least", "2"), "from 0 to 1"),
        (("--worth", "0"), "above 0"),
        (("--templates", "no.yaml"), "no.yaml"),
    ):
        said = shoploom("reply", shop.yaml, "--quiet", *how)
        assert said.code == 2
        assert message in said.err


@pytest.mark.slow
def test_a_small_log_gives_no_verdict(folder: ShopFolder, shoploom: Shoploom) -> None:
    write_replies(folder, 140)
    assert shoploom("prepare", folder.yaml, "--quiet").code == 0
    said = shoploom("reply", folder.yaml, "--quiet", "--text", "where is my parcel")
    assert said.code == 3
    assert "no answer: the log is worth" in said.err
