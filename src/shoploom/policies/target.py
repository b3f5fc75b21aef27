"""Whom to show which ad: the log of what was shown, the effect of each ad on each user, and the
policy that follows, judged on what was shown later.

An ad that is shown to people who come anyway costs money and moves nobody. So what is learned is
the difference that an ad makes (``policies.uplift``), from a log in which chance decided; where
chances were not logged they are guessed from what was known of the users, and everything that
follows is called observational.
"""

# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import DataError, UnknownName
from shoploom.core.time import DAY_US, SECOND_US
from shoploom.evaluation.off_policy import Decisions, OffPolicy, judge
from shoploom.evaluation.uplift import Trial
from shoploom.policies.allocation import allocate
from shoploom.policies.outcomes import decisions_of, fit_outcomes
from shoploom.policies.regression import Floats, Matrix, cross_fit, folds_of, regress
from shoploom.policies.uplift import Effect, UpliftLearner
from shoploom.tables import Tables

KIND_SEPARATOR = ":"
#: Names of arms that show nothing.
NOTHING = ("none", "control", "no ad", "nothing", "holdout", "hold-out")
OUTCOMES = (c.SPEND, c.CONVERTED, c.CLICKED)

#: Ads in so many days before count as shown of late.
RECENT_DAYS = 28

_FARTHEST = 0.02  # chances nearer to 0 or 1, where they are guessed, are left out


@dataclass(frozen=True)
class Shown:
    """``n`` times that an arm was drawn for a user, oldest first.

    Attributes:
        users: ``(n,)`` object array.
        times: ``(n,)`` int64 microseconds.
        arms: names; the first shows nothing.
        arm: ``(n,)`` codes of what was drawn.
        chance: ``(n, n_arms)`` that each arm had; rows sum to one.
        outcome: ``(n,)`` what came, 0 where the log leaves it empty.
        cost: ``(n_arms,)`` mean cost of showing each, what is empty counted as 0.
        recent: ``(n,)`` ads that the user was shown in the four weeks before.
        others: by name of a yes-or-no outcome that was logged, ``(n,)`` 0 or 1.
        context: ``(n,)`` object array, JSON of what was known when drawing; None where not logged.
        observational: whether chances were guessed.
    """

    users: NDArray[np.object_]
    times: NDArray[np.int64]
    arms: tuple[str, ...]
    arm: NDArray[np.int64]
    chance: Floats
    outcome: Floats
    cost: Floats
    recent: Floats
    context: NDArray[np.object_]
    others: Mapping[str, Floats] = field(default_factory=dict)
    observational: bool = False

    def __len__(self) -> int:
        return len(self.users)

    def take(self, rows: NDArray[np.integer]) -> Shown:
        """Some of the rows."""
        names = ("users", "times", "arm", "chance", "outcome", "recent", "context")
        others = {name: column[rows] for name, column in self.others.items()}
        return replace(self, others=others, **{n: getattr(self, n)[rows] for n in names})

    def trial(self, arm: int) -> tuple[NDArray[np.intp], Trial]:
        """The rows of one arm and of nothing, and the trial that they make."""
        rows = np.flatnonzero((self.arm == arm) | (self.arm == 0))
        one, none = self.chance[rows, arm], self.chance[rows, 0]
        treated = self.arm[rows] == arm
        return rows, Trial(self.users[rows], treated, self.outcome[rows], one / (one + none))


