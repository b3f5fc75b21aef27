"""How strongly demand answers to the price, with everything else that moves both taken out.

The model is log-linear: units = exp(g(x)) · ratio^(−ε) on average, where x is what was known when
the price was set, and the elasticity ε differs by item and group. It is solved by g-estimation of a
multiplicative structural mean model (Robins 1994; Vansteelandt and Joffe 2014), with trees for what
it has to take out (double machine learning: Chernozhukov and others 2018):

    Σ w · v · (units · exp(ε t) − q(x)) = 0

with t = log ratio, v = t − m(x), m(x) what the price was to be expected at, q(x) the units to be
expected at the reference price, and w = 1 / (1 + α q), which weighs rows down that sell a lot,
since they vary more than a count does. Small errors of m and q cancel out to first order. Where
prices were drawn, m is known and nothing can confound them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.policies.price.hierarchy import Cells, Codes, Floats, Shrunk, shrink
from shoploom.policies.regression import Boosting, Matrix, cross_fit, folds_of, regress

NEVER_VARIED, EXPLAINED, TOO_FEW = "never varied", "explained", "too few"
#: Why nothing is said of an item, in words.
SILENCE = {
    NEVER_VARIED: "its price never varied",
    EXPLAINED: "its price followed what else was going on: nothing is left to learn from",
    TOO_FEW: "too little was sold to learn from",
}

_VARIES = 0.01  # spread of the log price, below which it did not vary
_LEFT = 0.05  # share of that spread's square that must be left once it is explained
_UNITS = 3.0  # sold of an item, below which nothing is said of it
_START = 1.5  # elasticity to begin with
_RESPONDS = 1.96
_THOROUGH = Boosting(rounds=200, learning_rate=0.08, leaves=8, min_rows=20)
_RIDGE = 1.0
_FAR = 5.0  # logarithm of how far what is expected may be from an item's own level


@dataclass(frozen=True)
class Offered:
    """``n`` times that an item was on offer at a price, to a user or to a group.

    Attributes:
        items: ``(n_items,)`` ids. category: ``(n_items,)`` codes of their categories.
        groups: names of the groups of users.
        item: ``(n,)`` codes. group: ``(n,)`` codes.
        ratio: ``(n,)`` log of the price over the reference price of the item.
        units: ``(n,)`` that were sold.
        context: ``(n, n_features)`` what was known beforehand and may have moved both.
        owners: ``(n,)`` object array; rows of one hang together: a user, or an item's month.
            Where nobody drew prices only differences within an owner count.
        expected: ``(n,)`` mean of ``ratio`` over the draw, where prices were drawn; None where
            nobody drew them.
        time: ``(n,)`` int64 microseconds.
    """

    items: NDArray[np.object_]
    category: Codes
    groups: tuple[str, ...]
    item: Codes
    group: Codes
    ratio: Floats
    units: Floats
    context: Matrix
    owners: NDArray[np.object_]
    time: NDArray[np.int64]
    expected: Floats | None = None

    def __len__(self) -> int:
        return len(self.item)

    @property
    def drawn(self) -> bool:
        """Whether chance set the prices."""
        return self.expected is not None

    def take(self, rows: NDArray[np.integer]) -> Offered:
        """Some of the rows."""
        names = ("item", "group", "ratio", "units", "context", "owners", "time")
        expected = None if self.expected is None else self.expected[rows]
        return replace(self, expected=expected, **{n: getattr(self, n)[rows] for n in names})


@dataclass(frozen=True)
class Demand:
    """Elasticities, positive where a higher price sells less.

    Attributes:
        items: ``(n_items,)`` ids. groups: names.
        elasticity: ``(n_items, n_groups)``; NaN where the log says nothing of the item.
        sd: likewise, of the posterior.
        lowest, highest: ``(n_items,)`` ratios that were tried.
        units: ``(n_items,)`` that were sold. rows: how often it was on offer.
        abstained: by item, why nothing is said, a key of ``SILENCE``; None if something is.
        overall: value, lower and upper end (95 %) of the mean elasticity, weighted by sales.
        naive: elasticity that a plain Poisson regression on the price alone would tell.
        drawn: whether chance set the prices.
        followed: where it did not, how many standard errors next period's unexplained price stands
            off this period's unexplained demand: beyond 2, prices followed demand in ways that the
            log does not explain, and elasticities are too low.
        spread: by kind of effect, how much elasticities differ.
        overdispersion: α, how much more sales vary than counts.
    """

    items: NDArray[np.object_]
    groups: tuple[str, ...]
    elasticity: Floats
    sd: Floats
    lowest: Floats
    highest: Floats
    units: Floats
    rows: NDArray[np.int64]
    abstained: tuple[str | None, ...]
    overall: tuple[float, float, float]
    naive: float
    drawn: bool
    followed: float | None
    spread: dict[str, float]
    overdispersion: float
    _shrunk: Shrunk
    _kept: NDArray[np.intp]  # items that something is said of

    @property
    def credible(self) -> bool:
        """Whether prices may be set by it: chance set them, or nothing speaks against it."""
        return self.drawn or self.followed is None or abs(self.followed) < _RESPONDS

    def sample(self, n: int, draw: np.random.Generator) -> Floats:
        """``(n, n_items, n_groups)`` draws from the posterior; NaN where nothing is said."""
        out = np.full((n, len(self.items), len(self.groups)), np.nan)
        drawn = self._shrunk.sample(n, draw)
        out[:, self._kept] = drawn.reshape(n, len(self._kept), len(self.groups))
        return out


def fit_demand(offered: Offered, *, seed: int = 0, settings: Boosting | None = None) -> Demand:
    """The elasticities that a log of offers tells.

    Args:
        offered: the log.
        seed: of trees and folds.
        settings: of the trees; None takes the defaults.

    Raises:
        DataError: no price ever varied, or nothing was sold.
    """
    # Where nobody drew prices all depends on taking out what moved them: deeper trees, and more.
    settings = settings or (Boosting() if offered.drawn else _THOROUGH)
    some, left, kept, abstained = _learnable(offered, seed, settings)
    solved = _solve(some, left, seed, settings)
    n, n_groups = len(offered.items), len(offered.groups)

    def spread_out(values: Floats) -> Floats:
        """By item and group, NaN where nothing is said."""
        whole = np.full((n, n_groups), np.nan)
        whole[kept] = values.reshape(len(kept), n_groups)
        return whole

    lowest, highest = _range(offered)
    return Demand(
        items=offered.items,
        groups=offered.groups,
        elasticity=spread_out(solved.fitted.value),
        sd=spread_out(solved.fitted.sd),
        lowest=lowest,
        highest=highest,
        units=np.bincount(offered.item, offered.units, n).astype(np.float64),
        rows=np.bincount(offered.item, minlength=n),
        abstained=abstained,
        overall=_overall(solved.fitted, solved.sold, seed),
        naive=_naive(some),
        drawn=some.drawn,
        followed=None if some.drawn else _followed(some, solved),
        spread=solved.fitted.spread,
        overdispersion=solved.alpha,
        _shrunk=solved.fitted,
        _kept=kept,
    )


def _learnable(
    offered: Offered, seed: int, settings: Boosting
) -> tuple[Offered, Floats, NDArray[np.intp], tuple[str | None, ...]]:
    """The offers of items that something can be learned of, their items numbered anew; what is left
    of their prices; which items they are; and why not the others.

    Raises:
        DataError: there are none.
    """
    known, abstained = _usable(offered)
    if not known.any():
        reasons = sorted({reason for reason in abstained if reason})
        raise DataError(
            f"prices: expected items whose price varied while they sold, found none of "
            f"{len(offered.items):,} ({'; '.join(SILENCE[r] for r in reasons) or 'none is sold'}). "
            "Change some prices at random for a few weeks, and log them as exposures price:RATIO."
        )
    some = offered.take(np.flatnonzero(known[offered.item]))
    left = _left(some, seed, settings)
    # What the context explains of a price cannot be told apart from the context.
    explained = _explained(some, left)
    if not some.drawn and explained.any():
        abstained = tuple(
            EXPLAINED if explained[i] and reason is None else reason
            for i, reason in enumerate(abstained)
        )
        known &= ~explained
        if not known.any():
            raise DataError(
                "prices: expected prices that are not explained by competitor, promotion and "
                "season alone, found none. Change some at random for a few weeks."
            )
        rows = np.flatnonzero(known[some.item])
        some, left = some.take(rows), left[rows]
    kept = np.flatnonzero(known)
    numbered = np.full(len(known), -1)
    numbered[kept] = np.arange(len(kept))
    some = replace(
        some,
        items=offered.items[kept],
        category=offered.category[kept],
        item=numbered[some.item],
    )
    return some, left, kept, abstained


@dataclass(frozen=True)
class _Solved:
    """Elasticities by cell (item and group), and what is left unexplained of price and demand."""

    fitted: Shrunk
    alpha: float
    expected: Floats
    left: Floats  # of the price
    error: Floats  # of units, at the reference price
    sold: Floats  # units by cell


def _solve(some: Offered, left: Floats, seed: int, settings: Boosting) -> _Solved:
    """Elasticities and what is to be expected of demand, by turns."""
    cells = Cells.grid(some.category, len(some.groups))
    cell = some.item * len(some.groups) + some.group
    _, block = np.unique(some.owners.astype(str), return_inverse=True)

    def turn(elasticity: Floats) -> _Solved:
        expected = _expected_units(some, elasticity[cell], seed, settings)
        alpha = _overdispersion(some, expected * np.exp(-elasticity[cell] * some.ratio))
        residual = left if some.drawn else _within(block, left, expected)
        score = _score(some, cell, len(cells.item), residual, expected, alpha)
        fitted = shrink(score, cells, _START)
        error = some.units * np.exp(fitted.value[cell] * some.ratio) - expected
        sold = np.bincount(cell, some.units, len(cells.item)).astype(np.float64)
        return _Solved(fitted, alpha, expected, left, error, sold)

    # What is to be expected depends on the elasticity, but little: twice is enough.
    return turn(turn(np.full(len(cells.item), _START)).fitted.value)


def _usable(offered: Offered) -> tuple[NDArray[np.bool_], tuple[str | None, ...]]:
    """Of which items something may be said, and why not of the others."""
    n = len(offered.items)
    count = np.bincount(offered.item, minlength=n)
    total = np.bincount(offered.item, offered.ratio, n)
    mean = total / np.maximum(count, 1)
    square = np.bincount(offered.item, (offered.ratio - mean[offered.item]) ** 2, n)
    varied = np.sqrt(square / np.maximum(count, 1)) > _VARIES
    sold = np.bincount(offered.item, offered.units, n) >= _UNITS
    why = [
        None if v and s else (TOO_FEW if v else NEVER_VARIED)
        for v, s in zip(varied.tolist(), sold.tolist(), strict=True)
    ]
    return varied & sold, tuple(why)


def _left(offered: Offered, seed: int, settings: Boosting) -> Floats:
    """``(n,)`` how far each log price stands from what was to be expected."""
    if offered.expected is not None:
        return offered.ratio - offered.expected
    x = _standard(offered.context)

    def fit(rows: NDArray[np.intp]) -> Callable[[NDArray[np.intp]], NDArray[np.float64]]:
        # A line first: a competitor's price moves ours in proportion, and trees see only steps.
        weights = np.linalg.solve(
            x[rows].T @ x[rows] + _RIDGE * np.eye(x.shape[1]), x[rows].T @ offered.ratio[rows]
        )
        rest = offered.ratio[rows] - x[rows] @ weights
        learned = regress(offered.context[rows], rest, seed=seed, settings=settings)
        return lambda asked: x[asked] @ weights + learned.predict(offered.context[asked])

    return offered.ratio - cross_fit(folds_of(offered.owners, seed), fit)


def _standard(context: Matrix) -> Floats:
    """Columns around 0 with a spread of 1, unknown numbers at 0, and a constant."""
    known = np.isfinite(context)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, context, 0).sum(axis=0) / count
    away = np.where(known, context - mean, 0)
    scale = np.sqrt((away**2).sum(axis=0) / count)
    return np.column_stack([np.ones(len(context)), away / np.where(scale > 1e-9, scale, 1.0)])


def _explained(offered: Offered, left: Floats) -> NDArray[np.bool_]:
    """``(n_items,)`` whether next to nothing of an item's price is unexplained."""

    def spread(values: Floats) -> Floats:
        n = len(offered.items)
        count = np.maximum(np.bincount(offered.item, minlength=n), 1)
        mean = np.bincount(offered.item, values, n) / count
        return np.bincount(offered.item, (values - mean[offered.item]) ** 2, n) / count

    whole = spread(offered.ratio)
    return (whole > 0) & (spread(left) < _LEFT * whole)


