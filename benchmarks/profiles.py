"""Behaviour profiles: what can be foretold of users, and of visits, from what they did so far?

``--shop PATH`` is a shop.yaml (or the folder that holds one): tasks on 14-day windows, input until
the moment, training, validation and test windows one after the other, all users active in the
input; whether they leave or buy, what they spend, and in which categories, which items and which
price buckets they buy. ``--taobao FILE`` is a Parquet log (user_id, item_id, category, action, time
in seconds): tomorrow's purchases, in which category, and which carted item. ``--visits FILE`` is
the table of online shoppers, one row a visit: bought or not, 80/20 by a hash of the row.

    python benchmarks/profiles.py --shop demo/shop.yaml --json
"""

# Ibis types every column alike, without operators:
# pyright: reportOperatorIssue=false

from __future__ import annotations

import tempfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from harness import Benchmark, parser
from propensity import CartToBuy, Propensity, by_item, by_price, recency
from shoploom.core import columns as c
from shoploom.core.progress import Quiet
from shoploom.core.time import DAY_US, HOUR_US, to_us
from shoploom.engines import ENGINES, Inputs, can_answer
from shoploom.engines._trees import TreeSettings, choose, grow
from shoploom.evaluation import TimeSplit, score, time_split
from shoploom.sequences import views
from shoploom.tables import Source, Tables, open_tables, prepare_tables, read_tables
from shoploom.tasks import Answers, Questions, Task, concatenate, make_task
from shoploom.tasks.category import Category
from shoploom.workflows import load_config
from shoploom.workflows.prepare import prepare
from shoploom.workflows.run import Run

ENGINE_NAMES = ("rfm", "bgnbd", "boosting")
SHOWN = ("auroc", "auprc", "log_loss", "ece", "gini", "mae", "rmse")
DEFAULT = "boosting"
ITEMS_ASKED = 50  # the items with the most buyers; categories and price buckets are fewer


def main() -> None:
    options = parser(__doc__ or "", data=False)
    options.add_argument("--shop", metavar="PATH", help="a shop.yaml")
    options.add_argument("--taobao", metavar="FILE", help="a log in Parquet")
    options.add_argument("--visits", metavar="FILE", help="the table of online shoppers, CSV")
    given = options.parse_args()
    names: list[str] = given.engines.split(",") if given.engines else [*ENGINE_NAMES]
    if given.visits:
        _visits(Path(given.visits), given.seed, given.json)
    elif given.taobao:
        _taobao(Path(given.taobao), names, given.seed, given.json)
    elif given.shop:
        _shop(Path(given.shop), names, given.seed, given.json)
    else:
        options.error("give --shop, --taobao or --visits")


def _shop(path: Path, names: list[str], seed: int, as_json: bool) -> None:
    config = load_config(path)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        prepare(replace(config, run=run.folder), run, Quiet())
        tables = open_tables(run.prepared)
        times = tables.events[c.TIME]
        first, last = (int(x.to_pyarrow().as_py()) for x in (times.min(), times.max()))
        split = time_split(first, last, window_days=14, n_train=6)
        tasks = [
            make_task(name, window_days=14)
            for name in ("churn", "purchase", "spend", "orders", "category")
        ]
        item = Propensity("item", Category(window_days=14, top=ITEMS_ASKED))
        price = Propensity("price", Category(window_days=14))
        asked = [
            (tables, tasks),
            (by_item(tables), [item]),
            (by_price(tables, until=split.train[0]), [price]),
        ]
        run_tasks(path.parent.name, asked, split, names, seed, as_json)


def _taobao(path: Path, names: list[str], seed: int, as_json: bool) -> None:
    log = pq.read_table(path)
    words = {"pv": c.VIEW, "cart": c.CART, "fav": c.FAVOURITE, "buy": c.PURCHASE}
    items = log.group_by("item_id").aggregate([("category", "max")])
    items = items.rename_columns({"category_max": c.CATEGORY})
    with tempfile.TemporaryDirectory() as folder:
        raw = read_tables(
            {
                "events": Source(data=log.drop_columns("category"), actions=words, time_unit="s"),
                "items": Source(data=items),
            }
        )
        prepare_tables(raw, Path(folder) / "prepared", now=to_us("2030-01-01"))
        tables = open_tables(Path(folder) / "prepared")
        midnight = to_us("2017-11-24T16:00:00")  # of 25 November in China, the log's first day
        days = [midnight + day * DAY_US for day in range(10)]
        inside = (tables.events[c.TIME] >= days[0] - HOUR_US) & (tables.events[c.TIME] < days[9])
        tables = replace(tables, events=tables.events.filter(inside))
        split = TimeSplit(tuple(days[2:7]), days[7], days[8], DAY_US, days[9])
        tasks = [
            make_task("purchase", window_days=1, active_days=None),
            make_task("category", window_days=1, active_days=None),
        ]
        engines = [name for name in names if name != "bgnbd"]  # nine days hold no repeat rate
        asked = [(tables, tasks), (by_item(tables), [CartToBuy()])]
        run_tasks(path.parent.name, asked, split, engines, seed, as_json)


