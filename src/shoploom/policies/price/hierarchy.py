"""A number that differs by item and group: drawn towards what is common where the log says little.

The number of a cell is a sum of effects: of everything, of its group, of its category, of both
together, of its item. Each kind of effect is normal around zero with a spread that the log itself
tells (empirical Bayes by expectation and maximisation: Dempster, Laird and Rubin 1977; Gelman and
Hill 2007). Items far outnumber the other effects and do not share rows, so they are eliminated
first (Schur complement) and a large catalogue costs no more than its categories.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.integer]

#: From the numbers of all cells to their scores, their information and the dispersion.
Score = Callable[[Floats], tuple[Floats, Floats, float]]

_ROUNDS = 200
_CLOSE = 2e-3  # relative change of spreads at which they stand still
_AHEAD = 1.8  # a falling one is taken so many times as far as told: near 0 steps get ever smaller
_WIDE = 4.0  # spread of the common effect: wider than any elasticity that is met
_LEAST = 1e-3  # spread of the others at the least
#: What spreads are drawn to: of the common effect, of groups, categories, both together, items.
_USUAL = (_WIDE, 0.3, 0.2, 0.1, 0.15)
_WORTH = 4.0  # effects that such a spread counts for
_CHUNK = 4_096  # cells whose variances are worked out at once
_LARGEST_STEP = 0.5


@dataclass(frozen=True)
class Cells:
    """``n`` cells, one per item and group.

    Attributes:
        item: ``(n,)`` codes.
        group: ``(n,)`` codes.
        category: ``(n_items,)`` codes of each item's category.
        n_groups: how many.
        n_categories: how many.
    """

    item: Codes
    group: Codes
    category: Codes
    n_groups: int
    n_categories: int

    @classmethod
    def grid(cls, category: Codes, n_groups: int) -> Cells:
        """Every item with every group; cell ``item * n_groups + group``."""
        n = len(category)
        item, group = np.repeat(np.arange(n), n_groups), np.tile(np.arange(n_groups), n)
        return cls(item, group, category, n_groups, int(category.max(initial=-1)) + 1)

    @property
    def n_items(self) -> int:
        """How many."""
        return len(self.category)

    def common(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Places of each cell's shared effects, ``(n, 4)``, and the kind of every effect."""
        groups, categories = self.n_groups, self.n_categories
        of = self.category[self.item]
        starts = np.cumsum([0, 1, groups, categories])
        own = [np.zeros(len(self.item), int), self.group, of, of * groups + self.group]
        kinds = np.repeat(np.arange(4), [1, groups, categories, categories * groups])
        return np.stack(own, axis=1) + starts, kinds


@dataclass(frozen=True)
class Shrunk:
    """Numbers of all cells, as sure as the log allows.

    Attributes:
        value: ``(n,)`` posterior means.
        sd: ``(n,)`` posterior standard deviations.
        spread: by kind of effect (group, category, both, item), how much they differ.
        dispersion: of the scores, 1 where they vary as the information says.
    """

    value: Floats
    sd: Floats
    spread: dict[str, float]
    dispersion: float
    _cells: Cells
    _root: Floats  # of the covariance of the shared effects
    _fold: Floats  # (n_shared, n_items): what an item's effect answers to the shared ones
    _free: Floats  # (n_items,) variance of an item's effect, the shared ones known

    def sample(self, n: int, draw: np.random.Generator) -> Floats:
        """``(n, n_cells)`` draws from the posterior, cells together."""
        places, _ = self._cells.common()
        shared = draw.standard_normal((n, len(self._root))) @ self._root.T
        own = draw.standard_normal((n, len(self._free))) * np.sqrt(self._free)
        own -= shared @ self._fold
        out = own[:, self._cells.item] + self.value
        for column in places.T:
            out += shared[:, column]
        return out


