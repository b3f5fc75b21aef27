"""Gradient boosting on the statistics of users: the second opinion that is often the first.

Each task gets trees of its own on the numbers of ``sequences.user_statistics`` as of each
question's time; questions about a category also see the numbers of that user in that category.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import ConfigError, DataError, NotFitted
from shoploom.engines._features import Columns
from shoploom.engines._trees import Trees, TreeSettings, choose, grow
from shoploom.engines.bgnbd import BgnbdEngine, FittedBgnbd
from shoploom.engines.engine import ENGINES, Account, Inputs, State
from shoploom.engines.scale import QuantileScale
from shoploom.tasks import Answers, Kind, Questions, Task

#: What ``tune`` tries, from small trees on many rows to rich ones on few.
CANDIDATES = (
    TreeSettings(leaves=4, min_rows=100, feature_fraction=0.5),
    TreeSettings(leaves=8, min_rows=50, feature_fraction=0.3),
    TreeSettings(leaves=16, min_rows=50, feature_fraction=0.5),
)

#: Kinds that BG/NBD answers too, and so can be started from.
_STARTED = BgnbdEngine.kinds


@ENGINES.register("boosting")
@dataclass(frozen=True)
class Boosting:
    """LightGBM on statistics.

    Attributes:
        start: ``bgnbd`` grows trees that correct the expectations of BG/NBD by a factor. They can
            then be asked about another window than they were trained on, which pays when no
            window of the length asked fits into the past. ``none`` starts from the base rate and
            is better when one does.
        max_rounds: the most trees that tuning may grow per model.
        bags: models averaged per task, each with a seed of its own.
        per_task: settings by task name, by the field names of ``TreeSettings``; ``tune`` fills it.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"binary", "multilabel", "count", "amount"})

    start: Literal["none", "bgnbd"] = "none"
    max_rounds: int = 600
    bags: int = 1
    per_task: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def tune(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        validation: Mapping[str, Questions],
        *,
        seed: int = 0,
    ) -> Boosting:
        """Settings per task by least validation loss, with the number of rounds it stopped at."""
        candidates = [replace(each, rounds=self.max_rounds) for each in CANDIDATES]
        base = self._base(inputs)
        chosen = dict(self.per_task)
        for name in questions.keys() & validation.keys():
            task, train, valid = tasks[name], questions[name], validation[name]
            columns = Columns.of(train, inputs)
            best = choose(
                (columns.matrix(train, inputs), _answers(train)),
                (columns.matrix(valid, inputs), _answers(valid)),
                task.kind,
                candidates,
                seed=seed,
                starts=(_start(base, task, train, inputs), _start(base, task, valid, inputs)),
            )
            chosen[name] = asdict(replace(best, bags=self.bags))
        return replace(self, per_task=dict(sorted(chosen.items())))

    def fit(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        *,
        seed: int = 0,
    ) -> FittedBoosting:
        """Trees for every task that has questions."""
        base = self._base(inputs)
        learned = {}
        for name, asked in questions.items():
            columns = Columns.of(asked, inputs)
            trees = grow(
                columns.matrix(asked, inputs),
                _answers(asked),
                tasks[name].kind,
                self._settings(name),
                seed=seed,
                start=_start(base, tasks[name], asked, inputs),
            )
            learned[name] = Learned(columns, trees, tasks[name].window_days)
        now = inputs.statistics(inputs.until)
        return FittedBoosting(learned, base, Columns(now.names), QuantileScale.of(now.values))

    @staticmethod
    def from_state(state: State) -> FittedBoosting:
        """The fitted trees of a saved state."""
        learned = {}
        for name, saved in state.config["tasks"].items():
            texts = [state.arrays[f"model.{name}.{bag}"] for bag in range(saved["models"])]
            learned[name] = Learned(
                Columns.from_json(saved["columns"]),
                Trees(saved["loss"], tuple(_text(text) for text in texts), saved["level"]),
                saved["window_days"],
            )
        base = state.config["base"]
        return FittedBoosting(
            learned,
            None if base is None else BgnbdEngine.from_state(State(base)),
            Columns.from_json(state.config["columns"]),
            QuantileScale(state.arrays["scale"]),
        )

    def _base(self, inputs: Inputs) -> FittedBgnbd | None:
        return BgnbdEngine().fit(inputs, {}, {}) if self.start == "bgnbd" else None

    def _settings(self, task: str) -> TreeSettings:
        own: Mapping[str, Any] = self.per_task.get(task, {})
        try:
            return TreeSettings(**{"bags": self.bags, **own})
        except TypeError as error:
            raise ConfigError(
                f"boosting: per_task: {task}: expected the settings of TreeSettings ({error})."
            ) from None


