"""JSON in and out, by the fastest way there is."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from shoploom.serving.api.errors import HttpError

_PATIENCE_S = 10.0  # for the next part of a body
_JSON = "application/json"


def answer(value: Any, status: int = 200) -> Response:
    """A value as JSON."""
    return Response(orjson.dumps(value), status, media_type=_JSON)


async def read_body(request: Request, largest: int) -> bytes:
    """The whole body, if it is not too large and comes in time.

    Raises:
        HttpError: it is, it does not, or whoever sent it has gone.
    """
    stated = request.headers.get("content-length", "0")
    if not stated.isdigit() or int(stated) > largest:
        raise _too_large(largest)
    parts, size = [], 0
    stream = request.stream()
    try:
        while True:
            # Not wait_for: its task would wait for another turn of the loop, long under load.
            async with asyncio.timeout(_PATIENCE_S):
                part = await anext(stream)
            size += len(part)
            if size > largest:
                raise _too_large(largest)
            parts.append(part)
    except StopAsyncIteration:
        return b"".join(parts)
    except TimeoutError:
        raise HttpError(
            408,
            "too_slow",
            f"expected the next part of the body within {_PATIENCE_S:.0f} s, nothing came.",
            headers={"connection": "close"},
        ) from None
    except ClientDisconnect:
        raise HttpError(400, "gone", "the client went away before all was sent.") from None


async def read_json(request: Request, largest: int) -> Any:
    """The value of a body of JSON.

    Raises:
        HttpError: it is no JSON, or none that may be so large.
    """
    body = await read_body(request, largest)
    kind = request.headers.get("content-type", _JSON).split(";")[0].strip().lower()
    if kind != _JSON:
        raise HttpError(415, "not_json", f"expected content-type {_JSON}, got {kind[:60]!r}.")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise HttpError(400, "not_json", f"expected JSON, could not read it: {error}.") from None


def _too_large(largest: int) -> HttpError:
    return HttpError(
        413,
        "too_large",
        f"expected a body of at most {largest:,} bytes; send less at once.",
        headers={"connection": "close"},
    )
