"""Events from a broker, kept by the same rules; the broker is librdkafka's own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shoploom.core.errors import ConfigError
from shoploom.serving.kafka import KafkaSource
from shoploom.serving.store import StoreError
from shoploom.serving.store.sqlite import SqliteStore
from tests.serving.conftest import event

kafka = pytest.importorskip("confluent_kafka", reason="the extra kafka is not installed")


@pytest.fixture(scope="module")
def broker() -> tuple[str, Callable[[str, list[bytes]], None]]:
    """The address of a broker, and a way to send to its topic."""
    producer = kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "unused"})
    brokers = producer.list_topics(timeout=10).brokers
    address = ",".join(f"{each.host}:{each.port}" for each in brokers.values())

    def send(topic: str, bodies: list[bytes]) -> None:
        for body in bodies:
            producer.produce(topic, body)
        producer.flush(10)

    return address, send


def wait(done: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.05)
    assert done()


def test_events_are_kept_once_and_what_is_wrong_is_put_aside(broker, tmp_path: Path):
    address, send = broker
    store, told = SqliteStore(tmp_path / "live.db"), []
    bodies = [json.dumps(event(str(n), f"u{n % 3}")).encode() for n in (0, 1, 2, 1)]
    nameless = {k: v for k, v in event("x", "u9").items() if k != "event_id"}
    send("one", [*bodies, b"no json", json.dumps(nameless).encode(), b"{}"])
    source = KafkaSource(
        f"{address}/one", store, lambda: 1_700_000_000_000_000, lambda *n: told.append(n)
    )
    source.start()
    wait(lambda: sum(map(sum, told)) == 7)
    source.stop()
    assert [sum(column) for column in zip(*told, strict=True)] == [4, 1, 2]
    assert len(store.history("u1")) == 1
    assert len(store.history("u9")) == 1
    assert len(store.quarantined(5)) == 2
    store.close()


def test_what_could_not_be_kept_is_read_again(broker, tmp_path: Path, monkeypatch):
    address, send = broker
    store, failures = SqliteStore(tmp_path / "live.db"), [2]
    append = store.append
    monkeypatch.setattr("shoploom.serving.kafka._RETRY_S", 0.1)

    def unsure(events):
        if failures[0]:
            failures[0] -= 1
            raise StoreError("away")
        return append(events)

    monkeypatch.setattr(store, "append", unsure)
    send("two", [json.dumps(event(str(n))).encode() for n in range(10)])
    source = KafkaSource(
        f"{address}/two", store, lambda: 1_700_000_000_000_000, lambda *_: None, "b"
    )
    source.start()
    wait(lambda: store.last_seq() == 10)
    source.stop()
    assert failures == [0]
    store.close()


def test_other_addresses_are_refused(tmp_path: Path):
    store = SqliteStore(tmp_path / "live.db")
    for address in ("host:9092", "/topic", ""):
        with pytest.raises(ConfigError, match="HOST:PORT/TOPIC"):
            KafkaSource(address, store, lambda: 0, lambda *_: None)
    store.close()
