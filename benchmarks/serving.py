"""How fast a server takes in and answers: server and client are processes of their own.

    python benchmarks/serving.py --run demo/runs/latest
    python benchmarks/serving.py --run demo/runs/latest --workers 2
    python benchmarks/serving.py --run demo/runs/latest --users 1000000

Latency is counted from the moment at which a request should have been sent, so that a server that
is late for one is late for those behind it too. Everything goes over loopback with connections
that stay open; both processes share the machine's cores, and CPU is told for the server alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

HOST, PORT = "127.0.0.1", 8765
KINDS = {
    "recommend": "/v1/users/{user}/recommendations?k=10",
    "churn": "/v1/users/{user}/predictions/churn",
    "price": "/v1/users/{user}/price?item_id={item}",
}
ACTIONS = ("view", "view", "view", "view", "cart", "purchase")


# --- the client ------------------------------------------------------------------------------


@dataclass
class Connection:
    """One open connection; requests on it go one after the other."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls) -> Connection:
        return cls(*await asyncio.open_connection(HOST, PORT))

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and body of an answer."""
        kind = b"content-type: application/json\r\n" if body else b""
        self.writer.write(
            f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n".encode()
            + kind
            + f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await self.reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        place = head.lower().index(b"content-length:")
        length = int(head[place + 15 : head.index(b"\r\n", place)])
        return status, await self.reader.readexactly(length)


@dataclass
class Said:
    """What a phase found."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0
    wall_s: float = 0.0

    def row(self, name: str, n: int | None = None) -> str:
        ms = np.percentile(self.seconds, (50, 90, 99, 100)) * 1e3 if self.seconds else [np.nan] * 4
        rate = (n or len(self.seconds)) / max(self.wall_s, 1e-9)
        times = "".join(f"{value:>9.2f}" for value in ms)
        return f"{name:<34}{rate:>10,.0f}/s{times}{self.failed:>8}"


async def steady(paths: list[str], rate: float, seconds: float) -> Said:
    """Requests at even distances, whatever becomes of those before."""
    said, idle = Said(), [await Connection.open() for _ in range(32)]
    n, begin = int(rate * seconds), time.perf_counter() + 0.1

    async def one(number: int) -> None:
        due = begin + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        connection = idle.pop() if idle else await Connection.open()
        status, _ = await connection.ask("GET", paths[number % len(paths)])
        said.seconds.append(time.perf_counter() - due)
        said.failed += status != 200
        idle.append(connection)

    await asyncio.gather(*map(one, range(n)))
    said.wall_s = time.perf_counter() - begin
    return said


async def busy(make, connections: int, seconds: float, each: int = 1) -> Said:
    """As many requests as connections get answered, one after the other on each."""
    said, begin = Said(), time.perf_counter()

    async def one(number: int) -> None:
        connection = await Connection.open()
        turn = 0
        while time.perf_counter() - begin < seconds:
            method, path, body = make(number, turn)
            start = time.perf_counter()
            status, _ = await connection.ask(method, path, body)
            said.seconds.append(time.perf_counter() - start)
            said.failed += status != 200
            turn += 1

    await asyncio.gather(*map(one, range(connections)))
    said.wall_s = time.perf_counter() - begin
    return said


def events(rng: random.Random, n: int, tag: str, users: list[str], items: list[str]) -> list[dict]:
    """Visits of about six events, several visits at a time, popular items more often."""
    out, open_visits = [], []
    for number in range(n):
        if len(open_visits) < 200 or rng.random() < 1 / 6:
            open_visits.append((rng.choice(users), f"{tag}s{number}"))
        if len(open_visits) > 200:
            open_visits.pop(rng.randrange(len(open_visits)))
        user, session = rng.choice(open_visits)
        out.append(
            {
                "event_id": f"{tag}-{number}",
                "user_id": user,
                "action": rng.choice(ACTIONS),
                "item_id": items[min(int(rng.paretovariate(0.6)), len(items)) - 1],
                "price": 9.99,
                "session_id": session,
            }
        )
    return out


