"""`shoploom knockout`: which sources are worth collecting."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from shoploom.cli._options import Quiet, ShopPath
from shoploom.cli._variants import show_variants


def add_to(app: App) -> None:
    """Add the command."""
    app.command(knockout, help_format="plaintext", help_epilogue="")


def knockout(
    shop: ShopPath = Path("shop.yaml"),
    *,
    engine: Annotated[str, Parameter(help="the engine that learns each time")] = "neural",
    quiet: Quiet = False,
) -> None:
    """Train an engine without each source (texts, photos, brands ...), with each alone, compare.

    The shop must have been encoded and trained. What is finished already is
    not done again.

    Example:  shoploom knockout shop.yaml --engine neural
    """
    from shoploom.core.progress import terminal
    from shoploom.workflows import load_config
    from shoploom.workflows.knockout import knockout as work
    from shoploom.workflows.run import Run

    config = load_config(shop)
    show_variants(work(config, Run(config.run), terminal(quiet), engine=engine))
