"""What a store promises, on SQLite and on Postgres alike."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError
from shoploom.core.time import HOUR_US, MINUTE_US, to_us
from shoploom.serving.events import Event, Rejected, key_of
from shoploom.serving.keys import make_key
from shoploom.serving.store import Audited, Store, StoreError, Text, open_store
from shoploom.serving.store.sqlite import SqliteStore

NOW = to_us("2026-11-28T12:00:00")
BUY = c.ACTIONS.index(c.PURCHASE)


def made(name: str, user: str = "u", at: int = NOW, action: int = 0, **more: object) -> Event:
    return Event(key_of(name), user, at, action, **more)


def test_an_event_counts_once_for_its_user(store: Store):
    assert store.append([made("a"), made("b"), made("a")]) == [True, True, False]
    assert store.append([made("b"), made("c"), made("a", "other")]) == [False, True, True]
    numbers = [deed.seq for deed in store.history("u")]
    assert len(numbers) == 3
    assert numbers == sorted(numbers)
    assert store.last_seq() == store.history("other")[0].seq > numbers[-1]


def test_an_event_comes_back_as_it_went(store: Store):
    said = made(
        "a", "ü名", NOW + 1, BUY, item_id="i'1", price=9.99, quantity=0.5, session_id='s"',
        query="tea; DROP TABLE events", dwell_s=1.5, stream_id="x", source="mail",
    )  # fmt: skip
    store.append([said])
    (found,) = store.history("ü名")
    assert found[1:] == (said.user_id, *said[2:])
    assert store.latest(5) == [found]


def test_a_user_is_followed_from_a_number_on(store: Store):
    store.append([made(str(n), "uv"[n % 2]) for n in range(10)])
    assert [deed.seq for deed in store.history("u", 4)] == [5, 7, 9]
    assert [deed.seq for deed in store.since(3, 4)] == [4, 5, 6, 7]
    assert [deed.seq for deed in store.latest(2)] == [10, 9]


def test_counts_change_with_the_events(store: Store):
    late = NOW + 61 * 10**6
    store.append(
        [made("a", item_id="i"), made("b", action=BUY, price=2.5, quantity=2.0, item_id="i")]
    )
    store.append([made("a", item_id="i"), made("c", at=late, item_id="j")])
    found = store.minutes(NOW - HOUR_US, NOW + HOUR_US)
    rows = sorted(
        zip(*(x.tolist() for x in (found.start, found.action, found.n, found.cents)), strict=True)
    )
    minute = NOW - NOW % MINUTE_US
    assert rows == [(minute, 0, 1, 0), (minute, BUY, 1, 500), (minute + MINUTE_US, 0, 1, 0)]
    assert sorted(store.item_hours(NOW, NOW + 1)) == [("i", 0, 1), ("i", BUY, 1), ("j", 0, 1)]
    assert store.item_hours(NOW + 2 * HOUR_US, NOW + 3 * HOUR_US) == []
    assert len(store.minutes(NOW + HOUR_US, NOW + 2 * HOUR_US).n) == 0


def test_texts_are_kept_once_and_read_once(store: Store):
    text = Text(b"k" * 16, "review", "u", NOW, "i", None, None, 4.0, None, "很好")
    assert store.add_texts([text, text]) == [True, False]
    assert store.unread(5) == [(b"k" * 16, "很好")]
    store.set_positive([(b"k" * 16, 0.9)])
    assert store.unread(5) == []
    assert store.texts(0, 5) == store.texts(0, 5, "u") == [text._replace(positive=0.9)]
    assert store.texts(NOW + 1, 5) == store.texts(0, 5, "v") == []


def test_settings_are_shared(store: Store):
    assert store.get("x") is None
    assert store.put_first("x", "1") == store.put_first("x", "2") == "1"
    store.put("x", "3")
    assert store.get("x") == "3"


def test_keys_audit_and_quarantine(store: Store):
    _, key = make_key("shop", ["read", "ingest"])
    store.add_key(key)
    assert store.api_keys() == [key]
    assert store.revoke_key(key.id)
    assert not store.revoke_key("none")
    assert store.api_keys()[0].revoked == 1
    store.audit([Audited(1, "k", "promote", "run", "done"), Audited(2, "k", "x", "y", "z")])
    assert [line.time for line in store.audited(5)] == [2, 1]
    assert [line.time for line in store.audited(5, ["promote", "roll back"])] == [1]
    store.quarantine([Rejected(0, "e", "bad.", {"a": "\0"}), Rejected(1, None, "worse.", [1])], NOW)
    assert [(event, reason) for _, event, reason, _ in store.quarantined(5)] == [
        (None, "worse."),
        ("e", "bad."),
    ]


def test_several_writers_lose_and_double_nothing(store_url: str):
    stores = [open_store(store_url) for _ in range(3)]

    def write(place: int) -> None:
        for n in range(20):  # everybody writes the same ones, and ten of their own
            name = str(n) if n < 10 else f"{place}/{n}"
            stores[place].append([made(name, f"u{n % 3}")])

    threads = [threading.Thread(target=write, args=(place,)) for place in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = [deed.seq for deed in stores[0].since(0, 1000)]
    assert len(seen) == len(set(seen)) == 10 + 3 * 10
    assert int(stores[1].minutes(0, 2 * NOW).n.sum()) == 40
    for each in stores:
        each.close()


def test_what_was_written_is_there_when_opened_again(store_url: str):
    first = open_store(store_url)
    first.append([made("a")])
    first.close()
    second = open_store(store_url)
    assert second.append([made("a"), made("b")]) == [False, True]
    assert len(second.history("u")) == 2
    second.close()


@pytest.mark.parametrize("url", ["live.db", "mysql://x/y", "sqlite://x", "sqlite:///", ""])
def test_other_addresses_are_refused(url: str):
    with pytest.raises(ConfigError, match="sqlite:///FILE or postgresql://"):
        open_store(url)


def test_a_database_that_is_away_is_said(postgres):
    store = open_store(postgres.database())
    store.append([made("a")])
    postgres.stop()
    with pytest.raises(StoreError, match="nothing was acknowledged"):
        store.append([made("b")])
    postgres.start()
    assert store.append([made("a"), made("b")]) == [False, True]
    store.close()


def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path):
    store = SqliteStore(tmp_path / "live.db")
    store.append([made("first")])
    connection = store._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 4}")
    with pytest.raises(StoreError, match="full: nothing was acknowledged"):
        store.append([made(str(n), query="x" * 2000) for n in range(500)])
    assert [deed.seq for deed in store.history("u")] == [1]
    connection.execute("PRAGMA max_page_count = 1000000")
    assert all(store.append([made(str(n)) for n in range(5)]))
    store.close()


def test_a_damaged_file_is_told_and_left_as_it_is(tmp_path: Path):
    path = tmp_path / "live.db"
    path.write_bytes(b"this is no database, it only has its name" * 200)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"damaged.*recover"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_a_file_that_is_damaged_inside_is_told(tmp_path: Path):
    path = tmp_path / "live.db"
    store = SqliteStore(path)
    store.append([made(str(n), f"user{n % 50}", query="q" * 100) for n in range(3000)])
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    body = bytearray(path.read_bytes())
    body[4096 * 3 : -4096] = np.random.default_rng(0).bytes(len(body) - 4096 * 4)
    path.write_bytes(bytes(body))
    with pytest.raises(StoreError, match="damaged"):
        _used(path)


def _used(path: Path) -> None:
    with closing(SqliteStore(path)) as store:
        for n in range(50):
            store.history(f"user{n}")
        store.append([made(f"new{n}", f"user{n % 50}") for n in range(500)])
