"""What stands out: the last minutes against the hours before them.

Counts of ten minutes are compared with those of the day before by how far they lie from the usual
one, in units of its spread; the spread is never below that of chance alone (Poisson), so that a
quiet shop raises no alarm over a handful of events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.time import DAY_US, MINUTE_US
from shoploom.serving.store import Counts

SPAN_US = 10 * MINUTE_US
LOOK_BACK_US = DAY_US

_FEWEST = 6  # spans that say what is usual
_FAR = 4.0
_SHARE_FAR = 3.5
_FEWEST_SEEN = 30  # views that a conversion is told from

Level = Literal["high", "low"]


@dataclass(frozen=True)
class Alert:
    """Something that is not as usual.

    Attributes:
        what: ``traffic``, ``carts``, ``purchases``, ``revenue`` or ``conversion``.
        level: whether it is higher or lower than usual.
        now, usual: of ten minutes; of conversion, purchases per view.
        distance: in units of the usual spread.
    """

    what: str
    level: Level
    now: float
    usual: float
    distance: float


def spans_of(counts: Counts, now: int) -> dict[str, NDArray[np.float64]]:
    """``(n_spans,)`` counts of whole spans of ten minutes up to now, oldest first, the current
    one last; from the first event on.
    """
    codes = {name: code for code, name in enumerate(c.ACTIONS)}
    n = LOOK_BACK_US // SPAN_US
    place = n - 1 - (now - counts.start - 1) // SPAN_US
    inside = (place >= 0) & (place < n)
    first = int(place[inside].min(initial=n))

    def total(where: NDArray[np.bool_], weight: NDArray[np.int64]) -> NDArray[np.float64]:
        chosen = inside & where
        return np.bincount(place[chosen], weight[chosen], n)[first:].astype(np.float64)

    every = np.ones(len(place), dtype=bool)
    bought = counts.action == codes[c.PURCHASE]
    return {
        "traffic": total(every, counts.n),
        "views": total(counts.action == codes[c.VIEW], counts.n),
        "carts": total(counts.action == codes[c.CART], counts.n),
        "purchases": total(bought, counts.n),
        "revenue": total(bought, counts.cents) / 100,
    }


def alerts_of(counts: Counts, now: int) -> list[Alert]:
    """What stands out in the last ten minutes, the farthest first."""
    spans = spans_of(counts, now)
    found = []
    for what in ("traffic", "carts", "purchases", "revenue"):
        values = spans[what]
        if len(values) <= _FEWEST or not values.any():
            continue
        before, current = values[:-1], float(values[-1])
        usual = float(np.median(before))
        spread = 1.4826 * float(np.median(np.abs(before - usual)))
        mean_worth = _worth(spans) if what == "revenue" else 1.0
        spread = max(spread, np.sqrt(max(usual, 1.0) * mean_worth))
        distance = (current - usual) / spread
        if abs(distance) > _FAR:
            found.append(_alert(what, current, usual, distance))
    found += _conversion(spans)
    return sorted(found, key=lambda alert: -abs(alert.distance))


def _conversion(spans: Mapping[str, NDArray[np.float64]]) -> list[Alert]:
    """Purchases per view of the last hour against those before: two shares compared."""
    views, bought = spans["views"], spans["purchases"]
    if len(views) <= 2 * _FEWEST:
        return []
    late, early = slice(len(views) - _FEWEST, None), slice(0, len(views) - _FEWEST)
    n1, n0 = views[late].sum(), views[early].sum()
    if min(n1, n0) < _FEWEST_SEEN:
        return []
    now, usual = bought[late].sum() / n1, bought[early].sum() / n0
    both = (bought[late].sum() + bought[early].sum()) / (n1 + n0)
    spread = np.sqrt(max(both * (1 - min(both, 1)), 1e-9) * (1 / n1 + 1 / n0))
    distance = (now - usual) / spread
    if abs(distance) <= _SHARE_FAR:
        return []
    return [_alert("conversion", float(now), float(usual), float(distance))]


def _worth(spans: Mapping[str, NDArray[np.float64]]) -> float:
    """Of a purchase: revenue spreads by it."""
    return float(spans["revenue"].sum() / max(spans["purchases"].sum(), 1))


def _alert(what: str, now: float, usual: float, distance: float) -> Alert:
    return Alert(what, "high" if distance > 0 else "low", now, usual, float(distance))
