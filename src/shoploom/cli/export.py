"""`shoploom export`: a network that other software can run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from shoploom.cli._options import RunPath


def add_to(app: App) -> None:
    """Add the command."""
    app.command(export, help_format="plaintext", help_epilogue="")


def export(
    *,
    out: Annotated[Path, Parameter(name="--out", help="the folder to write; replaced if there")],
    run: RunPath = Path("runs/latest"),
    engine: Annotated[str, Parameter(name="--engine", help="the network to write")] = "neural",
) -> None:
    """Write a trained network as ONNX, so that a server needs no torch.

    The folder holds user_tower.onnx, items.npy, items.ids.json, and
    user_tower.json, which says what goes in and what comes out.

    Example:  shoploom export --run runs/latest --out tower
    """
    from shoploom.workflows import load

    print(load(run).export(out, engine=engine))
