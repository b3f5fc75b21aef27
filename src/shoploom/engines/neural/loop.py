"""Training: epochs over objectives, the best weights by held-out quality, exact continuation.

A run depends on its seed alone: the order of batches is drawn from the seed and the epoch, what
torch draws (dropout, negatives) from the seed and the step, and torch's generator is put back
afterwards. With a folder for checkpoints, a process that was killed goes on from its last one and
ends at the same weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from shoploom.core.errors import ConfigError
from shoploom.core.files import atomic_path, read_json, write_json
from shoploom.core.progress import Progress, Quiet
from shoploom.core.seeds import rng
from shoploom.engines.neural.adversarial import Attack
from shoploom.engines.neural.memory import kept_memory
from shoploom.engines.neural.network import Network
from shoploom.engines.neural.objectives import Objective
from shoploom.engines.neural.processes import Group, group_of
from shoploom.engines.neural.weighting import LossWeights

Optimiser = Literal["adamw", "adam", "sgd"]
Qualities = Callable[[Network], list[float]]

_HEAD, _TENSORS = "training.json", "training.safetensors"


@dataclass(frozen=True)
class Plan:
    """How long and how fast to learn.

    Attributes:
        epochs: passes over the objectives; where a quality is watched, the most judgements.
        patience: judgements without a better quality after which it ends.
        judge_every: steps between two judgements at least; they come at the end of an epoch.
        optimiser, learning_rate, weight_decay: as in torch; decay spares vectors and biases.
        warmup: steps until the learning rate is reached.
        average: what an average of past weights keeps at each step; 0 uses the weights as they
            are. The average is what is judged and kept.
        curriculum: epochs until all examples are learned from; before, the share of short ones.
        attack: adds gradients at the worst place near the embeddings.
        processes: that share the batches of an epoch.
        checkpoints: a folder to save to and to go on from.
        every_s: seconds between two checkpoints.
    """

    epochs: int
    patience: int = 3
    judge_every: int = 50
    optimiser: Optimiser = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    warmup: int = 50
    average: float = 0.0
    curriculum: int = 0
    attack: Attack | None = None
    processes: int = 1
    checkpoints: Path | None = None
    every_s: float = 60.0


@dataclass
class Course:
    """How a training went.

    Attributes:
        losses: of each epoch, the mean over its steps.
        qualities: of each judgement, where qualities were watched, higher is better.
        best: the epoch, counted from 1, whose weights were kept.
    """

    losses: list[float] = field(default_factory=list)
    qualities: list[list[float]] = field(default_factory=list)
    best: int = 0

    def scores(self) -> list[float]:
        """Of each judgement, the mean over qualities of the share of the best that it reaches.

        Qualities have units of their own (NDCG, nats): each counts by its own best so far, so that
        none decides for all when to stop.
        """
        values = np.array(self.qualities, dtype=np.float64)
        most = np.abs(values).max(axis=0)
        best = np.where(values.max(axis=0) > 0, values.max(axis=0), np.maximum(most, 1e-12))
        return np.clip(values / best, -1, 1).mean(axis=1).tolist()


def train(
    network: Network,
    objectives: Sequence[Objective],
    plan: Plan,
    weights: LossWeights,
    *,
    seed: int,
    quality: Qualities | None = None,
    identity: str = "",
    progress: Progress | None = None,
    record: Callable[[str, int, float], None] | None = None,
) -> Course:
    """Train in place; the network ends with its best weights.

    Args:
        network: as drawn.
        objectives: what to learn; each epoch sees all batches of all of them.
        plan: how long and how fast.
        weights: what each objective counts.
        seed: of the order of batches and of dropout.
        quality: qualities of the network, higher is better; the weights that come nearest to the
            best of all of them are kept. Without it the last ones are.
        identity: what must agree for a checkpoint to be continued (settings, data).
        progress: gets a bar per epoch and its quality.
        record: gets the name, step and value of points of learning curves.
    """
    others = network, objectives, plan, weights, seed, identity
    with kept_memory(), group_of(plan.processes, _follow, others) as group:
        run = _Run(network, plan, weights, seed, identity, group)
        run.train(objectives, quality, progress or Quiet(), record)
        return run.course


def _follow(
    group: Group,
    network: Network,
    objectives: Sequence[Objective],
    plan: Plan,
    weights: LossWeights,
    seed: int,
    identity: str,
) -> None:
    """What a process other than the first does: its steps, and then what the first decides."""
    _Run(network, plan, weights, seed, identity, group).train(objectives, None, Quiet(), None)


class _Run:
    """One training under way: everything that a checkpoint must hold."""

    def __init__(
        self,
        network: Network,
        plan: Plan,
        weights: LossWeights,
        seed: int,
        identity: str,
        group: Group,
    ):
        self.network, self.plan, self.seed, self.identity = network, plan, seed, identity
        self.weights, self.shared, self.group = weights, list(network.shared()), group
        self.parameters: list[Tensor] = [*network.parameters(), *weights.parameters()]
        self.optimiser = optimiser(self.parameters, plan)
        self.average = [p.detach().clone() for p in self.parameters] if plan.average else []
        self.best = [p.detach().clone() for p in self.parameters]
        self.course = Course()
        self.epoch = self.step = self.in_epoch = self.judged = self.waited = 0
        self.total = 0.0
        self.finished = False
        self._saved = time.monotonic()

    def train(
        self,
        objectives: Sequence[Objective],
        quality: Qualities | None,
        progress: Progress,
        record: Callable[[str, int, float], None] | None,
    ) -> None:
        """Epochs until the plan is done or nothing gets better; then the best weights."""
        with torch.random.fork_rng(devices=[]):
            self.resume()
            while not self.finished:
                self.run_epoch(objectives, progress, record)
                self.close_epoch(quality, progress, record)
                self.finished = self.group.agree(self.finished)
        _copy(self.parameters, self.best)
        self.network.eval()

    def run_epoch(
        self,
        objectives: Sequence[Objective],
        progress: Progress,
        record: Callable[[str, int, float], None] | None,
    ) -> None:
        self.network.train()
        share = min(1.0, (self.epoch + 1) / max(self.plan.curriculum, 1))
        steps = self.group.share(_interleaved(objectives, self.seed, self.epoch, share))
        message = f"epoch {self.epoch + 1}"
        left = steps[self.in_epoch :]
        for objective, batch in progress.track(left, message, total=len(left)):
            torch.default_generator.manual_seed(
                _seed_of(self.seed, self.step * self.group.size + self.group.rank)
            )
            losses = self._descend(objective, batch)
            for name, loss in losses.items():
                value = float(loss.detach())
                self.total += value
                if record is not None:
                    record(f"loss/{name}", self.step, value)
            if self._saves and time.monotonic() - self._saved > self.plan.every_s:
                self.save()
        self.course.losses.append(self.total / max(len(steps), 1))

    def close_epoch(
        self,
        quality: Qualities | None,
        progress: Progress,
        record: Callable[[str, int, float], None] | None,
    ) -> None:
        """Judge if it is time, keep the best weights, decide whether to go on."""
        self.epoch += 1
        self.in_epoch, self.total = 0, 0.0
        note = f"epoch {self.epoch}: loss {self.course.losses[-1]:.4f}"
        current = self.average or self.parameters
        if quality is None:
            self._keep(current)
            self.finished = self.epoch >= self.plan.epochs
        elif self.step - self.judged >= self.plan.judge_every:
            with _weights(self.parameters, current):
                self.network.eval()
                self.course.qualities.append(quality(self.network))
            self.judged, self.waited = self.step, self.waited + 1
            *before, now = self.course.scores()
            if now > max(before, default=-np.inf):
                self._keep(current)
                self.waited = 0
            judged, found = len(self.course.qualities), self.course.qualities[-1]
            self.finished = self.waited >= self.plan.patience or judged >= self.plan.epochs
            note += f", quality {', '.join(f'{value:.4f}' for value in found)}"
            if record is not None:
                record("quality", self.step, float(np.mean(found)))
        progress.note(note)
        if self._saves:
            self.save()

    @property
    def _saves(self) -> bool:
        return self.plan.checkpoints is not None and self.group.rank == 0

    def _keep(self, current: list[Tensor]) -> None:
        _copy(self.best, current)
        self.course.best = self.epoch

    def _descend(self, objective: Objective, batch: Any) -> Mapping[str, Tensor]:
        """One step; the losses before it, by name."""
        self.step += 1
        self.in_epoch += 1
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.learning_rate * min(1.0, self.step / max(self.plan.warmup, 1))
        self.optimiser.zero_grad(set_to_none=True)
        losses = objective.losses(self.network, self.network.items(), batch)
        self.weights(losses, self.shared).backward()
        if self.plan.attack is not None:
            self.plan.attack.add_gradients(
                self.network.tables(), lambda: self._loss(objective, batch)
            )
        self.group.average(self.parameters)
        self.optimiser.step()
        if self.average:
            # Early on, the average forgets faster: it should not remember how weights were drawn.
            kept = min(self.plan.average, self.step / (self.step + 10))
            with torch.no_grad():
                for average, now in zip(self.average, self.parameters, strict=True):
                    average.lerp_(now, 1 - kept)
        return losses

    def _loss(self, objective: Objective, batch: Any) -> Tensor:
        losses = objective.losses(self.network, self.network.items(), batch)
        return self.weights(losses, self.shared)

    def save(self) -> None:
        """Write everything that going on needs, whole or not at all."""
        from safetensors.torch import save_file

        assert self.plan.checkpoints is not None
        tensors = {"norms": self.weights.norms, "seen": self.weights.seen}
        for name, part in (
            ("now", self.parameters),
            ("average", self.average),
            ("best", self.best),
        ):
            tensors |= {f"{name}.{i}": value.detach() for i, value in enumerate(part)}
        for i, parameter in enumerate(self.parameters):
            for name, value in self.optimiser.state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    tensors[f"optimiser.{i}.{name}"] = value
        with atomic_path(self.plan.checkpoints) as folder:
            folder.mkdir(parents=True)
            save_file({k: v.contiguous() for k, v in tensors.items()}, folder / _TENSORS)
            head = {
                "identity": self.identity,
                "epoch": self.epoch,
                "step": self.step,
                "in_epoch": self.in_epoch,
                "judged": self.judged,
                "waited": self.waited,
                "total": self.total,
                "finished": self.finished,
                "course": vars(self.course),
            }
            write_json(folder / _HEAD, head)
        self._saved = time.monotonic()

    def resume(self) -> None:
        """Go on from the folder's checkpoint, if it holds one of the same training."""
        from safetensors.torch import load_file

        folder = self.plan.checkpoints
        if folder is None or not (folder / _HEAD).exists():
            return
        head = read_json(folder / _HEAD)
        if head["identity"] != self.identity:
            return
        tensors = load_file(folder / _TENSORS)
        for name, part in (
            ("now", self.parameters),
            ("average", self.average),
            ("best", self.best),
        ):
            _copy(part, [tensors[f"{name}.{i}"] for i in range(len(part))])
        for key, value in tensors.items():
            if key.startswith("optimiser."):
                _, i, name = key.split(".", 2)
                self.optimiser.state[self.parameters[int(i)]][name] = value
        self.weights.norms.copy_(tensors["norms"])
        self.weights.seen.copy_(tensors["seen"])
        self.epoch, self.step, self.in_epoch = head["epoch"], head["step"], head["in_epoch"]
        self.judged, self.waited = head["judged"], head["waited"]
        self.total, self.finished = head["total"], head["finished"]
        self.course = Course(**head["course"])


