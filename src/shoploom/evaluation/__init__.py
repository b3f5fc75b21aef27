"""Judging saved answers: metrics, intervals, time splits, calibration, slices, leakage checks.

It never imports an engine, so it can judge anybody's answers.
"""

from shoploom.evaluation.amounts import Deciles, deciles
from shoploom.evaluation.binary import (
    Calibration,
    Gains,
    Threshold,
    auroc,
    calibration,
    gains,
    threshold_by_cost,
    threshold_by_f1,
    threshold_by_share,
)
from shoploom.evaluation.evaluate import evaluate_task
from shoploom.evaluation.intervals import Estimate, mean_interval
from shoploom.evaluation.leakage import Suspect, check_features, check_questions
from shoploom.evaluation.metrics import METRICS, Metric, best_engine, describe
from shoploom.evaluation.score import KS, compare, score
from shoploom.evaluation.slices import head_items, slices
from shoploom.evaluation.splits import TimeSplit, check_split, time_split

__all__ = [
    "KS",
    "METRICS",
    "Calibration",
    "Deciles",
    "Estimate",
    "Gains",
    "Metric",
    "Suspect",
    "Threshold",
    "TimeSplit",
    "auroc",
    "best_engine",
    "calibration",
    "check_features",
    "check_questions",
    "check_split",
    "compare",
    "deciles",
    "describe",
    "evaluate_task",
    "gains",
    "head_items",
    "mean_interval",
    "score",
    "slices",
    "threshold_by_cost",
    "threshold_by_f1",
    "threshold_by_share",
    "time_split",
]
