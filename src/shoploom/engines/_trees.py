"""Gradient-boosted trees on a matrix of numbers, by LightGBM: grow, choose settings, predict.

Plain arrays in, plain arrays out: this module knows the four losses that tasks need and makes
degenerate data (few rows, one answer only, constant columns) give the base rate instead of a
crash. It knows nothing of users or tasks.

Source: Ke et al. (2017), "LightGBM: a highly efficient gradient boosting decision tree", NeurIPS.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.core.seeds import rng

if TYPE_CHECKING:
    import lightgbm as lgb

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]

#: The loss of each kind of task, in LightGBM's words. Its mean is the answer for constant trees.
LOSSES = {"binary": "binary", "multilabel": "binary", "count": "poisson", "amount": "tweedie"}

#: Variance of an amount grows with this power of its mean: from 1 (counts) to 2 (gamma). Low
#: powers listen more to big spenders; 1.2 beat 1.5 in error and order on grocery baskets.
_TWEEDIE_POWER = 1.2

#: Statistics of users need no finer bins: 63 lost nothing against 255 (docs/experiments.md).
_BINNING = {"max_bin": 63, "feature_pre_filter": False, "verbosity": -1}

#: Settings are compared on at most so many rows; only the search is sampled, never the fit.
_SEARCH_ROWS = 50_000

#: Stop after so many rounds without a better validation loss.
_PATIENCE = 40


@dataclass(frozen=True)
class TreeSettings:
    """How trees are grown.

    Attributes:
        rounds: trees per model; ``choose`` sets it by early stopping.
        learning_rate: the step of each tree.
        leaves: leaves per tree, the order of interaction that a tree can hold.
        min_rows: rows a leaf needs at least.
        feature_fraction: share of columns that a tree may look at.
        row_fraction: share of rows that a tree is grown on.
        l2: ridge penalty on leaf values.
        bags: models averaged, each with a seed of its own.
    """

    rounds: int = 150
    learning_rate: float = 0.05
    leaves: int = 8
    min_rows: int = 50
    feature_fraction: float = 0.5
    row_fraction: float = 0.7
    l2: float = 5.0
    bags: int = 1

    def parameters(self, loss: str, seed: int) -> dict[str, Any]:
        """LightGBM's parameters, deterministic for a seed."""
        return {
            "objective": loss,
            "tweedie_variance_power": _TWEEDIE_POWER,
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": self.min_rows,
            "feature_fraction": self.feature_fraction,
            "bagging_fraction": self.row_fraction,
            "bagging_freq": 1,
            "lambda_l2": self.l2,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            **_BINNING,
        }


@dataclass(frozen=True)
class Trees:
    """Grown models whose average answers.

    Attributes:
        loss: LightGBM's name of the loss they were grown for.
        models: each model in LightGBM's own text format; empty when nothing could be learned.
        level: the raw score where there are no models: the log or logit of the base rate, or of
            the factor on the start values.
    """

    loss: str
    models: tuple[str, ...]
    level: float = 0.0

    @cached_property
    def boosters(self) -> tuple[lgb.Booster, ...]:
        """The models, ready to predict."""
        import lightgbm as lgb

        return tuple(lgb.Booster(model_str=text) for text in self.models)

    def predict(self, features: Matrix, start: Floats | None = None) -> Floats:
        """``(n,)`` expected targets: probabilities for binary, else in the target's unit.

        Args:
            features: ``(n, n_features)``, NaN where unknown, columns as when grown.
            start: ``(n,)`` expectations that the trees correct, when grown from such.
        """
        raw = np.full(len(features), self.level)
        if self.boosters and len(features):
            each = [np.asarray(model.predict(features, raw_score=True)) for model in self.boosters]
            raw = np.mean(each, axis=0)
        if start is not None:
            raw = raw + _raw(start, self.loss)
        if self.loss == "binary":
            return 1 / (1 + np.exp(-np.clip(raw, -700, 700)))
        return np.exp(raw)

    def added(self, features: Matrix, start: Floats | None = None) -> tuple[Floats, Floats]:
        """``(n, n_features)`` what each feature adds to the raw score, and ``(n,)`` the rest of it.

        Shapley values of the trees (Lundberg and others 2020), the mean over models.
        """
        base = np.full(len(features), self.level)
        added = np.zeros(features.shape)
        if self.boosters and len(features):
            told = np.mean(
                [np.asarray(m.predict(features, pred_contrib=True)) for m in self.boosters], axis=0
            )
            added, base = told[:, :-1], told[:, -1]
        return added, base if start is None else base + _raw(start, self.loss)

    def gains(self, n_features: int) -> Floats:
        """``(n_features,)`` shares of the loss that each column removed, summing to 1 or all 0."""
        total = np.zeros(n_features)
        for model in self.boosters:
            total += model.feature_importance("gain")
        return total / (total.sum() or 1.0)


