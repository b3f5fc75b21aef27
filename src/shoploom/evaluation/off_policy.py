"""What would another policy have brought? Estimates from the log of the policy that acted.

Each logged decision counts by how much likelier the judged policy was to take it, the weight
``w = probability / propensity``. With r the reward, q(x, a) a model of it, and v(x) = Σ_a π(a | x)
q(x, a) what the model expects of the judged policy:

========== ====================================================== ================================
ipw        mean(w r)                                              Horvitz and Thompson 1952
snipw      Σ w r / Σ w                                            Swaminathan and Joachims 2015
dm         mean(v)                                                the model alone
dr         mean(v + w (r - q))                                    Dudik, Langford and Li 2011
sndr       mean(v) + Σ w (r - q) / Σ w                            Thomas and Brunskill 2016
switch_dr  mean(v + w (r - q) [w <= τ])                           Wang, Agarwal and Dudik 2017
========== ====================================================== ================================

A policy that the log says too little about gets no verdict: ``OffPolicy.refused`` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.evaluation.intervals import (
    Estimate,
    Owners,
    Resampled,
    Weights,
    mean_interval,
    ratio,
    resample,
)

Floats = NDArray[np.float64]
SlateModel = Literal["standard", "cascade", "independent"]

#: In the order that tables show them; all but the first two need a model of the reward.
ESTIMATORS = ("ipw", "snipw", "dm", "dr", "sndr", "switch_dr")

_LEAST = 50.0  # effective decisions below which nothing is said
_FAR = 0.05  # that mean weights may be from 1: known chances are rarely exact
_LOST = 0.01  # share of the judged policy that the log may not know
_THRESHOLDS = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)  # quantiles of weights that τ is tried at


@dataclass(frozen=True)
class Decisions:
    """``n`` logged decisions, beside the policy that is to be judged.

    Attributes:
        users: ``(n,)`` object array; intervals are over users.
        reward: ``(n,)`` what came of each.
        weight: ``(n,)`` how much likelier the judged policy was to decide so.
        predicted: ``(n,)`` what a model expects of what was done, None without a model. It must
            not have learned from the same user (``policies.outcomes`` takes care of that).
        expected: ``(n,)`` what it expects of the judged policy there.
        unsupported: share of the judged policy's decisions that the log never takes.
    """

    users: NDArray[np.object_]
    reward: Floats
    weight: Floats
    predicted: Floats | None = None
    expected: Floats | None = None
    unsupported: float = 0.0

    def __post_init__(self) -> None:
        n = len(self.reward)
        for name in ("users", "weight", "predicted", "expected"):
            column = getattr(self, name)
            if column is not None and column.shape != (n,):
                raise DataError(
                    f"off-policy: expected {name} of shape ({n},), one per decision, got "
                    f"{column.shape}."
                )
        if (self.predicted is None) != (self.expected is None):
            raise DataError(
                "off-policy: expected both `predicted` and `expected` of a model, or neither."
            )
        for name in ("reward", "weight", "predicted", "expected"):
            column = getattr(self, name)
            if column is not None and not np.isfinite(column).all():
                row = int(np.flatnonzero(~np.isfinite(column))[0])
                raise DataError(
                    f"off-policy: expected finite numbers in {name}, got {column[row]} in row "
                    f"{row}; leave such decisions out."
                )
        if n and self.weight.min() < 0:
            raise DataError(
                f"off-policy: expected weights of at least 0, got {self.weight.min():g}."
            )


@dataclass(frozen=True)
class OffPolicy:
    """What is known of a policy from another one's log.

    Attributes:
        estimates: mean reward per decision under the judged policy, by estimator.
        minus_logged: the same minus what the logging policy brought, on the same resamples.
        logged: mean reward per decision of the logging policy.
        mean_weight: of the decisions; 1 wherever the log knows all that the policy does.
        effective: (Σw)² / Σw², how many decisions of the policy's own the log is worth (Kish 1965).
        clipped: share of the decisions whose weight was cut.
        threshold: τ of ``switch_dr``; None without a model.
        refused: why there is no verdict, None if there is one.
        n: decisions.
    """

    estimates: Mapping[str, Estimate]
    minus_logged: Mapping[str, Estimate]
    logged: Estimate
    mean_weight: Estimate
    effective: float
    clipped: float
    threshold: float | None
    refused: str | None
    n: int

    @property
    def best(self) -> str:
        """The estimator to read first: ``sndr`` with a model, ``snipw`` without.

        Where weights are heavy, intervals of ``ipw`` and ``dr`` are too narrow.
        """
        return "sndr" if "sndr" in self.estimates else "snipw"

    def as_dict(self) -> dict[str, Any]:
        """JSON-able: estimates as [value, low, high], the one to read, why there is no verdict."""
        return {
            "estimates": {name: each.as_list() for name, each in self.estimates.items()},
            "minus_logged": {name: each.as_list() for name, each in self.minus_logged.items()},
            "read": self.best,
            "effective": self.effective,
            "refused": self.refused,
        }


def weights(propensity: NDArray[np.floating], probability: NDArray[np.floating]) -> Floats:
    """``probability / propensity`` of what was done.

    Args:
        propensity: chance of it under the policy that did it, above 0 and at most 1.
        probability: chance of it under the policy that is to be judged.

    Raises:
        DataError: a chance is none; what was done cannot have had a chance of zero.
    """
    own, other = (np.asarray(x, dtype=np.float64) for x in (propensity, probability))
    bad = ~((own > 0) & (own <= 1))
    if bad.any():
        row = int(np.flatnonzero(bad.ravel())[0])
        raise DataError(
            f"off-policy: expected propensities above 0 and at most 1, got {own.ravel()[row]:g} in "
            f"row {row} and others in {int(bad.sum()):,} of {own.size:,} rows. What was done had a "
            "chance: log it when deciding, and leave out decisions whose chance is not known."
        )
    bad = ~((other >= 0) & (other <= 1 + 1e-9))
    if bad.any():
        row = int(np.flatnonzero(bad.ravel())[0])
        raise DataError(
            f"off-policy: expected probabilities from 0 to 1 of the judged policy, got "
            f"{other.ravel()[row]:g} in row {row}."
        )
    return other / own


def near_weights(
    logged: NDArray[np.floating],
    density: NDArray[np.floating],
    wanted: NDArray[np.floating],
    bandwidth: float,
) -> Floats:
    """Weights where the action is a number, such as a price: near ones count for the wanted one.

    An Epanechnikov kernel (Kallus and Zhou 2018). What is judged is the policy smoothed by it.

    Args:
        logged: ``(n,)`` what was done.
        density: ``(n,)`` of it under the policy that did it, above 0.
        wanted: ``(n,)`` what the judged policy would have done.
        bandwidth: how far from it still counts, in the unit of the action.
    """
    if bandwidth <= 0 or (np.asarray(density) <= 0).any():
        raise DataError(
            "off-policy: expected a bandwidth and densities above 0, got "
            f"{bandwidth:g} and {np.min(density):g}."
        )
    apart = (np.asarray(wanted, dtype=np.float64) - logged) / bandwidth
    return np.where(np.abs(apart) < 1, 0.75 * (1 - apart**2), 0.0) / (bandwidth * density)


def unsupported(propensities: NDArray, probabilities: NDArray) -> float:
    """Share of the judged policy's decisions that had no chance in the log.

    Args:
        propensities: ``(n, n_actions)`` of the logging policy.
        probabilities: ``(n, n_actions)`` of the judged one.
    """
    if not len(propensities):
        return 0.0
    return float(np.where(propensities > 0, 0.0, probabilities).sum(axis=1).mean())


def slates(
    users: NDArray[np.object_],
    reward: Floats,
    propensity: Floats,
    probability: Floats,
    model: SlateModel = "cascade",
) -> Decisions:
    """Decisions about several slots at once; a reward is that of the whole slate.

    Args:
        users: ``(n,)``.
        reward: ``(n, n_slots)`` what came of each slot.
        propensity: ``(n, n_slots)`` chance of what was shown in it, given the slots above.
        probability: the same under the judged policy.
        model: what a slot's reward depends on: the whole slate (``standard``), the slots down to
            it (``cascade``: McInerney and others 2020), or its own alone (``independent``: Li and
            others 2018). The less, the smaller the variance.

    Returns:
        One decision per slot, its reward times the number of slots, so that means are of slates.
    """
    n_slots = reward.shape[1]
    own = weights(propensity, probability)
    if model == "standard":
        own = np.repeat(own.prod(axis=1, keepdims=True), n_slots, axis=1)
    elif model == "cascade":
        own = own.cumprod(axis=1)
    elif model != "independent":
        raise DataError(
            f"off-policy: expected the model standard, cascade or independent, got {model!r}."
        )
    flat = (reward * n_slots).astype(np.float64).ravel()
    return Decisions(np.repeat(users, n_slots), flat, own.ravel())


def judge(
    decisions: Decisions,
    *,
    clip: float | None = None,
    resamples: int = 1000,
    seed: int = 0,
    least: float = _LEAST,
) -> OffPolicy:
    """All estimates that the decisions allow, with 95 % intervals over users.

    Args:
        decisions: the log beside the policy.
        clip: the largest weight; what exceeds it is cut, which costs bias and saves variance
            (Ionides 2008). ``mean_weight`` and the refusal look at uncut weights.
        resamples: of the users.
        seed: of them.
        least: effective decisions below which no verdict is given.
    """
    n = len(decisions.reward)
    if not n:
        raise DataError("off-policy: expected logged decisions, got none.")
    whole = decisions.weight
    weight = whole if clip is None else np.minimum(whole, clip)
    cut = replace(decisions, weight=weight)
    threshold = None if decisions.predicted is None else _threshold(cut)
    owners = Owners.of(decisions.users)
    columns = _columns(cut, threshold)
    table = owners.sums([*columns.values(), weight, decisions.reward, np.ones(n)])

    def measure(drawn: Weights) -> dict[str, NDArray[np.float64]]:
        *sums, total, reward, count = (drawn.astype(np.float64) @ table).T
        found = {name: ratio(x, count) for name, x in zip(columns, sums, strict=True)}
        found["snipw"] = ratio(found["ipw"] * count, total)
        if "dr" in found:
            correction = (found["dr"] - found["dm"]) * count
            found["sndr"] = found["dm"] + ratio(correction, total)
        return {**found, "": ratio(reward, count)}

    found = resample(measure, owners, resamples=resamples, seed=seed)
    logged = found.pop("")
    order = [name for name in ESTIMATORS if name in found]
    effective = float(whole.sum() ** 2 / max((whole**2).sum(), 1e-300))
    mean_weight = mean_interval(whole, decisions.users, resamples=resamples, seed=seed)
    return OffPolicy(
        estimates={name: found[name].estimate() for name in order},
        minus_logged={name: found[name].minus(logged) for name in order},
        logged=logged.estimate(),
        mean_weight=mean_weight,
        effective=effective,
        clipped=float((weight < whole).mean()),
        threshold=threshold,
        refused=_refusal(decisions, effective, mean_weight, least),
        n=n,
    )


def compare_policies(
    first: Decisions, second: Decisions, *, resamples: int = 1000, seed: int = 0
) -> Estimate:
    """Mean reward of one policy minus another's, from the same log and on the same resamples:
    ``sndr``, or ``snipw`` without a model, which are the estimates to read first.
    """
    owners = Owners.of(first.users)

    def brought(each: Decisions) -> Resampled:
        nothing = np.zeros(len(each.reward))
        expected = nothing if each.expected is None else each.expected
        predicted = nothing if each.predicted is None else each.predicted
        correction = each.weight * (each.reward - predicted)
        table = owners.sums([expected, correction, each.weight, np.ones(len(each.reward))])

        def measure(drawn: Weights) -> dict[str, NDArray[np.float64]]:
            model, corrected, weight, n = (drawn.astype(np.float64) @ table).T
            return {"value": ratio(model, n) + ratio(corrected, weight)}

        return resample(measure, owners, resamples=resamples, seed=seed)["value"]

    return brought(first).minus(brought(second))


def _columns(decisions: Decisions, threshold: float | None) -> dict[str, Floats]:
    """By estimator that is a mean, what it is the mean of."""
    weight, reward = decisions.weight, decisions.reward
    found = {"ipw": weight * reward}
    if decisions.predicted is not None and decisions.expected is not None:
        correction = weight * (reward - decisions.predicted)
        found["dm"] = decisions.expected
        found["dr"] = decisions.expected + correction
        if threshold is not None:
            found["switch_dr"] = decisions.expected + correction * (weight <= threshold)
    return found


def _threshold(decisions: Decisions) -> float:
    """τ with the least bound on the squared error: variance, and squared bias at the worst.

    Without the correction above τ the model may be as wrong everywhere as it is at its worst (Wang,
    Agarwal and Dudik 2017 take the largest reward there).
    """
    assert decisions.expected is not None
    assert decisions.predicted is not None
    weight, n = decisions.weight, len(decisions.weight)
    worst = float(np.abs(decisions.reward - decisions.predicted).max())
    bounds = []
    for tried in np.unique(np.quantile(weight, _THRESHOLDS)):
        column = _columns(decisions, float(tried))["switch_dr"]
        bias = worst * float((weight * (weight > tried)).mean())
        bounds.append((float(column.var()) / n + bias**2, float(tried)))
    return min(bounds)[1]


def _refusal(
    decisions: Decisions, effective: float, mean_weight: Estimate, least: float
) -> str | None:
    if decisions.unsupported > _LOST:
        return (
            f"{decisions.unsupported:.0%} of what the policy does had no chance in the log: "
            "nothing there says what would come of it. Let the logging policy try it now and then."
        )
    if effective < least:
        return (
            f"the log is worth {effective:.0f} decisions of the policy's own, at least {least:.0f} "
            "are needed; collect more, or judge a policy nearer to the logged one."
        )
    if mean_weight.low > 1 + _FAR or mean_weight.high < 1 - _FAR:
        return (
            f"weights average {mean_weight.value:.2f} ({mean_weight.low:.2f} to "
            f"{mean_weight.high:.2f}) where 1 is due: propensities are wrong, or the log lacks "
            "part of what the policy does."
        )
    return None
