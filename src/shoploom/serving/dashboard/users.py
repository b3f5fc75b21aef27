"""Customers: search one, see who they are, what to expect, why, and what to do."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np

from shoploom.core import columns as c
from shoploom.core.errors import ShoploomError
from shoploom.core.time import DAY_US, from_us
from shoploom.serving.dashboard.board import Board
from shoploom.serving.dashboard.prices import price_reason
from shoploom.serving.events import is_id
from shoploom.serving.live import Known
from shoploom.serving.predictor import RECOMMENDS, NotThere

_FOUND = 20
_TIMELINE = 40
_LISTED = 8
_CHANCES = ("probability",)


def build(board: Board) -> dict[str, Any]:
    """What the page shows: a search, or one customer."""
    wanted = board.query.get("id", "").strip()
    if not wanted:
        return {"id": "", "here": _here(board)}
    if not is_id(wanted):
        return {"id": wanted, "found": []}
    one = board.server.predictor.known(wanted, board.bundle)
    if one.is_known:
        return _one(board, one)
    found = candidates(board, wanted)
    return {"id": wanted, "found": found, "listed": _wants(board, wanted)}


def candidates(board: Board, begins: str) -> list[str]:
    """Ids that begin with a text: of the run's data, and of who is here now."""
    if not is_id(begins):
        return []
    old = board.bundle.ready.histories.users(begins, _FOUND)
    now = [deed.user_id for deed in board.server.watcher.snapshot().feed]
    return sorted({*old, *(user for user in now if user.startswith(begins))})[:_FOUND]


def _here(board: Board) -> list[dict[str, str]]:
    """Who did something last."""
    seen: dict[str, str] = {}
    for deed in board.server.watcher.snapshot().feed:
        seen.setdefault(deed.user_id, board.words.ago(deed.time, board.now))
    return [{c.USER_ID: user, "when": when} for user, when in list(seen.items())[:12]]


def _one(board: Board, one: Known) -> dict[str, Any]:
    words, predictor = board.words, board.server.predictor
    habits = predictor.habits(one)
    predictions = predictor.risks(one, board.bundle)
    values = {name: each for name, each in predictions.items() if "value" in each}
    for name, each in values.items():
        _why(board, one, name, each)
    _interests(board, one)
    segment = predictor.segment(one, board.bundle)
    return {
        "id": one.user,
        "segment": words.either(segment["name"]) if segment else None,
        "said": _said(board, one.user),
        "facts": [
            (words.money(habits.get("spend")), words("users.spend")),
            (words.number(habits.get("orders")), words("users.orders")),
            (words.money(habits.get("order_value_mean")), words("users.order_value")),
        ],
        "since": words("users.since", days=_days(board, habits.get("tenure_days"))),
        "last_seen": words("users.last_seen", when=words.ago(int(one.events.time[-1]), board.now)),
        "live": one.live,
        "predictions": [_prediction(board, name, each) for name, each in values.items()],
        "listed": _wants(board, one.user),
        "acts": _acts(board, one),
        "timeline": _timeline(board, one),
        "timeline_n": min(_TIMELINE, len(one.events.time)),
    }


def _days(board: Board, days: float | None) -> str:
    return board.words("users.days", n=board.words.number(None if days is None else round(days)))


def _said(board: Board, user: str) -> list[tuple[str, str]]:
    said = board.bundle.decisions.people.said(user)
    return [(name, str(value)) for name, value in said.items() if value is not None][:6]


def _prediction(board: Board, name: str, each: dict[str, Any]) -> dict[str, Any]:
    words = board.words
    value = each["value"]
    chance = each["unit"] in _CHANCES
    shown = words.share(value) if chance else _amount(board, each["unit"], value)
    return {
        "task": name,
        "name": words.name("task_names", name),
        "value": shown,
        "within": words("users.within", n=each["window_days"]),
        "meter": None if not chance or value is None else round(100 * value),
        "why": f"why_{name}" in board.charts,
    }


def _amount(board: Board, unit: str, value: float | None) -> str:
    return board.words.money(value) if unit == "currency" else board.words.decimal(value, 1)


