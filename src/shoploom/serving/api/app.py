"""The application: routes behind the gate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shoploom import __version__
from shoploom.core.errors import ShoploomError
from shoploom.serving.api import admin, events, items, language, ops, users
from shoploom.serving.api.errors import HttpError, as_http, body_of
from shoploom.serving.api.gate import Gate
from shoploom.serving.api.server import Server
from shoploom.serving.settings import ServeSettings

_ABOUT = """Events in, answers out.

Every request but `/healthz` and `/readyz` carries a key: `Authorization: Bearer sl_...`. Keys have
scopes: `ingest` takes in, `read` asks, `admin` does everything. All errors have one shape. A `429`
or `503` says when to send again in `Retry-After`; events may always be sent again.
"""


def make_app(
    settings: ServeSettings, more: Sequence[Callable[[Server], APIRouter]] = ()
) -> tuple[Gate, Server]:
    """The application of a worker, and what it holds while it runs.

    Args:
        settings: of the server.
        more: routes beside those of the API, such as the dashboard's.
    """
    server = Server(settings)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        await server.start()
        try:
            yield
        finally:
            await server.stop()

    app = FastAPI(
        title="shoploom",
        version=__version__,
        description=_ABOUT,
        docs_url=None,  # its page would be fetched from another host
        redoc_url=None,
        lifespan=life,
        separate_input_output_schemas=False,
    )
    for module in (events, users, items, language, ops, admin):
        app.include_router(module.routes(server))
    for router in more:
        app.include_router(router(server))
    for kind in (ShoploomError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _handled)
    gate = Gate(
        app,
        settings=settings,
        meters=server.meters,
        keys=server.keys,
        sessions=server.sessions,
        audit=server.audit,
    )
    return gate, server


async def _handled(request: Request, error: Exception) -> Response:
    """Any error as the one shape of errors."""
    found = _as_http(error)
    body = orjson.dumps(body_of(found, request.scope["state"]["request_id"]))
    return Response(body, found.status, found.headers, "application/json")


def _as_http(error: Exception) -> HttpError:
    if isinstance(error, RequestValidationError):
        return _of_validation(error)
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        said = {
            404: "there is nothing at this path.",
            405: "this path cannot be asked that way.",
        }.get(error.status_code, f"{error.detail}")
        code = status.phrase.lower().replace(" ", "_")
        return HttpError(error.status_code, code, said, headers=dict(error.headers or {}))
    return as_http(error)


def _of_validation(error: RequestValidationError) -> HttpError:
    details: list[Any] = [
        {"where": ".".join(map(str, each["loc"])), "problem": each["msg"]}
        for each in error.errors()[:20]
    ]
    first = details[0]
    message = f"{first['where']}: {first['problem'].lower()}."
    return HttpError(422, "bad_request", message, details=details)
