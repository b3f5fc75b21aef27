"""Model: metrics beside baselines, drift, which run answers and why."""

from __future__ import annotations

import json
from typing import Any

from shoploom.core.time import iso
from shoploom.serving.dashboard.board import Board
from shoploom.serving.dashboard.drift import draw_drift
from shoploom.serving.runs import SHADOW, deployments
from shoploom.serving.watch.drift import FEWEST

_DRIFTS = 12


def build(board: Board) -> dict[str, Any]:
    """What the page shows."""
    words, card = board.words, board.bundle.model.card
    tasks = board.facts.evaluation.get("tasks", {})
    names = [_metric(board, name, task) for name, task in tasks.items()]
    users = draw_drift(board, words("model.drift"), _DRIFTS)
    _runs(board)
    _shadow(board)
    _requests(board)
    return {
        "chosen": [
            (
                words.name("engines", engine),
                words("model.answers", task=words.name("task_names", task)),
            )
            for task, engine in card["chosen"].items()
        ],
        "learned": words("model.learned", day=words.day(iso(card["trained_until"])[:10])),
        "id": board.bundle.id,
        "metrics": names,
        "drift_few": None if users >= FEWEST else words("live.drift_few", n=users),
    }


def _metric(board: Board, name: str, task: dict[str, Any]) -> str:
    """A task's own metric by engine, the chosen one strong."""
    from shoploom.evaluation.metrics import describe

    words, metric = board.words, task["metric"]
    higher = describe(metric).higher_is_better
    results = {
        engine: found[metric] for engine, found in task["results"].items() if metric in found
    }
    order = sorted(results, key=lambda engine: results[engine][0] or 0, reverse=bool(higher))
    board.chart(
        f"metric_{name}",
        words("model.metric", task=words.name("task_names", name), metric=words.metric(metric)),
        "whiskers",
        [
            ("engine", words("model.engine"), "text"),
            ("value", words("model.value"), "decimal"),
            ("low", words("prices.low"), "decimal"),
            ("high", words("prices.high"), "decimal"),
        ],
        [[words.name("engines", engine), *results[engine]] for engine in order],
        note=words(
            "model.metric_note",
            day=words.day(str(board.facts.evaluation["split"]["test"])[:10]),
            direction=words("model.higher" if higher else "model.lower"),
        ),
        strong=[order.index(task["chosen"])] if task["chosen"] in order else [],
    )
    return f"metric_{name}"


def _runs(board: Board) -> None:
    words = board.words
    board.chart(
        "runs",
        words("model.runs"),
        "table",
        [
            ("time", words("model.when"), "time"),
            ("action", words("model.action"), "text"),
            ("run", words("model.run"), "text"),
            ("by", words("model.by"), "text"),
            ("outcome", words("model.outcome"), "text"),
        ],
        [
            [each.time, each.action, each.target, each.key, each.outcome]
            for each in deployments(board.server.store)
        ],
    )


def _shadow(board: Board) -> None:
    """The last comparison of a new run with the one in charge."""
    words = board.words
    saved = board.server.store.get(SHADOW)
    told = json.loads(saved) if saved else {"tasks": {}}
    rows = [
        [f"{words.name('task_names', name)} · {words.metric(each['metric'])}", *each["difference"]]
        for name, each in told["tasks"].items()
    ]
    board.chart(
        "shadow",
        words("model.shadow"),
        "whiskers",
        [
            ("task", words("model.task"), "text"),
            ("difference", words("model.value"), "decimal"),
            ("low", words("prices.low"), "decimal"),
            ("high", words("prices.high"), "decimal"),
        ],
        rows,
    )


def _requests(board: Board) -> None:
    words = board.words
    board.chart(
        "requests",
        words("model.requests"),
        "table",
        [
            ("route", words("model.route"), "text"),
            ("n", words("model.n"), "number"),
            ("mean", words("model.mean_ms"), "decimal"),
        ],
        board.server.meters.by_route(),
    )
