"""Prepare: read a shop's files, clean them, and write checked tables with what was set aside."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shoploom.core.files import fingerprint
from shoploom.core.progress import Progress
from shoploom.tables import Source, prepare_tables, read_tables
from shoploom.workflows.config import ShopConfig, describe
from shoploom.workflows.run import Run

_frames_seen = itertools.count()


def prepare(config: ShopConfig, run: Run, progress: Progress) -> None:
    """Fill ``run.prepared`` unless it already holds these very files cleaned by these rules.

    Raises:
        DataError: a file or column is missing or unreadable; the message says where.
    """
    mark = fingerprint(
        "prepare",
        {
            name: [_identity(source) for source in sources]
            for name, sources in config.tables.items()
        },
        describe(config.cleaning),
        config.timezone,
    )
    if run.is_done("prepare", mark) and run.quality_json.exists():
        return
    with progress.step("Read and clean tables"), run.stage("prepare", mark):
        raw = read_tables(config.tables, timezone=config.timezone)
        now = time.time_ns() // 1000
        prepare_tables(raw, run.prepared, config.cleaning, now=now, progress=progress)


def _identity(source: Source) -> dict[str, Any]:
    """What must stay the same for prepared tables to stay valid."""
    known = {key: value for key, value in describe(source).items() if key != "data"}
    if source.data is not None:
        # A frame in memory may have changed without a trace: never taken as prepared already.
        return {**known, "frame": f"{time.time_ns()}-{next(_frames_seen)}"}
    files = sorted(_files(source.path))
    known["files"] = [[str(p), p.stat().st_size, p.stat().st_mtime_ns] for p in files]
    return known


def _files(path: str | Path | Sequence[str | Path] | None) -> list[Path]:
    if path is None:
        return []
    if isinstance(path, str | Path):
        path = [path]
    found: list[Path] = []
    for part in map(Path, path):
        if part.is_dir():
            found += [child for child in part.rglob("*") if child.is_file()]
        elif part.exists():
            found.append(part)
        elif any(mark in part.name for mark in "*?["):
            found += part.parent.glob(part.name)
    return found