def run_tasks(
    data: str,
    asked: list[tuple[Tables, list[Task]]],
    split: TimeSplit,
    names: list[str],
    seed: int,
    as_json: bool,
) -> None:
    """Tune on validation, fit on everything before the test moment, judge on the test window.

    Args:
        data: what to call the data.
        asked: tasks with the tables that they are asked of: the shop's own, then the same shop
            with other categories. Statistics of users are always of the first.
        split: the moments.
        names: engines.
        seed: of engines and intervals.
        as_json: end with the JSON line.
    """
    settings = {**split.as_dict(), "seed": seed, "default": DEFAULT}
    benchmark = Benchmark("profiles", data, settings)
    shop = asked[0][0]
    inputs = Inputs(until=split.test, tables=shop, **views(shop))
    with benchmark.time("statistics"):
        for at in (*split.train, split.valid, split.test):
            inputs.statistics(at)
    for tables, tasks in asked:
        own = Inputs(
            until=split.test,
            tables=tables,
            sequences=inputs.sequences,
            statistics=inputs.statistics,
        )
        _judge(benchmark, own, tables, tasks, split, names, seed)
    benchmark.finish(as_json=as_json)


def _judge(
    benchmark: Benchmark,
    inputs: Inputs,
    tables: Tables,
    tasks: list[Task],
    split: TimeSplit,
    names: list[str],
    seed: int,
) -> None:
    """Add the scores of every engine on tasks that are asked of the same tables.

    A task without questions in a part is counted in the settings, and not judged.
    """
    train = {task.name: concatenate([task.ask(tables, at) for at in split.train]) for task in tasks}
    valid = {task.name: task.ask(tables, split.valid) for task in tasks}
    test = {task.name: task.ask(tables, split.test) for task in tasks}
    for name, questions in test.items():
        yes = np.count_nonzero(np.asarray(questions.answers))
        benchmark.settings[f"{name} questions"] = f"{len(questions)}, {yes} of them not 0"
    tasks = [task for task in tasks if all(len(part[task.name]) for part in (train, valid, test))]
    for name in names:
        engine = ENGINES.get(name)()
        fits = {task.name: task for task in tasks if can_answer(engine, task)}
        if not fits:
            continue
        with benchmark.time(f"{name} tune and fit: {', '.join(fits)}"):
            tuned = engine.tune(
                inputs.upto(split.valid), fits, _only(train, fits), _only(valid, fits), seed=seed
            )
            both = {task: concatenate([train[task], valid[task]]) for task in fits}
            fitted = tuned.fit(inputs, fits, both, seed=seed)
        found = {}
        for task in fits.values():
            answers = fitted.answer(task, test[task.name].unanswered(), inputs)
            for metric, value in _shown(task, test[task.name], answers, seed).items():
                found[f"{task.name}:{metric}"] = value
        benchmark.add(name, found)
        if name == DEFAULT:
            benchmark.add("default", found)
    for task in tasks:
        questions = test[task.name]
        if questions.subjects is not None:
            scores = _shown(task, questions, recency(questions.unanswered(), inputs), seed)
            orders = {f"{task.name}:{metric}": scores[metric] for metric in ("auroc", "auprc")}
            benchmark.add("recency", orders)


def _only(parts: dict[str, Questions], tasks: dict[str, Task]) -> dict[str, Questions]:
    return {name: parts[name] for name in tasks}


def _shown(task: Task, questions: Questions, answers: Answers, seed: int) -> dict[str, object]:
    scores = score(task.kind, questions, answers, seed=seed)
    return {metric: scores[metric] for metric in SHOWN if metric in scores}


def _visits(path: Path, seed: int, as_json: bool) -> None:
    table = pacsv.read_csv(path, parse_options=pacsv.ParseOptions(delimiter=";"))
    bought = np.array([str(v).upper() == "TRUE" for v in table["Revenue"].to_pylist()], dtype=float)
    features = np.column_stack(
        [_numbers(table[name]) for name in table.column_names if name != "Revenue"]
    ).astype(np.float32)
    part = np.array([zlib.crc32(f"{seed}/{row}".encode()) % 100 for row in range(len(bought))])
    train, valid, test = part < 64, (part >= 64) & (part < 80), part >= 80
    benchmark = Benchmark(
        "profiles", path.stem, {"seed": seed, "rows": len(bought), "test": int(test.sum())}
    )
    candidates = [
        TreeSettings(rounds=800, learning_rate=0.03, leaves=leaves, min_rows=rows)
        for leaves in (8, 16, 31)
        for rows in (20, 60)
    ]
    with benchmark.time("tune and fit"):
        best = choose(
            (features[train], bought[train]),
            (features[valid], bought[valid]),
            "binary",
            candidates,
            seed=seed,
        )
        rows = train | valid
        trees = grow(features[rows], bought[rows], "binary", replace(best, bags=5), seed=seed)
    asked = Questions(
        "visit",
        np.array([str(row) for row in np.flatnonzero(test)], dtype=object),
        np.zeros(int(test.sum()), dtype=np.int64),
        answers=bought[test],
    )
    # What a person would look at first: the value of the pages seen.
    pages = _numbers(table["PageValues"])
    level = np.searchsorted(np.sort(pages), pages[test], side="right") / len(pages)
    for name, values in {
        "page value alone": level,
        "default": trees.predict(features[test]),
    }.items():
        scores = score("binary", asked, Answers("visit", values=values), seed=seed)
        benchmark.add(
            name, {m: scores[m] for m in ("auroc", "auprc", "log_loss", "f1", "accuracy")}
        )
    benchmark.finish(as_json=as_json)


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """A column as numbers; words become codes in alphabetical order."""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return column.to_numpy().astype(np.float64)
    words = [str(value) for value in column.to_pylist()]
    return np.unique(words, return_inverse=True)[1].astype(np.float64)


if __name__ == "__main__":
    main()
