"""What one worker holds while it runs."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shoploom.core.errors import ShoploomError
from shoploom.core.progress import Quiet
from shoploom.serving.api.aside import Aside
from shoploom.serving.api.meters import Meters
from shoploom.serving.api.sessions import Sessions
from shoploom.serving.bundle import Bundle, check_run
from shoploom.serving.clock import Clock, clock_of
from shoploom.serving.feelings import Feelings
from shoploom.serving.kafka import KafkaSource
from shoploom.serving.keys import Keys
from shoploom.serving.predictor import RECOMMENDS, Predictor
from shoploom.serving.runs import IN_CHARGE
from shoploom.serving.settings import ServeSettings
from shoploom.serving.store import Audited, Store, open_store
from shoploom.serving.watch import Watcher
from shoploom.serving.writer import Writer

log = logging.getLogger("shoploom.serving")


_TICK_S = 0.05
_LOOK_S = 1.0  # between two looks at which run is in charge


@dataclass
class Server:
    """The parts of a worker; all but settings and meters exist while it runs.

    Attributes:
        settings: of the server.
        meters: that count.
        clock: of the shop.
        loading: the run that is being loaded.
        feelings: that read texts.
        aside: runs what takes long.
        beside: what is made of a bundle beside the requests, once it is in place.
    """

    settings: ServeSettings
    meters: Meters = field(default_factory=Meters)
    _store: Store | None = None
    _keys: Keys | None = None
    _sessions: Sessions | None = None
    _writer: Writer | None = None
    _predictor: Predictor | None = None
    _watcher: Watcher | None = None
    _kafka: KafkaSource | None = None
    clock: Clock = field(default_factory=Clock)
    loading: str | None = None
    feelings: Feelings = field(default_factory=Feelings)
    beside: list[Callable[[Bundle], None]] = field(default_factory=list)
    _tasks: list[asyncio.Task] = field(default_factory=list)
    aside: Aside = field(init=False)

    def __post_init__(self) -> None:
        self.aside = Aside(self.meters)

    @property
    def store(self) -> Store:
        """The live store."""
        assert self._store is not None
        return self._store

    @property
    def writer(self) -> Writer:
        """Who writes to it."""
        assert self._writer is not None
        return self._writer

    @property
    def predictor(self) -> Predictor:
        """Who answers."""
        assert self._predictor is not None
        return self._predictor

    @property
    def watcher(self) -> Watcher:
        """Who sees what goes on."""
        assert self._watcher is not None
        return self._watcher

    def keys(self) -> Keys:
        """The API keys."""
        assert self._keys is not None
        return self._keys

    def sessions(self) -> Sessions:
        """The browsers that are logged in."""
        assert self._sessions is not None
        return self._sessions

    def count_events(self, accepted: int, duplicates: int, rejected: int) -> None:
        """Count what became of events."""
        for outcome, n in (
            ("accepted", accepted),
            ("duplicate", duplicates),
            ("rejected", rejected),
        ):
            self.meters.events.labels(outcome).inc(n)

    def sentiment(self, texts: list[str]) -> dict[str, Any]:
        """What texts say; takes a while."""
        return {"texts": self.feelings.read(texts)}

    def audit(self, line: Audited) -> None:
        """Note who did what."""
        self.writer.tell(lambda: self.store.audit([line]))

    async def start(self) -> None:
        """Open the store, load the run in charge, warm up.

        Raises:
            StoreError, NotFitted, DataError: there is nothing to serve from.
        """
        check_run(self.settings.run)
        self._store = await asyncio.to_thread(open_store, self.settings.store_url)
        self._keys = Keys(self.store)
        self._sessions = Sessions(self.store, self._keys)
        folder = Path(self.store.get(IN_CHARGE) or self.settings.run)
        self._predictor = Predictor(self.store, self.clock, folder, Quiet())
        if self.settings.clock == "data":
            end = self.predictor.bundle.ready.histories.end
            self.clock = self.predictor.clock = clock_of(self.store, end)
        await asyncio.to_thread(self._warm)
        _settle()
        self._writer = Writer(
            self.store, loop=asyncio.get_running_loop(), most=self.settings.waiting
        )
        self._watcher = Watcher(self.store, self.predictor, self.feelings)
        self._watcher.start()
        if self.settings.kafka is not None:
            self._kafka = KafkaSource(
                self.settings.kafka, self.store, self.clock.now, self.count_events
            )
            self._kafka.start()
        self._tasks = [
            asyncio.create_task(self._watch_lag()),
            asyncio.create_task(self._watch_run(str(folder))),
        ]
        self._begin_beside()

    def _begin_beside(self) -> None:
        """Start what is made beside the requests; nobody waits for it, not even the end."""
        threading.Thread(target=self._warm_slowly, name="beside", daemon=True).start()

    async def stop(self) -> None:
        """Write what waits, then let go of everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._kafka is not None:
            await asyncio.to_thread(self._kafka.stop)
        if self._watcher is not None:
            await asyncio.to_thread(self._watcher.stop)
        if self._writer is not None:
            await self._writer.stop()
        if self._store is not None:
            self._store.close()

    def _warm(self) -> None:
        """Answer once, so that the first caller need not wait for what is made on first use."""
        bundle = self.predictor.bundle
        if not len(bundle.ready.histories):
            return
        user = bundle.ready.histories.user(0)
        one = self.predictor.known(user, bundle)
        self.predictor.risks(one, bundle)
        if RECOMMENDS in bundle.tasks:
            self.predictor.recommend(user)

    def _warm_slowly(self) -> None:
        """Load what reads texts and photos while others are answered already."""
        for work in self.beside:
            try:
                work(self.predictor.bundle)
            except Exception:
                log.exception("beside the requests")
        try:
            if "text" in self.predictor.bundle.model.card.get("encoders", ()):
                self.predictor.search("warm", 1)
                self.feelings.positive(["warm"])
        except ShoploomError as error:
            log.info("texts are not read: %s", error)

    async def reload(self, folder: str) -> bool:
        """Put another run in place; False, and the old one stays, where it cannot be loaded."""
        self.loading = folder
        try:
            bundle = await asyncio.to_thread(self.predictor.load, folder)
        except ShoploomError as error:
            log.error("the run %s cannot be served, the old one stays: %s", folder, error)
            self.meters.reloads.labels("failed").inc()
            return False
        finally:
            self.loading = None
        self.predictor.replace(bundle)
        _settle()
        self._begin_beside()
        self.meters.reloads.labels("done").inc()
        log.info("serving %s from now on", bundle.id)
        return True

    async def _watch_run(self, current: str) -> None:
        """Load the run in charge whenever it has become another one."""
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                wanted = self.store.get(IN_CHARGE) or current
            except ShoploomError as error:
                log.warning("%s", error)
                continue
            if wanted != current:
                current = wanted
                await self.reload(wanted)

    async def _watch_lag(self) -> None:
        """See how late the loop is: the one sign of more work than time."""
        while True:
            then = time.perf_counter()
            await asyncio.sleep(_TICK_S)
            lag = time.perf_counter() - then - _TICK_S
            self.meters.lag.set(max(lag, 0.0))
            self.meters.waiting.set(self.writer.waiting)


def _settle() -> None:
    """Take what stays for good out of the collector's sight: looking through it takes tens of
    milliseconds, in which nobody is answered.
    """
    gc.collect()
    gc.freeze()
