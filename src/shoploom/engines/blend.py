"""A blend: several engines' answers averaged, with weights that validation chose.

Engines that err in different places are together better than the best of them (Bates and Granger
1969). Rankings are averaged as shares of belief, probabilities as log-odds, amounts as they are.
``docs/engines/blend.md`` has the equations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import ConfigError, NotFitted
from shoploom.core.ids import Vocabulary
from shoploom.core.progress import Progress
from shoploom.core.seeds import rng
from shoploom.engines._once import fit_once, tune_once
from shoploom.engines._ranking import rank
from shoploom.engines._search import first_moment
from shoploom.engines.engine import (
    ENGINES,
    Account,
    Accounts,
    Engine,
    Explains,
    Fitted,
    Inputs,
    State,
    can_answer,
)
from shoploom.engines.space import Space, Tunable
from shoploom.evaluation import KS, score
from shoploom.evaluation.metrics import describe
from shoploom.tasks import Answers, Kind, Questions, Task

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_DEPTH = 500  # items of each part's list that are blended
_STEP = 0.05  # between the weights that are tried
_SAMPLE = 10_000  # questions of a task that weights are judged on, at most
_CERTAIN = 1e-6  # no probability counts as surer than this, or one part could silence the others
_TRACE = np.float32(1e-12)  # belief in an item that a part lists without a score

Weights = dict[str, dict[str, float]]


@ENGINES.register("blend")
@dataclass(frozen=True)
class Blend:
    """Settings of a blend.

    Attributes:
        parts: engines by name, with their settings; a task is answered by those that can.
        weights: by task, the weight of each part; equal where a task has none.
        tune_parts: whether the parts' own settings are chosen on validation too.
    """

    parts: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: {"cooccurrence": {}, "personal": {}, "neural": {}, "boosting": {}}
    )
    weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    tune_parts: bool = True

    kinds: ClassVar[frozenset[Kind]] = frozenset(
        {"ranking", "binary", "multilabel", "count", "amount"}
    )

    def __post_init__(self) -> None:
        if len(self.parts) < 2 or "blend" in self.parts:
            raise ConfigError(
                "engine 'blend': expected at least two other engines under parts, got "
                f"{', '.join(self.parts) or 'none'}."
            )
        for task, weights in self.weights.items():
            if min(weights.values(), default=0) < 0 or not sum(weights.values()) > 0:
                raise ConfigError(
                    f"engine 'blend': expected weights of at least 0 with a sum above 0 for "
                    f"{task!r}, got {dict(weights)}."
                )

    def space(self, tasks: Mapping[str, Task]) -> Space:
        """What may be chosen about the parts; their weights are chosen by ``tune`` each time."""
        return {
            f"parts.{name}.{key}": each
            for name, engine in self.engines().items()
            if isinstance(engine, Tunable)
            for key, each in engine.space(_only(engine, tasks, tasks)).items()
        }

    def tune(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        validation: Mapping[str, Questions],
        *,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Blend:
        """Parts tuned on validation, and for each task the weights that are best on it."""
        past = inputs.upto(first_moment(validation))
        engines = self.engines()
        for name, engine in engines.items() if self.tune_parts else ():
            own = [_only(engine, tasks, part) for part in (tasks, questions, validation)]
            if own[-1]:
                engines[name] = tune_once(engine, past, *own, seed=seed, progress=progress)
        fitted = _fit(engines, past, tasks, questions, seed, progress)
        weights = {
            name: _best_weights(tasks[name], asked, fitted, inputs, seed)
            for name, asked in validation.items()
        }
        return replace(
            self,
            parts={name: _settings(engine) for name, engine in engines.items()},
            weights=weights,
        )

    def fit(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        *,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> FittedBlend:
        """Every part, fitted."""
        parts = _fit(self.engines(), inputs, tasks, questions, seed, progress)
        return FittedBlend(self, parts, seed)

    @staticmethod
    def from_state(state: State) -> FittedBlend:
        """The fitted blend that gave this state."""
        settings = Blend(**state.config["settings"])
        parts = {
            name: ENGINES.get(name).from_state(
                State(
                    config,
                    _without(f"{name}.", state.arrays),
                    _without(f"{name}.", state.vocabularies),
                )
            )
            for name, config in state.config["parts"].items()
        }
        return FittedBlend(settings, parts, state.config["seed"])

    def engines(self) -> dict[str, Engine]:
        """The parts as engines."""
        return {name: ENGINES.get(name)(**settings) for name, settings in self.parts.items()}


@dataclass(frozen=True)
class FittedBlend:
    """Fitted parts that answer together.

    Attributes:
        settings: the blend's settings.
        parts: fitted engines by name.
        seed: decides ties.
    """

    settings: Blend
    parts: Mapping[str, Fitted]
    seed: int

    def answer(self, task: Task, questions: Questions, inputs: Inputs, *, k: int = 20) -> Answers:
        """The weighted answers of the parts that answer such a task.

        Scores of a ranking are shares of belief between 0 and 1.
        """
        weights = self.weights(task)
        answers = {
            name: self.parts[name].answer(task, questions, inputs, k=max(k, _DEPTH))
            for name in weights
        }
        return _Pool.of(task, answers, self.seed).answers(weights, k)

    def weights(self, task: Task) -> dict[str, float]:
        """The weight of each part in a task, those of 0 left out; they sum to 1."""
        able = [name for name in self.parts if can_answer(ENGINES.get(name)(), task)]
        chosen = self.settings.weights.get(task.name) or dict.fromkeys(able, 1.0)
        kept = {name: chosen.get(name, 0.0) for name in able if chosen.get(name, 0.0) > 0}
        kept = kept or dict.fromkeys(able, 1.0)
        return {name: weight / sum(kept.values()) for name, weight in kept.items()}

    def represent(self, users: NDArray[np.object_], at: int, inputs: Inputs) -> NDArray[np.float32]:
        """What the parts know of each user, side by side."""
        return np.hstack([part.represent(users, at, inputs) for part in self.parts.values()])

    def because(
        self, users: NDArray[np.object_], items: NDArray[np.int32], at: int, inputs: Inputs
    ) -> NDArray[np.int32]:
        """``(n, k)`` the own item that the first part able to tell names; -1 where none is."""
        for part in self.parts.values():
            if isinstance(part, Explains):
                return part.because(users, items, at, inputs)
        return np.full(items.shape, -1, dtype=np.int32)

    def account(self, task: Task, questions: Questions, inputs: Inputs) -> Account:
        """What each number added, as far as the part with most weight that can say knows.

        Raises:
            NotFitted: no part that answers the task can say.
        """
        weights = self.weights(task)
        for name in sorted(weights, key=lambda name: -weights[name]):
            part = self.parts[name]
            if isinstance(part, Accounts):
                return part.account(task, questions, inputs)
        raise NotFitted(
            f"expected a part of the blend that can account for {task.name!r}, such as boosting; "
            f"{', '.join(weights)} cannot."
        )

    def state(self) -> State:
        """The states of all parts, their names prefixed."""
        states = {name: part.state() for name, part in self.parts.items()}
        return State(
            config={
                "settings": asdict(self.settings),
                "parts": {name: state.config for name, state in states.items()},
                "seed": self.seed,
            },
            arrays={
                f"{name}.{key}": array
                for name, state in states.items()
                for key, array in state.arrays.items()
            },
            vocabularies={
                f"{name}.{key}": ids
                for name, state in states.items()
                for key, ids in state.vocabularies.items()
            },
        )


@dataclass(frozen=True)
class _Pool:
    """Several engines' answers to the same questions, ready to be averaged."""

    task: str
    values: Mapping[str, NDArray[np.float64]]
    logits: bool
    beliefs: Mapping[str, csr_matrix]
    catalogue: Vocabulary | None
    order: NDArray[np.int32]

    @classmethod
    def of(cls, task: Task, answers: Mapping[str, Answers], seed: int) -> _Pool:
        logits = task.kind in ("binary", "multilabel")
        if task.kind != "ranking":
            values = {
                name: _logit(given.values) if logits else given.values
                for name, given in answers.items()
                if given.values is not None
            }
            return cls(task.name, values, logits, {}, None, np.empty(0, np.int32))
        catalogues = [a.catalogue for a in answers.values() if a.catalogue is not None]
        catalogue = catalogues[0]
        beliefs = {name: _belief(given, catalogue) for name, given in answers.items()}
        # Equal beliefs are decided by chance: codes may tell which item came later.
        order = rng(seed, "blend").permutation(len(catalogue)).astype(np.int32)
        return cls(task.name, {}, False, beliefs, catalogue, order)

    def answers(self, weights: Mapping[str, float], k: int) -> Answers:
        """The average with these weights, which sum to 1."""
        if self.catalogue is None:
            total = sum(weight * self.values[name] for name, weight in weights.items())
            assert isinstance(total, np.ndarray)
            return Answers(self.task, values=1 / (1 + np.exp(-total)) if self.logits else total)
        pooled = sum(np.float32(weight) * self.beliefs[name] for name, weight in weights.items())
        ranked = rank(pooled, self.order, k)  # type: ignore[arg-type]
        # Where all parts have listed everything that may be listed, nothing is filled in.
        ranked.items[ranked.scores <= 0] = -1
        return Answers(
            self.task, items=ranked.items, scores=ranked.scores, catalogue=self.catalogue
        )


