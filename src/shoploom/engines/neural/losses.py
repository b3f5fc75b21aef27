"""The softmax over items: where nearly all the time of training goes.

A framework would keep logits, log-probabilities and their gradients, each ``(positions, items)``.
Here a block of logits is made in one buffer, turned into probabilities in place, and multiplied
twice more for both gradients before the next block overwrites it, so that it never leaves the
cache and no page is touched for the first time. In bfloat16 products are four times as fast on a
CPU that has them; they are summed in float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_BLOCK = 512  # positions at once: with 12,000 items in bfloat16, 12 MB
_ROUND = 64  # blocks are padded to a multiple: code is compiled, and kept, for every new size


def has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware; where it does not, float32 is faster."""
    supports = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in _INSTRUCTIONS)
    return any(check() for check in supports if check is not None)


_INSTRUCTIONS = ("avx512_bf16", "amx_tile")


class ItemSoftmax:
    """Cross-entropy of the item that came, among all items or among shared negatives.

    Args:
        n_items: size of the catalogue.
        counts: ``(n_items,)`` how often each item is a target; negatives are drawn by them.
        smoothing: share of the target that is spread over all candidates.
        negatives: how many items, drawn anew for each batch and shared by its positions, stand
            for all others; None takes all.
        dtype: of the products.

    Drawn candidates are corrected by the logarithm of how often they were to be expected (logQ:
    Bengio and Senecal 2008; Yi and others 2019), so that popular ones are not pushed down for
    being drawn more often.
    """

    def __init__(
        self,
        n_items: int,
        counts: NDArray[np.integer],
        *,
        smoothing: float = 0.0,
        negatives: int | None = None,
        dtype: torch.dtype = torch.float32,
    ):
        self.n_items, self.smoothing, self.negatives = n_items, smoothing, negatives
        # The square root reaches far more rare items than the counts would.
        drawn = np.sqrt(np.maximum(counts, 1)).astype(np.float64)
        self._drawn = torch.from_numpy(drawn / drawn.sum()).float()
        self._buffer = torch.empty(0, dtype=dtype)

    def __call__(
        self,
        query: Tensor,
        weight: Tensor,
        target: Tensor,
        mixed: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """The mean of ``-log p(target)``, differentiable.

        Args:
            query: ``(n, dim)`` float32, one row per real position.
            weight: ``(n_items, dim)`` float32 vectors of all items.
            target: ``(n,)`` int64 codes.
            mixed: two ``(n,)``, where the softmax has only a share in the answer: the logarithm of
                its share, and of what else says that the target comes (times its own share).
        """
        bias = None
        if self.negatives is not None:
            weight, target, bias = self._candidates(weight, target)
        cells = _BLOCK * len(weight)
        if len(self._buffer) < cells:
            self._buffer = torch.empty(cells, dtype=self._buffer.dtype)
        share, other = (None, None) if mixed is None else mixed
        return _CrossEntropy.apply(
            query, weight, target, bias, share, other, self.smoothing, self._buffer
        )

    def _candidates(self, weight: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors of the candidates, the targets' places among them, ``-log`` expected draws."""
        assert self.negatives is not None
        drawn = torch.multinomial(self._drawn, min(self.negatives, self.n_items))
        items, place = torch.unique(torch.cat((target, drawn)), return_inverse=True)
        expected = (self._drawn[items] * self.negatives).clamp_max(1.0)
        return weight[items], place[: len(target)], -torch.log(expected)


class _CrossEntropy(torch.autograd.Function):
    """Loss and all gradients in one pass over the logits; backward only scales them.

    In a mixture, a row moves the softmax by its part in the probability of the target (the
    responsibility of expectation maximisation).
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        weight: Tensor,
        target: Tensor,
        bias: Tensor | None,
        share: Tensor | None,
        other: Tensor | None,
        smoothing: float,
        buffer: Tensor,
    ) -> Tensor:
        n, n_items, kept = len(query), len(weight), 1 - smoothing
        padded = -n % _ROUND
        low_query = functional.pad(query.to(buffer.dtype), (0, 0, 0, padded))
        label_of = functional.pad(target, (0, padded))
        low_weight = weight.to(buffer.dtype)
        low_bias = None if bias is None else bias.to(buffer.dtype)
        loss = torch.zeros((), dtype=torch.float32)
        to_query, part_in = torch.empty_like(query), query.new_ones(n)
        to_weight, added = torch.zeros_like(weight), torch.empty_like(low_weight)
        for start in range(0, n, _BLOCK):
            part, label = low_query[start : start + _BLOCK], label_of[start : start + _BLOCK]
            p = buffer[: len(part) * n_items].view(len(part), n_items)
            if low_bias is None:
                torch.mm(part, low_weight.T, out=p)
            else:
                torch.addmm(low_bias, part, low_weight.T, out=p)
            torch.softmax(p, -1, out=p)
            came = p.gather(1, label[:, None]).float().clamp_min_(1e-30)
            real = min(len(part), n - start)
            rows, logs = slice(start, start + real), came[:real, 0].log_()
            to_query[rows] = torch.mm(p, low_weight)[:real]
            if share is not None and other is not None:
                own = logs + share[rows]
                logs = torch.logaddexp(own, other[rows])
                part_in[rows] = torch.exp(own - logs)
                part = part.clone()
                part[:real] *= part_in[rows, None]
            loss -= logs.sum()
            torch.mm(p.T, part, out=added)  # padding is zero in part, and adds nothing
            to_weight += added
        to_query.sub_(weight[target], alpha=kept)
        if smoothing:
            to_query -= smoothing * weight.mean(0)
        if share is not None:
            to_query *= part_in[:, None]
            query = query * part_in[:, None]
        to_weight.index_add_(0, target, query, alpha=-kept)
        if smoothing:
            to_weight -= smoothing / n_items * query.sum(0)
        ctx.mixture = share is not None
        ctx.save_for_backward(to_query.div_(n), to_weight.div_(n), part_in)
        return loss / n

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        to_query, to_weight, part_in = ctx.saved_tensors
        scale, to_share, to_other = grads[0], None, None
        if ctx.mixture:
            to_share = part_in * (-scale / len(part_in))
            to_other = (1 - part_in) * (-scale / len(part_in))
        if scale != 1:
            to_query, to_weight = to_query * scale, to_weight * scale
        return to_query, to_weight, None, None, to_share, to_other, None, None
