"""Live stores: a file of SQLite by default, Postgres by its address."""

from __future__ import annotations

from pathlib import Path

from shoploom.core.errors import ConfigError
from shoploom.serving.store.store import (
    Audited,
    Counts,
    Deed,
    Key,
    Store,
    StoreError,
    Tally,
    Text,
)

__all__ = [
    "Audited",
    "Counts",
    "Deed",
    "Key",
    "Store",
    "StoreError",
    "Tally",
    "Text",
    "open_store",
]


def open_store(url: str) -> Store:
    """The store at an address: ``sqlite:///FILE`` or ``postgresql://USER@HOST/NAME``.

    Raises:
        ConfigError: it is no such address.
        StoreError: nothing usable is there.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        from shoploom.serving.store.sqlite import SqliteStore

        return SqliteStore(Path(rest[1:]))
    if scheme in ("postgresql", "postgres"):
        from shoploom.serving.store.postgres import PostgresStore

        return PostgresStore(url)
    raise ConfigError(
        f"expected the live store as sqlite:///FILE or postgresql://USER@HOST/NAME, got "
        f"{scheme or url!r}."
    )
