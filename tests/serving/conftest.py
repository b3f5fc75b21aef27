"""A trained tiny shop, its server in this process or in one of its own, and empty stores."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

from starlette.testclient import TestClient

from shoploom.core import columns as c
from shoploom.core.progress import Quiet
from shoploom.serving.api import make_app
from shoploom.serving.api.server import Server
from shoploom.serving.bundle import load_bundle
from shoploom.serving.dashboard import routes
from shoploom.serving.dashboard.facts import past_mark, tell_past
from shoploom.serving.settings import ServeSettings
from shoploom.serving.store import Store, open_store
from shoploom.serving.store.sqlite import SqliteStore
from shoploom.serving.watch import reference_of
from shoploom.workflows import load_config, run_all
from shoploom.workflows.run import Run
from shoploom.workflows.segments import segment
from tests.journeys.conftest import SETTINGS, write_shop

ENGINES = {"popularity": {}, "popularity_7d": {}, "cooccurrence": {}, "rfm": {}, "boosting": {}}


@pytest.fixture(scope="session")
def shop_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny shop, trained, with segments; tests that change a run copy it."""
    folder = tmp_path_factory.mktemp("shop")
    shop = write_shop(folder)
    tasks = SETTINGS["tasks"] | {"category": {"window_days": 14, "active_days": None}}
    shop.set(engines=ENGINES, tasks=tasks)
    config = load_config(folder / "shop.yaml")
    run_all(config, Quiet())
    segment(config, Run(config.run), Quiet())
    # What servers would otherwise make beside the first requests of every test.
    bundle = load_bundle(config.run)
    reference_of(bundle)
    tell_past(config.run, past_mark(bundle))
    return folder


@pytest.fixture(scope="session")
def run_folder(shop_folder: Path) -> Path:
    """The trained run."""
    return shop_folder / "runs" / "latest"


@dataclass
class Served:
    """A server in this process."""

    client: TestClient
    server: Server
    settings: ServeSettings

    def send(self, *events: dict[str, Any], **headers: str) -> dict[str, Any]:
        """What becomes of events."""
        answer = self.client.post("/v1/events", json={"events": list(events)}, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str, status: int = 200, **parameters: Any) -> dict[str, Any]:
        """The JSON of an answer."""
        answer = self.client.get(path, params=parameters or None)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
def no_surprise(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fails where a server logged a traceback; a test that expects one clears ``caplog``."""
    yield
    phases = ("setup", "call", "teardown")
    logged = [record for when in phases for record in caplog.get_records(when)]
    assert [record.getMessage() for record in logged if record.exc_info] == []


@pytest.fixture
def serve(run_folder: Path, tmp_path: Path, no_surprise: None) -> Iterator[Callable[..., Served]]:
    """Starts servers in this process, each on a store of its own unless told otherwise."""
    open_clients: list[TestClient] = []

    def start(run: Path | None = None, host: str = "localhost", **settings: Any) -> Served:
        chosen = ServeSettings(
            run=run or run_folder, store=f"sqlite:///{tmp_path / 'live.db'}", clock="data"
        )
        chosen = replace(chosen, **{"demo": True, **settings})
        gate, server = make_app(chosen, [routes])
        client = TestClient(gate, base_url=f"http://{host}", raise_server_exceptions=False)
        client.__enter__()
        open_clients.append(client)
        return Served(client, server, chosen)

    yield start
    for client in reversed(open_clients):
        client.__exit__(None, None, None)


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    """A demo server in this process."""
    return serve()


def event(name: str, user: str = "u07", action: str = c.VIEW, **more: Any) -> dict[str, Any]:
    """An event as it is sent."""
    return {"event_id": name, c.USER_ID: user, c.ACTION: action, **more}


# --- stores -----------------------------------------------------------------------------------


class Postgres:
    """A Postgres server of the tests' own, on a socket in its own folder."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="shoploom-pg-"))
        self._as: dict[str, Any] = {}
        if os.getuid() == 0:  # Postgres does not run as root
            shutil.chown(self.folder, "postgres")
            self._as = {"user": "postgres"}
        self.folder.chmod(0o700)
        self.data, self.port, self._n = self.folder / "data", free_port(), 0
        self._call("initdb", "-D", self.data, "-U", "tests", "-A", "trust", "-E", "UTF8")
        self.start()

    def _call(self, *command: Any) -> None:
        done = subprocess.run(
            list(map(str, command)), cwd=self.folder, capture_output=True, text=True, **self._as
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1"
        log = self.folder / "log"
        self._call("pg_ctl", "-D", self.data, "-w", "-l", log, "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop; ``immediate`` is as if the power went."""
        self._call("pg_ctl", "-D", self.data, "-m", mode, "-w", "stop")

    def database(self) -> str:
        """The address of a new database."""
        import psycopg

        self._n += 1
        address = f"postgresql://tests@127.0.0.1:{self.port}"
        with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE live{self._n}")
        return f"{address}/live{self._n}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running Postgres."""
    pytest.importorskip("psycopg", reason="the extra postgres is not installed")
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip("no Postgres server is installed")
    server = Postgres()
    yield server
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return request.getfixturevalue("postgres").database()


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store of either kind."""
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def filed(tmp_path: Path) -> Iterator[SqliteStore]:
    """An empty store in a file."""
    with closing(SqliteStore(tmp_path / "live.db")) as store:
        yield store


# --- servers of their own ---------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A server in a process of its own, as people start it."""

    def __init__(self, run: Path, store: str, *options: str, demo: bool = True):
        self.run, self.store = run, store
        self.options = ("--demo", *options) if demo else options
        self.port = free_port()
        self.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and wait until it is ready."""
        command = [sys.executable, "-m", "shoploom", "serve", str(self.run), "--clock", "data"]
        command += ["--port", str(self.port), "--store", self.store, "--quiet"]
        self.process = subprocess.Popen(
            [*command, *self.options], env=dict(os.environ, OMP_NUM_THREADS="1")
        )
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                if self.ask("/readyz")[0] == 200:
                    return
            except OSError:
                assert self.process.poll() is None, "the server has stopped"
            time.sleep(0.05)
        raise AssertionError("the server was not ready in a minute")

    def ask(self, path: str, body: Any = None, timeout: float = 10) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        request = urllib.request.Request(
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            {"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def kill(self) -> None:
        """As if the power went."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(40)


@pytest.fixture
def process(run_folder: Path, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts servers in processes of their own."""
    started: list[Process] = []

    def start(*options: str, run: Path | None = None, store: str | None = None) -> Process:
        where = store or f"sqlite:///{tmp_path / 'live.db'}"
        started.append(Process(run or run_folder, where, *options))
        return started[-1]

    yield start
    for each in started:
        each.stop()
