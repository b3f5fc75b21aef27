"""`shoploom demo`: the main job on a real shop's data that ships as a Python package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from shoploom.cli._options import Quiet
from shoploom.cli.run import show


def add_to(app: App) -> None:
    """Add the command."""
    app.command(demo, help_format="plaintext", help_epilogue="")


def demo(
    folder: Annotated[Path, Parameter(help="where the demo shop is written")] = Path("demo"),
    *,
    quiet: Quiet = False,
) -> None:
    """Import The Complete Journey (1.47 M grocery purchases), train, judge and report.

    Example:  shoploom demo
    """
    from shoploom.core.progress import terminal
    from shoploom.workflows import load_config, run_all
    from shoploom.workflows.demo import make_demo_shop

    progress = terminal(quiet)
    config = load_config(make_demo_shop(folder, progress))
    print(config.caveat)
    show(run_all(config, progress))
