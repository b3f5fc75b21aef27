"""Routes for administrators: which run answers, what was done, who may call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from shoploom.core.time import iso
from shoploom.serving.api import schemas
from shoploom.serving.api.answers import answer
from shoploom.serving.api.docs import fails
from shoploom.serving.api.errors import HttpError
from shoploom.serving.api.server import Server
from shoploom.serving.runs import IN_CHARGE, roll_back
from shoploom.serving.store import Audited


def routes(server: Server) -> APIRouter:
    """The routes of a worker."""
    router = APIRouter(tags=["run"])

    @router.get("/v1/model", responses={200: {"model": schemas.ModelOut}} | fails())
    async def model() -> Response:
        """Which model answers: its id, engines by task, and up to when it has learned."""
        bundle = server.predictor.bundle
        card = bundle.model.card
        return answer(
            {
                "model": bundle.id,
                "shop": card["shop"],
                "currency": card["currency"],
                "engines": card["chosen"],
                "trained_until": iso(card["trained_until"]),
                "users": len(bundle.ready.histories),
                "items": len(bundle.goods.items),
                "loading": server.loading is not None,
            }
        )

    @router.post("/v1/admin/reload", responses={200: {"model": schemas.Reloaded}} | fails(422))
    async def reload(request: Request) -> Response:
        """Load the run in charge anew, such as after `shoploom price`; the old one answers until
        the new one is whole.
        """
        folder = await run_in_threadpool(server.store.get, IN_CHARGE)
        done = await server.reload(folder or str(server.settings.run))
        _note(server, request, "reload", server.predictor.bundle.id, done)
        if not done:
            raise HttpError(422, "not_loaded", "the run cannot be loaded, the old one stays.")
        return answer({"model": server.predictor.bundle.id})

    @router.post(
        "/v1/admin/rollback", responses={200: {"model": schemas.Reloaded}} | fails(404, 422)
    )
    async def rollback(request: Request) -> Response:
        """Put the run before the last promotion back in charge, here and in all workers."""
        by = request.scope["state"]["key"].id
        folder: Path = await run_in_threadpool(lambda: roll_back(server.store, by=by))
        await server.reload(str(folder))
        return answer({"model": server.predictor.bundle.id})

    @router.get("/v1/admin/audit", responses={200: {"model": schemas.Audit}} | fails(422))
    async def audit(
        limit: Annotated[int, Query(description="lines", ge=1, le=1000)] = 100,
    ) -> Response:
        """The last lines of the audit log: keys made and refused, log-ins, promotions."""
        lines = await run_in_threadpool(server.store.audited, limit)
        found: list[dict[str, Any]] = [each._asdict() | {"time": iso(each.time)} for each in lines]
        return answer({"lines": found})

    return router


def _note(server: Server, request: Request, action: str, target: str, done: bool) -> None:
    key = request.scope["state"]["key"]
    server.audit(Audited.now(key.id, action, target, "done" if done else "failed"))
