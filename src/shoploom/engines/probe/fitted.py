"""Trained heads that answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from shoploom.core.errors import ConfigError, NotFitted
from shoploom.engines._features import Columns
from shoploom.engines.engine import ENGINES, Inputs, State
from shoploom.engines.neural.heads import KINDS, Head
from shoploom.engines.probe.calibration import Platt
from shoploom.engines.probe.features import Asked, Examples, Features
from shoploom.engines.probe.probe import Probe
from shoploom.engines.scale import QuantileScale
from shoploom.tasks import Answers, Kind, Questions, Task

if TYPE_CHECKING:
    from torch import Tensor

_ROWS = 8192  # questions answered at once


@dataclass(frozen=True)
class Learned:
    """A task that was learned.

    Attributes:
        kind: of the task.
        asked: how its questions are read.
        start: what its head started from.
        window_days: the window that its questions asked about.
        hidden: the width of its head.
        head: in double precision, so that an answer does not depend on those beside it; None
            before training.
        platt: what probabilities are recalibrated by.
    """

    kind: Kind
    asked: Asked
    start: tuple[float, ...]
    window_days: int
    hidden: int
    head: Head | None = None
    platt: Platt = field(default_factory=Platt)

    def new_head(self, dim: int, seed: int) -> Head:
        """A head for features of that length, drawn by the seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Head(
                dim,
                self.asked.n_pairs,
                self.asked.n_subjects,
                list(self.start),
                dropout=0.0,
                hidden=self.hidden,
            )

    def with_head(self, head: Head) -> Learned:
        """The task with a trained head."""
        return replace(self, head=head.double().eval().requires_grad_(False))

    def calibrated(self, platt: Platt) -> Learned:
        """The task with these log-odds."""
        return replace(self, platt=platt)

    def outputs(self, examples: Examples) -> Tensor:
        """``(n, outputs)`` float64 of the head."""
        assert self.head is not None
        parts = [torch.empty((0, len(self.start)), dtype=torch.float64)]
        for first in range(0, len(examples), _ROWS):
            rows = np.arange(first, min(first + _ROWS, len(examples)))
            batch = examples.batch(rows)
            parts.append(self.head(batch.profile.double(), batch.pairs.double(), batch.subject))
        return torch.cat(parts)


def log_odds(learned: Learned, examples: Examples) -> NDArray[np.float64]:
    """``(n,)`` what the head of a task of yes and no says, before recalibration."""
    return learned.outputs(examples)[:, 0].numpy()


@dataclass(frozen=True)
class FittedProbe:
    """Heads on a frozen representation.

    Attributes:
        settings: the engine's settings.
        features: what heads read of users.
        learned: by task name.
    """

    settings: Probe
    features: Features
    learned: Mapping[str, Learned]

    def answer(self, task: Task, questions: Questions, inputs: Inputs, *, k: int = 20) -> Answers:
        """What the task's head says of each question's user at its time.

        Raises:
            NotFitted: the task was not learned.
            ConfigError: it was learned for another window.
        """
        if task.name not in self.learned:
            raise NotFitted(
                f"probe has learned {', '.join(self.learned) or 'no task'}, not {task.name!r}; "
                "fit it with questions of that task."
            )
        learned = self.learned[task.name]
        if task.window_days != learned.window_days:
            raise ConfigError(
                f"probe learned {task.name!r} for a window of {learned.window_days} days, and was "
                f"asked about {task.window_days}; train on that window."
            )
        examples = learned.asked.examples(questions.unanswered(), self.features, inputs)
        if learned.kind in ("binary", "multilabel"):
            values = learned.platt.probabilities(log_odds(learned, examples))
        else:
            values = KINDS[learned.kind].answer(learned.outputs(examples)).double().numpy()
        return Answers(task.name, values=values)

    def uncalibrated(self) -> FittedProbe:
        """The same heads without recalibration, for comparison."""
        plain = {name: each.calibrated(Platt()) for name, each in self.learned.items()}
        return replace(self, learned=plain)

    def represent(self, users: NDArray[np.object_], at: int, inputs: Inputs) -> NDArray[np.float32]:
        """``(len(users), dim)`` what heads read: each number as its place among users, -1 to 1."""
        return self.features.rows(users, at, inputs)

    def state(self) -> State:
        """The part's state, scales and weights as arrays, and the settings."""
        part = None if self.features.part is None else self.features.part.state()
        arrays: dict[str, NDArray[Any]] = {"scale": self.features.scale.quantiles}
        vocabularies, tasks = {}, {}
        for name, each in self.learned.items():
            assert each.head is not None
            arrays[f"scale.{name}"] = each.asked.scale.quantiles
            weights = each.head.state_dict()
            arrays |= {f"head.{name}.{key}": value.numpy() for key, value in weights.items()}
            if each.asked.subjects is not None:
                vocabularies[f"subjects.{name}"] = each.asked.subjects
            tasks[name] = {
                "kind": each.kind,
                "columns": each.asked.columns.json(),
                "start": list(each.start),
                "window_days": each.window_days,
                "platt": asdict(each.platt),
            }
        if part is not None:
            arrays |= {f"part.{key}": array for key, array in part.arrays.items()}
            vocabularies |= {f"part.{key}": ids for key, ids in part.vocabularies.items()}
        return State(
            config={
                "settings": asdict(self.settings),
                "statistics": list(self.features.statistics),
                "part": None if part is None else part.config,
                "tasks": tasks,
            },
            arrays=arrays,
            vocabularies=vocabularies,
        )

    @staticmethod
    def from_state(state: State) -> FittedProbe:
        """The fitted probe that gave this state."""
        settings, part = Probe(**state.config["settings"]), None
        if state.config["part"] is not None:
            part = ENGINES.get(settings.of).from_state(
                State(
                    state.config["part"],
                    _under("part.", state.arrays),
                    _under("part.", state.vocabularies),
                )
            )
        features = Features(
            part,
            settings.span,
            tuple(state.config["statistics"]),
            QuantileScale(state.arrays["scale"]),
        )
        learned = {}
        for name, saved in state.config["tasks"].items():
            asked = Asked(
                Columns.from_json(saved["columns"]),
                QuantileScale(state.arrays[f"scale.{name}"]),
                state.vocabularies.get(f"subjects.{name}"),
            )
            blank = Learned(
                saved["kind"],
                asked,
                tuple(saved["start"]),
                saved["window_days"],
                settings.hidden,
                platt=Platt(**saved["platt"]),
            )
            head = blank.new_head(features.dim, 0).double()
            weights = _under(f"head.{name}.", state.arrays)
            head.load_state_dict({key: torch.from_numpy(w.copy()) for key, w in weights.items()})
            learned[name] = blank.with_head(head)
        return FittedProbe(settings, features, learned)


def _under(prefix: str, named: Mapping[str, Any]) -> dict[str, Any]:
    """Those whose names begin so, without the beginning."""
    return {k.removeprefix(prefix): v for k, v in named.items() if k.startswith(prefix)}
