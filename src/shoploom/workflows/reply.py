"""Replies: which one suits whom, judged on the latest part of the log before any is given.

What is known when replying: what the customer has said so far, told as intent and emotion (as
logged, where that was known then), statistics of what they did before, recent orders among them,
and attributes. Earlier replies teach, later ones judge, all of them together then answer.
"""

# Ibis types every column alike:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, DataError, NotFitted
from shoploom.core.files import write_json
from shoploom.core.progress import Progress
from shoploom.core.time import DAY_US, iso
from shoploom.engines import Inputs, State, read_state, save_state
from shoploom.evaluation.off_policy import compare_policies, judge
from shoploom.policies.outcomes import decisions_of
from shoploom.policies.regression import Floats, cross_fit, folds_of
from shoploom.policies.reply.answers import Answers, Past, Template, read_templates
from shoploom.policies.reply.choose import Suits, decide, fit_suits
from shoploom.policies.reply.dialogue import Dialogue, dialogues_of
from shoploom.policies.reply.satisfaction import Satisfaction, fit_satisfaction
from shoploom.policies.reply.saving import (
    Shelf,
    answers_from_state,
    answers_state,
    satisfaction_from_state,
    satisfaction_state,
    suits_from_state,
    suits_state,
    taken,
    understanding_from_state,
    understanding_state,
)
from shoploom.policies.reply.understand import Understanding, understand, understand_others
from shoploom.policies.target import KIND_SEPARATOR, Shown, shown
from shoploom.sequences import views
from shoploom.tables import Tables, open_tables
from shoploom.workflows.config import ShopConfig
from shoploom.workflows.model import Model, load
from shoploom.workflows.run import Run
from shoploom.workflows.user_features import attributes, moments_before, words_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

KIND = "reply"
_JUDGED = 0.3  # share of the log, the latest, that judges
_SATISFIED = 4.0  # of 5, from where on a dialogue went well
_FEWEST_RATED = 60  # dialogues whose satisfaction teaches how others went
_FOLDS = 3
_PARTS_OF_Z = 8  # principal components of z: a few hundred replies bear no more
#: Statistics that may tell which reply suits, recent orders among them.
_STATISTICS = (
    *("recency_days", "tenure_days", "events_28d", "purchase_recency_days", "orders"),
    *("purchases_28d", "spend", "order_value_mean", "discount_share", "return_count"),
)


@dataclass(frozen=True)
class Replying:
    """What is asked for.

    Attributes:
        outcome: of exposures, that says that a reply suited: ``converted`` or ``clicked``.
        templates: a YAML file of approved replies; None where there is none.
        worth: of a reply that suits, in currency, beside what replies cost.
        least: a person answers where the best reply is less likely to suit.
    """

    outcome: str = c.CONVERTED
    templates: Path | None = None
    worth: float = 10.0
    least: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.least <= 1:
            raise ConfigError(f"--least: expected a chance from 0 to 1, got {self.least}.")
        if self.worth <= 0:
            raise ConfigError(f"--worth: expected an amount above 0, got {self.worth}.")


@dataclass(frozen=True)
class Reply:
    """What to answer.

    Attributes:
        reply: the best one's name. chance: that it suits.
        person: whether a person should answer instead.
        text: its words, None where none are known. source: ``template``, ``past`` or ``none``.
        intent, emotion: as understood, with their chances.
        satisfaction: chance that the dialogue ends well as it stands; None where not learned.
        chances: of every reply.
    """

    reply: str
    chance: float
    person: bool
    text: str | None
    source: str
    intent: dict[str, float]
    emotion: dict[str, float]
    satisfaction: float | None
    chances: dict[str, float]


