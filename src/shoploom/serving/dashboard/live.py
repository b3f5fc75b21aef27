"""Live: what goes on this minute; the part that moves asks again every second."""

from __future__ import annotations

from typing import Any

import numpy as np

from shoploom.core import columns as c
from shoploom.core.time import MINUTE_US, to_us
from shoploom.serving.dashboard.board import Board
from shoploom.serving.dashboard.drift import draw_drift
from shoploom.serving.dashboard.overview import said
from shoploom.serving.store import Deed
from shoploom.serving.watch import Moods
from shoploom.serving.watch.drift import FEWEST
from shoploom.serving.watch.rolling import STEPS

_FEED = 18
_MINUTES = 60
_TRENDS = 8
_DRIFTS = 8


def build(board: Board) -> dict[str, Any]:
    """What the page shows."""
    words, watcher = board.words, board.server.watcher
    snapshot, moods = watcher.snapshot(), watcher.moods()
    _funnel(board, snapshot.funnel)
    _minutes(board)
    _mood(board, moods)
    users = draw_drift(board, words("live.drift"), _DRIFTS)
    goods = board.bundle.goods
    return {
        "tiles": [
            (words.number(snapshot.users), words("live.users")),
            (words.number(snapshot.events), words("live.events")),
            (words.money(snapshot.revenue), words("live.revenue")),
            (words.share(snapshot.conversion, 1), words("live.conversion")),
        ],
        "feed": [_happened(board, deed) for deed in snapshot.feed[:_FEED]],
        "trending": [
            goods.brief(each.item_id)
            | {
                "note": words(
                    "live.times",
                    n=words.number(each.n),
                    expected=words.decimal(each.expected, 1),
                )
            }
            for each in snapshot.trending[:_TRENDS]
        ],
        "moods": moods,
        "worst": [
            each
            | {
                "when": words.ago(to_us(each[c.TIME]), board.now),
                "item": goods.brief(each[c.ITEM_ID]) if each[c.ITEM_ID] else None,
            }
            for each in moods.worst[:3]
        ],
        "alerts": said(board),
        "drift_few": None if users >= FEWEST else words("live.drift_few", n=users),
    }


def _happened(board: Board, deed: Deed) -> dict[str, Any]:
    return {
        c.USER_ID: deed.user_id,
        "deed": board.words.deed(c.ACTIONS[deed.action], named=bool(deed.item_id or deed.query)),
        "item": board.bundle.goods.brief(deed.item_id) if deed.item_id else None,
        c.QUERY: deed.query,
        "when": board.words.ago(deed.time, board.now),
    }


def _funnel(board: Board, funnel: dict[str, int]) -> None:
    words = board.words
    first = max(funnel[STEPS[0]], 1)
    rows = [[words.name("actions", step), funnel[step], funnel[step] / first] for step in STEPS]
    board.chart(
        "funnel",
        words("live.funnel"),
        "bars",
        [
            ("step", words("model.action"), "text"),
            ("customers", words("segments.users"), "number"),
            ("share", words("quality.share"), "share"),
        ],
        rows if any(funnel.values()) else [],
        note=words("live.funnel_note"),
    )


def _minutes(board: Board) -> None:
    words = board.words
    end = board.now - board.now % MINUTE_US + MINUTE_US
    counts = board.server.store.minutes(end - _MINUTES * MINUTE_US, end)
    place = (counts.start - (end - _MINUTES * MINUTE_US)) // MINUTE_US
    starts = end - np.arange(_MINUTES, 0, -1) * MINUTE_US
    bought = counts.action == c.ACTIONS.index(c.PURCHASE)
    events, orders = (
        np.bincount(place[where], counts.n[where], minlength=_MINUTES)
        for where in (np.ones(len(place), dtype=bool), bought)
    )
    rows = [
        list(row) for row in zip(starts.tolist(), events.tolist(), orders.tolist(), strict=True)
    ]
    board.chart(
        "minutes",
        words("live.minutes"),
        "columns",
        [
            ("time", words("quality.when"), "time"),
            ("events", words("quality.events"), "number"),
            ("purchases", words("overview.orders"), "number"),
        ],
        rows if events.any() else [],
        note=words("live.minutes_note"),
        height=180,
        hide=["purchases"],
    )


def _mood(board: Board, moods: Moods) -> None:
    words = board.words
    board.chart(
        "moods",
        words("live.moods"),
        "lines",
        [
            ("time", words("quality.when"), "time"),
            ("positive", words("live.positive"), "share"),
            ("texts", words("service.messages"), "number"),
        ],
        [[to_us(start), mean, n] for start, n, mean in moods.hours],
        note=words("live.moods_note"),
        height=150,
        hide=["texts"],
    )
