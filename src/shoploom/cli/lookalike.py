"""`shoploom lookalike`: who is like the users that a file names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from shoploom.cli._frames import show_frame
from shoploom.cli._options import Out, Quiet, ShopPath


def add_to(app: App) -> None:
    """Add the command."""
    app.command(lookalike, help_format="plaintext", help_epilogue="")


def lookalike(
    shop: ShopPath = Path("shop.yaml"),
    *,
    seeds: Annotated[Path, Parameter(help="CSV or Parquet with a column user_id")],
    size: Annotated[int, Parameter(help="how many users at most")] = 1000,
    out: Out = None,
    quiet: Quiet = False,
) -> None:
    """Find users who are like those of a file, by what is known of them.

    Only who has agreed to ads and was here of late is named. How well the
    named users are told from others is measured on some that were not met,
    beside recency, frequency and money alone. The shop must have been
    prepared; where engines were trained, what they know is read as well.

    Example:  shoploom lookalike shop.yaml --seeds best.csv --size 500 --out alike.csv
    """
    from shoploom.core.progress import terminal
    from shoploom.workflows import load_config
    from shoploom.workflows.lookalike import lookalike as work
    from shoploom.workflows.run import Run

    config = load_config(shop)
    found = work(config, Run(config.run), terminal(quiet), seeds, size=size)
    about = found.about
    print(f"\n{about['seeds']:,} of the named users are known, among {about['users']:,}")
    print(f"compared by {about['by']}, which knows best those that were not met")
    for name, (value, low, high) in about["auroc"].items():
        print(
            f"  {name:<28} AUROC {value:.3f} ({low:.3f} to {high:.3f}), the most alike tenth holds "
            f"{about['lift'][name]:.1f} times as many"
        )
    show_frame(found.users, out)
