"""Prices: curves, proposals, guardrails, and what the price test says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shoploom.core import columns as c
from shoploom.serving.dashboard.board import Board
from shoploom.serving.dashboard.policies import judged

_CHANGES = 400


def build(board: Board) -> dict[str, Any]:
    """What the page shows; nothing but that where nobody asked for prices."""
    found, words = board.facts.price, board.words
    if found is None:
        return {"found": None}
    curves = found["curves"]
    wanted = board.query.get("item", "")
    curve = next((one for one in curves if one[c.ITEM_ID] == wanted), curves[0] if curves else None)
    if curve is not None:
        _curve(board, curve)
    if told := found.get("judged"):
        judged(
            board,
            words("prices.judged"),
            told["policies"],
            told["logged"],
            {"proposed": words("prices.proposed_policy"), "best tried": words("prices.best_tried")},
            lambda name: words("prices.everybody", name=name),
            strong="proposed",
        )
    _proposals(board)
    _discounts(board, found)
    value, low, high = found["gain"]
    changes = sum(n for action, n in found["proposals"].items() if action != "keep")
    elasticity = found["elasticity"]
    discounts = found["discounts"]
    return {
        "found": found,
        "refused": found["refused"],
        "tiles": [
            (
                words("prices.gain"),
                words.signed(value),
                words("prices.interval", low=words.signed(low), high=words.signed(high)),
            ),
            (
                words("prices.elasticity"),
                words.decimal(elasticity[0], 2),
                words("prices.elasticity_about"),
            ),
            (
                words("prices.known"),
                words.number(found["known"]),
                words("frame.of", n=words.number(found["items"])),
            ),
            (
                words("prices.changes"),
                words.number(changes),
                words("frame.of", n=words.number(found["items"])),
            ),
        ],
        "curves": [
            (one[c.ITEM_ID], one[c.TITLE] or one[c.ITEM_ID], one is curve) for one in curves
        ],
        "fairness": words(
            "prices.fairness",
            attribute=discounts["protected"],
            apart=words.share(discounts["apart"], 2),
            parity=words.share(discounts["parity"], 2),
        )
        if discounts["protected"]
        else words("prices.no_protected"),
        "by": found["by"],
    }


def price_reason(board: Board, row: Mapping[str, Any]) -> str:
    """Why a price is proposed, in the language of whoever looks."""
    words = board.words
    if "why" not in row:
        return str(row.get("reason", ""))
    said = (
        f"{words.name('price_actions', row['action'])}: {words.name('price_reasons', row['why'])}"
    )
    bound = row.get("bound")
    return f"{said}, {words.name('price_bounds', bound)}" if bound else said


def _curve(board: Board, one: dict[str, Any]) -> None:
    words = board.words
    low, high = one["allowed"]
    same = abs(one["price"] - one["proposed"]) < 0.005
    marks = [{"x": one["price"], "label": words("prices.today"), "dashed": True, "low": True}]
    if not same:
        marks.append({"x": one["proposed"], "label": words("prices.proposed"), "color": "accent"})
    board.chart(
        "curve",
        words("prices.curve", title=one[c.TITLE] or one[c.ITEM_ID]),
        "curve",
        [
            (c.PRICE, words("products.price"), "money"),
            ("profit", words("prices.profit"), "money"),
            ("low", words("prices.low"), "money"),
            ("high", words("prices.high"), "money"),
        ],
        [[price, *each] for price, each in zip(one["prices"], one["profit"], strict=True)],
        note=words("prices.curve_note", low=words.money(low), high=words.money(high)),
        marks=marks,
        allowed=[max(low, min(one["prices"])), min(high, max(one["prices"]))],
    )


def _proposals(board: Board) -> None:
    words, prices = board.words, board.bundle.decisions.prices
    rows = []
    if prices is not None:
        for row in prices.changes(_CHANGES):
            rows.append(
                [
                    row[c.ITEM_ID],
                    row[c.TITLE] or row[c.ITEM_ID],
                    row[c.PRICE],
                    row["proposed"],
                    row["gain"],
                    row["gain_low"],
                    row["gain_high"],
                    price_reason(board, row),
                ]
            )
    board.chart(
        "proposals",
        words("prices.proposals"),
        "table",
        [
            (c.ITEM_ID, "ID", "text"),
            (c.TITLE, words("prices.item"), "text"),
            (c.PRICE, words("prices.today"), "money"),
            ("proposed", words("prices.proposed"), "money"),
            ("gain", words("prices.gain_week"), "signed"),
            ("gain_low", words("prices.low"), "signed"),
            ("gain_high", words("prices.high"), "signed"),
            ("reason", words("prices.reason"), "text"),
        ],
        rows,
        note=words("prices.proposals_note"),
    )


def _discounts(board: Board, found: dict[str, Any]) -> None:
    words, groups = board.words, found["discounts"]["groups"]
    rows = [[name, share] for name, share in groups.items()]
    board.chart(
        "discounts",
        words("prices.discounts", by=found["by"] or "–"),
        "bars",
        [
            ("group", words("prices.group"), "text"),
            ("discount", words("prices.discount_mean"), "share"),
        ],
        rows if found["by"] and any(groups.values()) else [],
    )
