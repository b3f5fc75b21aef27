"""What a server answers is what the run answers, and an event counts from the next answer on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from shoploom.core import columns as c
from shoploom.core.progress import Quiet
from shoploom.core.time import DAY_US, HOUR_US, iso
from shoploom.engines import Account, ItemCounts
from shoploom.engines.boosting import FittedBoosting
from shoploom.sequences import user_sequences, user_statistics
from shoploom.serving.clock import Clock
from shoploom.serving.histories import Histories
from shoploom.serving.live import known
from shoploom.serving.predictor import NotThere, Predictor, UnknownUser
from shoploom.serving.store import Deed
from shoploom.serving.store.sqlite import SqliteStore
from shoploom.workflows import load
from tests.serving.test_store import made

USERS = ["u00", "u07", "u25", "u45", "u55"]


class Stands(Clock):
    """A clock that shows one moment."""

    def __init__(self, at: int):
        object.__setattr__(self, "at", at)

    def now(self) -> int:
        return self.at


@pytest.fixture
def predictor(run_folder: Path, tmp_path: Path) -> Iterator[Predictor]:
    """At the end of the data."""
    store = SqliteStore(tmp_path / "live.db")
    found = Predictor(store, Clock(), run_folder, Quiet())
    found.clock = Stands(load(run_folder).card["trained_until"])
    yield found
    store.close()


def test_predictions_are_those_of_the_run(predictor: Predictor, run_folder: Path):
    model = load(run_folder)
    for task in ("churn", "purchase", "spend"):
        told = model.predict(task, users=USERS)
        live = [predictor.predict(user, task)["value"] for user in USERS]
        np.testing.assert_allclose(live, told.iloc[:, -1], rtol=1e-5, atol=2e-6)


def test_predictions_by_category_are_those_of_the_run(predictor: Predictor, run_folder: Path):
    told = load(run_folder).predict("category", users=["u07"])
    live = predictor.predict("u07", "category")["values"]
    by_subject = dict(zip(told["subject"], told.iloc[:, -1], strict=True))
    assert {each["subject"] for each in live} == set(by_subject)
    for each in live:
        assert each["value"] == pytest.approx(by_subject[each["subject"]], abs=2e-6)
    assert [e["value"] for e in live] == sorted((e["value"] for e in live), reverse=True)


def test_recommendations_are_those_of_the_run(predictor: Predictor, run_folder: Path):
    told = load(run_folder).recommend(USERS, k=5, explain=True)
    for user in [*USERS]:
        live = predictor.recommend(user, k=5, explain=True)["items"]
        rows = told[told[c.USER_ID] == user]
        assert [each[c.ITEM_ID] for each in live] == rows[c.ITEM_ID].tolist()
        because = [
            "popular with everyone" if e["because"] is None else e["because"][c.TITLE] for e in live
        ]
        assert because == rows["because"].tolist()


def test_statistics_and_sequences_are_those_of_tables(predictor: Predictor, run_folder: Path):
    tables, at = load(run_folder).tables, predictor.clock.now()
    statistics, sequences = user_statistics(tables, at), user_sequences(tables, at)
    for user in USERS:
        one = predictor.known(user)
        np.testing.assert_allclose(
            one.statistics.values[0],
            statistics.take(np.array([user], dtype=object))[0],
            rtol=2e-6,
            atol=2e-6,
        )
        place = int(sequences.users.encode([user])[0])
        span = slice(sequences.offsets[place], sequences.offsets[place + 1])
        items = sequences.items.decode(sequences.item[span])
        assert one.events.items.decode(one.events.item).tolist() == items.tolist()


def test_an_event_counts_at_once(predictor: Predictor):
    now = predictor.clock.now()
    before = predictor.predict("u25", "churn"), predictor.known("u25").statistics
    buys = [
        made(
            str(n), "u25", now - HOUR_US + n, c.ACTIONS.index(c.PURCHASE), item_id=item, price=20.0
        )
        for n, item in enumerate(("i03", "i08", "brand-new"))
    ]
    predictor.store.append(buys)
    after = predictor.predict("u25", "churn"), predictor.known("u25").statistics
    assert after[0]["live_events"] == 3
    assert after[0]["value"] < before[0]["value"]
    at = after[1].names.index("spend")
    assert after[1].values[0, at] == pytest.approx(before[1].values[0, at] + 60)
    history = predictor.profile("u25")["history"]
    assert [each["item"][c.ITEM_ID] for each in history[:3]] == ["brand-new", "i08", "i03"]


def test_a_new_user_is_known_from_the_first_event_on(predictor: Predictor):
    stranger = predictor.recommend("stranger", k=3)
    assert not stranger["known"]
    assert len(stranger["items"]) == 3
    with pytest.raises(UnknownUser, match="none has the id 'stranger'"):
        predictor.profile("stranger")
    predictor.store.append([made("a", "stranger", predictor.clock.now() - 5, item_id="i03")])
    assert predictor.profile("stranger")["known"]
    items = [
        each[c.ITEM_ID] for each in predictor.recommend("stranger", k=5, explain=True)["items"]
    ]
    assert items != [each[c.ITEM_ID] for each in stranger["items"]]


def test_order_of_arrival_changes_nothing(predictor: Predictor):
    histories, now = predictor.bundle.ready.histories, predictor.clock.now()
    deeds = [
        Deed(n, "u07", now - HOUR_US + 10 * (7 * n % 5), n % 3, f"i{n:02d}", 1.0, None, None)
        for n in range(8)
    ]
    there, back = (known(histories, some, "u07", now) for some in (deeds, deeds[::-1]))
    for name in ("item", "action", "time"):
        np.testing.assert_array_equal(getattr(there.events, name), getattr(back.events, name))
    np.testing.assert_array_equal(there.statistics.values, back.statistics.values)


def test_events_that_the_run_holds_do_not_count_twice(predictor: Predictor):
    predictor.store.append([made(str(n), "u07", predictor.clock.now() - 9 + n) for n in range(4)])
    bundle = predictor.bundle
    assert predictor.known("u07", bundle).live == 4
    object.__setattr__(bundle, "floor", 3)
    assert predictor.known("u07", bundle).live == 1


def test_a_fast_clock_is_believed_a_little(predictor: Predictor):
    predictor.store.append([made("a", "u07", predictor.clock.now() + 60 * 10**6)])
    assert predictor.profile("u07", history=1)["history"][0]["time"] == iso(
        predictor.clock.now() + 60 * 10**6
    )


def test_what_the_model_lacks_is_said(predictor: Predictor):
    with pytest.raises(NotThere, match="not trained for 'orders'"):
        predictor.predict("u07", "orders")
    with pytest.raises(NotThere, match="shoploom price"):
        predictor.price("u07", "i01")
    with pytest.raises(NotThere, match="shoploom audience"):
        predictor.audience("u07", "ad")
    with pytest.raises(NotThere, match="shoploom reply"):
        predictor.reply(["hello"], None, None)


def test_reasons_come_with_the_largest_first(predictor: Predictor, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(predictor.bundle.model.card["chosen"], "churn", "boosting")
    told = Account(
        ("orders", "spend", "events"),
        np.array([[1.0, np.nan, 3.0]], dtype=np.float32),
        np.array([[0.1, -2.0, 0.0]]),
        np.zeros(1),
    )
    monkeypatch.setattr(FittedBoosting, "account", lambda self, *_: told)
    assert predictor.predict("u07", "churn", explain=True)["because"] == [
        {"statistic": "spend", "value": None, "added": -2.0},
        {"statistic": "orders", "value": 1.0, "added": 0.1},
    ]


def test_segments_are_those_that_were_found(predictor: Predictor, run_folder: Path):
    found = predictor.profile("u07")["segment"]
    assert found["segment"] >= 1
    assert set(found["name"]) == {"en", "zh"}


def test_live_events_count_among_what_everybody_took(predictor: Predictor):
    now = predictor.clock.now()
    before = predictor._counts(predictor.bundle, now - 7 * DAY_US, now)
    predictor.store.append([made(str(n), f"x{n}", now - 10**6, item_id="i39") for n in range(50)])
    predictor._counted = None
    after = predictor._counts(predictor.bundle, now - 7 * DAY_US, now)
    code = int(before.items.encode(["i39"])[0])
    assert isinstance(after, ItemCounts)
    assert after.counts[code].sum() == before.counts[code].sum() + 50


def test_histories_are_found_by_their_users(predictor: Predictor):
    histories: Histories = predictor.bundle.ready.histories
    for row in (0, 1, len(histories) - 1):
        assert histories.row(histories.user(row)) == row
    for stranger in ("", "a", "u999", "zzz", "ü", "u0"):
        assert histories.row(stranger) == -1
    assert histories.users("u0", 100) == [f"u{n:02d}" for n in range(10)]
    assert histories.users("none", 5) == []
