"""`shoploom tag`: tags of items from their titles and photos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from shoploom.cli._frames import show_frame
from shoploom.cli._options import Out, Quiet


def add_to(app: App) -> None:
    """Add the command."""
    app.command(tag, help_format="plaintext", help_epilogue="")


def tag(
    items: Annotated[Path, Parameter(help="a file with item_id and title")],
    *,
    labels: Annotated[
        Path | None, Parameter(help="a text file of words to tag with, one a line")
    ] = None,
    photos_folder: Annotated[
        Path | None, Parameter(help="where the paths in the column image begin")
    ] = None,
    text: Annotated[str, Parameter(help="the encoder of titles")] = "e5",
    image: Annotated[str, Parameter(help="the encoder of photos")] = "efficientnet",
    out: Out = None,
    quiet: Quiet = False,
) -> None:
    """Tag items: missing and doubtful categories, words of a list, colour, material, size ...

    English and Chinese. Categories are learned from the items that have one; nothing else needs
    an example.

    Example:  shoploom tag items.csv --labels styles.txt --photos-folder photos/ --out tags.parquet
    """
    from shoploom.core.progress import terminal
    from shoploom.workflows.tagging import read_items, read_labels, tag_items

    frame = tag_items(
        read_items(items),
        text=text,
        image=image,
        labels=read_labels(labels) if labels else (),
        photos=photos_folder,
        progress=terminal(quiet),
    )
    show_frame(frame, out)
