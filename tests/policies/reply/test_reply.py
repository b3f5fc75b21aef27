"""Replies: what customers want, what suits them, how it ended, and with which words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shoploom.core.errors import ConfigError, DataError
from shoploom.policies.reply.answers import Answers, Past, Template, read_templates
from shoploom.policies.reply.choose import decide, fit_suits
from shoploom.policies.reply.dialogue import Dialogue
from shoploom.policies.reply.satisfaction import fit_satisfaction
from shoploom.policies.reply.understand import understand, understand_others

ASKS = {
    "delivery": ["where is my parcel", "parcel has not come", "我的包裹在哪里", "快递还没到"],
    "refund": ["i want my money back", "please refund me", "我要退款", "请退钱给我"],
}


def _asked(n: int = 40) -> tuple[list[str], list[str | None]]:
    texts, labels = [], []
    for number in range(n):
        for name, some in ASKS.items():
            texts.append(some[number % len(some)])
            labels.append(name)
    return texts, labels


def test_intents_are_told_in_both_languages() -> None:
    texts, labels = _asked()
    head = understand(texts, labels)
    assert head.classes == ("delivery", "refund")
    told = head(["parcel where", "退款", ""])
    assert told[0].argmax() == 0
    assert told[1].argmax() == 1
    assert told[2].tolist() == [0.5, 0.5]  # nothing said, nothing known
    users = np.array([f"u{n % 10}" for n in range(len(texts))], dtype=object)
    others = understand_others(texts, labels, users, head.classes, 0)
    assert (others.argmax(axis=1) == [head.classes.index(x) for x in labels]).mean() > 0.9


def test_labels_without_texts_are_known_but_not_told() -> None:
    head = understand(["", ""] * 3, ["a", "b"] * 3)
    assert head.classes == ("a", "b")
    assert head(["anything"]).tolist() == [[0.5, 0.5]]


def _log(n: int = 3000, seed: int = 0):
    """Reply 1 suits where the first number is above 0, reply 0 where it is below."""
    draw = np.random.default_rng(seed)
    context = draw.normal(size=(n, 4))
    reply = (draw.random(n) < 0.7).astype(np.int64)
    odds = np.where(reply == 1, 2 * context[:, 0], -2 * context[:, 0])
    suited = draw.random(n) < 1 / (1 + np.exp(-odds))
    chance = np.where(reply == 1, 0.7, 0.3)
    users = np.array([f"u{u}" for u in draw.integers(0, n // 3, n)], dtype=object)
    return context, reply, suited, chance, users


def test_who_is_suited_by_what_is_learned() -> None:
    context, reply, suited, chance, users = _log()
    found = fit_suits(context, reply, suited, chance, users, ["facts", "refund"])
    asked = np.array([[2.0, 0, 0, 0], [-2.0, 0, 0, 0], [np.nan] * 4])
    told = found(asked)
    assert told[0, 1] > 0.9 > 0.2 > told[0, 0]
    assert told[1, 0] > 0.9
    assert told[2, 0] == pytest.approx(0.5, abs=0.1)
    chosen, person = decide(told, np.zeros(2), least=0.7)
    assert chosen[:2].tolist() == [1, 0]
    assert person.tolist() == [False, False, True]
    dear, _ = decide(told, np.array([0.0, 9.5]), worth=10.0)
    assert dear[0] == 0 or told[0, 1] - told[0, 0] > 0.95
    with pytest.raises(DataError, match="at least 60"):
        fit_suits(context[:20], reply[:20], suited[:20], chance[:20], users[:20], ["a", "b"])


def test_satisfaction_is_told_from_what_was_said() -> None:
    draw = np.random.default_rng(0)
    dialogues, labels, moods = [], [], []
    for _ in range(200):
        happy = bool(draw.random() < 0.5)
        word = "great thanks" if happy else "useless still broken"
        dialogues.append((["customer", "agent", "customer"], ["hello", "how can i help", word]))
        labels.append(happy)
        moods.append([1, 1, 2 if happy else 0])
    for given in (None, moods):
        found = fit_satisfaction(
            dialogues[:150], labels[:150], None if given is None else given[:150]
        )
        told = found.probabilities(dialogues[150:])
        assert ((told[:, 1] > 0.5) == labels[150:]).mean() > 0.95
        np.testing.assert_allclose(told.sum(axis=1), 1)
        assert found.probabilities([]).shape == (0, 2)
    with pytest.raises(DataError, match="of several classes"):
        fit_satisfaction(dialogues, [True] * 200)


def test_a_dialogue_as_it_stood() -> None:
    talk = Dialogue(
        "d", "u", 1, ("customer", "agent", "customer"), ("a", "b", "c"), (1, 2, 3), satisfaction=5.0
    )
    assert talk.until(2).texts == ("a", "b")
    assert talk.until(2).satisfaction is None
    assert talk.said_by("customer") == "a c"


def test_words_come_from_templates_or_from_what_helped() -> None:
    past = [
        Past("where is my parcel", "facts", "It left us on Monday, call 138 0013 8000."),
        Past("is it cotton", "facts", "It is pure cotton."),
        Past("我的包裹在哪里", "facts", "周一已发货。"),
    ]
    answers = Answers.of({"refund": Template({"en": "We pay it back."}, 5.0)}, past)
    assert answers("facts", "parcel where is it") == (
        "It left us on Monday, call [telephone number].",
        "past",
    )
    assert answers("facts", "包裹呢")[0] == "周一已发货。"
    assert answers("refund", "money back") == ("We pay it back.", "template")
    assert answers("thanks", "hello") == (None, "none")


def test_templates_are_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "replies.yaml"
    path.write_text("refund: {en: We pay it back., zh: 我们退款。, cost: 5}\n", encoding="utf-8")
    assert read_templates(path)["refund"].cost == 5.0
    for wrong in ("refund: text", "refund: {de: Geld}", "refund: {en: x, cost: -1}", "{}"):
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(ConfigError, match="expected"):
            read_templates(path)
