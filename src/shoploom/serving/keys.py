"""API keys: made once, shown once, kept as a hash.

A key is ``sl_ID_SECRET``. The secret has 256 bits of chance, so that a plain SHA-256 of it tells
nothing; slow hashes are for passwords that people choose.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Collection

from shoploom.core.errors import ConfigError
from shoploom.core.time import DAY_US
from shoploom.serving.store import Key, Store

INGEST, READ, ADMIN = "ingest", "read", "admin"
SCOPES = (INGEST, READ, ADMIN)

_PREFIX = "sl"
_HELD_S = 5.0  # after so long a revoked key no longer works


def make_key(name: str, scopes: Collection[str], days: int | None = None) -> tuple[str, Key]:
    """A new key: what its owner is told, once, and what is kept.

    Args:
        name: what people call it.
        scopes: what it allows.
        days: after which it no longer works; None for never.

    Raises:
        ConfigError: no scope, an unknown one, or no name.
    """
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise ConfigError(
            f"expected scopes of {', '.join(SCOPES)}, got {', '.join(unknown) or 'none'}."
        )
    if not name.strip() or not name.isprintable() or len(name) > 80:
        raise ConfigError(f"expected a name of 1 to 80 letters, got {name!r}.")
    if days is not None and days < 1:
        raise ConfigError(f"expected at least one day, got {days}.")
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    now = time.time_ns() // 1000
    expires = 0 if days is None else now + days * DAY_US
    ordered = ",".join(scope for scope in SCOPES if scope in scopes)
    return f"{_PREFIX}_{key_id}_{secret}", Key(key_id, name, _digest(secret), ordered, now, expires)


class Keys:
    """The keys of a store, looked up without a query each time."""

    def __init__(self, store: Store):
        self._store, self._lock = store, threading.Lock()
        self._held: dict[str, Key] = {}
        self._read_at = float("-inf")

    def check(self, token: str) -> Key | None:
        """The key that somebody showed, where it is one and still works."""
        prefix, _, rest = token.partition("_")
        key_id, _, secret = rest.partition("_")
        if prefix != _PREFIX or not secret:
            return None
        key = self._all().get(key_id)
        # Compared also where there is no such key, so that time tells nothing.
        same = hmac.compare_digest(_digest(secret), key.digest if key else b"\0" * 32)
        if key is None or not same or key.revoked:
            return None
        if key.expires and key.expires < time.time_ns() // 1000:
            return None
        return key

    def by_id(self, key_id: str) -> Key | None:
        """A key that still works."""
        key = self._all().get(key_id)
        if key is None or key.revoked or (key.expires and key.expires < time.time_ns() // 1000):
            return None
        return key

    def _all(self) -> dict[str, Key]:
        now = time.monotonic()
        with self._lock:
            if now - self._read_at > _HELD_S:
                self._held = {key.id: key for key in self._store.api_keys()}
                self._read_at = now
            return self._held


def allows(key: Key, scope: str) -> bool:
    """Whether a key is good for a scope; ``admin`` is good for all."""
    own = key.scopes.split(",")
    return scope in own or ADMIN in own


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
