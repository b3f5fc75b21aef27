"""Choosing for the long run: what an option brings now, and whether the customer comes again.

A customer who stays is worth what the coming visits bring. With r(x, a) the reward of option a now,
s(x, a) the chance that the customer stays, and V(m) the value of a customer who means to come m
more times,

    Q(x, a, m) = r(x, a) + s(x, a) · V(m − 1),    V(m) = E[max over a of Q(x, a, m)]

is fitted backwards from the last visit (fitted Q iteration: Ernst, Geurts and Wehenkel 2005), from
a log in which every option had a chance. Options are chosen by one half of the log and valued by
the other, since the best of noisy numbers is too good to be true (van Hasselt 2010).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.core.seeds import rng
from shoploom.policies.regression import Boosting, Floats, Matrix, Regression, regress

_TREES = Boosting(rounds=200, leaves=8, min_rows=60)
_VALUE_TREES = Boosting(rounds=60, learning_rate=0.1, leaves=4, min_rows=200)


@dataclass(frozen=True)
class Visits:
    """``n`` logged visits.

    Attributes:
        user: ``(n, f)`` what is known of the customer whatever the visit is about.
        options: ``(n, n_options, g)`` what is known of each option at this visit.
        taken: ``(n,)`` which one was taken.
        propensity: ``(n,)`` the chance that it had.
        reward: ``(n,)`` what came of it, in currency.
        other: ``(n,)`` what the visit brought that no option had a part in.
        stayed: ``(n,)`` whether the customer was not lost by it.
    """

    user: Matrix
    options: Matrix
    taken: NDArray[np.integer]
    propensity: Floats
    reward: Floats
    other: Floats
    stayed: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if len(self.propensity) and not (self.propensity > 0).all():
            raise DataError(
                "long-term: expected propensities above 0 of what was done, got "
                f"{self.propensity.min():g}."
            )

    def __len__(self) -> int:
        return len(self.taken)

    def take(self, rows: NDArray[np.integer]) -> Visits:
        """Some of the visits."""
        return replace(self, **{name: column[rows] for name, column in vars(self).items()})

    def both(self) -> Matrix:
        """``(n, n_options, f + g)`` customer and option together."""
        user = np.repeat(self.user[:, None], self.options.shape[1], axis=1)
        return np.concatenate([user, self.options], axis=2)


@dataclass(frozen=True)
class Told:
    """What models say of ``n`` visits.

    Attributes:
        user: ``(n, f)``.
        now: ``(n, n_options)`` reward.
        stays: likewise, chance that the customer stays.
    """

    user: Matrix
    now: Floats
    stays: Floats


@dataclass(frozen=True)
class LongTerm:
    """A policy that minds whether customers come again.

    Attributes:
        horizon: visits ahead that it looks; with 1 it is the greedy policy.
    """

    reward: Regression
    stay: Regression
    values: tuple[Regression, ...]

    @property
    def horizon(self) -> int:
        """Visits ahead, this one included."""
        return len(self.values)

    def told(self, visits: Visits) -> Told:
        """What each option would bring now, and whether the customer would stay."""
        both = visits.both()
        return Told(visits.user, _predict(self.reward, both), _predict(self.stay, both))

    def worth(self, told: Told, left: int) -> Floats:
        """``(n, n_options)`` of every option, for customers who mean to come ``left`` times, this
        visit included.
        """
        known = min(left, self.horizon) - 1
        after = self.values[known - 1].predict(told.user) if known > 0 else np.zeros(len(told.now))
        return told.now + told.stays * after[:, None]

    def act(self, visits: Visits, left: int) -> NDArray[np.int64]:
        """``(n,)`` the best option of each visit."""
        return self.worth(self.told(visits), left).argmax(axis=1)

    def greedy(self) -> LongTerm:
        """The same policy as if nobody ever left."""
        return replace(self, values=self.values[:1])


def fit_longterm(visits: Visits, horizon: int, *, seed: int = 0) -> LongTerm:
    """Learn from logged visits, ``horizon`` visits ahead.

    Raises:
        DataError: nobody stayed, or nobody left: then there is no long run to learn.
    """
    if visits.stayed.all() or not visits.stayed.any():
        raise DataError(
            "long-term: expected customers who stayed and customers who left, found only one kind."
        )
    half = rng(seed, "halves").permutation(len(visits)) % 2
    both = visits.both()
    told = []
    for side in (0, 1):
        reward, stay = _models(visits.take(np.flatnonzero(half == side)), seed)
        told.append((_predict(reward, both), _predict(stay, both)))
    rows = np.arange(len(visits))
    values: list[Regression] = []
    after = np.zeros(len(visits))
    for _ in range(horizon):
        worth = np.stack([now + stays * after[:, None] for now, stays in told])
        best = worth.argmax(axis=2)
        found = worth[half, rows, best[1 - half, rows]] + visits.other
        values.append(regress(visits.user, found, seed=seed, settings=_VALUE_TREES))
        after = values[-1].predict(visits.user)
    whole = _models(visits, seed)
    return LongTerm(whole[0], whole[1], tuple(values))


def _models(visits: Visits, seed: int) -> tuple[Regression, Regression]:
    """Of the reward and of staying, options weighed as if all were as likely."""
    rows = np.arange(len(visits))
    features = visits.both()[rows, visits.taken]
    weight = 1 / visits.propensity
    weight = weight / weight.mean()
    reward = regress(features, visits.reward, weight=weight, seed=seed, settings=_TREES)
    stayed = visits.stayed.astype(float)
    return reward, regress(features, stayed, weight=weight, seed=seed, settings=_TREES)


def _predict(model: Regression, both: Matrix) -> Floats:
    return model.predict(both.reshape(-1, both.shape[2])).reshape(both.shape[:2])
