"""How demand answers to prices, and what learned prices bring (targets, section 7).

Give any of

* ``--shop PATH``: a shop.yaml. Where a folder ``truth/`` of the simulator lies beside it, learned
  elasticities by item and tier are compared with the planted ones: from the price test, from the
  phase in which prices followed demand, and by a plain Poisson regression on the price alone;
  ``abstained`` counts the items that nothing is said of. Of another shop, elasticities are shown.
* ``--retail FILE``: 52 products by month with three competitors' prices.
* ``--scanner DIR``: brand choices of households. The last three tenths of each household's choices
  are foretold: a conditional logit against weights by household; ``log_loss`` per choice. Thirds of
  households by their learned price weight are then met again: ``price`` is the weight that a plain
  logit of the held-out choices gives each third.
* ``--season N``: N items with limited stock, prices learned from twelve weeks of a test; ``share``
  of what the best plan brings that knows the truth. ``--dqn STEPS`` trains stable-baselines3's DQN
  in each of them for so many weeks.

    python benchmarks/price.py --shop toy-shop/shop.yaml --season 40 --json
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from harness import Benchmark, parser
from shoploom.core import columns as c
from shoploom.core.progress import Quiet
from shoploom.core.seeds import rng
from shoploom.core.time import DAY_US, WEEK_US
from shoploom.evaluation import mean_interval
from shoploom.policies.price.choice import Shelf, Tastes, fit_choices
from shoploom.policies.price.demand import Demand, Offered, fit_demand
from shoploom.policies.price.log import catalogue, groups_of, has_test, offered, tested
from shoploom.policies.price.season import Season, plan_season, value_of
from shoploom.simulate.market import PHASE_STARTS, PRICE_ARMS
from shoploom.tables import Tables, open_tables
from shoploom.workflows import load_config
from shoploom.workflows.prepare import prepare
from shoploom.workflows.run import Run

Floats = NDArray[np.float64]
ARMS = np.array(PRICE_ARMS)
BRANDS = ("catsup", "cracker", "yogurt", "ketchup", "tuna")
Z90 = 1.645


def main() -> None:
    options = parser(__doc__ or "", data=False)
    options.add_argument("--shop", metavar="PATH", help="a shop.yaml")
    options.add_argument("--by", help="attribute of users that groups them")
    options.add_argument("--retail", metavar="FILE", help="products by month, CSV")
    options.add_argument("--scanner", metavar="DIR", help="brand choices, Parquet")
    options.add_argument("--season", type=int, default=0, metavar="N", help="items with stock")
    options.add_argument("--dqn", type=int, default=0, metavar="STEPS")
    given = options.parse_args()
    if not (given.shop or given.retail or given.scanner or given.season):
        options.error("give --shop, --retail, --scanner or --season")
    what = [Path(x).name for x in (given.shop, given.retail, given.scanner) if x]
    bench = Benchmark("price", ", ".join(what) or "seasons", {"seed": given.seed, "by": given.by})
    if given.shop:
        shop(bench, Path(given.shop), given.by, given.seed)
    if given.retail:
        with bench.time("retail"):
            retail(bench, Path(given.retail), given.seed)
    if given.scanner:
        scanner(bench, Path(given.scanner), given.seed)
    if given.season:
        seasons(bench, given.season, given.dqn, given.seed)
    bench.finish(as_json=given.json)


def shop(bench: Benchmark, path: Path, by: str | None, seed: int) -> None:
    """Elasticities of a shop, beside the planted ones where they are known."""
    config = load_config(path)
    truth = config.folder / "truth"
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        prepare(replace(config, run=run.folder), run, Quiet())
        tables = open_tables(run.prepared)
        if not truth.exists():
            with bench.time("offers"):
                log = offered(tables, catalogue(tables), groups_of(tables, by))
                demand = fit_demand(log, seed=seed)
            bench.add("offers", about(demand))
            bench.add("offers: well-sold items with prices that varied", well_sold(log, demand))
            return
        by = by or "tier"
        if has_test(tables):
            with bench.time("price test"):
                log, _ = tested(tables, catalogue(tables), groups_of(tables, by))
                demand = fit_demand(log, seed=seed)
            bench.add("price test", {**about(demand), **against(demand, truth, tables, by)})
            bench.add("price test, plain regression", {"elasticity": demand.naive})
        confounded(bench, tables, truth, by, seed)


def confounded(bench: Benchmark, tables: Tables, truth: Path, by: str, seed: int) -> None:
    """The same from the phase in which prices followed demand, with and without the competitor."""
    first, last = (
        int(x.to_pyarrow().as_py())
        for x in (tables.events[c.TIME].min(), tables.events[c.TIME].max())
    )
    days = round((last - first) / DAY_US)
    past = tables.as_of(first + int(PHASE_STARTS[1] * days) * DAY_US)
    assert past.offers is not None
    blind = replace(past, offers=past.offers.drop(c.COMPETITOR_PRICE))
    for name, some in (("confounded", past), ("confounded, no competitor known", blind)):
        with bench.time(name):
            demand = fit_demand(offered(some, catalogue(some), groups_of(some, by)), seed=seed)
        bench.add(name, {**about(demand), **against(demand, truth, tables, by)})
        bench.add(f"{name}, plain regression", {"elasticity": demand.naive})


def about(demand: Demand) -> dict[str, object]:
    known = demand.elasticity[np.isfinite(demand.elasticity)]
    found: dict[str, object] = {
        "elasticity": demand.overall,
        "median": float(np.median(known)),
        "items": int(np.isfinite(demand.elasticity).all(axis=1).sum()),
        "abstained": sum(reason is not None for reason in demand.abstained),
    }
    if demand.followed is not None:
        found["followed"] = demand.followed
    return found


def well_sold(log: Offered, demand: Demand) -> dict[str, object]:
    """Of items with at least 500 units whose log price has a spread of at least .1: learned, and by
    a Poisson regression of each on its price alone.
    """
    n = len(log.items)
    count = np.maximum(np.bincount(log.item, minlength=n), 1)
    mean = np.bincount(log.item, log.ratio, n) / count
    spread = np.sqrt(np.bincount(log.item, (log.ratio - mean[log.item]) ** 2, n) / count)
    known = np.isfinite(demand.elasticity).all(axis=1)
    chosen = np.flatnonzero((spread >= 0.1) & (demand.units >= 500) & known)
    plain = []
    for item in chosen.tolist():
        rows = log.item == item
        plain.append(-poisson_slope(log.ratio[rows], log.units[rows]))
    learned = demand.elasticity[chosen].mean(axis=1)
    return {
        "items": len(chosen),
        "median": tuple(np.quantile(learned, (0.5, 0.25, 0.75))),
        "plain": tuple(np.quantile(plain, (0.5, 0.25, 0.75))),
    }


def poisson_slope(x: Floats, units: Floats) -> float:
    """Slope of log units on ``x``."""
    slope = 0.0
    for _ in range(50):
        at = np.exp(np.clip(slope * x, -20, 20))
        mean = at * units.sum() / at.sum()
        apart = x - (mean @ x) / mean.sum()
        step = float(apart @ (units - mean)) / max(float((apart**2) @ mean), 1e-12)
        slope += float(np.clip(step, -1, 1))
        if abs(step) < 1e-8:
            break
    return slope


def against(demand: Demand, truth: Path, tables: Tables, by: str) -> dict[str, object]:
    """Errors against the planted elasticities of each item and group of users."""
    planted = json.loads((truth / "truth.json").read_text(encoding="utf-8"))["elasticity"]
    items = pq.read_table(truth / "items.parquet").to_pydict()
    kind = dict(zip(items[c.ITEM_ID], items["group"], strict=True))
    users = pq.read_table(truth / "users.parquet").to_pydict()
    hidden = dict(zip(users[c.USER_ID], users["group"], strict=True))
    groups = groups_of(tables, by)
    names = list(planted)
    shares = np.zeros((len(groups.names), len(names)))
    for user, code in groups.of.items():
        if user in hidden:
            shares[code, names.index(hidden[user])] += 1
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1)
    by_kind = {k: shares @ np.array([planted[g][k] for g in names]) for k in set(kind.values())}
    true = np.array([by_kind[kind[str(item)]] for item in demand.items])
    known = np.isfinite(demand.elasticity)
    error = np.abs(demand.elasticity - true)[known]
    sold = np.where(known, demand.units[:, None], 0)
    return {
        "error": float(np.median(error / true[known])),
        "covers 90": float((error < Z90 * demand.sd[known]).mean()),
        "planted": float((true * sold).sum() / sold.sum()),
    }


def retail(bench: Benchmark, path: Path, seed: int) -> None:
    """Monthly sales of 52 products beside the prices of three competitors."""
    frame = pacsv.read_csv(path)

    def number(name: str) -> Floats:
        return frame[name].cast(pa.float64()).to_numpy(zero_copy_only=False)

    ids, item = np.unique(np.array(frame["product_id"].to_pylist()), return_inverse=True)
    names = np.array(frame["product_category_name"].to_pylist())
    category = np.unique(names, return_inverse=True)[1]
    of_item = np.array([category[np.flatnonzero(item == i)[0]] for i in range(len(ids))])
    price = number("unit_price")
    usual = np.array([np.median(price[item == i]) for i in range(len(ids))])
    rivals = np.stack([np.log(number(f"comp_{k}") / usual[item]) for k in (1, 2, 3)], axis=1)
    month, year = number("month").astype(int), number("year").astype(int)
    context = np.column_stack(
        [rivals, number("freight_price"), month, year * 12 + month, number("holiday"), category]
    )
    log = Offered(
        items=ids.astype(object),
        category=of_item,
        groups=("everybody",),
        item=item,
        group=np.zeros(len(item), int),
        ratio=np.log(price / usual[item]),
        units=number("qty"),
        context=context,
        owners=ids[item].astype(object),
        time=(year * 12 + month) * 30 * DAY_US,
    )
    demand = fit_demand(log, seed=seed)
    bench.add("retail", about(demand))
    bench.add("retail, plain regression", {"elasticity": demand.naive})


def scanner(bench: Benchmark, folder: Path, seed: int) -> None:
    """Choices of brands: held-out log loss, and price weights of thirds of the households."""
    for name in BRANDS:
        past, later, price = shelves(folder / f"{name}.parquet")
        with bench.time(name):
            plain, own = fit_choices(past, differ=False), fit_choices(past)
        losses = {"conditional logit": loss(plain, later), "by household": loss(own, later)}
        owners = later.household.astype(str).astype(object)
        for title, values in losses.items():
            right = foretold(own if title == "by household" else plain, later)
            bench.add(
                f"{name}: {title}",
                {
                    "log_loss": mean_interval(values, owners, seed=seed),
                    "accuracy": mean_interval(right, owners, seed=seed),
                },
            )
        less = losses["by household"] - losses["conditional logit"]
        bench.add(f"{name}: difference", {"log_loss": mean_interval(less, owners, seed=seed)})
        weight = own.weights[:, price]
        third = np.argsort(np.argsort(weight, kind="stable")) * 3 // len(weight)
        for code, title in enumerate(("most", "middle", "least")):
            rows = np.flatnonzero(third[later.household] == code)
            met = fit_choices(later.take(rows), differ=False)
            bench.add(
                f"{name}: third that minds prices {title}",
                {
                    "learned": float(weight[third == code].mean()),
                    "price": float(met.mean[0, price]),
                    "own elasticity": float(own_elasticity(own, later.take(rows), price)),
                },
            )


def shelves(path: Path) -> tuple[Shelf, Shelf, int]:
    """The first seven tenths of each household's choices, the rest, and the column of the price."""
    frame = pq.read_table(path).to_pandas()
    brands = [name[len("price.") :] for name in frame.columns if name.startswith("price.")]
    chosen = next(n for n in frame.columns if n.lower().endswith("choice"))
    household = next((n for n in frame.columns if n.endswith(".hid")), "id")
    prices = frame[[f"price.{brand}" for brand in brands]].to_numpy(dtype=np.float64)
    rows = (prices > 0).all(axis=1)  # a price of 0 is a brand that was not there
    frame, prices = frame[rows], prices[rows]
    parts = [
        np.broadcast_to(np.eye(len(brands))[:, 1:], (len(frame), len(brands), len(brands) - 1))
    ]
    parts.append(np.log(prices / prices.mean())[:, :, None])
    for kind in ("disp", "feat"):
        names = [f"{kind}.{brand}" for brand in brands]
        if names[0] in frame.columns:
            parts.append(frame[names].to_numpy(dtype=np.float64)[:, :, None])
    _, code = np.unique(frame[household].to_numpy(), return_inverse=True)
    taken = frame[chosen].map({brand: place for place, brand in enumerate(brands)}).to_numpy()
    place = frame.groupby(code).cumcount().to_numpy()
    late = place >= np.floor(0.7 * np.bincount(code)[code])
    whole = Shelf(code, np.zeros(code.max() + 1, int), np.concatenate(parts, axis=2), taken)
    return whole.take(np.flatnonzero(~late)), whole.take(np.flatnonzero(late)), len(brands) - 1