async def fresh(users: list[str], items: list[str], n: int) -> tuple[int, Said]:
    """After an acknowledged event the next answer has it: how often that was not so."""
    connection, said, stale = await Connection.open(), Said(), 0
    begin = time.perf_counter()
    for number in range(n):
        user = f"fresh-{number}" if number % 2 else users[number % len(users)]
        path = KINDS["recommend"].format(user=user)
        before = json.loads((await connection.ask("GET", path))[1])["live_events"]
        start = time.perf_counter()
        event = {
            "event_id": f"fresh-{time.time_ns()}",
            "user_id": user,
            "action": "view",
            "item_id": items[number % len(items)],
        }
        await connection.ask("POST", "/v1/events", json.dumps(event).encode())
        after = json.loads((await connection.ask("GET", path))[1])["live_events"]
        said.seconds.append(time.perf_counter() - start)
        stale += after != before + 1
    said.wall_s = time.perf_counter() - begin
    return stale, said


async def client(told: dict) -> dict:
    """All phases; what each said, and the server's CPU in it."""
    users, items, seconds = told["users"], told["items"], told["seconds"]
    rng, found = random.Random(0), {}
    server = [psutil.Process(told["pid"])]
    server += server[0].children(recursive=True)

    def cpu() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in server if process.is_running())

    async def phase(name: str, run, n: int | None = None) -> None:
        before = cpu()
        said = await run
        found[name] = {
            "row": said.row(name, n if n is None else n * len(said.seconds)),
            "cpu_ms": (cpu() - before) / max(len(said.seconds), 1) * 1e3,
        }
        memory = memory_mb(told["pid"])[0]
        print(found[name]["row"] + f"{found[name]['cpu_ms']:>9.2f}{memory:>10,.0f}", flush=True)

    print(
        f"{'':<34}{'rate':>12}{'p50':>9}{'p90':>9}{'p99':>9}{'max ms':>9}{'failed':>8}{'CPU ms':>9}"
        f"{'memory MB':>10}"
    )
    kinds = {name: path for name, path in KINDS.items() if name in told["kinds"]}
    for name, path in kinds.items():
        paths = [
            path.format(user=rng.choice(users), item=rng.choice(told["priced"] or items))
            for _ in range(2_000)
        ]
        await steady(paths, 100, 1)
        await phase(f"{name}, {told['rate']:g} a second", steady(paths, told["rate"], seconds))
    mixed = [
        kinds[name].format(user=rng.choice(users), item=rng.choice(told["priced"] or items))
        for _ in range(2_000)
        for name in kinds
    ]
    await phase(f"all of these, {told['rate']:g} a second", steady(mixed, told["rate"], seconds))
    await phase(
        "recommend, as fast as it goes",
        busy(
            lambda n, t: ("GET", mixed[(n * 997 + t * len(kinds)) % len(mixed)], b""), 16, seconds
        ),
    )
    stale, said = await fresh(users, items, 200)
    print(said.row("event, then what comes of it") + f"   stale answers: {stale}")
    single = [
        json.dumps(each).encode()
        for each in events(rng, 80_000, f"one{time.time_ns()}", users, items)
    ]
    await phase(
        "events one by one",
        busy(lambda n, t: ("POST", "/v1/events", single[(n + 64 * t) % len(single)]), 64, seconds),
    )
    size = 1_000
    many = events(rng, 400 * size, f"many{time.time_ns()}", users, items)
    batches = [
        json.dumps({"events": many[start : start + size]}).encode()
        for start in range(0, len(many), size)
    ]
    turns = iter(batches)
    begin, said = time.perf_counter(), Said()
    before = cpu()

    async def send() -> None:
        connection = await Connection.open()
        for body in turns:
            start = time.perf_counter()
            status, _ = await connection.ask("POST", "/v1/events", body)
            said.seconds.append(time.perf_counter() - start)
            said.failed += status != 200

    await asyncio.gather(*(send() for _ in range(6)))
    said.wall_s = time.perf_counter() - begin
    per_event = (cpu() - before) / len(many) * 1e6
    print(said.row(f"events in batches of {size:,}", len(many)) + f"   {per_event:.1f} us an event")
    return found


