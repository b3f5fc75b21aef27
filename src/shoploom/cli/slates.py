"""`shoploom slates`: recommendations as a policy, by the shop's rules, drawn and judged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from shoploom.cli._frames import show_frame
from shoploom.cli._options import EngineName, Out, Quiet, ShopPath


def add_to(app: App) -> None:
    """Add the command."""
    app.command(slates, help_format="plaintext", help_epilogue="")


def slates(
    shop: ShopPath = Path("shop.yaml"),
    *,
    k: Annotated[int, Parameter(help="places of a slate")] = 10,
    diversity: Annotated[float, Parameter(help="0 for scores alone, towards 1 for variety")] = 0.0,
    novelty: Annotated[float, Parameter(help="weight of what few have bought")] = 0.0,
    margin: Annotated[float, Parameter(help="weight of what the shop earns")] = 0.0,
    per_category: Annotated[int | None, Parameter(help="items of a category at most")] = None,
    temperature: Annotated[
        float, Parameter(help="of the draw, scores scaled to 1; 0 shows the best, always")
    ] = 0.0,
    without: Annotated[
        list[str] | None, Parameter(help="an item not to be shown; may be repeated")
    ] = None,
    stock: Annotated[
        Path | None, Parameter(help="CSV (item_id, stock): to how many users each may be shown")
    ] = None,
    outcome: Annotated[
        str, Parameter(help="of exposures, that judges: clicked, converted or spend")
    ] = "converted",
    engine: EngineName = None,
    out: Out = None,
    quiet: Quiet = False,
) -> None:
    """Make slates for all users by the shop's rules, with the chances to log.

    Re-ranks what the engine recommends for variety, novelty, margin, stock and
    bans; with --temperature slates are drawn, and the chance of every place is
    written beside it: log both as exposures item:ID, and another policy can be
    judged tomorrow. Judges this policy by what was shown in the test window,
    where the shop logged that. The shop must have been trained.

    Example:  shoploom slates shop.yaml --diversity 0.3 --temperature 0.1 --out slates.parquet
    """
    from shoploom.core.errors import DataError
    from shoploom.core.progress import terminal
    from shoploom.policies.slate import SlateRules
    from shoploom.workflows import load_config
    from shoploom.workflows.recommendations import Recommending
    from shoploom.workflows.recommendations import slates as work
    from shoploom.workflows.run import Run

    config = load_config(shop)
    rules = SlateRules(diversity, novelty, margin, per_category, temperature)
    asked = Recommending(k, rules, outcome, engine, stock, tuple(without or ()))
    found = work(config, Run(config.run), terminal(quiet), asked)
    _show(found.about)
    if out is None:
        show_frame(found.table, None)
        return
    # A log that cannot judge is no reason to show nothing; one that speaks against it is.
    if found.about.get("worse"):
        raise DataError(
            "no export: in the log of the test window the policy brought less than what was shown."
        )
    show_frame(found.table, out)


def _show(about: dict[str, Any]) -> None:
    print(
        f"\n{about['slates']:,} slates of {about['items']:,} different items; "
        f"{about['categories']:.1f} categories a slate, novelty {about['novelty']:.2f}, "
        f"margin {about['margin']:.2f}"
    )
    if about["estimates"] is None:
        print(f"no verdict: {about['refused']}")
        return
    print(f"\njudged on {about['judged_on']:,} showings from {about['from']} on")
    print(f"  {about['outcome'] + ' per showing':<26}{'estimate':>10}{'95 % interval':>24}")
    value, low, high = about["logged"]
    print(f"  {'logged policy':<26}{value:>10.4f}{f'{low:.4f} to {high:.4f}':>24}")
    value, low, high = about["estimates"][about["read"]]
    print(f"  {'slates':<26}{value:>10.4f}{f'{low:.4f} to {high:.4f}':>24}")
    value, low, high = about["minus_logged"][about["read"]]
    verdict = "" if low > 0 or high < 0 else ": not shown to differ"
    print(f"slates minus logged: {value:+.4f} ({low:+.4f} to {high:+.4f}){verdict}")
    if about["refused"]:
        print(f"no verdict: {about['refused']}")
