"""Browsers that have logged in with a key: a signed cookie, and nothing kept on our side."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time

from shoploom.serving.keys import READ, Keys, allows
from shoploom.serving.store import Key, Store

COOKIE = "shoploom"
HOURS = 12

_SECRET = "session_secret"


class Sessions:
    """Cookies ``KEY.EXPIRES.SIGNATURE``; a revoked key ends its sessions.

    Args:
        store: which keeps the secret that all workers sign with.
        keys: that are good.
    """

    def __init__(self, store: Store, keys: Keys):
        self._keys = keys
        self._secret = bytes.fromhex(store.put_first(_SECRET, secrets.token_hex(32)))

    def begin(self, token: str) -> str | None:
        """The cookie for whoever showed a key that may read; None for others."""
        key = self._keys.check(token)
        if key is None or not allows(key, READ):
            return None
        said = f"{key.id}.{int(time.time()) + HOURS * 3600}"
        return f"{said}.{self._sign(said)}"

    def key_of(self, cookie: str) -> Key | None:
        """Whose cookie it is, where it is one of ours and has not run out."""
        said, _, signature = cookie.rpartition(".")
        key_id, _, expires = said.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(said).encode()):
            return None
        if not expires.isdigit() or int(expires) < time.time():
            return None
        return self._keys.by_id(key_id)

    def _sign(self, said: str) -> str:
        return hmac.new(self._secret, said.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
