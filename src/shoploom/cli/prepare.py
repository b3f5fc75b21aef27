"""`shoploom prepare`: read, check and clean a shop's files."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from shoploom.cli._options import Quiet, ShopPath


def add_to(app: App) -> None:
    """Add the command."""
    app.command(prepare, help_format="plaintext", help_epilogue="")


def prepare(shop: ShopPath = Path("shop.yaml"), *, quiet: Quiet = False) -> None:
    """Read and clean the shop's files; rows set aside go to quarantine with a reason.

    Example:  shoploom prepare shop.yaml
    """
    from shoploom.core.progress import terminal
    from shoploom.workflows import load_config
    from shoploom.workflows.prepare import prepare as work
    from shoploom.workflows.run import Run

    config = load_config(shop)
    work(config, Run(config.run), terminal(quiet))
    print(Run(config.run).prepared)
