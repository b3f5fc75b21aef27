"""Tuning and fitting an engine once, although a blend and its parts all ask for it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

import numpy as np

from shoploom.core.progress import Progress
from shoploom.engines.engine import Engine, Fitted, Inputs
from shoploom.tasks import Questions, Ragged, Task


def tune_once(
    engine: Engine,
    inputs: Inputs,
    tasks: Mapping[str, Task],
    questions: Mapping[str, Questions],
    validation: Mapping[str, Questions],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Engine:
    """``engine.tune``, remembered by the inputs; ``progress`` goes to engines that take it."""
    key = ("tune", *_key(engine, inputs, tasks, questions, seed), _digest(validation))
    how: dict[str, Any] = {"seed": seed, **_told(engine.tune, progress)}
    return inputs.once(key, lambda: engine.tune(inputs, tasks, questions, validation, **how))


def fit_once(
    engine: Engine,
    inputs: Inputs,
    tasks: Mapping[str, Task],
    questions: Mapping[str, Questions],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Fitted:
    """``engine.fit``, remembered by the inputs; ``progress`` goes to engines that take it."""
    key = ("fit", *_key(engine, inputs, tasks, questions, seed))
    how: dict[str, Any] = {"seed": seed, **_told(engine.fit, progress)}
    return inputs.once(key, lambda: engine.fit(inputs, tasks, questions, **how))


def _told(work: Callable[..., Any], progress: Progress | None) -> dict[str, Progress]:
    """The progress as a keyword, for work long enough to take one."""
    takes = progress is not None and "progress" in signature(work).parameters
    return {"progress": progress} if takes and progress is not None else {}


def _key(
    engine: Engine,
    inputs: Inputs,
    tasks: Mapping[str, Task],
    questions: Mapping[str, Questions],
    seed: int,
) -> tuple[str | int, ...]:
    # Settings may hold mappings, which have no hash; their text is as telling.
    named = ", ".join(repr(tasks[name]) for name in sorted(tasks))
    return repr(engine), inputs.until, named, _digest(questions), seed


def _digest(questions: Mapping[str, Questions]) -> str:
    """A hash of who was asked what, when, and of what came."""
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(questions):
        asked = questions[name]
        digest.update(f"{name} {len(asked)} {asked.exclude_seen}".encode())
        digest.update(np.ascontiguousarray(asked.times).tobytes())
        for ids in (asked.users, asked.subjects):
            digest.update("\n".join(map(str, ids if ids is not None else ())).encode())
        if isinstance(asked.answers, Ragged):
            digest.update(np.ascontiguousarray(asked.answers.offsets).tobytes())
            digest.update("\n".join(asked.answers.values.tolist()).encode())
        elif asked.answers is not None:
            digest.update(np.ascontiguousarray(asked.answers).tobytes())
    return digest.hexdigest()
