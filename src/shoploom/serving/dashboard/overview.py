"""Overview: the last day, what stands out, what the model found, who needs attention."""

from __future__ import annotations

from typing import Any

import numpy as np

from shoploom.core import columns as c
from shoploom.core.time import DAY_US, MINUTE_US, iso
from shoploom.serving.dashboard.board import Board
from shoploom.serving.store import Counts
from shoploom.serving.watch import Alert
from shoploom.serving.watch.drift import CHANGED

_SPAN_US = 15 * MINUTE_US
_PURCHASE = c.ACTIONS.index(c.PURCHASE)
_RISKS = 12


def build(board: Board) -> dict[str, Any]:
    """What the page shows."""
    words, now = board.words, board.now
    counts = counts_of_days(board, 2)
    today = counts.start >= now - DAY_US
    snapshot = board.server.watcher.snapshot()
    past = board.facts.past
    _charts(board, counts)
    if past and (revenue := past["insights"].get("revenue")):
        rows = [
            [start, money, orders]
            for start, money, orders in zip(
                revenue["start"], revenue["revenue"], revenue["orders"], strict=True
            )
        ]
        board.chart(
            "history",
            words("overview.history"),
            "lines",
            [
                ("start", words("quality.day"), "day"),
                ("revenue", words("overview.revenue"), "money"),
                ("orders", words("overview.orders"), "number"),
            ],
            rows,
            note=words("overview.history_note"),
            hide=["orders"],
        )
    bought = counts.action == _PURCHASE
    return {
        "tiles": [
            _tile(board, "overview.revenue", counts.cents / 100, bought, today, "money"),
            _tile(board, "overview.orders", counts.n, bought, today, "number"),
            (
                words("overview.visitors"),
                words.number(snapshot.users),
                words("overview.hour"),
            ),
            (
                words("overview.conversion"),
                words.share(snapshot.conversion, 1),
                words("overview.hour"),
            ),
        ],
        "alerts": said(board),
        "findings": [words.either(each) for each in board.facts.findings],
        "risks": _risks(board, past),
        "learned": words.day(iso(board.bundle.model.card["trained_until"])[:10]),
        "live_events": words.number(max(0, board.server.store.last_seq() - board.bundle.floor)),
        "caveat": words.either(board.bundle.model.card.get("caveat")),
    }


def counts_of_days(board: Board, days: int) -> Counts:
    """Counts by minute up to now. Before the first live event those of the run's own data stand
    in, so that a shop that has just begun to send events sees the day before as well.
    """
    since, until = board.now - days * DAY_US, board.now + 5 * MINUTE_US
    live = board.server.store.minutes(since, until)
    if board.bundle.floor:  # the run's data hold live events already
        return live
    start, action, n, cents = board.bundle.ready.histories.minutes(since)
    return Counts(
        np.concatenate([start, live.start]),
        np.concatenate([action, live.action]),
        np.concatenate([n, live.n]),
        np.concatenate([cents, live.cents]),
    )


def said(board: Board) -> list[str]:
    """What stands out, in sentences."""
    words = board.words
    found = [_sentence(board, alert) for alert in board.server.watcher.alerts]
    _, drift = board.server.watcher.drift
    far = [each for each in drift if each.index > CHANGED]
    if far:
        found.append(words("alerts.drift", n=len(far)))
    return found


def _sentence(board: Board, alert: Alert) -> str:
    words = board.words
    if alert.what == "conversion":
        return words(
            f"alerts.conversion_{alert.level}",
            now=words.share(alert.now, 1),
            usual=words.share(alert.usual, 1),
        )
    show = words.money if alert.what == "revenue" else words.number
    return words(
        f"alerts.{alert.level}",
        what=words(f"alerts.{alert.what}"),
        now=show(alert.now),
        usual=show(alert.usual),
    )


def _tile(
    board: Board, key: str, values: np.ndarray, where: np.ndarray, today: np.ndarray, kind: str
) -> tuple[str, str, str]:
    words = board.words
    now, before = float(values[where & today].sum()), float(values[where & ~today].sum())
    note = words("overview.no_before")
    if before:
        note = words("overview.before", value=words.value(kind, before))
    return words(key), words.value(kind, now), f"{words('overview.day')} · {note}"


def _charts(board: Board, counts: Counts) -> None:
    words, now = board.words, board.now
    n = DAY_US // _SPAN_US
    end = now - now % _SPAN_US + _SPAN_US
    place = n - 1 - (end - counts.start - 1) // _SPAN_US
    inside = (place >= 0) & (place < n)
    starts = end - (np.arange(n, 0, -1)) * _SPAN_US
    events = np.bincount(place[inside], counts.n[inside], minlength=n)
    bought = inside & (counts.action == _PURCHASE)
    money = np.bincount(place[bought], counts.cents[bought], minlength=n) / 100
    time = ("time", words("quality.when"), "time")
    for name, label, kind, values in (
        ("traffic", "quality.events", "number", events),
        ("money", "overview.revenue", "money", money),
    ):
        rows = [[s, v] for s, v in zip(starts.tolist(), values.tolist(), strict=True)]
        board.chart(
            name,
            words(f"overview.{name}"),
            "columns",
            [time, (name, words(label), kind)],
            rows if values.any() else [],
            note=words("overview.traffic_note"),
            height=190,
        )


def _risks(board: Board, past: dict[str, Any] | None) -> list[dict[str, Any]] | None:
    if past is None or past.get("at_risk") is None:
        return None
    words = board.words
    return [
        {
            c.USER_ID: each[c.USER_ID],
            "churn": words.share(each["churn"]),
            "value": words.money(each["value"]),
        }
        for each in past["at_risk"][:_RISKS]
    ]
