"""Routes that read and answer texts."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from shoploom.serving.api import schemas
from shoploom.serving.api.answers import answer
from shoploom.serving.api.docs import fails
from shoploom.serving.api.server import Server


def routes(server: Server) -> APIRouter:
    """The routes of a worker."""
    router = APIRouter(tags=["texts"])

    @router.post("/v1/reply", responses={200: {"model": schemas.ReplyOut}} | fails(404, 422))
    async def reply(asked: schemas.ReplyIn) -> Response:
        """The reply that suits this customer best, and whether a person should answer instead."""
        roles = None if asked.roles is None else [str(role) for role in asked.roles]
        given = (asked.texts, roles, asked.user_id)
        return answer(await server.aside(server.predictor.reply, *given))

    @router.post("/v1/sentiment", responses={200: {"model": schemas.Sentiments}} | fails(404, 422))
    async def sentiment(asked: schemas.TextIn) -> Response:
        """What texts say: how positive they are, and of which aspects; English and Chinese."""
        return answer(await server.aside(server.sentiment, asked.texts))

    return router
