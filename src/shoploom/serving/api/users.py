"""Routes that answer about one user."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from shoploom.serving.api import schemas
from shoploom.serving.api.answers import answer
from shoploom.serving.api.docs import fails
from shoploom.serving.api.errors import HttpError
from shoploom.serving.api.gate import SLASH
from shoploom.serving.api.server import Server
from shoploom.serving.events import is_id, shown

UserId = Annotated[
    str, Path(description="your id of a user; a slash as %2F", min_length=1, examples=["42"])
]
Explain = Annotated[bool, Query(description="say what led to the answer")]
K = Annotated[int, Query(description="how many", ge=1, le=200)]


def unpacked(name: str) -> str:
    """The id in a path.

    Raises:
        HttpError: it can be none.
    """
    found = name.replace(SLASH, "/")
    if not is_id(found):
        raise HttpError(
            422, "bad_id", f"expected an id of 1 to 200 printable letters, got {shown(found)}."
        )
    return found


def routes(server: Server) -> APIRouter:
    """The routes of a worker."""
    router = APIRouter(tags=["users"], prefix="/v1/users")

    @router.get("/{user_id}", responses={200: {"model": schemas.Profile}} | fails(404, 422))
    async def profile(
        user_id: UserId,
        history: Annotated[int, Query(description="last events to show", ge=0, le=500)] = 50,
    ) -> Response:
        """Who a user is now: segment, habits, interests, predictions, recent history."""
        return answer(server.predictor.profile(unpacked(user_id), history=history))

    @router.get(
        "/{user_id}/recommendations",
        responses={200: {"model": schemas.Recommendations}} | fails(404, 422),
    )
    async def recommendations(user_id: UserId, k: K = 10, explain: Explain = False) -> Response:
        """What a user wants next, the newest event minded; strangers get what is popular."""
        return answer(server.predictor.recommend(unpacked(user_id), k=k, explain=explain))

    @router.get(
        "/{user_id}/predictions/{task}",
        responses={200: {"model": schemas.Prediction}} | fails(404, 422),
    )
    async def predictions(
        user_id: UserId,
        task: Annotated[str, Path(description="such as churn", examples=["churn"])],
        explain: Explain = False,
    ) -> Response:
        """What the model expects of a user: a chance, an amount, or one for each category."""
        return answer(server.predictor.predict(unpacked(user_id), task, explain=explain))

    @router.get("/{user_id}/price", responses={200: {"model": schemas.Priced}} | fails(404, 422))
    async def price(
        user_id: UserId,
        item_id: Annotated[str, Query(min_length=1, max_length=200, examples=["i0564"])],
    ) -> Response:
        """The price of an item for a user: the proposed list price less the group's discount."""
        return answer(server.predictor.price(unpacked(user_id), item_id))

    @router.get(
        "/{user_id}/audience", responses={200: {"model": schemas.Targeted}} | fails(404, 422)
    )
    async def audience(
        user_id: UserId,
        kind: Annotated[str, Query(description="of campaign", min_length=1, max_length=80)] = "ad",
    ) -> Response:
        """Whether to show a user an ad: gain, consent and hold-out minded."""
        return answer(server.predictor.audience(unpacked(user_id), kind))

    return router
