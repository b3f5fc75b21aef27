"""From scores to a slate: rules of the shop, variety, news, margin and stock; then a draw.

Candidates are taken one after the other, each time the one with the highest

    (1 − λ) score + ν novelty + μ margin − λ · (largest likeness to what is on the slate already)

(maximal marginal relevance: Carbonell and Goldstein 1998), all of them scaled to run from 0 to 1 by
user. What the rules forbid is not on the slate, whatever its score.

A slate that is drawn (Plackett and Luce: each place in turn, ∝ exp(utility / temperature)) is
logged with the chance of every place given those above it: only so can another policy be judged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import ConfigError

Floats = NDArray[np.float64]
Codes = NDArray[np.integer]


@dataclass(frozen=True)
class SlateRules:
    """What a slate should be like beside relevant.

    Attributes:
        diversity: λ, from 0 (scores alone) to below 1.
        novelty: ν, weight of what few have bought.
        margin: μ, weight of what the shop earns.
        per_category: items of a category at most; None for no bound.
        temperature: of the draw, in scores scaled to 1; 0 for the best slate, always.
    """

    diversity: float = 0.0
    novelty: float = 0.0
    margin: float = 0.0
    per_category: int | None = None
    temperature: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.diversity < 1:
            raise ConfigError(
                f"recommend: expected diversity from 0 to below 1, got {self.diversity}."
            )
        for name in ("novelty", "margin", "temperature"):
            if getattr(self, name) < 0:
                raise ConfigError(
                    f"recommend: expected {name} of at least 0, got {getattr(self, name)}."
                )
        if self.per_category is not None and self.per_category < 1:
            raise ConfigError(
                f"recommend: expected at least 1 per category, got {self.per_category}."
            )


@dataclass(frozen=True)
class Shelf:
    """What is known of ``n_items`` items.

    Attributes:
        vectors: ``(n_items, dim)`` of length 1, for likeness; None without: then items of one
            category are alike.
        category: ``(n_items,)`` codes, -1 where unknown.
        novelty: ``(n_items,)`` from 0 to 1.
        margin: ``(n_items,)`` share of the price that is earned; 0 where unknown.
        allowed: ``(n_items,)`` whether the shop wants it shown at all.
        stock: ``(n_items,)`` how many users it may be shown to, -1 for any number.
    """

    vectors: NDArray[np.float32] | None
    category: Codes
    novelty: Floats
    margin: Floats
    allowed: NDArray[np.bool_]
    stock: Codes


def utilities(candidates: Codes, scores: Floats, shelf: Shelf, rules: SlateRules) -> Floats:
    """``(n, k)`` what each candidate is worth by itself; -inf where it may not be shown.

    Args:
        candidates: ``(n, k)`` codes of items, -1 where there is none.
        scores: likewise.
        shelf: of the items.
        rules: of the slate.
    """
    there = candidates >= 0
    some = np.maximum(candidates, 0)
    fine = there & shelf.allowed[some]
    low = np.where(fine, scores, np.inf).min(axis=1, keepdims=True)
    high = np.where(fine, scores, -np.inf).max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = np.where(high > low, (scores - low) / (high - low), 1.0)
    worth = (1 - rules.diversity) * scaled
    worth = worth + rules.novelty * shelf.novelty[some] + rules.margin * shelf.margin[some]
    return np.where(fine, worth, -np.inf)


def rerank(
    candidates: Codes, scores: Floats, shelf: Shelf, rules: SlateRules, k: int
) -> NDArray[np.int64]:
    """``(n, k)`` places of the candidates on each slate, -1 where nothing is left."""
    slates, _ = _fill(candidates, scores, shelf, rules, k, None)
    return slates


def draw_slates(
    candidates: Codes,
    scores: Floats,
    shelf: Shelf,
    rules: SlateRules,
    k: int,
    draw: np.random.Generator,
) -> tuple[NDArray[np.int64], Floats]:
    """As ``rerank``, drawn; and ``(n, k)`` the chance of every place given those above it.

    Raises:
        ConfigError: without a temperature there is nothing to draw.
    """
    if rules.temperature <= 0:
        raise ConfigError("recommend: expected a temperature above 0 to draw slates.")
    return _fill(candidates, scores, shelf, rules, k, draw)


def chance_of(
    candidates: Codes, scores: Floats, shelf: Shelf, rules: SlateRules, place: Codes
) -> Floats:
    """``(n,)`` the chance that a drawn slate begins with this candidate.

    Args:
        candidates: as in ``utilities``.
        scores: likewise.
        shelf: likewise.
        rules: likewise; without a temperature the best one has a chance of 1.
        place: ``(n,)`` of the candidate in question, -1 where it is none of them.
    """
    chances = _chances(utilities(candidates, scores, shelf, rules), rules.temperature)
    return np.where(place >= 0, chances[np.arange(len(place)), np.maximum(place, 0)], 0.0)


def _fill(
    candidates: Codes,
    scores: Floats,
    shelf: Shelf,
    rules: SlateRules,
    k: int,
    draw: np.random.Generator | None,
) -> tuple[NDArray[np.int64], Floats]:
    worth = utilities(candidates, scores, shelf, rules)
    n, width = candidates.shape
    rows = np.arange(n)
    slates = np.full((n, k), -1, dtype=np.int64)
    chances = np.ones((n, k))
    likeness = np.zeros((n, width))
    left = shelf.stock.astype(np.int64).copy()
    for place in range(min(k, width)):
        now = worth - rules.diversity * likeness if rules.diversity else worth
        if draw is None:
            taken = now.argmax(axis=1)
        else:
            told = _chances(now, rules.temperature)
            taken = np.minimum(
                (told.cumsum(axis=1) < draw.random((n, 1)) * told.sum(axis=1, keepdims=True)).sum(
                    axis=1
                ),
                width - 1,
            )
            chances[:, place] = told[rows, taken]
        there = np.isfinite(now[rows, taken])
        item = candidates[rows, taken]
        kept = there & _in_stock(item, there, worth[rows, taken], left)
        slates[kept, place] = taken[kept]
        worth[rows, taken] = -np.inf
        if rules.per_category is not None:
            _cap(worth, slates[:, : place + 1], candidates, shelf.category, rules.per_category)
        if rules.diversity:
            alike = _likeness(candidates, np.maximum(item, 0), shelf)
            likeness = np.where(kept[:, None], np.maximum(likeness, alike), likeness)
    return _closed(slates, chances)


def _likeness(candidates: Codes, item: Codes, shelf: Shelf) -> Floats:
    """``(n, k)`` of every candidate to an item: the cosine, or 1 for the same category."""
    some = np.maximum(candidates, 0)
    if shelf.vectors is None:
        return (shelf.category[some] == shelf.category[item][:, None]).astype(np.float64)
    return np.einsum("nkd,nd->nk", shelf.vectors[some], shelf.vectors[item]).astype(np.float64)


def _chances(worth: Floats, temperature: float) -> Floats:
    """``(n, k)`` softmax; all of it on the best one without a temperature."""
    if temperature <= 0:
        out = np.zeros(worth.shape)
        out[np.arange(len(worth)), worth.argmax(axis=1)] = 1.0
        return np.where(np.isfinite(worth), out, 0.0)
    top = worth.max(axis=1, keepdims=True)
    odds = np.exp((worth - np.where(np.isfinite(top), top, 0.0)) / temperature)
    return odds / np.maximum(odds.sum(axis=1, keepdims=True), 1e-300)


def _in_stock(item: Codes, there: NDArray[np.bool_], worth: Floats, left: Codes) -> NDArray:
    """Who still gets an item that is short: those to whom it is worth most. Counts it off."""
    kept = np.ones(len(item), dtype=bool)
    short = there & (left[np.maximum(item, 0)] >= 0)
    rows = np.flatnonzero(short)
    if not len(rows):
        return kept
    order = rows[np.lexsort((-worth[rows], item[rows]))]
    first = np.concatenate(([True], np.diff(item[order]) != 0))
    start = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    kept[order] = np.arange(len(order)) - start < left[item[order]]
    counts = np.bincount(item[order][kept[order]], minlength=len(left))
    left[left >= 0] -= counts[left >= 0]
    return kept


def _cap(worth: Floats, slates: Codes, candidates: Codes, category: Codes, most: int) -> None:
    """Forbid what is of a category that stands on the slate often enough already."""
    rows = np.arange(len(slates))[:, None]
    shown = np.where(slates >= 0, category[candidates[rows, np.maximum(slates, 0)]], -1)
    mine = category[np.maximum(candidates, 0)]
    count = (shown[:, :, None] == mine[:, None, :]).sum(axis=1)
    worth[(count >= most) & (mine >= 0)] = -np.inf


def _closed(slates: NDArray[np.int64], chances: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Slates without gaps, places that are empty at the end."""
    order = np.argsort(slates < 0, axis=1, kind="stable")
    rows = np.arange(len(slates))[:, None]
    return slates[rows, order], np.where(slates >= 0, chances, 1.0)[rows, order]
