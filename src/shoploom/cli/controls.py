"""`shoploom controls`: what learning tasks together brings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from shoploom.cli._options import Quiet, ShopPath
from shoploom.cli._variants import show_variants


def add_to(app: App) -> None:
    """Add the command."""
    app.command(controls, help_format="plaintext", help_epilogue="")


def controls(
    shop: ShopPath = Path("shop.yaml"),
    *,
    engine: Annotated[str, Parameter(help="the engine that learns each time")] = "neural",
    quiet: Quiet = False,
) -> None:
    """Train an engine with other weightings of its losses, and alone for each task.

    The shop must have been trained. What is finished already is not done
    again.

    Example:  shoploom controls shop.yaml --engine neural
    """
    from shoploom.core.progress import terminal
    from shoploom.workflows import load_config
    from shoploom.workflows.controls import controls as work
    from shoploom.workflows.run import Run

    config = load_config(shop)
    show_variants(work(config, Run(config.run), terminal(quiet), engine=engine))
