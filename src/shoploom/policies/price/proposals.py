"""Which prices to propose: the best expected profit within guardrails, and why.

With ``n`` units a week at today's price p, units at price p' are n (p' / p)^−ε, and profit is
units times (p' − cost). Both n and ε are known only so far: every number is a mean over draws from
what is known of them, and a change is proposed only where nearly all draws agree that it pays.

The list price is one for all. What differs by group of users is a discount off it, never a premium.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import ConfigError
from shoploom.core.seeds import rng
from shoploom.policies.price.demand import SILENCE, Demand
from shoploom.policies.price.hierarchy import Floats

#: Why a price is what it is; ``texts.yaml`` of the report and ``WORDS`` say them in words.
RAISE, LOWER, KEEP = "raise", "lower", "keep"
WORDS = {
    **SILENCE,
    "weak response": "demand answers weakly to its price",
    "strong response": "demand answers strongly to its price",
    "not shown": "no other price is shown to bring more",
    "best already": "no other allowed price brings more",
    "below cost": "it costs more than it brings: check the cost",
    "cost unknown": "its cost is not known",
    "no room": "no price is allowed by all guardrails together",
    "not sold": "it did not sell of late",
}
BOUNDS = {
    "step": "as far as one step goes",
    "floor": "down to its floor",
    "ceiling": "up to its ceiling",
    "competitor": "as far as the competitor allows",
    "tried": "as far as prices were tried",
}

_DRAWS, _FEWEST_DRAWS = 400, 100
_HELD = 10_000_000  # numbers that draws may take
_STEPS = 21  # prices that are weighed up between the lowest and the highest allowed one
_CHUNK = 256  # items whose draws are held at once
_PRIOR_WEEKS = 1.0  # of sales at the mean of the category, that an item's own weeks stand beside
_CENT = 0.01


@dataclass(frozen=True)
class Guardrails:
    """What no proposal may break.

    Attributes:
        margin: a price is at least the cost times 1 + this.
        step: a price changes at once by at most this share.
        ceiling: a price is at most this many times today's.
        competitor: a price is within these shares of the competitor's, such as (0.9, 1.1), where
            one is known; None for no such bound.
        discount: the largest personal discount, a share of the list price; 0 for none.
        parity: how far mean prices of the values of a protected attribute may be apart, a share.
        sure: probability of a gain below which a price is kept.
        explore: share of expected profit that may be given up to learn.
    """

    margin: float = 0.05
    step: float = 0.10
    ceiling: float = 1.5
    competitor: tuple[float, float] | None = None
    discount: float = 0.15
    parity: float = 0.02
    sure: float = 0.9
    explore: float = 0.01

    def __post_init__(self) -> None:
        for name, low, high in (
            ("margin", 0.0, 10.0),
            ("step", 0.0, 0.9),
            ("ceiling", 1.0, 10.0),
            ("discount", 0.0, 0.9),
            ("parity", 0.0, 1.0),
            ("sure", 0.5, 1.0),
            ("explore", 0.0, 1.0),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"price: expected {name} from {low} to {high}, got {value}.")
        if self.competitor and not 0 < self.competitor[0] <= self.competitor[1]:
            raise ConfigError(
                "price: expected two shares of the competitor's price, the lower one first and "
                f"above 0, got {self.competitor}."
            )


@dataclass(frozen=True)
class Goods:
    """``n`` items as they are sold today.

    Attributes:
        ids: ``(n,)``.
        category: ``(n,)`` codes.
        price: ``(n,)`` today's, in the shop's currency.
        cost: ``(n,)`` NaN where it is not known.
        competitor: ``(n,)`` NaN where it is not known.
        units: ``(n, n_groups)`` that were sold over ``weeks``, as if at today's price.
        weeks: how many.
        reference: ``(n,)`` the price that tried ratios are of.
    """

    ids: NDArray[np.object_]
    category: NDArray[np.integer]
    price: Floats
    cost: Floats
    competitor: Floats
    units: Floats
    weeks: float
    reference: Floats

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Proposals:
    """One row per item; money is per week.

    Attributes:
        price: today's. proposed: the same where nothing is proposed.
        action: ``raise``, ``lower`` or ``keep``.
        reason: keys of ``WORDS``. bound: the guardrail that was met, a key of ``BOUNDS``, or None.
        elasticity: mean over groups by sales. elasticity_sd: how sure.
        units: a week today. profit: of today's price.
        gain: profit of the proposed price minus today's; low and high: its 95 % interval.
        chance: that it is above 0.
        total: gain of all proposals together, low, high.
    """

    ids: NDArray[np.object_]
    price: Floats
    proposed: Floats
    action: NDArray[np.object_]
    reason: NDArray[np.object_]
    bound: NDArray[np.object_]
    elasticity: Floats
    elasticity_sd: Floats
    units: Floats
    profit: Floats
    gain: Floats
    low: Floats
    high: Floats
    chance: Floats
    total: tuple[float, float, float]


@dataclass(frozen=True)
class Curve:
    """What an item would sell and bring at other prices, means and 95 % intervals per week.

    Attributes:
        price: ``(k,)``. units, profit: ``(k, 3)`` mean, low, high.
    """

    price: Floats
    units: Floats
    profit: Floats


@dataclass(frozen=True)
class Known:
    """Draws of what demand is like.

    Attributes:
        weekly: ``(n_draws, n_items, n_groups)`` units a week at today's price.
        elasticity: likewise; NaN where nothing is known.
    """

    weekly: Floats
    elasticity: Floats

    @classmethod
    def of(cls, demand: Demand, goods: Goods, *, seed: int = 0) -> Known:
        """Sales are Poisson with a Gamma prior around the mean of the category.

        400 draws, fewer where items and groups are so many that they would not fit, at least 100.
        """
        draw = rng(seed, "prices")
        draws = int(np.clip(_HELD // max(goods.units.size, 1), _FEWEST_DRAWS, _DRAWS))
        n_categories = int(goods.category.max(initial=-1)) + 1
        rate = goods.units / goods.weeks
        count = np.maximum(np.bincount(goods.category, minlength=n_categories), 1)
        mean = np.stack(
            [np.bincount(goods.category, column, n_categories) / count for column in rate.T], axis=1
        )
        shape = goods.units + _PRIOR_WEEKS * mean[goods.category]
        weekly = draw.gamma(np.maximum(shape, 1e-9), size=(draws, *shape.shape))
        weekly /= goods.weeks + _PRIOR_WEEKS
        return cls(weekly, demand.sample(draws, draw))


def allowed(
    goods: Goods, demand: Demand, rails: Guardrails
) -> tuple[Floats, Floats, NDArray[np.object_], NDArray[np.object_]]:
    """``(n,)`` the lowest and the highest price allowed, and which guardrail each of them is.

    A lowest price above the highest one means that no price is allowed.
    """
    price = goods.price
    band = rails.competitor
    rival = goods.competitor if band else np.full(len(goods), np.nan)
    below, above = band or (0.0, np.inf)
    lows = {
        "floor": goods.cost * (1 + rails.margin),
        "step": price * (1 - rails.step),
        "competitor": rival * below,
        "tried": goods.reference * demand.lowest,
    }
    highs = {
        "ceiling": price * rails.ceiling,
        "step": price * (1 + rails.step),
        "competitor": rival * above,
        "tried": goods.reference * demand.highest,
    }
    low = np.stack([np.nan_to_num(x, nan=-np.inf) for x in lows.values()])
    high = np.stack([np.nan_to_num(x, nan=np.inf, posinf=np.inf) for x in highs.values()])
    names_low = np.array(list(lows), dtype=object)
    names_high = np.array(list(highs), dtype=object)
    # Whole cents, inside.
    least = np.ceil(low.max(axis=0) / _CENT - 1e-6) * _CENT
    most = np.floor(high.min(axis=0) / _CENT + 1e-6) * _CENT
    return least, most, names_low[low.argmax(axis=0)], names_high[high.argmin(axis=0)]


def propose(
    demand: Demand, goods: Goods, rails: Guardrails | None = None, *, seed: int = 0
) -> Proposals:
    """A price for every item, or the reason why it stays as it is."""
    rails = rails or Guardrails()
    known = Known.of(demand, goods, seed=seed)
    low, high, at_low, at_high = allowed(goods, demand, rails)
    n = len(goods)
    silent = _silent(demand, goods, low, high)
    proposed, chance = goods.price.copy(), np.full(n, np.nan)
    gain, ends = np.zeros(n), np.zeros((n, 2))
    bound = np.full(n, None, dtype=object)
    reason = np.array(silent, dtype=object)
    total = np.zeros(len(known.weekly))
    rows = np.flatnonzero([why is None for why in silent])
    for start in range(0, len(rows), _CHUNK):
        some = rows[start : start + _CHUNK]
        grid = np.round(np.linspace(low[some], high[some], _STEPS, axis=1) / _CENT) * _CENT
        grid = np.round(np.clip(grid, low[some][:, None], high[some][:, None]), 2)
        brought = profits(known, goods, some, grid)
        today = profits(known, goods, some, goods.price[some][:, None])
        more = brought - today
        best = more.mean(axis=0).argmax(axis=1)
        place = np.arange(len(some))
        found = more[:, place, best]
        chance[some] = (found > 0).mean(axis=0)
        price = grid[place, best]
        moved = np.abs(price - goods.price[some]) >= _CENT / 2
        better = moved & (chance[some] >= rails.sure) & (found.mean(axis=0) > 0)
        reason[some] = np.where(moved & (found.mean(axis=0) > 0), "not shown", "best already")
        taken = some[better]
        proposed[taken] = price[better]
        gain[taken] = found.mean(axis=0)[better]
        ends[taken] = np.quantile(found[:, better], (0.025, 0.975), axis=0).T
        total += found[:, better].sum(axis=1)
        up = price[better] > goods.price[taken]
        reason[taken] = np.where(up, "weak response", "strong response")
        end = best[better]
        bound[taken[end == 0]] = at_low[taken[end == 0]]
        bound[taken[end == _STEPS - 1]] = at_high[taken[end == _STEPS - 1]]
    change = proposed - goods.price
    weight = goods.units / np.maximum(goods.units.sum(axis=1, keepdims=True), 1e-12)
    flat = np.where(weight.sum(axis=1, keepdims=True) > 0, weight, 1 / weight.shape[1])
    units = known.weekly.mean(axis=0).sum(axis=1)
    return Proposals(
        ids=goods.ids,
        price=goods.price,
        proposed=proposed,
        action=np.where(change > 0, RAISE, np.where(change < 0, LOWER, KEEP)).astype(object),
        reason=reason,
        bound=bound,
        elasticity=(demand.elasticity * flat).sum(axis=1),
        elasticity_sd=(demand.sd * flat).sum(axis=1),
        units=units,
        profit=units * (goods.price - goods.cost),
        gain=gain,
        low=ends[:, 0],
        high=ends[:, 1],
        chance=chance,
        total=_interval(total),
    )


def profits(
    known: Known, goods: Goods, rows: NDArray[np.integer], prices: Floats, group: int | None = None
) -> Floats:
    """``(n_draws, n_rows, n_prices)`` profit a week of items at other prices.

    Args:
        known: of demand.
        goods: all items.
        rows: those that are meant.
        prices: ``(n_rows, n_prices)``.
        group: of users; None for all together.
    """
    which = slice(None) if group is None else slice(group, group + 1)
    ratio = np.log(prices / goods.price[rows][:, None])
    out = np.zeros((len(known.weekly), *prices.shape))
    weekly, elasticity = known.weekly[:, rows, which], known.elasticity[:, rows, which]
    for one in range(weekly.shape[2]):
        out += weekly[:, :, one, None] * np.exp(-elasticity[:, :, one, None] * ratio)
    return out * (prices - goods.cost[rows][:, None])


def curve(known: Known, goods: Goods, item: int, low: float, high: float, k: int = 25) -> Curve:
    """The response curve of one item between two prices."""
    prices = np.linspace(low, high, k)
    row = np.array([item])
    ratio = np.log(prices / goods.price[item])
    units = (
        known.weekly[:, item, :, None] * np.exp(-known.elasticity[:, item, :, None] * ratio)
    ).sum(axis=1)
    brought = profits(known, goods, row, prices[None, :])[:, 0]

    def ends(draws: Floats) -> Floats:
        return np.column_stack([draws.mean(axis=0), *np.quantile(draws, (0.025, 0.975), axis=0)])

    return Curve(prices, ends(units), ends(brought))


@dataclass(frozen=True)
class Discounts:
    """Personal discounts off the proposed list prices.

    Attributes:
        share: ``(n_items, n_groups)`` of the list price, none below 0.
        gain: profit a week over no discounts, low, high.
        factor: what they were multiplied by to keep parity; 1 where it was kept anyway.
        fairness: by value of the protected attribute, its users and its mean price over list.
    """

    share: Floats
    gain: tuple[float, float, float]
    factor: float = 1.0
    fairness: dict[str, tuple[int, float]] = field(default_factory=dict)

    @property
    def apart(self) -> float:
        """How far mean prices of protected values are apart."""
        means = [mean for _, mean in self.fairness.values()]
        return max(means) - min(means) if means else 0.0


def personal_discounts(
    demand: Demand,
    goods: Goods,
    proposals: Proposals,
    rails: Guardrails,
    *,
    protected: dict[str, tuple[int, Floats]] | None = None,
    seed: int = 0,
) -> Discounts:
    """Of each item and group, the discount that brings most; lowered for all until it is fair.

    Args:
        demand: what was learned.
        goods: the items.
        proposals: whose prices they come off.
        rails: ``discount``, ``margin``, ``parity`` and ``sure`` bind.
        protected: by value of an attribute that must not decide what somebody pays, its users and
            their shares by group ``(n_groups,)``.
        seed: of the draws.
    """
    known = Known.of(demand, goods, seed=seed)
    n, n_groups = demand.elasticity.shape
    share = np.zeros((n, n_groups))
    floor = goods.cost * (1 + rails.margin)
    # What was never tried is no basis for a promise: discounts end there too.
    floor = np.fmax(floor, goods.reference * demand.lowest)
    said = np.isfinite(demand.elasticity).all(axis=1) & np.isfinite(goods.cost)
    rows = np.flatnonzero(said & (goods.units.sum(axis=1) > 0) & (floor < proposals.proposed))
    steps = np.linspace(0, rails.discount, 7)
    if n_groups > 1 and rails.discount > 0 and len(rows):
        for group in range(n_groups):
            for start in range(0, len(rows), _CHUNK):
                some = rows[start : start + _CHUNK]
                prices = proposals.proposed[some][:, None] * (1 - steps)
                brought = profits(known, goods, some, prices, group)
                more = brought - brought[:, :, :1]
                mean = np.where(prices >= floor[some][:, None], more.mean(axis=0), -np.inf)
                best = mean.argmax(axis=1)
                place = np.arange(len(some))
                sure = (more[:, place, best] > 0).mean(axis=0) >= rails.sure
                share[some, group] = np.where(sure, steps[best], 0.0)
    # What everybody would get is no personal discount: it is a matter of the list price.
    share -= share.min(axis=1, keepdims=True)
    weight = known.weekly.mean(axis=0)
    factor = _fair_factor(share, weight, protected or {}, rails.parity)
    share = share * factor
    return Discounts(
        share,
        _discount_gain(known, goods, proposals, share),
        factor,
        _fairness(share, weight, protected or {}),
    )


def exploration(
    known: Known, goods: Goods, prices: Floats, within: NDArray[np.bool_], budget: float
) -> Floats:
    """``(n_items, n_prices)`` chances to draw each price with: Thompson sampling, within a budget.

    A price's chance is how often it is the best one over the draws (Thompson 1933). Where that
    would give up more than ``budget`` of the expected profit, chances lean to the best price.

    Args:
        known: of demand.
        goods: the items.
        prices: ``(n_items, n_prices)``.
        within: likewise, which are allowed.
        budget: share of expected profit.
    """
    n, k = prices.shape
    chances = np.zeros((n, k))
    mean = np.zeros((n, k))
    fine = np.flatnonzero(within.any(axis=1) & np.isfinite(known.elasticity).all(axis=(0, 2)))
    for start in range(0, len(fine), _CHUNK):
        some = fine[start : start + _CHUNK]
        brought = profits(known, goods, some, prices[some])
        brought = np.where(within[some], brought, -np.inf)
        best = brought.argmax(axis=2)
        for price in range(k):
            chances[some, price] = (best == price).mean(axis=0)
        mean[some] = np.where(within[some], brought.mean(axis=0), 0.0)
    greedy = np.where(within, np.where(mean != 0, mean, -np.inf), -np.inf).argmax(axis=1)
    top = mean[np.arange(n), greedy]
    lost = float((top[fine] - (chances * mean).sum(axis=1)[fine]).sum())
    may = budget * float(np.maximum(top[fine], 0).sum())
    share = 1.0 if lost <= may else may / max(lost, 1e-12)
    only = np.zeros((n, k))
    only[fine, greedy[fine]] = 1.0
    return share * chances + (1 - share) * only


def _silent(demand: Demand, goods: Goods, low: Floats, high: Floats) -> list[str | None]:
    """Why nothing can be proposed, by item."""
    out: list[str | None] = []
    for i in range(len(goods)):
        if demand.abstained[i] is not None:
            out.append(demand.abstained[i])
        elif not np.isfinite(goods.cost[i]):
            out.append("cost unknown")
        elif goods.cost[i] >= goods.price[i]:
            out.append("below cost")
        elif goods.units[i].sum() <= 0:
            out.append("not sold")
        elif low[i] > high[i]:
            out.append("no room")
        else:
            out.append(None)
    return out


def _interval(draws: Floats) -> tuple[float, float, float]:
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(draws.mean()), float(low), float(high)


def _discount_gain(
    known: Known, goods: Goods, proposals: Proposals, share: Floats
) -> tuple[float, float, float]:
    total = np.zeros(len(known.weekly))
    rows = np.flatnonzero((share > 0).any(axis=1))
    for group in range(share.shape[1]):
        if len(rows):
            price = proposals.proposed[rows]
            both = np.stack([price * (1 - share[rows, group]), price], axis=1)
            brought = profits(known, goods, rows, both, group)
            total += (brought[:, :, 0] - brought[:, :, 1]).sum(axis=1)
    return _interval(total)


def _fairness(
    share: Floats, weight: Floats, protected: dict[str, tuple[int, Floats]]
) -> dict[str, tuple[int, float]]:
    """Mean price over list of each protected value, items weighted as they sell to all."""
    sold = weight.sum(axis=1)
    by_group = 1 - (sold @ share) / max(sold.sum(), 1e-12)
    return {name: (n, float(by_group @ shares)) for name, (n, shares) in protected.items()}


def _fair_factor(
    share: Floats, weight: Floats, protected: dict[str, tuple[int, Floats]], parity: float
) -> float:
    """What discounts are multiplied by: mean prices are linear in it."""
    means = [mean for _, mean in _fairness(share, weight, protected).values()]
    apart = max(means) - min(means) if means else 0.0
    return 1.0 if apart <= parity else parity / apart
