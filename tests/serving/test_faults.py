"""What happens to a shop's server on bad days: nothing acknowledged is lost or doubled."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import random
import re
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shoploom.cli import run as cli_run
from shoploom.serving.events import key_of
from shoploom.serving.patience import HEAD_S
from shoploom.serving.store import Store, open_store
from shoploom.serving.store.sqlite import SqliteStore
from tests.serving.conftest import Postgres, Process, event

pytestmark = pytest.mark.slow

#: A hundred take four minutes: set SHOPLOOM_KILLS=100 for them.
KILLS = int(os.environ.get("SHOPLOOM_KILLS", "6"))


class Sender:
    """Sends events from several threads, and remembers which were acknowledged."""

    def __init__(self, server: Process, threads: int = 4):
        self.server, self.acknowledged = server, set[str]()
        self.refused: set[int] = set()
        self._stop = threading.Event()
        self._n = 0
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _name(self) -> str:
        with self._lock:
            self._n += 1
            return f"sent-{self.server.port}-{id(self)}-{self._n}"

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        while not self._stop.is_set():
            batch = [self._name() for _ in range(random.choice((1, 1, 20)))]
            body = json.dumps([event(name, f"u{hash(name) % 50}") for name in batch])
            try:
                connection.request("POST", "/v1/events", body, {"content-type": "application/json"})
                answer = connection.getresponse()
                answer.read()
            except OSError:
                connection.close()
                time.sleep(0.01)
                continue
            except http.client.HTTPException:
                connection.close()
                continue
            with self._lock:
                if answer.status == 200:
                    self.acknowledged.update(batch)
                else:
                    self.refused.add(answer.status)
        connection.close()

    def stop(self) -> set[str]:
        """Stop; the names of what was acknowledged."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return self.acknowledged


def kept(store: Store) -> int:
    """How many events there are, each of them once; the counts agree."""
    rows = store.since(0, 10_000_000)
    assert len({deed.seq for deed in rows}) == len(rows)
    assert int(store.minutes(0, 2**62).n.sum()) == len(rows)
    return len(rows)


def missing(store: SqliteStore, names: set[str]) -> list[str]:
    rows = store._rows("SELECT key FROM by_user")
    keys = [key for (key,) in rows]
    assert len(set(keys)) == len(keys)  # names differ, so none was kept twice
    there = set(keys)
    return [name for name in names if key_of(name) not in there]


def test_a_killed_server_has_lost_and_doubled_nothing(
    process: Callable[..., Process], tmp_path: Path
):
    url, acknowledged = f"sqlite:///{tmp_path / 'live.db'}", set[str]()
    server = process(store=url)
    for turn in range(KILLS):
        sender = Sender(server)
        time.sleep(random.Random(turn).uniform(0.02, 0.5))
        server.kill()
        acknowledged |= sender.stop()
        store = SqliteStore(tmp_path / "live.db")
        assert missing(store, acknowledged) == [], f"after kill {turn}"
        kept(store)
        store.close()
        server.start()
    assert len(acknowledged) > 20 * KILLS
    # What was acknowledged may be sent again and again.
    names = sorted(acknowledged)[:50]
    body = [event(name, f"u{hash(name) % 50}") for name in names]
    assert server.ask("/v1/events", body)[1]["duplicates"] == len(names)


def test_a_server_that_is_told_to_end_finishes_what_it_has(
    process: Callable[..., Process], tmp_path: Path
):
    server = process()
    sender = Sender(server)
    time.sleep(1)
    code = server.stop()
    acknowledged = sender.stop()
    assert code == 0
    store = SqliteStore(tmp_path / "live.db")
    assert missing(store, acknowledged) == []
    assert len(acknowledged) > 100
    store.close()


def test_two_workers_share_everything(process: Callable[..., Process], tmp_path: Path):
    server = process("--workers", "2")
    sender = Sender(server, threads=6)
    stale = 0
    for turn in range(60):  # each on a connection of its own: either worker may answer
        server.ask("/v1/events", event(f"mine-{turn}", "mine"))
        stale += server.ask("/v1/users/mine/recommendations")[1]["live_events"] != turn + 1
    acknowledged = sender.stop()
    assert stale == 0
    assert server.stop() == 0
    store = SqliteStore(tmp_path / "live.db")
    assert missing(store, acknowledged) == []
    assert kept(store) == len(acknowledged) + 60
    store.close()


