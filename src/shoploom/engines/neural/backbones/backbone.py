"""What a backbone is: a module from embedded events to one state after each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor

from shoploom.core.registry import Registry


@dataclass(frozen=True)
class Shape:
    """The size of a backbone.

    Attributes:
        dim: of events and states.
        layers: blocks, one after the other.
        heads: of attention; they divide ``dim``.
        length: events that it sees at most.
        dropout: share of activations left out while training.
    """

    dim: int = 64
    layers: int = 2
    heads: int = 2
    length: int = 50
    dropout: float = 0.2


class Backbone(Protocol):
    """A ``torch.nn.Module`` that is made from a ``Shape``.

    ``causal`` says whether the state after an event depends on nothing later, so that every
    event of a history can be trained on at once. Where it is False each history is cut at one
    place per epoch and only the state at its end is used.
    """

    causal: ClassVar[bool]

    def __call__(self, events: Tensor, time: Tensor, lengths: Tensor) -> Tensor:
        """``(n, length, dim)`` states.

        Args:
            events: ``(n, length, dim)``, padded on the right.
            time: ``(n, length)`` days before the row's last event, 0 or less.
            lengths: ``(n,)`` real events per row.
        """
        ...


#: Members are classes that make a module from a ``Shape``.
BACKBONES: Registry[type] = Registry("backbone", "shoploom.engines.neural.backbones")