@dataclass(frozen=True)
class Service:
    """What was learned of replies, ready to answer.

    Attributes:
        about: JSON-able; ``docs/policies/reply.md`` describes it.
    """

    about: dict[str, Any]
    _suits: Suits
    _read: Reader
    _answers: Answers
    _cost: Floats
    _satisfaction: Satisfaction | None
    _asked: Replying

    @property
    def refused(self) -> str | None:
        """Why nothing may be answered by itself."""
        return self.about["refused"]

    def choose(
        self, intents: Sequence[str], emotions: Sequence[str], users: Sequence[str]
    ) -> tuple[list[str], NDArray[np.bool_]]:
        """The best replies where intents and emotions are known, and where a person should answer.

        Raises:
            DataError: an intent or emotion that the log does not know.
        """
        parts = [
            _certain(head, some, name)
            for name, head, some in (
                (c.INTENT, self._read.intent, intents),
                (c.EMOTION, self._read.emotion, emotions),
            )
        ]
        suits = self._suits(self._read.of(parts, np.array(users, dtype=object)))
        chosen, person = decide(suits, self._cost, worth=self._asked.worth, least=self._asked.least)
        return [self._suits.replies[code] for code in chosen.tolist()], person

    def answer(
        self, texts: Sequence[str], user: str | None = None, roles: Sequence[str] | None = None
    ) -> Reply:
        """The best reply to a running dialogue.

        Args:
            texts: what was said, oldest first.
            user: who asks; None for somebody unknown.
            roles: who said each, ``customer`` or ``agent``; all the customer's where not given.

        Raises:
            DataError: nothing was said.
        """
        roles = list(roles) if roles is not None else [c.CUSTOMER] * len(texts)
        if len(roles) != len(texts) or not any(text.strip() for text in texts):
            raise DataError(
                f"reply: expected what the customer said, and a role for each of it, got "
                f"{len(texts)} texts and {len(roles)} roles."
            )
        mine = zip(roles, texts, strict=True)
        said = " ".join(text for role, text in mine if role == c.CUSTOMER)
        context = self._read.now([said], np.array([user or ""], dtype=object))
        suits = self._suits(context)
        chosen, person = decide(suits, self._cost, worth=self._asked.worth, least=self._asked.least)
        name = self._suits.replies[int(chosen[0])]
        text, source = self._answers(name, said)
        ends = None
        if self._satisfaction is not None:
            ends = float(self._satisfaction.probabilities([(roles, list(texts))])[0, -1])
        return Reply(
            reply=name,
            chance=float(suits[0, chosen[0]]),
            # Without words to say, a person has to find them.
            person=bool(person[0]) or text is None,
            text=text,
            source=source,
            intent=self._read.named(self._read.intent, said),
            emotion=self._read.named(self._read.emotion, said),
            satisfaction=ends,
            chances=dict(zip(self._suits.replies, suits[0].tolist(), strict=True)),
        )


def reply_json(run: Run) -> Path:
    """Where what was found lies."""
    return run.folder / "reply.json"


def service(
    config: ShopConfig, run: Run, progress: Progress, asked: Replying | None = None
) -> Service:
    """Learn which replies suit, judge them, be ready to answer; ``RUN/reply.json`` keeps findings.

    Raises:
        NotFitted: the shop has not been prepared.
        DataError, UnknownName: the log of replies does not allow it.
    """
    asked = asked or Replying()
    run.fingerprint_of("prepare")
    tables = open_tables(run.prepared)
    templates = read_templates(asked.templates) if asked.templates is not None else {}
    log = _logged(tables, asked.outcome)
    cost = _costs(log, templates)
    with progress.step("Read what customers had said, and what was known of them"):
        talks = dialogues_of(tables) if tables.dialogues is not None else {}
        inputs = Inputs(until=_end(tables), tables=tables, **views(tables))
        try:
            model = load(run.folder)
        except NotFitted:
            model = None
            progress.note("nothing was trained: customers are known by their statistics alone.")
        moments = moments_before(log.times)
        customers = _Customers.of(inputs, tables, model, log.users, moments)
        read, context = _read(config.seed, customers, talks, log, moments)
    with progress.step("Learn which replies suit, and judge it on later ones"):
        about = _judged(config.seed, log, context, cost, asked)
    suits = _fit(config.seed, context, log, np.arange(len(log)))
    with progress.step("Learn how dialogues end"):
        satisfaction, measured = _satisfaction(config.seed, talks)
    about |= {
        "replies": list(log.arms),
        "outcome": asked.outcome,
        "intents": list(read.intent.classes),
        "emotions": list(read.emotion.classes),
        "satisfaction": measured,
        "matrix": _matrix(suits(context), log),
    }
    write_json(reply_json(run), about)
    answers = Answers.of(templates, _past(talks, log))
    found = Service(about, suits, read, answers, cost, satisfaction, asked)
    _save(run, found, customers.how)
    return found