def shown(
    tables: Tables, *, kind: str = "ad", control: str | None = None, outcome: str = c.SPEND
) -> Shown:
    """What the log of exposures says about one kind of arms, such as ``ad:discount``.

    Args:
        tables: with exposures.
        kind: what stands before the colon.
        control: the arm that shows nothing; found by its name where None.
        outcome: ``spend``, ``converted`` or ``clicked``.

    Raises:
        DataError: there is no such log, one arm only, or the outcome was not logged.
        UnknownName: no arm is called so.
    """
    if tables.exposures is None:
        raise DataError(
            "expected a table of exposures (user_id, time, arm, propensity, outcomes), the shop "
            "has none; log what is shown, to whom and with which chance, then add it to shop.yaml."
        )
    table = tables.exposures
    begins = kind + KIND_SEPARATOR
    rows = table.filter(table[c.ARM].startswith(begins)).order_by([c.TIME, c.USER_ID, c.ARM])
    frame = rows.to_pyarrow()
    kinds = sorted(
        {
            str(name).split(KIND_SEPARATOR)[0]
            for name in table.select(c.ARM).distinct().to_pyarrow()[c.ARM].to_pylist()
        }
    )
    if not kinds:
        raise DataError(
            "exposures: expected what was shown to whom, the table holds no rows; its quarantine "
            "says what was set aside and why."
        )
    if kind not in kinds:
        raise UnknownName("kind of exposure", kind, kinds, where="the arms of exposures")
    if outcome not in frame.column_names or frame[outcome].null_count == len(frame):
        raise DataError(
            f"exposures of {kind!r}: expected the outcome {outcome!r}, it was not logged; name "
            f"another of {', '.join(OUTCOMES)}."
        )
    names = [str(name).removeprefix(begins) for name in frame[c.ARM].to_pylist()]
    arms = _arms(sorted(set(names)), kind, control)
    code = {name: number for number, name in enumerate(arms)}
    arm = np.array([code[name] for name in names], dtype=np.int64)
    users = frame[c.USER_ID].to_numpy(zero_copy_only=False)
    times = frame[c.TIME].to_numpy().astype(np.int64)
    chance = _chances(frame, arm, len(arms))
    found = np.nan_to_num(_numbers(frame, outcome))
    cost = np.nan_to_num(_numbers(frame, c.COST)) if c.COST in frame.column_names else 0 * found
    counts = np.bincount(arm, minlength=len(arms))
    return Shown(
        users,
        times,
        arms,
        arm,
        np.full((len(arm), len(arms)), np.nan) if chance is None else chance,
        found,
        np.bincount(arm, weights=cost, minlength=len(arms)) / np.maximum(counts, 1),
        _recent(users, times, arm > 0),
        _texts(frame, c.CONTEXT),
        {
            name: np.nan_to_num(_numbers(frame, name))
            for name in (c.CLICKED, c.CONVERTED)
            if name in frame.column_names and frame[name].null_count < len(frame)
        },
        observational=chance is None,
    )


def with_guessed_chances(log: Shown, features: Matrix, seed: int) -> tuple[Shown, NDArray[np.intp]]:
    """The log with chances told from what was known of other users, and which rows are left of it:
    those near 0 or 1 are not.
    """

    def fit(rows: NDArray[np.intp]) -> Callable[[NDArray[np.intp]], Floats]:
        models = [
            regress(features[rows], (log.arm[rows] == arm).astype(float), seed=seed)
            for arm in range(len(log.arms))
        ]
        return lambda asked: np.stack([m.predict(features[asked]) for m in models], axis=1)

    chance = cross_fit(folds_of(log.users, seed), fit, len(log.arms))
    chance /= chance.sum(axis=1, keepdims=True)
    kept = np.flatnonzero((chance > _FARTHEST).all(axis=1))
    if not len(kept):
        raise DataError(
            "exposures: expected people who could have got either arm, found none: who gets what "
            "is decided by what is known of them. Draw a random part of them."
        )
    return replace(log, chance=chance).take(kept), kept


@dataclass(frozen=True)
class Effects:
    """What each arm adds, by features.

    Attributes:
        learned: one per arm but the first.
    """

    learned: Sequence[Effect]

    def __call__(self, features: Matrix) -> Floats:
        """``(n, n_arms)``, 0 for the first."""
        found = [np.zeros(len(features)), *(effect(features) for effect in self.learned)]
        return np.stack(found, axis=1)


def fit_effects(learner: UpliftLearner, features: Matrix, log: Shown, *, seed: int = 0) -> Effects:
    """The effect of every arm against nothing."""
    learned = []
    for arm in range(1, len(log.arms)):
        rows, trial = log.trial(arm)
        learned.append(learner.fit(features[rows], trial, seed=seed))
    return Effects(learned)


def choose(
    effects: Floats, cost: Floats, *, value: float = 1.0, budget: float | None = None
) -> NDArray[np.int64]:
    """``(n,)`` the arm of each person that brings most, within the budget.

    Args:
        effects: ``(n, n_arms)`` what each arm adds to the outcome.
        cost: ``(n_arms,)`` of showing it once.
        value: of one of the outcome, in the currency of the cost.
        budget: of all together.
    """
    spent = np.broadcast_to(cost - cost[0], effects.shape)
    return allocate(value * effects - spent, spent, budget)


