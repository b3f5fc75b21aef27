"""Audience: whom to show which ad, judged on the latest part of the log before anybody is named.

What was shown first is learned from, what was shown later judges, and everything then names the
users of today. Nobody is named who has not agreed to it, and a part of those who would be named is
drawn to be left alone: only they can tell afterwards what the campaign brought.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError
from shoploom.core.files import remove, write_json
from shoploom.core.progress import Progress
from shoploom.core.time import DAY_US, iso
from shoploom.engines import Inputs, State, read_state, save_state
from shoploom.evaluation.intervals import Owners, resample
from shoploom.evaluation.off_policy import compare_policies
from shoploom.evaluation.ordered import Descending, PositivesFirst
from shoploom.evaluation.uplift import METRICS, gain_curve, uplift_compare, uplift_score
from shoploom.policies.allocation import allocate, chosen_at, price_of_money
from shoploom.policies.outcomes import fit_outcomes
from shoploom.policies.regression import Mixture
from shoploom.policies.target import (
    RECENT_DAYS,
    Effects,
    Shown,
    choose,
    fit_effects,
    judge_choices,
    shown,
    with_guessed_chances,
)
from shoploom.policies.uplift import LEARNERS
from shoploom.sequences import views
from shoploom.tables import Tables, open_tables
from shoploom.workflows.config import ShopConfig
from shoploom.workflows.run import Run
from shoploom.workflows.user_features import (
    in_columns,
    moments_before,
    user_features,
    words_of,
)

if TYPE_CHECKING:
    import pandas as pd

#: What ``users.consent`` says of those who may be shown ads; a shop without the column has none
#: that says otherwise.
AGREED = ("all", "marketing", "ads", "yes", "true")
HELD_OUT, TARGETED = "hold-out", "target"
#: Why somebody is shown something or not.
REASONS = {
    "shown": "adds {gain:.2f} beyond its cost, {times} time(s)",
    "no consent": "no consent to be shown ads",
    "not worth it": "nothing adds more than it costs",
    "left alone": "drawn to be left alone, so that the campaign can be measured",
}

_JUDGED = 0.3  # share of the log, the latest, that judges
_MOST_TIMES = 10
_EMBARGO_DAYS = 7  # before it, so that no outcome that is learned from came later


@dataclass(frozen=True)
class Campaign:
    """What is asked for.

    Attributes:
        kind: of the exposures, what stands before the colon of an arm.
        control: the arm that shows nothing; found by its name where None.
        outcome: that is hoped for: ``spend``, ``converted`` or ``clicked``.
        value: of one of the outcome, in the shop's currency; margin, where it is spend.
        budget: of everybody together; None for no bound.
        hold_out: share of those who would be targeted that are left alone.
        learner: of the effects, a name in ``LEARNERS``.
        active_days: users without an event for so long are not asked about.
        times: how often one user may be shown an ad at most in the coming four weeks.
    """

    kind: str = "ad"
    control: str | None = None
    outcome: str = c.SPEND
    value: float = 1.0
    budget: float | None = None
    hold_out: float = 0.1
    learner: str = "stack"
    active_days: int = 90
    times: int = 1

    def __post_init__(self) -> None:
        LEARNERS.get(self.learner)
        if not re.fullmatch(r"\w[\w .-]*", self.kind):  # it names a file
            raise ConfigError(
                f"expected a kind of letters, digits, spaces, dots and dashes, got {self.kind!r}."
            )
        if not 1 <= self.times <= _MOST_TIMES:
            raise ConfigError(f"expected 1 to {_MOST_TIMES} times, got {self.times}.")
        if not 0 <= self.hold_out < 1:
            raise ConfigError(
                f"expected a hold-out share from 0 to below 1, got {self.hold_out:g}."
            )
        if self.value <= 0 or (self.budget is not None and self.budget <= 0):
            raise ConfigError(
                f"expected a value and a budget above 0, got {self.value:g} and {self.budget}."
            )


@dataclass(frozen=True)
class Audience:
    """Who should be shown what, and what is known of the policy that says so.

    Attributes:
        users: one row per user: ``user_id``, ``arm``, ``group``, ``gain`` (expected, cost taken
            off), ``cost``, and the effect of each arm. Empty where the policy was refused.
        about: JSON-able; ``docs/policies/target.md`` describes it.
    """

    users: pd.DataFrame
    about: dict[str, Any]

    @property
    def refused(self) -> str | None:
        """Why nobody is named."""
        return self.about["refused"]


def audience_folder(run: Run) -> Path:
    """Where what was found lies, one JSON file per kind of exposure."""
    return run.folder / "audience"


def audience(
    config: ShopConfig, run: Run, progress: Progress, campaign: Campaign | None = None
) -> Audience:
    """Learn the effects, judge the policy, name the users; ``RUN/audience/KIND.json`` keeps what
    was found.

    Raises:
        NotFitted: the shop has not been prepared.
        DataError, UnknownName: the log of exposures does not allow it.
    """
    campaign = campaign or Campaign()
    run.fingerprint_of("prepare")
    tables = open_tables(run.prepared)
    log = shown(tables, kind=campaign.kind, control=campaign.control, outcome=campaign.outcome)
    inputs = Inputs(until=_end(tables), tables=tables, **views(tables))
    with progress.step("Gather what was known of users"):
        features = _features(inputs, tables, log.users, moments_before(log.times), log.recent)
    if log.observational:
        progress.note(
            "exposures have no propensities: who got what is guessed, and all that follows is "
            "observational: differences may have other causes."
        )
        log, kept = with_guessed_chances(log, features, config.seed)
        features = features[kept]
    with progress.step("Learn whom each arm moves, and judge it on later exposures"):
        about = _judged(config, campaign, features, log)
    about |= {"observational": log.observational, "outcome": campaign.outcome}
    write_json(audience_folder(run) / f"{campaign.kind}.json", about)
    if about["refused"]:
        remove(audience_folder(run) / campaign.kind)
        return Audience(_frame([], log.arms), about)
    with progress.step("Name the users of today"):
        named = _named(config, run, campaign, inputs, tables, features, log)
    about["named"] = _counted(named, campaign)
    write_json(audience_folder(run) / f"{campaign.kind}.json", about)
    return Audience(named, about)


def _judged(
    config: ShopConfig, campaign: Campaign, features: NDArray[np.float32], log: Shown
) -> dict[str, Any]:
    """Orders of users and policies, judged on the latest exposures."""
    start = int(np.quantile(log.times, 1 - _JUDGED))
    before = np.flatnonzero(log.times < start - _EMBARGO_DAYS * DAY_US)
    after = np.flatnonzero(log.times >= start)
    past, later = log.take(before), log.take(after)
    told, seed = {}, config.seed
    for name in dict.fromkeys((campaign.learner, "response")):
        effects = fit_effects(LEARNERS.get(name)(), features[before], past, seed=seed)
        told[name] = effects(features[after])
    orders = {}
    for arm, title in enumerate(log.arms[1:], 1):
        rows, trial = later.trial(arm)
        scores = {name: effects[rows, arm] for name, effects in told.items()}
        versus = uplift_compare(trial, scores, campaign.learner, seed=seed)
        curve = gain_curve(trial, scores[campaign.learner], seed=seed)
        orders[title] = {
            "results": {
                name: {m: e.as_list() for m, e in uplift_score(trial, score, seed=seed).items()}
                for name, score in scores.items()
            },
            "versus": {n: {m: by[m].as_list() for m in METRICS} for n, by in versus.items()},
            "curve": {name: column.tolist() for name, column in vars(curve).items()},
        }
    # The budget is for the users of today, not for the log: here whoever is worth it is chosen.
    choices = {
        "chosen": choose(told[campaign.learner], past.cost, value=campaign.value),
        f"everybody: {log.arms[0]}": np.zeros(len(after), dtype=np.int64),
    }
    for arm, title in enumerate(log.arms[1:], 1):
        choices[f"everybody: {title}"] = np.full(len(after), arm)
    found, decisions = judge_choices(
        (features[before], past), (features[after], later), choices, value=campaign.value, seed=seed
    )
    chosen = found["chosen"]
    best = max(list(choices)[1:], key=lambda name: found[name].estimates[found[name].best].value)
    ahead = compare_policies(decisions["chosen"], decisions[best], seed=seed)
    return {
        "foretold": _foretold(config.seed, (features[before], past), (features[after], later)),
        "kind": campaign.kind,
        "arms": list(log.arms),
        "learner": campaign.learner,
        "exposures": len(log),
        "learned_from": [iso(int(past.times[0])), iso(int(past.times[-1])), len(past)],
        "judged_on": [iso(int(later.times[0])), iso(int(later.times[-1])), len(later)],
        "orders": orders,
        "policies": {name: each.as_dict() for name, each in found.items()},
        "logged": chosen.logged.as_list(),
        "best_of_the_same_for_all": best,
        "chosen_minus_best": ahead.as_list(),
        "refused": chosen.refused,
    }


def _foretold(
    seed: int,
    learned_from: tuple[NDArray[np.float32], Shown],
    asked: tuple[NDArray[np.float32], Shown],
) -> dict[str, dict[str, list[float | None]]]:
    """Of every yes-or-no outcome that was logged, how well it is foretold of the later exposures:
    AUROC, and its share there as it was and as it was expected.
    """
    before, past = learned_from
    features, later = asked
    out = {}
    for name, found in past.others.items():
        truth = later.others[name]
        if not np.isin(found, (0, 1)).all() or not 0 < truth.mean() < 1 or not 0 < found.mean() < 1:
            continue
        actions = np.eye(len(past.arms))
        told = fit_outcomes(before, past.arm, found, actions, seed=seed)(features)
        own = told[np.arange(len(later)), later.arm]
        owners = Owners.of(later.users)
        measure = PositivesFirst(Descending.of(own), truth, owners).measure
        order = resample(measure, owners, seed=seed)["auroc"].estimate()
        out[name] = {"auroc": order.as_list(), "share": [float(truth.mean()), float(own.mean())]}
    return out


def _named(
    config: ShopConfig,
    run: Run,
    campaign: Campaign,
    inputs: Inputs,
    tables: Tables,
    features: NDArray[np.float32],
    log: Shown,
) -> pd.DataFrame:
    """Users of today who would be shown something, most gain first."""
    effects = fit_effects(LEARNERS.get(campaign.learner)(), features, log, seed=config.seed)
    at = inputs.until
    users = reachable(tables, at, campaign.active_days)
    recent = _recent_now(log, users, at)
    known = _features(inputs, tables, users, np.full(len(users), at), recent)
    told = effects(known)
    extra = log.cost - log.cost[0]
    value, cost = options_of(effects, known, extra, campaign)
    arm, times, gain = _planned(allocate(value, cost, campaign.budget), value, len(extra))
    money = price_of_money(value, cost, campaign.budget)
    decider = Decider(
        campaign,
        config.seed,
        log.arms,
        effects,
        extra,
        money,
        _words(tables),
        inputs.statistics(at).names,
        _shown_late(log, at),
    )
    save_decider(run, decider)
    wanted = np.flatnonzero(arm > 0)
    wanted = wanted[np.argsort(-gain[wanted], kind="stable")]
    held = [
        _drawn(str(users[row]), campaign.kind, config.seed) < campaign.hold_out
        for row in wanted.tolist()
    ]
    return _frame(
        [
            {
                c.USER_ID: users[row],
                c.ARM: log.arms[arm[row]],
                "group": HELD_OUT if out else TARGETED,
                "times": int(times[row]),
                "gain": gain[row],
                c.COST: 0.0 if out else extra[arm[row]] * times[row],
                **{f"effect of {name}": told[row, n] for n, name in enumerate(log.arms) if n},
            }
            for row, out in zip(wanted.tolist(), held, strict=True)
        ],
        log.arms,
    )


def options_of(
    effects: Effects, known: NDArray[np.float32], extra: NDArray[np.float64], campaign: Campaign
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``(n, n_options)`` what each arm adds, shown once, twice and so on, costs taken off, and what
    it costs; the first option is to show nothing.

    What the next showing adds is told with the showings before it among those of late.
    """
    total = np.zeros((len(known), len(extra)))
    options, costs = [np.zeros(len(known))], [np.zeros(len(known))]
    for already in range(campaign.times):
        before = known.copy()
        before[:, -1] += already
        total = total + campaign.value * effects(before)
        for arm in range(1, len(extra)):
            options.append(total[:, arm] - (already + 1) * extra[arm])
            costs.append(np.full(len(known), (already + 1) * extra[arm]))
    return np.stack(options, axis=1), np.stack(costs, axis=1)


