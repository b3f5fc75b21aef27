"""The live store in one SQLite file.

Write-ahead logging lets readers go on while one writer commits; ``synchronous=FULL`` has every
commit on disk before it returns. Each thread has a connection of its own.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shoploom.core import columns as c
from shoploom.core.files import one_at_a_time
from shoploom.core.time import HOUR_US
from shoploom.serving.events import Event, Rejected
from shoploom.serving.store.store import (
    Audited,
    Counts,
    Deed,
    Key,
    StoreError,
    Tally,
    Text,
    counts_of,
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY, user_id TEXT NOT NULL, time INTEGER NOT NULL,
    action INTEGER NOT NULL, item_id TEXT, price REAL, quantity REAL, session_id TEXT,
    query TEXT, dwell_s REAL, stream_id TEXT, source TEXT
);
CREATE TABLE IF NOT EXISTS by_user (
    user_id TEXT, key INTEGER, seq INTEGER NOT NULL, PRIMARY KEY (user_id, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS minutes (
    start INTEGER, action INTEGER, n INTEGER NOT NULL, cents INTEGER NOT NULL,
    PRIMARY KEY (start, action)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS item_hours (
    start INTEGER, item_id TEXT, action INTEGER, n INTEGER NOT NULL,
    PRIMARY KEY (start, item_id, action)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS quarantine (
    time INTEGER NOT NULL, event_id TEXT, reason TEXT NOT NULL, given TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS texts (
    key BLOB PRIMARY KEY, kind TEXT NOT NULL, user_id TEXT NOT NULL, time INTEGER NOT NULL,
    item_id TEXT, dialogue_id TEXT, role TEXT, rating REAL, title TEXT, text TEXT NOT NULL,
    positive REAL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS texts_by_time ON texts (time);
CREATE INDEX IF NOT EXISTS texts_by_user ON texts (user_id, time);
CREATE INDEX IF NOT EXISTS texts_unread ON texts (time) WHERE positive IS NULL;
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, digest BLOB NOT NULL, scopes TEXT NOT NULL,
    created INTEGER NOT NULL, expires INTEGER NOT NULL, revoked INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit (
    time INTEGER NOT NULL, key TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL,
    outcome TEXT NOT NULL
);
"""
_DEED = (
    "seq, user_id, time, action, item_id, price, quantity, session_id, query, dwell_s, stream_id, "
    "source"
)
_TEXT = "key, kind, user_id, time, item_id, dialogue_id, role, rating, title, text, positive"
_PURCHASE = c.ACTIONS.index(c.PURCHASE)
_WAIT_S = 10.0  # for another worker's commit
_CHUNK = 500  # keys in one query


