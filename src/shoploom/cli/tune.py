"""`shoploom tune`: an engine's settings, searched on validation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from shoploom.cli._options import Quiet, ShopPath


def add_to(app: App) -> None:
    """Add the command."""
    app.command(tune, help_format="plaintext", help_epilogue="")


def tune(
    shop: ShopPath = Path("shop.yaml"),
    *,
    engine: Annotated[str, Parameter(help="whose settings")] = "neural",
    trials: Annotated[int, Parameter(help="settings to try in all")] = 50,
    minutes: Annotated[
        float | None, Parameter(help="stop after so many; the same command goes on")
    ] = None,
    afresh: Annotated[bool, Parameter(help="forget earlier trials", negative="")] = False,
    quiet: Quiet = False,
) -> None:
    """Search the settings of an engine on the validation questions.

    The shop must have been prepared. Trials that are finished are kept: the
    same command goes on. Prints what was gained, what mattered, and the lines
    for shop.yaml.

    Example:  shoploom tune shop.yaml --engine neural --minutes 20
    """
    from shoploom.core.progress import terminal
    from shoploom.workflows import load_config, tuning
    from shoploom.workflows.run import Run

    config = load_config(shop)
    run = Run(config.run)
    if afresh:
        tuning.forget(run, engine)
    found = tuning.tune(config, run, terminal(quiet), engine=engine, trials=trials, minutes=minutes)
    _show(engine, found)


def _show(engine: str, found: dict[str, Any]) -> None:
    import yaml

    finished, best = found["trials"], found["best"]
    stopped = sum(trial["state"] == "pruned" for trial in finished)
    print(f"\n{len(finished)} trials, {stopped} of them stopped early; best: {best['gain']:+.2%}")
    print("on the validation questions that chose it, so expect less elsewhere\n")
    for task, metric in found["metrics"].items():
        value, low, high = found["versus"][task]
        print(
            f"  {task:<12}{metric:<10}{found['defaults'][task]:.4f} -> {best['values'][task]:.4f}"
            f"   {value:+.4f} ({low:+.4f} to {high:+.4f})"
        )
    if found["importance"]:
        print("\nwhat mattered (share of the differences between trials)")
        for name, share in found["importance"].items():
            print(f"  {name:<24}{share:6.1%}  {'█' * round(30 * share)}")
    if best["gain"] <= 0:
        print("\nnothing better than the settings of shop.yaml was found")
        return
    print("\nfor shop.yaml:\n")
    print(yaml.safe_dump({"engines": {engine: _nested(best["params"])}}, sort_keys=False))


def _nested(params: dict[str, Any]) -> dict[str, Any]:
    """Settings by dotted names as a tree, numbers to four digits."""
    tree: dict[str, Any] = {}
    for name, value in params.items():
        *path, last = name.split(".")
        place = tree
        for key in path:
            place = place.setdefault(key, {})
        place[last] = float(f"{value:.4g}") if isinstance(value, float) else value
    return tree
