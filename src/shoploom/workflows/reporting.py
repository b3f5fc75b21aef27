"""Report: gather what a run found and write it as one HTML file."""

from __future__ import annotations

import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from shoploom import __version__
from shoploom.core import columns as c
from shoploom.core.files import fingerprint, read_json, write_json
from shoploom.core.progress import Progress
from shoploom.core.time import DAY_US, iso
from shoploom.workflows.audience import audience_folder
from shoploom.workflows.config import ShopConfig
from shoploom.workflows.controls import CONTROLS
from shoploom.workflows.knockout import KNOCKOUT
from shoploom.workflows.model import Model, load
from shoploom.workflows.price import price_json
from shoploom.workflows.read import content_json
from shoploom.workflows.recommendations import slates_json
from shoploom.workflows.reply import reply_json
from shoploom.workflows.report import ReportData, at_risk, findings, insights, render_report
from shoploom.workflows.run import Run
from shoploom.workflows.segments import segments_json
from shoploom.workflows.tuning import TUNING

CHURN, SPEND = "churn", "spend"
_PACKAGES = ("duckdb", "ibis-framework", "lightgbm", "numpy", "scipy")


def report(config: ShopConfig, run: Run, progress: Progress) -> list[str]:
    """Write ``report.html`` and give back its findings, English sentences, most telling first."""
    content = content_json(run)
    mark = fingerprint(
        *("report", run.fingerprint_of("evaluate"), config.name, config.caveat),
        content if content.exists() else None,
        *_study_files(run),
        *_policy_files(run),
    )
    said = run.folder / "findings.json"
    if not (run.is_done("report", mark) and run.report_html.exists() and said.exists()):
        with progress.step("Write the report"), run.stage("report", mark):
            data = _gather(config, run)
            render_report(data, run.report_html)
            write_json(said, list(data.findings))
    return [finding["en"] for finding in read_json(said)]


def _gather(config: ShopConfig, run: Run) -> ReportData:
    model = load(run.folder)
    quality = read_json(run.quality_json)
    evaluation = {**model.evaluation, "timing": run.stages()}
    content = read_json(content_json(run)) if content_json(run).exists() else {}
    at = model.card["trained_until"]
    shown: dict[str, Any] = insights(model.tables, at, timezone=config.timezone)
    if CHURN in model.tasks and SPEND in model.tasks:
        shown["at_risk"] = customers_at_risk(model, at)
    return ReportData(
        shop={
            "name": config.name,
            "currency": config.currency,
            "caveat": config.caveat,
            "period": quality["period"],
            "generated_at": iso(time.time_ns() // 1000 // DAY_US * DAY_US),
        },
        quality=quality,
        evaluation=evaluation,
        insights=shown,
        findings=findings(
            quality, evaluation, shown, content, currency=config.currency, policies=_policies(run)
        ),
        versions={"shoploom": __version__, **{name: version(name) for name in _PACKAGES}},
        content=content,
        studies=_studies(run),
        policies=_policies(run),
    )


def _study_files(run: Run) -> list[Path]:
    return sorted(
        path
        for study in (KNOCKOUT, CONTROLS, TUNING)
        for path in run.folder.glob(f"{study}/*.json")
    )


def _studies(run: Run) -> dict[str, dict[str, Any]]:
    """By study and engine, what was tried beside the main run."""
    found: dict[str, dict[str, Any]] = {}
    for path in _study_files(run):
        found.setdefault(path.parent.name, {})[path.stem] = read_json(path)
    return found


def _single(run: Run) -> dict[str, Path]:
    """Where each policy that there is one of keeps what it found."""
    return {
        "segments": segments_json(run),
        "price": price_json(run),
        "slates": slates_json(run),
        "reply": reply_json(run),
    }


def _policy_files(run: Run) -> list[Path]:
    single = [path for path in _single(run).values() if path.exists()]
    return [*single, *sorted(audience_folder(run).glob("*.json"))]


def _policies(run: Run) -> dict[str, Any]:
    """What was found of groups, campaigns, prices, slates and replies."""
    found: dict[str, Any] = {
        name: read_json(path) for name, path in _single(run).items() if path.exists()
    }
    kinds = sorted(audience_folder(run).glob("*.json"))
    return found | ({"audience": {path.stem: read_json(path) for path in kinds}} if kinds else {})


def customers_at_risk(model: Model, at: int) -> list[dict[str, Any]]:
    """Who may leave and what is at stake, by the engines that validation chose."""
    churn = model.predict(CHURN)
    spend = model.predict(SPEND, users=list(churn[c.USER_ID]))
    return at_risk(
        model.tables,
        at,
        churn[c.USER_ID].to_numpy(dtype=object),
        churn[model.tasks[CHURN].unit].to_numpy(),
        spend[model.tasks[SPEND].unit].to_numpy(),
        window_days=model.tasks[CHURN].window_days,
    )
