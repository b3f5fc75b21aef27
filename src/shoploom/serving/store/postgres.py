"""The live store in Postgres, for shops that run more than one machine.

Who appends waits for an advisory lock, so that numbers are in the order of commits and whoever
follows the store by number misses nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError
from shoploom.core.time import HOUR_US
from shoploom.serving.events import Event, Rejected
from shoploom.serving.store.sqlite import as_json
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

try:
    import psycopg
except ImportError:
    psycopg = None

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    seq BIGSERIAL PRIMARY KEY, user_id TEXT NOT NULL, key BIGINT NOT NULL, time BIGINT NOT NULL,
    action SMALLINT NOT NULL, item_id TEXT, price DOUBLE PRECISION, quantity DOUBLE PRECISION,
    session_id TEXT, query TEXT, dwell_s DOUBLE PRECISION, stream_id TEXT, source TEXT,
    UNIQUE (user_id, key)
);
CREATE TABLE IF NOT EXISTS minutes (
    start BIGINT, action SMALLINT, n BIGINT NOT NULL, cents BIGINT NOT NULL,
    PRIMARY KEY (start, action)
);
CREATE TABLE IF NOT EXISTS item_hours (
    start BIGINT, item_id TEXT, action SMALLINT, n BIGINT NOT NULL,
    PRIMARY KEY (start, item_id, action)
);
CREATE TABLE IF NOT EXISTS quarantine (
    id BIGSERIAL PRIMARY KEY, time BIGINT NOT NULL, event_id TEXT, reason TEXT NOT NULL,
    given TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS texts (
    key BYTEA PRIMARY KEY, kind TEXT NOT NULL, user_id TEXT NOT NULL, time BIGINT NOT NULL,
    item_id TEXT, dialogue_id TEXT, role TEXT, rating DOUBLE PRECISION, title TEXT,
    text TEXT NOT NULL, positive DOUBLE PRECISION
);
CREATE INDEX IF NOT EXISTS texts_by_time ON texts (time);
CREATE INDEX IF NOT EXISTS texts_by_user ON texts (user_id, time);
CREATE INDEX IF NOT EXISTS texts_unread ON texts (time) WHERE positive IS NULL;
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, digest BYTEA NOT NULL, scopes TEXT NOT NULL,
    created BIGINT NOT NULL, expires BIGINT NOT NULL, revoked INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS audit (
    id BIGSERIAL PRIMARY KEY, time BIGINT NOT NULL, key TEXT NOT NULL, action TEXT NOT NULL,
    target TEXT NOT NULL, outcome TEXT NOT NULL
);
"""
_DEED = (
    "seq, user_id, time, action, item_id, price, quantity, session_id, query, dwell_s, stream_id, "
    "source"
)
_TEXT = "key, kind, user_id, time, item_id, dialogue_id, role, rating, title, text, positive"
_AUDIT = "time, key, action, target, outcome"
_EVENT = (
    "user_id, key, time, action, item_id, price, quantity, session_id, query, dwell_s, stream_id, "
    "source"
)
_TYPES = (
    "text[], bigint[], bigint[], smallint[], text[], float8[], float8[], text[], text[], float8[], "
    "text[], text[]"
)
_ARRAYS = ", ".join(f"%s::{kind.strip()}" for kind in _TYPES.split(","))
_PURCHASE = c.ACTIONS.index(c.PURCHASE)
_LOCK = 7_215_030_611  # of whoever appends; any number that others do not use
_WAIT_S = 5


