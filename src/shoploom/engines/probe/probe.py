"""The settings of a probe. ``docs/engines/probe.md`` has the equations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from shoploom.core.errors import ConfigError, DataError
from shoploom.core.progress import Progress
from shoploom.engines._once import fit_once, tune_once
from shoploom.engines._search import first_moment
from shoploom.engines.engine import ENGINES, Engine, Fitted, Inputs, State, can_answer
from shoploom.tasks import Kind, Questions, Task

if TYPE_CHECKING:
    from shoploom.engines.probe.fitted import FittedProbe

Imbalance = Literal["none", "class_weights", "focal", "over_sampling", "under_sampling", "gan"]
Read = Literal["z", "statistics", "both"]


@ENGINES.register("probe")
@dataclass(frozen=True)
class Probe:
    """A head per task on what another engine knows of users, which is not trained further.

    Attributes:
        of: the engine whose ``represent`` gives z.
        settings: of that engine.
        features: what heads read: ``z``, the ``statistics`` of users, or ``both``.
        span: the first column of z that is read and the one after the last; None reads all.
        hidden: width of the one hidden layer.
        epochs, learning_rate, batch: of the training of a head, with Adam.
        imbalance: how tasks of yes and no learn from few answers of one sort.
        gamma: how much less ``focal`` counts what is answered well already.
        recalibrate: whether probabilities are fitted to what came of users held out from the
            training of the head.
        held_out: the share of users held out for that.
    """

    of: str = "neural"
    settings: Mapping[str, Any] = field(default_factory=dict)
    features: Read = "z"
    span: tuple[int, int] | None = None
    hidden: int = 64
    epochs: int = 3
    learning_rate: float = 1e-3
    batch: int = 128
    imbalance: Imbalance = "none"
    gamma: float = 2.0
    recalibrate: bool = True
    held_out: float = 0.2

    kinds: ClassVar[frozenset[Kind]] = frozenset(
        {"binary", "multilabel", "multiclass", "ordinal", "count", "amount"}
    )

    def __post_init__(self) -> None:
        if self.of == "probe":
            raise ConfigError("engine 'probe': expected another engine under of, got 'probe'.")
        for name in ("hidden", "epochs", "batch"):
            if (got := getattr(self, name)) < 1:
                raise ConfigError(f"expected {name} of at least 1, got {got} for engine 'probe'.")
        if self.learning_rate <= 0:
            raise ConfigError(
                f"expected a learning_rate above 0, got {self.learning_rate} for engine 'probe'."
            )
        if self.gamma < 0:
            raise ConfigError(f"expected gamma of at least 0, got {self.gamma} for engine 'probe'.")
        if not 0 < self.held_out < 1:
            raise ConfigError(
                f"expected held_out between 0 and 1, got {self.held_out} for engine 'probe'."
            )
        for name, known in (("features", get_args(Read)), ("imbalance", get_args(Imbalance))):
            if (got := getattr(self, name)) not in known:
                raise ConfigError(
                    f"expected {name} to be one of {', '.join(known)}, got {got!r} for engine "
                    "'probe'."
                )
        if self.span is not None:
            if len(self.span) != 2 or not 0 <= self.span[0] < self.span[1]:
                raise ConfigError(
                    "expected span to be two ascending numbers of columns, got "
                    f"{self.span} for engine 'probe'."
                )
            object.__setattr__(self, "span", tuple(self.span))  # JSON and YAML give lists

    def tune(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        validation: Mapping[str, Questions],
        *,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Probe:
        """The same heads on the engine as it tunes itself: the protocol is fixed."""
        if self.features == "statistics":
            return self
        engine = self.engine()
        own = _answered(engine, tasks)
        valid = _only(own, validation)
        if not valid:
            return self
        past = inputs.upto(first_moment(valid))
        asked = _only(own, questions)
        tuned = tune_once(engine, past, own, asked, valid, seed=seed, progress=progress)
        return replace(self, settings=asdict(tuned))  # type: ignore[call-overload]

    def fit(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        *,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> FittedProbe:
        """A head for every task that has questions."""
        _need_torch()
        from shoploom.engines.probe.fitting import fit

        part: Fitted | None = None
        if self.features != "statistics":
            engine = self.engine()
            own = _answered(engine, tasks)
            asked = _only(own, questions)
            part = fit_once(engine, inputs, own, asked, seed=seed, progress=progress)
        return fit(self, part, inputs, tasks, questions, seed=seed, progress=progress)

    @staticmethod
    def from_state(state: State) -> FittedProbe:
        """The fitted probe that gave this state."""
        _need_torch()
        from shoploom.engines.probe.fitted import FittedProbe

        return FittedProbe.from_state(state)

    def engine(self) -> Engine:
        """The engine whose representation is read."""
        return ENGINES.make(self.of, **self.settings)


def _answered(engine: Engine, tasks: Mapping[str, Task]) -> dict[str, Task]:
    """The tasks that the engine answers; it may answer none and still know its users."""
    return {name: task for name, task in tasks.items() if can_answer(engine, task)}


def _only(tasks: Mapping[str, Task], asked: Mapping[str, Questions]) -> dict[str, Questions]:
    return {name: questions for name, questions in asked.items() if name in tasks}


def _need_torch() -> None:
    if find_spec("torch") is None:
        raise DataError(
            "engine 'probe': expected the package torch, found it nowhere; "
            "run: pip install 'shoploom[neural]', or leave the engine out."
        )