def _planned(
    option: NDArray[np.int64], value: NDArray[np.float64], arms: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Of each user the arm, how often, and what all showings together add, costs taken off."""
    n_arms = max(arms - 1, 1)
    arm = np.where(option > 0, (option - 1) % n_arms + 1, 0)
    times = np.where(option > 0, (option - 1) // n_arms + 1, 0)
    return arm, times, value[np.arange(len(option)), option]


@dataclass(frozen=True)
class Decider:
    """What says of one user at a time whether to show something: a campaign, ready to serve.

    Attributes:
        campaign: what was asked for.
        seed: of who is left alone.
        arms: names; the first shows nothing.
        effects: what each adds.
        extra: ``(n_arms,)`` what each costs beyond the first.
        money: what a unit of cost has to bring beyond itself, so that the budget lasts.
        words: attributes of users that are looked at, with their values.
        statistics: names of those that are looked at.
        late: when each user was shown something of late, microseconds.
    """

    campaign: Campaign
    seed: int
    arms: tuple[str, ...]
    effects: Effects
    extra: NDArray[np.float64]
    money: float
    words: Mapping[str, Sequence[str]]
    statistics: tuple[str, ...]
    late: Mapping[str, Sequence[int]]

    def decide(
        self, user: str, at: int, statistics: NDArray[np.float32], said: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What to show a user, JSON-able.

        Args:
            user: id.
            at: the moment.
            statistics: ``(n_statistics,)`` of the user.
            said: the user's row of the users' table.
        """
        recent = sum(time >= at - RECENT_DAYS * DAY_US for time in self.late.get(user, ()))
        columns = [
            in_columns(np.array([said.get(name)], dtype=object), values)
            for name, values in self.words.items()
        ]
        known = np.hstack([statistics[None], *columns, [[float(recent)]]]).astype(np.float32)
        told = self.effects(known)[0]
        value, cost = options_of(self.effects, known, self.extra, self.campaign)
        option = chosen_at(value, cost, self.money)
        arm, times, gain = _planned(option, value, len(self.extra))
        wanted = int(arm[0])
        held = wanted > 0 and _drawn(user, self.campaign.kind, self.seed) < self.campaign.hold_out
        agreed = c.CONSENT not in said or str(said[c.CONSENT]).lower() in AGREED
        shown = wanted if agreed and not held else 0
        why = "shown"
        if not agreed:
            why = "no consent"
        elif not wanted:
            why = "not worth it"
        elif held:
            why = "left alone"
        return {
            "arm": self.arms[shown] if shown else None,
            "group": (HELD_OUT if held else TARGETED) if wanted and agreed else None,
            "gain": float(gain[0]) if wanted and agreed else None,
            "effects": {name: float(told[n]) for n, name in enumerate(self.arms) if n},
            "why": why,
            "reason": REASONS[why].format(gain=gain[0], times=times[0]),
        }


def save_decider(run: Run, decider: Decider) -> None:
    """Keep a campaign in the run folder, where its effects can be kept; else none is kept."""
    folder = audience_folder(run) / decider.campaign.kind
    remove(folder)
    arrays, effects = {"extra": decider.extra}, []
    for number, effect in enumerate(decider.effects.learned):
        if not isinstance(effect, Mixture):
            return
        config, own = effect.state()
        effects.append(config)
        arrays |= {f"effect.{number}.{name}": array for name, array in own.items()}
    config = {
        "campaign": asdict(decider.campaign),
        "seed": decider.seed,
        "arms": list(decider.arms),
        "effects": effects,
        "money": decider.money,
        "words": {name: list(values) for name, values in decider.words.items()},
        "statistics": list(decider.statistics),
        "late": {user: list(times) for user, times in decider.late.items()},
    }
    save_state(folder, "audience", State(config, arrays))


def load_deciders(run: Run) -> dict[str, Decider]:
    """The campaigns of a run by kind of exposure.

    Raises:
        DataError: a file is cut short.
    """
    found = {}
    for folder in sorted(audience_folder(run).glob("*/state.json")):
        _, state = read_state(folder.parent)
        config, arrays = state.config, state.arrays
        learned = []
        for number, each in enumerate(config["effects"]):
            begins = f"effect.{number}."
            own = {n.removeprefix(begins): a for n, a in arrays.items() if n.startswith(begins)}
            learned.append(Mixture.from_state(each, own))
        campaign = Campaign(**config["campaign"])
        found[campaign.kind] = Decider(
            campaign,
            config["seed"],
            tuple(config["arms"]),
            Effects(learned),
            arrays["extra"],
            config["money"],
            config["words"],
            tuple(config["statistics"]),
            config["late"],
        )
    return found


def _words(tables: Tables) -> dict[str, list[str]]:
    return {} if tables.users is None else words_of(tables.users.to_pyarrow())


def _shown_late(log: Shown, at: int) -> dict[str, list[int]]:
    """When users were shown something in the last weeks."""
    found: dict[str, list[int]] = {}
    rows = np.flatnonzero((log.times >= at - RECENT_DAYS * DAY_US) & (log.arm > 0))
    for row in rows.tolist():
        found.setdefault(str(log.users[row]), []).append(int(log.times[row]))
    return found


def _frame(rows: Sequence[dict[str, Any]], arms: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    names = [
        c.USER_ID,
        c.ARM,
        "group",
        "times",
        "gain",
        c.COST,
        *(f"effect of {arm}" for arm in arms[1:]),
    ]
    return pd.DataFrame(list(rows), columns=pd.Index(names))


def _counted(named: pd.DataFrame, campaign: Campaign) -> dict[str, Any]:
    by_arm = named[named["group"] == TARGETED].groupby(c.ARM)
    return {
        "users": len(named),
        "targeted": {str(arm): len(rows) for arm, rows in by_arm},
        "held_out": int((named["group"] == HELD_OUT).sum()),
        "showings": int(named.loc[named["group"] == TARGETED, "times"].sum()),
        "cost": float(named[c.COST].sum()),
        "gain": float(named.loc[named["group"] == TARGETED, "gain"].sum()),
        "budget": campaign.budget,
        "value": campaign.value,
    }


def _features(
    inputs: Inputs,
    tables: Tables,
    users: NDArray[np.object_],
    moments: NDArray[np.int64],
    recent: NDArray[np.float64],
) -> NDArray[np.float32]:
    """``(n, dim)`` what was known of each user at the moment, and ads of late."""
    known = user_features(inputs, tables, users, moments)
    return np.hstack([known, recent[:, None].astype(np.float32)])


def reachable(tables: Tables, at: int, active_days: int) -> NDArray[np.object_]:
    """Users with an event of late who have agreed to be shown ads; all of these where the shop
    does not keep who has agreed.
    """
    events = tables.events
    late = events.filter(events[c.TIME] >= at - active_days * DAY_US)
    users = {str(user) for user in late.select(c.USER_ID).distinct().to_pyarrow()[0].to_pylist()}
    if tables.users is not None and c.CONSENT in tables.users.columns:
        frame = tables.users.select(c.USER_ID, c.CONSENT).to_pyarrow().to_pydict()
        users &= {
            str(user)
            for user, consent in zip(frame[c.USER_ID], frame[c.CONSENT], strict=True)
            if str(consent).lower() in AGREED
        }
    return np.array(sorted(users), dtype=object)


def _recent_now(log: Shown, users: NDArray[np.object_], at: int) -> NDArray[np.float64]:
    late = log.users[(log.times >= at - RECENT_DAYS * DAY_US) & (log.arm > 0)]
    names, counts = np.unique(late.astype(str), return_counts=True)
    by_user = dict(zip(names.tolist(), counts.tolist(), strict=True))
    return np.array([float(by_user.get(str(user), 0)) for user in users])


def _drawn(user: str, kind: str, seed: int) -> float:
    """From 0 to below 1, the same for a user whenever the campaign is asked for again."""
    return zlib.crc32(f"{seed}/{kind}/{user}".encode()) / 2**32


def _end(tables: Tables) -> int:
    """Just after the last event."""
    return int(tables.events[c.TIME].max().to_pyarrow().as_py()) + 1