async def crowd_of(told: dict) -> dict:
    """Ask over many connections as fast as answers come; how many were answered and refused."""
    path = KINDS["recommend"].format(user=told["users"][0]).replace("k=10", "k=50&explain=true")
    said = await busy(lambda *_: ("GET", path, b""), told["connections"], told["seconds"])
    return {"answered": len(said.seconds) - said.failed, "refused": said.failed}


def overload(told: dict, connections: int = 400) -> None:
    """Events one at a time while a crowd in a process of its own asks for too much."""
    crowd = subprocess.Popen(
        [sys.executable, __file__, "--run", ".", "--crowd"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert crowd.stdin is not None
    crowd.stdin.write(json.dumps(told | {"connections": connections}))
    crowd.stdin.close()
    time.sleep(2)
    said = Said()
    end = time.perf_counter() + told["seconds"] - 4
    while time.perf_counter() < end:
        event = {"event_id": f"crowd{time.time_ns()}", "user_id": "crowd", "action": "view"}
        start = time.perf_counter()
        request = urllib.request.Request(
            f"http://{HOST}:{PORT}/v1/events",
            json.dumps(event).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            said.failed += answer.status != 200
        said.seconds.append(time.perf_counter() - start)
        said.wall_s += said.seconds[-1]
    assert crowd.stdout is not None
    found = json.loads(crowd.stdout.read())
    crowd.wait()
    print(
        said.row(f"events among {connections} connections")
        + f"   {found['answered']:,} answered, {found['refused']:,} refused"
    )


# --- the server ------------------------------------------------------------------------------


def start(run: Path, store: Path, workers: int) -> subprocess.Popen:
    """A server on a store of its own, ready to answer."""
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    began = time.perf_counter()
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "shoploom", "serve", str(run), "--demo", "--clock", "data"),
            *("--port", str(PORT), "--store", f"sqlite:///{store}", "--workers", str(workers)),
            "--quiet",
        ],
        env=environment,
    )
    while True:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{PORT}/readyz", timeout=1):
                break
        except OSError:
            if server.poll() is not None:
                raise SystemExit("the server did not start") from None
            time.sleep(0.05)
    print(f"\nready after {time.perf_counter() - began:.1f} s, {workers} worker(s)")
    return server


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident and private memory of a process and its children, MB."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    infos = [process.memory_full_info() for process in processes]
    return sum(info.rss for info in infos) / 1e6, sum(info.uss for info in infos) / 1e6


def crowd(store: Path, n_users: int, each: int, items: list[str], now: int) -> None:
    """Fill a live store with users, ``each`` events apiece."""
    from shoploom.core.columns import ACTIONS as CODES
    from shoploom.serving.events import Event
    from shoploom.serving.store import open_store

    opened, rng, batch = open_store(f"sqlite:///{store}"), random.Random(1), []
    view, began = CODES.index("view"), time.perf_counter()
    order = rng.sample(range(n_users), n_users)
    for user in order:
        for turn in range(each):
            key = user * each + turn
            item = items[min(int(rng.paretovariate(0.6)), len(items)) - 1]
            batch.append(Event(key, f"crowd{user}", now - turn * 60_000_000, view, item, 9.99))
        if len(batch) >= 20_000:
            opened.append(batch)
            batch = []
    opened.append(batch)
    opened.close()
    wall = time.perf_counter() - began
    print(f"{n_users:,} users with {each} events each: {wall:.0f} s, {_size(store) / 1e6:,.0f} MB")


def _size(store: Path) -> int:
    return sum(path.stat().st_size for path in store.parent.glob(f"{store.name}*"))


