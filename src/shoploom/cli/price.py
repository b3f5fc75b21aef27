"""`shoploom price`: how demand answers to prices, and which ones to set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from shoploom.cli._frames import show_frame
from shoploom.cli._options import Out, Quiet, ShopPath

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 10  # changes on the screen


def add_to(app: App) -> None:
    """Add the command."""
    app.command(price, help_format="plaintext", help_epilogue="")


def price(
    shop: ShopPath = Path("shop.yaml"),
    *,
    by: Annotated[str | None, Parameter(help="attribute that users are grouped by")] = None,
    protected: Annotated[
        str | None, Parameter(help="attribute that must not decide what somebody pays")
    ] = None,
    margin: Annotated[float, Parameter(help="least share over cost")] = 0.05,
    step: Annotated[float, Parameter(help="largest change at once, a share")] = 0.10,
    ceiling: Annotated[float, Parameter(help="at most so many times today's price")] = 1.5,
    competitor: Annotated[
        tuple[float, float] | None,
        Parameter(help="least and most of the competitor's price, such as 0.9 1.1"),
    ] = None,
    discount: Annotated[float, Parameter(help="largest personal discount, a share")] = 0.15,
    parity: Annotated[
        float, Parameter(help="mean prices of protected values may be so far apart")
    ] = 0.02,
    sure: Annotated[float, Parameter(help="chance of a gain below which prices stay")] = 0.9,
    explore: Annotated[float, Parameter(help="share of profit that may go into learning")] = 0.01,
    weeks: Annotated[int, Parameter(help="latest weeks that say how much sells")] = 8,
    assume_margin: Annotated[
        float | None, Parameter(help="share of the price that is margin, where no cost is known")
    ] = None,
    stock: Annotated[
        Path | None, Parameter(help="CSV (item_id, stock) of what a season has to sell")
    ] = None,
    season_weeks: Annotated[int, Parameter(help="weeks of that season")] = 8,
    salvage: Annotated[float, Parameter(help="share of the cost that leftovers bring")] = 0.0,
    observational: Annotated[
        bool, Parameter(help="export though nobody drew prices at random", negative="")
    ] = False,
    draws: Annotated[
        Path | None, Parameter(help="file for prices to draw next, with their chances")
    ] = None,
    out: Out = None,
    quiet: Quiet = False,
) -> None:
    """Propose prices within guardrails, with expected profit, interval and reason.

    Learns how demand answers to prices from exposures price:RATIO with
    propensities, or from offers where there are none; judges the proposals on
    the latest exposures beside what was shown. One list price for all; what
    differs by group of users is a discount. The shop must have been prepared.

    Example:  shoploom price shop.yaml --by tier --protected gender --out prices.csv
    """
    from shoploom.core.errors import DataError
    from shoploom.core.progress import terminal
    from shoploom.policies.price.proposals import Guardrails
    from shoploom.workflows import load_config
    from shoploom.workflows.price import Pricing
    from shoploom.workflows.price import price as work
    from shoploom.workflows.run import Run

    config = load_config(shop)
    rails = Guardrails(margin, step, ceiling, competitor, discount, parity, sure, explore)
    asked = Pricing(
        by, protected, rails, weeks, assume_margin, observational, stock, season_weeks, salvage
    )
    found = work(config, Run(config.run), terminal(quiet), asked)
    _show(found.about, config.currency)
    if out is None and draws is None:
        _show_proposals(found.table)
    if found.refused:
        raise DataError(f"no export: {found.refused}")
    if out is not None:
        show_frame(found.table, out)
    if draws is not None:
        show_frame(found.draws, draws)


def _show(about: dict[str, Any], currency: str) -> None:
    from shoploom.policies.price.demand import SILENCE

    value, low, high = about["elasticity"]
    how = "prices were drawn" if about["drawn"] else "observational: nobody drew prices"
    print(
        f"\nelasticity {value:.2f} ({low:.2f} to {high:.2f}), {how}; a plain regression says "
        f"{about['naive']:.2f}"
    )
    print(f"known of {about['known']:,} of {about['items']:,} items")
    for reason, n in about["abstained"].items():
        print(f"  {n:>7,}: {SILENCE[reason]}")
    if len(about["groups"]) > 1:
        of = ", ".join(f"{name} {value:.2f}" for name, value in about["groups"].items())
        print(f"by {about['by']}: {of}")
    if judged := about.get("judged"):
        _show_judged(judged, currency)
    made = ", ".join(f"{n:,} {action}" for action, n in about["proposals"].items())
    value, low, high = about["gain"]
    print(
        f"\nproposals: {made}; {value:+,.2f} {currency} a week ({low:+,.2f} to {high:+,.2f}) on "
        f"{about['profit']:,.2f}"
    )
    _show_discounts(about["discounts"], currency)
    for season in about.get("season", ()):
        if season["refused"]:
            print(f"season of {season['item_id']}: none, {season['refused']}")
        else:
            print(
                f"season of {season['item_id']}: begin at {season['first']:.2f}; "
                f"{season['brings']:,.2f} {currency} expected, {season['kept']:,.2f} at today's "
                "price"
            )
    print()


def _show_proposals(table: pd.DataFrame) -> None:
    """The changes that bring most, a line each."""
    changes = table.loc[table["action"] != "keep"]
    wanted = ("item_id", "title", "price", "proposed", "gain", "gain_low", "gain_high", "reason")
    columns = (list(changes[name])[:_SHOWN] for name in wanted)
    for item, title, now, then, gain, low, high, reason in zip(*columns, strict=True):
        more = f"{gain:+.2f} ({low:+.2f} to {high:+.2f})"
        print(f"  {now:>9.2f} -> {then:<9.2f} {more:<28} {(title or item)[:32]}")
        print(f"  {'':<22} {reason}")
    if len(changes) > _SHOWN:
        print(f"  {len(changes) - _SHOWN:,} more; --out FILE.csv writes them all")


def _show_judged(judged: dict[str, Any], currency: str) -> None:
    print(f"\n  {'profit per look, ' + currency:<26}{'estimate':>10}{'95 % interval':>24}")
    value, low, high = judged["logged"]
    print(f"  {'logged policy':<26}{value:>10.4f}{f'{low:.4f} to {high:.4f}':>24}")
    for name, policy in judged["policies"].items():
        value, low, high = policy["estimates"][policy["read"]]
        print(f"  {name:<26}{value:>10.4f}{f'{low:.4f} to {high:.4f}':>24}")
    for name, (value, low, high) in judged["minus_usual"].items():
        shown = "" if low > 0 or high < 0 else ": not shown to differ"
        print(f"{name} minus {judged['usual']}: {value:+.4f} ({low:+.4f} to {high:+.4f}){shown}")


def _show_discounts(found: dict[str, Any], currency: str) -> None:
    if not found["items"]:
        return
    value, low, high = found["gain"]
    of = ", ".join(f"{name} {share:.1%}" for name, share in found["groups"].items())
    print(
        f"personal discounts on {found['items']:,} items: {of}; {value:+,.2f} {currency} a week "
        f"({low:+,.2f} to {high:+,.2f})"
    )
    if found["protected"]:
        print(
            f"mean prices by {found['protected']} are {found['apart']:.2%} apart, "
            f"{found['parity']:.2%} allowed"
            + (f": discounts were cut to {found['factor']:.0%}" if found["factor"] < 1 else "")
        )
