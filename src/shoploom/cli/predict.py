"""`shoploom predict`: answers to one task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from shoploom.cli._frames import show_frame
from shoploom.cli._options import At, EngineName, Out, RunPath


def add_to(app: App) -> None:
    """Add the command."""
    app.command(predict, help_format="plaintext", help_epilogue="")


def predict(
    task: Annotated[str, Parameter(help="churn, purchase, spend, orders, category ...")],
    *,
    at: At = None,
    user: Annotated[
        list[str] | None, Parameter(name="--user", help="only this user; may be repeated")
    ] = None,
    run: RunPath = Path("runs/latest"),
    engine: EngineName = None,
    out: Out = None,
) -> None:
    """Predict a task for every user whom it concerns, from a trained run.

    Example:  shoploom predict churn --at 2017-12-01 --out churn.parquet
    """
    from shoploom.workflows import load

    frame = load(run).predict(task, at=at, users=user, engine=engine)
    show_frame(frame.sort_values(frame.columns[-1], ascending=False), out)
