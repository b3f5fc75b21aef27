"""`shoploom represent`: users as vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from shoploom.cli._frames import show_frame
from shoploom.cli._options import At, Out, RunPath


def add_to(app: App) -> None:
    """Add the command."""
    app.command(represent, help_format="plaintext", help_epilogue="")


def represent(
    *,
    at: At = None,
    user: Annotated[
        list[str] | None, Parameter(name="--user", help="only this user; may be repeated")
    ] = None,
    run: RunPath = Path("runs/latest"),
    engine: Annotated[
        str | None, Parameter(name="--engine", help="only what this engine knows of a user")
    ] = None,
    out: Out = None,
) -> None:
    """Export z: what a trained run knows of each user at a moment, as numbers.

    One row per user: user_id, then one column per number, named ENGINE_0,
    ENGINE_1 ...

    Example:  shoploom represent --run runs/latest --engine neural --out z.parquet
    """
    from shoploom.workflows import load

    show_frame(load(run).representations(user, at=at, engine=engine), out)
