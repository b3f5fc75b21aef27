"""`shoploom sentiment`: what reviews say, and about what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from shoploom.cli._frames import show_frame
from shoploom.cli._options import Out, Quiet


def add_to(app: App) -> None:
    """Add the command."""
    app.command(sentiment, help_format="plaintext", help_epilogue="")


def sentiment(
    reviews: Annotated[Path, Parameter(help="a .csv, .tsv, .parquet or .jsonl file of reviews")],
    *,
    text: Annotated[
        str | None, Parameter(help="the column of texts; found by its name when not given")
    ] = None,
    rating: Annotated[
        str | None, Parameter(help="a column of stars, 1 to 5, to learn from and be judged by")
    ] = None,
    label: Annotated[
        str | None, Parameter(help="a column of labels, such as 1 and 0, instead of stars")
    ] = None,
    reader: Annotated[
        str, Parameter(help="what learns from labels: linear, tfidf or finetuned (slow)")
    ] = "linear",
    seed: Annotated[int, Parameter(help="decides everything random")] = 0,
    out: Out = None,
    quiet: Quiet = False,
) -> None:
    """Say of each review whether it is positive, how sure that is, and what it praises and blames.

    English and Chinese. Needs no labels; where the file has stars or labels, a reader learns from
    them and the accuracy is told, each review judged by a reader that has not seen it.

    Example:  shoploom sentiment reviews.csv --out sentiment.csv
    """
    from shoploom.core.progress import terminal
    from shoploom.workflows.reading import read_sentiment
    from shoploom.workflows.review_file import read_reviews

    found = read_reviews(reviews, text=text, rating=rating, label=label)
    progress = terminal(quiet)
    progress.note(found.told)
    read = read_sentiment(found, reader=reader, seed=seed, progress=progress)
    print("\n".join(read.summary()))
    if out is not None:
        show_frame(read.frame, out)
