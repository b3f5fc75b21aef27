"""`shoploom audience`: whom to show which ad."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from shoploom.cli._frames import show_frame
from shoploom.cli._options import Out, Quiet, ShopPath


def add_to(app: App) -> None:
    """Add the command."""
    app.command(audience, help_format="plaintext", help_epilogue="")


def audience(
    shop: ShopPath = Path("shop.yaml"),
    *,
    kind: Annotated[str, Parameter(help="arms begin with it, as in ad:discount")] = "ad",
    control: Annotated[
        str | None, Parameter(help="the arm that shows nothing; found by its name if none")
    ] = None,
    outcome: Annotated[str, Parameter(help="spend, converted or clicked")] = "spend",
    value: Annotated[
        float, Parameter(help="of one of the outcome, in currency: the margin of spend, say")
    ] = 1.0,
    budget: Annotated[float | None, Parameter(help="of all together, in currency")] = None,
    hold_out: Annotated[float, Parameter(help="share that is left alone to measure")] = 0.1,
    learner: Annotated[str, Parameter(help="of effects: stack, dr, x, t, forest")] = "stack",
    times: Annotated[int, Parameter(help="showings of one user in four weeks, at most")] = 1,
    out: Out = None,
    quiet: Quiet = False,
) -> None:
    """Name whom to show which ad, and whom to leave alone for measuring.

    Learns from the table of exposures what each arm adds, judges the policy
    on the latest exposures beside what was shown, and only then names users
    who have agreed to ads. The shop must have been prepared.

    Example:  shoploom audience shop.yaml --value 0.4 --budget 200 --out ads.parquet
    """
    from shoploom.core.errors import DataError
    from shoploom.core.progress import terminal
    from shoploom.workflows import load_config
    from shoploom.workflows.audience import Campaign
    from shoploom.workflows.audience import audience as work
    from shoploom.workflows.run import Run

    config = load_config(shop)
    campaign = Campaign(kind, control, outcome, value, budget, hold_out, learner, times=times)
    found = work(config, Run(config.run), terminal(quiet), campaign)
    _show(found.about)
    if found.refused:
        raise DataError(f"no audience: {found.refused}")
    show_frame(found.users, out)


def _show(about: dict[str, Any]) -> None:
    print(f"\nlearned from {about['learned_from'][2]:,} exposures until {about['learned_from'][1]}")
    print(f"judged on {about['judged_on'][2]:,} from {about['judged_on'][0]} on")
    if about["observational"]:
        print("observational: chances were guessed, differences may have other causes")
    print(
        f"\n  {'who is moved':<26}{'qini':>10}{'95 % interval':>24}{'uplift@10':>12}{'effect':>10}"
    )
    for arm, order in about["orders"].items():
        for name, by in order["results"].items():
            qini, low, high = by["qini"]
            print(
                f"  {arm + ', ' + name:<26}{qini:>10.4f}{f'{low:.4f} to {high:.4f}':>24}"
                f"{by['uplift@10'][0]:>12.4f}{by['effect'][0]:>10.4f}"
            )
    print(f"\n  {'brought per exposure':<26}{'estimate':>10}{'95 % interval':>24}{'- logged':>12}")
    value, low, high = about["logged"]
    print(f"  {'logged policy':<26}{value:>10.4f}{f'{low:.4f} to {high:.4f}':>24}")
    for name, policy in about["policies"].items():
        value, low, high = policy["estimates"][policy["read"]]
        less = policy["minus_logged"][policy["read"]][0]
        print(f"  {name:<26}{value:>10.4f}{f'{low:.4f} to {high:.4f}':>24}{less:>+12.4f}")
    value, low, high = about["chosen_minus_best"]
    print(
        f"\nchosen minus {about['best_of_the_same_for_all']}: {value:+.4f} "
        f"({low:+.4f} to {high:+.4f}){'' if low > 0 else ': not shown to be better'}"
    )
    for name, told in about["foretold"].items():
        value, low, high = told["auroc"]
        print(
            f"{name}: foretold with AUROC {value:.3f} ({low:.3f} to {high:.3f}); "
            f"{told['share'][0]:.1%} of the later ones, {told['share'][1]:.1%} expected"
        )
    if named := about.get("named"):
        arms = ", ".join(f"{n:,} {arm}" for arm, n in named["targeted"].items())
        print(
            f"named: {arms or 'nobody'}; {named['held_out']:,} held out; {named['showings']:,} "
            f"showings cost "
            f"{named['cost']:,.2f}, expected gain {named['gain']:,.2f}\n"
        )
