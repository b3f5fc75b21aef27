"""Look-alike audiences: who is like the users that a file names, told by z."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, NotFitted
from shoploom.core.files import write_json
from shoploom.core.progress import Progress
from shoploom.core.time import iso
from shoploom.engines import Inputs
from shoploom.policies.lookalike import look_alike
from shoploom.sequences import views
from shoploom.tables import open_tables
from shoploom.workflows.audience import reachable
from shoploom.workflows.config import ShopConfig
from shoploom.workflows.model import load
from shoploom.workflows.run import Run
from shoploom.workflows.user_features import user_features

if TYPE_CHECKING:
    import pandas as pd

LIKENESS = "likeness"
_PARTS_OF_Z = 16
_RFM = ("purchase_recency_days", "orders", "spend")


@dataclass(frozen=True)
class LookAlikes:
    """Who is alike, most alike first.

    Attributes:
        users: ``user_id`` and ``likeness``; seeds are left out.
        about: JSON-able: users, seeds, ``auroc`` and ``lift`` by what is read of users.
    """

    users: pd.DataFrame
    about: dict[str, Any]


def lookalike(
    config: ShopConfig,
    run: Run,
    progress: Progress,
    seeds: Path,
    *,
    size: int = 1000,
    active_days: int = 90,
) -> LookAlikes:
    """The users who are most like those of a file, among those who have agreed to ads.

    Likeness is told by statistics of what users did and, where engines were trained, by z;
    whichever of them, or both together, knows seeds best that were not met is taken. Recency,
    frequency and money alone stand beside it.

    Raises:
        NotFitted: the shop has not been prepared.
        ConfigError: the file is missing, or names nobody whom the shop knows.
        DataError: too few are named.
    """
    import pandas as pd

    if size < 1:
        raise ConfigError(f"--size: expected at least 1, got {size}.")
    run.fingerprint_of("prepare")
    tables = open_tables(run.prepared)
    at = int(tables.events[c.TIME].max().to_pyarrow().as_py()) + 1
    inputs = Inputs(until=at, tables=tables, **views(tables))
    named = read_users(seeds)
    fine = reachable(tables, at, active_days)
    sequences = inputs.sequences(at)
    users = np.array([str(user) for user in sequences.users.ids], dtype=object)
    is_seed = np.isin(users.astype(str), np.array(sorted(named), dtype=str))
    if not is_seed.any():
        raise ConfigError(
            f"{seeds.name}: expected users whom the shop knows, found none of {len(named):,}."
        )
    blocks = {"statistics": _statistics(inputs, tables, users, at)}
    with progress.step("Read what is known of users"):
        try:
            z = load(run.folder).represent(users.tolist(), at=iso(at), latest=True)
            blocks["z"] = _main_parts(z)
        except NotFitted:
            progress.note("nothing was trained: users are compared by their statistics alone.")
    told = {"all": np.hstack(list(blocks.values())), **blocks}
    told["recency, frequency, money"] = _rfm(inputs, users, at)
    with progress.step("Find who is alike, and measure it on seeds that were not met"):
        found = {
            name: look_alike(np.nan_to_num(x).astype(np.float64), is_seed, users, seed=config.seed)
            for name, x in told.items()
        }
    best = max(list(told)[:-1], key=lambda name: found[name].auroc.value)
    alike = found[best].chance
    wanted = ~is_seed & np.isin(users.astype(str), fine.astype(str))
    order = np.argsort(-np.where(wanted, alike, -1), kind="stable")[: min(size, int(wanted.sum()))]
    about = {
        "users": len(users),
        "seeds": int(is_seed.sum()),
        "unknown": len(named) - int(is_seed.sum()),
        "by": best,
        "auroc": {name: each.auroc.as_list() for name, each in found.items()},
        "lift": {name: each.lift for name, each in found.items()},
        "named": len(order),
    }
    write_json(run.folder / "lookalike.json", about)
    return LookAlikes(pd.DataFrame({c.USER_ID: users[order], LIKENESS: alike[order]}), about)


def read_users(path: Path) -> set[str]:
    """The user ids of a CSV or Parquet file with a column ``user_id``.

    Raises:
        ConfigError: it is missing, or has no such column.
    """
    import pyarrow.csv as pacsv
    import pyarrow.parquet as pq

    if not path.exists():
        raise ConfigError(f"--seeds: expected a file with a column user_id, found none at {path}.")
    table = pq.read_table(path) if path.suffix == ".parquet" else pacsv.read_csv(path)
    if c.USER_ID not in table.column_names:
        raise ConfigError(
            f"{path.name}: expected a column user_id, got {', '.join(table.column_names)}."
        )
    return {str(user) for user in table[c.USER_ID].to_pylist() if user is not None}


def _main_parts(z: NDArray) -> NDArray:
    """Principal components of z: some hundred seeds bear no more numbers."""
    away = z - z.mean(axis=0)
    _, _, axes = np.linalg.svd(away, full_matrices=False)
    return away @ axes[:_PARTS_OF_Z].T


def _statistics(inputs: Inputs, tables: Any, users: NDArray[np.object_], at: int) -> NDArray:
    """Statistics, logarithms where they have long tails, and attributes."""
    known = user_features(inputs, tables, users, np.full(len(users), at))
    return np.sign(known) * np.log1p(np.abs(known))


def _rfm(inputs: Inputs, users: NDArray[np.object_], at: int) -> NDArray:
    names = inputs.statistics(at).names
    columns = [names.index(name) for name in _RFM if name in names]
    return np.log1p(np.nan_to_num(inputs.statistics(at).take(users)[:, columns], nan=1e3))
