"""Parts of a report in the formats of docs/architecture.md, small and made up."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from shoploom.workflows.report import ReportData, findings

WINDOW_DAYS = 28

SHOP = {
    "name": "Corner & Sons <Ltd>",
    "currency": "EUR",
    "caveat": {"en": "Made-up data.", "zh": "虚构数据。"},
    "period": {"first": "2024-01-01T08:00:00Z", "last": "2024-04-09T19:30:00Z", "days": 100},
    "generated_at": "2024-04-10",
}


def quality() -> dict[str, Any]:
    """A quality.json: 100 days, a few rows set aside, one bot."""
    days = [(date(2024, 1, 1) + timedelta(days=n)).isoformat() for n in range(100)]
    events = [40 + n % 7 for n in range(100)]
    return {
        "tables": {
            "events": {
                "rows_read": 4400,
                "rows_kept": 4300,
                "rows_quarantined": 100,
                "rows_repaired": 20,
                "reasons": {"exact duplicate": 60, "bot": 40},
                "repairs": {"quantity filled with 1": 20},
                "columns": {"user_id": 1.0, "price": 0.98, "query": 0.0},
            },
            "items": {
                "rows_read": 50,
                "rows_kept": 50,
                "rows_quarantined": 0,
                "rows_repaired": 0,
                "reasons": {},
                "repairs": {},
                "columns": {"item_id": 1.0, "title": 0.9},
            },
        },
        "period": SHOP["period"],
        "users": 60,
        "items": 50,
        "actions": {"view": 3000, "cart": 500, "purchase": 800},
        "bots": [{"user_id": "crawler", "events": 40, "max_per_hour": 40}],
        "coverage": {
            "day": days,
            "events": events,
            "users": [9] * 100,
            "purchases": [8] * 100,
            "revenue": [120.5] * 100,
            "quarantined": [1] * 100,
        },
        "bounds": {"price": {"low": 0.5, "high": 400.0, "method": "median and MAD of logs"}},
        "notes": ["3 times were given without an offset and read as UTC."],
    }


def evaluation() -> dict[str, Any]:
    """An evaluation.json: one clear win, one draw, one task where the simple method is chosen."""
    return {
        "split": {
            "train": ["2023-12-20", "2024-01-17"],
            "valid": "2024-02-14",
            "test": "2024-03-13",
            "window_days": WINDOW_DAYS,
            "data_end": "2024-04-10",
        },
        "tasks": {
            "next_item": _task(
                "ranking",
                "ndcg@10",
                {"popularity": 0.08, "personal": 0.20, "cooccurrence": 0.25},
                chosen="cooccurrence",
                more="hr@10",
            ),
            "churn": _task(
                "binary",
                "auroc",
                {"rfm": 0.80, "boosting": 0.81},
                chosen="boosting",
                more="brier",
                calibration=True,
            ),
            "spend": _task(
                "amount",
                "gini",
                {"rfm": 0.80, "boosting": 0.81},
                chosen="rfm",
                more="mae",
                deciles=True,
            ),
        },
        "timing": {
            "prepare": {"wall_s": 1.2, "cpu_s": 1.9},
            "train": {"wall_s": 3.4, "cpu_s": 6.0},
            "peak_rss_mb": 400,
        },
    }


def _task(
    kind: str,
    metric: str,
    values: dict[str, float],
    *,
    chosen: str,
    more: str,
    calibration: bool = False,
    deciles: bool = False,
) -> dict[str, Any]:
    """One task whose engines score ``values``, all with intervals of plus or minus 0.02."""
    results = {
        name: {metric: _estimate(value), more: _estimate(value / 2)}
        for name, value in values.items()
    }
    versus = {
        name: {metric: _estimate(values[chosen] - value), more: [None, None, None]}
        for name, value in values.items()
        if name != chosen
    }
    curve = {"predicted": [0.1, 0.3, 0.6], "observed": [0.05, 0.3, 0.7], "n": [40, 40, 20]}
    tenths = {"predicted": [1.0, 5.0, 30.0], "actual": [2.0, 4.0, 33.0], "n": [20, 20, 20]}
    return {
        "kind": kind,
        "unit": {"ranking": "items", "binary": "probability", "amount": "currency"}[kind],
        "window_days": WINDOW_DAYS,
        "metric": metric,
        "n": 100,
        "users": 60,
        "base_rate": 0.27 if calibration else None,
        "chosen": chosen,
        "best": max(values, key=lambda name: values[name]),
        "results": results,
        "versus": versus,
        "slices": {
            "user": {
                "new": {"n": 30, "results": results},
                "returning": {"n": 70, "results": results},
            }
        },
        "calibration": {name: {**curve, "ece": 0.03} for name in values} if calibration else {},
        "threshold": {name: {"value": 0.4, "rule": "best F1"} for name in values}
        if calibration
        else {},
        "deciles": dict.fromkeys(values, tenths) if deciles else {},
    }


def _estimate(value: float) -> list[float]:
    return [round(value, 4), round(value - 0.02, 4), round(value + 0.02, 4)]


def report_data(insights: dict[str, Any], **changes: Any) -> ReportData:
    """A whole report around the given insights."""
    parts = {"shop": SHOP, "quality": quality(), "evaluation": evaluation(), "insights": insights}
    parts |= changes
    said = findings(parts["quality"], parts["evaluation"], insights, currency="EUR")
    return ReportData(**{"findings": said, "versions": {"shoploom": "0.1.0"}, **parts})
