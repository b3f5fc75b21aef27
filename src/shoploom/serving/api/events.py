"""Routes that take in: events, reviews, messages. Acknowledged means on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from shoploom.core import columns as c
from shoploom.serving.api import schemas
from shoploom.serving.api.answers import answer, read_json
from shoploom.serving.api.docs import body, fails
from shoploom.serving.api.errors import HttpError
from shoploom.serving.api.server import Server
from shoploom.serving.events import Rejected, read_events
from shoploom.serving.store import Text
from shoploom.serving.texts import read_message, read_review


def routes(server: Server) -> APIRouter:
    """The routes of a worker."""
    router = APIRouter(tags=["take in"])
    settings = server.settings

    @router.post(
        "/v1/events",
        responses={200: {"model": schemas.EventsOut}} | fails(400, 408, 413, 415, 422, 429, 503),
        openapi_extra=body(
            schemas.EventsIn | schemas.EventIn | schemas.EventList,
            one=schemas.EVENT,
            batch={"events": [schemas.EVENT]},
        ),
    )
    async def events(request: Request) -> Response:
        """Keep one event or a batch; the answer comes when they are on disk.

        An event counts once for its user by its `event_id`, so that sending again is always safe.
        What is wrong is put aside with its reason, the others are kept.
        """
        given = _listed(await read_json(request, settings.largest), settings.batch)
        found, rejected = read_events(given, server.clock.now())
        if rejected:
            server.count_events(0, 0, len(rejected))
            at = server.clock.now()
            await server.writer.run(lambda: server.store.quarantine(rejected, at))
            if not found:
                raise HttpError(422, "no_event", rejected[0].reason, details=_told(rejected))
        fresh = await server.writer.add(found)
        new = sum(fresh)
        server.count_events(new, len(fresh) - new, 0)
        return answer(
            {"accepted": new, "duplicates": len(fresh) - new, "rejected": _told(rejected)}
        )

    async def text(request: Request, read: Callable[[Any, int], Text | str]) -> Response:
        given = await read_json(request, settings.largest)
        found = read(given, server.clock.now())
        if isinstance(found, str):
            raise HttpError(422, "bad_text", found)
        fresh = await server.writer.run(lambda: server.store.add_texts([found]))
        return answer({"new": fresh[0]})

    @router.post(
        "/v1/reviews",
        responses={200: {"model": schemas.Kept}} | fails(400, 408, 413, 415, 422, 429, 503),
        openapi_extra=body(
            schemas.ReviewIn,
            review={
                "review_id": "r-1",
                c.USER_ID: "42",
                c.ITEM_ID: "i0564",
                c.RATING: 5,
                c.TEXT: "Smells wonderful, arrived fast.",
            },
        ),
    )
    async def reviews(request: Request) -> Response:
        """Keep a review; its sentiment is read within seconds."""
        return await text(request, read_review)

    @router.post(
        "/v1/messages",
        responses={200: {"model": schemas.Kept}} | fails(400, 408, 413, 415, 422, 429, 503),
        openapi_extra=body(
            schemas.MessageIn,
            message={
                "message_id": "m-1",
                c.DIALOGUE_ID: "d-7",
                c.USER_ID: "42",
                c.ROLE: c.CUSTOMER,
                c.TEXT: "Where is my parcel?",
            },
        ),
    )
    async def messages(request: Request) -> Response:
        """Keep a turn of a dialogue; the sentiment of customers' turns is read within seconds."""
        return await text(request, read_message)

    return router


def _listed(given: Any, most: int) -> list[Any]:
    """Events as a list, whichever of the three forms they came in."""
    if isinstance(given, dict) and "events" in given:
        if len(given) > 1:
            raise HttpError(422, "bad_request", "expected `events` and nothing beside it.")
        given = given["events"]
        if not isinstance(given, list):
            raise HttpError(422, "bad_request", "events: expected a list.")
    elif isinstance(given, dict):
        given = [given]
    if not isinstance(given, list) or not given:
        raise HttpError(
            422, "bad_request", 'expected an event, a list of events, or {"events": [...]}.'
        )
    if len(given) > most:
        raise HttpError(
            413, "too_large", f"expected at most {most:,} events at once, got {len(given):,}."
        )
    return given


def _told(rejected: list[Rejected]) -> list[dict[str, Any]]:
    return [
        {"place": each.place, "event_id": each.event_id, "reason": each.reason}
        for each in rejected[:100]
    ]