def _save(run: Run, found: Service, how: Describes) -> None:
    """Keep what was learned, for a server to answer with."""
    shelf = Shelf()
    shelf.put("suits", suits_state(found._suits))
    shelf.put("intent", understanding_state(found._read.intent))
    shelf.put("emotion", understanding_state(found._read.emotion))
    shelf.put("answers", answers_state(found._answers))
    ends = found._satisfaction
    shelf.put("satisfaction", None if ends is None else satisfaction_state(ends))
    config, arrays = shelf.whole
    asked = found._asked
    templates = None if asked.templates is None else str(asked.templates.absolute())
    config |= {
        "about": found.about,
        "asked": {"outcome": asked.outcome, "worth": asked.worth, "least": asked.least}
        | {"templates": templates},
        "habits": list(how.habits),
        "words": {name: list(values) for name, values in how.words.items()},
    }
    arrays |= {"cost": found._cost, "centre": how.centre, "axes": how.axes}
    save_state(run.folder / "reply", KIND, State(config, arrays))


def load_service(
    run: Run, customers: Callable[[Describes, NDArray[np.object_]], Floats]
) -> Service | None:
    """What a run learned of replies; None where nobody asked for it.

    Args:
        run: the run.
        customers: ``(n, dim)`` what is known of users now, as it is to be described.

    Raises:
        DataError: a file is cut short.
    """
    if not (run.folder / "reply").exists():
        return None
    _, state = read_state(run.folder / "reply")
    config, arrays = state.config, state.arrays
    how = Describes(tuple(config["habits"]), config["words"], arrays["centre"], arrays["axes"])
    parts = {
        name: taken(name, config, arrays, make)
        for name, make in (
            ("suits", suits_from_state),
            ("intent", understanding_from_state),
            ("emotion", understanding_from_state),
            ("answers", answers_from_state),
            ("satisfaction", satisfaction_from_state),
        )
    }
    read = Reader(parts["intent"], parts["emotion"], lambda users: customers(how, users))
    return Service(
        config["about"],
        parts["suits"],
        read,
        parts["answers"],
        arrays["cost"],
        parts["satisfaction"],
        _asked_for(config["asked"]),
    )


def repeated_replies(config: ShopConfig, old: Run, new: Run, progress: Progress) -> Service | None:
    """Replies of a new run as they were asked for in an old one; None where they were not.

    Raises:
        DataError, UnknownName, ConfigError: the log does not allow it any more.
    """
    if not (old.folder / "reply").exists():
        return None
    _, state = read_state(old.folder / "reply")
    return service(config, new, progress, _asked_for(state.config["asked"]))


def _asked_for(saved: Mapping[str, Any]) -> Replying:
    templates = saved.get("templates")
    return Replying(**{**saved, "templates": None if templates is None else Path(templates)})


def answers_of(found: Service, texts: Sequence[str], users: Sequence[str | None]) -> pd.DataFrame:
    """One row per text with the best reply to it."""
    import pandas as pd

    rows = []
    for text, user in zip(texts, users, strict=True):
        one = found.answer([text], user)
        rows.append(
            {
                c.TEXT: text,
                "reply": one.reply,
                "chance": one.chance,
                "person": one.person,
                "answer": one.text,
                "source": one.source,
                c.INTENT: max(one.intent, key=one.intent.__getitem__, default=None),
                c.EMOTION: max(one.emotion, key=one.emotion.__getitem__, default=None),
            }
        )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Reader:
    """What is known when replying, as numbers.

    Attributes:
        intent, emotion: what customers want and feel.
        customers: ``(n, dim)`` what is known of users now.
    """

    intent: Understanding
    emotion: Understanding
    customers: Callable[[NDArray[np.object_]], Floats]

    def of(self, told: Sequence[Floats], users: NDArray[np.object_]) -> Floats:
        """``(n, dim)`` contexts of today from chances of intents and emotions."""
        return np.hstack([*told, self.customers(users)]).astype(np.float64)

    def now(self, texts: Sequence[str], users: NDArray[np.object_]) -> Floats:
        """The same from what was said."""
        return self.of([self.intent(texts), self.emotion(texts)], users)

    def named(self, of: Understanding, text: str) -> dict[str, float]:
        return dict(zip(of.classes, of([text])[0].tolist(), strict=True))


