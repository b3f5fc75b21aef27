"""The user tower as an ONNX graph, so that a server can answer without torch.

The graph goes from the latest events of some users to their states, to what looks for their next
item, where items come again to how likely which does, and, where tasks were learned, to their
profiles and the answers that need no subject. Item vectors stand beside it: the product of query
and item is the logit of the item.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from shoploom.core.columns import ACTIONS
from shoploom.core.errors import ConfigError
from shoploom.core.files import atomic_path, write_json
from shoploom.engines.neural.asked import Seen
from shoploom.engines.neural.heads import KINDS
from shoploom.engines.neural.tokens import VISIT, Batch

if TYPE_CHECKING:
    from shoploom.engines.neural.fitted import FittedNeural

OPSET = 18
_GRAPH, _ITEMS, _TREND = "user_tower.onnx", "items.npy", "trend.npy"
_IDS, _CARD = "items.ids.json", "user_tower.json"

_MEANINGS = {
    "item": "(n, length) int64 codes of items, oldest first, padded on the right; the number of "
    "items at padding",
    "action": f"(n, length) int64 codes of actions: {', '.join(ACTIONS)}",
    "gap": "(n, length) int64, 0 at the first event; else 1 + the whole power of two of 1 + the "
    "seconds since the event before, 31 at most",
    "time": "(n, length) float32 days before the last event, 0 or less",
    "lengths": "(n,) int64 events of each row",
    "asked": f"(n,) int64 code of the action that is asked about; {VISIT} for the next visit",
    "ago": "(n,) float32 days from the last event to the moment",
    "numbers": "(n, n_numbers) float32 statistics, scaled by the quantiles of the engine's state",
}


@dataclass(frozen=True)
class Exported:
    """Files of an exported user tower.

    Attributes:
        graph: ``user_tower.onnx``.
        items: ``(n_items, dim)`` float32 ``.npy``: logits are ``query @ items.T``.
        trend: ``(n_items,)`` float32 ``.npy``, added to the logarithms of the probabilities.
        ids: the items' ids in the order of their codes, JSON.
        card: what goes in, what comes out, and what it was made from, JSON.
    """

    graph: Path
    items: Path
    trend: Path
    ids: Path
    card: Path


class _Tower(nn.Module):
    def __init__(self, fitted: FittedNeural):
        super().__init__()
        self.network, self.items = fitted.network, nn.Buffer(fitted.items)
        self.answered = {
            name: KINDS[each.kind].answer
            for name, each in fitted.learned.items()
            if each.reader.subjects is None
        }

    def forward(
        self,
        item: Tensor,
        action: Tensor,
        gap: Tensor,
        time: Tensor,
        lengths: Tensor,
        asked: Tensor,
        ago: Tensor | None = None,
        numbers: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        # Padding is hidden: what is asked with no event at all looks at nothing.
        batch = Batch(item, action, gap, time, lengths)
        hidden = Batch(item, action, gap, time, lengths, ~batch.real)
        states = self.network.states(hidden, self.items)
        state = batch.last(states)
        query, again = self.network.query(state, asked), ()
        if self.network.repeats is not None:
            row, last = torch.arange(item.shape[0]), (lengths - 1).clamp_min(0)
            found = self.network.repeats(states, batch, row, last, asked)
            again = (found.log_again.exp(), found.events)
        if self.network.profile is None or ago is None or numbers is None:
            return state, query, *again
        profile = self.network.profile(state, self.items, batch, ago, numbers)
        nothing = numbers.new_zeros((numbers.shape[0], 0))
        answers = [
            answer(self.network.heads[task](profile, nothing, None))
            for task, answer in self.answered.items()
        ]
        return state, query, *again, profile, *answers


def export(fitted: FittedNeural, folder: Path, about: Mapping[str, Any]) -> Exported:
    """Write the user tower and its items into a folder, whole or not at all.

    Args:
        fitted: the network.
        folder: replaced if it is there.
        about: more that the card should say.

    Raises:
        ConfigError: the backbone cannot be written as ONNX.
    """
    if fitted.settings.backbone == "bilstm":
        raise ConfigError(
            "expected a backbone that can be written as ONNX (transformer, gru), got 'bilstm': it "
            "packs histories by their lengths, which ONNX lacks; train another backbone."
        )
    tower = _Tower(fitted).eval()
    heads = tower.network.profile is not None
    names = list(_MEANINGS)[: None if heads else 6]
    outputs = ["state", "query"]
    if tower.network.repeats is not None:
        outputs += ["again", "events"]
    if heads:
        outputs += ["profile", *tower.answered]
    example = _example(fitted, heads)
    with atomic_path(folder) as temporary:
        temporary.mkdir(parents=True)
        _write_graph(tower, example, names, outputs, temporary / _GRAPH)
        np.save(temporary / _ITEMS, fitted.items.numpy(), allow_pickle=False)
        trend = torch.zeros(len(fitted.items)) if fitted.trend is None else fitted.trend
        np.save(temporary / _TREND, trend.numpy(), allow_pickle=False)
        write_json(temporary / _IDS, list(fitted.catalogue.ids))
        write_json(temporary / _CARD, {**about, **_card(fitted, names, outputs)})
    return Exported(*(folder / name for name in (_GRAPH, _ITEMS, _TREND, _IDS, _CARD)))


def tower_inputs(seen: Seen, asked: Tensor) -> dict[str, np.ndarray]:
    """What the graph takes, of users at moments; a graph without tasks takes no ago and numbers."""
    batch = {
        name: getattr(seen.batch, name) for name in ("item", "action", "gap", "time", "lengths")
    }
    given = {**batch, "asked": asked, "ago": seen.ago, "numbers": seen.numbers}
    return {name: value.numpy() for name, value in given.items()}


def _example(fitted: FittedNeural, heads: bool) -> tuple[Tensor, ...]:
    """Two users of three and two events: any that let the exporter see every axis."""
    shape, whole = (2, 3), torch.int64
    rows = [torch.zeros(shape, dtype=whole) for _ in range(3)]
    rows += [torch.tensor([[-2.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])]
    rows += [torch.tensor([3, 2]), torch.zeros(2, dtype=whole)]
    if heads:
        n_numbers = len(next(iter(fitted.learned.values())).reader.columns.statistics)
        rows += [torch.ones(2), torch.zeros(2, n_numbers)]
    return tuple(rows)


def _write_graph(
    tower: nn.Module, example: tuple[Tensor, ...], names: list[str], outputs: list[str], path: Path
) -> None:
    wide = {"events": {0: "n", 1: "length"}}
    axes = {
        name: {0: "n", 1: "length"} if each.dim() == 2 and name != "numbers" else {0: "n"}
        for name, each in zip(names, example, strict=True)
    }
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter tells of its own deprecations
        torch.onnx.export(
            tower,
            example,
            str(path),
            input_names=names,
            output_names=outputs,
            dynamic_axes=axes | {name: wide.get(name, {0: "n"}) for name in outputs},
            opset_version=OPSET,
            dynamo=False,
        )


def _card(fitted: FittedNeural, names: list[str], outputs: list[str]) -> dict[str, Any]:
    shape = fitted.network.shape
    tasks = {
        name: {"kind": each.kind, "window_days": each.window_days}
        for name, each in fitted.learned.items()
        if name in outputs
    }
    meanings = {
        "state": "(n, dim) after the last event",
        "query": "(n, dim); query @ items.T are the logits of the next item; trend.npy is added to "
        "the logarithms of the probabilities in the end",
        "again": "(n,) probability that the next item is one of the history's; the softmax of the "
        "logits has the rest",
        "events": "(n, length) share of each event's item in what comes again",
        "profile": "(n, profile dim) z",
        **dict.fromkeys(tasks, "(n,) the answer of that task"),
    }
    return {
        "torch": torch.__version__.split("+")[0],
        "opset": OPSET,
        "backbone": fitted.settings.backbone,
        "shape": {each.name: getattr(shape, each.name) for each in fields(shape)},
        "n_items": len(fitted.catalogue),
        "inputs": {name: _MEANINGS[name] for name in names},
        "outputs": {name: meanings[name] for name in outputs},
        "tasks": tasks,
    }
