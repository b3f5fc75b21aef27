"""Slates: variety, caps, stock and bans; drawn ones carry their chances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shoploom.core.errors import ConfigError
from shoploom.policies.slate import Shelf, SlateRules, chance_of, draw_slates, rerank, utilities

#: Six items: 0, 1, 2 alike (category 0), 3, 4 alike (category 1), 5 alone.
SHELF = Shelf(
    vectors=np.array([[1, 0, 0]] * 3 + [[0, 1, 0]] * 2 + [[0, 0, 1]], dtype=np.float32),
    category=np.array([0, 0, 0, 1, 1, 2]),
    novelty=np.array([0.0, 0.1, 0.2, 0.3, 0.4, 1.0]),
    margin=np.array([0.1, 0.1, 0.1, 0.5, 0.5, 0.2]),
    allowed=np.ones(6, dtype=bool),
    stock=np.full(6, -1),
)
CANDIDATES = np.tile(np.arange(6), (3, 1))
SCORES = np.tile(np.array([6.0, 5, 4, 3, 2, 1]), (3, 1))


def _items(slates: np.ndarray) -> list[list[int]]:
    return [[int(CANDIDATES[0, p]) for p in row if p >= 0] for row in slates]


def test_without_rules_the_order_is_the_engines() -> None:
    assert _items(rerank(CANDIDATES, SCORES, SHELF, SlateRules(), 3)) == [[0, 1, 2]] * 3


def test_diversity_takes_from_everywhere() -> None:
    rules = SlateRules(diversity=0.6)
    assert _items(rerank(CANDIDATES, SCORES, SHELF, rules, 3))[0] == [0, 3, 5]
    by_category = replace(SHELF, vectors=None)
    assert _items(rerank(CANDIDATES, SCORES, by_category, rules, 3))[0] == [0, 3, 5]


def test_novelty_and_margin_lift_what_has_them() -> None:
    assert _items(rerank(CANDIDATES, SCORES, SHELF, SlateRules(novelty=2.0), 1))[0] == [5]
    assert _items(rerank(CANDIDATES, SCORES, SHELF, SlateRules(margin=5.0), 1))[0] == [3]


def test_caps_bans_and_stock_are_kept() -> None:
    capped = rerank(CANDIDATES, SCORES, SHELF, SlateRules(per_category=1), 6)
    assert _items(capped)[0] == [0, 3, 5]
    banned = replace(SHELF, allowed=np.array([False, *[True] * 5]))
    assert all(0 not in row for row in _items(rerank(CANDIDATES, SCORES, banned, SlateRules(), 6)))
    scores = SCORES + np.array([[0.0], [1.0], [0.5]]) * (np.arange(6) == 0)
    short = replace(SHELF, stock=np.array([1, -1, -1, -1, -1, 0]))
    shown = _items(rerank(CANDIDATES, scores, short, SlateRules(), 6))
    assert sum(0 in row for row in shown) == 1
    assert not any(5 in row for row in shown)
    assert all(len(row) == len(set(row)) for row in shown)


def test_drawn_slates_carry_the_chance_of_every_place() -> None:
    rules = SlateRules(temperature=0.5)
    n = 20_000
    candidates, scores = np.tile(np.arange(6), (n, 1)), np.tile(SCORES[0], (n, 1))
    slates, chances = draw_slates(candidates, scores, SHELF, rules, 2, np.random.default_rng(0))
    worth = utilities(candidates[:1], scores[:1], SHELF, rules)[0]
    odds = np.exp(worth / 0.5)
    first = odds / odds.sum()
    np.testing.assert_allclose(np.bincount(slates[:, 0], minlength=6) / n, first, atol=0.015)
    np.testing.assert_allclose(chances[:, 0], first[slates[:, 0]])
    # Given the first place, the second is drawn from what is left.
    left = odds.sum() - odds[slates[:, 0]]
    np.testing.assert_allclose(chances[:, 1], odds[slates[:, 1]] / left)
    assert (slates[:, 0] != slates[:, 1]).all()
    asked = chance_of(candidates[:6], scores[:6], SHELF, rules, np.arange(6))
    np.testing.assert_allclose(asked, first)
    assert chance_of(candidates[:1], scores[:1], SHELF, rules, np.array([-1]))[0] == 0
    certain = chance_of(candidates[:2], scores[:2], SHELF, SlateRules(), np.array([0, 1]))
    assert certain.tolist() == [1, 0]


def test_nothing_left_leaves_places_empty() -> None:
    none = np.full((2, 3), -1)
    slates = rerank(none, np.full((2, 3), -np.inf), SHELF, SlateRules(), 2)
    assert (slates == -1).all()


@pytest.mark.parametrize("wrong", [{"diversity": 1.0}, {"margin": -1.0}, {"per_category": 0}])
def test_impossible_rules_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError, match="expected"):
        SlateRules(**wrong)
    with pytest.raises(ConfigError, match="temperature above 0"):
        draw_slates(CANDIDATES, SCORES, SHELF, SlateRules(), 2, np.random.default_rng(0))