def _expected_units(offered: Offered, elasticity: Floats, seed: int, settings: Boosting) -> Floats:
    """``(n,)`` units to be expected at the reference price, each item at its own level."""
    import lightgbm as lgb

    # Its own level of each item first: trees then learn what moves it, of large and small alike.
    at_reference = offered.units * np.exp(elasticity * offered.ratio)
    n = len(offered.items)
    count = np.bincount(offered.item, minlength=n)
    mean = at_reference.sum() / max(len(offered), 1)
    own = (np.bincount(offered.item, at_reference, n) + mean) / (count + 1)
    level = np.maximum(own, 1e-9)[offered.item]
    offset = np.log(level) - elasticity * offered.ratio
    weight = 1 / (1 + level)
    parameters: dict[str, Any] = {
        "objective": "poisson",
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.min_rows,
        "lambda_l2": 1.0,
        "max_bin": 63,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }

    def fit(rows: NDArray[np.intp]) -> Callable[[NDArray[np.intp]], NDArray[np.float64]]:
        if len(rows) < 2 * settings.min_rows or not offered.context.shape[1]:
            return lambda asked: np.ones(len(asked))
        data = lgb.Dataset(
            offered.context[rows],
            offered.units[rows],
            init_score=offset[rows],
            weight=weight[rows],
            params=parameters,
        )
        booster = lgb.train(parameters, data, settings.rounds)

        def predict(asked: NDArray[np.intp]) -> NDArray[np.float64]:
            told = np.asarray(booster.predict(offered.context[asked], raw_score=True))
            return np.exp(np.clip(told, -_FAR, _FAR))

        return predict

    told = level * cross_fit(folds_of(offered.owners, seed), fit)
    # Drawn back to the item's own level, as far as its rows can tell it.
    whole = np.bincount(offered.item, at_reference, n)
    by_context = np.bincount(offered.item, told, n)
    return told * ((whole + own) / (by_context + own))[offered.item]