@dataclass(frozen=True)
class Describes:
    """How what is known of a customer becomes numbers.

    Attributes:
        habits: names of statistics.
        words: attributes that are looked at, with their values.
        centre, axes: of z: ``(dim,)``, and ``(dim, parts)`` its principal components; without
            parts where nothing was trained.
    """

    habits: tuple[str, ...]
    words: Mapping[str, Sequence[str]]
    centre: Floats
    axes: Floats

    @property
    def reads_z(self) -> bool:
        """Whether what engines know is looked at."""
        return self.axes.size > 0

    def rows(
        self, habits: Floats, said: NDArray[np.floating], z: NDArray[np.floating] | None
    ) -> Floats:
        """``(n, dim)``, NaN where unknown.

        Args:
            habits: ``(n, n_habits)`` in their own units.
            said: ``(n, n_values)`` attributes in columns.
            z: ``(n, dim of z)`` where it is looked at.
        """
        # Counts and amounts have long tails.
        parts = [np.log1p(np.maximum(habits, 0)), said]
        if z is not None and self.reads_z:
            parts.append((z - self.centre) @ self.axes)
        return np.hstack(parts)


@dataclass(frozen=True)
class _Customers:
    """What is known of who asks: habits and orders, attributes, and z where engines were trained.

    z is read by engines that learned from the whole log; replies and what came of them were no
    part of it.
    """

    inputs: Inputs
    tables: Tables
    model: Model | None
    how: Describes

    @classmethod
    def of(
        cls,
        inputs: Inputs,
        tables: Tables,
        model: Model | None,
        users: NDArray[np.object_],
        moments: NDArray[np.int64],
    ) -> _Customers:
        """With the principal components of z among those users then."""
        known = inputs.statistics(inputs.until).names
        habits = tuple(name for name in _STATISTICS if name in known)
        words = {} if tables.users is None else words_of(tables.users.to_pyarrow())
        nothing = cls(
            inputs, tables, model, Describes(habits, words, np.zeros(0), np.zeros((0, 0)))
        )
        if model is None:
            return nothing
        z = nothing.known(users, moments)
        centre = z.mean(axis=0)
        _, _, axes = np.linalg.svd(z - centre, full_matrices=False)
        how = replace(nothing.how, centre=centre, axes=np.asarray(axes[:_PARTS_OF_Z].T))
        return cls(inputs, tables, model, how)

    def now(self, users: NDArray[np.object_]) -> Floats:
        """``(n, dim)`` of today."""
        return self(users, np.full(len(users), self.inputs.until))

    def __call__(self, users: NDArray[np.object_], moments: NDArray[np.int64]) -> Floats:
        """``(n, dim)``, NaN where unknown."""
        names = self.inputs.statistics(self.inputs.until).names
        columns = [names.index(name) for name in self.how.habits]
        habits = np.full((len(users), len(columns)), np.nan)
        for at in np.unique(moments).tolist():
            rows = np.flatnonzero(moments == at)
            habits[rows] = self.inputs.statistics(at).take(users[rows])[:, columns]
        z = None if self.model is None else self.known(users, moments)
        return self.how.rows(habits, attributes(self.tables, users), z)

    def known(self, users: NDArray[np.object_], moments: NDArray[np.int64]) -> Floats:
        """``(n, dim of z)``."""
        assert self.model is not None
        out: Floats | None = None
        for at in np.unique(moments).tolist():
            rows = np.flatnonzero(moments == at)
            z = self.model.represent(users[rows].tolist(), at=iso(at), latest=True)
            out = np.zeros((len(users), z.shape[1])) if out is None else out
            out[rows] = z
        return np.zeros((len(users), 0)) if out is None else out


def _logged(tables: Tables, outcome: str) -> Shown:
    """The log of replies; the commonest stands first."""
    if tables.exposures is None:
        raise DataError(
            "expected a table of exposures with arms reply:NAME, the shop has none; log which "
            "reply was given, with which chance, and whether it suited."
        )
    table = tables.exposures
    begins = KIND + KIND_SEPARATOR
    arms = table.filter(table[c.ARM].startswith(begins))
    counts = arms.group_by(c.ARM).aggregate(n=arms.count()).to_pyarrow().to_pydict()
    if not counts[c.ARM]:
        raise DataError("exposures: expected arms reply:NAME, found none.")
    common = max(zip(counts["n"], counts[c.ARM], strict=True))[1]
    log = shown(tables, kind=KIND, control=str(common).removeprefix(begins), outcome=outcome)
    if log.observational:
        raise DataError(
            "exposures of 'reply': expected propensities, found none: why a reply was given "
            "cannot be told from whether it suited. Log the chance that each had."
        )
    return log


