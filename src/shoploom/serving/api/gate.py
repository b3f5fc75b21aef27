"""What every request passes: name, limits, key, headers, and the one shape of errors.

A plain ASGI layer, because anything heavier costs more than the answer behind it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

import orjson

from shoploom.serving.api.errors import HttpError, as_http, body_of
from shoploom.serving.api.meters import Meters
from shoploom.serving.api.sessions import COOKIE, Sessions
from shoploom.serving.keys import ADMIN, INGEST, READ, Keys, allows
from shoploom.serving.settings import ServeSettings
from shoploom.serving.store import Audited, Key
from shoploom.serving.writer import Overloaded

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger("shoploom.serving")

#: A slash inside an id travels as %2F; this letter of nobody's stands for it until it is unpacked.
SLASH = "\ue000"

#: Requests that lie ready are answered one after another before the loop looks for new ones. Those
#: whose turn comes later than this are refused, so that nobody waits long for either.
_TURN_S = 0.1
_TURN_LEAST = 16  # answered however long they take: one long step is no load
_STRANGERS = 20  # wrong keys a minute from one address before it has to wait
_NAME = re.compile(rb"[\w.-]{8,64}\Z")
_OPEN = ("/healthz", "/readyz")
_INGEST = ("/v1/events", "/v1/reviews", "/v1/messages")
_PAGES = ("/dashboard", "/static", "/login", "/logout")

_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),  # with none, forms would come from nowhere
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
]
_NOTHING = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_PAGE_POLICY = (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' "
    b"data:; font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    b"frame-ancestors 'none'",
)


class Gate:
    """Stands before the application.

    Args:
        app: what is behind.
        settings: of the server.
        meters: that count.
        keys: that are good; looked up when first needed, since the store opens later.
        sessions: of browsers.
        audit: takes lines of the audit log.
    """

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        *,
        settings: ServeSettings,
        meters: Meters,
        keys: Callable[[], Keys],
        sessions: Callable[[], Sessions],
        audit: Callable[[Audited], None],
    ):
        self.app, self.settings, self.meters = app, settings, meters
        self._keys, self._sessions, self._audit = keys, sessions, audit
        self._buckets: dict[str, tuple[float, float]] = {}
        self._strangers: dict[str, tuple[float, int]] = {}
        self._hosts = {"localhost", "127.0.0.1", "[::1]", settings.host, *settings.hosts}
        self._turn = _Turn()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        start = time.perf_counter()
        request = _Request(scope)
        sent = 0

        async def told(message: MutableMapping[str, Any]) -> None:
            nonlocal sent
            if message["type"] == "http.response.start":
                sent = message["status"]
                kept = [pair for pair in message.get("headers", ()) if pair[0] != b"server"]
                message["headers"] = [*kept, *_HEADERS, *request.headers(kept)]
            await send(message)

        try:
            self._admit(request)
            await self.app(scope, receive, told)
        except Exception as error:
            found = as_http(error)
            if found.status >= 500 and not isinstance(error, HttpError):
                log.error("request %s %s", request.id, scope["path"], exc_info=error)
            if found.status == 503:
                self.meters.store_errors.inc()
            if not sent:
                await _say(found, request.id, told)
        route = _route(scope)
        self.meters.requests.labels(route, str(sent)).inc()
        self.meters.seconds.labels(route).observe(time.perf_counter() - start)

    def _admit(self, request: _Request) -> None:
        """Let a request in, or raise what keeps it out."""
        scope, path = request.scope, request.path
        raw = scope.get("raw_path") or b""
        if b"%2F" in raw or b"%2f" in raw:
            kept = raw.replace(b"%2f", b"%2F").replace(b"%2F", SLASH.encode())
            scope["path"] = unquote(kept.decode("utf-8", "replace"))
        if path in _OPEN:
            return
        if self.settings.demo:
            # A page of another site could otherwise have its own name point to this machine.
            if request.host not in self._hosts:
                raise HttpError(421, "wrong_host", "expected to be called by this machine's name.")
            request.key = _DEMO
        else:
            request.key = self._identified(request)
        scope["state"]["key"] = request.key
        self._limit(request)
        # Events are bounded by their queue, and pages by the threads that make them.
        bounded = path in _INGEST or path.startswith(_PAGES)
        if not bounded and not self._turn.has_room():
            self.meters.shed.inc()
            raise Overloaded("too many requests at once; wait a second and send it again.")

    def _identified(self, request: _Request) -> Key:
        """Whose key was shown, if it allows what is asked."""
        scope, path = request.scope, request.path
        pages = path == "/" or path.startswith(_PAGES)
        if pages and (path.startswith("/static") or path in ("/login", "/logout")):
            return _NOBODY
        address = scope["client"][0] if scope.get("client") else "?"
        if self._is_banned(address):
            raise HttpError(
                429,
                "too_many_wrong_keys",
                "too many wrong keys came from this address; wait a minute.",
                headers={"retry-after": "60"},
            )
        if pages:
            key = self._sessions().key_of(request.cookie(COOKIE))
            if key is None:
                # A part of a page would show the page of the log-in in its place.
                status = 401 if request.is_part else 303
                raise HttpError(status, "login", "log in first.", headers={"location": "/login"})
            needed = READ
        else:
            key, needed = self._keys().check(request.token), _needed(scope["method"], path)
        if key is None:
            if request.token:
                self._note_stranger(address)
            self.meters.denied.inc()
            raise HttpError(
                401,
                "no_key",
                "expected a key that works, as `Authorization: Bearer sl_...`; `shoploom keys add` "
                "makes one.",
                headers={"www-authenticate": "Bearer"},
            )
        if not allows(key, needed):
            self.meters.denied.inc()
            self._audit(Audited.now(key.id, "denied", path[:200], needed))
            raise HttpError(
                403, "wrong_scope", f"this key allows {key.scopes}; {needed} is needed here."
            )
        return key

    def _limit(self, request: _Request) -> None:
        """A token bucket for each key, of two seconds' depth."""
        rate = self.settings.rate
        if not rate or request.key is None or request.key is _DEMO:
            return
        now = time.monotonic()
        left, then = self._buckets.get(request.key.id, (2 * rate, now))
        left = min(2 * rate, left + (now - then) * rate) - 1
        if left < 0:
            raise HttpError(
                429,
                "rate_limit",
                f"expected at most {rate:,.0f} requests a second with this key; wait a second.",
                headers={"retry-after": "1"},
            )
        self._buckets[request.key.id] = (left, now)

    def _is_banned(self, address: str) -> bool:
        start, n = self._strangers.get(address, (0.0, 0))
        return n >= _STRANGERS and time.monotonic() - start < 60

    def _note_stranger(self, address: str) -> None:
        now = time.monotonic()
        start, n = self._strangers.get(address, (now, 0))
        fresh = now - start >= 60
        if len(self._strangers) > 10_000:
            self._strangers.clear()
        self._strangers[address] = (now, 1) if fresh else (start, n + 1)


