"""Prices: how demand answers to them, which ones to propose, and what the log says of that.

Where the shop drew prices at random the first part of that log teaches and the latest part judges
what would have been proposed then; everything together proposes for today. Where nobody drew prices
there is no verdict, and proposals are handed out only to who accepts that.
"""

# Ibis types every column alike:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, DataError
from shoploom.core.files import atomic_path, read_json, write_json
from shoploom.core.progress import Progress
from shoploom.core.time import DAY_US, WEEK_US, iso
from shoploom.evaluation.off_policy import Decisions, compare_policies, judge
from shoploom.policies.outcomes import decisions_of, fit_outcomes
from shoploom.policies.price.demand import SILENCE, Demand, Offered, fit_demand
from shoploom.policies.price.hierarchy import Floats
from shoploom.policies.price.log import (
    Catalogue,
    Groups,
    catalogue,
    groups_of,
    has_test,
    offered,
    sales,
    tested,
)
from shoploom.policies.price.proposals import (
    BOUNDS,
    WORDS,
    Discounts,
    Goods,
    Guardrails,
    Known,
    Proposals,
    allowed,
    curve,
    exploration,
    personal_discounts,
    profits,
    propose,
)
from shoploom.policies.price.season import Season, plan_season, value_of
from shoploom.policies.target import Shown
from shoploom.tables import Tables, open_tables
from shoploom.workflows.config import ShopConfig
from shoploom.workflows.run import Run
from shoploom.workflows.stock import read_stock

if TYPE_CHECKING:
    import pandas as pd

_JUDGED = 0.3  # share of the price test, the latest, that judges
_CURVES = 12  # items whose response curves are kept for the report
_SEASON_PRICES = 9
#: Prices beside today's that are drawn to learn, where the budget allows.
_TRIED = np.array([0.9, 0.95, 1.0, 1.05, 1.1])


@dataclass(frozen=True)
class Pricing:
    """What is asked for.

    Attributes:
        by: attribute of users that groups them; None for everybody together.
        protected: attribute that must not decide what somebody pays.
        rails: the guardrails.
        weeks: the latest ones that say how much sells today.
        margin: share of the price that is margin, where no cost is known; None leaves such items.
        observational: whether proposals are wanted though nobody drew prices.
        stock: a CSV file (item_id, stock) of what has to be sold within ``season_weeks``.
        season_weeks: how many.
        salvage: share of the cost that a unit left over brings.
    """

    by: str | None = None
    protected: str | None = None
    rails: Guardrails = field(default_factory=Guardrails)
    weeks: int = 8
    margin: float | None = None
    observational: bool = False
    stock: Path | None = None
    season_weeks: int = 8
    salvage: float = 0.0


@dataclass(frozen=True)
class Priced:
    """Proposals, and what is known of them.

    Attributes:
        table: one row per item with ``price``, ``proposed``, ``action``, ``reason``, ``gain`` a
            week with its interval, ``chance``, ``elasticity``, and a discount per group of users.
        draws: prices to draw from next week, with their chances; empty without a budget to learn.
        about: JSON-able; ``docs/policies/price.md`` describes it.
    """

    table: pd.DataFrame
    draws: pd.DataFrame
    about: dict[str, Any]

    @property
    def refused(self) -> str | None:
        """Why nothing may be exported."""
        return self.about["refused"]


def price_folder(run: Run) -> Path:
    """Where the proposals lie, with prices to draw from and the groups of users, as Parquet."""
    return run.folder / "price"


def price_json(run: Run) -> Path:
    """Where what was found lies."""
    return run.folder / "price.json"


