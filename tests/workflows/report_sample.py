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


#: Two thumbnails beside each other, a red one and a blue one, 40 pixels wide.
SPRITE = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAFAAAAAoAQMAAABTru9CAAAABlBMVEXIHh4ePMjHPpFe"
    "AAAAG0lEQVR42mNkYGBgYPjPwMDAwMQAB6PMwc4EAPbVAU+/ANrHAAAAAElFTkSuQmCC"
)


def content(text: str = "Well made, slow to arrive.", title: str = "Brass vase") -> dict[str, Any]:
    """A content.json with every part, in which reviews say ``text`` of an item called ``title``."""
    example = {"text": text, "item_id": "i1", "title": title, "time": "2024-03-02T10:00:00Z"}
    weeks = {
        "time": ["2024-03-04", "2024-03-11", "2024-03-18"],
        "positive": [0.7, None, 0.5],
        "stars": [4.1, None, 3.9],
        "n": [12, 0, 20],
    }
    modality = {"n": 10, "present": 9, "unreadable": 1, "reasons": {text: 1}, "duplicates": 2}
    cells = [
        {"item_id": "i1", "title": title, "category": "Home > Vases", "price": 30.5},
        {"item_id": "i2", "title": None, "category": text, "price": None},
    ]
    return {
        "coverage": {
            "modalities": [{"name": "items.photo", **modality}, {"name": text, **modality}],
            "languages": {"en": 0.6, "zh": 0.3, "other": 0.1},
        },
        "sentiment": {
            "judged": {
                "n": 200,
                "from": "2024-03-01T00:00:00Z",
                "reader": "e5",
                "accuracy": {
                    "reader": [0.95, 0.93, 0.97],
                    "tfidf": [0.90, 0.88, 0.92],
                    "majority": [0.71, 0.67, 0.75],
                },
            },
            "weeks": weeks,
            "aspects": [
                {
                    "aspect": aspect,
                    "n": n,
                    "positive": positive,
                    "examples": {"positive": [example], "negative": [example, example]},
                }
                for aspect, n, positive in (("quality", 90, 0.9), ("delivery", 60, 0.55))
            ],
            "disagree": [
                {
                    "item_id": "i1",
                    "title": title,
                    "stars": 4.6,
                    "words": 0.25,
                    "n": 8,
                    "example": text,
                }
            ],
        },
        "map": {
            "columns": 2,
            "rows": 1,
            "cells": [{**cell, "x": k, "y": 0, "sprite": k} for k, cell in enumerate(cells)],
            "sprite": {"data": SPRITE, "size": 40, "columns": 2},
        },
        "interests": {
            "tags": [text, "striped"],
            "users": 60,
            "share": {text: 0.4, "striped": 0.2},
            "profiles": [{"user_id": title, "tags": [[text, 0.5, 2.5], ["striped", 0.25, 1.0]]}],
            "together": [[text, "striped", 1.8]],
        },
        "service": {
            "intents": {"where is my order": 9, text: 3},
            "emotions": {"calm": 8, "angry": 4},
            "confusion": {
                "intent": {"labels": ["where is my order", text], "rows": [[8, 1], [0, 3]]},
                "emotion": {"labels": ["calm", "angry"], "rows": [[7, 1], [0, 0]]},
            },
            "weeks": weeks,
        },
    }


def studies() -> dict[str, Any]:
    """Variants and a search: one source adds, one does not, one method is worse alone."""
    table = {
        "metric": "ndcg@10",
        "n": 900,
        "base": "everything",
        "results": {
            "everything": [0.3, 0.28, 0.32],
            "without image": [0.27, 0.25, 0.29],
            "without text": [0.302, 0.28, 0.33],
            "text alone": [0.27, 0.25, 0.29],
            "ids alone": [0.26, 0.24, 0.28],
        },
        "versus": {
            "without image": [0.03, 0.02, 0.04],
            "without text": [-0.002, -0.01, 0.006],
            "text alone": [0.03, 0.015, 0.045],
            "ids alone": [0.04, 0.02, 0.06],
        },
    }
    weighted = {
        "metric": "log_loss",
        "n": 900,
        "base": "equal",
        "results": {"equal": [0.4, 0.38, 0.42], "single": [0.37, 0.35, 0.39]},
        "versus": {"single": [0.03, 0.01, 0.05]},
    }
    trials = [
        {"number": n, "state": "complete", "gain": gain, "params": {}, "seconds": 3.0}
        for n, gain in enumerate([0.0, -0.03, 0.02, 0.01, 0.035])
    ]
    trials.insert(2, {"number": 9, "state": "pruned", "gain": None, "params": {}, "seconds": 1.0})
    tuned = {"trials": trials, "best": {"gain": 0.035}, "importance": {"dropout": 0.7, "dim": 0.3}}
    return {
        "knockout": {"neural": {"next_item": table}},
        "controls": {"neural": {"churn": weighted}},
        "tuning": {"neural": tuned},
    }


