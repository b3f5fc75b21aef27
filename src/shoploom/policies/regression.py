"""Boosted trees for what policies have to guess: any real number or a yes or no, with weights.

Everything that is estimated here goes into an estimate of something else, so what a row is told
must come from other people's rows: ``cross_fit`` takes care of that (Chernozhukov and others 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.seeds import rng

if TYPE_CHECKING:
    import lightgbm as lgb

Floats = NDArray[np.float64]
Matrix = NDArray[np.floating]

_FOLDS = 5


@dataclass(frozen=True)
class Boosting:
    """How trees are grown: many small careful ones, since effects are small beside noise.

    Attributes:
        rounds: trees.
        learning_rate: the step of each.
        leaves: of each.
        min_rows: in a leaf.
    """

    rounds: int = 150
    learning_rate: float = 0.04
    leaves: int = 8
    min_rows: int = 100


@dataclass(frozen=True)
class Regression:
    """What was learned; a constant where nothing could be.

    Attributes:
        booster: LightGBM's, None for a constant.
        level: the constant.
    """

    booster: lgb.Booster | None
    level: float

    def predict(self, features: Matrix) -> Floats:
        """``(n,)`` expected targets."""
        if self.booster is None or not len(features):
            return np.full(len(features), self.level)
        return np.asarray(self.booster.predict(features), dtype=np.float64)


@dataclass(frozen=True)
class Mixture:
    """A weighted sum of regressions.

    Attributes:
        parts: weights and regressions.
        level: what is added to their sum.
    """

    parts: tuple[tuple[float, Regression], ...]
    level: float = 0.0

    def __call__(self, features: Matrix) -> Floats:
        """``(n,)`` the sum."""
        out = np.full(len(features), self.level)
        for weight, part in self.parts:
            out += weight * part.predict(features)
        return out

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[np.uint8]]]:
        """JSON, and arrays by name, that ``from_state`` makes it from again."""
        arrays, parts = {}, []
        for number, (weight, part) in enumerate(self.parts):
            if part.booster is not None:
                text = part.booster.model_to_string()
                arrays[f"model.{number}"] = np.frombuffer(text.encode(), dtype=np.uint8)
            parts.append([weight, part.level, part.booster is not None])
        return {"parts": parts, "level": self.level}, arrays

    @classmethod
    def from_state(cls, config: dict[str, Any], arrays: Mapping[str, NDArray[np.uint8]]) -> Mixture:
        """What gave this state."""
        import lightgbm as lgb

        parts = []
        for number, (weight, level, grown) in enumerate(config["parts"]):
            booster = None
            if grown:
                booster = lgb.Booster(model_str=arrays[f"model.{number}"].tobytes().decode())
            parts.append((weight, Regression(booster, level)))
        return cls(tuple(parts), config["level"])


def regress(
    features: Matrix,
    target: NDArray,
    *,
    weight: NDArray | None = None,
    seed: int = 0,
    settings: Boosting | None = None,
) -> Regression:
    """The mean of ``target`` given ``features``.

    Targets of 0 and 1 alone are learned by the logistic loss, others by squares.

    Args:
        features: ``(n, n_features)``, NaN where unknown.
        target: ``(n,)`` finite.
        weight: ``(n,)`` of each row; None weighs all alike.
        seed: the same gives the same trees.
        settings: of the trees; None takes the defaults.
    """
    import lightgbm as lgb

    settings = settings or Boosting()
    level = float(np.average(target, weights=weight)) if len(target) else 0.0
    # What cannot be split twice has nothing but its mean.
    if len(target) < 2 * settings.min_rows or np.ptp(target) == 0 or not features.shape[1]:
        return Regression(None, level)
    parameters: dict[str, Any] = {
        "objective": "binary" if np.isin(target, (0, 1)).all() else "regression",
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.min_rows,
        "feature_fraction": 0.7,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambda_l2": 5.0,
        "max_bin": 63,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    data = lgb.Dataset(features, target, weight=weight, params=parameters)
    return Regression(lgb.train(parameters, data, settings.rounds), level)


def folds_of(users: NDArray[np.object_], seed: int, n_folds: int = _FOLDS) -> NDArray[np.int64]:
    """``(n,)`` fold of each row; all rows of a user are in one."""
    distinct, code = np.unique(users.astype(str), return_inverse=True)
    drawn = rng(seed, "folds of users").permutation(len(distinct)) % n_folds
    return drawn[code]


def cross_fit(
    folds: NDArray[np.int64],
    fit: Callable[[NDArray[np.intp]], Callable[[NDArray[np.intp]], NDArray[np.float64]]],
    width: int | None = None,
) -> NDArray[np.float64]:
    """``(n,)`` or ``(n, width)`` predictions of each row by what other folds taught.

    Args:
        folds: ``(n,)`` of each row.
        fit: from rows to learn from to what predicts other rows.
        width: of a prediction, where it is more than a number.
    """
    shape = (len(folds),) if width is None else (len(folds), width)
    out = np.empty(shape)
    for fold in np.unique(folds):
        inside = np.flatnonzero(folds == fold)
        out[inside] = fit(np.flatnonzero(folds != fold))(inside)
    return out