@dataclass(frozen=True)
class Learned:
    """The trees of one task, what they look at, and the window they were trained for."""

    columns: Columns
    trees: Trees
    window_days: int


@dataclass(frozen=True)
class FittedBoosting:
    """Grown trees by task.

    Attributes:
        learned: by task name.
        base: what the trees correct, if anything.
        columns: the statistics that ``represent`` gives.
        scale: how it makes them comparable.
    """

    learned: Mapping[str, Learned]
    base: FittedBgnbd | None
    columns: Columns
    scale: QuantileScale

    def answer(self, task: Task, questions: Questions, inputs: Inputs, *, k: int = 20) -> Answers:
        """Probabilities or expectations; a user without history gets those of unknown statistics.

        Raises:
            NotFitted: the task was not trained.
            ConfigError: it was trained for another window, and there is no ``start``.
        """
        learned = self._learned(task.name)
        start = _start(self.base, task, questions, inputs)
        if start is None and task.window_days != learned.window_days:
            raise ConfigError(
                f"boosting learned {task.name!r} for a window of {learned.window_days} days, and "
                f"was asked about {task.window_days}; train on that window, or set start: bgnbd."
            )
        features = learned.columns.matrix(questions, inputs)
        return Answers(task.name, values=learned.trees.predict(features, start))

    def represent(self, users: NDArray[np.object_], at: int, inputs: Inputs) -> NDArray[np.float32]:
        """``(len(users), dim)`` float32: each statistic as its place among all users, -1 to 1.

        An undefined statistic, and all of an unknown user's, is 0: the middle.
        """
        return self.scale.apply(self.columns.statistics_of(users, at, inputs))

    def account(self, task: Task, questions: Questions, inputs: Inputs) -> Account:
        """What each statistic added to the logit or logarithm of each answer.

        Raises:
            NotFitted: the task was not trained.
        """
        learned = self._learned(task.name)
        features = learned.columns.matrix(questions, inputs)
        start = _start(self.base, task, questions, inputs)
        added, base = learned.trees.added(features, start)
        return Account(learned.columns.names, features, added, base)

    def importance(self, task: str) -> dict[str, float]:
        """Share of the loss that each column removed (its gain), largest first.

        Raises:
            NotFitted: the task was not trained.
        """
        learned = self._learned(task)
        names = learned.columns.names
        gains = learned.trees.gains(len(names))
        return {names[i]: float(gains[i]) for i in np.argsort(-gains, kind="stable")}

    def state(self) -> State:
        """Models as LightGBM's text in byte arrays, the scale, and the names of all columns."""
        arrays: dict[str, NDArray[Any]] = {"scale": self.scale.quantiles}
        tasks = {}
        for name, each in self.learned.items():
            for bag, text in enumerate(each.trees.models):
                arrays[f"model.{name}.{bag}"] = np.frombuffer(text.encode(), dtype=np.uint8)
            tasks[name] = {
                "columns": each.columns.json(),
                "models": len(each.trees.models),
                "loss": each.trees.loss,
                "level": each.trees.level,
                "window_days": each.window_days,
            }
        config = {
            "tasks": tasks,
            "base": None if self.base is None else self.base.state().config,
            "columns": self.columns.json(),
        }
        return State(config, arrays)

    def _learned(self, task: str) -> Learned:
        if task not in self.learned:
            raise NotFitted(
                f"boosting has learned {', '.join(self.learned) or 'no task'}, not {task!r}; "
                "fit it with questions of that task."
            )
        return self.learned[task]


def _start(
    base: FittedBgnbd | None, task: Task, questions: Questions, inputs: Inputs
) -> NDArray[np.float64] | None:
    """What BG/NBD expects, for tasks that it can answer; None to start from the base rate."""
    if base is None or task.kind not in _STARTED:
        return None
    return base.answer(task, questions, inputs).values


def _answers(questions: Questions) -> NDArray[np.float64]:
    if not isinstance(questions.answers, np.ndarray):
        raise DataError(
            f"boosting expected questions of {questions.task!r} with a number as answer each."
        )
    return questions.answers


def _text(array: NDArray[np.uint8]) -> str:
    return array.tobytes().decode()