def shrink(score: Score, cells: Cells, start: float) -> Shrunk:
    """Solve the scores of all cells together with the spreads of their effects.

    Args:
        score: of all cells; a cell's number is right where its score is 0, and the score rises
            with it at about the rate of the information.
        cells: how they hang together.
        start: the number of every cell to begin with.
    """
    places, kinds = cells.common()
    n_shared = len(kinds)
    shared, own = np.zeros(n_shared), np.zeros(cells.n_items)
    shared[0] = start
    spreads = np.array(_USUAL)  # the last is that of items
    for turn in range(_ROUNDS):
        common = shared[places].sum(axis=1)
        found, information, _ = score(common + own[cells.item])
        # Where an item's own number is far off its scores vary wildly, which would call for a wider
        # spread, which would let it go farther: dispersion is that without own numbers.
        _, _, dispersion = score(common)
        precision = dispersion / spreads**2
        whole = _Information.of(cells, places, information, precision[kinds], precision[4])
        slope_shared = np.bincount(places.ravel(), np.repeat(found, 4), n_shared)
        slope_own = np.bincount(cells.item, found, cells.n_items)
        # The prior of the common effect has its mean where the start is.
        away = shared - np.where(kinds == 0, start, 0.0)
        step_shared, step_own = whole.solve(
            slope_shared + precision[kinds] * away, slope_own + precision[4] * own
        )
        largest = max(np.abs(step_shared).max(), np.abs(step_own).max(initial=0.0))
        shrinkage = min(1.0, _LARGEST_STEP / max(largest, 1e-12))
        shared = shared - shrinkage * step_shared
        own = own - shrinkage * step_own
        variance = dispersion * whole.diagonal()
        told = spreads.copy()
        for kind in range(1, 4):
            inside = kinds == kind
            told[kind] = _spread(shared[inside], variance[:n_shared][inside], _USUAL[kind])
        told[4] = _spread(own, variance[n_shared:], _USUAL[4])
        change = told / spreads
        told = np.maximum(spreads * np.where(change < 1, change**_AHEAD, change), _LEAST)
        still = bool((np.abs(told - spreads) < _CLOSE * spreads).all())
        spreads = told
        if still and largest < _CLOSE and turn:
            break
    common = shared[places].sum(axis=1)
    value = common + own[cells.item]
    _, information, dispersion = score(common)
    precision = dispersion / spreads**2
    whole = _Information.of(cells, places, information, precision[kinds], precision[4])
    names = ("group", "category", "category and group", "item")
    return Shrunk(
        value=value,
        sd=np.sqrt(dispersion * whole.of_cells(cells, places)),
        spread=dict(zip(names, spreads[1:].tolist(), strict=True)),
        dispersion=dispersion,
        _cells=cells,
        _root=np.asarray(np.linalg.cholesky(dispersion * whole.covariance), dtype=np.float64),
        _fold=whole.fold,
        _free=dispersion / whole.item,
    )


def _spread(effects: Floats, variance: Floats, usual: float) -> float:
    """How much effects differ, drawn to what is usual: three groups alone cannot tell a spread, and
    what cannot be told must not be taken for none (an inverse-gamma prior).
    """
    square = float((effects**2 + variance).sum()) + _WORTH * usual**2
    return float(np.sqrt(square / (len(effects) + _WORTH)))


@dataclass(frozen=True)
class _Information:
    """Information of all effects, items eliminated.

    Attributes:
        covariance: ``(n_shared, n_shared)`` inverse of what is left for the shared effects.
        fold: ``(n_shared, n_items)`` the shared effects' rows over the items' diagonal.
        item: ``(n_items,)`` the items' diagonal.
    """

    covariance: Floats
    fold: Floats
    item: Floats

    @classmethod
    def of(
        cls,
        cells: Cells,
        places: NDArray[np.int64],
        information: Floats,
        precision: Floats,
        precision_of_item: float,
    ) -> _Information:
        n_shared = len(precision)
        item = np.bincount(cells.item, information, cells.n_items) + precision_of_item
        cross = np.zeros((n_shared, cells.n_items))
        shared = np.diag(precision)
        for first in range(places.shape[1]):
            np.add.at(cross, (places[:, first], cells.item), information)
            for second in range(places.shape[1]):
                np.add.at(shared, (places[:, first], places[:, second]), information)
        fold = cross / item
        left = shared - fold @ cross.T
        inverse = np.asarray(np.linalg.inv((left + left.T) / 2), dtype=np.float64)
        return cls(inverse, fold, item.astype(np.float64))

    def solve(self, shared: Floats, own: Floats) -> tuple[Floats, Floats]:
        """The steps of shared effects and of items."""
        step = self.covariance @ (shared - self.fold @ own)
        return step, own / self.item - self.fold.T @ step

    def diagonal(self) -> Floats:
        """``(n_shared + n_items,)`` variances of all effects."""
        folded = ((self.covariance @ self.fold) * self.fold).sum(axis=0)
        return np.concatenate([np.diag(self.covariance), 1 / self.item + folded])

    def of_cells(self, cells: Cells, places: NDArray[np.int64]) -> Floats:
        """``(n_cells,)`` variances of their sums."""
        out = np.empty(len(cells.item))
        for start in range(0, len(out), _CHUNK):
            some = slice(start, start + _CHUNK)
            rows = -self.fold[:, cells.item[some]].T
            for column in places[some].T:
                rows[np.arange(len(rows)), column] += 1
            out[some] = ((rows @ self.covariance) * rows).sum(axis=1)
        return out + 1 / self.item[cells.item]
