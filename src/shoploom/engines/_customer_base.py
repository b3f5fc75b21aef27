"""The mathematics of buying till one drops out: BG/NBD, Gamma-Gamma and the wait for a first order.

Plain functions on arrays with one entry per customer, fitted by maximum likelihood. This module
knows nothing of shops, tasks or tables; ``bgnbd`` brings those. Any unit of time and of money
serves, as long as it is the same throughout.

Sources: Fader, Hardie and Lee (2005), "Counting your customers the easy way", Marketing Science
24(2), for BG/NBD; Fader and Hardie (2013), "The Gamma-Gamma model of monetary value", note 025;
Hardie, Fader and Wisniewski (1998), "An empirical comparison of new product trial forecasting
models", Journal of Forecasting 17, for the exponential-gamma wait.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shoploom.core.errors import DataError

Floats = NDArray[np.float64]

#: Parameters stay within these bounds once time and money have been scaled to a mean of 1. They
#: only matter on degenerate data (nobody ever returned), where the likelihood has no peak. With
#: the bound on a, all customers drop out at nearly the same rate, and expectations stay finite.
_LEAST, _LARGEST, _LARGEST_A = 1e-4, 1e4, 50.0


@dataclass(frozen=True)
class BGNBD:
    """Parameters of BG/NBD.

    Attributes:
        r, alpha: purchase rates are Gamma(r, alpha) among customers; alpha in units of time.
        a, b: the chance to drop out after an order is Beta(a, b) among customers.
    """

    r: float
    alpha: float
    a: float
    b: float


@dataclass(frozen=True)
class GammaGamma:
    """Parameters of Gamma-Gamma.

    Attributes:
        p: the shape of one customer's order values; their spread shrinks as p grows.
        q, v: the scale of order values is Gamma(q, v) among customers; v in units of money.
    """

    p: float
    q: float
    v: float


@dataclass(frozen=True)
class FirstOrder:
    """Parameters of the wait for a first order: rates are Gamma(r, alpha) among visitors."""

    r: float
    alpha: float


def fit_bgnbd(frequency: ArrayLike, recency: ArrayLike, age: ArrayLike) -> BGNBD:
    """The BG/NBD parameters that make the given histories likeliest.

    Args:
        frequency: ``(n,)`` repeat orders, the first one not counted.
        recency: ``(n,)`` time from the first order to the last, 0 without a repeat.
        age: ``(n,)`` time from the first order to the moment of looking.

    Raises:
        DataError: there is no customer, or a history is impossible.

    >>> model = fit_bgnbd([0, 2, 1, 0, 5], [0, 6, 3, 0, 9], [10, 10, 9, 8, 10])
    >>> bool(expected_purchases(model, 5, 9, 10, 10) > expected_purchases(model, 1, 3, 9, 10))
    True
    """
    rows = np.column_stack(_histories(frequency, recency, age))
    if len(rows) == 0:
        raise DataError("fit_bgnbd expected at least one customer, got none.")
    # Days and weeks repeat: equal histories are evaluated once and weighted.
    (x, t_x, T), weight = _distinct(rows)
    weight /= weight.sum()
    unit = max(float(weight @ T), np.finfo(float).tiny)
    # Terms in the frequency alone are summed over its few distinct values.
    frequencies, place = np.unique(x, return_inverse=True)
    share = np.bincount(place, weights=weight).astype(np.float64)
    t_x, T = t_x / unit, T / unit
    r, alpha, a, b = _maximise(
        lambda theta: _bgnbd_likelihood(theta, x, t_x, T, weight, frequencies, share),
        start=np.zeros(4),
        largest=np.array([_LARGEST, _LARGEST, _LARGEST_A, _LARGEST]),
    )
    return BGNBD(r=r, alpha=alpha * unit, a=a, b=b)


def probability_alive(
    model: BGNBD, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike
) -> Floats:
    """``(n,)`` probability that a customer has not dropped out; 1 without a repeat order.

    In BG/NBD one drops out only right after a repeat order (Fader, Hardie and Lee 2008, note 021).
    """
    x, t_x, T = _histories(frequency, recency, age)
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(_log_odds_gone(model, x, t_x, T)))


def probability_of_none(
    model: BGNBD, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike, horizon: ArrayLike
) -> Floats:
    """``(n,)`` probability of no order in the ``horizon`` after ``age``.

    Who is alive orders at a rate of posterior Gamma(r + x, alpha + T) until the next order, hence
    ``1 - P(alive) (1 - ((alpha + T) / (alpha + T + t))^(r + x))``; the same follows from the
    ratio of the likelihoods at ages T + t and T.
    """
    x, _, T = _histories(frequency, recency, age)
    alive = probability_alive(model, frequency, recency, age)
    silent = -(model.r + x) * np.log1p(np.asarray(horizon) / (model.alpha + T))
    return 1 + alive * np.expm1(silent)


def expected_purchases(
    model: BGNBD, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike, horizon: ArrayLike
) -> Floats:
    """``(n,)`` expected orders in the ``horizon`` after ``age`` (Fader et al. 2005, equation 10).

    The equation's hypergeometric function has arguments that grow with x and overflows for loyal
    customers. Euler's transformation gives ``z'^(a - 1) F(a + b - 1 - r, a - 1; a + b + x - 1; z)``
    with z' = 1 - z instead, which tends to its first factor as x grows.
    """
    from scipy.special import hyp2f1

    x, _, T = _histories(frequency, recency, age)
    t = np.asarray(horizon, dtype=np.float64)
    r, alpha, a, b = model.r, model.alpha, model.a, model.b
    # The expectation is smooth in a, but its formula is 0 / 0 at a = 1 (and at a + b = 1 for
    # x = 0): step aside by what costs less precision than it saves.
    a += 1e-6 * (abs(a - 1) < 1e-6)
    a += 1e-6 * (abs(a + b - 1) < 1e-6)
    z = t / (alpha + T + t)
    kept = np.exp((a - 1) * np.log1p(-z)) * hyp2f1(a + b - 1 - r, a - 1, a + b + x - 1, z)
    if_alive = (a + b + x - 1) / (a - 1) * (1 - kept)
    return if_alive * probability_alive(model, frequency, recency, age)


def sample_histories(
    model: BGNBD, age: ArrayLike, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """``(n,)`` frequency and ``(n,)`` recency of customers drawn from the model, up to an age.

    Args:
        model: the truth that is planted.
        age: ``(n,)`` time since each customer's first order.
        rng: where the randomness comes from.
    """
    age = np.asarray(age, dtype=np.float64)
    rate = rng.gamma(model.r, 1 / model.alpha, len(age))
    dropout = rng.beta(model.a, model.b, len(age))
    x, t_x = np.zeros(len(age)), np.zeros(len(age))
    alive = np.flatnonzero(rate > 0)
    while len(alive):
        ordered = t_x[alive] + rng.exponential(1 / rate[alive])
        alive, ordered = alive[ordered <= age[alive]], ordered[ordered <= age[alive]]
        t_x[alive] = ordered
        x[alive] += 1
        alive = alive[rng.random(len(alive)) >= dropout[alive]]
    return x, t_x


def fit_gamma_gamma(orders: ArrayLike, mean_value: ArrayLike) -> GammaGamma:
    """The Gamma-Gamma parameters that make the customers' mean order values likeliest.

    q is kept above 1, where the mean order value of a newcomer is finite.

    Args:
        orders: ``(n,)`` how many orders a mean is over.
        mean_value: ``(n,)`` mean order value. Customers without an order or with a mean that is
            not above 0 say nothing here and are left out.

    Raises:
        DataError: no customer is left.
    """
    x, m = (np.asarray(values, dtype=np.float64) for values in (orders, mean_value))
    told = (x > 0) & (m > 0) & np.isfinite(m)
    if not told.any():
        raise DataError(
            "fit_gamma_gamma expected customers with orders of a positive value, got none; "
            "does the purchase table carry prices?"
        )
    (x, m), weight = _distinct(np.column_stack((x[told], m[told])))
    unit = float(np.average(m, weights=weight))
    p, above_one, v = _maximise(
        lambda theta: _gamma_gamma_likelihood(theta, x, m / unit, weight), start=np.zeros(3)
    )
    return GammaGamma(p=p, q=1 + above_one, v=v * unit)


def expected_value(model: GammaGamma, orders: ArrayLike, mean_value: ArrayLike) -> Floats:
    """``(n,)`` expected value of a customer's next order (note 025, equation 5).

    A weighted average of the customer's own mean and everybody's; without orders, everybody's.
    """
    x = np.asarray(orders, dtype=np.float64)
    total = x * np.where(x > 0, mean_value, 0)
    return model.p * (model.v + total) / (model.p * x + model.q - 1)


def fit_first_order(waited: ArrayLike, ordered: ArrayLike) -> FirstOrder:
    """The parameters that make the waits for a first order likeliest.

    Args:
        waited: ``(n,)`` time from the first visit to the first order, or to the moment of looking
            for those who have not ordered.
        ordered: ``(n,)`` bool, whether the wait ended in an order.

    Raises:
        DataError: there is no visitor.
    """
    rows = np.column_stack((np.asarray(waited, float), np.asarray(ordered, float)))
    if len(rows) == 0:
        raise DataError("fit_first_order expected at least one visitor, got none.")
    (t, ended), weight = _distinct(rows)
    unit = max(float(np.average(t, weights=weight)), np.finfo(float).tiny)
    r, alpha = _maximise(
        lambda theta: _first_order_likelihood(theta, t / unit, ended, weight), start=np.zeros(2)
    )
    return FirstOrder(r=r, alpha=alpha * unit)


def probability_of_first(model: FirstOrder, waited: ArrayLike, horizon: ArrayLike) -> Floats:
    """``(n,)`` probability that who has waited so long orders within the ``horizon``."""
    t = np.asarray(horizon) / (model.alpha + np.asarray(waited, dtype=np.float64))
    return -np.expm1(-model.r * np.log1p(t))


def _histories(
    frequency: ArrayLike, recency: ArrayLike, age: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    x, t_x, T = (np.asarray(values, dtype=np.float64) for values in (frequency, recency, age))
    x, t_x, T = np.broadcast_arrays(x, t_x, T)
    wrong = ~((x >= 0) & (t_x >= 0) & (t_x <= T) & np.isfinite(x + T))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        shown = x.flat[row], t_x.flat[row], T.flat[row]
        raise DataError(
            "expected histories with frequency >= 0 and 0 <= recency <= age, got "
            f"frequency {shown[0]:g}, recency {shown[1]:g}, age {shown[2]:g} at row {row} "
            f"({int(wrong.sum())} rows in all); were orders after the moment of looking counted?"
        )
    return x, t_x, T


def _distinct(rows: Floats) -> tuple[tuple[Floats, ...], Floats]:
    """The columns of the distinct rows, and how often each row occurs."""
    rows = rows[np.lexsort(rows.T)]
    starts = np.flatnonzero(np.r_[True, (rows[1:] != rows[:-1]).any(axis=1)])
    counts = np.diff(np.r_[starts, len(rows)]).astype(np.float64)
    return tuple(rows[starts].T.copy()), counts


def _maximise(
    likelihood: Callable[[Floats], tuple[float, Floats]],
    start: Floats,
    largest: Floats | float = _LARGEST,
) -> tuple[float, ...]:
    """Parameters that maximise a mean log likelihood, searched in their logarithms."""
    from scipy.optimize import minimize

    def loss(logs: Floats) -> tuple[float, Floats]:
        theta = np.exp(logs)
        value, gradient = likelihood(theta)
        return -value, -gradient * theta

    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(np.log(_LEAST), np.log(most)) for most in np.broadcast_to(largest, start.shape)],
        options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-8},
    )
    return tuple(float(value) for value in np.exp(found.x))


def _log_odds_gone(model: BGNBD, x: Floats, t_x: Floats, T: Floats) -> Floats:
    """Log odds of having dropped out right after the last order; -inf without a repeat."""
    repeat = x > 0
    times = (model.r + x) * (np.log(model.alpha + T) - np.log(model.alpha + t_x))
    odds = np.log(model.a / np.where(repeat, model.b + x - 1, 1.0)) + times
    return np.where(repeat, odds, -np.inf)


def _bgnbd_likelihood(
    theta: Floats,
    x: Floats,
    t_x: Floats,
    T: Floats,
    weight: Floats,
    frequencies: Floats,
    share: Floats,
) -> tuple[float, Floats]:
    """Mean log likelihood (Fader et al. 2005, equation 6) and its gradient in (r, alpha, a, b).

    ``weight`` of the histories and ``share`` of the distinct ``frequencies`` each sum to 1.
    """
    from scipy.special import digamma, gammaln

    r, alpha, a, b = theta
    log_gone = _log_odds_gone(BGNBD(r, alpha, a, b), x, t_x, T)
    with np.errstate(over="ignore"):
        gone = 1 / (1 + np.exp(-log_gone))
    log_T, log_t = np.log(alpha + T), np.log(alpha + t_x)
    value = (
        share @ (gammaln(r + frequencies) + gammaln(b + frequencies))
        - share @ gammaln(a + b + frequencies)
        + (gammaln(a + b) - gammaln(b) - gammaln(r) + r * np.log(alpha))
        + weight @ (np.logaddexp(0.0, log_gone) - (r + x) * log_T)
    )
    psi_r, psi_b = share @ digamma(r + frequencies), share @ digamma(b + frequencies)
    psi_ab = digamma(a + b) - share @ digamma(a + b + frequencies)
    wait = weight @ (log_T + gone * (log_t - log_T))
    hazard = weight @ ((r + x) * ((1 - gone) / (alpha + T) + gone / (alpha + t_x)))
    gradient = np.array(
        [
            psi_r - digamma(r) + np.log(alpha) - wait,
            r / alpha - hazard,
            psi_ab + (weight @ gone) / a,
            psi_ab + psi_b - digamma(b) - weight @ (gone / np.where(x > 0, b + x - 1, 1.0)),
        ]
    )
    return float(value), gradient


def _gamma_gamma_likelihood(
    theta: Floats, x: Floats, m: Floats, weight: Floats
) -> tuple[float, Floats]:
    """Mean log likelihood (note 025, equation 1a) and its gradient in (p, q - 1, v)."""
    from scipy.special import digamma, gammaln

    p, q, v = theta[0], 1 + theta[1], theta[2]
    w = weight / weight.sum()
    total = x * m
    log_share, log_rest = np.log(total / (v + total)), np.log(v / (v + total))
    value = w @ (gammaln(p * x + q) - gammaln(p * x) + q * log_rest + p * x * log_share)
    psi = digamma(p * x + q)
    gradient = np.array(
        [
            w @ (x * (psi - digamma(p * x) + log_share)),
            w @ (psi + log_rest) - digamma(q),
            q / v - w @ ((q + p * x) / (v + total)),
        ]
    )
    return float(value - gammaln(q)), gradient


def _first_order_likelihood(
    theta: Floats, t: Floats, ended: Floats, weight: Floats
) -> tuple[float, Floats]:
    """Mean log likelihood of waits, some unfinished, and its gradient in (r, alpha)."""
    r, alpha = theta
    w = weight / weight.sum()
    log_kept = np.log(alpha / (alpha + t))
    value = w @ (r * log_kept + ended * (np.log(r) - np.log(alpha + t)))
    gradient = np.array(
        [
            w @ (log_kept + ended / r),
            r / alpha - w @ ((r + ended) / (alpha + t)),
        ]
    )
    return float(value), gradient
