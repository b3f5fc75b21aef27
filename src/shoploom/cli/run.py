"""`shoploom run`: the main job, from files to report."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from shoploom.cli._options import Quiet, ShopPath


def add_to(app: App) -> None:
    """Add the command."""
    app.command(run, help_format="plaintext", help_epilogue="")


def run(shop: ShopPath = Path("shop.yaml"), *, quiet: Quiet = False) -> None:
    """Prepare, train, evaluate and report; what is finished already is not done again.

    Example:  shoploom run shop.yaml
    """
    from shoploom.core.progress import terminal
    from shoploom.workflows import load_config, run_all

    show(run_all(load_config(shop), terminal(quiet)))


def show(done: object) -> None:
    """Print the findings and where the report lies."""
    from shoploom.workflows.main_job import Done

    assert isinstance(done, Done)
    print(f"\nReport: {done.report}\n")
    for number, finding in enumerate(done.findings, 1):
        print(f"{number}. {finding}")