class SqliteStore:
    """A live store in a file, made where there is none.

    Args:
        path: of the file.

    Raises:
        StoreError: the file is no whole SQLite database, or cannot be written.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        self._own = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        try:
            with self._told():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._connection.executescript(_SCHEMA)
        except StoreError:
            self.close()
            raise

    @property
    def _connection(self) -> sqlite3.Connection:
        """This thread's."""
        found = getattr(self._own, "connection", None)
        if found is None:
            found = sqlite3.connect(
                self.path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
            )
            with self._lock:
                self._open.append(found)
            for pragma in (
                "journal_mode=WAL",
                "synchronous=FULL",
                "cache_size=-8192",  # KB, of each thread; the system keeps the file in memory too
                # Pages that change often are written once for many commits.
                "wal_autocheckpoint=16000",
                "journal_size_limit=67108864",
                "temp_store=MEMORY",
                "trusted_schema=OFF",
            ):
                found.execute(f"PRAGMA {pragma}")
            self._own.connection = found
        return found

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors as ours."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreError(_in_words(self.path, error)) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of it or nothing."""
        # SQLite itself asks again and again, and who comes at bad moments waits for seconds.
        with self._told(), one_at_a_time(self.path):
            connection = self._connection
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _rows(self, query: str, *values: Any) -> list[tuple]:
        with self._told():
            return self._connection.execute(query, values).fetchall()

    def append(self, events: Sequence[Event]) -> list[bool]:
        """As in ``Store``."""
        with self._writing() as connection:
            seq = first = _last(connection) + 1
            insert, fresh, new = connection.execute, [], []
            for event in events:
                done = insert(
                    "INSERT OR IGNORE INTO by_user VALUES (?,?,?)", (event.user_id, event.key, seq)
                )
                fresh.append(done.rowcount > 0)
                if fresh[-1]:
                    new.append(event)
                    seq += 1
            if new:
                connection.executemany(
                    "INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                    [(first + place, *event[1:]) for place, event in enumerate(new)],
                )
                connection.execute("INSERT OR REPLACE INTO meta VALUES ('seq', ?)", (str(seq - 1),))
                tally = Tally.of(new, _PURCHASE)
                connection.executemany(
                    "INSERT INTO minutes VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET "
                    "n = n + excluded.n, cents = cents + excluded.cents",
                    [(*place, *sums) for place, sums in tally.minutes.items()],
                )
                connection.executemany(
                    "INSERT INTO item_hours VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET "
                    "n = n + excluded.n",
                    [(*cell, n) for cell, n in tally.items.items()],
                )
        return fresh

    def quarantine(self, rejected: Sequence[Rejected], at: int) -> None:
        """As in ``Store``."""
        rows = [(at, each.event_id, each.reason, as_json(each.given)) for each in rejected]
        with self._writing() as connection:
            connection.executemany("INSERT INTO quarantine VALUES (?,?,?,?)", rows)

    def history(self, user: str, after: int = 0) -> list[Deed]:
        """As in ``Store``."""
        query = (
            f"SELECT {_DEED} FROM events WHERE seq IN "
            "(SELECT seq FROM by_user WHERE user_id = ? AND seq > ?) ORDER BY seq"
        )
        return list(map(Deed._make, self._rows(query, user, after)))

    def since(self, seq: int, limit: int) -> list[Deed]:
        """As in ``Store``."""
        query = f"SELECT {_DEED} FROM events WHERE seq > ? ORDER BY seq LIMIT ?"
        return list(map(Deed._make, self._rows(query, seq, limit)))

    def latest(self, limit: int) -> list[Deed]:
        """As in ``Store``."""
        query = f"SELECT {_DEED} FROM events ORDER BY seq DESC LIMIT ?"
        return list(map(Deed._make, self._rows(query, limit)))

    def last_seq(self) -> int:
        """As in ``Store``."""
        return int(self.get("seq") or 0)

    def minutes(self, since: int, until: int) -> Counts:
        """As in ``Store``."""
        query = "SELECT start, action, n, cents FROM minutes WHERE start >= ? AND start < ?"
        return counts_of(self._rows(query, since, until))

    def item_hours(self, since: int, until: int) -> list[tuple[str, int, int]]:
        """As in ``Store``."""
        return self._rows(
            "SELECT item_id, action, SUM(n) FROM item_hours WHERE start > ? AND start < ? "
            "GROUP BY item_id, action",
            since - HOUR_US,
            until,
        )

    def add_texts(self, texts: Sequence[Text]) -> list[bool]:
        """As in ``Store``."""
        with self._writing() as connection:
            known = _known(connection, [text.key for text in texts])
            fresh = []
            for text in texts:
                fresh.append(text.key not in known)
                if fresh[-1]:
                    known.add(text.key)
                    connection.execute("INSERT INTO texts VALUES (?,?,?,?,?,?,?,?,?,?,?)", text)
        return fresh

    def unread(self, limit: int) -> list[tuple[bytes, str]]:
        """As in ``Store``."""
        return self._rows(
            "SELECT key, text FROM texts WHERE positive IS NULL ORDER BY time LIMIT ?", limit
        )

    def set_positive(self, found: Sequence[tuple[bytes, float]]) -> None:
        """As in ``Store``."""
        with self._writing() as connection:
            connection.executemany(
                "UPDATE texts SET positive = ? WHERE key = ?", [(p, key) for key, p in found]
            )

    def texts(self, since: int, limit: int, user: str | None = None) -> list[Text]:
        """As in ``Store``."""
        if user is None:
            query = f"SELECT {_TEXT} FROM texts WHERE time >= ? ORDER BY time DESC LIMIT ?"
            return list(map(Text._make, self._rows(query, since, limit)))
        query = (
            f"SELECT {_TEXT} FROM texts WHERE user_id = ? AND time >= ? ORDER BY time DESC LIMIT ?"
        )
        return list(map(Text._make, self._rows(query, user, since, limit)))

    def get(self, name: str) -> str | None:
        """As in ``Store``."""
        rows = self._rows("SELECT value FROM meta WHERE name = ?", name)
        return rows[0][0] if rows else None

    def put(self, name: str, value: str) -> None:
        """As in ``Store``."""
        with self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?,?)", (name, value))

    def put_first(self, name: str, value: str) -> str:
        """As in ``Store``."""
        with self._writing() as connection:
            connection.execute("INSERT OR IGNORE INTO meta VALUES (?,?)", (name, value))
            query = "SELECT value FROM meta WHERE name = ?"
            return connection.execute(query, (name,)).fetchone()[0]

    def api_keys(self) -> list[Key]:
        """As in ``Store``."""
        return list(map(Key._make, self._rows("SELECT * FROM keys ORDER BY created")))

    def add_key(self, key: Key) -> None:
        """As in ``Store``."""
        with self._writing() as connection:
            connection.execute("INSERT INTO keys VALUES (?,?,?,?,?,?,?)", key)

    def revoke_key(self, key_id: str) -> bool:
        """As in ``Store``."""
        with self._writing() as connection:
            done = connection.execute("UPDATE keys SET revoked = 1 WHERE id = ?", (key_id,))
            return done.rowcount > 0

    def audit(self, lines: Sequence[Audited]) -> None:
        """As in ``Store``."""
        with self._writing() as connection:
            connection.executemany("INSERT INTO audit VALUES (?,?,?,?,?)", lines)

    def audited(self, limit: int, actions: Sequence[str] = ()) -> list[Audited]:
        """As in ``Store``."""
        chosen = f"WHERE action IN ({','.join('?' * len(actions))})" if actions else ""
        query = f"SELECT * FROM audit {chosen} ORDER BY rowid DESC LIMIT ?"
        return list(map(Audited._make, self._rows(query, *actions, limit)))

    def quarantined(self, limit: int) -> list[tuple[int, str | None, str, str]]:
        """As in ``Store``."""
        query = "SELECT time, event_id, reason, given FROM quarantine ORDER BY rowid DESC LIMIT ?"
        return self._rows(query, limit)

    def check(self) -> None:
        """As in ``Store``."""
        self._rows("SELECT COUNT(*) FROM meta")

    def close(self) -> None:
        """As in ``Store``."""
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()
        self._own = threading.local()