def judge_choices(
    learned_from: tuple[Matrix, Shown],
    asked: tuple[Matrix, Shown],
    choices: Mapping[str, NDArray[np.integer]],
    *,
    value: float = 1.0,
    seed: int = 0,
) -> tuple[dict[str, OffPolicy], dict[str, Decisions]]:
    """What each policy would have brought per person, costs taken off, told from the later log.

    Args:
        learned_from: features and log that the model of the outcome learns from.
        asked: the later ones that judge.
        choices: by policy, ``(n,)`` the arm that it would have shown to each of those.
        value: of one of the outcome.
        seed: of model and intervals.
    """
    before, log = learned_from
    features, later = asked
    actions = np.eye(len(log.arms))
    net = fit_outcomes(before, log.arm, value * log.outcome - log.cost[log.arm], actions, seed=seed)
    modelled = net(features)
    reward = value * later.outcome - log.cost[later.arm]
    rows = np.arange(len(later))
    found = {
        name: decisions_of(
            later.users,
            later.arm,
            reward,
            later.chance[rows, later.arm],
            actions[chosen],
            modelled=modelled,
            propensities=later.chance,
        )
        for name, chosen in choices.items()
    }
    return {name: judge(each, seed=seed) for name, each in found.items()}, found


def _arms(names: Sequence[str], kind: str, control: str | None) -> tuple[str, ...]:
    if len(names) < 2:
        raise DataError(
            f"exposures of {kind!r}: expected several arms, found only {', '.join(names)}; nothing "
            "says what would have come without it. Keep a random part of the users without."
        )
    if control is None:
        found = [name for name in names if name.lower() in NOTHING]
        if len(found) != 1:
            raise DataError(
                f"exposures of {kind!r}: expected one arm that shows nothing, such as "
                f"{kind}:none, among {', '.join(names)}; say which with --control."
            )
        control = found[0]
    if control not in names:
        raise UnknownName("arm", control, names, where=f"the exposures of {kind!r}")
    return (control, *(name for name in names if name != control))


def _chances(frame: pa.Table, arm: NDArray[np.int64], n_arms: int) -> Floats | None:
    """``(n, n_arms)`` from the logged chance of what was drawn; None where none was logged.

    Of the arms that were not drawn, the log gives only how likely they were on other occasions:
    what is left after the drawn one is shared out by their means.
    """
    if c.PROPENSITY not in frame.column_names or frame[c.PROPENSITY].null_count == len(frame):
        return None
    own = _numbers(frame, c.PROPENSITY)
    bad = ~((own > 0) & (own < 1))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            f"exposures: expected propensities strictly between 0 and 1, got {own[row]:g} for "
            f"{frame[c.USER_ID][row].as_py()!r} and others in {int(bad.sum()):,} of {len(own):,} "
            "rows: leave out what was decided without a draw."
        )
    mean = np.bincount(arm, weights=own, minlength=n_arms) / np.bincount(arm, minlength=n_arms)
    chance = np.tile(mean, (len(own), 1))
    rows = np.arange(len(own))
    chance[rows, arm] = 0
    chance *= ((1 - own) / chance.sum(axis=1))[:, None]
    chance[rows, arm] = own
    return chance


def _numbers(frame: pa.Table, name: str) -> Floats:
    return frame[name].cast("double").to_numpy(zero_copy_only=False).astype(np.float64)


def _texts(frame: pa.Table, name: str) -> NDArray[np.object_]:
    if name not in frame.column_names:
        return np.full(len(frame), None, dtype=object)
    return np.array(frame[name].to_pylist(), dtype=object)


def _recent(
    users: NDArray[np.object_], times: NDArray[np.int64], counted: NDArray[np.bool_]
) -> Floats:
    """``(n,)`` counted rows of the same user in the four weeks before each; rows by time."""
    _, code = np.unique(users.astype(str), return_inverse=True)
    order = np.lexsort((times, code))
    before = np.concatenate(([0], np.cumsum(counted[order])))
    # One ascending key of user and second: both in an int64, however many users.
    user, time = code[order].astype(np.int64), times[order] // SECOND_US
    time -= time.min(initial=0)
    reach = RECENT_DAYS * DAY_US // SECOND_US
    user *= int(time.max(initial=0)) + reach + 1
    start = np.searchsorted(user + time, user + np.maximum(time - reach, 0))
    out = np.empty(len(users))
    out[order] = before[np.arange(len(users))] - before[start]
    return out
