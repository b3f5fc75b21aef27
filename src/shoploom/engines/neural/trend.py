"""What is taken now more, or less, than over all the time that was learned from.

A network learns each item's popularity as it was on average. Where catalogues turn over, what is
asked about is the time to come: logits are moved by the logarithm of how the item's share has
changed of late (adjusting a classifier to a new prior: Saerens, Latinne and Decaestecker 2002),
as far as validation says that it helps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shoploom.engines._ranking import Histories, age_weights
from shoploom.engines._search import coordinate_search

if TYPE_CHECKING:
    from shoploom.engines.neural.neural import Neural

_SPACE = {
    "trend": (0.0, 0.25, 0.5, 0.75, 1.0, 1.5),
    "trend_half_life_days": (3.5, 7.0, 14.0, 30.0, 60.0),
}
_JUDGED = 1.0  # the trend that epochs are judged with, beside none
_PRIOR = 0.1  # of the lately counted events stands in for what was counted before: none is lost
_SOME = 1e-3  # changes below that are none


def trend_of(settings: Neural, events: Histories, n_items: int) -> Tensor | None:
    """``(n_items,)`` what is added to each item's log-probability; None adds nothing."""
    if not settings.trend or not len(events.item):
        return None
    changes = _changes(events, n_items, settings.trend_half_life_days)
    return torch.from_numpy((settings.trend * changes).astype(np.float32))


def judged_with(settings: Neural, events: Histories, n_items: int) -> list[Tensor | None]:
    """The trends that an epoch is judged with: the best of them counts.

    Where catalogues turn over, answers without any get no better after the first epoch, while
    those that follow it still do. Only the settings' own, where they name one.
    """
    own = trend_of(settings, events, n_items)
    if settings.trend is not None or not _turns_over(events, n_items):
        return [own]
    return [own, trend_of(replace(settings, trend=_JUDGED), events, n_items)]


def with_best_trend(
    settings: Neural, events: Histories, n_items: int, judge: Callable[[Neural], float]
) -> Neural:
    """The settings with the trend that is judged best; none where shares do not change."""
    if not _turns_over(events, n_items):
        return replace(settings, trend=0.0)
    return coordinate_search(replace(settings, trend=0.5), _SPACE, judge)


def _turns_over(events: Histories, n_items: int) -> bool:
    """Whether shares change at all."""
    if not len(events.item):
        return False
    shortest = min(_SPACE["trend_half_life_days"])
    return bool(np.abs(_changes(events, n_items, shortest)).max() >= _SOME)


def _changes(events: Histories, n_items: int, half_life_days: float) -> NDArray[np.float64]:
    """``(n_items,)`` logarithm of each item's share of late over its share at all times.

    0 for an item without events: nothing has changed that is known of.
    """
    counts = np.bincount(events.item, minlength=n_items)
    share = (counts + 0.5) / (len(events.item) + n_items / 2)
    weights = age_weights(events, half_life_days)
    late = np.bincount(events.item, weights=weights, minlength=n_items)
    total = late.sum()
    changes = np.log((late + _PRIOR * total * share) / (total * (1 + _PRIOR)) / share)
    return np.where(counts > 0, changes, 0.0)
