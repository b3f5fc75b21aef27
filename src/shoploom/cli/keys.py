"""`shoploom keys`: who may call the API."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

if TYPE_CHECKING:
    from shoploom.serving.store import Store

RunFolder = Annotated[
    Path, Parameter(name="--run", help="the run folder whose live store holds the keys")
]
StoreUrl = Annotated[
    str | None, Parameter(name="--store", help="the live store, as given to `shoploom serve`")
]


def add_to(app: App) -> None:
    """Add the command."""
    keys = App(
        name="keys",
        help="Make, list and revoke keys of the API.\n\nExample:  shoploom keys add shopfront "
        "--scope ingest --scope read",
        help_format="plaintext",
        help_epilogue="",
    )
    keys.command(add)
    keys.command(show, name="list")
    keys.command(revoke)
    app.command(keys)


def add(
    name: Annotated[str, Parameter(help="what to call it")],
    *,
    scope: Annotated[
        list[str] | None,
        Parameter(help="ingest, read or admin; may be repeated; read alone if none"),
    ] = None,
    days: Annotated[int | None, Parameter(help="after which it no longer works")] = None,
    run: RunFolder = Path("runs/latest"),
    store: StoreUrl = None,
) -> None:
    """Make a key and show it; it is shown this once, and kept as a hash.

    Example:  shoploom keys add shopfront --scope ingest --scope read
    """
    from shoploom.serving.keys import make_key

    token, key = make_key(name, scope or ["read"], days)
    with _open(run, store) as opened:
        opened.add_key(key)
        _note(opened, "key made", f"{key.id} {name}")
    print(token)


def show(*, run: RunFolder = Path("runs/latest"), store: StoreUrl = None) -> None:
    """List keys: id, name, scopes, made, ends, whether revoked.

    Example:  shoploom keys list
    """
    from shoploom.core.time import iso

    with _open(run, store) as opened:
        keys = opened.api_keys()
    for key in keys:
        ends = iso(key.expires) if key.expires else "never ends"
        state = "revoked" if key.revoked else ends
        print(f"{key.id}  {key.name:<24} {key.scopes:<18} {iso(key.created)[:10]}  {state}")


def revoke(
    key_id: Annotated[str, Parameter(help="as `shoploom keys list` shows it")],
    *,
    run: RunFolder = Path("runs/latest"),
    store: StoreUrl = None,
) -> None:
    """Let a key no longer work; servers know within five seconds.

    Example:  shoploom keys revoke 3f9ac01b22d4
    """
    from shoploom.core.errors import UnknownName

    with _open(run, store) as opened:
        if not opened.revoke_key(key_id):
            raise UnknownName("key", key_id, [key.id for key in opened.api_keys()])
        _note(opened, "key revoked", key_id)
    print(f"{key_id} no longer works")


def _note(store: Store, action: str, target: str) -> None:
    """Put it into the audit log."""
    from shoploom.serving.store import Audited

    store.audit([Audited.now("command line", action, target, "done")])


def _open(run: Path, store: str | None) -> closing[Store]:
    from shoploom.serving.settings import ServeSettings
    from shoploom.serving.store import open_store

    return closing(open_store(ServeSettings(run=run, store=store).store_url))
