"""Data quality: what came in, what was set aside and why, in the run's data and live."""

from __future__ import annotations

from collections import Counter
from typing import Any

from shoploom.serving.dashboard.board import Board

_LATEST = 50


def build(board: Board) -> dict[str, Any]:
    """What the page shows."""
    words, quality = board.words, board.facts.quality
    tables = quality.get("tables", {})
    _tables(board, tables)
    _coverage(board, quality.get("coverage"))
    for name, title in (("reasons", "quality.reasons"), ("repairs", "quality.repairs")):
        total: Counter[str] = Counter()
        for each in tables.values():
            total.update(each[name])
        board.chart(
            name,
            words(title),
            "bars",
            [
                ("reason", words("quality.reason"), "text"),
                ("rows", words("quality.rows"), "number"),
            ],
            [[words.name("reasons", reason), n] for reason, n in total.most_common()],
        )
    _modalities(board)
    rejected = board.server.store.quarantined(_LATEST)
    board.chart(
        "live",
        words("quality.live"),
        "table",
        [
            ("time", words("quality.when"), "time"),
            ("event_id", words("quality.event"), "text"),
            ("reason", words("quality.reason"), "text"),
            ("given", words("quality.events"), "text"),
        ],
        [[time, event or "", reason, given[:200]] for time, event, reason, given in rejected],
        note=words("quality.live_note"),
    )
    read = sum(each["rows_read"] for each in tables.values())
    kept = sum(each["rows_kept"] for each in tables.values())
    return {
        "tiles": [
            (
                words.share(kept / read if read else None, 2),
                words("quality.kept", n=words.number(read)),
            ),
            (
                words.number(sum(each["rows_quarantined"] for each in tables.values())),
                words("quality.aside"),
            ),
            (
                words.number(sum(each["rows_repaired"] for each in tables.values())),
                words("quality.repaired"),
            ),
            (words.number(len(rejected)), words("quality.live_rejected")),
        ],
        "notes": quality.get("notes", []),
    }


def _tables(board: Board, tables: dict[str, Any]) -> None:
    words = board.words
    board.chart(
        "tables",
        words("quality.tables"),
        "table",
        [
            ("table", words("quality.table"), "text"),
            ("read", words("quality.read"), "number"),
            ("used", words("quality.used"), "number"),
            ("aside", words("quality.set_aside"), "number"),
            ("share", words("quality.share"), "share"),
        ],
        [
            [
                name,
                each["rows_read"],
                each["rows_kept"],
                each["rows_quarantined"],
                each["rows_kept"] / each["rows_read"] if each["rows_read"] else None,
            ]
            for name, each in tables.items()
        ],
    )


def _coverage(board: Board, found: dict[str, Any] | None) -> None:
    words = board.words
    rows = []
    if found:
        rows = [
            list(row)
            for row in zip(found["day"], found["events"], found["quarantined"], strict=True)
        ]
    board.chart(
        "coverage",
        words("quality.coverage"),
        "lines",
        [
            ("day", words("quality.day"), "day"),
            ("events", words("quality.events"), "number"),
            ("aside", words("quality.set_aside"), "number"),
        ],
        rows,
    )


def _modalities(board: Board) -> None:
    words = board.words
    found = (board.facts.content.get("coverage") or {}).get("modalities", [])
    board.chart(
        "modalities",
        words("quality.modalities"),
        "bars",
        [
            ("column", words("quality.column"), "text"),
            ("share", words("quality.present"), "share"),
            ("n", words("quality.rows"), "number"),
        ],
        [[each["name"], each["present"] / max(each["n"], 1), each["n"]] for each in found],
        max=1,
    )
