"""`shoploom import`: published data sets in their own layout, made into a shop folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from shoploom.cli._options import Quiet


def add_to(app: App) -> None:
    """Add the command."""
    app.command(import_, name="import", help_format="plaintext", help_epilogue="")


def import_(
    layout: Annotated[
        str,
        Parameter(
            help="retailrocket, rees46, olist, uci_retail, taobao, amazon_reviews or "
            "completejourney"
        ),
    ],
    folder: Annotated[Path, Parameter(help="where the published files lie")],
    out: Annotated[Path, Parameter(help="the shop folder to write")],
    *,
    quiet: Quiet = False,
) -> None:
    """Turn a published data set into tables and a shop.yaml.

    Example:  shoploom import retailrocket downloads/ my-shop/
    """
    from shoploom.core.progress import terminal
    from shoploom.tables import import_layout

    shop = import_layout(layout, folder, out, progress=terminal(quiet))
    print(f"Wrote {shop}; next: shoploom run {shop}")
