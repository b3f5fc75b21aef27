"""Routes for those who run the server: health, metrics, which model answers."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from shoploom.core.errors import ShoploomError
from shoploom.serving.api import schemas
from shoploom.serving.api.answers import answer
from shoploom.serving.api.docs import fails
from shoploom.serving.api.meters import CONTENT_TYPE
from shoploom.serving.api.server import Server


def routes(server: Server) -> APIRouter:
    """The routes of a worker."""
    router = APIRouter(tags=["run"])

    @router.get("/healthz", responses={200: {"model": schemas.Health}})
    async def health() -> Response:
        """Whether the process lives; needs no key."""
        return answer({"status": "ok"})

    @router.get(
        "/readyz", responses={200: {"model": schemas.Health}, 503: {"model": schemas.Health}}
    )
    async def ready() -> Response:
        """Whether it can answer and keep events; needs no key."""
        try:
            await run_in_threadpool(server.store.check)
        except ShoploomError as error:
            return answer({"status": "unavailable", "detail": str(error)}, 503)
        return answer({"status": "ok"})

    @router.get(
        "/metrics",
        responses={200: {"content": {"text/plain": {}}}} | fails(),
        response_class=Response,
    )
    async def metrics() -> Response:
        """Counters, gauges and histograms in the format of Prometheus."""
        return Response(await run_in_threadpool(server.meters.text), media_type=CONTENT_TYPE)

    @router.get("/v1/live", responses={200: {"model": schemas.Live}} | fails())
    async def live() -> Response:
        """What goes on: the last hour's funnel, trends and alerts, moods, drift."""
        return answer(await run_in_threadpool(server.watcher.told))

    return router