def grow(
    features: Matrix,
    targets: Floats,
    kind: str,
    settings: TreeSettings,
    *,
    seed: int,
    start: Floats | None = None,
) -> Trees:
    """Trees that expect ``targets`` from ``features``.

    Args:
        features: ``(n, n_features)`` float32, NaN where unknown.
        targets: ``(n,)``; 0 or 1 for binary and multilabel, never negative otherwise.
        kind: a key of ``LOSSES``.
        settings: how to grow.
        seed: the same seed and data give the same trees.
        start: ``(n,)`` positive expectations to begin from, which the trees then correct by a
            factor (or, for binary, an odds ratio) that depends on the features.

    Raises:
        DataError: there are no rows, or a target is impossible for the kind.
    """
    import lightgbm as lgb

    loss = LOSSES[kind]
    _check(targets, kind)
    if targets.min() == targets.max():
        return Trees(loss, (), _level(targets, loss, start))
    data = _dataset(features, targets, start, loss)
    models = tuple(
        lgb.train(settings.parameters(loss, seed + bag), data, settings.rounds).model_to_string()
        for bag in range(settings.bags)
    )
    return Trees(loss, models)


def choose(
    train: tuple[Matrix, Floats],
    valid: tuple[Matrix, Floats],
    kind: str,
    candidates: Iterable[TreeSettings],
    *,
    seed: int,
    starts: tuple[Floats | None, Floats | None] = (None, None),
) -> TreeSettings:
    """The candidate with the least validation loss, its rounds set by early stopping.

    Args:
        train: features and targets, as in ``grow``.
        valid: the same of the rows that judge.
        kind: a key of ``LOSSES``.
        candidates: settings to try; their ``rounds`` are the most that may be grown.
        seed: of the random choices of rows and columns.
        starts: expectations to begin from, of the training and the validation rows.

    With a single answer in either part there is nothing to compare: the first candidate.
    """
    import lightgbm as lgb

    loss = LOSSES[kind]
    candidates = list(candidates)
    for _, targets in (train, valid):
        _check(targets, kind)
        if targets.min() == targets.max():
            return candidates[0]
    data = _dataset(*_sampled(*train, starts[0], seed), loss)
    judged = _dataset(*_sampled(*valid, starts[1], seed), loss, reference=data)
    metric = "binary_logloss" if loss == "binary" else loss
    best, least = candidates[0], np.inf
    for settings in candidates:
        booster = lgb.train(
            {**settings.parameters(loss, seed), "metric": metric},
            data,
            settings.rounds,
            valid_sets=[judged],
            valid_names=["valid"],
            callbacks=[lgb.early_stopping(_PATIENCE, verbose=False)],
        )
        value = booster.best_score["valid"][metric]
        if value < least:
            best, least = replace(settings, rounds=max(booster.best_iteration, 1)), value
    return best


def _sampled(
    features: Matrix, targets: Floats, start: Floats | None, seed: int
) -> tuple[Matrix, Floats, Floats | None]:
    """At most ``_SEARCH_ROWS`` of the rows, in their order."""
    if len(features) <= _SEARCH_ROWS:
        return features, targets, start
    draw = rng(seed, "boosting search").choice(len(features), _SEARCH_ROWS, replace=False)
    rows = np.sort(draw)
    return features[rows], targets[rows], None if start is None else start[rows]


def _dataset(
    features: Matrix,
    targets: Floats,
    start: Floats | None,
    loss: str,
    *,
    reference: lgb.Dataset | None = None,
) -> lgb.Dataset:
    import lightgbm as lgb

    return lgb.Dataset(
        features,
        targets,
        init_score=None if start is None else _raw(start, loss),
        reference=reference,
        params=_BINNING,
        free_raw_data=False,
    )


def _check(targets: Floats, kind: str) -> None:
    if len(targets) == 0:
        raise DataError(f"boosting expected {kind} questions with answers to learn from, got none.")
    low, high = float(targets.min()), float(targets.max())
    ceiling = 1.0 if LOSSES[kind] == "binary" else np.inf
    if not (low >= 0 and high <= ceiling and np.isfinite(high)):
        raise DataError(
            f"boosting expected {kind} answers from 0 to {ceiling:g}, got {low:g} to {high:g}; "
            "check how the task counts them."
        )


def _raw(expected: Floats | float, loss: str) -> Floats:
    """The log of an expectation, or the logit of a probability, kept finite."""
    expected = np.maximum(expected, 1e-12)
    if loss == "binary":
        expected = np.minimum(expected, 1 - 1e-12)
        return np.log(expected) - np.log1p(-expected)
    return np.log(expected)


def _level(targets: Floats, loss: str, start: Floats | None) -> float:
    """The raw score of the mean answer, where every answer is the same."""
    if start is None:
        # One pseudo-answer of the other kind: never seen is not impossible.
        n, mean = len(targets), float(targets.mean())
        return float(_raw((n * mean + 0.5) / (n + 1) if loss == "binary" else mean, loss))
    return float(_raw(targets.mean(), loss) - _raw(start.mean(), loss))
