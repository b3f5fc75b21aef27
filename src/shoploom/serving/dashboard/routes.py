"""Pages and what they are made of, over HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlencode

import jinja2
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from shoploom.core.errors import ShoploomError
from shoploom.serving.api.answers import read_body
from shoploom.serving.api.errors import HttpError, as_http
from shoploom.serving.api.server import Server
from shoploom.serving.api.sessions import COOKIE, HOURS
from shoploom.serving.bundle import Bundle
from shoploom.serving.dashboard import (
    campaigns,
    live,
    model,
    overview,
    prices,
    products,
    quality,
    segments,
    service,
    users,
)
from shoploom.serving.dashboard.board import Board
from shoploom.serving.dashboard.charts import SHOWN
from shoploom.serving.dashboard.facts import Facts
from shoploom.serving.dashboard.wording import LANGUAGES, Words
from shoploom.serving.store import Audited

#: In the order of the menu.
PAGES: Mapping[str, Callable[[Board], dict[str, Any]]] = {
    "overview": overview.build,
    "live": live.build,
    "users": users.build,
    "segments": segments.build,
    "products": products.build,
    "prices": prices.build,
    "campaigns": campaigns.build,
    "service": service.build,
    "quality": quality.build,
    "model": model.build,
}

_LANGUAGE = "lang"
_NO_PHOTO = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#8a8f99">'
    '<path d="M7 8h10v9H7zM7 15l3-3 2 2 2-2 3 3"/></svg>'
)
_YEAR_S = 365 * 24 * 3600
_FORM = 20_000  # bytes
_STATIC = {
    "board.css": "text/css; charset=utf-8",
    "board.js": "text/javascript; charset=utf-8",
    "theme.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
#: Shared with the report.
_VENDORED = {
    "echarts.min.js": "text/javascript; charset=utf-8",
    "fonts.css": "text/css; charset=utf-8",
}


def routes(server: Server) -> APIRouter:
    """The routes of a worker."""
    router = APIRouter(include_in_schema=False)
    shown = _Shown(server)

    @router.get("/")
    async def home() -> Response:
        return RedirectResponse("/dashboard/overview", 307)

    @router.get("/static/{name}")
    async def static(name: str) -> Response:
        found = _static(name)
        if found is None:
            raise HttpError(404, "not_found", "there is nothing at this path.")
        body, kind = found
        return Response(body, media_type=kind, headers={"cache-control": f"max-age={_YEAR_S}"})

    @router.get("/login")
    async def login(request: Request) -> Response:
        return _page("login.html.j2", {"w": shown.words(request), "wrong": False}, shown)

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        _same_site(request)
        form = await _form(request)
        cookie = server.sessions().begin(form.get("key", "").strip())
        if cookie is None:
            found = {"w": shown.words(request), "wrong": True}
            return _page("login.html.j2", found, shown, 401)
        server.audit(Audited.now(cookie.partition(".")[0], "log in", "dashboard", "done"))
        response = RedirectResponse("/dashboard/overview", 303)
        secure = request.url.scheme == "https" or (
            request.headers.get("x-forwarded-proto", "") == "https"
        )
        response.set_cookie(
            COOKIE, cookie, HOURS * 3600, httponly=True, samesite="strict", secure=secure
        )
        return response

    @router.get("/logout")
    async def log_out() -> Response:
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE)
        return response

    @router.get("/dashboard/photo")
    async def photo(item: str, size: int = 96) -> Response:
        if size not in (96, 256, 512):
            raise HttpError(422, "bad_request", "expected a size of 96, 256 or 512.")
        found = await server.aside(server.predictor.bundle.photos.jpeg, item, size)
        kept = {"cache-control": "private, max-age=3600"}
        if found is None:  # named, but nothing that can be shown
            return Response(_NO_PHOTO, media_type="image/svg+xml", headers=kept)
        return Response(found, media_type="image/jpeg", headers=kept)

    @router.get("/dashboard/map.jpg")
    async def sprite(request: Request) -> Response:
        found = await server.aside(lambda: products.sprite_of(shown.board(request)))
        if found is None:
            raise HttpError(404, "no_photo", "this run has no map of photos.")
        return Response(
            found, media_type="image/jpeg", headers={"cache-control": "private, max-age=86400"}
        )

    @router.get("/dashboard/users/found")
    async def found_users(request: Request) -> Response:
        def find() -> dict[str, Any]:
            board = shown.board(request)
            return {"w": board.words, "found": users.candidates(board, board.query.get("id", ""))}

        return _page("found_users.html.j2", await server.aside(find), shown)

    @router.post("/dashboard/service/try")
    async def try_message(request: Request) -> Response:
        _same_site(request)
        form = await _form(request)
        text, user = form.get("text", "").strip()[:2_000], form.get("user", "").strip()[:200]

        def work() -> dict[str, Any]:
            board = shown.board(request)
            told = service.answer(board, text, user) if text else None
            return {"w": board.words, "answer": told}

        return _page("answer.html.j2", await server.aside(work), shown)

    @router.get("/dashboard/{page}")
    async def whole(request: Request, page: str) -> Response:
        try:
            return await server.aside(shown.page, request, page, f"{page}.html.j2")
        except ShoploomError as error:  # people look at this: they are told in their language
            return shown.failed(request, as_http(error))

    @router.get("/dashboard/live/now")
    async def now(request: Request) -> Response:
        return await server.aside(shown.page, request, "live", "live_now.html.j2")

    @router.get("/dashboard/{page}/{name}.csv")
    async def table(request: Request, page: str, name: str) -> Response:
        return await server.aside(shown.csv, request, page, name)

    return router


class _Shown:
    """Makes pages of a server."""

    def __init__(self, server: Server):
        self._server = server
        self._facts: tuple[str, Facts] | None = None
        server.beside.append(lambda bundle: self._of(bundle).gather())

    def words(self, request: Request) -> Words:
        """In the language that was chosen: by the address, by a cookie, or as set up."""
        settings = self._server.settings
        wanted = request.query_params.get(_LANGUAGE) or request.cookies.get(_LANGUAGE)
        language = wanted if wanted in LANGUAGES else settings.language
        return Words(str(language), self._server.predictor.bundle.model.card["currency"])

    def board(self, request: Request) -> Board:
        """What a page is built from."""
        bundle = self._server.predictor.bundle
        return Board(
            self._server,
            bundle,
            self._of(bundle),
            self.words(request),
            dict(request.query_params),
            self._server.clock.now(),
        )

    def _of(self, bundle: Bundle) -> Facts:
        held = self._facts
        if held is None or held[0] != bundle.id:
            held = self._facts = (bundle.id, Facts(bundle))
        return held[1]

    def page(self, request: Request, page: str, template: str) -> Response:
        """A page, or a part of it."""
        board = self.board(request)
        found = _build(page)(board)
        words = board.words
        other = "zh" if words.language == "en" else "en"
        query = {k: v for k, v in board.query.items() if k != _LANGUAGE}
        found |= {
            "w": words,
            "page": page,
            "pages": list(PAGES),
            "shop": board.bundle.model.card["shop"],
            "charts": board.charts,
            "shown": SHOWN,
            "now": board.now,
            "wall": board.server.clock.is_wall,
            "demo": board.server.settings.demo,
            "other_language": "?" + urlencode({**query, _LANGUAGE: other}),
            "query": board.query,
        }
        response = _page(template, found, self)
        if board.query.get(_LANGUAGE) in LANGUAGES:
            response.set_cookie(
                _LANGUAGE, words.language, _YEAR_S, httponly=True, samesite="strict"
            )
        return response

    def failed(self, request: Request, error: HttpError) -> Response:
        """The page that is shown in place of one that cannot be."""
        found = {"w": self.words(request), "status": error.status, "said": str(error)}
        response = _page("failed.html.j2", found, self, error.status)
        response.headers.update(error.headers)
        return response

    def csv(self, request: Request, page: str, name: str) -> Response:
        """The rows of a chart of a page."""
        board = self.board(request)
        _build(page)(board)
        chart = board.charts.get(name)
        if chart is None:
            raise HttpError(404, "not_found", "this page has no chart of that name.")
        plain = "".join(letter if letter.isalnum() else "-" for letter in f"{page}-{name}")
        return Response(
            chart.csv(),
            media_type="text/csv; charset=utf-8",
            headers={"content-disposition": f'attachment; filename="{plain}.csv"'},
        )


def _build(page: str) -> Callable[[Board], dict[str, Any]]:
    if page not in PAGES:
        raise HttpError(404, "not_found", "there is no such page.")
    return PAGES[page]


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(
            lambda name: _here("templates").joinpath(name).read_text(encoding="utf-8")
        ),
    )


def _page(template: str, found: dict[str, Any], shown: _Shown, status: int = 200) -> Response:
    text = _environment().get_template(template).render(version=_version(), **found)
    return Response(text, status, media_type="text/html; charset=utf-8")


def _here(name: str) -> Any:
    return files("shoploom.serving.dashboard").joinpath(name)


@cache
def _static(name: str) -> tuple[bytes, str] | None:
    if name in _STATIC:
        return _here("static").joinpath(name).read_bytes(), _STATIC[name]
    if name in _VENDORED:
        vendor = files("shoploom.workflows.report").joinpath("vendor")
        return vendor.joinpath(name).read_bytes(), _VENDORED[name]
    return None


@cache
def _version() -> str:
    """Changes whenever a static file does, so that browsers may keep them for good."""
    digest = hashlib.sha256()
    for name in (*_STATIC, *_VENDORED):
        found = _static(name)
        digest.update(found[0] if found else b"")
    return digest.hexdigest()[:12]


async def _form(request: Request) -> dict[str, str]:
    """Fields of a form as browsers send it."""
    body = await read_body(request, _FORM)
    found = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    return {name: values[0] for name, values in found.items()}


def _same_site(request: Request) -> None:
    """Raise where another site sends a form in a visitor's name.

    Raises:
        HttpError: it does.
    """
    site = request.headers.get("sec-fetch-site")
    if site is None:  # browsers leave it out over plain HTTP
        origin, host = request.headers.get("origin"), request.headers.get("host", "")
        site = "cross-site" if origin and origin.split("://")[-1] != host else "same-origin"
    if site not in ("same-origin", "none"):
        raise HttpError(403, "wrong_site", "forms are taken from our own pages alone.")