def loss(tastes: Tastes, shelf: Shelf) -> Floats:
    chance = tastes.probabilities(shelf)[np.arange(len(shelf.chosen)), shelf.chosen]
    return -np.log(np.maximum(chance, 1e-12))


def foretold(tastes: Tastes, shelf: Shelf) -> Floats:
    return (tastes.probabilities(shelf).argmax(axis=1) == shelf.chosen).astype(np.float64)


def own_elasticity(tastes: Tastes, shelf: Shelf, price: int) -> float:
    """Mean over brands of the own-price elasticity; the price is a logarithm already."""
    ones = np.ones(shelf.x.shape[:2])
    return float(np.diag(tastes.elasticities(shelf, price, ones)).mean())


def seasons(bench: Benchmark, n: int, steps: int, seed: int) -> None:
    """Items with limited stock: plans by learned demand against the plan that knows the truth."""
    draw = rng(seed, "seasons")
    rate, price = draw.uniform(3, 15, n), np.round(draw.uniform(8, 60, n), 2)
    elasticity, weeks = draw.uniform(1.4, 2.9, n), 8
    stock = np.maximum((rate * weeks * draw.uniform(0.4, 1.4, n)).astype(int), 1)
    with bench.time("seasons"):
        known = learn_by_test(rate, elasticity, 12, draw, seed)
        shares: dict[str, list[float]] = {}
        for item in range(n):
            prices, ratios = price[item] * ARMS, ARMS ** -elasticity[item]
            truth = Season(prices, np.tile(rate[item] * ratios, (weeks, 1)), int(stock[item]))
            best = plan_season(truth).value[0, -1]
            told = np.exp(-known[1][:, item, None] * np.log(ARMS)) * known[0][:, item, None]
            learned = plan_season(replace(truth, rate=np.repeat(told[:, None], weeks, axis=1)))
            # What brings most in a week, as if stock were endless.
            greedy = np.full_like(learned.choice, int((told.mean(axis=0) * prices).argmax()))
            listed = np.full_like(learned.choice, int(np.abs(ARMS - 1).argmin()))
            choices = {"plan": learned.choice, "greedy": greedy, "list price": listed}
            if steps:
                choices["DQN"] = dqn(truth, rate[item], elasticity[item], price[item], steps, seed)
            for name, choice in choices.items():
                shares.setdefault(name, []).append(value_of(truth, choice) / best)
    owners = np.arange(n).astype(str).astype(object)
    for name, values in shares.items():
        bench.add(f"season: {name}", {"share": mean_interval(np.array(values), owners, seed=seed)})


