"""`shoploom knockout`: which sources are worth collecting."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from shoploom.cli._options import Quiet, ShopPath


def add_to(app: App) -> None:
    """Add the command."""
    app.command(knockout, help_format="plaintext", help_epilogue="")


def knockout(
    shop: ShopPath = Path("shop.yaml"),
    *,
    engine: Annotated[str, Parameter(help="the engine that learns each time")] = "neural",
    quiet: Quiet = False,
) -> None:
    """Train an engine without texts, without photos, with each alone, and compare.

    The shop must have been encoded and trained. What is finished already is
    not done again.

    Example:  shoploom knockout shop.yaml --engine neural
    """
    from shoploom.core.progress import terminal
    from shoploom.workflows import load_config
    from shoploom.workflows.knockout import knockout as work
    from shoploom.workflows.run import Run

    config = load_config(shop)
    found = work(config, Run(config.run), terminal(quiet), engine=engine)
    for task, table in found.items():
        print(f"\n{task}: {table['metric']} on {table['n']:,} questions; everything minus variant")
        for name, result in table["results"].items():
            print(f"  {name:<18}{_shown(result)}   {_shown(table['versus'].get(name), sign='+')}")


def _shown(interval: list[float | None] | None, sign: str = "") -> str:
    """A value with its interval."""
    if interval is None or None in interval:
        return ""
    value, low, high = (f"{x:{sign}.4f}" for x in interval)
    return f"{value} ({low} to {high})"