def _overdispersion(offered: Offered, mean: Floats) -> float:
    """α of variance = mean + α mean², by moments (Cameron and Trivedi 1998)."""
    mean = np.maximum(mean, 1e-9)
    beyond = ((offered.units - mean) ** 2 - mean) / mean  # over the mean: no row drowns the others
    return max(float(beyond.sum() / mean.sum()), 0.0)


def _within(block: Codes, left: Floats, weight: Floats) -> Floats:
    """What is left of the price around the mean of its owner, weighted by demand: neither how an
    item came to be priced counts, nor how it was doing that month.
    """
    n = int(block.max(initial=-1)) + 1
    mean = np.bincount(block, weight * left, n) / np.maximum(np.bincount(block, weight, n), 1e-12)
    return left - mean[block]


def _score(
    offered: Offered,
    cell: Codes,
    n_cells: int,
    residual: Floats,
    expected: Floats,
    alpha: float,
) -> Callable[[Floats], tuple[Floats, Floats, float]]:
    """What ``hierarchy.shrink`` solves; the dispersion is over owners."""
    weight = 1 / (1 + alpha * expected)
    information = np.bincount(cell, weight * residual**2 * expected, n_cells).astype(np.float64)
    whole = max(float(information.sum()), 1e-12)
    _, owner = np.unique(offered.owners.astype(str), return_inverse=True)

    def score(value: Floats) -> tuple[Floats, Floats, float]:
        at = np.exp(np.clip(value[cell] * offered.ratio, -20, 20))
        row = weight * residual * (offered.units * at - expected)
        dispersion = float((np.bincount(owner, row) ** 2).sum()) / whole
        found = np.bincount(cell, row, n_cells).astype(np.float64)
        return found, information, max(dispersion, 1e-6)

    return score