def where_time_goes(run: Path, store: Path, users: list[str]) -> None:
    """The parts of an answer, one after the other in this process."""
    import orjson

    from shoploom.core.progress import Quiet
    from shoploom.serving.bundle import question
    from shoploom.serving.clock import Clock
    from shoploom.serving.live import known
    from shoploom.serving.predictor import Predictor
    from shoploom.serving.store import open_store

    opened = open_store(f"sqlite:///{store}")
    predictor = Predictor(opened, Clock(), run, Quiet())
    bundle = predictor.bundle
    now = bundle.ready.histories.end
    parts: dict[str, list[float]] = {}

    def timed(name: str, work):
        begin = time.perf_counter()
        found = work()
        parts.setdefault(name, []).append(time.perf_counter() - begin)
        return found

    for _ in range(2):
        parts.clear()
        for user in users[:300]:
            deeds = timed("live events read", lambda u=user: opened.history(u, 0))
            one = timed(
                "history put together",
                lambda u=user, d=deeds: known(bundle.ready.histories, d, u, now),
            )
            timed("statistics", lambda o=one: o.statistics)
            inputs = bundle.around.inputs(one)
            for name in ("next_item", "churn"):
                if name in bundle.tasks:
                    task, asked, fitted = bundle.task(name)
                    asks = question(name, asked, user, one.at)
                    timed(
                        f"engine {bundle.chosen(name)}: {name}",
                        lambda t=task, a=asks, f=fitted, i=inputs: f.answer(t, a, i, k=10),
                    )
            said = timed("whole recommendation", lambda u=user: predictor.recommend(u))
            timed("JSON", lambda s=said: orjson.dumps(s))
    print("\nwhere the time of an answer goes, ms" + " " * 8 + f"{'p50':>8}{'p99':>8}")
    for name, seconds in parts.items():
        p50, p99 = np.percentile(seconds, (50, 99)) * 1e3
        print(f"  {name:<42}{p50:>8.3f}{p99:>8.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="a trained run folder")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each phase")
    parser.add_argument("--users", type=int, default=0, help="users to fill the live store with")
    parser.add_argument("--each", type=int, default=5, help="events of each of those")
    parser.add_argument("--client", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--crowd", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.crowd:
        print(json.dumps(asyncio.run(crowd_of(json.load(sys.stdin)))))
        return
    if given.client:
        asyncio.run(client(json.load(sys.stdin)))
        return
    from shoploom.core.progress import Quiet
    from shoploom.serving.decisions import Prices
    from shoploom.serving.ready import make_ready
    from shoploom.workflows import load

    model = load(given.run)
    ready = make_ready(model, Quiet())
    histories = ready.histories
    rng = random.Random(0)
    users = [histories.user(rng.randrange(len(histories))) for _ in range(1_000)]
    items = [str(item) for item in histories.items.ids]
    rng.shuffle(items)
    prices = Prices.of(model.run)
    priced = [] if prices is None else sorted(prices.items.table["item_id"].to_pylist())
    priced = rng.sample(priced, min(2_000, len(priced)))
    has = {"recommend": True, "churn": "churn" in model.tasks, "price": bool(priced)}
    kinds = [name for name, there in has.items() if there]
    if not priced:
        print("no prices: `shoploom price` proposes some")
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {given.run}")
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "live.db"
        if given.users:
            crowd(store, given.users, given.each, items, histories.end)
            users[::2] = [f"crowd{rng.randrange(given.users)}" for _ in users[::2]]
        server = start(given.run, store, given.workers)
        try:
            rss, own = memory_mb(server.pid)
            print(f"memory {rss:,.0f} MB resident, {own:,.0f} MB private\n")
            told = {
                "users": users,
                "items": items[:20_000],
                "seconds": given.seconds,
                "rate": given.rate,
                "pid": server.pid,
                "kinds": kinds,
                "priced": priced,
            }
            subprocess.run(
                [sys.executable, __file__, "--run", str(given.run), "--client"],
                input=json.dumps(told).encode(),
                check=True,
            )
            overload(told)
            rss, own = memory_mb(server.pid)
            print(
                f"\nmemory {rss:,.0f} MB resident, {own:,.0f} MB private; live store "
                f"{_size(store) / 1e6:,.0f} MB"
            )
        finally:
            server.terminate()
            server.wait(30)
        where_time_goes(given.run, store, users)


if __name__ == "__main__":
    main()
