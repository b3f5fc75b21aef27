"""`shoploom read`: what texts and photos say, for the report."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from shoploom.cli._options import Quiet, ShopPath


def add_to(app: App) -> None:
    """Add the command."""
    app.command(read, help_format="plaintext", help_epilogue="")


def read(shop: ShopPath = Path("shop.yaml"), *, quiet: Quiet = False) -> None:
    """Read reviews and messages, lay out photos, gather interests: what the report says of them.

    Texts and photos are read where shop.yaml names `encoders:` and `shoploom
    encode` has run.

    Example:  shoploom read shop.yaml
    """
    from shoploom.core.progress import terminal
    from shoploom.workflows import load_config
    from shoploom.workflows.read import content_json
    from shoploom.workflows.read import read as work
    from shoploom.workflows.run import Run

    config = load_config(shop)
    work(config, Run(config.run), terminal(quiet))
    print(content_json(Run(config.run)))
