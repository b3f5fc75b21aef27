"""Service: what customers ask, how they feel, which reply suits; a message to try."""

from __future__ import annotations

from typing import Any

from shoploom.core import columns as c
from shoploom.core.errors import ShoploomError
from shoploom.core.time import DAY_US
from shoploom.privacy import scrub
from shoploom.serving.dashboard.board import Board
from shoploom.serving.dashboard.policies import judged

_LATEST = 14
_DAYS = 30


def build(board: Board) -> dict[str, Any]:
    """What the page shows."""
    words, reply = board.words, board.facts.reply
    told = board.facts.content.get("service") or {}
    for name in ("intents", "emotions"):
        found = sorted((told.get(name) or {}).items(), key=lambda pair: -pair[1])
        board.chart(
            name,
            words(f"service.{name}"),
            "bars",
            [
                (name, words("service.asked"), "text"),
                ("n", words("service.messages"), "number"),
            ],
            [[words.name(name, label), n] for label, n in found],
        )
    if reply is not None:
        matrix = [
            [words.name("intents", intent), answer, chance]
            for intent, chances in reply["matrix"].items()
            for answer, chance in chances.items()
        ]
        board.chart(
            "matrix",
            words("service.matrix"),
            "heat",
            [
                ("intent", words("service.asked"), "text"),
                ("reply", words("service.reply"), "text"),
                ("chance", words("service.reply"), "share"),
            ],
            matrix,
        )
        judged(
            board,
            words("service.policies"),
            reply["policies"],
            reply["logged"],
            {"chosen": words("campaigns.chosen")},
            lambda name: words("campaigns.everybody", arm=name),
            strong="chosen",
            note=words("service.policies_note"),
        )
    texts = board.server.store.texts(board.now - _DAYS * DAY_US, _LATEST)
    return {
        "has": bool(told) or reply is not None,
        "reply": reply,
        "refused": words("service.refused", why=reply["refused"])
        if reply and reply["refused"]
        else "",
        "latest": [
            {
                "text": scrub(text.text),
                "when": words.ago(text.time, board.now),
                c.USER_ID: text.user_id,
                "item": board.bundle.goods.brief(text.item_id) if text.item_id else None,
                "positive": text.positive,
                "shown": words.share(text.positive),
                "role": text.role,
            }
            for text in texts
        ],
        "said": "",
        "answer": None,
    }


def answer(board: Board, text: str, user: str) -> dict[str, Any]:
    """What to answer to a message that somebody tries."""
    words = board.words
    try:
        found = board.server.predictor.reply([text], None, user or None)
    except ShoploomError as error:
        return {"error": str(error)}
    intent = max(found["intent"], key=found["intent"].__getitem__, default="")
    emotion = max(found["emotion"], key=found["emotion"].__getitem__, default="")
    return {
        "error": "",
        "reply": found["reply"],
        "text": found["text"],
        "suits": words("service.suits", chance=words.share(found["chance"])),
        "person": words("service.person") if found["person"] else "",
        "understood": words(
            "service.understood",
            intent=words.name("intents", intent),
            emotion=words.name("emotions", emotion),
        ),
    }
