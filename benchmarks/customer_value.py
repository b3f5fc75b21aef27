"""Customer value: what will each customer buy in the next months, from order dates alone?

``--data FILE`` is Parquet or CSV with one row a purchase: customer_id, time (or date), amount and
perhaps quantity. Everything before ``--split`` is the calibration period; what comes after it, up
to ``--weeks``, is predicted for every customer seen before. On CDNOW the parameters of BG/NBD and
Gamma-Gamma are also estimated on the published sample of 2,357 customers and shown beside the
published ones (weeks, dollars).

``default`` is boosting that starts from BG/NBD: no window of 39 weeks fits into 39 weeks of
calibration, so the trees learn, on windows inside the calibration period, by what factor BG/NBD
errs for which customers. ``boosting`` is the same without that start, its answers scaled to the
window. Trees are tuned on the last window inside the calibration period.

    python benchmarks/customer_value.py --data purchases.parquet --split 1997-10-01
    python benchmarks/customer_value.py --customers 1000000
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import Benchmark, parser
from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.core.seeds import rng
from shoploom.core.time import DAY_US, WEEK_US, iso, to_us
from shoploom.engines import Inputs
from shoploom.engines.bgnbd import (
    BGNBD,
    BgnbdEngine,
    GammaGamma,
    expected_purchases,
    expected_value,
    fit_bgnbd,
    fit_gamma_gamma,
    probability_of_none,
    sample_histories,
)
from shoploom.engines.boosting import Boosting
from shoploom.engines.recency import Rfm
from shoploom.evaluation import Deciles, deciles, score
from shoploom.sequences import views
from shoploom.tables import Tables
from shoploom.tasks import Answers, Questions, concatenate, make_task

SAMPLE = Path(__file__).with_name("cdnow_sample.txt")
PUBLISHED = {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426, "p": 6.25, "q": 3.74, "v": 15.44}
METRICS = ("mae", "rmse", "gini", "bias")


def main() -> None:
    options = parser(__doc__ or "", data=False)
    options.add_argument("--data", metavar="FILE", help="purchases")
    options.add_argument("--split", metavar="DATE", help="first day to predict")
    options.add_argument("--weeks", type=int, default=39, help="length of the holdout")
    options.add_argument("--sample", default=str(SAMPLE), help="ids whose parameters to show")
    options.add_argument("--customers", type=int, help="time BG/NBD on simulated customers")
    arguments = options.parse_args()
    if arguments.customers:
        benchmark = simulated(arguments.customers, arguments.weeks, arguments.seed)
    elif arguments.data and arguments.split:
        benchmark = holdout(arguments)
    else:
        options.error("give --data FILE and --split DATE, or --customers N")
    benchmark.finish(as_json=arguments.json)


# --- real purchases ---------------------------------------------------------------------------


def holdout(arguments: Any) -> Benchmark:
    """Every engine on the holdout of a file of purchases."""
    split, days = to_us(arguments.split), 7 * arguments.weeks
    tables, purchases = read(arguments.data)
    inputs = Inputs(until=split, tables=tables, **views(tables))
    first = int(purchases["time"].min())
    # Training windows end inside the calibration period; the last of them tunes.
    window = max(int((split - first) // DAY_US) // 4 // 7 * 7, 7)
    moments = [split - window * DAY_US - step * 4 * WEEK_US for step in range(6)]
    moments = sorted(at for at in moments if at - first >= window * DAY_US)
    benchmark = Benchmark(
        "customer_value",
        str(arguments.data),
        {
            "split": iso(split),
            "holdout_days": days,
            "training_window_days": window,
            "training_moments": [iso(at) for at in moments],
            "seed": arguments.seed,
        },
    )
    published(benchmark, purchases, split, arguments.sample)

    tasks = {name: make_task(name, window_days=days) for name in ("orders", "spend")}
    asked = {name: task.ask(tables, split) for name, task in tasks.items()}
    trained = {name: make_task(name, window_days=window) for name in tasks}
    past = {name: [task.ask(tables, at) for at in moments] for name, task in trained.items()}

    def learned(engine: Any) -> Any:
        """Tuned on the last training window alone, then fitted on all of them."""
        nearer = inputs.upto(moments[-1])
        early = {
            name: concatenate([part for part in parts if _ends(part, window) <= moments[-1]])
            for name, parts in past.items()
        }
        tuned = engine.tune(
            nearer,
            trained,
            early,
            {name: parts[-1] for name, parts in past.items()},
            seed=arguments.seed,
        )
        everything = {name: concatenate(parts) for name, parts in past.items()}
        return tuned.fit(inputs, trained, everything, seed=arguments.seed)

    def engine_answers(engine: Any) -> dict[str, NDArray[np.float64]]:
        fitted = learned(engine)
        return {
            name: fitted.answer(tasks[name], asked[name].unanswered(), inputs).values
            for name in tasks
        }

    def scaled(engine: Any) -> dict[str, NDArray[np.float64]]:
        fitted = learned(engine)
        return {
            name: fitted.answer(trained[name], asked[name].unanswered(), inputs).values
            * (days / window)
            for name in tasks
        }

    statistics = inputs.statistics(split)
    age = np.maximum(statistics.column("purchase_tenure_days").astype(float), 1)

    def past_rate() -> dict[str, NDArray[np.float64]]:
        orders = statistics.column("orders") - 1
        return {"orders": orders / age * days, "spend": statistics.column("spend") / age * days}

    n = len(asked["orders"])
    runs: dict[str, Callable[[], dict[str, NDArray[np.float64]]]] = {
        "zero": lambda: {name: np.zeros(n) for name in tasks},
        "mean": lambda: {
            name: np.full(n, truth(past[name][-1]).mean() * days / window) for name in tasks
        },
        "past_rate": past_rate,
        "bgnbd": lambda: engine_answers(BgnbdEngine()),
        "rfm": lambda: scaled(Rfm()),
        "boosting": lambda: scaled(Boosting()),
        "default": lambda: engine_answers(Boosting(start="bgnbd")),
    }
    wanted = arguments.engines.split(",") if arguments.engines else list(runs)
    tables_by_engine = {}
    for name in wanted:
        with benchmark.time(name):
            given = runs[name]()
        row = {}
        for task, values in given.items():
            found = score(
                tasks[task].kind, asked[task], Answers(task, values=values), seed=arguments.seed
            )
            row |= {f"{task}_{metric}": found[metric] for metric in METRICS}
        benchmark.add(name, row)
        tables_by_engine[name] = deciles(given["spend"], truth(asked["spend"]))
    for name in ("bgnbd", "default"):
        if name in tables_by_engine:
            show_deciles(name, tables_by_engine[name])
    return benchmark


def truth(questions: Questions) -> NDArray[np.float64]:
    """The answers of questions about counts or amounts."""
    assert isinstance(questions.answers, np.ndarray)
    return questions.answers


def _ends(questions: Questions, window: int) -> int:
    return int(questions.times[0]) + window * DAY_US


def read(path: str) -> tuple[Tables, dict[str, NDArray[Any]]]:
    """The purchases as tables, and as columns ``user``, ``time`` and ``amount``."""
    import duckdb
    import ibis
    import pyarrow as pa

    raw = (
        duckdb.read_csv(path, all_varchar=True)
        if path.endswith("csv")
        else duckdb.read_parquet(path)
    )
    names = raw.columns
    when = next((name for name in ("time", "date") if name in names), None)
    if when is None or not {"customer_id", "amount"} <= set(names):
        raise DataError(
            f"{path}: expected columns customer_id, time (or date) and amount, got "
            f"{', '.join(names)}; rename them."
        )
    quantity = "quantity" if "quantity" in names else "1"
    rows = (
        raw.project(
            f"cast(customer_id as varchar) as id, epoch_us(cast({when} as timestamp)) as time, "
            f"cast(amount as double) as amount, greatest(cast({quantity} as double), 1) as quantity"
        )
        .order("id, time, amount")
        .to_arrow_table()
    )
    n = len(rows)
    amount, units = rows["amount"].to_numpy(), rows["quantity"].to_numpy()
    events = pa.table(
        {
            c.USER_ID: rows["id"],
            c.TIME: rows["time"],
            c.ACTION: pa.array([c.PURCHASE] * n),
            c.ITEM_ID: pa.nulls(n, pa.string()),
            c.PRICE: amount / units,
            c.QUANTITY: units,
            c.SESSION_ID: pa.nulls(n, pa.string()),
        }
    )
    connection = ibis.duckdb.connect()
    tables = Tables(events=connection.create_table("events", ibis.memtable(events)))
    columns = {"user": rows["id"].to_numpy().astype(object), "time": rows["time"].to_numpy()}
    return tables, columns | {"amount": amount}


# --- BG/NBD by itself -------------------------------------------------------------------------


def published(
    benchmark: Benchmark, purchases: dict[str, NDArray[Any]], split: int, sample: str
) -> None:
    """Record the parameters of the sample beside the published ones, and of all customers.

    As published: days with a purchase count once, ages run to the last calibration day, and the
    value is the mean over repeat purchase days.
    """
    ids = np.array(Path(sample).read_text().split(), dtype=object)
    for name, users in (("sample", ids), ("all customers", None)):
        chosen = purchases["time"] < split
        if users is not None:
            chosen &= np.isin(purchases["user"].astype(str), users.astype(str))
        if not chosen.any():
            continue
        x, t_x, age, value = weekly_histories(
            purchases["user"][chosen], purchases["time"][chosen], purchases["amount"][chosen], split
        )
        buying, worth = fit_bgnbd(x, t_x, age), fit_gamma_gamma(x, value)
        benchmark.add(f"parameters, {name} of {len(x)}", asdict(buying) | asdict(worth))
    benchmark.add("parameters, published", PUBLISHED)


def weekly_histories(
    user: NDArray[Any], time: NDArray[Any], amount: NDArray[Any], split: int
) -> tuple[NDArray[Any], ...]:
    """Frequency, recency and age in weeks, and mean repeat value, of each customer."""
    _, code = np.unique(user.astype(str), return_inverse=True)
    day = time // DAY_US
    pairs, row = np.unique(np.stack((code, day)), axis=1, return_inverse=True)
    total = np.bincount(row.ravel(), weights=amount)
    customer, day = pairs
    start = np.flatnonzero(np.diff(customer, prepend=-1))
    n_days = np.diff(np.append(start, len(customer)))
    first, last = day[start], day[start + n_days - 1]
    repeat = np.bincount(customer, weights=total) - total[start]
    x = n_days - 1
    return x, (last - first) / 7, (split // DAY_US - 1 - first) / 7, repeat / np.maximum(x, 1)


def simulated(n: int, weeks: int, seed: int) -> Benchmark:
    """Parameters recovered from simulated customers, and how long fit and prediction take."""
    planted = BGNBD(r=0.243, alpha=4.414, a=0.793, b=2.426)
    money = GammaGamma(p=6.25, q=3.74, v=15.44)
    generator = rng(seed, "customer_value")
    # Days, as a shop records them, and a spread of first orders over a third of the period.
    age = np.floor(7 * generator.uniform(2 * weeks / 3, weeks, n)) / 7
    x, t_x = sample_histories(planted, age, generator)
    scale = money.v / generator.gamma(money.q, 1, n)
    shape = money.p * np.maximum(x, 1)
    value = np.where(x > 0, generator.gamma(shape, 1) / shape * money.p * scale, 0)
    benchmark = Benchmark(
        "customer_value", f"{n} simulated customers", {"weeks": weeks, "seed": seed}
    )
    with benchmark.time("fit"):
        buying, worth = fit_bgnbd(x, t_x, age), fit_gamma_gamma(x, value)
    with benchmark.time("predict"):
        orders = expected_purchases(buying, x, t_x, age, weeks)
        spend = orders * expected_value(worth, x, value)
        none = probability_of_none(buying, x, t_x, age, weeks)
    benchmark.add("truth", asdict(planted) | asdict(money))
    benchmark.add("recovered", asdict(buying) | asdict(worth))
    ideal = expected_purchases(planted, x, t_x, age, weeks)
    benchmark.add(
        "prediction",
        {
            "orders": orders.mean(),
            "orders_by_truth": ideal.mean(),
            "largest_difference": np.abs(orders - ideal).max(),
            "spend": spend.mean(),
            "none": none.mean(),
        },
    )
    return benchmark


def show_deciles(name: str, table: Deciles) -> None:
    """Print mean predicted and mean real spend of ten equal groups of customers."""
    print(f"spend by decile of the prediction, {name}: customers, predicted, actual")
    for n, predicted, actual in zip(table.n, table.predicted, table.actual, strict=True):
        print(f"  {n:>7} {predicted:>10.2f} {actual:>10.2f}")


if __name__ == "__main__":
    main()