def _read(
    seed: int,
    customers: _Customers,
    talks: Mapping[str, Dialogue],
    log: Shown,
    moments: NDArray[np.int64],
) -> tuple[Reader, Floats]:
    """The reader of contexts, and those of the log as they were."""
    said = [json.loads(text) if text else {} for text in log.context]
    texts, known = [], {c.INTENT: [], c.EMOTION: []}
    for about, at in zip(said, log.times.tolist(), strict=True):
        talk = talks.get(str(about.get(c.DIALOGUE_ID)))
        texts.append("" if talk is None else talk.until(at).said_by(c.CUSTOMER))
        for name, found in known.items():
            label = about.get(name)
            found.append(str(label) if label else None)
    heads = {name: understand(texts, labels) for name, labels in known.items()}
    parts = [_told(texts, known[name], log.users, head, seed) for name, head in heads.items()]
    read = Reader(heads[c.INTENT], heads[c.EMOTION], customers.now)
    return read, np.hstack([*parts, customers(log.users, moments)]).astype(np.float64)


def _certain(head: Understanding, names: Sequence[str], what: str) -> Floats:
    """``(n, n_classes)`` of classes that are known."""
    place = {name: code for code, name in enumerate(head.classes)}
    unknown = sorted({name for name in names if name not in place})
    if unknown and place:
        raise DataError(
            f"reply: expected {what}s that the log knows ({', '.join(head.classes)}), got "
            f"{', '.join(unknown)}."
        )
    return (
        np.eye(len(place))[[place[name] for name in names]] if place else np.empty((len(names), 0))
    )


def _told(
    texts: list[str],
    labels: Sequence[str | None],
    users: NDArray[np.object_],
    head: Understanding,
    seed: int,
) -> Floats:
    """Chances of classes: certain where logged, told by other users' texts where not."""
    if not head.classes:
        return np.empty((len(texts), 0))
    place = {name: code for code, name in enumerate(head.classes)}
    open_ = [n for n, label in enumerate(labels) if label not in place]
    out = np.zeros((len(texts), len(place)))
    for n, label in enumerate(labels):
        if label in place:
            out[n, place[label]] = 1.0
    if open_:
        out[open_] = understand_others(texts, labels, users, head.classes, seed)[open_]
    return out


def _fit(seed: int, context: Floats, log: Shown, rows: NDArray[np.integer]) -> Suits:
    some = log.take(rows)
    chance = some.chance[np.arange(len(some)), some.arm]
    return fit_suits(
        context[rows], some.arm, some.outcome > 0, chance, some.users, some.arms, seed=seed
    )


def _judged(
    seed: int, log: Shown, context: Floats, cost: Floats, asked: Replying
) -> dict[str, Any]:
    """The policy that the earlier replies teach, told from the later ones."""
    start = int(np.quantile(log.times, 1 - _JUDGED))
    before = np.flatnonzero(log.times < start - DAY_US)
    after = np.flatnonzero(log.times >= start)
    suits = _fit(seed, context, log, before)
    modelled = suits(context[after])
    chosen, person = decide(modelled, cost, worth=asked.worth, least=asked.least)
    later = log.take(after)
    rows, actions = np.arange(len(after)), np.eye(len(log.arms))
    policies = {"chosen": actions[chosen]}
    for code, name in enumerate(log.arms):
        policies[f"everybody: {name}"] = np.tile(actions[code], (len(after), 1))
    net = asked.worth * modelled - cost
    decisions = {
        name: decisions_of(
            later.users,
            later.arm,
            asked.worth * later.outcome - cost[later.arm],
            later.chance[rows, later.arm],
            probabilities,
            modelled=net,
            propensities=later.chance,
        )
        for name, probabilities in policies.items()
    }
    found = {name: judge(each, seed=seed) for name, each in decisions.items()}
    best = max(
        (name for name in policies if name != "chosen"),
        key=lambda name: found[name].estimates[found[name].best].value,
    )
    ahead = compare_policies(decisions["chosen"], decisions[best], seed=seed)
    return {
        "from": iso(int(later.times[0])),
        "until": iso(int(later.times[-1])),
        "learned_from": len(before),
        "judged_on": len(after),
        "policies": {name: each.as_dict() for name, each in found.items()},
        "logged": found["chosen"].logged.as_list(),
        "best_of_the_same_for_all": best,
        "chosen_minus_best": ahead.as_list(),
        "suited": {
            "logged": float((later.outcome > 0).mean()),
            "expected": float(modelled[rows, chosen].mean()),
        },
        "person": float(person.mean()),
        "least": asked.least,
        "worth": asked.worth,
        "refused": found["chosen"].refused,
    }


