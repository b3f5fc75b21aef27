"""What sells with what: pairs of items, or of categories, that share a basket.

A basket is what one user took in one session; where the shop has no sessions, at one moment.
Pairs are counted by a sparse product rather than a join, so that the work is bounded by baskets.
"""
# The stubs of pyarrow.compute and scipy.sparse are too vague for these operations.
# pyright: reportAttributeAccessIssue=false, reportOptionalSubscript=false
# pyright: reportArgumentType=false, reportReturnType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.core.ids import Vocabulary
from shoploom.sequences.sequences import encode
from shoploom.tables import Tables

if TYPE_CHECKING:
    from scipy.sparse import coo_matrix, csr_matrix

_PAIRS = 4_000_000  # pairs counted at once
_BASKET = "basket"


@dataclass(frozen=True)
class Pairs:
    """Pairs of things that share baskets, best first; each pair once, ``left`` before ``right``.

    Attributes:
        left, right: ``(n,)`` object arrays of item ids or category names.
        baskets: ``(n,)`` int64 baskets that hold both.
        support: ``(n,)`` float64 share of all baskets that hold both.
        confidence: ``(n,)`` float64 share of the baskets with ``left`` that also hold ``right``.
        confidence_back: ``(n,)`` float64 the other way round.
        lift: ``(n,)`` float64 how many times more often than by chance.
        n_baskets: how many baskets there were.
    """

    left: NDArray[np.object_]
    right: NDArray[np.object_]
    baskets: NDArray[np.int64]
    support: NDArray[np.float64]
    confidence: NDArray[np.float64]
    confidence_back: NDArray[np.float64]
    lift: NDArray[np.float64]
    n_baskets: int

    def __len__(self) -> int:
        return len(self.left)


def associations(
    tables: Tables,
    at: int,
    *,
    level: int | None = None,
    k: int = 100,
    min_baskets: int = 10,
    min_support: float = 0.0,
    action: str = c.PURCHASE,
    largest: int = 500,
) -> Pairs:
    """The ``k`` pairs with the highest lift among those that are frequent enough.

    With P(.) the share of baskets: support = P(a and b), confidence = P(b | a), and
    lift = P(a and b) / (P(a) P(b)), 1 where a and b are independent (Brin, Motwani, Ullman &
    Tsur 1997, "Dynamic itemset counting and implication rules for market basket data", section 4,
    where lift is called interest).

    Args:
        tables: the shop.
        at: only what lies strictly before this moment (microseconds UTC) counts.
        level: None for items; 1 for the first part of the category path, 2 for the first two
            parts, and so on. Items without a category are left out.
        k: how many pairs to give.
        min_baskets: a pair is given only when at least so many baskets hold it, since the lift
            of a rare pair is mostly luck.
        min_support: the same as a share of all baskets.
        action: what makes an item part of a basket.
        largest: baskets of more different things are left out of the pairs (a reseller's order
            pairs everything with everything) but counted in ``n_baskets``.

    Raises:
        DataError: categories are asked for and the shop has none.
    """
    basket, thing, names = _contents(tables.as_of(at), level, action)
    return count_pairs(
        basket,
        thing,
        names,
        k=k,
        min_baskets=min_baskets,
        min_support=min_support,
        largest=largest,
    )