def policies(text: str = "big spenders") -> dict[str, Any]:
    """Two groups of customers, and a campaign whose chosen policy is ahead."""

    def group(users: int, name: str) -> dict[str, Any]:
        return {
            "name": {"en": name, "zh": f"群体{name}"},
            "users": users,
            "share": users / 100,
            "spend_28d": 1234.5,
            "churn_risk": None,
            "habits": {"orders": 2.0},
            "favourites": [
                {"item_id": "i1", "title": text, "image": "", "share": 0.2, "times": 3.0}
            ],
        }

    shares = [n / 100 for n in range(101)]
    estimates = {"snipw": [3.0, 2.5, 3.5], "sndr": [3.1, 2.8, 3.4]}
    policy = {"estimates": estimates, "minus_logged": estimates, "read": "sndr"}
    policy |= {"effective": 900.0, "refused": None}
    explained = {"segments": [0.2, 0.1, 0.3], "rfm": [0.1, 0.05, 0.2], "difference": [0.1, 0, 0.2]}
    return {
        "segments": {
            "segments": [group(60, text), group(40, "new")],
            "weeks": [{"weeks_ago": 1, "stay": 0.97, "stay_without_margin": 0.9}],
            "versus_rfm": {"explained": {"spend": explained, "categories": explained}},
        },
        "audience": {
            "ad": {
                "orders": {
                    text: {
                        "curve": {
                            "share": shares,
                            "gain": [x * (2 - x) for x in shares],
                            "low": [x * (1 - x) for x in shares],
                            "high": [3 * x for x in shares],
                        }
                    }
                },
                "policies": {"chosen": policy, "everybody: none": policy},
                "logged": [2.0, 1.8, 2.2],
                "best_of_the_same_for_all": "everybody: none",
                "chosen_minus_best": [0.5, 0.2, 0.8],
                "refused": None,
                "observational": True,
            }
        },
        "price": {
            "drawn": True,
            "elasticity": [2.1, 1.9, 2.3],
            "naive": 1.2,
            "known": 3,
            "items": 4,
            "proposals": {"raise": 1, "keep": 3},
            "gain": [12.0, 5.0, 20.0],
            "profit": 300.0,
            "discounts": {"protected": "gender", "apart": 0.01, "parity": 0.02},
            "refused": None,
            "judged": {
                "logged": [1.0, 0.9, 1.1],
                "policies": {"proposed": policy, "best tried": policy, "everybody: 1": policy},
            },
            "curves": [
                {
                    "item_id": "i1",
                    "title": text,
                    "price": 10.0,
                    "proposed": 11.0,
                    "cost": 5.0,
                    "competitor": None,
                    "allowed": [9.0, 11.0],
                    "prices": [8.0, 10.0, 12.0],
                    "units": [[12.0, 10.0, 14.0], [10.0, 8.0, 12.0], [8.0, 6.0, 10.0]],
                    "profit": [[36.0, 30.0, 42.0], [50.0, 40.0, 60.0], [56.0, 42.0, 70.0]],
                    "elasticity": [1.5, 0.2],
                    "action": "raise",
                    "reason": "weak response",
                    "bound": "step",
                    "gain": [3.0, 1.0, 5.0],
                }
            ],
        },
        "slates": {
            "k": 10,
            "slates": 100,
            "items": 40,
            "categories": 3.2,
            "estimates": estimates,
            "minus_logged": estimates,
            "logged": [2.0, 1.8, 2.2],
            "read": "snipw",
            "refused": None,
        },
        "reply": {
            "policies": {"chosen": policy, "everybody: facts": policy},
            "logged": [2.0, 1.8, 2.2],
            "learned_from": 500,
            "judged_on": 200,
            "person": 0.2,
            "replies": ["facts", "refund"],
            "matrix": {"where is it": {"facts": 0.8, "refund": 0.3}},
            "refused": None,
        },
    }


def report_data(insights: dict[str, Any], **changes: Any) -> ReportData:
    """A whole report around the given insights."""
    parts = {"shop": SHOP, "quality": quality(), "evaluation": evaluation(), "insights": insights}
    parts |= changes
    said = findings(
        parts["quality"],
        parts["evaluation"],
        insights,
        parts.get("content"),
        currency="EUR",
        policies=parts.get("policies"),
    )
    return ReportData(**{"findings": said, "versions": {"shoploom": "0.1.0"}, **parts})