def _matrix(suits: Floats, log: Shown) -> dict[str, dict[str, float]]:
    """By logged intent, the mean chance that each reply suits; empty where none was logged."""
    intents = [json.loads(text).get(c.INTENT) if text else None for text in log.context]
    out: dict[str, dict[str, float]] = {}
    for intent in sorted({str(x) for x in intents if x}):
        rows = [n for n, x in enumerate(intents) if x == intent]
        means = suits[rows].mean(axis=0).tolist()
        out[intent] = dict(zip(log.arms, means, strict=True))
    return out


def _costs(log: Shown, templates: Mapping[str, Template]) -> Floats:
    """Of every reply: the template's, else the mean that was logged."""
    unknown = sorted(set(templates) - set(log.arms))
    if unknown:
        raise ConfigError(
            f"--templates: expected replies that the log knows ({', '.join(log.arms)}), got "
            f"{', '.join(unknown)}: nothing says whom they suit."
        )
    return np.array(
        [
            templates[name].cost if name in templates else float(log.cost[code])
            for code, name in enumerate(log.arms)
        ]
    )


def _satisfaction(
    seed: int, talks: Mapping[str, Dialogue]
) -> tuple[Satisfaction | None, dict[str, Any] | None]:
    """How dialogues end, told from what was said before the customer's last word."""
    rated = [talk for talk in talks.values() if talk.satisfaction is not None]
    label = np.array([float(talk.satisfaction or 0) >= _SATISFIED for talk in rated], dtype=bool)
    if len(rated) < _FEWEST_RATED or label.all() or not label.any():
        return None, None
    # The last word of a customer is how they rate it: what comes before has to tell.
    turns = [
        (talk.roles[:-1], talk.texts[:-1])
        if len(talk.roles) > 1 and talk.roles[-1] == c.CUSTOMER
        else (talk.roles, talk.texts)
        for talk in rated
    ]
    users = np.array([talk.user for talk in rated], dtype=object)

    def fit(rows: NDArray[np.intp]) -> Callable[[NDArray[np.intp]], Floats]:
        found = fit_satisfaction([turns[n] for n in rows], label[rows], seed=seed)
        return lambda asked: found.probabilities([turns[n] for n in asked])[:, -1]

    told = cross_fit(folds_of(users, seed, _FOLDS), fit)
    return fit_satisfaction(turns, label, seed=seed), {
        "dialogues": len(rated),
        "satisfied": float(label.mean()),
        "accuracy": float(((told > 0.5) == label).mean()),
    }


def _past(talks: Mapping[str, Dialogue], log: Shown) -> list[Past]:
    """What agents said where it suited: their last words."""
    out = []
    for text, arm, outcome, at in zip(
        log.context, log.arm.tolist(), log.outcome.tolist(), log.times.tolist(), strict=True
    ):
        talk = talks.get(str(json.loads(text).get(c.DIALOGUE_ID))) if text else None
        if talk is None or outcome <= 0:
            continue
        said = [
            words for role, words in zip(talk.roles, talk.texts, strict=True) if role == c.AGENT
        ]
        if said:
            out.append(Past(talk.until(at).said_by(c.CUSTOMER), log.arms[arm], said[-1]))
    return out


def _end(tables: Tables) -> int:
    """Just after the last event."""
    return int(tables.events[c.TIME].max().to_pyarrow().as_py()) + 1
