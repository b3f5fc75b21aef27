"""The main job: prepare, encode, read, train, evaluate, report; what is unchanged is not redone."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shoploom.core.progress import Progress, Quiet
from shoploom.workflows.config import ShopConfig, choose
from shoploom.workflows.encode import encode
from shoploom.workflows.evaluate import evaluate
from shoploom.workflows.model import Model
from shoploom.workflows.prepare import prepare
from shoploom.workflows.read import read
from shoploom.workflows.reporting import report
from shoploom.workflows.run import Run
from shoploom.workflows.shop import Shop
from shoploom.workflows.train import train


@dataclass(frozen=True)
class Done:
    """What the main job leaves: where the report lies, and its findings in plain words."""

    report: Path
    findings: list[str]


def run_all(config: ShopConfig, progress: Progress) -> Done:
    """Take a shop from its files to a report."""
    run = Run(config.run)
    prepare(config, run, progress)
    encode(config, run, progress)
    read(config, run, progress)
    train(config, run, progress)
    evaluate(config, run, progress)
    findings = report(config, run, progress)
    return Done(run.report_html, findings)


def fit(
    shop: Shop,
    tasks: Sequence[str] | Mapping[str, Mapping[str, Any]] | None = None,
    *,
    engines: Sequence[str] | Mapping[str, Mapping[str, Any]] | None = None,
    run: Path | str | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
) -> Model:
    """A trained and judged model of the shop.

    Args:
        shop: where the tables come from.
        tasks: names, or settings by name; what the shop names (or the defaults) if None.
        engines: likewise.
        run: the folder to fill; None means the shop's own for a shop.yaml, and a temporary folder
            that lives as long as the model for tables in memory (``model.save`` keeps it).
        seed: decides everything random.
        progress: where to report; nowhere when None (``core.progress.Terminal()`` draws bars).

    Raises:
        ShoploomError: settings or data are unusable; the message says where and what to do.
    """
    config = choose(shop.config, tasks=tasks, engines=engines)
    temporary = None
    if run is None and any(s.data is not None for part in config.tables.values() for s in part):
        run = temporary = tempfile.mkdtemp(prefix="shoploom-")
    config = replace(
        config,
        run=config.run if run is None else Path(run),
        seed=config.seed if seed is None else seed,
    )
    progress = progress or Quiet()
    folder = Run(config.run)
    prepare(config, folder, progress)
    encode(config, folder, progress)
    train(config, folder, progress)
    evaluate(config, folder, progress)
    model = Model(folder)
    if temporary is not None:
        weakref.finalize(model, shutil.rmtree, temporary, ignore_errors=True)
    return model
