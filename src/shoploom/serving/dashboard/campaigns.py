"""Campaigns: whom ads move, what policies would have brought, who would be shown what."""

from __future__ import annotations

from typing import Any

from shoploom.core import columns as c
from shoploom.serving.dashboard.board import Board
from shoploom.serving.dashboard.policies import judged

_POINTS = 26  # of a curve of a hundred


def build(board: Board) -> dict[str, Any]:
    """What the page shows."""
    words = board.words
    found = [_campaign(board, kind, each) for kind, each in board.facts.campaigns.items()]
    slates = board.facts.slates
    if slates and slates.get("estimates"):
        value = slates["estimates"][slates["read"]]
        rows = [[words("prices.logged"), *slates["logged"]], [words("campaigns.slates"), *value]]
        board.chart(
            "slates",
            words("campaigns.slates"),
            "whiskers",
            [
                ("policy", words("prices.policy"), "text"),
                ("value", words("model.value"), "decimal"),
                ("low", words("prices.low"), "decimal"),
                ("high", words("prices.high"), "decimal"),
            ],
            rows,
            note=words("campaigns.slates_note"),
            strong=[1],
        )
    return {"campaigns": found}


def _campaign(board: Board, kind: str, each: dict[str, Any]) -> dict[str, Any]:
    words = board.words
    judged(
        board,
        words("campaigns.policies"),
        each["policies"],
        each["logged"],
        {"chosen": words("campaigns.chosen")},
        lambda arm: words("campaigns.everybody", arm=arm),
        strong="chosen",
        note=words("campaigns.policies_note"),
        name=f"policies_{kind}",
    )
    kind_of_gain = "money" if each["outcome"] == c.SPEND else "decimal"
    curves = []
    for place, (arm, told) in enumerate(each["orders"].items()):
        curve = told["curve"]
        step = max(1, len(curve["share"]) // _POINTS)
        rows = [
            list(row)
            for row in zip(*(curve[k] for k in ("share", "gain", "low", "high")), strict=True)
        ]
        name = f"curve_{kind}_{place}"
        curves.append(name)
        board.chart(
            name,
            words("campaigns.curve", arm=arm),
            "curve",
            [
                ("share", words("campaigns.share"), "share"),
                ("gain", words("campaigns.gain"), kind_of_gain),
                ("low", words("prices.low"), kind_of_gain),
                ("high", words("prices.high"), kind_of_gain),
            ],
            [*rows[::step], rows[-1]],
            note=words("campaigns.curve_note"),
        )
    named = each.get("named") or {}
    tiles = []
    if named:
        targeted = sum(named["targeted"].values())
        tiles = [
            (words("campaigns.targeted"), words.number(targeted)),
            (words("campaigns.held"), words.number(named["held_out"])),
            (words("campaigns.cost"), words.money(named["cost"])),
            (words("campaigns.expected"), words.money(named["gain"])),
        ]
    return {
        "kind": words("campaigns.kind", kind=kind),
        "policies": f"policies_{kind}",
        "curves": curves,
        "tiles": tiles,
        "refused": words("campaigns.refused", why=each["refused"]) if each["refused"] else "",
        "observational": each["observational"],
    }