def _known(connection: sqlite3.Connection, keys: Sequence[bytes]) -> set[bytes]:
    """Those of the keys that texts have."""
    found: set[bytes] = set()
    for start in range(0, len(keys), _CHUNK):
        some = keys[start : start + _CHUNK]
        places = ",".join("?" * len(some))
        rows = connection.execute(f"SELECT key FROM texts WHERE key IN ({places})", some)
        found.update(key for (key,) in rows)
    return found


def _last(connection: sqlite3.Connection) -> int:
    """The highest number that an event ever had."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'seq'").fetchone()
    return 0 if row is None else int(row[0])


def as_json(given: Any) -> str:
    """What came in, as text that any database takes."""
    return json.dumps(given, ensure_ascii=True, default=repr)[:20_000]


def _in_words(path: Path, error: Exception) -> str:
    said = str(error)
    if "full" in said or "No space" in said:
        return (
            f"the disk of the live store {path.name} is full: nothing was acknowledged. Free some "
            "space; it goes on by itself."
        )
    if "malformed" in said or "not a database" in said:
        return (
            f"expected a whole SQLite database in {path.name}, it is damaged ({said}). Nothing was "
            "changed: move it aside, recover it with `sqlite3 OLD .recover | sqlite3 NEW` or take "
            "a backup, and start again."
        )
    if "locked" in said or "busy" in said:
        return f"the live store {path.name} was busy for {_WAIT_S:.0f} s; send it again."
    return f"the live store {path.name} cannot be used ({said}); nothing was acknowledged."
