"""`shoploom encode`: texts, photos and films to vectors."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from shoploom.cli._options import Quiet, ShopPath


def add_to(app: App) -> None:
    """Add the command."""
    app.command(encode, help_format="plaintext", help_epilogue="")


def encode(shop: ShopPath = Path("shop.yaml"), *, quiet: Quiet = False) -> None:
    """Turn texts, photos and films into vectors, by the `encoders:` of shop.yaml.

    What was encoded before is not encoded again.

    Example:  shoploom encode shop.yaml
    """
    from shoploom.core.progress import terminal
    from shoploom.workflows import load_config
    from shoploom.workflows.encode import encode as work
    from shoploom.workflows.run import Run

    config = load_config(shop)
    work(config, Run(config.run), terminal(quiet))
    print(Run(config.run).folder / "encoded")