def test_postgres_that_restarts_under_load(process: Callable[..., Process], postgres: Postgres):
    url = postgres.database()
    server = process(store=url)
    sender = Sender(server)
    time.sleep(1)
    postgres.stop()
    time.sleep(1)
    assert server.ask("/readyz")[0] == 503
    assert server.ask("/v1/events", event("while away"))[0] == 503
    postgres.start()
    end = time.monotonic() + 20
    while server.ask("/readyz")[0] != 200 and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(1)
    acknowledged = sender.stop()
    assert sender.refused <= {503}
    assert server.ask("/v1/events", event("after"))[1]["accepted"] == 1
    store = open_store(url)
    rows = store._rows("SELECT key FROM events")
    keys = {key for (key,) in rows}
    assert len(keys) == len(rows)
    assert [name for name in acknowledged if key_of(name) not in keys] == []
    kept(store)
    store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk(process: Callable[..., Process], small_disk: Path):
    server = process(store=f"sqlite:///{small_disk / 'live.db'}")
    acknowledged, status, turn = [], 200, 0
    while status == 200 and turn < 200:
        turn += 1
        names = [f"{turn}/{n}" for n in range(200)]
        body = [event(name, f"u{n}", query="q" * 500) for n, name in enumerate(names)]
        status, answer = server.ask("/v1/events", body)
        if status == 200:
            acknowledged += names
    assert status == 503
    assert "full" in answer["error"]["message"]
    assert server.ask("/v1/users/u07/recommendations")[0] == 200  # asking still works
    assert acknowledged
    server.kill()
    # More room, and it goes on where it was.
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    server.start()
    again = server.ask("/v1/events", [event(n, f"u{k % 200}") for k, n in enumerate(acknowledged)])[
        1
    ]
    assert again["duplicates"] == len(acknowledged)
    assert server.ask("/v1/events", event("new"))[1]["accepted"] == 1


def test_a_damaged_store_is_told_at_the_start(run_folder: Path, tmp_path: Path, capsys):
    path = tmp_path / "live.db"
    path.write_bytes(b"not a database at all" * 500)
    code = cli_run(["serve", str(run_folder), "--demo", "--store", f"sqlite:///{path}", "--quiet"])
    assert code == 3
    assert "damaged" in capsys.readouterr().err


def test_a_run_that_is_cut_short_is_told_at_the_start(run_folder: Path, tmp_path: Path, capsys):
    other = tmp_path / "run"
    shutil.copytree(run_folder, other)
    for arrays in (other / "engines").glob("*/arrays.safetensors"):
        arrays.write_bytes(arrays.read_bytes()[: arrays.stat().st_size // 2])
    code = cli_run(["serve", str(other), "--demo", "--quiet"])
    assert code == 3
    assert "cannot be read" in capsys.readouterr().err
    assert cli_run(["serve", str(tmp_path / "none"), "--demo"]) == 4
    assert "found no model.json" in capsys.readouterr().err


def test_slow_clients_keep_nobody_waiting(process: Callable[..., Process]):
    server = process()
    heads = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    for each in heads:
        each.sendall(b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\nx-slow:")
    body = socket.create_connection(("127.0.0.1", server.port))
    body.sendall(
        b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        b"content-length: 500\r\n\r\n["
    )
    started = time.monotonic()
    seconds = []
    for turn in range(50):
        begin = time.perf_counter()
        assert server.ask("/v1/events", event(str(turn)))[0] == 200
        seconds.append(time.perf_counter() - begin)
    assert sorted(seconds)[25] < 0.25
    body.settimeout(HEAD_S + 10)
    assert body.recv(100).startswith(b"HTTP/1.1 408")
    heads[0].settimeout(max(1.0, HEAD_S + 10 - (time.monotonic() - started)))
    assert heads[0].recv(100).startswith(b"HTTP/1.1 408")
    for each in (*heads, body):
        each.close()


async def hammer(port: int, n: int, stop: threading.Event, statuses: Counter[int]) -> None:
    """Ask over ``n`` connections as fast as answers come, and count these by status."""
    path = "/v1/users/u07/recommendations?k=50&explain=true"
    request = f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()

    async def one() -> None:
        while not stop.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                while not stop.is_set():
                    writer.write(request)
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = re.search(rb"content-length: (\d+)", head)
                    assert length is not None
                    await reader.readexactly(int(length[1]))
                    statuses[int(head[9:12])] += 1
                writer.close()
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.01)

    await asyncio.gather(*(one() for _ in range(n)))


def test_ten_times_too_much_is_refused_and_passes(process: Callable[..., Process]):
    server = process()
    stop, statuses = threading.Event(), Counter[int]()
    crowd = threading.Thread(target=lambda: asyncio.run(hammer(server.port, 400, stop, statuses)))
    crowd.start()
    try:
        time.sleep(8)
        kept_meanwhile = server.ask("/v1/events", event("meanwhile"), timeout=60)
    finally:
        stop.set()
        crowd.join(60)
    assert kept_meanwhile[0] == 200
    assert set(statuses) <= {200, 429}
    assert statuses.get(200, 0) > 0
    time.sleep(1)
    begin = time.perf_counter()
    assert server.ask("/v1/users/u07/recommendations")[0] == 200
    assert time.perf_counter() - begin < 0.5
    assert statuses.get(429, 0) > 0
