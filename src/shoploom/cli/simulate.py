"""`shoploom simulate`: a whole shop with planted truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from shoploom.cli._options import Quiet


def add_to(app: App) -> None:
    """Add the command."""
    app.command(simulate, help_format="plaintext", help_epilogue="")


def simulate(
    out: Annotated[Path, Parameter(help="the shop folder to write; must not be there yet")],
    *,
    users: Annotated[int, Parameter(help="people")] = 2_000,
    items: Annotated[int, Parameter(help="products, 48 or more")] = 800,
    days: Annotated[int, Parameter(help="length of the log, 14 or more")] = 180,
    seed: Annotated[int, Parameter(help="decides everything random")] = 0,
    start: Annotated[str, Parameter(help="the first day")] = "2025-01-06",
    photos_folder: Annotated[
        Path | None,
        Parameter(help="real photos (a folder or a Parquet file) to compose product photos from"),
    ] = None,
    content: Annotated[
        bool, Parameter(help="write photos, films, reviews and dialogues; else the log alone")
    ] = True,
    dirt: Annotated[
        bool, Parameter(help="soil the tables: copies, bots, clock skew, missing values ...")
    ] = True,
    quiet: Quiet = False,
) -> None:
    """Make up a whole shop whose truth is known: log, photos, texts, prices, ads, and why.

    The same settings give the same bytes. What was planted is written beside the shop, in truth/.

    Example:  shoploom simulate toy-shop/ --users 500 --items 200 --days 90
    Example:  shoploom simulate big/ --users 75000 --items 10000 --no-content --no-dirt
    """
    from shoploom.core.progress import terminal
    from shoploom.simulate import Dirt, ShopSpec
    from shoploom.simulate import simulate as make

    spec = ShopSpec(
        users=users,
        items=items,
        days=days,
        seed=seed,
        start=start,
        content=content,
        photos_folder=photos_folder,
        dirt=Dirt() if dirt else Dirt.none(),
    )
    shop = make(out, spec, terminal(quiet))
    print(f"Wrote {shop} and {out / 'truth'}; next: shoploom run {shop}")
