"""Parts of the questions worth a score of their own: an average hides whom an engine fails.

A slice is a name and, for each of its values, the rows that have it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from shoploom.core.columns import CATEGORY, CATEGORY_SEPARATOR
from shoploom.tasks import Questions, Ragged

#: slice name -> value -> ``(n_rows,)`` row numbers, ascending.
Slices = dict[str, dict[str, NDArray[np.int64]]]

_NEW_DAYS = 30
_HEAD = 0.2  # share of the items that counts as the head
_RARE = 5  # events up to which an item is rare, or a user little known


def slices(
    questions: Questions,
    *,
    tenure_days: NDArray | None = None,
    history: NDArray | None = None,
    counts: Mapping[str, float] | None = None,
    categories: Mapping[str, str] | None = None,
    largest: int = 8,
) -> Slices:
    """Every slice for which something is given; values without rows are left out.

    Items are the subjects, or for a ranking the first item that came.

    * ``user``: ``new`` (first seen less than 30 days before the question, or never) and
      ``returning``.
    * ``activity``: ``low``, ``middle`` and ``high`` third of the history lengths; equal lengths
      stay together.
    * ``user_history``: ``none``, ``few`` (1 to 5 events) and ``many`` before the question: who is
      cold.
    * ``item``: ``head`` (the top 20 % of items by training events) and ``tail``.
    * ``item_history``: ``unseen``, ``rare`` (1 to 5 training events) and ``common`` items.
    * ``category``: the first part of the item's category path; the ``largest`` and ``other``.

    Args:
        questions: with subjects or a ranking's truth where items matter.
        tenure_days: ``(n,)`` days from the user's first event to the question; NaN for none.
        history: ``(n,)`` the user's events before the question; NaN for none.
        counts: training events by item id.
        categories: category path by item id.
        largest: how many categories have a slice of their own.
    """
    found: Slices = {}
    if tenure_days is not None:
        returning = np.asarray(tenure_days) >= _NEW_DAYS  # False for NaN
        found["user"] = _split(np.where(returning, 1, 0), ["new", "returning"])
    if history is not None and len(history):
        events = np.nan_to_num(np.asarray(history, dtype=np.float64))
        thirds = np.searchsorted(np.quantile(events, [1 / 3, 2 / 3]), events, side="left")
        found["activity"] = _split(thirds, ["low", "middle", "high"])
        known = np.searchsorted([0, _RARE], events, side="left")
        found["user_history"] = _split(known, ["none", "few", "many"])
    items = _items(questions)
    if items is not None and counts is not None:
        in_head = _look_up(items, head_items(counts).__contains__, np.bool_)
        trained_on = _look_up(items, lambda item: counts.get(item, 0), np.float64)
        rarity = np.searchsorted([0, _RARE], trained_on, side="left")
        some = _look_up(items, lambda item: item is not None, np.bool_)
        found["item"] = _split(np.where(some, ~in_head, -1), ["head", "tail"])
        found["item_history"] = _split(np.where(some, rarity, -1), ["unseen", "rare", "common"])
    if items is not None and categories is not None:
        found[CATEGORY] = _categories(items, categories, largest)
    return {name: values for name, values in found.items() if values}


def head_items(counts: Mapping[str, float]) -> frozenset[str]:
    """The top 20 % of the items by count, rounded up; ties by id."""
    ranked = sorted(counts, key=lambda item: (-counts[item], item))
    return frozenset(ranked[: math.ceil(_HEAD * len(ranked))])


def _items(questions: Questions) -> NDArray[np.object_] | None:
    """``(n,)`` the item that each question is about, None where nothing came."""
    if questions.subjects is not None:
        return questions.subjects
    truth = questions.answers
    if not isinstance(truth, Ragged):
        return None
    items = np.full(len(truth), None, dtype=object)
    some = truth.lengths > 0
    items[some] = truth.values[truth.offsets[:-1][some]]
    return items


def _categories(
    items: NDArray[np.object_], categories: Mapping[str, str], largest: int
) -> dict[str, NDArray[np.int64]]:
    def top(item: str) -> str:
        return (categories.get(item) or "").split(CATEGORY_SEPARATOR)[0]

    tops = _look_up(items, top, np.object_)
    names, codes, n = np.unique(tops.astype(str), return_inverse=True, return_counts=True)
    order = [int(code) for code in np.argsort(-n, kind="stable") if names[code]]
    # -1 for rows without a category, the place among the largest, then one code for the rest.
    place = np.full(len(names), -1)
    place[order] = np.minimum(np.arange(len(order)), largest)
    return _split(place[codes], [*(str(names[code]) for code in order[:largest]), "other"])


def _look_up(items: NDArray[np.object_], of: Callable[..., object], dtype: type) -> NDArray:
    """``(n,)`` a property of each item, looked up once for each distinct item."""
    code = {item: i for i, item in enumerate(dict.fromkeys(items.tolist()))}
    codes = np.fromiter(map(code.__getitem__, items.tolist()), dtype=np.int64, count=len(items))
    values = np.empty(len(code), dtype=dtype)
    values[:] = [of(item) for item in code]
    return values[codes]


def _split(codes: NDArray, names: list[str]) -> dict[str, NDArray[np.int64]]:
    """Rows by the name of their code; codes of -1 belong nowhere."""
    rows = {name: np.flatnonzero(codes == code) for code, name in enumerate(names)}
    return {name: row for name, row in rows.items() if len(row)}
