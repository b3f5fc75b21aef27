"""The settings of the joint model. ``docs/engines/neural.md`` has the equations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from shoploom.core.errors import ConfigError, DataError
from shoploom.core.progress import Progress
from shoploom.engines._once import learned_already
from shoploom.engines._search import first_moment
from shoploom.engines.engine import ENGINES, Inputs, Record, State
from shoploom.engines.space import Options, Space, Span, setting
from shoploom.tasks import Kind, Questions, Task

Weighting = Literal["apart", "fixed", "equal", "uncertainty", "balanced", "single"]

if TYPE_CHECKING:
    from shoploom.engines.neural.fitted import FittedNeural, FittedSingles


@ENGINES.register("neural")
@dataclass(frozen=True)
class Neural:
    """A network over the events of a user.

    Attributes:
        backbone: ``transformer``, ``gru`` or ``bilstm``.
        dim: of items and states.
        layers: blocks of the backbone.
        heads: of attention.
        length: the latest events that are read.
        dropout: share of activations left out while training.
        temperature: that cosines of states and items are divided by.
        content: whether what items say and show is read, where ``Inputs`` has it.
        content_dim: principal axes that are read of each modality.
        item_dropout: the share of items that have, in a training step, only their content.
        modality_dropout: the share of items whose content of one modality is left out.
        repeats: whether a share of each answer is left to items of the history; None decides by
            whether any come again.
        trend: how far answers follow how an item's share has changed of late; None, 0 where
            ``tune`` has not found it.
        trend_half_life_days: after which an event counts half in what is called of late.
        smoothing: share of each target that is spread over all items.
        weighting: how the losses share the network. ``apart``: events alone move it, and heads
            read what it has learned; all losses move it ``fixed`` by ``weights``, ``equal``, by
            ``uncertainty`` (learned scales) or ``balanced`` (equal gradients); ``single``: a
            network of its own for each task.
        weights: by task, or ``next event``, ``next visit``, ``masked event``, ``content`` or
            ``contrast``; where not named 5 for ``next visit`` and 1 for others; 0 leaves out.
        rebuild: weight of rebuilding the content of the next item from the state; 0 leaves it out.
        masked: weight of telling hidden items of a history, likewise.
        contrast: weight of telling which modalities belong to the same item, likewise.
        pretrain: epochs of everything but the tasks before these come; None takes 10 where there
            are tasks, and none for rankings alone.
        start_from: the folder of this engine of another shop, such as RUN/engines/neural; all that
            does not depend on the items is taken from it, and the rest learned.
        curriculum: epochs over which the share of histories grows, short ones first.
        adversarial: ``fgm`` or ``pgd`` also learn from the worst small change of the embeddings.
        adversarial_size: of the change, as a share of the embeddings' length.
        adversarial_steps: of ``pgd``, each as dear as a step of training.
        optimiser: ``adamw``, ``adam`` or ``sgd``.
        learning_rate, weight_decay: of the optimiser.
        average: what the average of past weights, which is used in the end, keeps at each step.
        batch: events in a batch.
        epochs: passes over the data; None stops when held-out events are foretold no better.
            ``tune`` fills it.
        max_epochs, patience: where to stop: at the most after so many judgements, or after so
            many without progress. A judgement is due after an epoch, or after 50 steps where
            epochs are shorter.
        negatives: how many drawn items stand for all others, where there are more than
            ``full_softmax`` items.
        full_softmax: the largest catalogue that is compared with as a whole.
        precision: of the products over all items; ``auto`` takes bfloat16 where the CPU has it.
        processes: that train together, each on its share of the batches; threads are divided.
        checkpoints: a folder from which an interrupted fit goes on; None takes one of the
            inputs', which ``shoploom train`` gives them, and clears it away in the end.
        curves: a folder for learning curves, to be read with TensorBoard.
    """

    backbone: str = "transformer"
    dim: int = 64
    layers: int = 2
    heads: int = 2
    length: int = 100
    dropout: float = 0.4
    temperature: float = 0.05
    content: bool = True
    content_dim: int = 128
    item_dropout: float = 0.1
    modality_dropout: float = 0.1
    repeats: bool | None = None
    trend: float | None = None
    trend_half_life_days: float = 14.0
    smoothing: float = 0.0
    weighting: Weighting = "fixed"
    weights: Mapping[str, float] = field(default_factory=dict)
    rebuild: float = 0.0
    masked: float = 0.0
    contrast: float = 0.0
    pretrain: int | None = None
    start_from: str | None = None
    curriculum: int = 0
    adversarial: Literal["none", "fgm", "pgd"] = "none"
    adversarial_size: float = 0.05
    adversarial_steps: int = 3
    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float = 3e-3
    weight_decay: float = 0.0
    average: float = 0.99
    batch: int = 1024
    epochs: int | None = None
    max_epochs: int = 50
    patience: int = 3
    negatives: int = 4096
    full_softmax: int = 50_000
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    processes: int = 1
    checkpoints: str | None = None
    curves: str | None = None

    kinds: ClassVar[frozenset[Kind]] = frozenset(
        {"ranking", "binary", "multilabel", "multiclass", "ordinal", "count", "amount"}
    )

    def __post_init__(self) -> None:
        least = dict.fromkeys(
            ("dim", "layers", "heads", "batch", "max_epochs", "patience", "processes"), 1
        )
        least |= {"length": 2, "negatives": 1, "full_softmax": 0, "adversarial_steps": 1}
        least |= dict.fromkeys(
            ("rebuild", "masked", "contrast", "curriculum", "adversarial_size"), 0
        )
        for name, value in least.items():
            if (got := getattr(self, name)) < value:
                raise ConfigError(
                    f"expected {name} of at least {value}, got {got} for engine 'neural'."
                )
        if self.pretrain is not None and self.pretrain < 0:
            raise ConfigError(
                f"expected pretrain of at least 0 or null, got {self.pretrain} for engine 'neural'."
            )
        if (self.trend or 0.0) < 0 or self.trend_half_life_days <= 0:
            raise ConfigError(
                "expected a trend of at least 0 and trend_half_life_days above 0, got "
                f"{self.trend} and {self.trend_half_life_days} for engine 'neural'."
            )
        if self.epochs is not None and self.epochs < 1:
            raise ConfigError(
                f"expected epochs of at least 1 or null, got {self.epochs} for engine 'neural'."
            )
        for name in ("dropout", "smoothing", "average", "item_dropout", "modality_dropout"):
            if not 0 <= (got := getattr(self, name)) < 1:
                raise ConfigError(
                    f"expected {name} from 0 to below 1, got {got} for engine 'neural'."
                )
        if self.temperature <= 0:
            raise ConfigError(
                f"expected a temperature above 0, got {self.temperature} for engine 'neural'."
            )
        if self.dim % (2 * self.heads):
            raise ConfigError(
                f"expected a dim that is a multiple of twice the heads, got dim {self.dim} and "
                f"{self.heads} heads for engine 'neural'."
            )
        for name, known in (
            ("optimiser", ("adamw", "adam", "sgd")),
            ("weighting", get_args(Weighting)),
            ("precision", ("auto", "bfloat16", "float32")),
            ("adversarial", ("none", "fgm", "pgd")),
        ):
            if (got := getattr(self, name)) not in known:
                raise ConfigError(
                    f"expected {name} to be one of {', '.join(known)}, got {got!r} for engine "
                    "'neural'."
                )

    def space(self, tasks: Mapping[str, Task]) -> Space:
        """Size, rate, regularisation, and each task's weight where weights are fixed."""
        found: dict[str, Span | Options] = {
            "learning_rate": Span(3e-4, 1e-2, log=True),
            "batch": Options((512, 1024, 2048, 4096)),
            "dim": Options((32, 64, 128)),
            "layers": Options((1, 2, 3)),
            "dropout": Span(0.1, 0.6),
            "temperature": Span(0.03, 0.1, log=True),
            "item_dropout": Span(0.0, 0.5),
        }
        for name, task in tasks.items():
            if task.kind != "ranking" and self.weighting == "fixed":
                found[f"weights.{name}"] = Span(0.1, 10.0, log=True)
        return {name: each.around(setting(self, name, 1.0)) for name, each in found.items()}

    def tune(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        validation: Mapping[str, Questions],
        *,
        seed: int = 0,
        progress: Progress | None = None,
        record: Record | None = None,
    ) -> Neural:
        """The number of epochs and the trend with which validation is answered best.

        ``record`` gets name, step and value of every loss and quality, and may end the training by
        raising.
        """
        _need_torch()
        from shoploom.engines.neural.fitting import Validation, fit, follow_trend

        if self.weighting == "single":
            return self  # each network stops by itself
        past = inputs.upto(first_moment(validation))
        watch = Validation(inputs, validation)
        fitted, course = fit(
            self, past, tasks, questions, seed=seed, watch=watch, progress=progress, record=record
        )
        tuned = replace(self, epochs=max(course.best, 1))
        tuned, fitted = follow_trend(tuned, fitted, past, tasks, watch, seed=seed)
        # So many epochs without anybody watching end at the same weights.
        learned_already(tuned, fitted, past, tasks, questions, seed=seed)
        return tuned

    def fit(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        *,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> FittedNeural | FittedSingles:
        """A network trained on everything before ``inputs.until``."""
        _need_torch()
        from shoploom.engines.neural.fitting import fit, fit_singles

        if self.weighting == "single":
            return fit_singles(self, inputs, tasks, questions, seed=seed, progress=progress)
        return fit(self, inputs, tasks, questions, seed=seed, progress=progress)[0]

    @staticmethod
    def from_state(state: State) -> FittedNeural | FittedSingles:
        """The fitted network that gave this state."""
        _need_torch()
        from shoploom.engines.neural.fitted import FittedNeural, FittedSingles

        if "singles" in state.config:
            return FittedSingles.from_state(state)
        return FittedNeural.from_state(state)

    def json(self) -> dict[str, object]:
        """What decides the weights besides files: every setting that names none."""
        own = asdict(self)
        del own["checkpoints"], own["curves"], own["start_from"]
        return own


def _need_torch() -> None:
    if find_spec("torch") is None:
        raise DataError(
            "engine 'neural': expected the package torch, found it nowhere; "
            "run: pip install 'shoploom[neural]', or leave the engine out."
        )