def price(config: ShopConfig, run: Run, progress: Progress, asked: Pricing | None = None) -> Priced:
    """Learn how demand answers, propose prices, judge them; ``RUN/price.json`` keeps the findings.

    Raises:
        NotFitted: the shop has not been prepared.
        DataError, UnknownName: the log does not allow it; the message says why.
    """
    asked = asked or Pricing()
    run.fingerprint_of("prepare")
    tables = open_tables(run.prepared)
    with progress.step("Read what was on offer at which price"):
        goods, groups = catalogue(tables), groups_of(tables, asked.by)
        goods = _with_margin(goods, asked.margin)
        drawn = has_test(tables)
        log, shown = tested(tables, goods, groups) if drawn else (None, None)
        if log is None:
            log = offered(tables, goods, groups)
    about: dict[str, Any] = {"currency": config.currency, "by": asked.by, "drawn": drawn}
    if shown is not None:
        with progress.step("Propose from the first part of the price test, judge on the latest"):
            about["judged"] = _judged(log, shown, goods, tables, groups, asked, config.seed)
    with progress.step("Learn how demand answers to prices"):
        demand = fit_demand(log, seed=config.seed)
    with progress.step("Weigh up prices"):
        today = _today(tables, goods, groups, demand, asked.weeks)
        proposals = propose(demand, today, asked.rails, seed=config.seed)
        known = Known.of(demand, today, seed=config.seed)
        discounts = personal_discounts(
            demand,
            today,
            proposals,
            asked.rails,
            protected=_protected(tables, groups, asked.protected),
            seed=config.seed,
        )
    about |= _demand_about(demand)
    about["refused"] = _refusal(about, demand, asked)
    titles = _titles(tables)
    about |= _proposals_about(proposals, discounts, groups, demand, asked)
    about["curves"] = _curves(proposals, known, today, demand, asked.rails, titles)
    if asked.stock is not None:
        about["season"] = _seasons(asked, known, today, demand, titles)
    about["asked"] = _as_json(asked)
    table = _table(proposals, discounts, groups, titles)
    draws = _draws(known, today, proposals, demand, asked.rails)
    shown = table.merge(_codes(proposals), on=c.ITEM_ID, how="left")
    for name, frame in (("table", shown), ("draws", draws), ("groups", _members(groups))):
        with atomic_path(price_folder(run) / f"{name}.parquet") as temporary:
            frame.to_parquet(temporary, index=False)
    write_json(price_json(run), about)
    return Priced(table, draws, about)


def _judged(
    log: Offered,
    shown: Shown,
    goods: Catalogue,
    tables: Tables,
    groups: Groups,
    asked: Pricing,
    seed: int,
) -> dict[str, Any]:
    """What would have been proposed before the latest part of the test, told from that part."""
    start = int(np.quantile(log.time, 1 - _JUDGED))
    first, last = np.flatnonzero(log.time < start - DAY_US), np.flatnonzero(log.time >= start)
    past = tables.as_of(start)
    goods = _as_it_was(goods, past)
    demand = fit_demand(log.take(first), seed=seed)
    today = _today(past, goods, groups, demand, asked.weeks)
    proposals = propose(demand, today, asked.rails, seed=seed)
    arms = np.array([float(name) for name in shown.arms])
    # What has no cost has no profit.
    costed = np.isfinite(goods.cost[log.item[last]])
    last = last[costed]
    first = first[np.isfinite(goods.cost[log.item[first]])]
    if not len(first) or not len(last):
        raise DataError(
            "prices: expected items with a cost, found none: profit cannot be told. Add a column "
            "`cost` to items, or say --assume-margin."
        )
    item = log.item[last]
    wanted = np.log(proposals.proposed / goods.price)
    policies = {
        "proposed": _mixed(wanted[item], np.log(arms)),
        "best tried": _best_tried(demand, today, arms, asked.rails, seed)[item, log.group[last]],
    }
    for place, name in enumerate(shown.arms):
        policies[f"everybody: {name}"] = np.tile(np.eye(len(arms))[place], (len(last), 1))

    def reward(rows: NDArray[np.intp]) -> Floats:
        return shown.outcome[rows] - log.units[rows] * goods.cost[log.item[rows]]

    features = np.column_stack([log.context, np.log(goods.cost / goods.price)[log.item]])
    model = fit_outcomes(
        features[first], shown.arm[first], reward(first), np.eye(len(arms)), seed=seed
    )
    modelled = model(features[last])
    decisions = {
        name: decisions_of(
            shown.users[last],
            shown.arm[last],
            reward(last),
            shown.chance[last, shown.arm[last]],
            probabilities,
            modelled=modelled,
            propensities=shown.chance[last],
        )
        for name, probabilities in policies.items()
    }
    found = {name: judge(each, seed=seed) for name, each in decisions.items()}
    usual = f"everybody: {shown.arms[0]}"
    return {
        "from": iso(int(log.time[last].min())),
        "until": iso(int(log.time[last].max())),
        "learned_from": len(first),
        "judged_on": len(last),
        "policies": {name: each.as_dict() for name, each in found.items()},
        "logged": found["proposed"].logged.as_list(),
        "usual": usual,
        "minus_usual": {
            name: _minus(decisions[name], decisions[usual], seed)
            for name in ("proposed", "best tried")
        },
        "refused": found["proposed"].refused,
    }


