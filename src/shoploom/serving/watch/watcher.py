"""The one thread that watches: it follows the store, reads texts, and looks for what stands out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from shoploom.core import columns as c
from shoploom.core.errors import ShoploomError
from shoploom.core.time import DAY_US, HOUR_US, iso
from shoploom.privacy import scrub
from shoploom.serving.bundle import Bundle
from shoploom.serving.feelings import Feelings
from shoploom.serving.live import Known
from shoploom.serving.predictor import Predictor
from shoploom.serving.store import Store, Text
from shoploom.serving.texts import REVIEW
from shoploom.serving.watch.alerts import LOOK_BACK_US, Alert, alerts_of
from shoploom.serving.watch.drift import FEWEST, Drift, drift_of, reference_of
from shoploom.serving.watch.rolling import Rolling, Snapshot

log = logging.getLogger("shoploom.serving")

_TICK_S = 0.5
_READ_S, _ALERT_S, _DRIFT_S = 2.0, 5.0, 60.0
_TEXTS = 16  # read at once
_DRIFT_USERS = 300
_BASE_DAYS = 28
_SENTIMENT_HOURS = 24
_SHOWN_TEXTS = 5


@dataclass(frozen=True)
class Moods:
    """How customers feel lately.

    Attributes:
        n: texts of the last day that were read. waiting: that were not.
        positive: their mean; None without any.
        hours: start of each hour, texts in it, their mean.
        worst: the least positive ones, personal data covered.
        can_read: whether the packages to read texts are there.
    """

    n: int
    waiting: int
    positive: float | None
    hours: list[tuple[str, int, float]]
    worst: list[dict[str, Any]]
    can_read: bool


class Watcher:
    """What goes on, kept up to date beside the requests.

    Args:
        store: of live events.
        predictor: whose bundle says what is usual.
        feelings: that read texts.
    """

    def __init__(self, store: Store, predictor: Predictor, feelings: Feelings):
        self._store, self._predictor, self._feelings = store, predictor, feelings
        self._clock = lambda: self._predictor.clock.now()
        self._rolling = Rolling(store, self._clock)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._alerts: list[Alert] = []
        self._drift: list[Drift] = []
        self._drift_users = 0
        self._usual: tuple[str, np.ndarray] | None = None
        self._due = dict.fromkeys(("read", "alert", "drift"), 0.0)
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after what is under way."""
        self._stop.set()
        self._thread.join(10)

    def snapshot(self) -> Snapshot:
        """The last hour, made anew when there is something new."""
        with self._lock:
            self._rolling.update()
            return self._rolling.snapshot(self._shares)

    @property
    def alerts(self) -> list[Alert]:
        """What stands out."""
        return self._alerts

    @property
    def drift(self) -> tuple[int, list[Drift]]:
        """Users that were compared, and how far each number has moved."""
        return self._drift_users, self._drift

    def moods(self) -> Moods:
        """How customers feel."""
        now = self._clock()
        said = self._store.texts(now - _SENTIMENT_HOURS * HOUR_US, 2_000)
        said = [text for text in said if text.role != c.AGENT]
        read = [(text, text.positive) for text in said if text.positive is not None]
        hours: dict[int, list[float]] = {}
        for text, positive in read:
            hours.setdefault(text.time - text.time % HOUR_US, []).append(positive)
        worst = sorted(read, key=lambda pair: pair[1])[:_SHOWN_TEXTS]
        return Moods(
            n=len(read),
            waiting=len(said) - len(read),
            positive=float(np.mean([positive for _, positive in read])) if read else None,
            hours=[
                (iso(start), len(values), float(np.mean(values)))
                for start, values in sorted(hours.items())
            ],
            worst=[_shown(text) for text, _ in worst],
            can_read=self._feelings.is_installed,
        )

    def told(self) -> dict[str, Any]:
        """All of it as JSON."""
        snapshot, (users, drift) = self.snapshot(), self.drift
        goods = self._predictor.bundle.goods
        return {
            "at": iso(snapshot.at),
            "users": snapshot.users,
            "events": snapshot.events,
            "funnel": snapshot.funnel,
            "revenue": snapshot.revenue,
            "conversion": snapshot.conversion,
            "trending": [
                goods.brief(each.item_id)
                | {"n": each.n, "expected": each.expected, "surprise": each.surprise}
                for each in snapshot.trending
            ],
            "alerts": [asdict(alert) for alert in self._alerts],
            "sentiment": asdict(self.moods()),
            "drift": {"users": users, "numbers": [asdict(each) for each in drift]},
        }

    def _shares(self, items: Sequence[str]) -> np.ndarray:
        """The share of each item among all that were taken in the last weeks of the run's data."""
        bundle = self._predictor.bundle
        if self._usual is None or self._usual[0] != bundle.id:
            histories = bundle.ready.histories
            counted = histories.counts(histories.end - _BASE_DAYS * DAY_US)
            taken = counted.counts.sum(axis=1)
            self._usual = bundle.id, taken / max(taken.sum(), 1)
        codes = bundle.ready.histories.items.encode(items)
        return np.where(codes >= 0, self._usual[1][codes], 0.0)

    def _run(self) -> None:
        while not self._stop.wait(_TICK_S):
            try:
                self._tick(time.monotonic())
            except ShoploomError as error:  # a store that is away comes back
                log.warning("watching: %s", error)
            except Exception:
                log.exception("watching")

    def _tick(self, now: float) -> None:
        with self._lock:
            self._rolling.update()
        if now >= self._due["read"]:
            self._due["read"] = now + _READ_S
            self._read_texts()
        if now >= self._due["alert"]:
            self._due["alert"] = now + _ALERT_S
            at = self._clock()
            self._alerts = alerts_of(self._store.minutes(at - LOOK_BACK_US, at), at)
        if now >= self._due["drift"]:
            self._compare(self._predictor.bundle)
            few = self._drift_users < FEWEST
            self._due["drift"] = time.monotonic() + (_ALERT_S if few else _DRIFT_S)

    def _read_texts(self) -> None:
        if not self._feelings.is_installed:
            return
        unread = self._store.unread(_TEXTS)
        if unread:
            positive = self._feelings.positive([text for _, text in unread])
            keys = [key for key, _ in unread]
            self._store.set_positive(list(zip(keys, positive.tolist(), strict=True)))

    def _compare(self, bundle: Bundle) -> None:
        reference = reference_of(bundle)
        with self._lock:
            active = self._rolling.active()[-_DRIFT_USERS:]
        users: list[Known] = []
        for user in active if len(active) >= FEWEST else ():
            users.append(self._predictor.known(user, bundle))
            time.sleep(0)  # let requests go first
        self._drift = drift_of(bundle, reference, users) if users else []
        self._drift_users = len(active)


def _shown(text: Text) -> dict[str, Any]:
    return {
        c.TIME: iso(text.time),
        "kind": text.kind,
        c.ITEM_ID: text.item_id if text.kind == REVIEW else None,
        c.TEXT: scrub(text.text)[:300],
        "positive": text.positive,
    }
