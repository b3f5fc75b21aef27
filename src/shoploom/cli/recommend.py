"""`shoploom recommend`: what users want next."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from shoploom.cli._frames import show_frame
from shoploom.cli._options import At, EngineName, Out, RunPath


def add_to(app: App) -> None:
    """Add the command."""
    app.command(recommend, help_format="plaintext", help_epilogue="")


def recommend(
    *,
    user: Annotated[
        list[str] | None,
        Parameter(name="--user", help="only this user; may be repeated; all users when not given"),
    ] = None,
    k: Annotated[int, Parameter(help="how many items")] = 10,
    at: At = None,
    explain: Annotated[
        bool, Parameter(negative=(), help="say which of the user's own items led to each")
    ] = False,
    run: RunPath = Path("runs/latest"),
    engine: EngineName = None,
    out: Out = None,
) -> None:
    """Recommend items to one user, some users or all, from a trained run.

    Example:  shoploom recommend --user 42 --k 10 --explain
    """
    from shoploom.workflows import load

    show_frame(load(run).recommend(user, k=k, at=at, engine=engine, explain=explain), out)
