"""Drift: whether users of today still look like those that the model learned from.

Those who were active in the last week of the data stand for training, each as they were a minute
after their last event; those who are active now, as they are a minute after theirs, are compared
with them, statistic by statistic and answer by answer, by the population stability index
(Siddiqi 2006): the sum over ten bins of ``(p - q) ln(p / q)``. Below .1 nothing has changed, above
.25 something has. Bins are deciles of training, unknown values a bin of their own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.files import fingerprint, read_json, write_json
from shoploom.core.seeds import rng
from shoploom.core.time import DAY_US
from shoploom.serving.bundle import Bundle, question
from shoploom.serving.live import Known, after_last, known
from shoploom.serving.ready import folder_of

DAYS = 7
CHANGED, SOME = 0.25, 0.1
FEWEST = 50  # users that say something

_SAMPLE = 1_000
_BINS = 10
_FLOOR = 1e-3  # a share that is never below: an empty bin is no proof


@dataclass(frozen=True)
class Drift:
    """One number, then and now.

    Attributes:
        name: of a statistic or a task.
        kind: ``statistic`` or ``answer``.
        index: the stability index.
        median_then, median_now: of the known values; None where none is.
    """

    name: str
    kind: str
    index: float
    median_then: float | None
    median_now: float | None


def reference_of(bundle: Bundle) -> dict[str, Any]:
    """Bins and medians of the users who were active when training ended; kept beside the run."""
    path = folder_of(bundle.model) / "reference.json"
    mark = fingerprint("reference", bundle.id, _SAMPLE, DAYS)
    if path.exists() and (saved := read_json(path)).get("fingerprint") == mark:
        return saved
    histories, end = bundle.ready.histories, bundle.ready.histories.end
    rows = histories.active_since(end - DAYS * DAY_US)
    drawn = rng(0, "reference users").permutation(len(rows))[:_SAMPLE]
    users = [known(histories, (), histories.user(int(row)), end) for row in np.sort(rows[drawn])]
    told = _numbers(bundle, users)
    found = {
        "fingerprint": mark,
        "users": len(users),
        "numbers": {name: _binned(kind, values) for name, (kind, values) in told.items()},
    }
    write_json(path, found)
    return found


def drift_of(bundle: Bundle, reference: Mapping[str, Any], users: Sequence[Known]) -> list[Drift]:
    """How far users of today are from those of training, the farthest first; empty below fifty.

    Args:
        bundle: that answers.
        reference: what ``reference_of`` gave for it.
        users: who are active now.
    """
    seen = [user for user in users if user.is_known]
    if min(len(seen), reference["users"]) < FEWEST:
        return []
    found = []
    for name, (kind, values) in _numbers(bundle, seen).items():
        then = reference["numbers"].get(name)
        if then is None:
            continue
        shares = _shares(values, np.array(then["edges"]))
        known = values[np.isfinite(values)]
        median = float(np.median(known)) if len(known) else None
        index = psi(np.array(then["shares"]), shares)
        found.append(Drift(name, kind, index, then["median"], median))
    return sorted(found, key=lambda each: -each.index)


def psi(then: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    """The stability index of two lists of shares.

    >>> psi(np.array([0.5, 0.5]), np.array([0.5, 0.5]))
    0.0
    """
    p, q = np.maximum(now, _FLOOR), np.maximum(then, _FLOOR)
    return float(((p - q) * np.log(p / q)).sum())


def _numbers(bundle: Bundle, users: Sequence[Known]) -> dict[str, tuple[str, NDArray[np.float64]]]:
    """Statistics and answers of users a minute after their last event, by name."""
    then = [after_last(user) for user in users]
    rows = np.vstack([user.statistics.values[0] for user in then]).astype(np.float64)
    names = then[0].statistics.names
    found = {name: ("statistic", rows[:, place]) for place, name in enumerate(names)}
    for name, task in bundle.tasks.items():
        _, asked, fitted = bundle.task(name)
        if task.kind == "ranking" or asked.subjects is not None:
            continue
        told = []
        for user in then:
            asks = question(name, asked, user.user, user.at)
            values = fitted.answer(task, asks, bundle.around.inputs(user)).values
            told.append(np.nan if values is None else float(values[0]))
            time.sleep(0)  # requests go first
        found[f"answer: {name}"] = ("answer", np.array(told))
    return found


def _binned(kind: str, values: NDArray[np.float64]) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(known) else []
    edges = np.asarray(edges, dtype=np.float64)
    return {
        "kind": kind,
        "edges": edges.tolist(),
        "shares": _shares(values, edges).tolist(),
        "median": float(np.median(known)) if len(known) else None,
    }


def _shares(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(n_bins + 1,)`` shares of values by bin, the unknown last."""
    known = np.isfinite(values)
    place = np.searchsorted(edges, values[known], side="right")
    counts = np.bincount(place, minlength=len(edges) + 1)
    return np.append(counts, (~known).sum()) / max(len(values), 1)
