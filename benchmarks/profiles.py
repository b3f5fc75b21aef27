"""Behaviour profiles: what can be foretold of users, and of visits, from what they did so far?

``--shop PATH`` is a shop.yaml (or the folder that holds one): tasks on 14-day windows, input until
the moment, training, validation and test windows one after the other, all users active in the
input; whether they leave or buy, what they spend, and in which categories, which items and which
price buckets they buy. ``--taobao FILE`` is a Parquet log (user_id, item_id, category, action, time
in seconds): tomorrow's purchases, in which category, and which carted item. ``--visits FILE`` is
the table of online shoppers, one row a visit: bought or not, 80/20 by a hash of the row.

``neural`` is the network with a head of its own per task, ``probe`` a fixed head on the network's
z, which is trained no further, ``blend`` the network and boosting together. Lines such as
``churn:auroc - rfm`` are paired differences of an engine to a baseline; ``--blocks`` adds the
probe on each block of z alone.

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
from shoploom.core.errors import DataError
from shoploom.core.progress import Quiet
from shoploom.core.time import DAY_US, HOUR_US, to_us
from shoploom.engines import ENGINES, Engine, Fitted, Inputs, can_answer, fit_once, tune_once
from shoploom.engines._trees import TreeSettings, choose, grow
from shoploom.engines.neural.fitted import FittedNeural
from shoploom.engines.probe import Probe
from shoploom.engines.probe.fitted import FittedProbe
from shoploom.evaluation import TimeSplit, score, time_split
from shoploom.evaluation.intervals import Owners
from shoploom.evaluation.score import draws, evidence
from shoploom.sequences import views
from shoploom.tables import Source, Tables, open_tables, prepare_tables, read_tables
from shoploom.tasks import Answers, Questions, Task, concatenate, make_task
from shoploom.tasks.category import Category
from shoploom.workflows import load_config
from shoploom.workflows.prepare import prepare
from shoploom.workflows.run import Run

ENGINE_NAMES = ("rfm", "bgnbd", "boosting", "neural", "probe", "blend")
BASELINES = ("boosting", "rfm")
COMPARED = ("auroc", "gini", "mae")  # differences to the baselines are shown of these
SHOWN = ("auroc", "auprc", "log_loss", "ece", "gini", "mae", "rmse")
DEFAULT = "boosting"
ITEMS_ASKED = 50  # the items with the most buyers; categories and price buckets are fewer


def main() -> None:
    options = parser(__doc__ or "", data=False)
    options.add_argument("--shop", metavar="PATH", help="a shop.yaml")
    options.add_argument("--taobao", metavar="FILE", help="a log in Parquet")
    options.add_argument("--visits", metavar="FILE", help="the table of online shoppers, CSV")
    options.add_argument("--blocks", action="store_true", help="probe each block of z alone too")
    given = options.parse_args()
    names: list[str] = given.engines.split(",") if given.engines else [*ENGINE_NAMES]
    if given.blocks and "probe" not in names:
        options.error("--blocks needs the engine probe")
    engines: dict[str, Engine] = {name: ENGINES.get(name)() for name in names}
    if given.visits:
        _visits(Path(given.visits), given.seed, given.json)
    elif given.taobao:
        _taobao(Path(given.taobao), engines, given.seed, given.json, blocks=given.blocks)
    elif given.shop:
        _shop(Path(given.shop), engines, given.seed, given.json, blocks=given.blocks)
    else:
        options.error("give --shop, --taobao or --visits")


def open_shop(path: Path, folder: Path, *, window_days: int) -> tuple[Tables, TimeSplit]:
    """The checked tables of a shop.yaml, prepared in a folder, and the moments of the questions."""
    config, run = load_config(path), Run(folder)
    prepare(replace(config, run=run.folder), run, Quiet())
    tables = open_tables(run.prepared)
    times = tables.events[c.TIME]
    first, last = (int(x.to_pyarrow().as_py()) for x in (times.min(), times.max()))
    return tables, time_split(first, last, window_days=window_days, n_train=6)


def _shop(
    path: Path, engines: dict[str, Engine], seed: int, as_json: bool, *, blocks: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tables, split = open_shop(path, Path(folder), window_days=14)
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
        run_tasks(path.parent.name, asked, split, engines, seed, as_json, blocks=blocks)


def _taobao(
    path: Path, engines: dict[str, Engine], seed: int, as_json: bool, *, blocks: bool
) -> None:
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
        # Nine days hold no repeat rate.
        engines = {name: engine for name, engine in engines.items() if name != "bgnbd"}
        asked = [(tables, tasks), (by_item(tables), [CartToBuy()])]
        run_tasks(path.parent.name, asked, split, engines, seed, as_json, blocks=blocks)


def run_tasks(
    data: str,
    asked: list[tuple[Tables, list[Task]]],
    split: TimeSplit,
    engines: dict[str, Engine],
    seed: int,
    as_json: bool,
    *,
    blocks: bool = False,
) -> None:
    """Tune on validation, fit on everything before the test moment, judge on the test window.

    Args:
        data: what to call the data.
        asked: tasks with the tables that they are asked of: the shop's own, then the same shop
            with other categories. Statistics of users are always of the first.
        split: the moments.
        engines: by name.
        seed: of engines and intervals.
        as_json: end with the JSON line.
        blocks: whether each block of z is probed alone too.
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
            categories=inputs.categories,
        )
        _judge(benchmark, own, tables, tasks, split, engines, seed, blocks)
    benchmark.finish(as_json=as_json)


