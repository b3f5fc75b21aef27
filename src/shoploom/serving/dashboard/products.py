"""Products: the catalogue by looks, what sells with what, what customers say; one at a time."""

from __future__ import annotations

import base64
from typing import Any

from shoploom.core import columns as c
from shoploom.core.errors import ShoploomError
from shoploom.serving.dashboard.board import Board
from shoploom.serving.likeness import CONTENT, TOGETHER

_LISTED = 12
_BEST = 10
_PAIRS, _FEW_PAIRS = 40, 12


def build(board: Board) -> dict[str, Any]:
    """What the page shows: everything, what was searched for, or one product."""
    item, asked = board.query.get("item", ""), board.query.get("q", "").strip()
    if item:
        return {"one": _one(board, item), "q": ""}
    found = None
    if asked:
        told = board.server.predictor.search(asked[:500], _LISTED)
        found = {
            "items": told["items"],
            "by": board.words(
                "products.by_words" if told["by"] == "words" else "products.by_meaning"
            ),
        }
    past = board.facts.past
    _aspects(board)
    _best(board, past)
    _together(board, past)
    return {
        "one": None,
        "q": asked,
        "found": found,
        "map": _map(board),
        "best": _listed(board, past),
    }


def sprite_of(board: Board) -> bytes | None:
    """The sheet of all small pictures of the map."""
    found = board.facts.content.get("map")
    if not found:
        return None
    return base64.b64decode(found["sprite"]["data"].partition(",")[2])


def _one(board: Board, item: str) -> dict[str, Any] | None:
    goods, predictor = board.bundle.goods, board.server.predictor
    if goods.code(item) < 0:
        return None
    near: dict[str, list[dict[str, Any]]] = {}
    for by in (CONTENT, TOGETHER):
        try:
            near[by] = predictor.similar(item, _LISTED // 2, by)["items"]
        except ShoploomError:  # nothing was encoded, or no such engine was trained
            near[by] = []
    brief = goods.brief(item)
    return {
        "item": brief,
        "category": brief[c.CATEGORY] or "",
        "price": board.words.money(brief[c.PRICE]),
        "brand": goods.get(item, c.BRAND),
        "description": goods.get(item, c.DESCRIPTION),
        "similar": near[CONTENT],
        "together": near[TOGETHER],
    }


def _aspects(board: Board) -> None:
    words = board.words
    found = (board.facts.content.get("sentiment") or {}).get("aspects", [])
    board.chart(
        "aspects",
        words("products.aspects"),
        "bars",
        [
            ("aspect", words("products.aspect"), "text"),
            ("praise", words("products.praise"), "share"),
            ("mentions", words("products.mentions"), "number"),
        ],
        [[words.name("aspects", each["aspect"]), each["positive"], each["n"]] for each in found],
        note=words("products.aspects_note"),
        max=1,
    )


def _best(board: Board, past: dict[str, Any] | None) -> None:
    words = board.words
    found = (past["insights"].get("best_sellers") or []) if past else []
    board.chart(
        "best",
        words("products.best"),
        "table",
        [
            (c.ITEM_ID, words("prices.item"), "text"),
            ("title", words("products.one"), "text"),
            ("revenue", words("overview.revenue"), "money"),
            ("units", words("products.sold"), "number"),
            ("buyers", words("segments.users"), "number"),
        ],
        [
            [each[c.ITEM_ID], each[c.TITLE] or "", each["revenue"], each["units"], each["buyers"]]
            for each in found
        ],
    )


def _listed(board: Board, past: dict[str, Any] | None) -> list[dict[str, Any]]:
    found = (past["insights"].get("best_sellers") or []) if past else []
    return [
        board.bundle.goods.brief(each[c.ITEM_ID]) | {"end": board.words.money(each["revenue"])}
        for each in found[:_BEST]
    ]


def _together(board: Board, past: dict[str, Any] | None) -> None:
    """Pairs of items; of categories where hardly any pair of items is frequent enough."""
    words = board.words
    insights = past["insights"] if past else {}
    pairs = insights.get("pairs") or []
    named = [
        [each["first_title"] or each["first"], each["second_title"] or each["second"], each["lift"]]
        for each in pairs
    ]
    if len(named) < _FEW_PAIRS:
        named = [
            [*(each[k].split(c.CATEGORY_SEPARATOR)[-1] for k in ("first", "second")), each["lift"]]
            for each in insights.get("category_pairs") or []
        ]
    rows = [row for row in named if row[0] != row[1]][:_PAIRS]
    # Where few pairs share a product, a picture of lines would be nothing but loose ends.
    loose = len({name for row in rows for name in row[:2]}) > len(rows)
    board.chart(
        "together",
        words("products.together"),
        "table" if loose else "graph",
        [
            ("left", words("products.left"), "text"),
            ("right", words("products.right"), "text"),
            ("lift", words("products.lift"), "number"),
        ],
        sorted(rows, key=lambda row: -row[2]) if loose else rows,
        note=words("products.together_note"),
    )


def _map(board: Board) -> dict[str, Any] | None:
    found = board.facts.content.get("map")
    if not found:
        return None
    across = found["sprite"]["columns"]
    drawn = [cell["sprite"] for cell in found["cells"] if cell.get("sprite") is not None]
    down = max(drawn, default=0) // across + 1
    return {
        "columns": found["columns"],
        "across": across,
        "down": down,
        "version": board.bundle.id,
        "cells": [
            {
                "item_id": cell[c.ITEM_ID],
                "title": cell[c.TITLE] or cell[c.ITEM_ID],
                "x": cell["x"] + 1,
                "y": cell["y"] + 1,
                # Places of a picture that is larger than its window are told in per cent.
                "left": round(100 * (cell["sprite"] % across) / max(across - 1, 1), 3),
                "top": round(100 * (cell["sprite"] // across) / max(down - 1, 1), 3),
            }
            for cell in found["cells"]
            if cell.get("sprite") is not None
        ],
    }