class PostgresStore:
    """A live store in a database, its tables made where there are none.

    Args:
        url: ``postgresql://USER:PASSWORD@HOST:PORT/NAME``; the password may stand in PGPASSWORD.

    Raises:
        ConfigError: psycopg is not installed.
        StoreError: the database cannot be reached.
    """

    def __init__(self, url: str):
        if psycopg is None:
            raise ConfigError(
                "expected the package psycopg for a store in Postgres, found none; run: "
                "pip install 'shoploom[postgres]'."
            )
        self._url = url
        self._own = threading.local()
        self._open: list[Any] = []
        self._lock = threading.Lock()
        with self._writing(_LOCK + 1) as cursor:  # two workers may make the tables at once
            cursor.execute(_SCHEMA)

    @property
    def _connection(self) -> Any:
        """This thread's; a new one where the last one broke."""
        found = getattr(self._own, "connection", None)
        if found is None or found.closed or found.broken:
            assert psycopg is not None
            found = psycopg.connect(self._url, autocommit=True, connect_timeout=_WAIT_S)
            self._own.connection = found
            with self._lock:
                self._open = [each for each in self._open if not each.closed]
                self._open.append(found)
        return found

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Postgres' errors as ours."""
        assert psycopg is not None
        try:
            yield
        except psycopg.Error as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise StoreError(
                f"the live store in Postgres cannot be used ({first}); nothing was acknowledged."
            ) from error

    @contextmanager
    def _writing(self, lock: int | None = None) -> Iterator[Any]:
        """A transaction: all of it or nothing."""
        with self._told():
            connection = self._connection
            with connection.transaction(), connection.cursor() as cursor:
                if lock is not None:
                    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (lock,))
                yield cursor

    def _rows(self, query: LiteralString, *values: Any) -> list[tuple]:
        with self._told():
            return self._connection.execute(query, values).fetchall()

    def append(self, events: Sequence[Event]) -> list[bool]:
        """As in ``Store``."""
        if not events:
            return []
        rows = [(event.user_id, event.key, *event[2:]) for event in events]
        with self._writing(_LOCK) as cursor:
            cursor.execute(
                f"INSERT INTO events ({_EVENT}) SELECT * FROM unnest({_ARRAYS}) "
                "ON CONFLICT (user_id, key) DO NOTHING RETURNING user_id, key",
                [list(column) for column in zip(*rows, strict=True)],
            )
            new = set(cursor.fetchall())
            fresh, kept = [], []
            for event in events:
                place = (event.user_id, event.key)
                fresh.append(place in new)
                if fresh[-1]:
                    new.discard(place)
                    kept.append(event)
            tally = Tally.of(kept, _PURCHASE)
            if tally.minutes:
                cursor.executemany(
                    "INSERT INTO minutes VALUES (%s,%s,%s,%s) ON CONFLICT (start, action) "
                    "DO UPDATE SET n = minutes.n + excluded.n, "
                    "cents = minutes.cents + excluded.cents",
                    [(*place, *sums) for place, sums in tally.minutes.items()],
                )
            if tally.items:
                cells = [(*cell, n) for cell, n in tally.items.items()]
                cursor.execute(
                    "INSERT INTO item_hours SELECT * FROM unnest(%s::bigint[], %s::text[], "
                    "%s::smallint[], %s::bigint[]) ON CONFLICT (start, item_id, action) DO UPDATE "
                    "SET n = item_hours.n + excluded.n",
                    [list(column) for column in zip(*cells, strict=True)],
                )
        return fresh

    def quarantine(self, rejected: Sequence[Rejected], at: int) -> None:
        """As in ``Store``."""
        rows = [
            (
                at,
                each.event_id and each.event_id.replace("\0", " "),
                each.reason,
                as_json(each.given),
            )
            for each in rejected
        ]
        with self._writing() as cursor:
            cursor.executemany(
                "INSERT INTO quarantine (time, event_id, reason, given) VALUES (%s,%s,%s,%s)", rows
            )

    def history(self, user: str, after: int = 0) -> list[Deed]:
        """As in ``Store``."""
        query = f"SELECT {_DEED} FROM events WHERE user_id = %s AND seq > %s ORDER BY seq"
        return list(map(Deed._make, self._rows(query, user, after)))

    def since(self, seq: int, limit: int) -> list[Deed]:
        """As in ``Store``."""
        query = f"SELECT {_DEED} FROM events WHERE seq > %s ORDER BY seq LIMIT %s"
        return list(map(Deed._make, self._rows(query, seq, limit)))

    def latest(self, limit: int) -> list[Deed]:
        """As in ``Store``."""
        query = f"SELECT {_DEED} FROM events ORDER BY seq DESC LIMIT %s"
        return list(map(Deed._make, self._rows(query, limit)))

    def last_seq(self) -> int:
        """As in ``Store``."""
        return int(self._rows("SELECT COALESCE(MAX(seq), 0) FROM events")[0][0])

    def minutes(self, since: int, until: int) -> Counts:
        """As in ``Store``."""
        query = "SELECT start, action, n, cents FROM minutes WHERE start >= %s AND start < %s"
        return counts_of(self._rows(query, since, until))

    def item_hours(self, since: int, until: int) -> list[tuple[str, int, int]]:
        """As in ``Store``."""
        return self._rows(
            "SELECT item_id, action, SUM(n)::bigint FROM item_hours WHERE start > %s AND "
            "start < %s GROUP BY item_id, action",
            since - HOUR_US,
            until,
        )

    def add_texts(self, texts: Sequence[Text]) -> list[bool]:
        """As in ``Store``."""
        fresh = []
        with self._writing() as cursor:
            for text in texts:
                cursor.execute(
                    "INSERT INTO texts VALUES (%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s) "
                    "ON CONFLICT (key) DO NOTHING",
                    text,
                )
                fresh.append(cursor.rowcount > 0)
        return fresh

    def unread(self, limit: int) -> list[tuple[bytes, str]]:
        """As in ``Store``."""
        return self._rows(
            "SELECT key, text FROM texts WHERE positive IS NULL ORDER BY time LIMIT %s", limit
        )

    def set_positive(self, found: Sequence[tuple[bytes, float]]) -> None:
        """As in ``Store``."""
        with self._writing() as cursor:
            cursor.executemany(
                "UPDATE texts SET positive = %s WHERE key = %s", [(p, key) for key, p in found]
            )

    def texts(self, since: int, limit: int, user: str | None = None) -> list[Text]:
        """As in ``Store``."""
        if user is None:
            query = f"SELECT {_TEXT} FROM texts WHERE time >= %s ORDER BY time DESC LIMIT %s"
            return list(map(Text._make, self._rows(query, since, limit)))
        where = "user_id = %s AND time >= %s"
        query = f"SELECT {_TEXT} FROM texts WHERE {where} ORDER BY time DESC LIMIT %s"
        return list(map(Text._make, self._rows(query, user, since, limit)))

    def get(self, name: str) -> str | None:
        """As in ``Store``."""
        rows = self._rows("SELECT value FROM meta WHERE name = %s", name)
        return rows[0][0] if rows else None

    def put(self, name: str, value: str) -> None:
        """As in ``Store``."""
        with self._writing() as cursor:
            cursor.execute(
                "INSERT INTO meta VALUES (%s,%s) ON CONFLICT (name) DO UPDATE SET "
                "value = excluded.value",
                (name, value),
            )

    def put_first(self, name: str, value: str) -> str:
        """As in ``Store``."""
        with self._writing() as cursor:
            cursor.execute(
                "INSERT INTO meta VALUES (%s,%s) ON CONFLICT (name) DO NOTHING", (name, value)
            )
            cursor.execute("SELECT value FROM meta WHERE name = %s", (name,))
            return cursor.fetchone()[0]

    def api_keys(self) -> list[Key]:
        """As in ``Store``."""
        query = (
            "SELECT id, name, digest, scopes, created, expires, revoked FROM keys ORDER BY created"
        )
        return list(map(Key._make, self._rows(query)))

    def add_key(self, key: Key) -> None:
        """As in ``Store``."""
        with self._writing() as cursor:
            cursor.execute("INSERT INTO keys VALUES (%s,%s,%s,%s,%s,%s,%s)", key)

    def revoke_key(self, key_id: str) -> bool:
        """As in ``Store``."""
        with self._writing() as cursor:
            cursor.execute("UPDATE keys SET revoked = 1 WHERE id = %s", (key_id,))
            return cursor.rowcount > 0

    def audit(self, lines: Sequence[Audited]) -> None:
        """As in ``Store``."""
        with self._writing() as cursor:
            cursor.executemany(f"INSERT INTO audit ({_AUDIT}) VALUES (%s,%s,%s,%s,%s)", [*lines])

    def audited(self, limit: int, actions: Sequence[str] = ()) -> list[Audited]:
        """As in ``Store``."""
        query = f"""SELECT {_AUDIT} FROM audit WHERE %s OR action = ANY(%s)
            ORDER BY id DESC LIMIT %s"""
        return list(map(Audited._make, self._rows(query, not actions, [*actions], limit)))

    def quarantined(self, limit: int) -> list[tuple[int, str | None, str, str]]:
        """As in ``Store``."""
        query = "SELECT time, event_id, reason, given FROM quarantine ORDER BY id DESC LIMIT %s"
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
