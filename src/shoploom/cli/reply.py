"""`shoploom reply`: which reply suits, and when a person should answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from shoploom.cli._frames import show_frame
from shoploom.cli._options import Out, Quiet, ShopPath


def add_to(app: App) -> None:
    """Add the command."""
    app.command(reply, help_format="plaintext", help_epilogue="")


def reply(
    shop: ShopPath = Path("shop.yaml"),
    *,
    text: Annotated[
        list[str] | None, Parameter(help="what a customer said; give it again for several")
    ] = None,
    user: Annotated[str | None, Parameter(help="who said it; nobody known if not given")] = None,
    templates: Annotated[
        Path | None, Parameter(help="YAML of approved replies: NAME: {en: ..., zh: ..., cost: 0}")
    ] = None,
    least: Annotated[float, Parameter(help="chance below which a person should answer")] = 0.5,
    worth: Annotated[float, Parameter(help="of a reply that suits, in currency")] = 10.0,
    outcome: Annotated[str, Parameter(help="that says it suited: converted or clicked")] = (
        "converted"
    ),
    out: Out = None,
    quiet: Quiet = False,
) -> None:
    """Learn which replies suit whom, judge them, and answer.

    Learns from exposures reply:NAME with propensities, and from dialogues;
    judges the policy on the latest replies beside what was said. With --text
    it answers; every text is a dialogue of its own. The shop must have been
    prepared.

    Example:  shoploom reply shop.yaml --text "Where is my order?" --user 42
    """
    from shoploom.core.errors import DataError
    from shoploom.core.progress import terminal
    from shoploom.workflows import load_config
    from shoploom.workflows.reply import Replying, answers_of, service
    from shoploom.workflows.run import Run

    config = load_config(shop)
    asked = Replying(outcome, templates, worth, least)
    found = service(config, Run(config.run), terminal(quiet), asked)
    _show(found.about, config.currency)
    if not text:
        return
    if found.refused:
        raise DataError(f"no answer: {found.refused}")
    answers = answers_of(found, text, [user] * len(text))
    if out is not None:
        show_frame(answers, out)
        return
    for said in text:
        one = found.answer([said], user)
        intent = max(one.intent, key=one.intent.__getitem__, default="unknown")
        emotion = max(one.emotion, key=one.emotion.__getitem__, default="unknown")
        print(f"\n> {said}\n  {intent}, {emotion}: {one.reply} (suits: {one.chance:.0%})")
        if one.person:
            print("  a person should answer")
        if one.text:
            print(f"  {one.text}  [{one.source}]")


def _show(about: dict[str, Any], currency: str) -> None:
    print(f"\nlearned from {about['learned_from']:,} replies, judged on {about['judged_on']:,}")
    title = f"worth per reply, {currency}"
    print(f"\n  {title:<36}{'estimate':>10}{'95 % interval':>24}")
    value, low, high = about["logged"]
    print(f"  {'logged policy':<36}{value:>10.3f}{f'{low:.3f} to {high:.3f}':>24}")
    for name, policy in about["policies"].items():
        value, low, high = policy["estimates"][policy["read"]]
        print(f"  {name:<36}{value:>10.3f}{f'{low:.3f} to {high:.3f}':>24}")
    policy = about["policies"]["chosen"]
    value, low, high = policy["minus_logged"][policy["read"]]
    verdict = "" if low > 0 else ": not shown to be better"
    print(f"\nchosen minus logged: {value:+.3f} ({low:+.3f} to {high:+.3f}){verdict}")
    value, low, high = about["chosen_minus_best"]
    verdict = "" if low > 0 else ": not shown to be better"
    print(
        f"chosen minus {about['best_of_the_same_for_all']}: {value:+.3f} ({low:+.3f} to "
        f"{high:+.3f}){verdict}"
    )
    print(
        f"suited: {about['suited']['logged']:.0%} of those logged, "
        f"{about['suited']['expected']:.0%} expected of the chosen; "
        f"{about['person']:.0%} would go to a person"
    )
    if about["satisfaction"]:
        told = about["satisfaction"]
        print(
            f"how dialogues end is told before the last word in {told['accuracy']:.0%} of "
            f"{told['dialogues']:,} ({told['satisfied']:.0%} end well)"
        )
