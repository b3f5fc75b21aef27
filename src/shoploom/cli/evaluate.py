"""`shoploom evaluate`: judge all answers."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from shoploom.cli._options import Quiet, ShopPath


def add_to(app: App) -> None:
    """Add the command."""
    app.command(evaluate, help_format="plaintext", help_epilogue="")


def evaluate(shop: ShopPath = Path("shop.yaml"), *, quiet: Quiet = False) -> None:
    """Judge every engine's answers beside its baselines, and choose one per task.

    Example:  shoploom evaluate shop.yaml
    """
    from shoploom.core.progress import terminal
    from shoploom.workflows import load_config
    from shoploom.workflows.evaluate import evaluate as work
    from shoploom.workflows.run import Run

    config = load_config(shop)
    work(config, Run(config.run), terminal(quiet))
    print(Run(config.run).evaluation_json)
