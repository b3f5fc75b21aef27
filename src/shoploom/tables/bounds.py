"""What counts as a plausible price or quantity: robust fences, found once and stored.

The fences are Tukey's (Exploratory Data Analysis, 1977, section 2D), with three departures that
shop data ask for: on the log scale, because prices span orders of magnitude; from the 1st and 99th
percentile instead of the quartiles, because a shop may rightly sell both pins and pianos; and
rounded outwards to two digits, so that a person can read them. A bound is an artefact: cleaning
new rows with the bounds of the old ones treats both alike, on any backend.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from shoploom.core import columns as c
from shoploom.core.errors import DataError

if TYPE_CHECKING:
    import ibis.expr.types as ir

#: The event columns that have bounds.
BOUNDED = (c.PRICE, c.QUANTITY)

#: Fewer values than this say nothing about the 1st and 99th percentile: no bounds then.
MIN_VALUES = 100

#: The 1st and 99th percentile are taken to lie at least this ratio apart.
MIN_RATIO = 10.0


@dataclass(frozen=True)
class Bound:
    """The plausible range of one column; None on a side that has no limit.

    Zero is always plausible: a gift, a sample, a line paid by a coupon.
    """

    low: float | None
    high: float | None
    method: str


@dataclass(frozen=True)
class Bounds:
    """Bounds by event column name."""

    columns: Mapping[str, Bound] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The content of ``bounds.json``: ``{COLUMN: {"low", "high", "method"}}``."""
        return {name: asdict(bound) for name, bound in self.columns.items()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Bounds:
        """The bounds that ``to_json`` gave.

        Raises:
            DataError: a column has other keys than low, high and method.
        """
        try:
            return cls({name: Bound(**bound) for name, bound in document.items()})
        except TypeError:
            raise DataError(
                'bounds: expected {COLUMN: {"low", "high", "method"}}, '
                f"got {dict(document)!r}; clean again without stored bounds."
            ) from None

    def outlier(self, events: ir.Table, column: str) -> ir.BooleanValue:
        """Whether the value of ``column`` is positive and outside its bounds; False when empty."""
        import ibis

        bound = self.columns.get(column)
        out = ibis.literal(False)
        if bound is None or column not in events.columns:
            return out
        value = events[column]
        if bound.low is not None:
            out = out | ((value > 0) & (value < bound.low))
        if bound.high is not None:
            out = out | (value > bound.high)
        return out


def find_bounds(events: ir.Table, fence: float) -> Bounds:
    """Bounds of every bounded column that ``events`` has, from its positive values.

    With ``q01`` and ``q99`` the percentiles and ``ratio = max(q99 / q01, 10)``, the range is
    ``[q01 / ratio**fence, q99 * ratio**fence]``. Quantities have no lower limit, since a tenth of
    a kilogram is a sale. A column with fewer than 100 positive values gets no limits.

    Args:
        events: rows to judge by; those already set aside should be gone.
        fence: how many times the spread of the middle 98 % lies between it and the bounds.
    """
    columns = [name for name in BOUNDED if name in events.columns]
    if not columns:
        return Bounds()
    measures = {}
    for name in columns:
        value = events[name]
        measures[f"{name}_n"] = value.count(where=value > 0)
        measures[f"{name}_q"] = value.quantile([0.01, 0.99], where=value > 0)
    row = events.aggregate(**measures).to_pyarrow().to_pylist()[0]
    return Bounds(
        {name: _bound(name, row[f"{name}_n"], row[f"{name}_q"], fence) for name in columns}
    )


def _bound(column: str, n: int, quantiles: list[float] | None, fence: float) -> Bound:
    if n < MIN_VALUES or quantiles is None:
        return Bound(None, None, f"none: fewer than {MIN_VALUES} values above zero")
    q01, q99 = quantiles
    reach = max(q99 / q01, MIN_RATIO) ** fence
    low = None if column == c.QUANTITY else _two_digits(q01 / reach, math.floor)
    method = f"1st and 99th percentile, widened by {fence:g} times their distance on the log scale"
    return Bound(low, _two_digits(q99 * reach, math.ceil), method)


def _two_digits(value: float, towards: Any) -> float:
    """The value rounded to two significant digits by ``towards`` (floor or ceil)."""
    digits = 1 - math.floor(math.log10(value))
    # The slack keeps 450.00000000000006 from becoming 460 on one backend and 450 on another.
    steps = value * 10.0**digits
    nearest = round(steps)
    steps = nearest if math.isclose(steps, nearest, rel_tol=1e-9) else towards(steps)
    return float(f"{steps * 10.0**-digits:.2g}")
