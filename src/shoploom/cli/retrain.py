"""`shoploom retrain`, `promote` and `rollback`: new models for a running server."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from shoploom.cli._options import Quiet, RunPath, ShopPath
from shoploom.cli.keys import StoreUrl


def add_to(app: App) -> None:
    """Add the commands."""
    for command in (retrain, promote, rollback):
        app.command(command, help_format="plaintext", help_epilogue="")


def retrain(
    shop: ShopPath = Path("shop.yaml"),
    *,
    run: Annotated[
        Path | None, Parameter(name="--run", help="the run that is served; the shop's own if none")
    ] = None,
    store: StoreUrl = None,
    promotes: Annotated[
        Literal["better", "always", "never"],
        Parameter(
            name="--promote",
            help="when the new run takes over: better means clearly worse at nothing",
        ),
    ] = "better",
    policies: Annotated[
        bool, Parameter(help="learn segments, prices, campaigns and replies anew as well")
    ] = True,
    anew: Annotated[
        bool, Parameter(negative=(), help="begin anew even where an earlier one was stopped")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Train a new run on the shop's files and all live events, and compare it in the shadow.

    Both runs answer the questions of the newest days, blind to them. The new
    run takes over where it is clearly worse at nothing; servers load it
    within seconds, and every step is on record. One that was stopped within
    the last twelve hours goes on where it was.

    Example:  shoploom retrain shop.yaml
    """
    from shoploom.core.progress import terminal
    from shoploom.serving.retrain import retrain as work
    from shoploom.serving.settings import ServeSettings
    from shoploom.serving.store import open_store
    from shoploom.workflows import load_config

    config = load_config(shop)
    current = run or config.run
    with closing(open_store(ServeSettings(run=current, store=store).store_url)) as opened:
        found = work(
            config,
            opened,
            current,
            terminal(quiet),
            promotes=promotes,
            policies=policies,
            anew=anew,
        )
    print(f"\n{found.run} learned from {found.events:,} live events too")
    if found.shadow.why_not:
        print(f"not compared: {found.shadow.why_not}")
    for name, why in found.shadow.left_out.items():
        print(f"  {name:<12}not compared: {why}")
    for name, each in found.shadow.tasks.items():
        value, low, high = each["difference"]
        print(
            f"  {name:<12}{each['metric']:<10} new {each['new'][0]:.4f}  old {each['old'][0]:.4f}  "
            f"{value:+.4f} ({low:+.4f} to {high:+.4f})"
        )
    for what, why in found.lost.items():
        print(f"{what} could not be learned anew: {why}")
    if found.promoted:
        print("in charge now; `shoploom rollback` goes back")
    else:
        print(f"not in charge; `shoploom promote {found.run}` puts it there")


def promote(
    new: Annotated[Path, Parameter(help="the run folder that is to answer")],
    *,
    run: RunPath = Path("runs/latest"),
    store: StoreUrl = None,
) -> None:
    """Put a run in charge; servers load it within seconds, without a failed request.

    Example:  shoploom promote runs/20260301-040000
    """
    from shoploom.serving.runs import promote as work
    from shoploom.serving.settings import ServeSettings
    from shoploom.serving.store import open_store

    with closing(open_store(ServeSettings(run=run, store=store).store_url)) as opened:
        work(opened, new, current=run, by="command line")
    print(f"{new} is in charge")


def rollback(*, run: RunPath = Path("runs/latest"), store: StoreUrl = None) -> None:
    """Put the run before the last promotion back in charge.

    Example:  shoploom rollback
    """
    from shoploom.serving.runs import roll_back
    from shoploom.serving.settings import ServeSettings
    from shoploom.serving.store import open_store

    with closing(open_store(ServeSettings(run=run, store=store).store_url)) as opened:
        back = roll_back(opened, by="command line")
    print(f"{back} is in charge again")
