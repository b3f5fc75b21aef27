"""Segments: who the groups are, what they are worth, what they like."""

from __future__ import annotations

from typing import Any

from shoploom.core import columns as c
from shoploom.serving.dashboard.board import Board

_HABITS = ("recency_days", "orders", "spend", "order_value_mean", "discount_share")


def build(board: Board) -> dict[str, Any]:
    """What the page shows; nothing but that where nobody asked for groups."""
    found, words = board.facts.segments, board.words
    if found is None:
        return {"groups": None}
    groups = found["segments"]
    names = [words.either(each["name"]) for each in groups]
    whole = sum(each["spend_28d"] or 0 for each in groups) or 1
    board.chart(
        "shares",
        words("segments.shares"),
        "table",
        [
            ("segment", words("users.segment"), "text"),
            ("users", words("segments.users"), "number"),
            ("share", words("segments.share_users"), "share"),
            ("spend", words("segments.spend"), "money"),
            ("share_spend", words("segments.share_spend"), "share"),
            ("risk", words("segments.risk"), "share"),
        ],
        [
            [
                name,
                each["users"],
                each["share"],
                each["spend_28d"],
                None if each["spend_28d"] is None else each["spend_28d"] / whole,
                each["churn_risk"],
            ]
            for name, each in zip(names, groups, strict=True)
        ],
    )
    shown = [name for name in _HABITS if any(name in each["habits"] for each in groups)]
    board.chart(
        "habits",
        words("segments.habits"),
        "table",
        [
            ("segment", words("users.segment"), "text"),
            *((name, words.statistic(name), words.kind(name)) for name in shown),
        ],
        [
            [name, *(each["habits"].get(habit) for habit in shown)]
            for name, each in zip(names, groups, strict=True)
        ],
    )
    _explained(board, found["versus_rfm"]["explained"])
    weeks = found.get("weeks") or []
    return {
        "groups": [
            {
                "number": number,
                "name": name,
                "users": words.number(each["users"]),
                "share": words.share(each["share"]),
                "meter": round(100 * each["share"]),
                "spend": words.money(each["spend_28d"]),
                "risk": words.share(each["churn_risk"]),
                "favourites": [
                    board.bundle.goods.brief(item[c.ITEM_ID])
                    | {"times": words("segments.times", n=words.decimal(item["times"], 1))}
                    for item in each["favourites"]
                ],
            }
            for number, (name, each) in enumerate(zip(names, groups, strict=True), 1)
        ],
        "stays": words("segments.stays", share=words.share(weeks[-1]["stay"])) if weeks else "",
    }


def _explained(board: Board, found: dict[str, Any]) -> None:
    words = board.words
    rows = []
    for name, each in found.items():
        label = (
            words.statistic(name) if name != "categories" else words.name("task_names", "category")
        )
        rows.append([f"{label}: {words('segments.ours')}", *each["segments"]])
        rows.append([f"{label}: {words('segments.rfm')}", *each["rfm"]])
    board.chart(
        "explains",
        words("segments.explains"),
        "whiskers",
        [
            ("groups", words("users.segment"), "text"),
            ("value", words("model.value"), "share"),
            ("low", words("prices.low"), "share"),
            ("high", words("prices.high"), "share"),
        ],
        rows,
        note=words("segments.explains_note"),
        strong=list(range(0, len(rows), 2)),
    )
