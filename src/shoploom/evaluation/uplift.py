"""Judging who is moved by a treatment, where a draw by known chances decided who got it.

Nobody is seen both treated and not, so no prediction of uplift is right or wrong for one person:
orders of people are judged. Going down an order, ``gain(q)`` is what treating the first share q
brings per person of everybody: q times the difference of the means of treated and untreated among
them, each weighted by the inverse of its chance (Radcliffe 2007, with the weights of Hajek 1971).

``auuc`` is the mean of the gain over q, ``qini`` that minus the same for a random order, which is
half of ``gain(1)``; ``uplift@10`` the effect among the first tenth, ``effect`` that on everybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.core.seeds import rng
from shoploom.evaluation.intervals import (
    Estimate,
    Measure,
    Owners,
    Resampled,
    Weights,
    ratio,
    resample,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

METRICS = ("auuc", "qini", "uplift@10", "uplift@30", "effect")

_STEPS = 100  # shares that gains are taken at
_FEWEST = 30  # treated, and untreated, that anything is said from


@dataclass(frozen=True)
class Trial:
    """``n`` people whom a draw treated or not.

    Attributes:
        users: ``(n,)`` object array; intervals are over users.
        treated: ``(n,)`` bool.
        outcome: ``(n,)`` what was hoped for.
        propensity: ``(n,)`` the chance that each had to be treated, strictly between 0 and 1.
    """

    users: NDArray[np.object_]
    treated: NDArray[np.bool_]
    outcome: NDArray[np.float64]
    propensity: NDArray[np.float64]

    def __post_init__(self) -> None:
        n = len(self.users)
        for name in ("treated", "outcome", "propensity"):
            if getattr(self, name).shape != (n,):
                raise DataError(
                    f"uplift: expected {name} of shape ({n},), got {getattr(self, name).shape}."
                )
        for name, count in (("treated", self.treated.sum()), ("untreated", (~self.treated).sum())):
            if count < _FEWEST:
                raise DataError(
                    f"uplift: expected at least {_FEWEST} {name} people, got {int(count)}; with "
                    "one arm only nothing says what would have come without it. Keep a random "
                    "control group."
                )
        if not ((self.propensity > 0) & (self.propensity < 1)).all():
            raise DataError(
                "uplift: expected chances of treatment strictly between 0 and 1, got "
                f"{self.propensity.min():g} to {self.propensity.max():g}; leave out people who "
                "were never, or always, to be treated."
            )

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: NDArray[np.integer]) -> Trial:
        """Some of the people."""
        return Trial(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class GainCurve:
    """What treating the first share of an order brings, per person of everybody.

    Attributes:
        share: ``(101,)`` from 0 to 1.
        gain, low, high: ``(101,)`` with 95 % intervals.
    """

    share: NDArray[np.float64]
    gain: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def uplift_score(
    trial: Trial, scores: NDArray[np.floating], *, resamples: int = 500, seed: int = 0
) -> dict[str, Estimate]:
    """``METRICS`` of the order of falling scores; equal scores come in an order drawn by chance."""
    found = resample(
        _measure(trial, scores, seed), Owners.of(trial.users), resamples=resamples, seed=seed
    )
    return {name: found[name].estimate() for name in METRICS}


def uplift_compare(
    trial: Trial,
    scores: Mapping[str, NDArray[np.floating]],
    base: str,
    *,
    resamples: int = 500,
    seed: int = 0,
) -> dict[str, dict[str, Estimate]]:
    """By other order, ``METRICS`` of ``base`` minus its own, on the same resamples."""
    owners = Owners.of(trial.users)
    found: dict[str, dict[str, Resampled]] = {
        name: resample(_measure(trial, order, seed), owners, resamples=resamples, seed=seed)
        for name, order in scores.items()
    }
    return {
        name: {metric: found[base][metric].minus(each[metric]) for metric in METRICS}
        for name, each in found.items()
        if name != base
    }


def gain_curve(
    trial: Trial, scores: NDArray[np.floating], *, resamples: int = 200, seed: int = 0
) -> GainCurve:
    """The gain at each hundredth of the people."""
    sums = _sums(trial, scores, seed)
    owners = Owners.of(trial.users)

    def measure(weights: Weights) -> dict[str, NDArray[np.float64]]:
        gain = _gains(weights, sums)
        return {str(step): gain[:, step] for step in range(_STEPS)}

    found = resample(measure, owners, resamples=resamples, seed=seed)
    points = [found[str(step)].estimate() for step in range(_STEPS)]
    columns = [[0.0, *(getattr(p, name) for p in points)] for name in ("value", "low", "high")]
    return GainCurve(np.linspace(0, 1, _STEPS + 1), *(np.array(column) for column in columns))


def _measure(trial: Trial, scores: NDArray[np.floating], seed: int) -> Measure:
    sums = _sums(trial, scores, seed)

    def measure(weights: Weights) -> dict[str, NDArray[np.float64]]:
        gain = _gains(weights, sums)
        whole = gain[:, -1]
        # The trapezoid over q, from a gain of 0 at 0.
        area = (gain.sum(axis=1) - whole / 2) / _STEPS
        return {
            "auuc": area,
            "qini": area - whole / 2,
            "uplift@10": gain[:, _STEPS // 10 - 1] * 10,
            "uplift@30": gain[:, 3 * _STEPS // 10 - 1] / 0.3,
            "effect": whole,
        }

    return measure


def _sums(trial: Trial, scores: NDArray[np.floating], seed: int) -> csr_matrix:
    """``(n_users, 5 x 100)`` of each hundredth: people; then weights and weighted outcomes of the
    treated, and of the untreated.
    """
    from scipy.sparse import csr_matrix

    n = len(trial)
    if scores.shape != (n,) or not np.isfinite(scores).all():
        raise DataError(f"uplift: expected {n} finite scores, one per person, got {scores.shape}.")
    drawn = rng(seed, "uplift ties").permutation(n)
    order = drawn[np.argsort(-scores[drawn], kind="stable")]
    step = np.empty(n, dtype=np.int64)
    step[order] = np.arange(n) * _STEPS // n
    owners = Owners.of(trial.users)
    one = trial.treated / trial.propensity
    other = ~trial.treated / (1 - trial.propensity)
    parts = [np.ones(n), one, one * trial.outcome, other, other * trial.outcome]
    values = np.concatenate(parts)
    columns = np.concatenate([step + _STEPS * part for part in range(len(parts))])
    rows = np.tile(owners.codes, len(parts))
    shape = (owners.count, _STEPS * len(parts))
    return csr_matrix((values, (rows, columns)), shape)


def _gains(weights: Weights, sums: csr_matrix) -> NDArray[np.float64]:
    """``(n_draws, 100)`` gains at the end of each hundredth; 0 where an arm is empty so far."""
    total = (sums.T @ weights.T.astype(np.float64)).T.reshape(len(weights), 5, _STEPS)
    people, one, gained, other, had = total.cumsum(axis=2).transpose(1, 0, 2)
    effect = np.nan_to_num(ratio(gained, one) - ratio(had, other), nan=0.0)
    return effect * ratio(people, people[:, -1:])
