"""HTTP connections that end when a request's head does not come in time, or is too long.

uvicorn waits for ever for the rest of a head: a few thousand connections that say a letter a minute
would take all there are.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_S = 10.0
_HEAD_BYTES = 65_536
_SLOW = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_LONG = b"HTTP/1.1 431 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Patient(HttpToolsProtocol):
    """A connection with limited patience."""

    _timer: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._done()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._timer is not None or self._head_bytes:
            self._head_bytes += len(data)
        super().data_received(data)
        # What follows the head in the same packet is body, and none of this matters for it.
        if self._timer is not None and self._head_bytes > _HEAD_BYTES:
            self._end(_LONG)

    def on_message_begin(self) -> None:
        if self._timer is None:
            self._wait()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._done()
        super().on_headers_complete()

    def _wait(self) -> None:
        self._head_bytes = 0
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(HEAD_S, self._end, _SLOW)

    def _done(self) -> None:
        self._head_bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self, said: bytes) -> None:
        self._done()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(said)
            self.transport.close()
