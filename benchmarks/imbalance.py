"""Rare answers: does any way of balancing help, once probabilities are recalibrated?

``--shop PATH`` is a shop.yaml (or the folder that holds one). Tasks of yes and no whose rarer
answer makes up less than ``--rare`` of the training questions are learned by a head on the frozen
representation of the neural engine, once with each way of treating the imbalance. All heads read
the same z: the network is trained once, and asked once per moment. For each there are the metrics
after recalibration on users held out, log loss, Brier score and calibration error (ECE) of the
same head before it (``raw``), and its paired difference to the head that does nothing (``none``).

    python benchmarks/imbalance.py --shop demo/shop.yaml --json
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np

from harness import Benchmark, parser
from profiles import open_shop
from propensity import Propensity, by_item
from shoploom.engines import ENGINES, Inputs, can_answer, fit_once, tune_once
from shoploom.engines.probe import Probe
from shoploom.engines.probe.probe import Imbalance
from shoploom.evaluation import TimeSplit
from shoploom.evaluation.intervals import Owners, Resampled
from shoploom.evaluation.score import draws, evidence
from shoploom.sequences import views
from shoploom.tables import Tables
from shoploom.tasks import Answers, Questions, Task, concatenate, make_task
from shoploom.tasks.category import Category

BASELINES = ("boosting", "rfm")
SHOWN = ("auroc", "auprc", "log_loss", "brier", "ece")
RAW = ("log_loss", "brier", "ece")
COMPARED = ("auroc", "auprc", "log_loss", "brier")
ITEMS_ASKED = 50

Metrics = Mapping[str, Resampled]


def main() -> None:
    options = parser(__doc__ or "", data=False)
    options.add_argument("--shop", metavar="PATH", required=True, help="a shop.yaml")
    options.add_argument("--window", type=int, default=14, help="days that are asked about")
    options.add_argument("--rare", type=float, default=0.25, help="the largest share that is rare")
    options.add_argument("--epochs", type=int, help="of the network; tuned when not given")
    options.add_argument(
        "--untaught", action="store_true", help="the network learns next events, and no task"
    )
    given = options.parse_args()
    path, days = Path(given.shop), given.window
    with tempfile.TemporaryDirectory() as folder:
        tables, split = open_shop(path, Path(folder), window_days=days)
        tasks: list[Task] = [
            make_task(name, window_days=days) for name in ("churn", "purchase", "category")
        ]
        item: Task = Propensity("item", Category(window_days=days, top=ITEMS_ASKED))
        left_out = [task.name for task in (*tasks, item)] if given.untaught else []
        network = {"epochs": given.epochs, "weights": dict.fromkeys(left_out, 0.0)}
        run(
            path.parent.name,
            [(tables, tasks), (by_item(tables), [item])],
            split,
            Probe(settings=network),
            rare=given.rare,
            seed=given.seed,
            as_json=given.json,
        )


def run(
    data: str,
    asked: list[tuple[Tables, list[Task]]],
    split: TimeSplit,
    probe: Probe,
    *,
    rare: float,
    seed: int,
    as_json: bool,
) -> None:
    """Print a table for each rare task.

    Args:
        data: what to call the data.
        asked: tasks with the tables that they are asked of, as in ``profiles``.
        split: the moments.
        probe: the heads, and what they are put on; tuned where its part has no ``epochs``.
        rare: the largest share of the rarer answer.
        seed: of engines and intervals.
        as_json: end each table with the JSON line.
    """
    shop = asked[0][0]
    inputs = Inputs(until=split.test, tables=shop, **views(shop))
    for tables, tasks in asked:
        own = Inputs(
            until=split.test,
            tables=tables,
            sequences=inputs.sequences,
            statistics=inputs.statistics,
            categories=inputs.categories,
        )
        train = {t.name: concatenate([t.ask(tables, at) for at in split.train]) for t in tasks}
        chosen = {t.name: t for t in tasks if _rarer(train[t.name]) < rare}
        valid = {name: task.ask(tables, split.valid) for name, task in chosen.items()}
        test = {name: task.ask(tables, split.test) for name, task in chosen.items()}
        chosen = {name: task for name, task in chosen.items() if _rarer(test[name]) > 0}
        if not chosen:
            continue
        answers = _answers(own, chosen, train, valid, test, split, probe, seed)
        for name in chosen:
            share = float(np.mean(np.asarray(train[name].answers)))
            settings = {**split.as_dict(), "seed": seed, "of": str(dict(probe.settings))}
            settings["questions"] = f"{len(test[name])} of the test, yes in training {share:.2%}"
            benchmark = Benchmark("imbalance", f"{data}, {name}", settings)
            _judge(benchmark, chosen[name], test[name], answers[name], seed)
            benchmark.finish(as_json=as_json)


def _answers(
    inputs: Inputs,
    tasks: Mapping[str, Task],
    train: Mapping[str, Questions],
    valid: Mapping[str, Questions],
    test: Mapping[str, Questions],
    split: TimeSplit,
    probe: Probe,
    seed: int,
) -> dict[str, dict[str, Answers]]:
    """By task and engine; heads before recalibration under their name and " raw"."""
    train, valid = ({name: part[name] for name in tasks} for part in (train, valid))
    past = inputs.upto(split.valid)
    both = {name: concatenate([train[name], valid[name]]) for name in tasks}
    if probe.settings.get("epochs") is None:
        probe = tune_once(probe, past, tasks, train, valid, seed=seed)  # type: ignore[assignment]
    found: dict[str, dict[str, Answers]] = {name: {} for name in tasks}
    for imbalance in get_args(Imbalance):
        fitted = replace(probe, imbalance=imbalance).fit(inputs, tasks, both, seed=seed)
        for label, each in ((imbalance, fitted), (f"{imbalance} raw", fitted.uncalibrated())):
            for name, task in tasks.items():
                found[name][label] = each.answer(task, test[name].unanswered(), inputs)
    for engine_name in BASELINES:
        engine = ENGINES.get(engine_name)()
        fits = {name: task for name, task in tasks.items() if can_answer(engine, task)}
        parts = [{name: part[name] for name in fits} for part in (train, valid, both)]
        tuned = tune_once(engine, past, fits, parts[0], parts[1], seed=seed)
        fitted = fit_once(tuned, inputs, fits, parts[2], seed=seed)
        for name, task in fits.items():
            found[name][engine_name] = fitted.answer(task, test[name].unanswered(), inputs)
    return found


def _judge(
    benchmark: Benchmark,
    task: Task,
    questions: Questions,
    answers: Mapping[str, Answers],
    seed: int,
) -> None:
    """Add each engine's metrics, and the differences to doing nothing."""
    owners = Owners.of(questions.users)
    drawn = {
        label: draws(evidence(task.kind, questions, given), owners, seed=seed)
        for label, given in answers.items()
    }
    for label, metrics in drawn.items():
        if label.endswith(" raw"):
            continue
        row = {name: metrics[name].estimate() for name in SHOWN}
        raw: Metrics = drawn.get(f"{label} raw", {})
        row |= {f"{name} raw": raw[name].estimate() for name in RAW if name in raw}
        benchmark.add(label, row)
    for label, metrics in drawn.items():
        if label != "none" and not label.endswith(" raw"):
            less = {name: metrics[name].minus(drawn["none"][name]) for name in COMPARED}
            benchmark.add(f"{label} - none", less)


def _rarer(questions: Questions) -> float:
    """The share of the rarer answer; 0 without questions."""
    if not len(questions):
        return 0.0
    yes = float(np.mean(np.asarray(questions.answers)))
    return min(yes, 1 - yes)


if __name__ == "__main__":
    main()
