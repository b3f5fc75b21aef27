"""Several processes that train one network: each takes its share of the batches of an epoch.

The process that asks is the first of the group and alone judges, reports and saves; the others
follow it, started by it and ended with it. Gradients are averaged after every step, so that all
hold the same weights. It speaks ``torch.distributed`` (gloo) directly.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """The processes of a training, seen from one of them.

    Attributes:
        rank: this process, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    def share(self, steps: Sequence[T]) -> list[T]:
        """This process's steps of an epoch; all processes have as many."""
        most = len(steps) // self.size if len(steps) >= self.size else 0
        return list(steps[self.rank :: self.size][:most]) if self.size > 1 else list(steps)

    def average(self, parameters: Sequence[Tensor]) -> None:
        """Make each gradient the mean over processes; a missing one counts as zero."""
        if self.size == 1:
            return
        learned = [each for each in parameters if each.requires_grad]
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in learned]
        flat = torch.cat([grad.flatten() for grad in grads])
        distributed.all_reduce(flat)
        flat /= self.size
        parts = flat.split([grad.numel() for grad in grads])
        for parameter, part in zip(learned, parts, strict=True):
            parameter.grad = part.view_as(parameter)

    def agree(self, decision: bool) -> bool:
        """What the first process decides."""
        if self.size == 1:
            return decision
        flag = torch.tensor([float(decision)])
        distributed.broadcast(flag, 0)
        return bool(flag.item())


@contextmanager
def group_of(size: int, follow: Callable[..., None], arguments: tuple[Any, ...]) -> Iterator[Group]:
    """A group of ``size`` processes whose others run ``follow(group, *arguments)``.

    Args:
        size: with this process; 1 starts no other.
        follow: a function of a module, so that another process finds it.
        arguments: for it, able to be pickled.
    """
    if size == 1:
        yield Group()
        return
    context = multiprocessing.get_context("spawn")
    threads = max(1, torch.get_num_threads() // size)
    with tempfile.TemporaryDirectory() as folder:
        meeting = (Path(folder) / "meeting").as_uri()
        others = [
            context.Process(
                target=_join,
                args=(Group(rank, size), meeting, threads, follow, arguments),
                daemon=True,
            )
            for rank in range(1, size)
        ]
        for each in others:
            each.start()
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            distributed.init_process_group("gloo", init_method=meeting, rank=0, world_size=size)
            yield Group(0, size)
            for each in others:
                each.join()
        finally:
            for each in others:
                each.kill()
            if distributed.is_initialized():
                distributed.destroy_process_group()
            torch.set_num_threads(before)


def _join(
    group: Group,
    meeting: str,
    threads: int,
    follow: Callable[..., None],
    arguments: tuple[Any, ...],
) -> None:
    torch.set_num_threads(threads)
    distributed.init_process_group(
        "gloo", init_method=meeting, rank=group.rank, world_size=group.size
    )
    follow(group, *arguments)
    distributed.destroy_process_group()