def _belief(answers: Answers, catalogue: Vocabulary) -> csr_matrix:
    """``(n, n_items)`` each row's scores as shares of their sum, traces where there is none."""
    from scipy.sparse import csr_matrix

    assert answers.items is not None
    assert answers.scores is not None
    items, scores = answers.items, np.maximum(answers.scores, 0).astype(np.float32)
    if answers.catalogue is not None and answers.catalogue is not catalogue:
        codes = np.append(catalogue.encode(answers.catalogue.ids), np.int32(-1))
        items = codes[items]
    listed = items >= 0
    scores = np.where(listed, scores, 0)
    scores /= np.maximum(scores.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    place = np.arange(1, items.shape[1] + 1, dtype=np.float32)
    scores = np.maximum(scores, _TRACE / place)
    ends = np.concatenate(([0], np.cumsum(listed.sum(axis=1))))
    return csr_matrix((scores[listed], items[listed], ends), (len(items), len(catalogue)))


def _best_weights(
    task: Task, asked: Questions, fitted: Mapping[str, Fitted], inputs: Inputs, seed: int
) -> dict[str, float]:
    """The weights with the best value of the task's metric; the parts' own among them."""
    able = [name for name in fitted if can_answer(ENGINES.get(name)(), task)]
    if len(able) < 2 or not len(asked):
        return dict.fromkeys(able, 1.0)
    if len(asked) > _SAMPLE:
        draw = rng(seed, "blend sample", task.name)
        asked = asked.take(np.sort(draw.choice(len(asked), _SAMPLE, replace=False)))
    answers = {
        name: fitted[name].answer(task, asked.unanswered(), inputs, k=_DEPTH) for name in able
    }
    pool, metric = _Pool.of(task, answers, seed), task.metric
    higher = describe(metric).higher_is_better

    def judge(weights: Mapping[str, float]) -> float:
        value = score(task.kind, asked, pool.answers(weights, max(KS)), resamples=0)[metric].value
        if not np.isfinite(value):
            return -np.inf
        return value if higher else -abs(value)

    best = max(({name: 1.0} for name in able), key=judge)
    for name in sorted(set(able) - set(best), key=able.index):
        best = max(_mixtures(best, name), key=judge)
    return best


def _mixtures(base: Mapping[str, float], name: str) -> Iterable[dict[str, float]]:
    """The base with a growing share of one more part, none of it first."""
    for share in np.arange(0, 1 + _STEP / 2, _STEP).round(6).tolist():
        mixed = {key: weight * (1 - share) for key, weight in base.items()} | {name: share}
        yield {key: weight for key, weight in mixed.items() if weight > 0}


def _fit(
    engines: Mapping[str, Engine],
    inputs: Inputs,
    tasks: Mapping[str, Task],
    questions: Mapping[str, Questions],
    seed: int,
    progress: Progress | None,
) -> dict[str, Fitted]:
    """The engines fitted, each on the tasks that it answers; those that answer none left out."""
    fitted = {}
    for name, engine in engines.items():
        own = {key: task for key, task in tasks.items() if can_answer(engine, task)}
        if own:
            asked = {key: questions[key] for key in own if key in questions}
            fitted[name] = fit_once(engine, inputs, own, asked, seed=seed, progress=progress)
    return fitted


def _settings(engine: Engine) -> dict[str, Any]:
    """What makes the engine again."""
    return asdict(engine)  # type: ignore[call-overload]


def _only(engine: Engine, tasks: Mapping[str, Task], part: Mapping[str, Any]) -> dict[str, Any]:
    """What of a mapping by task belongs to tasks that the engine answers."""
    return {key: value for key, value in part.items() if can_answer(engine, tasks[key])}


def _logit(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    p = np.clip(probability, _CERTAIN, 1 - _CERTAIN)
    return np.log(p / (1 - p))


def _without(prefix: str, named: Mapping[str, Any]) -> dict[str, Any]:
    """Those whose names begin with the prefix, under the rest of their names."""
    return {
        name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)
    }