def learn_by_test(
    rate: Floats, elasticity: Floats, weeks: int, draw: np.random.Generator, seed: int
) -> tuple[Floats, Floats]:
    """``(n_draws, n)`` weekly rates and elasticities, from weeks with drawn prices."""
    n = len(rate)
    arm = draw.integers(0, len(ARMS), (n, weeks))
    units = draw.poisson(rate[:, None] * ARMS[arm] ** -elasticity[:, None])
    item = np.repeat(np.arange(n), weeks)
    log = Offered(
        items=np.array([f"i{i}" for i in range(n)], dtype=object),
        category=np.zeros(n, int),
        groups=("everybody",),
        item=item,
        group=np.zeros(n * weeks, int),
        ratio=np.log(ARMS)[arm.ravel()],
        units=units.ravel().astype(np.float64),
        context=np.tile(np.arange(weeks), n)[:, None].astype(np.float64),
        owners=np.arange(n * weeks).astype(str).astype(object),
        time=np.tile(np.arange(weeks), n) * WEEK_US,
        expected=np.full(n * weeks, np.log(ARMS).mean()),
    )
    demand = fit_demand(log, seed=seed)
    told = np.where(np.isfinite(demand.elasticity), demand.elasticity, demand.overall[0])
    drawn = demand.sample(200, draw)[:, :, 0]
    drawn = np.where(np.isfinite(drawn), drawn, told[:, 0])
    # Sales at list price: what sold, over what these prices were to sell.
    exposed = (ARMS[arm] ** -told).sum(axis=1)
    return draw.gamma(units.sum(axis=1) + 1.0, size=(200, n)) / exposed, drawn


def dqn(
    truth: Season, rate: float, elasticity: float, price: float, steps: int, seed: int
) -> NDArray[np.int64]:
    """What stable-baselines3's DQN does after so many weeks of trying, at every week and stock."""
    from stable_baselines3 import DQN

    from shoploom.simulate.season import SeasonEnv

    env = SeasonEnv(truth.stock, np.full(truth.weeks, rate), elasticity, price)
    agent = DQN("MlpPolicy", env, seed=seed, learning_starts=500, device="cpu", verbose=0)
    agent.learn(steps)
    weeks, stocks = np.meshgrid(np.arange(truth.weeks), np.arange(truth.stock + 1), indexing="ij")
    seen = np.stack([1 - weeks / truth.weeks, stocks / max(truth.stock, 1)], axis=-1)
    acts, _ = agent.predict(seen.reshape(-1, 2).astype(np.float32), deterministic=True)
    return acts.reshape(weeks.shape).astype(np.int64)


if __name__ == "__main__":
    main()
