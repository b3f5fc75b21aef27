"""A run folder: finished stages, their fingerprints and timings, and where things lie in it.

A stage counts as done only when its output is whole and its inputs have not changed since, so a
run that was killed or interrupted goes on where it stopped.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shoploom import __version__
from shoploom.core.errors import NotFitted
from shoploom.core.files import read_json, write_json

#: The command that finishes a stage, where it has another name.
_COMMAND = {"ask": "train"}


@dataclass(frozen=True)
class Run:
    """The folder that one run of a shop fills."""

    folder: Path

    @property
    def prepared(self) -> Path:
        return self.folder / "prepared"

    @property
    def quality_json(self) -> Path:
        return self.prepared / "quality.json"

    @property
    def evaluation_json(self) -> Path:
        return self.folder / "evaluation.json"

    @property
    def report_html(self) -> Path:
        return self.folder / "report.html"

    def engine(self, name: str) -> Path:
        """Where the engine fitted on everything lies."""
        return self.folder / "engines" / name

    def judged_engine(self, name: str) -> Path:
        """Where the engine as it was judged lies: fitted on what precedes the test moment."""
        return self.folder / "judged" / name

    def questions(self, task: str, part: str) -> Path:
        """Where a task's questions of ``train``, ``valid`` or ``test`` lie."""
        return self.folder / "questions" / f"{task}.{part}.parquet"

    def answers(self, task: str, engine: str, part: str) -> Path:
        """Where an engine's answers to the ``valid`` or ``test`` questions lie."""
        return self.folder / "answers" / part / f"{task}.{engine}.parquet"

    def stages(self) -> dict[str, dict[str, Any]]:
        """Finished stages by name: fingerprint, wall_s, cpu_s, peak_rss_mb."""
        path = self.folder / "run.json"
        return read_json(path)["stages"] if path.exists() else {}

    def is_done(self, stage: str, fingerprint: str) -> bool:
        """Whether the stage finished with exactly these inputs."""
        return self.stages().get(stage, {}).get("fingerprint") == fingerprint

    def fingerprint_of(self, stage: str) -> str:
        """The fingerprint of a finished stage.

        Raises:
            NotFitted: the stage has not finished in this folder.
        """
        stages = self.stages()
        if stage not in stages:
            raise NotFitted(
                f"expected the stage {stage!r} to be finished in {self.folder}, it is not; "
                f"run `shoploom {_COMMAND.get(stage, stage).split(':')[0]} shop.yaml` first."
            )
        return stages[stage]["fingerprint"]

    @contextmanager
    def stage(self, name: str, fingerprint: str) -> Iterator[None]:
        """Record the stage as done, with its cost, when the block ends well."""
        wall, cpu = time.perf_counter(), _cpu_s()
        yield
        stages = self.stages()
        stages[name] = {
            "fingerprint": fingerprint,
            "wall_s": round(time.perf_counter() - wall, 2),
            "cpu_s": round(_cpu_s() - cpu, 2),
            "peak_rss_mb": peak_rss_mb(),
        }
        write_json(self.folder / "run.json", {"shoploom": __version__, "stages": stages})


def peak_rss_mb() -> int:
    """The largest resident memory this process has had, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
