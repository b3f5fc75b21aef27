"""Probabilities that mean what they say: log-odds fitted to what came.

Balancing teaches a head that yes is as frequent as no, and losses may bend its certainty; both
are undone by two numbers that are learned from users whom the head did not learn from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LEAST = 1e-3  # of the slope: recalibration never turns an order round


@dataclass(frozen=True)
class Platt:
    """Probabilities ``sigmoid(slope · log-odds + intercept)`` (Platt 1999)."""

    slope: float = 1.0
    intercept: float = 0.0

    def probabilities(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(n,)`` from ``(n,)`` log-odds."""
        from scipy.special import expit

        return expit(self.slope * log_odds + self.intercept)


def prior_shift(learned: float, usual: float) -> float:
    """What log-odds change by when a share of yes is usual and another was learned from.

    The likelihood ratio of a user stays, so that the odds move by the ratio of the prior odds
    (Saerens, Latinne and Decaestecker 2002, equation 4).
    """
    return _log_odds(usual) - _log_odds(learned)


def fit_platt(
    log_odds: NDArray[np.float64], answers: NDArray[np.float64], *, start: Platt
) -> Platt:
    """The slope and intercept under which the answers are likeliest.

    A normal prior of spread 1 round ``start`` decides where held-out answers say little: with
    none of them the start comes back.

    Args:
        log_odds: ``(n,)`` of rows that the head did not learn from.
        answers: ``(n,)`` 0 or 1.
        start: what would be expected without looking, such as the shift of the prior.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    centre = np.array([start.slope, start.intercept])

    def loss(numbers: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        said = numbers[0] * log_odds + numbers[1]
        away = numbers - centre
        value = np.sum(np.logaddexp(0, said) - answers * said) + away @ away / 2
        error = expit(said) - answers
        return float(value), np.array([error @ log_odds, error.sum()]) + away

    found = minimize(
        loss, centre, jac=True, method="L-BFGS-B", bounds=[(_LEAST, None), (None, None)]
    )
    return Platt(float(found.x[0]), float(found.x[1]))


def _log_odds(share: float) -> float:
    share = min(max(share, 1e-6), 1 - 1e-6)
    return float(np.log(share / (1 - share)))
