"""Whatever is sent, the server answers as its document says, and never with a mistake of ours."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.serving.conftest import Process

pytestmark = pytest.mark.slow

schemathesis = pytest.importorskip("schemathesis", reason="the extra test is not installed")


from schemathesis.specs.openapi import checks  # noqa: E402 (after it is known to be there)

# What is right by the document may still be refused for what it means, such as a time to come.
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture(scope="module")
def server(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    store = tmp_path_factory.mktemp("fuzz") / "live.db"
    started = Process(run_folder, f"sqlite:///{store}", "--largest", "200000")
    yield started
    assert started.process.poll() is None
    started.stop()


def test_the_document_holds_for_whatever_is_sent(server: Process):
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path.startswith("/v1/admin"):
            continue  # reloading a run two hundred times teaches nothing
        asked += 1

        @settings(
            max_examples=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate],
        )
        @given(case=operation.as_strategy())
        def check(case) -> None:
            answer = case.call()
            assert answer.status_code < 500, (case.as_curl_command(), answer.text)
            case.validate_response(answer, checks=CHECKS)

        check()
    assert asked >= 18


def raw(port: int, data: bytes, wait_s: float = 3.0) -> bytes:
    """What comes back to bytes that may be no HTTP at all; nothing where nothing comes."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.settimeout(wait_s)
        try:
            connection.sendall(data)
            return connection.recv(65536)
        except OSError:
            return b""


def test_broken_requests_break_nothing(server: Process):
    draw = random.Random(0)
    good = b"GET /v1/users/u07 HTTP/1.1\r\nhost: localhost\r\n\r\n"
    for _ in range(300):
        data = bytearray(good)
        for _ in range(draw.randrange(1, 6)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        answer = raw(server.port, bytes(data), 0.1)
        assert not answer.startswith(b"HTTP/1.1 5"), bytes(data)
    for data in (b"\0" * 5000, b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 200, b"GET " + b"/" * 70_000):
        assert not raw(server.port, data).startswith(b"HTTP/1.1 5")
    assert server.ask("/readyz")[0] == 200


HOSTILE = [
    *(
        "' OR '1'='1",
        '"; DROP TABLE events; --',
        "../../../../etc/passwd",
        "..\\..\\x",
        "%00",
        "%0d%0aX: y",
    ),
    *(
        "${jndi:ldap://x}",
        "{{7*7}}",
        "<script>",
        "\u202eevil",
        "A" * 5000,
        "nan",
        "-1",
        "1e309",
        "🛒" * 60,
    ),
    *("null", "undefined", "[]", "{}", "%2e%2e%2f", "%F0%28%8C%28", ";ls", "|id", "`id`", "$(id)"),
]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/users/{}",
        "/v1/users/{}/recommendations",
        "/v1/items/{}/similar",
        "/v1/search?q={}",
        "/dashboard/users?id={}",
        "/dashboard/products?item={}",
        "/dashboard/products?q={}",
        "/dashboard/prices?item={}",
        "/dashboard/photo?item={}",
        "/static/{}",
    ],
)
def test_hostile_names_are_only_names(server: Process, path: str):
    from urllib.parse import quote

    for name in HOSTILE:
        for sent in (quote(name, safe=""), quote(name, safe="%/")):
            answer = raw(
                server.port, f"GET {path.format(sent)} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()
            )
            head = answer.split(b"\r\n")[0]
            assert head.split()[1][:1] in (b"2", b"4", b"3"), (path, name, answer[:200])
            assert b"Traceback" not in answer
            assert b"root:" not in answer


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=30),
        lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(max_size=10), x, max_size=4),
        max_leaves=20,
    )
)
def test_any_json_gets_an_answer(server: Process, value: object):
    for path in ("/v1/events", "/v1/reviews", "/v1/messages", "/v1/reply", "/v1/sentiment"):
        status, answer = server.ask(path, [value] if value is None else value)
        assert status in (200, 400, 404, 422), (path, value)
        if status != 200:
            assert set(answer["error"]) == {"code", "message", "details", "request_id"}


HEAD = (
    b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n"
)


def test_deep_and_large_bodies(server: Process):
    for body in (b"[" * 100_000, b'{"a":' * 20_000, b"[" + b"1," * 90_000 + b"1]"):
        answer = raw(server.port, HEAD % len(body) + body)
        assert answer[9:12] in (b"400", b"413", b"422"), answer[:100]
    assert raw(server.port, HEAD % 10_000_000 + b"[" * 1000)[9:12] == b"413"
    assert server.ask("/readyz")[0] == 200
    assert json.dumps(server.ask("/v1/live")[1])
