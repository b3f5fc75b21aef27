"""`shoploom report`: write the report."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from shoploom.cli._options import Quiet, ShopPath


def add_to(app: App) -> None:
    """Add the command."""
    app.command(report, help_format="plaintext", help_epilogue="")


def report(shop: ShopPath = Path("shop.yaml"), *, quiet: Quiet = False) -> None:
    """Write the report of a judged run as one HTML file.

    Example:  shoploom report shop.yaml
    """
    from shoploom.core.progress import terminal
    from shoploom.workflows import load_config
    from shoploom.workflows.reporting import report as work
    from shoploom.workflows.run import Run

    config = load_config(shop)
    work(config, Run(config.run), terminal(quiet))
    print(Run(config.run).report_html)
