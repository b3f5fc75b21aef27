"""A conditional generative adversarial network that makes up rows of the rarer sort.

Conditional on the sort and the subject (Mirza and Osindero 2014), with the Wasserstein distance
and a penalty on gradients (Gulrajani and others 2017, algorithm 1), because it trains stably on
few rows. It works on the first principal axes of the rows, whitened; what the axes leave out is
taken from a real row of the sort. The generator starts as white noise, which has the spread of the
rows, and learns what is different about each sort.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shoploom.core.seeds import rng as seeded
from shoploom.engines.probe.features import Batch, Examples

_AXES = 32  # principal axes of the rows, at most
_SUBJECT = 8  # numbers that tell subjects apart
_HIDDEN = 64
_STEPS = 400  # of the generator
_CRITIC = 3  # steps of the critic for each of those
_BATCH = 128
# Of gradients of another length than 1. The paper has 10, for pictures; on planted Gaussians of
# whitened rows covariances came out within .3 with that, and within .1 with this.
_PENALTY = 0.3
_KEPT = 0.99  # of the average of past generators at each step
_SAMPLE = 20_000  # rows that decide the axes, at most


@dataclass(frozen=True)
class Axes:
    """Principal axes of rows, along which their spread is 1.

    Attributes:
        mean: ``(dim,)``.
        into: ``(dim, n_axes)``.
        back: ``(n_axes, dim)``.
    """

    mean: Tensor
    into: Tensor
    back: Tensor

    @classmethod
    def of(cls, rows: NDArray[np.float32], n: int) -> Axes:
        """The first axes of ``(n_rows, dim)``, as many as have a spread."""
        mean = rows.mean(axis=0)
        _, spread, axes = np.linalg.svd(rows - mean, full_matrices=False)
        kept = np.flatnonzero(spread > 1e-4 * max(spread[0], 1e-12))[:n]
        spread, axes = spread[kept, None] / np.float32(np.sqrt(len(rows))), axes[kept]
        return cls(*(torch.from_numpy(x) for x in (mean, (axes / spread).T.copy(), axes * spread)))


class Generator(nn.Module):
    """From noise, a sort and a subject to whitened rows.

    Args:
        dim: of the rows.
        n_subjects: codes of subjects; 0 for none.
    """

    def __init__(self, dim: int, n_subjects: int):
        super().__init__()
        self.condition = _Condition(n_subjects)
        self.straight = nn.Linear(dim, dim, bias=False)
        self.bent = _layers(dim + self.condition.dim, dim)
        nn.init.eye_(self.straight.weight)
        nn.init.zeros_(self.bent.get_parameter("4.weight"))  # the last layer

    def forward(self, noise: Tensor, sort: Tensor, subject: Tensor | None) -> Tensor:
        """``(n, dim)`` from noise of that shape."""
        told = torch.cat([noise, self.condition(sort, subject)], 1)
        return self.straight(noise) + self.bent(told)


class Critic(nn.Module):
    """How real whitened rows look; arguments as for ``Generator``."""

    def __init__(self, dim: int, n_subjects: int):
        super().__init__()
        self.condition = _Condition(n_subjects)
        self.layers = _layers(dim + self.condition.dim, 1)

    def forward(self, rows: Tensor, sort: Tensor, subject: Tensor | None) -> Tensor:
        """``(n,)``."""
        return self.layers(torch.cat([rows, self.condition(sort, subject)], 1))[:, 0]


class _Condition(nn.Module):
    """The sort as -1 or 1, and a vector of the subject."""

    def __init__(self, n_subjects: int):
        super().__init__()
        self.subject = nn.Embedding(n_subjects, _SUBJECT) if n_subjects else None
        self.dim = 1 + (_SUBJECT if n_subjects else 0)

    def forward(self, sort: Tensor, subject: Tensor | None) -> Tensor:
        parts = [2 * sort[:, None] - 1]
        if self.subject is not None and subject is not None:
            parts.append(self.subject(subject))
        return torch.cat(parts, 1)


def _layers(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, _HIDDEN),
        nn.LeakyReLU(0.2),
        nn.Linear(_HIDDEN, _HIDDEN),
        nn.LeakyReLU(0.2),
        nn.Linear(_HIDDEN, out),
    )


@dataclass(frozen=True)
class Gan:
    """A trained generator beside the rows that it was trained on.

    Attributes:
        generator: the average of its past.
        axes: of its rows.
        examples: of training.
        rare: the rows of the rarer sort.
    """

    generator: Generator
    axes: Axes
    examples: Examples
    rare: NDArray[np.intp]

    def balance(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """The batch with as many made-up rows of the rarer sort as it lacks."""
        sort = float(self.examples.answers[self.rare[0]])
        same = int(torch.eq(batch.answers, sort).sum())
        lacking = len(batch.answers) - 2 * same
        if lacking <= 0:
            return batch
        made = self.draw(lacking, rng)
        subject = None
        if batch.subject is not None and made.subject is not None:
            subject = torch.cat([batch.subject, made.subject])
        return Batch(
            torch.cat([batch.profile, made.profile]),
            torch.cat([batch.pairs, made.pairs]),
            subject,
            torch.cat([batch.answers, made.answers]),
        )

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """``n`` made-up rows of the rarer sort, each about the subject of a real one."""
        like = self.examples.batch(rng.choice(self.rare, n))
        real = torch.cat([like.profile, like.pairs], 1) - self.axes.mean
        noise = rng.normal(size=(n, self.axes.into.shape[1])).astype(np.float32)
        with torch.no_grad():
            white = self.generator(torch.from_numpy(noise), like.answers, like.subject)
            left_out = real - real @ self.axes.into @ self.axes.back
            made = self.axes.mean + white @ self.axes.back + left_out
        dim = like.profile.shape[1]
        return Batch(made[:, :dim], made[:, dim:], like.subject, like.answers)


def fit_gan(examples: Examples, *, seed: int) -> Gan:
    """A generator trained on examples with answers of both sorts, seen equally often."""
    rng = seeded(seed, "gan")
    sorts = [np.flatnonzero(examples.answers == sort) for sort in (0, 1)]
    rare = min(sorts, key=len)
    sample = rng.permutation(len(examples))[:_SAMPLE]
    axes = Axes.of(_flat(examples.batch(sample)).numpy(), _AXES)
    dim = axes.into.shape[1]
    n_subjects = 0 if examples.subject is None else int(examples.subject.max()) + 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        generator, critic = Generator(dim, n_subjects), Critic(dim, n_subjects)
        average = copy.deepcopy(generator).requires_grad_(False)
        steps = [
            torch.optim.Adam(each.parameters(), lr=1e-3, betas=(0.0, 0.9))
            for each in (generator, critic)
        ]
        for step in range(_STEPS * (_CRITIC + 1)):
            rows = np.concatenate([rng.choice(each, _BATCH // 2) for each in sorts])
            batch = examples.batch(rows)
            told = (batch.answers, batch.subject)
            made = generator(torch.randn(_BATCH, dim), *told)
            if step % (_CRITIC + 1) == _CRITIC:
                _step(steps[0], -critic(made, *told).mean())
                with torch.no_grad():
                    for kept, now in zip(average.parameters(), generator.parameters(), strict=True):
                        kept.lerp_(now, 1 - _KEPT)
                continue
            real, made = (_flat(batch) - axes.mean) @ axes.into, made.detach()
            between = torch.lerp(made, real, torch.rand(_BATCH, 1)).requires_grad_()
            (slope,) = torch.autograd.grad(critic(between, *told).sum(), between, create_graph=True)
            penalty = ((slope.norm(dim=1) - 1) ** 2).mean()
            further = critic(made, *told).mean() - critic(real, *told).mean()
            _step(steps[1], further + _PENALTY * penalty)
    return Gan(average, axes, examples, rare)


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


def _flat(batch: Batch) -> Tensor:
    """``(n, dim + n_pairs)``."""
    return torch.cat([batch.profile, batch.pairs], 1)
