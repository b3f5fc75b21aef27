"""What each kind of task asks of a user: outputs, the loss against what came, and the answer.

A head is small on purpose: what many tasks need should be in the profile, where they share it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from shoploom.core.errors import DataError
from shoploom.engines.neural.dropout import Dropout
from shoploom.tasks import Kind

_SUBJECT = 16  # dimensions of what a question is about
_NARROW, _LEFT_OUT = 16, 0.8  # width of the narrow way, and the share left out before it
_LARGEST = 20.0  # of a logarithm: what is beyond e^20 is a mistake, not an expectation


@dataclass(frozen=True)
class Answering:
    """How questions of a kind are answered.

    Attributes:
        outputs: numbers that the head gives, by the number of classes that training has.
        start: ``(outputs,)`` for answers of training, what a head knows before it looks at users.
        loss: mean over ``(n, outputs)`` and ``(n,)`` float32 answers.
        answer: ``(n,)`` from ``(n, outputs)``.
    """

    outputs: Callable[[int], int]
    start: Callable[[NDArray[np.float64]], list[float]]
    loss: Callable[[Tensor, Tensor], Tensor]
    answer: Callable[[Tensor], Tensor]


def _logit(share: float) -> float:
    share = min(max(share, 1e-4), 1 - 1e-4)
    return math.log(share / (1 - share))


def _binary_loss(outputs: Tensor, answers: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(outputs[:, 0], answers)


def _count_loss(outputs: Tensor, answers: Tensor) -> Tensor:
    """Poisson, less what does not depend on the outputs."""
    rate = outputs[:, 0].clamp(-_LARGEST, _LARGEST)
    return functional.poisson_nll_loss(rate, answers, log_input=True, full=True)


def _amount_start(answers: NDArray[np.float64]) -> list[float]:
    positive = np.log(answers[answers > 0]) if (answers > 0).any() else np.zeros(1)
    spread = max(float(positive.std()), 0.1)
    share = _logit(float((answers > 0).mean()))
    return [share, float(positive.mean()), math.log(math.expm1(spread))]


def _amount_loss(outputs: Tensor, answers: Tensor) -> Tensor:
    """Zero-inflated log-normal (Wang, Liu and Miao 2019): is there an amount, and of what size?"""
    share, mean, spread = outputs[:, 0], outputs[:, 1], _spread(outputs)
    some = answers > 0
    loss = functional.binary_cross_entropy_with_logits(share, some.float(), reduction="sum")
    log = torch.log(answers.clamp_min(1e-9))
    size = ((log - mean) / spread) ** 2 / 2 + torch.log(spread) + log
    return (loss + torch.where(some, size, 0.0).sum()) / max(len(answers), 1)


def _amount_answer(outputs: Tensor) -> Tensor:
    log = outputs[:, 1] + _spread(outputs) ** 2 / 2
    return torch.sigmoid(outputs[:, 0]) * torch.exp(log.clamp(-_LARGEST, _LARGEST))


def _spread(outputs: Tensor) -> Tensor:
    """The standard deviation of the logarithm; bounded, because the mean grows with its square."""
    return functional.softplus(outputs[:, 2]).clamp(0.05, 2.5)


def _class_shares(answers: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.bincount(answers.astype(np.int64)) / max(len(answers), 1)


def _ordinal_loss(outputs: Tensor, answers: Tensor) -> Tensor:
    """One question per step of the scale: is it above this level? (Frank and Hall 2001)."""
    above = (answers[:, None] > torch.arange(outputs.shape[1])).float()
    return (
        functional.binary_cross_entropy_with_logits(outputs, above, reduction="none").sum(1).mean()
    )


def _ordinal_start(answers: NDArray[np.float64]) -> list[float]:
    shares = _class_shares(answers)
    return [_logit(float(shares[level:].sum())) for level in range(1, max(len(shares), 2))]


KINDS: dict[Kind, Answering] = {
    "binary": Answering(
        outputs=lambda classes: 1,
        start=lambda answers: [_logit(float(answers.mean()))],
        loss=_binary_loss,
        answer=lambda outputs: torch.sigmoid(outputs[:, 0]),
    ),
    "count": Answering(
        outputs=lambda classes: 1,
        start=lambda answers: [math.log(max(float(answers.mean()), 1e-4))],
        loss=_count_loss,
        answer=lambda outputs: torch.exp(outputs[:, 0].clamp(-_LARGEST, _LARGEST)),
    ),
    "amount": Answering(
        outputs=lambda classes: 3, start=_amount_start, loss=_amount_loss, answer=_amount_answer
    ),
    "ordinal": Answering(
        outputs=lambda classes: max(classes - 1, 1),
        start=_ordinal_start,
        loss=_ordinal_loss,
        # The expected level: how many steps of the scale are passed.
        answer=lambda outputs: torch.sigmoid(outputs).sum(1),
    ),
    "multiclass": Answering(
        outputs=lambda classes: max(classes, 2),
        start=lambda answers: [
            math.log(max(float(share), 1e-4)) for share in np.append(_class_shares(answers), 0)
        ][: max(int(answers.max(initial=0)) + 1, 2)],
        loss=lambda outputs, answers: functional.cross_entropy(outputs, answers.long()),
        answer=lambda outputs: outputs.argmax(1).float(),
    ),
}
#: Each of several labels is a yes or no about its subject.
KINDS["multilabel"] = KINDS["binary"]


def check_answers(
    answers: object, kind: Kind, task: str, *, engine: str = "neural"
) -> NDArray[np.float64]:
    """The answers as numbers that the kind allows.

    Args:
        answers: of the questions.
        kind: of the task.
        task: its name.
        engine: that the message names.

    Raises:
        DataError: they are not.
    """
    expected = {
        "binary": "0 or 1",
        "multilabel": "0 or 1",
        "count": "numbers of at least 0",
        "ordinal": "whole levels from 0 on",
        "multiclass": "whole classes from 0 on",
    }
    values = answers if isinstance(answers, np.ndarray) else np.empty(0)
    good = bool(len(values)) and bool(np.isfinite(values).all())
    if good and kind in ("binary", "multilabel"):
        good = bool(np.isin(values, (0, 1)).all())
    elif good and kind == "count":
        good = bool((values >= 0).all())
    elif good and kind in ("ordinal", "multiclass"):
        good = bool(((values >= 0) & (values == np.floor(values))).all())
    if not good:
        raise DataError(
            f"{engine} expected questions of {task!r} with {expected.get(kind, 'a number')} as "
            "answer each."
        )
    return np.asarray(values, dtype=np.float64)


class Head(nn.Module):
    """From a profile, and what the question is about, to the outputs of a kind.

    What leads a profile may be hundreds of numbers that say little of a task, beside statistics
    that say much: on few questions it is learned by heart. So it goes through a narrow way of its
    own, most of it left out at each step.

    Args:
        dim: of the profile.
        n_pairs: numbers about the user and the subject together.
        n_subjects: subjects known from training; 0 where questions have none.
        start: outputs for a user of whom nothing is known.
        dropout: of what it looks at.
        hidden: its width.
        narrow: how many of the first numbers of the profile go through the narrow way.
    """

    def __init__(
        self,
        dim: int,
        n_pairs: int,
        n_subjects: int,
        start: list[float],
        *,
        dropout: float,
        hidden: int = 64,
        narrow: int = 0,
    ):
        super().__init__()
        # One subject more, for those that training did not have.
        self.subject = nn.Embedding(n_subjects + 1, _SUBJECT) if n_subjects else None
        width = dim - narrow + n_pairs + (_SUBJECT if n_subjects else 0)
        self.dropout = Dropout(dropout)
        self.wide, self.out = nn.Linear(width, hidden), nn.Linear(hidden, len(start))
        self.direct = nn.Linear(width, len(start), bias=False)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.direct.weight)
        self.narrow, self.aside = narrow, None
        if narrow:
            last = nn.Linear(_NARROW, len(start), bias=False)
            nn.init.zeros_(last.weight)
            self.aside = nn.Sequential(
                Dropout(_LEFT_OUT), nn.Linear(narrow, _NARROW), nn.GELU(), last
            )
        with torch.no_grad():
            self.out.bias.copy_(torch.tensor(start))

    def forward(self, profile: Tensor, pairs: Tensor, subject: Tensor | None) -> Tensor:
        """``(n, outputs)``."""
        parts = [profile[:, self.narrow :], pairs]
        if self.subject is not None and subject is not None:
            parts.append(self.subject(subject))
        seen = self.dropout(torch.cat(parts, 1))
        outputs = self.out(functional.gelu(self.wide(seen))) + self.direct(seen)
        return outputs if self.aside is None else outputs + self.aside(profile[:, : self.narrow])
