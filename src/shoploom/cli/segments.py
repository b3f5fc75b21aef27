"""`shoploom segments`: groups of users who are alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from shoploom.cli._frames import show_frame
from shoploom.cli._options import Out, Quiet, ShopPath


def add_to(app: App) -> None:
    """Add the command."""
    app.command(segments, help_format="plaintext", help_epilogue="")


def segments(
    shop: ShopPath = Path("shop.yaml"),
    *,
    k: Annotated[int | None, Parameter(help="how many; the data says if not given")] = None,
    language: Annotated[str, Parameter(help="of the names: en or zh")] = "en",
    out: Out = None,
    quiet: Quiet = False,
) -> None:
    """Find groups of users, name them, and say what they are worth.

    Users are compared by habits, by tastes and, where engines were trained, by
    what these know of them. The shop must have been prepared; --out writes who
    belongs where.

    Example:  shoploom segments shop.yaml --out segments.parquet
    """
    from shoploom.core.errors import ConfigError
    from shoploom.core.progress import terminal
    from shoploom.workflows import load_config
    from shoploom.workflows.run import Run
    from shoploom.workflows.segments import segment

    if language not in ("en", "zh"):
        raise ConfigError(f"--language: expected en or zh, got {language!r}.")
    config = load_config(shop)
    found = segment(config, Run(config.run), terminal(quiet), k=k, language=language)
    _show(found.about, language, config.currency)
    if out is not None:
        show_frame(found.users, out)


def _show(about: dict[str, Any], language: str, currency: str) -> None:
    blocks = ", ".join(about["blocks"])
    print(f"\n{about['users']:,} users in {about['k']} groups, compared by {blocks}")
    if about["merged"]:
        print(f"{about['merged']} groups were too small to be shown: joined to their nearest")
    for number, each in enumerate(about["segments"], 1):
        print(f"\n{number}. {each['name'][language]}")
        facts = [f"{each['users']:,} users ({each['share']:.0%})"]
        if each["spend_28d"] is not None:
            facts.append(f"{each['spend_28d']:,.0f} {currency} in 28 days")
        if each["churn_risk"] is not None:
            facts.append(f"{each['churn_risk']:.0%} leave")
        print(f"   {', '.join(facts)}")
        for item in each["favourites"][:3]:
            title = item["title"] or item["item_id"]
            print(f"   {item['times']:.1f} times as often: {title}")
    if about["weeks"]:
        stay = min(week["stay"] for week in about["weeks"])
        plain = min(week["stay_without_margin"] for week in about["weeks"])
        print(f"\nfrom week to week at least {stay:.0%} stay ({plain:.0%} without a margin)")
    print("\nof what users did next, groups explain (plain k-means on recency, frequency, money):")
    for name, by in about["versus_rfm"]["explained"].items():
        own, other, (value, low, high) = by["segments"][0], by["rfm"][0], by["difference"]
        print(
            f"  {name:<12}{own:>7.1%} ({other:.1%}), difference {value:+.1%} "
            f"({low:+.1%} to {high:+.1%})"
        )