def _why(board: Board, one: Known, name: str, each: dict[str, Any]) -> None:
    """What moved an answer, where its engine can say."""
    words = board.words
    told = board.server.predictor.reasons(board.bundle, one, name)
    if not told:
        return
    value = each["value"]
    chance = each["unit"] in _CHANCES
    shown = words.share(value) if chance else _amount(board, each["unit"], value)
    board.chart(
        f"why_{name}",
        words("users.why_title", task=words.name("task_names", name), value=shown),
        "bars",
        [
            ("number", words("model.number"), "text"),
            ("added", words("users.why"), "decimal"),
            ("value", words("model.value"), "decimal"),
        ],
        [[words.statistic(one["statistic"]), one["added"], one["value"]] for one in told],
        note=words("users.why_note"),
    )


def _interests(board: Board, one: Known) -> None:
    words = board.words
    found = board.server.predictor.interests(one, board.bundle)
    board.chart(
        "interests",
        words("users.interests"),
        "bars",
        [
            ("category", words.name("task_names", "category"), "text"),
            ("share", words("quality.share"), "share"),
        ],
        [[each[c.CATEGORY].split(c.CATEGORY_SEPARATOR)[-1], each["share"]] for each in found],
    )


def _wants(board: Board, user: str) -> list[dict[str, Any]]:
    """What to recommend, with the reason."""
    if RECOMMENDS not in board.bundle.tasks:
        return []
    words = board.words
    listed = board.server.predictor.recommend(user, k=_LISTED, explain=True)["items"]
    out = []
    for item in listed:
        because = item.pop("because")
        note = words("users.because_popular")
        if because is not None:
            note = words("users.because", title=because[c.TITLE] or because[c.ITEM_ID])
            if because[c.ITEM_ID] == item[c.ITEM_ID]:
                note = words("users.because_again")
        out.append(item | {"note": note})
    return out


def _acts(board: Board, one: Known) -> list[tuple[str, str, str]]:
    """What policies say: subject, decision, reason."""
    words, predictor = board.words, board.server.predictor
    acts = []
    for kind in board.bundle.decisions.deciders:
        told = predictor.audience(one.user, kind)
        arm = told[c.ARM]
        decision = words("users.show", arm=arm) if arm else words("users.show_nothing")
        why = words(f"why_shown.{told['why']}", gain=words.money(told["gain"]))
        acts.append((words("users.ad", kind=kind), decision, why))
    last = one.events.item[one.events.item >= 0][::-1]
    for item in dict.fromkeys(str(one.events.items.ids[code]) for code in last.tolist()[:40]):
        try:
            told = predictor.price(one.user, item)
        except (NotThere, ShoploomError):
            continue
        title = board.bundle.goods.get(item, c.TITLE) or item
        decision = words.money(told["to_pay"])
        prices = board.bundle.decisions.prices
        row = prices.items.get(item) if prices else None
        why = told["refused"] or price_reason(board, row or {})
        acts.append((words("users.price", title=title), decision, why))
        if len(acts) >= 4:
            break
    return acts


def _timeline(board: Board, one: Known) -> list[tuple[str, list[dict[str, Any]]]]:
    """Events by day, newest first; runs of looking are drawn together."""
    words, goods, events = board.words, board.bundle.goods, one.events
    last = np.arange(len(events.time))[::-1][:_TIMELINE].tolist()
    end = board.bundle.ready.histories.end
    days = []
    for day, places in groupby(last, key=lambda place: events.time[place] // DAY_US):
        rows = []
        for place in places:
            code = int(events.item[place])
            rows.append(
                {
                    "time": f"{from_us(int(events.time[place])):%H:%M}",
                    "deed": words.deed(c.ACTIONS[events.action[place]], named=code >= 0),
                    "item": goods.brief(str(events.items.ids[code])) if code >= 0 else None,
                    "price": words.money(float(events.price[place]))
                    if np.isfinite(events.price[place])
                    else "",
                    "live": int(events.time[place]) >= end,
                }
            )
        days.append((words.day(from_us(int(day) * DAY_US).date().isoformat()), rows))
    return days
