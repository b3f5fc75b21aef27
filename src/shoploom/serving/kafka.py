"""Events from Kafka: read, checked and kept by the same rules as over HTTP.

What was read is only marked as read once it is on disk. Kafka may send a message twice; an event
counts once by its id, and a message without one gets its topic, partition and offset as such.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import orjson

from shoploom.core.errors import ConfigError
from shoploom.serving.events import EVENT_ID, read_events
from shoploom.serving.store import Store, StoreError

log = logging.getLogger("shoploom.serving")

_BATCH, _WAIT_S = 2_000, 0.25
_RETRY_S = 2.0


class KafkaSource:
    """A thread that takes events from a topic.

    Args:
        address: ``HOST:PORT/TOPIC``, several hosts by commas.
        store: that keeps them.
        now: what time it is, microseconds.
        counted: gets how many were accepted, duplicates and rejected.
        group: of consumers that share the topic, all workers of a shop.

    Raises:
        ConfigError: the address is none, or confluent-kafka is not installed.
    """

    def __init__(
        self,
        address: str,
        store: Store,
        now: Callable[[], int],
        counted: Callable[[int, int, int], None],
        group: str = "shoploom",
    ):
        servers, _, topic = address.rpartition("/")
        if not servers or not topic:
            raise ConfigError(f"--kafka: expected HOST:PORT/TOPIC, got {address!r}.")
        if find_spec("confluent_kafka") is None:
            raise ConfigError(
                "expected the package confluent-kafka, found none; run: pip install "
                "'shoploom[kafka]'."
            )
        from confluent_kafka import Consumer

        self._topic, self._store, self._now, self._counted = topic, store, now, counted
        self._consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kafka", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._consumer.subscribe([self._topic])
        self._thread.start()

    def stop(self) -> None:
        """End, with what was read kept and marked as read."""
        self._stop.set()
        self._thread.join(15)
        self._consumer.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            messages = self._consumer.consume(_BATCH, _WAIT_S)
            for message in messages:
                if error := message.error():
                    log.warning("kafka: %s", error)
            fine = [message for message in messages if not message.error()]
            while fine and not self._stop.is_set():
                try:
                    self._keep(fine)
                except StoreError as error:  # nothing was marked as read: once more
                    log.warning("kafka: %s", error)
                    self._stop.wait(_RETRY_S)
                else:
                    self._consumer.commit(asynchronous=False)
                    break

    def _keep(self, messages: Sequence[Any]) -> None:
        given = [_value(message) for message in messages]
        events, rejected = read_events(given, self._now())
        fresh = self._store.append(events) if events else []
        if rejected:
            self._store.quarantine(rejected, self._now())
        new = sum(fresh)
        self._counted(new, len(fresh) - new, len(rejected))


def _value(message: Any) -> Any:
    """The JSON of a message, with an id where it has none; text where it is no JSON."""
    body = message.value() or b""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode("utf-8", "replace")[:200]
    if isinstance(found, dict) and EVENT_ID not in found:
        found[EVENT_ID] = f"kafka/{message.topic()}/{message.partition()}/{message.offset()}"
    return found
