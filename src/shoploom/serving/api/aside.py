"""Work that takes long, in threads beside the event loop; not more than can be waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from starlette.concurrency import run_in_threadpool

from shoploom.serving.api.meters import Meters
from shoploom.serving.writer import Overloaded

P = ParamSpec("P")
T = TypeVar("T")


class Aside:
    """Runs work in threads.

    Args:
        meters: that count what is refused.
        most: pieces of work that may be under way or wait.
    """

    def __init__(self, meters: Meters, most: int = 64):
        self._meters, self._most = meters, most
        self._under_way = 0

    async def __call__(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the work returns.

        Raises:
            Overloaded: too much is under way; nothing was begun.
        """
        if self._under_way >= self._most:
            self._meters.shed.inc()
            raise Overloaded(
                f"{self._under_way} requests wait for a thread; wait a second and send it again."
            )
        self._under_way += 1
        try:
            return await run_in_threadpool(work, *args, **kwargs)
        finally:
            self._under_way -= 1
