"""Keys, scopes, limits and headers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from shoploom.cli import run as cli_run
from shoploom.core.errors import ConfigError
from shoploom.serving.keys import Keys, make_key
from shoploom.serving.settings import ServeSettings
from shoploom.serving.store import Audited, open_store
from tests.serving.conftest import Served, event


def with_key(served: Served, *scopes: str, **more: object) -> dict[str, str]:
    token, key = make_key("test", scopes, **more)
    served.server.store.add_key(key)
    served.server.keys()._read_at = float("-inf")
    return {"authorization": f"Bearer {token}"}


def last_audited(served: Served) -> Audited:
    """The newest line of the audit log, once there is one."""
    end = time.monotonic() + 5
    while not (lines := served.server.store.audited(1)) and time.monotonic() < end:
        time.sleep(0.01)
    return lines[0]


@pytest.fixture
def locked(serve: Callable[..., Served]) -> Served:
    """A server that asks for keys."""
    return serve(demo=False)


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/v1/events", "ingest"),
        ("POST", "/v1/reviews", "ingest"),
        ("GET", "/v1/users/u07/recommendations", "read"),
        ("GET", "/v1/live", "read"),
        ("POST", "/v1/reply", "read"),
        ("GET", "/metrics", "read"),
        ("GET", "/openapi.json", "read"),
        ("GET", "/v1/admin/audit", "admin"),
        ("POST", "/v1/admin/reload", "admin"),
    ],
)
def test_every_path_asks_for_its_scope(locked: Served, method: str, path: str, scope: str):
    send = locked.client.request
    assert send(method, path).status_code == 401
    assert send(method, path).json()["error"]["code"] == "no_key"
    for other in {"ingest", "read"} - {scope}:
        assert send(method, path, headers=with_key(locked, other)).status_code == 403
    for good in (scope, "admin"):
        assert send(method, path, headers=with_key(locked, good)).status_code not in (401, 403)


def test_health_needs_no_key(locked: Served):
    assert locked.client.get("/healthz").status_code == 200
    assert locked.client.get("/readyz").status_code == 200


def test_keys_are_kept_as_hashes_and_end(locked: Served, tmp_path: Path):
    headers = with_key(locked, "read")
    secret = headers["authorization"].rsplit("_", 1)[1]
    assert locked.client.get("/v1/model", headers=headers).status_code == 200
    assert secret.encode() not in (tmp_path / "live.db").read_bytes()
    assert secret.encode() not in (tmp_path / "live.db-wal").read_bytes()
    key = locked.server.store.api_keys()[-1]
    assert secret not in str(key)
    locked.server.store.revoke_key(key.id)
    locked.server.keys()._read_at = float("-inf")
    assert locked.client.get("/v1/model", headers=headers).status_code == 401
    token, short = make_key("short", ["read"], days=1)
    locked.server.store.add_key(short._replace(expires=int(time.time() * 1e6) - 1))
    locked.server.keys()._read_at = float("-inf")
    assert Keys(locked.server.store).check(token) is None


@pytest.mark.parametrize(
    "token", ["", "sl_", "sl_a_b", "Bearer x", "sl_" + "a" * 5000, "ключ", "sl_x_' OR 1=1"]
)
def test_wrong_keys_are_refused(locked: Served, token: str):
    headers = {"authorization": f"Bearer {token}".encode()}
    assert locked.client.get("/v1/model", headers=headers).status_code == 401


def test_guessing_is_slowed_down(locked: Served):
    statuses = [
        locked.client.get("/v1/model", headers={"x-api-key": f"sl_{n}_guess"}).status_code
        for n in range(25)
    ]
    assert statuses[:20] == [401] * 20
    assert set(statuses[20:]) == {429}


def test_a_key_is_limited_in_its_rate(serve: Callable[..., Served]):
    served = serve(demo=False, rate=5)
    headers = with_key(served, "read")
    statuses = [served.client.get("/v1/model", headers=headers).status_code for _ in range(30)]
    assert statuses.count(200) in (10, 11, 12)  # two seconds' worth, and what came meanwhile
    answer = served.client.get("/v1/model", headers=headers)
    assert answer.headers["retry-after"] == "1"
    other = with_key(served, "read")
    assert served.client.get("/v1/model", headers=other).status_code == 200


def test_more_than_can_wait_is_refused(serve: Callable[..., Served]):
    served = serve(waiting=50)
    served.server.writer._wake.acquire()  # nothing is written meanwhile
    try:
        served.server.writer._waiting = 49
    finally:
        served.server.writer._wake.release()
    answer = served.client.post("/v1/events", json=[event(str(n)) for n in range(10)])
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "overloaded"
    assert answer.headers["retry-after"] == "1"
    served.server.writer._waiting = 0
    assert served.send(event("a"))["accepted"] == 1


def at_once(served: Served, *asked: tuple) -> list[httpx.Response]:
    """Answers to requests that come together: method, path and perhaps JSON of each."""

    async def crowd() -> list[httpx.Response]:
        transport = httpx.ASGITransport(served.client.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            requests = [client.request(*each[:2], json=(*each, None)[2]) for each in asked]
            return await asyncio.gather(*requests)

    assert served.client.portal is not None
    return served.client.portal.call(crowd)


def test_requests_that_would_wait_long_are_refused_events_are_not(
    served: Served, monkeypatch: pytest.MonkeyPatch
):
    def slow(*_: object, **__: object) -> dict[str, int]:
        time.sleep(0.01)
        return {}

    monkeypatch.setattr(served.server.predictor, "recommend", slow)

    path = "/v1/users/u07/recommendations"
    *answers, kept = at_once(served, *[("GET", path)] * 60, ("POST", "/v1/events", event("kept")))
    assert kept.json()["accepted"] == 1
    statuses = [each.status_code for each in answers]
    n = statuses.count(200)
    assert 16 <= n < 60
    assert statuses == [200] * n + [429] * (60 - n)  # whoever came first is answered
    assert answers[-1].json()["error"]["code"] == "overloaded"
    assert answers[-1].headers["retry-after"] == "1"
    assert served.client.get("/v1/users/u07/recommendations").status_code == 200


def test_searches_that_would_wait_long_are_refused(served: Served, monkeypatch: pytest.MonkeyPatch):
    def slow(*_: object) -> dict[str, int]:
        time.sleep(0.02)
        return {}

    monkeypatch.setattr(served.server.predictor, "search", slow)

    answers = at_once(served, *[("GET", "/v1/search?q=tea")] * 100)
    statuses = [each.status_code for each in answers]
    n = statuses.count(200)
    assert 16 <= n <= 64
    assert statuses == [200] * n + [429] * (100 - n)
    assert served.client.get("/v1/search?q=tea").status_code == 200


def test_answers_carry_headers_that_protect(served: Served):
    for path in ("/v1/model", "/dashboard/overview", "/v1/nothing"):
        headers = served.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers
    assert (
        "script-src 'self'"
        in served.client.get("/dashboard/overview").headers["content-security-policy"]
    )


def test_what_is_refused_stands_in_the_audit_log(locked: Served):
    locked.client.get("/v1/admin/audit", headers=with_key(locked, "read"))
    told = last_audited(locked)
    assert (told.action, told.target, told.outcome) == ("denied", "/v1/admin/audit", "admin")


def test_our_own_mistakes_tell_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the secret is mellon")

    monkeypatch.setattr(served.server.predictor, "recommend", broken)
    answer = served.client.get("/v1/users/u07/recommendations")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal"
    assert "mellon" not in answer.text
    assert answer.json()["error"]["request_id"] in caplog.text  # there it can be found
    assert "mellon" in caplog.text
    caplog.clear()


def test_a_browser_logs_in_with_a_key(locked: Served):
    client = locked.client
    assert client.get("/dashboard/overview", follow_redirects=False).status_code == 303
    page = client.get("/dashboard/overview")
    assert page.url.path == "/login"
    wrong = client.post("/login", data={"key": "sl_x_y"})
    assert wrong.status_code == 401
    token = with_key(locked, "read")["authorization"].removeprefix("Bearer ")
    done = client.post("/login", data={"key": token}, follow_redirects=False)
    assert done.status_code == 303
    cookie = done.headers["set-cookie"]
    assert last_audited(locked).action == "log in"
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert client.get("/dashboard/overview").url.path == "/dashboard/overview"
    forged = done.cookies["shoploom"][:-1] + "x"
    client.cookies.clear()
    client.cookies.set("shoploom", forged)
    assert client.get("/dashboard/overview").url.path == "/login"
    part = client.get("/dashboard/live/now", headers={"hx-request": "true"})
    assert part.status_code == 401
    ingest = with_key(locked, "ingest")["authorization"].removeprefix("Bearer ")
    client.cookies.clear()
    assert client.post("/login", data={"key": ingest}).status_code == 401


def test_forms_of_other_sites_are_refused(locked: Served):
    token = with_key(locked, "read")["authorization"].removeprefix("Bearer ")
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
    ):
        answer = locked.client.post("/login", data={"key": token}, headers=headers)
        assert answer.json()["error"]["code"] == "wrong_site"


def test_a_demo_listens_to_this_machine_alone(run_folder: Path):
    with pytest.raises(ConfigError, match=r"--demo asks for no keys.*got '0.0.0.0'"):
        ServeSettings(run=run_folder, demo=True, host="0.0.0.0")
    assert ServeSettings(run=run_folder, demo=True, host="127.0.0.1").demo


def test_settings_travel_to_workers(run_folder: Path):
    chosen = ServeSettings(run=run_folder, hosts=("shop.example",), workers=2, rate=7.5)
    assert ServeSettings.from_json(chosen.as_json()) == chosen


def test_keys_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    store = ("--store", f"sqlite:///{tmp_path / 'live.db'}")
    assert cli_run(["keys", "add", "shopfront", "--scope", "ingest", *store]) == 0
    token = capsys.readouterr().out.strip()
    opened = open_store(store[1])
    assert Keys(opened).check(token).name == "shopfront"
    opened.close()
    assert cli_run(["keys", "list", *store]) == 0
    assert "shopfront" in (listed := capsys.readouterr().out)
    assert token not in listed
    key_id = token.split("_")[1]
    assert cli_run(["keys", "revoke", key_id, *store]) == 0
    capsys.readouterr()
    assert cli_run(["keys", "revoke", "nothing", *store]) == 2
    assert "no key is named 'nothing'" in capsys.readouterr().err
    assert cli_run(["keys", "add", "x", "--scope", "root", *store]) == 2
    assert "expected scopes of ingest, read, admin" in capsys.readouterr().err
    with closing(open_store(store[1])) as opened:
        noted = [(line.key, line.action) for line in opened.audited(9)]
    assert noted == [("command line", "key revoked"), ("command line", "key made")]