def _overall(fitted: Shrunk, weight: Floats, seed: int) -> tuple[float, float, float]:
    draws = fitted.sample(500, np.random.default_rng(seed)) @ (weight / max(weight.sum(), 1e-12))
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(fitted.value @ weight / max(weight.sum(), 1e-12)), float(low), float(high)


def _naive(offered: Offered) -> float:
    """Poisson regression of units on the log price, one level per item and nothing else."""
    n = len(offered.items)
    slope = 0.0
    own = np.bincount(offered.item, offered.units, n)
    for _ in range(50):
        at = np.exp(np.clip(slope * offered.ratio, -20, 20))
        level = own / np.maximum(np.bincount(offered.item, at, n), 1e-12)
        mean = level[offered.item] * at
        inside = np.bincount(offered.item, mean * offered.ratio, n) / np.maximum(own, 1e-12)
        apart = offered.ratio - inside[offered.item]
        step = float((apart * (offered.units - mean)).sum() / max((apart**2 * mean).sum(), 1e-12))
        slope += float(np.clip(step, -1, 1))
        if abs(step) < 1e-8:
            break
    return -slope


def _followed(offered: Offered, solved: _Solved) -> float | None:
    """Standard errors by which next period's unexplained price stands off today's demand."""
    order = np.lexsort((offered.time, offered.group, offered.item))
    same = (np.diff(offered.item[order]) == 0) & (np.diff(offered.group[order]) == 0)
    now, later = order[:-1][same], order[1:][same]
    if len(now) < 20:
        return None
    # Prices last: what tomorrow's has of today's is taken out first.
    # Around the item's mean: around that of a few weeks, one week's excess is another's lack.
    apart = _within(offered.item, solved.left, solved.expected)
    mine, next_one = apart[now], apart[later]
    kept = next_one - mine * float(mine @ next_one / max(mine @ mine, 1e-12))
    row = kept * solved.error[now] / (1 + solved.alpha * solved.expected[now])
    _, owner = np.unique(offered.items[offered.item[now]].astype(str), return_inverse=True)
    sums = np.bincount(owner, row)
    return float(sums.sum() / max(np.sqrt((sums**2).sum()), 1e-12))


def _range(offered: Offered) -> tuple[Floats, Floats]:
    n = len(offered.items)
    lowest, highest = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(lowest, offered.item, offered.ratio)
    np.maximum.at(highest, offered.item, offered.ratio)
    met = np.isfinite(lowest)
    return np.where(met, np.exp(np.where(met, lowest, 0)), 1.0), np.where(
        met, np.exp(np.where(met, highest, 0)), 1.0
    )
