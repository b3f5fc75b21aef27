"""Routes about items: what is like one, its photo, and searches by text and photo."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from shoploom.serving.api import schemas
from shoploom.serving.api.answers import answer, read_body
from shoploom.serving.api.docs import fails
from shoploom.serving.api.errors import HttpError
from shoploom.serving.api.server import Server
from shoploom.serving.api.users import K, unpacked

ItemId = Annotated[str, Path(description="your id of an item", min_length=1, examples=["i0564"])]
_PHOTO = {
    "requestBody": {
        "required": True,
        "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def routes(server: Server) -> APIRouter:
    """The routes of a worker."""
    router = APIRouter(tags=["items"])

    @router.get(
        "/v1/items/{item_id}/similar",
        responses={200: {"model": schemas.Similar}} | fails(404, 422),
    )
    async def similar(
        item_id: ItemId,
        k: K = 10,
        by: Annotated[
            Literal["content", "together"] | None,
            Query(description="what they say and show, or who buys them; content where known"),
        ] = None,
    ) -> Response:
        """Items like one: in what they say and show, or because they are bought together."""
        item = unpacked(item_id)
        return answer(await server.aside(server.predictor.similar, item, k, by))

    @router.get(
        "/v1/items/{item_id}/image",
        responses={200: {"content": {"image/jpeg": {}}}} | fails(404, 422),
        response_class=Response,
    )
    async def image(
        item_id: ItemId,
        size: Annotated[Literal[96, 256, 512], Query(description="longer side")] = 256,
    ) -> Response:
        """The photo of an item, reduced."""
        item = unpacked(item_id)
        found = await server.aside(server.predictor.bundle.photos.jpeg, item, size)
        if found is None:
            raise HttpError(404, "no_photo", "no photo of this item can be shown.")
        return Response(
            found, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"}
        )

    @router.get("/v1/search", responses={200: {"model": schemas.Similar}} | fails(404, 422))
    async def search(
        q: Annotated[str, Query(description="what is looked for", min_length=1, max_length=500)],
        k: K = 10,
    ) -> Response:
        """Items that answer a text: by words, and by meaning where texts were encoded."""
        return answer(await server.aside(server.predictor.search, q, k))

    @router.post(
        "/v1/search/image",
        responses={200: {"model": schemas.Similar}} | fails(400, 404, 408, 413, 422),
        openapi_extra=_PHOTO,
    )
    async def search_photo(request: Request, k: K = 10) -> Response:
        """Items whose photos are like the one sent."""
        photo = await read_body(request, 2 * server.settings.largest)
        if not photo:
            raise HttpError(422, "bad_request", "expected the bytes of a photo, got none.")
        return answer(await server.aside(server.predictor.search_photo, photo, k))

    return router