def _as_it_was(goods: Catalogue, past: Tables) -> Catalogue:
    """The catalogue with the competitor's prices that were known then."""
    then = catalogue(past)
    place = then.codes(goods.ids)
    known = np.where(place >= 0, then.competitor[np.maximum(place, 0)], np.nan)
    return replace(goods, competitor=known)


def _minus(first: Decisions, second: Decisions, seed: int) -> list[float | None]:
    return compare_policies(first, second, seed=seed).as_list()


def _mixed(wanted: Floats, arms: Floats) -> Floats:
    """``(n, n_arms)`` chances of the two tried prices next to the wanted one, all as logarithms.

    The nearer one is the likelier: what is judged is the proposal smoothed over what was tried.
    """
    order = np.argsort(arms)
    sorted_arms = arms[order]
    inside = np.clip(wanted, sorted_arms[0], sorted_arms[-1])
    high = np.clip(np.searchsorted(sorted_arms, inside), 1, len(arms) - 1)
    low = high - 1
    share = (inside - sorted_arms[low]) / (sorted_arms[high] - sorted_arms[low])
    out = np.zeros((len(wanted), len(arms)))
    rows = np.arange(len(wanted))
    out[rows, order[low]] = 1 - share
    out[rows, order[high]] += share
    return out


def _best_tried(demand: Demand, goods: Goods, arms: Floats, rails: Guardrails, seed: int) -> Floats:
    """``(n_items, n_groups, n_arms)`` the tried price that brings most, cost and floor minded."""
    known = Known.of(demand, goods, seed=seed)
    prices = goods.price[:, None] * arms
    fine = prices >= goods.cost[:, None] * (1 + rails.margin)
    out = np.zeros((len(goods), len(demand.groups), len(arms)))
    rows = np.arange(len(goods))
    for group in range(len(demand.groups)):
        brought = profits(known, goods, rows, prices, group).mean(axis=0)
        # Where nothing is known, or nothing allowed, today's price stays.
        brought = np.where(fine & np.isfinite(brought), brought, -np.inf)
        silent = ~np.isfinite(brought).any(axis=1)
        best = np.where(silent, np.abs(np.log(arms)).argmin(), brought.argmax(axis=1))
        out[rows, group, best] = 1.0
    return out


def _today(tables: Tables, goods: Catalogue, groups: Groups, demand: Demand, weeks: int) -> Goods:
    """The items as they sell today: units over the latest weeks, as if at today's price."""
    units, paid, end = sales(tables, goods, groups, weeks=weeks)
    first = int(tables.events[c.TIME].min().to_pyarrow().as_py())
    elasticity = np.nan_to_num(demand.elasticity)
    with np.errstate(invalid="ignore", divide="ignore"):
        away = np.log(goods.price[:, None] / paid)
    return Goods(
        ids=goods.ids,
        category=goods.category,
        price=goods.price,
        cost=goods.cost,
        competitor=goods.competitor,
        units=units * np.exp(-elasticity * np.nan_to_num(np.clip(away, -1, 1))),
        weeks=max(min(float(weeks), (end - first) / WEEK_US), 1 / 7),
        reference=goods.price,
    )


