"""How far customers of today are from those of training, as a chart that two pages show."""

from __future__ import annotations

from shoploom.serving.dashboard.board import Board


def draw_drift(board: Board, title: str, most: int) -> int:
    """Draw the numbers that moved most; how many users were compared.

    Args:
        board: of the page.
        title: said above the chart.
        most: numbers that are shown.
    """
    words = board.words
    users, drift = board.server.watcher.drift
    board.chart(
        "drift",
        title,
        "bars",
        [
            ("number", words("model.number"), "text"),
            ("index", words("model.index"), "decimal"),
            ("then", words("live.then"), "decimal"),
            ("now", words("live.now"), "decimal"),
        ],
        [
            [words.statistic(each.name), each.index, each.median_then, each.median_now]
            for each in drift[:most]
        ],
        note=words("live.drift_note"),
    )
    return users