def count_pairs(
    basket: NDArray[np.integer],
    thing: NDArray[np.integer],
    names: NDArray[np.object_],
    *,
    k: int,
    min_baskets: int = 1,
    min_support: float = 0.0,
    largest: int = 500,
) -> Pairs:
    """The best pairs of ``(n_rows,)`` contents: row i says that a basket holds a thing.

    ``basket`` are numbers of baskets, ``thing`` codes into ``names``; repeats count once.
    """
    from scipy.sparse import csr_matrix

    n_things = len(names)
    n_baskets = int(basket.max()) + 1 if len(basket) else 0
    held = csr_matrix(
        (np.ones(len(basket), dtype=np.int32), (basket, thing)), (n_baskets, n_things)
    )
    held.sum_duplicates()
    held.data[:] = 1
    n_baskets = int((np.diff(held.indptr) > 0).sum())
    alone = np.bincount(held.indices, minlength=n_things)
    least = max(min_baskets, int(np.ceil(min_support * n_baskets)), 1)
    # A pair is at most as frequent as its rarer half, so rare things can go before the product.
    held = held[:, np.flatnonzero(alone >= least)]
    kept = np.flatnonzero(alone >= least)
    sizes = np.diff(held.indptr)
    held = held[np.flatnonzero((sizes > 1) & (sizes <= largest))]
    both = _together(held)
    left, right = both.row[both.data >= least], both.col[both.data >= least]
    together = both.data[both.data >= least].astype(np.int64)
    left, right = kept[left], kept[right]
    lift = together * n_baskets / (alone[left].astype(np.float64) * alone[right])
    # Equal lifts: the pair in more baskets first, then by code.
    best = np.lexsort((right, left, -together, -lift))[:k]
    left, right, together = left[best], right[best], together[best]
    return Pairs(
        left=names[left],
        right=names[right],
        baskets=together,
        support=together / max(n_baskets, 1),
        confidence=together / alone[left],
        confidence_back=together / alone[right],
        lift=lift[best],
        n_baskets=n_baskets,
    )


def _together(held: csr_matrix) -> coo_matrix:
    """``(n_things, n_things)`` upper triangle of how many baskets hold both, in bounded memory."""
    from scipy.sparse import csr_matrix, triu

    total = csr_matrix((held.shape[1], held.shape[1]), dtype=np.int32)
    cost = np.cumsum(np.diff(held.indptr).astype(np.int64) ** 2)
    start, spent = 0, 0
    while start < held.shape[0]:
        stop = max(start + 1, int(np.searchsorted(cost, spent + _PAIRS, side="right")))
        block = held[start:stop]
        total = total + triu(block.T @ block, k=1, format="csr")
        start, spent = stop, int(cost[stop - 1])
    return total.tocoo()


def _contents(
    tables: Tables, level: int | None, action: str
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.object_]]:
    """What baskets hold: basket numbers, codes of things, and the things' names."""
    events = tables.events.filter(
        (tables.events[c.ACTION] == action) & tables.events[c.ITEM_ID].notnull()
    )
    moment = events[c.TIME].cast("string")
    session = events[c.SESSION_ID].fill_null(moment) if c.SESSION_ID in events.columns else moment
    rows = events.select(events[c.USER_ID], session.name(_BASKET), events[c.ITEM_ID]).to_pyarrow()
    _, user = encode(rows[c.USER_ID])
    sessions, session_code = encode(rows[_BASKET])
    key = user.astype(np.int64) * len(sessions) + session_code
    basket = np.unique(key, return_inverse=True)[1]
    items, item = encode(rows[c.ITEM_ID])
    thing, names = item, items.ids
    if level is not None:
        category, names = _categories(tables, items, level)
        thing = np.where(item >= 0, category[item], -1)
    return basket[thing >= 0], thing[thing >= 0], names


def _categories(
    tables: Tables, items: Vocabulary, level: int
) -> tuple[NDArray[np.int32], NDArray[np.object_]]:
    """``(n_items,)`` code of each item's category at a level, -1 without one, and the names."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if tables.items is None or c.CATEGORY not in tables.items.columns:
        raise DataError(
            "expected an items table with a category to pair categories, got none; "
            "give the items a category, or pair items (level=None)."
        )
    rows = tables.items.select(c.ITEM_ID, c.CATEGORY).to_pyarrow()
    distinct, place = encode(rows[c.CATEGORY])
    parts = pc.split_pattern(pa.array(distinct.ids, pa.string()), c.CATEGORY_SEPARATOR)
    top = pc.binary_join(pc.list_slice(parts, 0, level), c.CATEGORY_SEPARATOR)
    names, name = encode(top)
    out = np.full(len(items), -1, dtype=np.int32)
    code = items.encode(rows[c.ITEM_ID].to_pylist())
    known = (code >= 0) & (place >= 0)
    out[code[known]] = name[place[known]]
    return out, names.ids
