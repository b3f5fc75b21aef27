"""`shoploom serve`: the API and the dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from shoploom.cli._options import Quiet


def add_to(app: App) -> None:
    """Add the command."""
    app.command(serve, help_format="plaintext", help_epilogue="")


def serve(
    run: Annotated[Path, Parameter(help="the run folder to answer from")] = Path("runs/latest"),
    *,
    host: Annotated[str, Parameter(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="port to listen on")] = 8000,
    workers: Annotated[int, Parameter(help="processes")] = 1,
    store: Annotated[
        str | None,
        Parameter(
            help="sqlite:///FILE or postgresql://USER@HOST/NAME; live.db beside the run folder "
            "when not given"
        ),
    ] = None,
    demo: Annotated[
        bool, Parameter(help="ask for no keys; listens to this machine only", negative="")
    ] = False,
    clock: Annotated[
        Literal["wall", "data"],
        Parameter(help="wall, or data: the shop's time goes on where the run's data end"),
    ] = "wall",
    rate: Annotated[
        float, Parameter(help="requests a second for each key and worker; 0 for no limit")
    ] = 5_000.0,
    largest: Annotated[int, Parameter(help="bytes of a request")] = 5_000_000,
    waiting: Annotated[int, Parameter(help="events that may wait to be written")] = 20_000,
    hosts: Annotated[
        list[str] | None, Parameter(name="--host-name", help="name that a demo may be called by")
    ] = None,
    kafka: Annotated[
        str | None, Parameter(help="HOST:PORT/TOPIC to read events from as well")
    ] = None,
    language: Annotated[
        Literal["en", "zh"], Parameter(help="of the dashboard until somebody chooses")
    ] = "en",
    quiet: Quiet = False,
) -> None:
    """Serve a trained run: events in, answers out, and a dashboard.

    Keys are made with `shoploom keys add`; a demo on this machine needs none.
    Events are kept in the live store and count at once. Stop with Ctrl-C:
    what was acknowledged is on disk.

    Example:  shoploom serve runs/latest --demo --clock data
    """
    from shoploom.core.progress import terminal
    from shoploom.serving.run import serve as work
    from shoploom.serving.settings import ServeSettings

    settings = ServeSettings(
        run=run,
        store=store,
        host=host,
        port=port,
        workers=workers,
        demo=demo,
        clock=clock,
        rate=rate,
        largest=largest,
        waiting=waiting,
        hosts=tuple(hosts or ()),
        kafka=kafka,
        language=language,
    )
    work(settings, terminal(quiet))
