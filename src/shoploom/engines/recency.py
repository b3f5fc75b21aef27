"""The strong simple baseline: a regression on recency, frequency and money.

A generalised linear model on the logarithms of six numbers: logistic for yes or no, Poisson with
a log link for counts and amounts. It was chosen among the simple ones by measurement: quantile
cells, recency alone and the user's own past rate all did worse (``docs/engines/rfm.md``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError, NotFitted
from shoploom.engines._features import Columns
from shoploom.engines.engine import ENGINES, Inputs, State
from shoploom.tasks import Answers, Kind, Questions, Task

Floats = NDArray[np.float64]

#: Recency of any event and of an order, frequency and money over four and sixteen weeks.
NUMBERS = (
    "recency_days",
    "purchase_recency_days",
    "active_days_28d",
    "active_days_112d",
    "spend_28d",
    "spend_112d",
)

#: A linear predictor beyond this is cut: e^30 of anything is a mistake.
_LARGEST = 30.0


@ENGINES.register("rfm")
@dataclass(frozen=True)
class Rfm:
    """Regression on recency, frequency and money.

    Attributes:
        ridge: penalty on the squared weights of the standardised columns, per question.
    """

    kinds: ClassVar[frozenset[Kind]] = frozenset({"binary", "multilabel", "count", "amount"})

    ridge: float = 1e-4

    def tune(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        validation: Mapping[str, Questions],
        *,
        seed: int = 0,
    ) -> Rfm:
        """Itself: a baseline that is tuned is no longer one."""
        return self

    def fit(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        *,
        seed: int = 0,
    ) -> FittedRfm:
        """One regression per task."""
        learned = {}
        for name, asked in questions.items():
            if not isinstance(asked.answers, np.ndarray) or len(asked) == 0:
                raise DataError(f"rfm expected answered questions of {name!r}, got none.")
            columns = Columns.of(asked, inputs)
            numbers = columns.matrix(asked, inputs)[:, _places(columns)]
            regression = fit_regression(
                _logs(numbers), asked.answers, tasks[name].kind, ridge=self.ridge
            )
            learned[name] = (columns, regression)
        now = inputs.statistics(inputs.until)
        columns = Columns(now.names)
        scale = Scale.of(_logs(now.values[:, _places(columns)]))
        return FittedRfm(learned, columns, scale)

    @staticmethod
    def from_state(state: State) -> FittedRfm:
        """The regressions of a saved state."""
        learned = {}
        for name, saved in state.config["tasks"].items():
            centre, spread = state.arrays[f"scale.{name}"]
            weights = state.arrays[f"weights.{name}"]
            learned[name] = (
                Columns.from_json(saved["columns"]),
                Regression(saved["link"], Scale(centre, spread), weights),
            )
        centre, spread = state.arrays["scale"]
        return FittedRfm(learned, Columns.from_json(state.config["columns"]), Scale(centre, spread))


@dataclass(frozen=True)
class Scale:
    """Standardisation of columns, each followed by a flag of where it is unknown.

    Attributes:
        centre, spread: ``(dim,)`` mean and standard deviation of the known values.
    """

    centre: Floats
    spread: Floats

    @classmethod
    def of(cls, values: Floats) -> Scale:
        """The scale of ``(n, dim)`` values; a column that is constant or unknown becomes 0."""
        known = np.isfinite(values)
        n = np.maximum(known.sum(axis=0), 1)
        centre = np.where(known, values, 0).sum(axis=0) / n
        square = np.where(known, (values - centre) ** 2, 0).sum(axis=0) / n
        return cls(centre, np.where(square > 1e-12, np.sqrt(square), np.inf))

    def apply(self, values: Floats) -> Floats:
        """``(n, 2 dim)``: standardised values, 0 where unknown, then the flags."""
        unknown = ~np.isfinite(values)
        return np.hstack((np.where(unknown, 0, (values - self.centre) / self.spread), unknown))


@dataclass(frozen=True)
class Regression:
    """A fitted generalised linear model.

    Attributes:
        link: ``logit`` or ``log``.
        scale: of the columns.
        weights: ``(1 + 2 dim,)``, the intercept first.
    """

    link: str
    scale: Scale
    weights: Floats

    def predict(self, values: Floats) -> Floats:
        """``(n,)`` probabilities or expectations."""
        linear = self.weights[0] + self.scale.apply(values) @ self.weights[1:]
        linear = np.clip(linear, -_LARGEST, _LARGEST)
        return 1 / (1 + np.exp(-linear)) if self.link == "logit" else np.exp(linear)


def fit_regression(values: Floats, answers: Floats, kind: Kind, *, ridge: float) -> Regression:
    """The likeliest generalised linear model of ``answers``, lightly drawn to the mean.

    Args:
        values: ``(n, dim)``, NaN where unknown.
        answers: ``(n,)``, 0 or 1 for binary and multilabel, never negative otherwise.
        kind: decides between logistic and Poisson regression; for amounts the latter is a
            quasi-likelihood, right whenever the mean is (Gourieroux, Monfort and Trognon 1984).
        ridge: penalty on squared weights but the intercept's.
    """
    from scipy.optimize import minimize

    link = "logit" if kind in ("binary", "multilabel") else "log"
    scale = Scale.of(values)
    design = np.hstack((np.ones((len(values), 1)), scale.apply(values)))
    # Amounts in units of their mean, so that the penalty means the same in any currency.
    unit = 1.0 if link == "logit" else float(answers.mean()) or 1.0
    target = answers / unit
    penalty = np.r_[0.0, np.full(design.shape[1] - 1, ridge)]

    def loss(weights: Floats) -> tuple[float, Floats]:
        linear = np.clip(design @ weights, -_LARGEST, _LARGEST)
        if link == "logit":
            mean = 1 / (1 + np.exp(-linear))
            value = np.logaddexp(0, linear) - target * linear
        else:
            mean = np.exp(linear)
            value = mean - target * linear
        gradient = design.T @ (mean - target) / len(target) + 2 * penalty * weights
        return float(value.mean() + penalty @ weights**2), gradient

    # One pseudo-answer of each kind keeps a class that was never seen possible.
    start = np.zeros(design.shape[1])
    if link == "logit":
        start[0] = np.log((target.sum() + 0.5) / (len(target) - target.sum() + 0.5))
    if target.min() == target.max():
        start[0] = start[0] if link == "logit" else np.log(max(target[0], np.exp(-_LARGEST)))
        weights = start
    else:
        weights = minimize(loss, start, jac=True, method="L-BFGS-B").x
    if link == "log":
        weights = weights + np.r_[np.log(unit), np.zeros(len(weights) - 1)]
    return Regression(link, scale, weights)


@dataclass(frozen=True)
class FittedRfm:
    """Regressions by task.

    Attributes:
        learned: by task name, what is looked at and the regression on it.
        columns, scale: what ``represent`` gives, standardised.
    """

    learned: Mapping[str, tuple[Columns, Regression]]
    columns: Columns
    scale: Scale

    def answer(self, task: Task, questions: Questions, inputs: Inputs, *, k: int = 20) -> Answers:
        """Probabilities or expectations; a user without history gets those of unknown numbers.

        Raises:
            NotFitted: the task was not trained.
        """
        if task.name not in self.learned:
            raise NotFitted(
                f"rfm has learned {', '.join(self.learned) or 'no task'}, not {task.name!r}; "
                "fit it with questions of that task."
            )
        columns, regression = self.learned[task.name]
        numbers = columns.matrix(questions, inputs)[:, _places(columns)]
        return Answers(task.name, values=regression.predict(_logs(numbers)))

    def represent(self, users: NDArray[np.object_], at: int, inputs: Inputs) -> NDArray[np.float32]:
        """``(len(users), 12)`` float32: the six numbers, standardised logs, and where unknown."""
        values = self.columns.statistics_of(users, at, inputs)[:, _places(self.columns)]
        return self.scale.apply(_logs(values)).astype(np.float32)

    def state(self) -> State:
        """Weights and scales as arrays, the names of the columns as JSON."""
        arrays = {"scale": np.stack((self.scale.centre, self.scale.spread))}
        tasks = {}
        for name, (columns, regression) in self.learned.items():
            arrays[f"weights.{name}"] = regression.weights
            arrays[f"scale.{name}"] = np.stack((regression.scale.centre, regression.scale.spread))
            tasks[name] = {"columns": columns.json(), "link": regression.link}
        return State({"tasks": tasks, "columns": self.columns.json()}, arrays)


def _places(columns: Columns) -> list[int]:
    """Where the six numbers, and all that is known about user and category, stand."""
    numbers = [columns.statistics.index(name) for name in NUMBERS]
    return numbers + list(range(len(columns.statistics), len(columns.names)))


def _logs(numbers: NDArray[np.float32]) -> Floats:
    """Logarithms of one plus each number, as float64."""
    return np.log1p(np.maximum(numbers.astype(np.float64), 0))