class _Turn:
    """The requests that the event loop takes up between two looks at its sockets."""

    __slots__ = ("_begin", "_n")

    def __init__(self) -> None:
        self._begin, self._n = 0.0, 0

    def has_room(self) -> bool:
        """Whether one more can be answered in time; the first of a turn opens it."""
        now = time.monotonic()
        if not self._n:
            self._begin = now
            asyncio.get_running_loop().call_soon(self._end)
        elif self._n >= _TURN_LEAST and now - self._begin > _TURN_S:
            return False
        self._n += 1
        return True

    def _end(self) -> None:
        self._n = 0


class _Request:
    """What the gate needs to know of a request."""

    __slots__ = ("_found", "id", "key", "path", "scope")

    def __init__(self, scope: Scope):
        self.scope, self.path = scope, scope["path"]
        self.key: Key | None = None
        self._found = dict(scope["headers"])
        name = self._found.get(b"x-request-id", b"")
        self.id = name.decode() if _NAME.match(name) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = self.id

    @property
    def host(self) -> str:
        """Without the port."""
        host = self._found.get(b"host", b"").decode("latin-1")
        return host.rsplit(":", 1)[0] if not host.endswith("]") else host

    @property
    def is_part(self) -> bool:
        """Whether a page asks for a part of itself."""
        return b"hx-request" in self._found

    @property
    def token(self) -> str:
        """The key that was shown; empty without one."""
        shown = self._found.get(b"authorization", b"").decode("latin-1")
        if shown[:7].lower() == "bearer ":
            return shown[7:].strip()
        return self._found.get(b"x-api-key", b"").decode("latin-1")

    def cookie(self, name: str) -> str:
        """A cookie; empty without one."""
        for part in self._found.get(b"cookie", b"").decode("latin-1").split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value
        return ""

    def headers(self, own: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """What an answer says besides its own headers."""
        names = {name for name, _ in own}
        page = any(name == b"content-type" and b"html" in value for name, value in own)
        more = [(b"x-request-id", self.id.encode()), _PAGE_POLICY if page else _NOTHING]
        if b"cache-control" not in names:
            more.append((b"cache-control", b"no-store"))
        return more


_DEMO = Key("demo", "demo", b"", f"{INGEST},{READ},{ADMIN}", 0)
_NOBODY = Key("nobody", "nobody", b"", "", 0)


def _needed(method: str, path: str) -> str:
    """The scope that a path needs."""
    if path.startswith("/v1/admin"):
        return ADMIN
    return INGEST if method == "POST" and path in _INGEST else READ


def _route(scope: Scope) -> str:
    """The template of the path, so that ids make no new series."""
    route = scope.get("route")
    return getattr(route, "path", None) or "unmatched"


async def _say(error: HttpError, request_id: str, send: Send) -> None:
    body = orjson.dumps(body_of(error, request_id))
    headers = [(b"content-type", b"application/json")]
    headers += [(k.encode(), v.encode("latin-1", "replace")) for k, v in error.headers.items()]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
