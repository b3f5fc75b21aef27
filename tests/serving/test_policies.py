"""What was decided for the shop is what is answered for one user: prices, campaigns, replies."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from shoploom.cli import run as cli_run
from tests.journeys.conftest import ShopFolder, write_shop
from tests.journeys.test_audience import write_ads
from tests.journeys.test_price import write_price_test
from tests.journeys.test_reply import write_replies
from tests.serving.conftest import Served, event

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> ShopFolder:
    """A shop with a price test, a campaign and replies, all learned."""
    prices, ads, replies = (
        write(write_shop(tmp_path_factory.mktemp("part"))).path
        for write in (write_price_test, write_ads, write_replies)
    )
    consent = pd.read_csv(ads / "users.csv")[["user_id", "consent"]]
    folder = write_shop(tmp_path_factory.mktemp("shop"))
    folder.add(
        users=pd.read_csv(prices / "users.csv").merge(consent, on="user_id"),
        items=pd.read_csv(prices / "items.csv"),
        dialogues=pd.read_csv(replies / "dialogues.csv"),
        exposures=pd.concat([pd.read_csv(p / "exposures.csv") for p in (prices, ads, replies)]),
    )
    folder.set(engines={"popularity": {}, "rfm": {}}, tasks={"next_item": {}, "churn": {}})
    out = folder.path
    for command in (
        ["run", "--quiet"],
        ["price", "--by", "tier", "--protected", "gender", "--out", out / "prices.csv", "--quiet"],
        ["audience", "--learner", "dr", "--hold-out", 0.3, "--out", out / "ads.csv", "--quiet"],
        ["reply", "--quiet"],
    ):
        assert cli_run([command[0], str(folder.yaml), *map(str, command[1:])]) == 0
    return folder


@pytest.fixture
def served(shop: ShopFolder, serve: Callable[..., Served]) -> Served:
    """A server of it."""
    return serve(run=shop.run)


def test_prices_are_those_that_were_proposed(shop: ShopFolder, served: Served):
    users = pd.read_csv(shop.path / "users.csv").groupby("tier")["user_id"].first()
    proposed = pd.read_csv(shop.path / "prices.csv").set_index("item_id")
    for item, row in proposed.head(5).iterrows():
        for tier, user in users.items():
            told = served.get(f"/v1/users/{user}/price", item_id=item)
            assert told["proposed"] == pytest.approx(row["proposed"])
            assert told["discount"] == pytest.approx(row[f"discount of {tier}"])
            paid = round(row["proposed"] * (1 - row[f"discount of {tier}"]), 2)
            assert told["to_pay"] == pytest.approx(paid)
            assert told["reason"] == row["reason"]


def test_a_campaign_shows_to_those_who_were_named(shop: ShopFolder, served: Served):
    named = pd.read_csv(shop.path / "ads.csv").set_index("user_id")
    users = pd.read_csv(shop.path / "users.csv").set_index("user_id")
    told = {user: served.get(f"/v1/users/{user}/audience", kind="ad") for user in users.index}
    for user, row in named.iterrows():
        out = row["group"] == "hold-out"
        assert told[user]["why"] == ("left alone" if out else "shown")
        assert told[user]["arm"] == (None if out else "discount")
        assert told[user]["gain"] == pytest.approx(row["gain"], abs=1e-4)
    # Who has not come of late is not in the file, and is here now when asked about.
    others = users.index.difference(named.index)
    gold = users.loc[others, "tier"] == "gold"
    assert {told[user]["why"] for user in others[~gold]} <= {"no consent", "not worth it"}
    refused = users.index[users["consent"] != "all"]
    assert {told[user]["why"] for user in refused} == {"no consent"}
    stranger = served.get("/v1/users/nobody/audience", kind="ad")
    assert (stranger["arm"], stranger["why"]) == (None, "no consent")
    assert (
        "known ones are ad"
        in served.get("/v1/users/u01/audience", 404, kind="mail")["error"]["message"]
    )


def test_replies_suit_what_is_asked(served: Served):
    user = "u07"
    served.send(event("e1", user))
    for text, reply, intent in (
        ("Where is my parcel?", "facts", "delivery"),
        ("我要退款。", "pay", "refund"),
    ):
        asked = {"texts": [text], "user_id": user}
        told = served.client.post("/v1/reply", json=asked).json()
        assert told["reply"] == reply
        assert max(told["intent"], key=told["intent"].get) == intent
        assert told["chance"] > 0.6
        assert not told["person"]


@pytest.mark.parametrize("page", ["prices", "campaigns", "service", "users?id=u01"])
def test_pages_show_policies(served: Served, page: str):
    answer = served.client.get(f"/dashboard/{page}")
    assert answer.status_code == 200
    assert "shoploom " not in answer.text.split("<main")[1]  # no page asks for a command any more
