"""The block of ``evaluation.json`` that says everything about one task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import UnknownName
from shoploom.evaluation.amounts import AmountEvidence, deciles
from shoploom.evaluation.binary import BinaryEvidence, Threshold, calibration
from shoploom.evaluation.intervals import Estimate, Owners, Resampled
from shoploom.evaluation.metrics import best_engine
from shoploom.evaluation.score import KS, differences, draws, evidence
from shoploom.evaluation.slices import Slices
from shoploom.tasks import Answers, Questions, Task

_HALF = Threshold(0.5, "one half, as none was chosen")


def evaluate_task(
    task: Task,
    questions: Questions,
    answers: Mapping[str, Answers],
    chosen: str,
    *,
    thresholds: Mapping[str, Threshold] | None = None,
    slices: Slices | None = None,
    counts: Mapping[str, float] | None = None,
    ks: Sequence[int] = KS,
    resamples: int = 500,
    seed: int = 0,
) -> dict[str, Any]:
    """The task's results as JSON, in the layout that docs/architecture.md gives.

    Args:
        task: for its name, kind, unit, window and metric.
        questions: the test questions with their truth.
        answers: by engine, in the order of the questions.
        chosen: the engine that validation chose.
        thresholds: binary and multilabel: by engine, chosen on validation.
        slices: rows of the questions that are also scored by themselves.
        counts: ranking: training events by item id, for novelty.
        ks: ranking: the cut-offs.
        resamples: draws of users behind each interval.
        seed: of the resamples.

    Raises:
        UnknownName: ``chosen`` is not among the answers.
        DataError: answers do not fit the questions.
    """
    if chosen not in answers:
        raise UnknownName("engine", chosen, answers, where=f"answers to task {task.name!r}")
    cuts = {engine: (thresholds or {}).get(engine, _HALF) for engine in answers}
    found = {
        engine: evidence(
            task.kind, questions, given, ks=ks, counts=counts, threshold=cuts[engine].value
        )
        for engine, given in answers.items()
    }
    owners = Owners.of(questions.users)
    drawn = {e: draws(f, owners, seed=seed, resamples=resamples) for e, f in found.items()}
    results = _estimates(drawn)

    def part(rows: NDArray[np.int64]) -> dict[str, Any]:
        mine = owners.take(rows)
        by_engine = {
            engine: draws(f.take(rows), mine, seed=seed, resamples=resamples)
            for engine, f in found.items()
        }
        return {"n": len(rows), "results": _as_json(_estimates(by_engine))}

    judged = {e: f for e, f in found.items() if isinstance(f, BinaryEvidence)}
    sized = {e: f for e, f in found.items() if isinstance(f, AmountEvidence)}
    truth = next((f.truth for f in judged.values()), np.empty(0))
    return {
        "kind": task.kind,
        "unit": task.unit,
        "window_days": task.window_days,
        "metric": task.metric,
        "n": len(questions),
        "users": owners.count,
        "base_rate": float(truth.mean()) if len(truth) else None,
        "chosen": chosen,
        "best": best_engine(task.metric, results),
        "results": _as_json(results),
        "versus": _as_json(differences(drawn, chosen)),
        "slices": {
            name: {value: part(rows) for value, rows in values.items()}
            for name, values in (slices or {}).items()
        },
        "calibration": {e: calibration(f.values, f.truth).as_dict() for e, f in judged.items()},
        "threshold": {e: {"value": cuts[e].value, "rule": cuts[e].rule} for e in judged},
        "deciles": {e: deciles(f.values, f.truth).as_dict() for e, f in sized.items()},
    }


def _estimates(
    drawn: Mapping[str, Mapping[str, Resampled]],
) -> dict[str, dict[str, Estimate]]:
    return {e: {name: metric.estimate() for name, metric in by.items()} for e, by in drawn.items()}


def _as_json(
    estimates: Mapping[str, Mapping[str, Estimate]],
) -> dict[str, dict[str, list[float | None]]]:
    return {e: {name: value.as_list() for name, value in by.items()} for e, by in estimates.items()}
