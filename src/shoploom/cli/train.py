"""`shoploom train`: fit every engine."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from shoploom.cli._options import Quiet, ShopPath


def add_to(app: App) -> None:
    """Add the command."""
    app.command(train, help_format="plaintext", help_epilogue="")


def train(shop: ShopPath = Path("shop.yaml"), *, quiet: Quiet = False) -> None:
    """Tune, fit and answer with every engine; finished engines are not trained again.

    Example:  shoploom train shop.yaml
    """
    from shoploom.core.progress import terminal
    from shoploom.workflows import load_config
    from shoploom.workflows.run import Run
    from shoploom.workflows.train import train as work

    config = load_config(shop)
    work(config, Run(config.run), terminal(quiet))
    print(Run(config.run).folder)
