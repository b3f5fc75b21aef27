"""Many requests, one commit: what waits is written together, and each caller told when it is kept.

The queue is bounded. What does not fit is refused at once, so that a shop under too much load
answers late to nobody and loses nothing that it has acknowledged.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from shoploom.core.errors import ShoploomError
from shoploom.serving.events import Event
from shoploom.serving.store import Store

log = logging.getLogger("shoploom.serving")

_GROUP = 5_000  # events of one commit


class Overloaded(ShoploomError):
    """More came in than can be kept in time; it is to be sent again."""


class _Job:
    """Something to write, and who waits for it."""

    __slots__ = ("events", "future", "work")

    def __init__(
        self, events: Sequence[Event], work: Callable[[], Any] | None, future: asyncio.Future | None
    ):
        self.events, self.work, self.future = events, work, future


class Writer:
    """The one thread that writes to the store.

    Args:
        store: where to.
        most: events that may wait.
        loop: where those who wait are.
    """

    def __init__(self, store: Store, *, loop: asyncio.AbstractEventLoop, most: int = 20_000):
        self.store, self.most = store, most
        self._loop = loop
        self._jobs: deque[_Job] = deque()
        self._waiting = 0
        self._wake = threading.Condition()
        self._stopped = False
        self.commits = 0
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Events in the queue."""
        return self._waiting

    def add(self, events: Sequence[Event]) -> asyncio.Future[list[bool]]:
        """Keep events; the future is done when they are on disk, with whether each is new.

        Raises:
            Overloaded: too many wait already; none of these was taken.
        """
        return self._put(_Job(events, None, self._loop.create_future()))

    def run(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        """Do other writing in this thread."""
        return self._put(_Job((), work, self._loop.create_future()))

    def tell(self, work: Callable[[], Any]) -> None:
        """The same, when nobody waits for it; where the queue is full the log says what is lost."""
        with self._wake:
            if self._waiting >= self.most or self._stopped:
                log.warning("too much waits to be written, a line of the audit log is lost")
                return
            self._jobs.append(_Job((), work, None))
            self._waiting += 1
            self._wake.notify()

    async def stop(self) -> None:
        """Write what waits, take nothing more, end."""
        with self._wake:
            self._stopped = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)

    def _put(self, job: _Job) -> asyncio.Future[Any]:
        assert job.future is not None
        size = max(len(job.events), 1)
        with self._wake:
            if self._stopped:
                raise Overloaded("the server is going down and takes nothing more; send it again.")
            if self._waiting + size > self.most and self._waiting:
                raise Overloaded(
                    f"{self._waiting:,} events wait to be written, {self.most:,} may; wait a "
                    "second and send it again."
                )
            self._jobs.append(job)
            self._waiting += size
            self._wake.notify()
        return job.future

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._jobs and not self._stopped:
                    self._wake.wait()
                if not self._jobs:
                    return
                group = self._group()
            results = self._write(group)
            with self._wake:
                self._waiting -= sum(max(len(job.events), 1) for job in group)
            done = [
                (job.future, found)
                for job, found in zip(group, results, strict=True)
                if job.future is not None
            ]
            if done:
                self._loop.call_soon_threadsafe(_resolve, done)

    def _group(self) -> list[_Job]:
        """What is written together: events alone, or one other piece of work."""
        group = [self._jobs.popleft()]
        size = len(group[0].events)
        while group[0].work is None and self._jobs and size < _GROUP:
            if self._jobs[0].work is not None:
                break
            group.append(self._jobs.popleft())
            size += len(group[-1].events)
        return group

    def _write(self, group: list[_Job]) -> list[Any]:
        """Of each job its result, or what went wrong."""
        self.commits += 1
        try:
            if (work := group[0].work) is not None:
                return [work()]
            if len(group) == 1:
                return [self.store.append(group[0].events)]
            fresh = self.store.append([event for job in group for event in job.events])
            ends = 0
            results = []
            for job in group:
                results.append(fresh[ends : ends + len(job.events)])
                ends += len(job.events)
            return results
        except Exception as error:  # whoever waits is told, the thread goes on
            if group[0].future is None:
                log.warning("a line of the audit log is lost: %s", error)
            return [error] * len(group)


def _resolve(done: list[tuple[asyncio.Future, Any]]) -> None:
    for future, found in done:
        if future.done():  # whoever waited has gone
            continue
        if isinstance(found, Exception):
            future.set_exception(found)
        else:
            future.set_result(found)
