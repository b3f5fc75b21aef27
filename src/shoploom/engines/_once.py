"""Tuning and fitting an engine once, although a blend and its parts all ask for it.

What was learned is remembered by the inputs, and by their folder where they have one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from shoploom.core.files import read_json, write_json
from shoploom.core.progress import Progress
from shoploom.engines.engine import ENGINES, Engine, Fitted, Inputs, load_state, save_state
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
    key = ("tuned", *_key(engine, inputs, tasks, questions, seed), _digest(validation))
    how: dict[str, Any] = {"seed": seed, **_told(engine.tune, progress)}

    def make() -> Engine:
        path = _path(engine, inputs, key)
        if path is None:
            return engine.tune(inputs, tasks, questions, validation, **how)
        path = path.with_suffix(".json")
        if not path.exists():
            tuned = engine.tune(inputs, tasks, questions, validation, **how)
            write_json(path, asdict(tuned))  # type: ignore[call-overload]
        # Read back even when just written, so that both are the same to whoever compares them.
        return type(engine)(**read_json(path))

    return inputs.once(key, make)


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
    key = ("fitted", *_key(engine, inputs, tasks, questions, seed))
    how: dict[str, Any] = {"seed": seed, **_told(engine.fit, progress)}

    def make() -> Fitted:
        path = _path(engine, inputs, key)
        if path is not None and path.exists():
            return load_state(path)
        fitted = engine.fit(inputs, tasks, questions, **how)
        _keep(path, engine, fitted)
        return fitted

    return inputs.once(key, make)


def learned_already(
    engine: Engine,
    fitted: Fitted,
    inputs: Inputs,
    tasks: Mapping[str, Task],
    questions: Mapping[str, Questions],
    *,
    seed: int,
) -> None:
    """Let ``fit_once`` give what tuning has fitted on the way, with the settings it chose."""
    key = ("fitted", *_key(engine, inputs, tasks, questions, seed))

    def make() -> Fitted:
        _keep(_path(engine, inputs, key), engine, fitted)
        return fitted

    inputs.once(key, make)


def _path(engine: Engine, inputs: Inputs, key: tuple[str | int, ...]) -> Path | None:
    """Where something learned is kept; None without a folder, or for an engine without a name."""
    name = ENGINES.name_of(type(engine))
    if inputs.kept is None or name is None:
        return None
    digest = hashlib.blake2b(repr(key).encode(), digest_size=12).hexdigest()
    return inputs.kept / f"{key[0]}-{name}-{digest}"


def _keep(path: Path | None, engine: Engine, fitted: Fitted) -> None:
    if path is not None:
        save_state(path, ENGINES.name_of(type(engine)) or "", fitted.state())


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
