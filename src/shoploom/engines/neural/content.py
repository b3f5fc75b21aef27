"""What items say and show, made ready to be added to their vectors.

Vectors of a pretrained encoder share one large direction and have most of their spread in a few
others. Centred, turned to their principal axes and divided by the spread along each (whitening;
for recommenders: Zhang and others 2024, WhitenRec), every axis says something of its own, and the
first few say nearly all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shoploom.core.errors import ConfigError
from shoploom.engines.engine import ItemContent

_FLOOR = 0.05  # of the largest spread: what varies less is noise and is not blown up to its size


@dataclass(frozen=True)
class Whitening:
    """How the vectors of one modality are made ready.

    Attributes:
        mean: ``(dim,)`` of the items that have one.
        axes: ``(dim, kept)`` principal axes, each divided by its spread.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]

    @classmethod
    def of(cls, vectors: NDArray[np.floating], kept: int) -> Whitening:
        """From ``(n, dim)`` vectors of items that have one; at most ``kept`` axes."""
        rows = vectors.astype(np.float32)
        dim = rows.shape[1]
        mean = rows.mean(axis=0) if len(rows) else np.zeros(dim, dtype=np.float32)
        rows = rows - mean
        variance, axes = np.linalg.eigh(rows.T @ rows / max(len(rows), 1))
        spread = np.sqrt(np.maximum(variance[::-1][:kept], 0))
        axes = axes[:, ::-1][:, :kept] / np.maximum(spread, max(_FLOOR * spread.max(), 1e-12))
        return cls(mean, np.ascontiguousarray(axes, dtype=np.float32))

    def apply(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """``(n, kept)`` with a spread of about one along each axis."""
        return (vectors.astype(np.float32) - self.mean) @ self.axes  # type: ignore[return-value]


def whitenings(
    content: ItemContent, kept: int, learned: Mapping[str, Whitening]
) -> dict[str, Whitening]:
    """By modality that some item has; those that another shop learned stay as they are.

    Raises:
        ConfigError: a learned one is of vectors of another length.
    """
    found = {}
    for name in sorted(content.vectors):
        has, vectors = content.present[name], content.vectors[name]
        if not has.any():
            continue
        found[name] = learned.get(name) or Whitening.of(vectors[has], kept)
        if (expected := len(found[name].mean)) != vectors.shape[1]:
            raise ConfigError(
                f"engine 'neural': expected {name} vectors of {expected} numbers, as the engine "
                f"that it starts from was trained on, got {vectors.shape[1]}; encode {name} with "
                "the same encoder."
            )
    return found


def read_items(
    content: ItemContent,
    whitenings: Mapping[str, Whitening],
    learned: Mapping[str, NDArray[np.float32]],
    dim: int,
) -> NDArray[np.float32]:
    """``(n_items, dim)`` what ``Content`` makes of items, from its saved weights.

    Args:
        content: of the items; modalities that were not learned are not read.
        whitenings: by modality.
        learned: ``content.project.MODALITY.weight`` and ``content.gate.MODALITY``.
        dim: of the sum.
    """
    total = np.zeros((len(content.items), dim), dtype=np.float32)
    for name in sorted(whitenings.keys() & content.vectors.keys()):
        has = content.present[name]
        rows = whitenings[name].apply(content.vectors[name][has])
        weight, gate = learned[f"content.project.{name}.weight"], learned[f"content.gate.{name}"]
        total[has] += rows @ weight.T * gate
    return total


class Content(nn.Module):
    """A gated sum of projected modalities, ``(n_items, dim)``.

    The gates start at zero: content that does not help changes nothing. While training, each
    modality of each item is absent now and then, so that none is relied on alone.

    Args:
        content: of ``n_items`` items.
        whitenings: by modality; others are not read.
        dim: of the sum.
        dropout: the share of items whose modality is left out, where there are several.
    """

    def __init__(
        self,
        content: ItemContent,
        whitenings: Mapping[str, Whitening],
        dim: int,
        *,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.whitenings = dict(whitenings)
        self.vectors: dict[str, Tensor] = {}
        self.present: dict[str, Tensor] = {}
        for name, whitening in whitenings.items():
            rows, has = whitening.apply(content.vectors[name]), content.present[name]
            rows[~has] = 0
            self.vectors[name], self.present[name] = torch.from_numpy(rows), torch.from_numpy(has)
        #: ``(n_items,)`` bool, whether an item has content at all.
        self.any = torch.stack(list(self.present.values())).any(0)
        self.dropout = dropout if len(self.vectors) > 1 else 0.0
        self.project = nn.ModuleDict(
            {name: nn.Linear(rows.shape[1], dim, bias=False) for name, rows in self.vectors.items()}
        )
        self.gate = nn.ParameterDict(
            {name: nn.Parameter(torch.zeros(dim)) for name in self.vectors}
        )

    def projected(self, modality: str, items: Tensor) -> Tensor:
        """``(n, dim)`` what some items say or show, before the gate."""
        return self.project[modality](self.vectors[modality][items])

    def forward(self) -> Tensor:
        total: Tensor | None = None
        for name, rows in self.vectors.items():
            part = self.project[name](rows) * self.gate[name]
            if self.training and self.dropout:
                part = part * (torch.rand(len(rows), 1) >= self.dropout)
            total = part if total is None else total + part
        assert total is not None
        return total
