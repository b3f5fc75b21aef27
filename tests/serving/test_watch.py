"""What goes on is seen as it is, and only what is unusual raises an alarm."""

from __future__ import annotations

import numpy as np
import pytest

from shoploom.core import columns as c
from shoploom.core.time import HOUR_US, MINUTE_US, to_us
from shoploom.serving.store import Counts
from shoploom.serving.store.sqlite import SqliteStore
from shoploom.serving.watch import Rolling, alerts_of, drift_of, psi, reference_of
from tests.serving.conftest import Served, event
from tests.serving.test_store import made

NOW = to_us("2026-11-28T12:00:30")
VIEW, BUY = c.ACTIONS.index(c.VIEW), c.ACTIONS.index(c.PURCHASE)


def counts(views: np.ndarray, bought: np.ndarray) -> Counts:
    """By minute up to now, the last one last; a purchase is worth ten."""
    n = len(views)
    end = NOW - NOW % MINUTE_US
    start = end - np.arange(n - 1, -1, -1) * MINUTE_US
    return Counts(
        np.concatenate([start, start]),
        np.repeat([VIEW, BUY], n),
        np.concatenate([views, bought]),
        np.concatenate([0 * views, 1000 * bought]),
    )


def usual(seed: int, minutes: int = 600, views: float = 20.0, bought: float = 2.0):
    draw = np.random.default_rng(seed)
    return draw.poisson(views, minutes), draw.poisson(bought, minutes)


def test_a_usual_day_raises_no_alarm():
    alarms = sum(len(alerts_of(counts(*usual(seed)), NOW)) for seed in range(200))
    assert alarms <= 4  # four spreads away by chance alone: hardly ever


@pytest.mark.parametrize(
    ("factor", "level"), [(3.0, "high"), (0.0, "low")], ids=["rush", "silence"]
)
def test_a_rush_and_a_silence_are_noticed(factor: float, level: str):
    views, bought = usual(1)
    views[-10:] = (views[-10:] * factor).astype(int)
    found = {alert.what: alert for alert in alerts_of(counts(views, bought), NOW)}
    assert found["traffic"].level == level
    assert found["traffic"].now == pytest.approx(views[-10:].sum() + bought[-10:].sum(), abs=40)


def test_a_checkout_that_breaks_is_noticed():
    views, bought = usual(2)
    bought[-60:] = 0
    found = {alert.what: alert.level for alert in alerts_of(counts(views, bought), NOW)}
    assert found["conversion"] == "low"


@pytest.mark.filterwarnings("error")
def test_a_shop_where_nobody_buys_is_watched_as_well():
    views, _ = usual(4)
    assert alerts_of(counts(views, 0 * views), NOW) == []
    views[-10:] *= 3
    found = alerts_of(counts(views, 0 * views), NOW)
    assert [(alert.what, alert.level) for alert in found] == [("traffic", "high")]


def test_too_little_is_no_reason_for_an_alarm():
    assert alerts_of(counts(*usual(3, minutes=40)), NOW) == []
    assert alerts_of(Counts(*np.empty((4, 0), dtype=np.int64)), NOW) == []


def shares(items: list[str]) -> np.ndarray:
    return np.array([{"hit": 0.5, "tea": 0.5}.get(item, 0.0) for item in items])


def test_the_last_hour_is_counted_by_different_users(filed: SqliteStore):
    rolling = Rolling(filed, lambda: NOW)
    old = NOW - 2 * HOUR_US
    filed.append([made("old", "zed", old, VIEW, item_id="hit")])
    filed.append(
        [made(f"v{n}", f"u{n % 4}", NOW - n * MINUTE_US, VIEW, item_id="tea") for n in range(12)]
    )
    filed.append(
        [
            made(f"b{n}", "u1", NOW - n, BUY, item_id="new", price=2.0, quantity=2.0)
            for n in range(5)
        ]
    )
    assert rolling.update() == 18
    found = rolling.snapshot(shares)
    assert (found.users, found.events, found.revenue) == (4, 17, 20.0)
    assert found.funnel == {c.VIEW: 4, c.CART: 0, c.PURCHASE: 1}
    assert found.conversion == 0.25
    assert [each.item_id for each in found.trending] == ["new", "tea"]
    assert found.trending[0].expected == 0
    assert found.trending[1].expected == pytest.approx(8.5)
    assert found.feed[0].item_id == "new"
    assert rolling.update() == 0


def test_two_followers_say_the_same(filed: SqliteStore):
    first, second = (Rolling(filed, lambda: NOW) for _ in range(2))
    for turn in range(4):
        filed.append([made(f"{turn}/{n}", f"u{n}", NOW - n, VIEW, item_id="tea") for n in range(5)])
        first.update()
    second.update()
    assert first.snapshot(shares) == second.snapshot(shares)


def test_the_hour_passes(filed: SqliteStore):
    now = [NOW]
    rolling = Rolling(filed, lambda: now[0])
    filed.append([made("a", "u", NOW, VIEW, item_id="tea")])
    rolling.update()
    now[0] += 2 * HOUR_US
    rolling.update()
    assert rolling.snapshot(shares).events == 0


def test_the_stability_index_is_that_of_its_definition():
    then, now = np.array([0.2, 0.5, 0.3]), np.array([0.3, 0.5, 0.2])
    assert psi(then, then) == 0
    assert psi(then, now) == pytest.approx(0.1 * np.log(1.5) + -0.1 * np.log(2 / 3))


def test_the_same_customers_do_not_drift_and_others_do(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("shoploom.serving.watch.drift.FEWEST", 25)
    predictor = served.server.predictor
    bundle = predictor.bundle
    reference = reference_of(bundle)
    histories = bundle.ready.histories
    same = [predictor.known(histories.user(row)) for row in range(len(histories))]
    told = drift_of(bundle, reference, same)
    # Everybody who ever came is here, a third of them long gone; what they are like is close.
    assert {each.name for each in told} >= {"spend", "answer: churn"}
    for n in range(60):
        served.send(*[event(f"{n}/{k}", f"new{n}", action=c.CART, item_id="i01") for k in range(9)])
    others = [predictor.known(f"new{n}") for n in range(60)]
    far = drift_of(bundle, reference, others)
    assert far[0].index > 1
    assert {each.name for each in far if each.index > 0.25} >= {"tenure_days", "carts_per_view"}
    assert drift_of(bundle, reference, others[:20]) == []


def test_texts_are_read_beside_the_requests(served: Served, monkeypatch: pytest.MonkeyPatch):
    feelings = type(served.server.feelings)
    monkeypatch.setattr(feelings, "is_installed", True)
    monkeypatch.setattr(
        feelings,
        "positive",
        lambda _, texts: np.array([0.9 if "good" in t else 0.1 for t in texts]),
    )
    for n, text in enumerate(("good tea", "write to me@example.com, it broke")):
        served.client.post(
            "/v1/reviews",
            json={"review_id": str(n), c.USER_ID: "u", c.ITEM_ID: "i01", c.TEXT: text},
        )
    served.server.watcher._read_texts()
    moods = served.get("/v1/live")["sentiment"]
    assert (moods["n"], moods["waiting"], moods["positive"]) == (2, 0, 0.5)
    assert "example.com" not in moods["worst"][0]["text"]
    assert moods["worst"][0]["positive"] == 0.1
