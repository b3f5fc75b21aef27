"""Dialogues: as long as promised, never the same, hard for a bag of words, and with exact truth."""

from __future__ import annotations

import itertools
import re
import time
from collections import Counter

import numpy as np
import pytest

from shoploom.core import columns as c
from shoploom.core.seeds import rng
from shoploom.simulate.catalogue import CATEGORIES, EMOTIONS, INTENTS, LANGUAGES, REPLIES
from shoploom.simulate.content._personal import PERSONAL_KINDS
from shoploom.simulate.content.dialogues import MAX_TURNS, MIN_TURNS, write_dialogues

N = 4_000
CODES = {
    "intent": len(INTENTS),
    "emotion": len(EMOTIONS),
    "reply": len(REPLIES),
    "suited": 2,
    "category": len(CATEGORIES),
}


def asked(n: int, language: int, seed: int = 0) -> dict[str, np.ndarray]:
    draw = rng(seed, "asked", language)
    codes = {name: draw.integers(0, high, n) for name, high in CODES.items()}
    return codes | {"suited": codes["suited"] == 1, "language": np.full(n, language)}


@pytest.fixture(scope="module")
def written():
    """By language: what was asked for, and the dialogues."""
    asks = {name: asked(N, code) for code, name in enumerate(LANGUAGES)}
    return {name: (ask, write_dialogues(**ask, seed=7)) for name, ask in asks.items()}


def by_dialogue(texts) -> list[list[dict]]:
    spoken: list[list[dict]] = []
    for row in texts.turns.to_pylist():
        if row["turn"] == 0:
            spoken.append([])
        spoken[row["dialogue"]].append(row)
    return spoken


def words(text: str, language: str) -> set[str]:
    if language == "en":
        return set(re.findall(r"[a-z']+", text.lower()))
    signs = [sign for sign in text if sign.isalnum()]
    return {*signs, *(a + b for a, b in itertools.pairwise(signs))}


def naive_bayes_accuracy(texts: list[str], labels: np.ndarray, language: str, train: int) -> float:
    """Share of the texts after the first ``train`` whose label naive Bayes finds."""
    bags = [words(text, language) for text in texts]
    number = {word: i for i, word in enumerate(sorted(set().union(*bags[:train])))}
    counts = np.ones((labels.max() + 1, len(number)))
    for bag, label in zip(bags[:train], labels, strict=False):
        counts[label, [number[word] for word in bag]] += 1
    score = np.log(counts / counts.sum(axis=1, keepdims=True))
    prior = np.log(np.bincount(labels[:train]))
    found = [
        int(np.argmax(prior + score[:, [number[w] for w in bag if w in number]].sum(axis=1)))
        for bag in bags[train:]
    ]
    return float(np.mean(np.asarray(found) == labels[train:]))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_dialogue_has_three_to_eight_turns_and_the_customer_opens_and_ends_it(written, language):
    spoken = by_dialogue(written[language][1])
    assert len(spoken) == N
    assert Counter(len(turns) for turns in spoken).keys() == {*range(MIN_TURNS, MAX_TURNS + 1)}
    for turns in spoken:
        assert [row["turn"] for row in turns] == list(range(len(turns)))
        assert [turns[i][c.ROLE] for i in (0, -2, -1)] == ["customer", "agent", "customer"]
        assert all(row[c.TEXT].strip() for row in turns)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_of_the_grammar_is_filled_in(written, language):
    text = "\n".join(written[language][1].turns[c.TEXT].to_pylist())
    assert not re.search(r"[{}|\[\]\ue000]|=>", text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_dialogues_do_not_repeat_themselves(written, language):
    spoken = by_dialogue(written[language][1])
    whole = Counter(tuple(row[c.TEXT] for row in turns) for turns in spoken)
    openings = Counter(turns[0][c.TEXT] for turns in spoken)
    assert len(whole) > 0.999 * N
    assert len(openings) > 0.95 * N


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_bag_of_words_finds_most_intents_but_not_all(written, language):
    ask, texts = written[language]
    openings = [turns[0][c.TEXT] for turns in by_dialogue(texts)]
    accuracy = naive_bayes_accuracy(openings, ask["intent"], language, train=N * 3 // 4)
    assert 0.8 < accuracy < 0.97, accuracy


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_last_turn_tells_most_often_whether_the_reply_suited(written, language):
    ask, texts = written[language]
    last = [turns[-1][c.TEXT] for turns in by_dialogue(texts)]
    suited = ask["suited"].astype(int)
    accuracy = naive_bayes_accuracy(last, suited, language, train=N * 3 // 4)
    assert 0.85 < accuracy < 0.98, accuracy


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_reply_is_heard_in_the_agents_last_turn(written, language):
    ask, texts = written[language]
    decisive = [turns[-2][c.TEXT] for turns in by_dialogue(texts)]
    accuracy = naive_bayes_accuracy(decisive, ask["reply"], language, train=N * 3 // 4)
    assert accuracy > 0.9, accuracy


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_tone_of_the_opening_follows_the_emotion(written, language):
    ask, texts = written[language]
    openings = [turns[0][c.TEXT] for turns in by_dialogue(texts)]
    accuracy = naive_bayes_accuracy(openings, ask["emotion"], language, train=N * 3 // 4)
    assert 0.5 < accuracy < 0.95, accuracy


@pytest.mark.parametrize("language", LANGUAGES)
def test_personal_data_stand_exactly_where_they_are_said_to(written, language):
    texts = written[language][1]
    said = {(row["dialogue"], row["turn"]): row for row in texts.turns.to_pylist()}
    personal = texts.personal.to_pylist()
    assert 0.03 * N < len(personal) < 0.05 * N
    assert {row["kind"] for row in personal} == set(PERSONAL_KINDS)
    for row in personal:
        turn = said[row["dialogue"], row["turn"]]
        assert turn[c.ROLE] == "customer"
        assert turn[c.TEXT][row["start"] : row["end"]] == row["value"]


def test_the_same_seed_gives_the_same_words(written):
    ask, texts = written["zh"]
    again = write_dialogues(**ask, seed=7)
    assert again.turns.equals(texts.turns)
    assert again.personal.equals(texts.personal)
    assert not write_dialogues(**ask, seed=8).turns.equals(texts.turns)


def test_no_dialogue_is_no_error():
    texts = write_dialogues(**asked(0, 0), seed=0)
    assert texts.turns.num_rows == texts.personal.num_rows == 0


def test_two_thousand_dialogues_take_less_than_two_seconds():
    ask = asked(2_000, 0)
    start = time.process_time()
    write_dialogues(**ask, seed=1)
    assert time.process_time() - start < 2.0