def optimiser(parameters: Sequence[Tensor], plan: Plan) -> torch.optim.Optimizer:
    """The optimiser of that name; one fused kernel per step.

    Raises:
        ConfigError: there is none.
    """
    matrices = [p for p in parameters if p.requires_grad and p.dim() > 1]
    others = [p for p in parameters if p.requires_grad and p.dim() <= 1]
    groups = [
        {"params": matrices, "weight_decay": plan.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    rate: Any = plan.learning_rate
    if plan.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True)
    if plan.optimiser == "adam":
        return torch.optim.Adam(groups, lr=rate, betas=(0.9, 0.98), fused=True)
    if plan.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True, fused=True)
    raise ConfigError(f"expected the optimiser adamw, adam or sgd, got {plan.optimiser!r}.")


def _seed_of(seed: int, step: int) -> int:
    """A seed for what is drawn in one step."""
    return int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0] >> 1)


def _interleaved(
    objectives: Sequence[Objective], seed: int, epoch: int, share: float
) -> list[tuple[Objective, Any]]:
    """Every batch of every objective, those of each spread evenly over the epoch."""
    placed = []
    for number, objective in enumerate(objectives):
        batches = objective.batches(rng(seed, "batches", objective.name, epoch), share)
        placed += [
            ((i + 0.5) / len(batches), number, objective, batch) for i, batch in enumerate(batches)
        ]
    placed.sort(key=lambda each: each[:2])
    return [(objective, batch) for _, _, objective, batch in placed]


@contextmanager
def _weights(parameters: list[Tensor], values: list[Tensor]) -> Iterator[None]:
    """The parameters hold these values for a while."""
    if values is parameters:
        yield
        return
    own = [p.detach().clone() for p in parameters]
    _copy(parameters, values)
    try:
        yield
    finally:
        _copy(parameters, own)


def _copy(to: list[Tensor], values: list[Tensor]) -> None:
    with torch.no_grad():
        for each, value in zip(to, values, strict=True):
            each.copy_(value)
