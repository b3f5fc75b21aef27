"""What a run has found, as pages show it: read once per run, computed once where it must be."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from shoploom.core.errors import ShoploomError
from shoploom.core.files import fingerprint, one_at_a_time, read_json, write_json
from shoploom.serving.bundle import Bundle
from shoploom.serving.ready import folder_of
from shoploom.workflows.audience import audience_folder
from shoploom.workflows.model import Model, load
from shoploom.workflows.price import price_json
from shoploom.workflows.read import content_json
from shoploom.workflows.recommendations import slates_json
from shoploom.workflows.reply import reply_json
from shoploom.workflows.report import insights
from shoploom.workflows.reporting import CHURN, SPEND, customers_at_risk
from shoploom.workflows.segments import segments_json

log = logging.getLogger("shoploom.serving")

_AT_RISK = 50


class Facts:
    """Documents of one run.

    Args:
        bundle: of the run.
    """

    def __init__(self, bundle: Bundle):
        self._bundle, self._run = bundle, bundle.run
        self._lock = threading.Lock()
        self._held: dict[Path, tuple[int, Any]] = {}

    @property
    def quality(self) -> dict[str, Any]:
        """``quality.json``."""
        return self._read(self._run.quality_json) or {}

    @property
    def evaluation(self) -> dict[str, Any]:
        """``evaluation.json``."""
        return self._read(self._run.evaluation_json) or {}

    @property
    def findings(self) -> list[dict[str, str]]:
        """Sentences of the report."""
        return self._read(self._run.folder / "findings.json") or []

    @property
    def content(self) -> dict[str, Any]:
        """``content.json``."""
        return self._read(content_json(self._run)) or {}

    @property
    def segments(self) -> dict[str, Any] | None:
        """``segments.json``."""
        return self._read(segments_json(self._run))

    @property
    def price(self) -> dict[str, Any] | None:
        """``price.json``."""
        return self._read(price_json(self._run))

    @property
    def reply(self) -> dict[str, Any] | None:
        """``reply.json``."""
        return self._read(reply_json(self._run))

    @property
    def slates(self) -> dict[str, Any] | None:
        """``slates.json``."""
        return self._read(slates_json(self._run))

    @property
    def campaigns(self) -> dict[str, dict[str, Any]]:
        """What was found of each campaign, by kind."""
        found = sorted(audience_folder(self._run).glob("*.json"))
        return {path.stem: self._read(path) for path in found}

    @property
    def past(self) -> dict[str, Any] | None:
        """Insights of the run's data and customers at risk; None until ``gather`` has been."""
        path = self._past_path
        saved = self._read(path) if path.exists() else None
        return saved if saved and saved["fingerprint"] == self._mark else None

    def gather(self) -> None:
        """Have ``past`` computed where it has not been: seconds to a minute.

        A process of its own does it, behind everything else: requests have the processor first,
        and what it needs of memory is given back.
        """
        with self._lock:
            if self.past is not None:
                return
            command = [sys.executable, "-m", __name__, str(self._run.folder), self._mark]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                log.warning("the run's past could not be told: %s", done.stderr[-500:])

    @property
    def _past_path(self) -> Path:
        return folder_of(self._bundle.model) / "past.json"

    @property
    def _mark(self) -> str:
        return past_mark(self._bundle)

    def _read(self, path: Path) -> Any:
        """A document, read again when it has changed; None where there is none."""
        try:
            changed = path.stat().st_mtime_ns
        except OSError:
            return None
        held = self._held.get(path)
        if held is None or held[0] != changed:
            held = self._held[path] = (changed, read_json(path))
        return held[1]


def past_mark(bundle: Bundle) -> str:
    """What ``past.json`` of a bundle is signed with."""
    return fingerprint("past", bundle.id)


def tell_past(folder: Path, mark: str) -> None:
    """Write ``past.json`` of a run: insights of its data, and the customers at risk."""
    model = load(folder)
    path = folder_of(model) / "past.json"
    with one_at_a_time(path):
        if not path.exists() or read_json(path).get("fingerprint") != mark:
            write_json(path, _past(model, mark))


def _past(model: Model, mark: str) -> dict[str, Any]:
    at = model.card["trained_until"]
    found: dict[str, Any] = {"fingerprint": mark, "at_risk": None}
    found["insights"] = insights(model.tables, at)
    if CHURN in model.tasks and SPEND in model.tasks:
        try:
            found["at_risk"] = customers_at_risk(model, at)[:_AT_RISK]
        except ShoploomError as error:  # an engine that is gone since
            log.warning("%s", error)
    return found


if __name__ == "__main__":
    os.nice(10)
    tell_past(Path(sys.argv[1]), sys.argv[2])
