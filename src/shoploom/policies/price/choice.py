"""Which of several brands a household takes at the prices on the shelf.

A conditional logit (McFadden 1974) whose weights differ by household: each is normal around the
mean of its group, and both means and spreads are learned from all of them (empirical Bayes by
expectation and maximisation, each household's posterior by Newton's method and Laplace's
approximation; Train 2009, ch. 11). Who bought often has weights of their own; who is new has the
group's. With a spread of 0 it is the plain conditional logit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shoploom.policies.price.hierarchy import Codes, Floats

_NEWTON, _ROUNDS = 12, 40
_SMALL = 1e-3
_RIDGE = 1e-3  # of group means, so that a brand nobody took stays finite


@dataclass(frozen=True)
class Shelf:
    """``n`` choices among ``k`` brands.

    Attributes:
        household: ``(n,)`` codes. group: ``(n_households,)`` codes of each household's group.
        x: ``(n, k, d)`` what speaks for each brand: constants, price, promotion.
        chosen: ``(n,)`` codes of the brand taken.
    """

    household: Codes
    group: Codes
    x: Floats
    chosen: Codes

    def take(self, rows: NDArray[np.integer]) -> Shelf:
        """Some of the choices."""
        return Shelf(self.household[rows], self.group, self.x[rows], self.chosen[rows])


@dataclass(frozen=True)
class Tastes:
    """What each household minds.

    Attributes:
        mean: ``(n_groups, d)`` weights of each group.
        spread: ``(d,)`` standard deviation of households around it.
        weights: ``(n_households, d)`` posterior modes.
    """

    mean: Floats
    spread: Floats
    weights: Floats

    def probabilities(self, shelf: Shelf) -> Floats:
        """``(n, k)`` chances of every brand."""
        return _softmax(shelf.x, self.weights[shelf.household])

    def elasticities(self, shelf: Shelf, price: int, prices: Floats) -> Floats:
        """``(k, k)`` mean change of brand j's choices, in percent, when brand i's price rises by 1.

        ∂ log P_j / ∂ log p_i = β p_i (1[i = j] − P_i), weighted by P_j.

        Args:
            shelf: the choices to take the mean over.
            price: column of ``x`` that is the price.
            prices: ``(n, k)`` in the same unit.
        """
        chance = self.probabilities(shelf)
        beta = self.weights[shelf.household, price]
        own = np.eye(chance.shape[1])[None] - chance[:, :, None]
        each = beta[:, None, None] * prices[:, :, None] * own
        return (each * chance[:, None, :]).sum(axis=0) / chance.sum(axis=0)


def fit_choices(shelf: Shelf, *, differ: bool = True) -> Tastes:
    """Learn the tastes of groups and households.

    Args:
        shelf: the choices to learn from.
        differ: whether households may differ within their group.
    """
    d, n_groups = shelf.x.shape[2], int(shelf.group.max(initial=0)) + 1
    n = len(shelf.group)
    mean = np.zeros((n_groups, d))
    spread = np.full(d, 0.5) if differ else np.full(d, _SMALL)
    weights = np.zeros((n, d))
    for turn in range(_ROUNDS):
        if turn == 0 or not differ:
            mean = _group_means(shelf, mean)
            weights = mean[shelf.group]
            if not differ:
                break
        weights, covariance = _households(shelf, mean, spread, weights)
        before = mean, spread
        counts = np.maximum(np.bincount(shelf.group, minlength=n_groups), 1)
        mean = np.stack(
            [np.bincount(shelf.group, column, n_groups) / counts for column in weights.T], axis=1
        )
        away = weights - mean[shelf.group]
        variance = (away**2 + np.diagonal(covariance, axis1=1, axis2=2)).mean(axis=0)
        spread = np.maximum(np.sqrt(variance), _SMALL)
        moved = max(np.abs(mean - before[0]).max(), np.abs(spread - before[1]).max())
        if moved < _SMALL:
            break
    return Tastes(mean, spread, weights)


def _softmax(x: Floats, weights: Floats) -> Floats:
    utility = np.einsum("nkd,nd->nk", x, weights)
    utility -= utility.max(axis=1, keepdims=True)
    chance = np.exp(utility)
    return chance / chance.sum(axis=1, keepdims=True)


def _slopes(shelf: Shelf, weights: Floats) -> tuple[Floats, Floats]:
    """``(n, d)`` gradients and ``(n, d, d)`` information of every choice."""
    chance = _softmax(shelf.x, weights)
    mean = np.einsum("nk,nkd->nd", chance, shelf.x)
    gradient = shelf.x[np.arange(len(shelf.chosen)), shelf.chosen] - mean
    second = np.einsum("nk,nkd,nke->nde", chance, shelf.x, shelf.x)
    return gradient, second - mean[:, :, None] * mean[:, None, :]


def _group_means(shelf: Shelf, mean: Floats) -> Floats:
    """Weights of each group, as if all its households were one."""
    d = shelf.x.shape[2]
    group = shelf.group[shelf.household]
    for _ in range(_NEWTON):
        gradient, information = _slopes(shelf, mean[group])
        whole = np.zeros((len(mean), d))
        np.add.at(whole, group, gradient)
        inside = np.zeros((len(mean), d, d))
        np.add.at(inside, group, information)
        inside += _RIDGE * np.eye(d)
        mean = mean + np.linalg.solve(inside, (whole - _RIDGE * mean)[:, :, None])[:, :, 0]
    return mean


def _households(
    shelf: Shelf, mean: Floats, spread: Floats, weights: Floats
) -> tuple[Floats, Floats]:
    """Posterior modes and covariances of all households at once."""
    d, n = shelf.x.shape[2], len(shelf.group)
    prior = np.diag(1 / spread**2)
    inside = np.broadcast_to(prior, (n, d, d))
    for _ in range(_NEWTON):
        gradient, information = _slopes(shelf, weights[shelf.household])
        whole = np.zeros((n, d))
        np.add.at(whole, shelf.household, gradient)
        inside = np.zeros((n, d, d))
        np.add.at(inside, shelf.household, information)
        inside += prior
        whole -= (weights - mean[shelf.group]) @ prior
        step = np.linalg.solve(inside, whole[:, :, None])[:, :, 0]
        # Half a step at most where a household has hardly chosen: the logit is flat there.
        step *= np.minimum(1.0, 2.0 / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-12))
        weights = weights + step
        if np.abs(step).max(initial=0.0) < _SMALL:
            break
    return weights, np.asarray(np.linalg.inv(inside), dtype=np.float64)