def _with_margin(goods: Catalogue, margin: float | None) -> Catalogue:
    if margin is None:
        return goods
    if not 0 < margin < 1:
        raise ConfigError(f"price: expected a margin between 0 and 1, got {margin}.")
    cost = np.where(np.isfinite(goods.cost), goods.cost, goods.price * (1 - margin))
    return replace(goods, cost=cost)


def _protected(
    tables: Tables, groups: Groups, attribute: str | None
) -> dict[str, tuple[int, Floats]]:
    """By value of the attribute, its users and their shares by group of users."""
    if attribute is None:
        return {}
    values = groups_of(tables, attribute)
    users = np.array(sorted(values.of), dtype=object)
    group, value = groups.codes(users), values.codes(users)
    out = {}
    for code, name in enumerate(values.names):
        inside = value == code
        if inside.any():
            counts = np.bincount(group[inside], minlength=len(groups.names))
            out[name] = (int(inside.sum()), counts / counts.sum())
    return out


def _refusal(about: dict[str, Any], demand: Demand, asked: Pricing) -> str | None:
    if about["drawn"]:
        return about["judged"]["refused"]
    if not demand.credible and not asked.observational:
        return (
            f"prices followed demand in ways that the log does not explain ({demand.followed:+.1f} "
            "standard errors): elasticities may be far off. Draw prices at random for a while, or "
            "accept it with --observational."
        )
    if not asked.observational:
        return (
            "nobody drew prices at random, so no log can judge the proposals: they rest on the "
            "model alone. Draw prices for a while (exposures price:RATIO with propensities), or "
            "accept it with --observational."
        )
    return None


def _demand_about(demand: Demand) -> dict[str, Any]:
    known = np.isfinite(demand.elasticity)
    reasons: dict[str, int] = {}
    for reason in demand.abstained:
        if reason is not None:
            reasons[reason] = reasons.get(reason, 0) + 1
    middle = [float(x) for x in np.quantile(demand.elasticity[known], (0.1, 0.5, 0.9))]
    return {
        "items": len(demand.items),
        "known": int(known.all(axis=1).sum()),
        "abstained": reasons,
        "elasticity": list(demand.overall),
        "elasticity_of_items": middle,
        "naive": demand.naive,
        "followed": demand.followed,
        "spread": demand.spread,
        "groups": {
            name: float(np.nanmean(demand.elasticity[:, code]))
            for code, name in enumerate(demand.groups)
        },
    }


def _proposals_about(
    proposals: Proposals, discounts: Discounts, groups: Groups, demand: Demand, asked: Pricing
) -> dict[str, Any]:
    actions, counts = np.unique(proposals.action.astype(str), return_counts=True)
    return {
        "proposals": dict(zip(actions.tolist(), counts.tolist(), strict=True)),
        "profit": float(np.nansum(proposals.profit)),
        "gain": list(proposals.total),
        "discounts": {
            "groups": {
                name: float(discounts.share[:, code].mean())
                for code, name in enumerate(groups.names)
            },
            "items": int((discounts.share > 0).any(axis=1).sum()),
            "gain": list(discounts.gain),
            "factor": discounts.factor,
            "protected": asked.protected,
            "fairness": {
                name: {"users": n, "price": mean} for name, (n, mean) in discounts.fairness.items()
            },
            "apart": discounts.apart,
            "parity": asked.rails.parity,
        },
    }


