"""Choosing settings on validation: one setting at a time, kept when it helps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from shoploom.core.seeds import rng
from shoploom.engines.engine import Engine, Fitted, Inputs
from shoploom.evaluation.ranking import ranking_evidence
from shoploom.tasks import Questions, Ragged, Task

E = TypeVar("E", bound=Engine)

_HISTORY = 60_000  # events behind the questions of a task that settings are judged on
_SAMPLE = (500, 10_000)  # the fewest and most questions, if there are so many
_WORTH = 1.001


def coordinate_search(
    engine: E,
    space: Mapping[str, Sequence[Any]],
    judge: Callable[[E], float],
    *,
    refine: bool = True,
) -> E:
    """The engine after two rounds through the settings, one at a time, in the order of ``space``.

    The first round tries every value, since quality may rise twice along a setting; the second
    only the neighbours of what was chosen. A change must be worth a thousandth, so that noise
    moves nothing and costs no time later.

    Args:
        engine: where to start.
        space: by setting, its values in order.
        judge: the quality of an engine, higher is better.
        refine: whether the second round is worth its time.
    """
    best = judge(engine)
    for full in (True, False) if refine else (True,):
        for name, values in space.items():
            start = getattr(engine, name)
            tried = values if full else _beside(start, values)
            for value in tried:
                if value == start:
                    continue
                candidate = replace(engine, **{name: value})  # type: ignore[type-var]
                if (score := judge(candidate)) > best * _WORTH:
                    best, engine = score, candidate
    return engine


def _beside(value: Any, values: Sequence[Any]) -> list[Any]:
    """The values before and after one in a sequence; none when it is not there."""
    if value not in values:
        return []
    at = list(values).index(value)
    return [values[i] for i in (at - 1, at + 1) if 0 <= i < len(values)]


def ranking_judge(
    fit: Callable[[E], Fitted],
    inputs: Inputs,
    tasks: Mapping[str, Task],
    validation: Mapping[str, Questions],
    seed: int,
) -> Callable[[E], float]:
    """A judge of settings: NDCG@10 on a sample of the validation, the mean over tasks.

    The longer the histories, the smaller the sample, so that judging costs about the same.
    """
    samples = {}
    for name, asked in validation.items():
        history = inputs.sequences(int(asked.times.min())).lengths
        size = int(np.clip(_HISTORY / max(history.mean(), 1), *_SAMPLE)) if len(history) else 0
        rows = np.arange(len(asked))
        if len(asked) > size > 0:
            draw = rng(seed, "validation sample", name)
            rows = np.sort(draw.choice(len(asked), size, replace=False))
        samples[name] = asked.take(rows)

    def judge(engine: E) -> float:
        fitted = fit(engine)
        values = []
        for name, asked in samples.items():
            answers = fitted.answer(tasks[name], asked.unanswered(), inputs, k=10)
            assert isinstance(asked.answers, Ragged)
            evidence = ranking_evidence(answers, asked.answers, ks=(10,))
            values.append(float(evidence.per_row["ndcg@10"].mean()))
        return float(np.mean(values))

    return judge


def first_moment(validation: Mapping[str, Questions]) -> int:
    """The earliest validation question: what settings are judged on must be learned before it."""
    return min(int(asked.times.min()) for asked in validation.values())
