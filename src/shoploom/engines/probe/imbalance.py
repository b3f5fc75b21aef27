"""Learning yes and no where one of them is rare: weights, losses, and which rows are seen.

Each strategy is a small function of ``(n,)`` answers of 0 and 1. What a balanced strategy does to
the prior is undone in ``calibration``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from shoploom.engines.neural.heads import KINDS
from shoploom.engines.probe.features import Batch, Examples
from shoploom.engines.probe.gan import fit_gan
from shoploom.engines.probe.probe import Imbalance

Answers = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Strategy:
    """How a head learns from answers of which one is rare.

    Attributes:
        loss: of ``(n, 1)`` log-odds and ``(n,)`` answers.
        rows: the rows of one epoch, shuffled.
        add: a batch with what is made up beside it.
        balanced: whether the head learns from as much yes as no.
    """

    loss: Callable[[Tensor, Tensor], Tensor]
    rows: Callable[[np.random.Generator], Rows]
    add: Callable[[Batch, np.random.Generator], Batch] = lambda batch, rng: batch
    balanced: bool = False


def strategy(name: Imbalance, examples: Examples, *, gamma: float, seed: int) -> Strategy:
    """The strategy of that name for these examples, which have answers of both sorts.

    Args:
        name: of the strategy.
        examples: of training.
        gamma: of the focal loss.
        seed: of what a generator learns.
    """
    answers, n = examples.answers, len(examples)

    def everything(rng: np.random.Generator) -> Rows:
        return rng.permutation(n)

    plain = KINDS["binary"].loss
    if name == "class_weights":
        no, yes = class_weights(answers)
        return Strategy(lambda out, y: weighted(out, y, no, yes), everything, balanced=True)
    if name == "focal":
        return Strategy(lambda out, y: focal(out, y, gamma), everything)
    if name == "over_sampling":
        return Strategy(plain, lambda rng: over_sampled(answers, rng), balanced=True)
    if name == "under_sampling":
        return Strategy(plain, lambda rng: under_sampled(answers, rng), balanced=True)
    if name == "gan":
        return Strategy(plain, everything, fit_gan(examples, seed=seed).balance, balanced=True)
    return Strategy(plain, everything)


def class_weights(answers: Answers) -> tuple[float, float]:
    """What a no and a yes weigh, ``n / (2 n_c)``: each sort weighs half, and a row 1 on average."""
    yes = float(answers.sum())
    return len(answers) / (2 * (len(answers) - yes)), len(answers) / (2 * yes)


def weighted(outputs: Tensor, answers: Tensor, no: float, yes: float) -> Tensor:
    """The mean cross-entropy, each row weighed by its answer."""
    weight = torch.where(answers > 0, yes, no)
    return functional.binary_cross_entropy_with_logits(outputs[:, 0], answers, weight=weight)


def focal(outputs: Tensor, answers: Tensor, gamma: float) -> Tensor:
    """The mean of ``-(1 - p)^gamma log p`` of what came (Lin and others 2017, equation 4)."""
    loss = functional.binary_cross_entropy_with_logits(outputs[:, 0], answers, reduction="none")
    # p from the loss itself: exact where a sigmoid would have run out of digits.
    return ((1 - torch.exp(-loss)).clamp_min(1e-12) ** gamma * loss).mean()


def over_sampled(answers: Answers, rng: np.random.Generator) -> Rows:
    """All rows, the rarer sort as often as the other: each of its rows about equally often."""
    rare, usual = _sorts(answers)
    times, rest = divmod(len(usual), len(rare))
    again = np.concatenate([np.tile(rare, times), rng.choice(rare, rest, replace=False)])
    return rng.permutation(np.concatenate([usual, again]))


def under_sampled(answers: Answers, rng: np.random.Generator) -> Rows:
    """All rows of the rarer sort, and as many drawn ones of the other; others in each epoch."""
    rare, usual = _sorts(answers)
    return rng.permutation(np.concatenate([rare, rng.choice(usual, len(rare), replace=False)]))


def _sorts(answers: Answers) -> tuple[Rows, Rows]:
    """The rows of the rarer and of the more frequent sort."""
    yes, no = np.flatnonzero(answers > 0), np.flatnonzero(answers <= 0)
    return (yes, no) if len(yes) <= len(no) else (no, yes)