def _judge(
    benchmark: Benchmark,
    inputs: Inputs,
    tables: Tables,
    tasks: list[Task],
    split: TimeSplit,
    engines: dict[str, Engine],
    seed: int,
    blocks: bool,
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
    answers: dict[str, dict[str, Answers]] = {task.name: {} for task in tasks}
    for name, engine in engines.items():
        fits = {task.name: task for task in tasks if can_answer(engine, task)}
        if not fits:
            continue
        both = {task: concatenate([train[task], valid[task]]) for task in fits}
        with benchmark.time(f"{name} tune and fit: {', '.join(fits)}"):
            # The network that neural, probe and blend have in common is trained once.
            tuned = tune_once(
                engine,
                inputs.upto(split.valid),
                fits,
                _only(train, fits),
                _only(valid, fits),
                seed=seed,
            )
            fitted = {name: fit_once(tuned, inputs, fits, both, seed=seed)}
        if blocks and isinstance(tuned, Probe):
            with benchmark.time(f"{name}, each block of z: {', '.join(fits)}"):
                for block, span in _blocks(fitted[name]).items():
                    alone = ENGINES.make("probe", **{**vars(tuned), "span": span})
                    fitted[f"z: {block}"] = alone.fit(inputs, fits, both, seed=seed)
        for label, each in fitted.items():
            for task in fits.values():
                answers[task.name][label] = each.answer(task, test[task.name].unanswered(), inputs)
    for task in tasks:
        _add(benchmark, task, test[task.name], answers[task.name], seed)
    for task in tasks:
        questions = test[task.name]
        if questions.subjects is not None:
            scores = _shown(task, questions, recency(questions.unanswered(), inputs), seed)
            orders = {f"{task.name}:{metric}": scores[metric] for metric in ("auroc", "auprc")}
            benchmark.add("recency", orders)


def _blocks(fitted: Fitted) -> dict[str, tuple[int, int]]:
    """Where each block of z lies, for a probe of one network."""
    part = fitted.features.part if isinstance(fitted, FittedProbe) else None
    if not isinstance(part, FittedNeural) or part.network.profile is None:
        raise DataError("expected a probe of one network with heads, to tell the blocks of its z.")
    return part.network.profile.blocks


def _add(
    benchmark: Benchmark, task: Task, questions: Questions, answers: dict[str, Answers], seed: int
) -> None:
    """Add every engine's metrics in a task, and the paired differences to the baselines."""
    owners = Owners.of(questions.users)
    drawn = {
        name: draws(evidence(task.kind, questions, given), owners, seed=seed)
        for name, given in answers.items()
    }
    for name, metrics in drawn.items():
        found = {f"{task.name}:{m}": metrics[m].estimate() for m in SHOWN if m in metrics}
        for baseline in BASELINES:
            if name not in BASELINES and baseline in drawn:
                found |= {
                    f"{task.name}:{m} - {baseline}": metrics[m].minus(drawn[baseline][m])
                    for m in COMPARED
                    if m in metrics
                }
        benchmark.add(name, found)
        if name == DEFAULT:
            benchmark.add("default", found)


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