def _curves(
    proposals: Proposals,
    known: Known,
    goods: Goods,
    demand: Demand,
    rails: Guardrails,
    titles: dict[str, str],
) -> list[dict[str, Any]]:
    """Response curves of the items whose proposals bring most, and of those that sell most."""
    fine = np.isfinite(demand.elasticity).all(axis=1) & np.isfinite(goods.cost)
    by_gain = np.argsort(-proposals.gain, kind="stable")
    by_sales = np.argsort(-np.nan_to_num(proposals.profit), kind="stable")
    order = [int(i) for i in (*by_gain[:_CURVES], *by_sales[: _CURVES // 2]) if fine[i]]
    low, high, _, _ = allowed(goods, demand, rails)
    out = []
    for i in list(dict.fromkeys(order))[:_CURVES]:
        ends = goods.reference[i] * np.array([demand.lowest[i], demand.highest[i]])
        found = curve(known, goods, i, float(ends[0]), float(ends[1]))
        out.append(
            {
                "item_id": str(goods.ids[i]),
                "title": titles.get(str(goods.ids[i]), ""),
                "price": float(goods.price[i]),
                "proposed": float(proposals.proposed[i]),
                "cost": float(goods.cost[i]),
                "competitor": _or_none(goods.competitor[i]),
                "allowed": [float(low[i]), float(high[i])],
                "prices": found.price.tolist(),
                "units": found.units.tolist(),
                "profit": found.profit.tolist(),
                "elasticity": [float(proposals.elasticity[i]), float(proposals.elasticity_sd[i])],
                "action": str(proposals.action[i]),
                "reason": str(proposals.reason[i]),
                "bound": proposals.bound[i],
                "gain": [float(x[i]) for x in (proposals.gain, proposals.low, proposals.high)],
            }
        )
    return out


def _seasons(
    asked: Pricing, known: Known, goods: Goods, demand: Demand, titles: dict[str, str]
) -> list[dict[str, Any]]:
    """Of each item with a stock to sell, the plan of its season beside today's price kept."""
    assert asked.stock is not None
    place = {str(item): i for i, item in enumerate(goods.ids)}
    out = []
    for item, stock in read_stock(asked.stock):
        i = place.get(item)
        if i is None or not np.isfinite(demand.elasticity[i]).all():
            why = (
                "not in the catalogue" if i is None else SILENCE.get(demand.abstained[i] or "", "")
            )
            out.append({"item_id": item, "title": titles.get(item, ""), "refused": why})
            continue
        rails = asked.rails
        low = max(goods.reference[i] * demand.lowest[i], goods.cost[i] * (1 + rails.margin))
        high = min(goods.reference[i] * demand.highest[i], goods.price[i] * rails.ceiling)
        inner = np.linspace(low, max(high, low), _SEASON_PRICES)
        prices = np.unique(np.round(np.append(inner, goods.price[i]), 2))
        ratio = np.log(prices / goods.price[i])
        rate = (known.weekly[:, i, :, None] * np.exp(-known.elasticity[:, i, :, None] * ratio)).sum(
            axis=1
        )
        salvage = asked.salvage * float(np.nan_to_num(goods.cost[i]))
        whole = np.repeat(rate[:, None], asked.season_weeks, axis=1)
        season = Season(prices.astype(np.float64), whole, stock, salvage)
        plan = plan_season(season)
        keep = np.full_like(plan.choice, int(np.abs(prices - goods.price[i]).argmin()))
        out.append(
            {
                "item_id": item,
                "title": titles.get(item, ""),
                "stock": stock,
                "weeks": asked.season_weeks,
                "price": float(goods.price[i]),
                "first": float(prices[plan.choice[0, stock]]),
                "path": _path(season, plan.choice),
                "brings": float(plan.value[0, stock]),
                "kept": value_of(season, keep),
                "refused": None,
            }
        )
    return out


def _path(season: Season, choice: NDArray[np.integer]) -> list[dict[str, float]]:
    """Prices week by week if sales go as expected."""
    rate = season.rate.mean(axis=0)
    left, out = float(season.stock), []
    for week in range(season.weeks):
        k = int(choice[week, round(left)])
        sold = min(float(rate[week, k]), left)
        out.append({"price": float(season.prices[k]), "units": sold, "stock": left})
        left -= sold
    return out


def _titles(tables: Tables) -> dict[str, str]:
    if tables.items is None or c.TITLE not in tables.items.columns:
        return {}
    rows = tables.items.select(c.ITEM_ID, c.TITLE).to_pyarrow().to_pydict()
    return {str(i): title or "" for i, title in zip(rows[c.ITEM_ID], rows[c.TITLE], strict=True)}


def _codes(proposals: Proposals) -> pd.DataFrame:
    """Why each price is proposed, and what bounds it, as codes that any language has words for."""
    import pandas as pd

    return pd.DataFrame(
        {c.ITEM_ID: proposals.ids, "why": proposals.reason, "bound": list(proposals.bound)}
    )


def _as_json(asked: Pricing) -> dict[str, Any]:
    """What was asked for, so that it can be asked again."""
    return asdict(asked) | {"stock": None if asked.stock is None else str(asked.stock)}


def repeated_prices(config: ShopConfig, old: Run, new: Run, progress: Progress) -> Priced | None:
    """Prices of a new run as they were asked for in an old one; None where they were not.

    Raises:
        DataError, UnknownName: the log does not allow it any more.
    """
    if not price_json(old).exists():
        return None
    asked = read_json(price_json(old)).get("asked")
    if asked is None:
        return None
    rails = dict(asked["rails"])
    if rails["competitor"] is not None:
        rails["competitor"] = tuple(rails["competitor"])
    stock = None if asked["stock"] is None else Path(asked["stock"])
    pricing = Pricing(**{**asked, "rails": Guardrails(**rails), "stock": stock})
    return price(config, new, progress, pricing)


def _members(groups: Groups) -> pd.DataFrame:
    """The group of every user who is known, by its name."""
    import pandas as pd

    names = np.array(groups.names, dtype=object)
    codes = np.fromiter(groups.of.values(), dtype=np.int64, count=len(groups.of))
    return pd.DataFrame({c.USER_ID: list(groups.of), "group": names[codes]})


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def in_words(action: str, reason: str, bound: str | None) -> str:
    """A proposal's reason as a sentence."""
    text = WORDS.get(reason, reason)
    return f"{action}: {text}{', ' + BOUNDS[bound] if bound else ''}"


def _table(
    proposals: Proposals, discounts: Discounts, groups: Groups, titles: dict[str, str]
) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(
        {
            c.ITEM_ID: proposals.ids,
            c.TITLE: [titles.get(str(item), "") for item in proposals.ids],
            c.PRICE: proposals.price,
            "proposed": proposals.proposed,
            "action": proposals.action,
            "reason": [
                in_words(*each)
                for each in zip(proposals.action, proposals.reason, proposals.bound, strict=True)
            ],
            "units": proposals.units,
            "profit": proposals.profit,
            "gain": proposals.gain,
            "gain_low": proposals.low,
            "gain_high": proposals.high,
            "chance": proposals.chance,
            "elasticity": proposals.elasticity,
            "elasticity_sd": proposals.elasticity_sd,
        }
    )
    if len(groups.names) > 1:
        for code, name in enumerate(groups.names):
            frame[f"discount of {name}"] = discounts.share[:, code]
    order = np.lexsort((-np.nan_to_num(proposals.profit), -proposals.gain))
    return frame.iloc[order].reset_index(drop=True)


def _draws(
    known: Known, goods: Goods, proposals: Proposals, demand: Demand, rails: Guardrails
) -> pd.DataFrame:
    """Prices to draw from, so that next time more is known; chances sum to one by item."""
    import pandas as pd

    prices = np.round(proposals.proposed[:, None] * _TRIED, 2)
    low, high, _, _ = allowed(goods, demand, rails)
    within = (prices >= low[:, None] - 1e-9) & (prices <= high[:, None] + 1e-9)
    # What is not sold at a profit is no price to try.
    within &= np.isfinite(goods.cost)[:, None] & (prices > goods.cost[:, None])
    if rails.explore > 0:
        chances = exploration(known, goods, prices, within, rails.explore)
    else:
        chances = np.zeros_like(prices)
    item, place = np.nonzero(chances > 0)
    return pd.DataFrame(
        {
            c.ITEM_ID: goods.ids[item],
            c.ARM: [
                f"price:{prices[i, k] / goods.price[i]:.4g}"
                for i, k in zip(item.tolist(), place.tolist(), strict=True)
            ],
            c.PRICE: prices[item, place],
            c.PROPENSITY: chances[item, place],
        }
    )
