"""What counts as a plausible price or quantity: robust fences, found once and stored.

The fences are Tukey's (Exploratory Data Analysis, 1977, section 2D), with three departures that
shop data ask for: on the log scale, because prices span orders of magnitude; from the 1st and 99th
percentile instead of the quartiles, because a shop may rightly sell both pins and pianos; and
rounded outwards to two digits, so that a person can read them.

One range cannot fit a shop that sells fuel by the thousandth of a gallon beside soup by the tin.
So an item most of whose values lie outside the shop's range gets a range of its own around its
median, and where price and quantity are both known, what the line is worth must be odd as well: a
mistake in one of them shows in the money, a change of unit does not.

Bounds are an artefact: cleaning new rows with the bounds of the old ones treats both alike, on
any backend.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.tables.codes import Codes

if TYPE_CHECKING:
    import ibis.expr.types as ir

#: The event columns that have bounds.
BOUNDED = (c.PRICE, c.QUANTITY)

#: What a line is worth, price times quantity; it has bounds like a column.
WORTH = "worth"

#: Fewer values than this say nothing about the 1st and 99th percentile: no bounds then.
MIN_VALUES = 100

#: The 1st and 99th percentile are taken to lie at least this ratio apart.
MIN_RATIO = 10.0

#: An item with fewer values than this has no bounds of its own.
MIN_ITEM_VALUES = 5


@dataclass(frozen=True)
class Bound:
    """The plausible range of one column; None on a side that has no limit.

    Zero is always plausible: a gift, a sample, a line paid by a coupon.

    Attributes:
        low: the least plausible value above zero.
        high: the greatest plausible value.
        method: how the range was found, for a person to read.
        items: item id -> (low, high), for items that have a range of their own.
    """

    low: float | None
    high: float | None
    method: str
    items: Mapping[str, tuple[float | None, float]] = field(default_factory=dict)

    @property
    def limited(self) -> bool:
        """Whether there is any limit at all."""
        return self.low is not None or self.high is not None

    def outside(self, value: ir.NumericValue) -> ir.BooleanValue:
        """Whether a value is positive and outside the range that is for all items."""
        return _outside(value, self.low, self.high)


@dataclass(frozen=True)
class Bounds:
    """Bounds by event column name, and of ``worth``."""

    columns: Mapping[str, Bound] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The content of ``bounds.json``: ``{COLUMN: {"low", "high", "method", "items"}}``."""
        return {
            name: asdict(bound) | {"items": {item: list(own) for item, own in bound.items.items()}}
            for name, bound in self.columns.items()
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Bounds:
        """The bounds that ``to_json`` gave.

        Raises:
            DataError: a column has other keys than low, high, method and items.
        """
        try:
            columns = {}
            for name, entry in document.items():
                items = {item: (low, high) for item, (low, high) in entry.get("items", {}).items()}
                columns[name] = Bound(**{**entry, "items": items})
            return cls(columns)
        except (AttributeError, TypeError, ValueError):
            raise DataError(
                'bounds: expected {COLUMN: {"low", "high", "method", "items"}}, '
                f"got {dict(document)!r}; clean again without stored bounds."
            ) from None

    def with_range(self, events: ir.Table, column: str, codes: Codes) -> ir.Table:
        """The events with the range of each event's item, where it has one of its own.

        Args:
            events: coded events.
            column: whose range.
            codes: codes of the ids in events.
        """
        import ibis

        bound = self.columns.get(column)
        if bound is None or not bound.items or not {column, c.ITEM_ID} <= {*events.columns}:
            return events
        low, high = _own(column)
        rows = [(item, *own) for item, own in bound.items.items()]
        ranges = ibis.memtable(rows, schema={c.ITEM_ID: "string", low: "float64", high: "float64"})
        ranges = codes.encode(ranges).rename(_ranged=c.ITEM_ID)
        joined = events.left_join(ranges, events[c.ITEM_ID] == ranges["_ranged"])
        return joined.select(*events.columns, low, high)

    def outlier(self, events: ir.Table, column: str) -> ir.BooleanValue:
        """Whether the value of ``column`` is implausible; False when empty or zero.

        It is when it lies outside the range of its item (the shop's, where the item has none)
        and, where the line has both a price and a quantity, its worth lies outside the shop's.

        Args:
            events: events as ``with_range`` gives them.
            column: the column to look at.
        """
        import ibis

        bound = self.columns.get(column)
        if bound is None or column not in events.columns:
            return ibis.literal(False)
        value = events[column]
        out = bound.outside(value)
        low, high = _own(column)
        if high in events.columns:
            below = (value > 0) & (value < events[low])
            own = below.fill_null(False) | (value > events[high])
            out = events[high].notnull().ifelse(own, out)
        worth = self.columns.get(WORTH)
        if worth is not None and worth.limited and _has_worth(events):
            money = _worth(events)
            out = out & (money.isnull() | (money <= 0) | worth.outside(money))
        return out


def _own(column: str) -> tuple[str, str]:
    """The names of the columns that hold the range of an event's item."""
    return f"_{column}_low", f"_{column}_high"


def find_bounds(events: ir.Table, fence: float, codes: Codes) -> Bounds:
    """Bounds of every bounded column that ``events`` has, from its positive values.

    With ``q01`` and ``q99`` the percentiles and ``ratio = max(q99 / q01, 10)``, the range is
    ``[q01 / ratio**fence, q99 * ratio**fence]``. Quantities have no lower limit, since a tenth of
    a kilogram is a sale. A column with fewer than 100 positive values gets no limits. An item with
    at least 5 values, more than half of them outside, has the range
    ``[median / ratio**fence, median * ratio**fence]`` instead.

    Args:
        events: coded rows to judge by; those already set aside should be gone.
        fence: how many times the spread of the middle 98 % lies between it and the bounds.
        codes: codes of the ids in events.
    """
    columns = [name for name in BOUNDED if name in events.columns]
    if not columns:
        return Bounds()
    values = {name: events[name] for name in columns}
    if _has_worth(events):
        values[WORTH] = _worth(events)
    measures = {}
    for name, value in values.items():
        measures[f"{name}_n"] = value.count(where=value > 0)
        measures[f"{name}_q"] = value.quantile([0.01, 0.99], where=value > 0)
    row = events.aggregate(**measures).to_pyarrow().to_pylist()[0]
    bounds = {name: _bound(name, row[f"{name}_n"], row[f"{name}_q"], fence) for name in values}
    for name in columns:
        if bounds[name].limited and c.ITEM_ID in events.columns:
            reach = _reach(row[f"{name}_q"], fence)
            own = _item_ranges(events, name, bounds[name], reach, codes)
            bounds[name] = replace(bounds[name], items=own)
    return Bounds(bounds)


def _item_ranges(
    events: ir.Table, column: str, bound: Bound, reach: float, codes: Codes
) -> dict[str, tuple[float | None, float]]:
    """Ranges of the items most of whose values lie outside ``bound``.

    The few values outside say which items can be among them; all values of these alone are
    then counted, and their medians are exact.
    """
    value = events[column]
    odd = events.filter(bound.outside(value) & events[c.ITEM_ID].notnull())
    odd = odd.group_by(c.ITEM_ID).aggregate(odd=odd.count())
    suspects = odd.filter(2 * odd.odd > MIN_ITEM_VALUES)[c.ITEM_ID].to_pyarrow().to_pylist()
    if not suspects:
        return {}
    theirs = events.filter(events[c.ITEM_ID].isin(suspects) & (value > 0))
    items = theirs.group_by(c.ITEM_ID).aggregate(
        n=theirs.count(),
        odd=theirs.count(where=bound.outside(theirs[column])),
        centre=theirs[column].median(),
    )
    unusual = items.filter((items.n >= MIN_ITEM_VALUES) & (2 * items.odd > items.n))
    rows = codes.decode(unusual).to_pyarrow().to_pylist()
    found = {row[c.ITEM_ID]: row["centre"] for row in rows}
    return {
        item: (
            None if bound.low is None else _two_digits(centre / reach, math.floor),
            _two_digits(centre * reach, math.ceil),
        )
        for item, centre in sorted(found.items())
    }


def _outside(value: ir.NumericValue, low: float | None, high: float | None) -> ir.BooleanValue:
    import ibis

    out = ibis.literal(False)
    if low is not None:
        out = out | ((value > 0) & (value < low))
    if high is not None:
        out = out | (value > high)
    return out


def _has_worth(events: ir.Table) -> bool:
    return all(name in events.columns for name in BOUNDED)


def _worth(events: ir.Table) -> ir.NumericValue:
    """Price times quantity; null where either is missing, for then there is nothing to compare."""
    return events[c.PRICE] * events[c.QUANTITY]


def _bound(column: str, n: int, quantiles: list[float] | None, fence: float) -> Bound:
    if n < MIN_VALUES or quantiles is None:
        return Bound(None, None, f"none: fewer than {MIN_VALUES} values above zero")
    q01, q99 = quantiles
    reach = _reach(quantiles, fence)
    low = None if column == c.QUANTITY else _two_digits(q01 / reach, math.floor)
    method = f"1st and 99th percentile, widened by {fence:g} times their distance on the log scale"
    return Bound(low, _two_digits(q99 * reach, math.ceil), method)


def _reach(quantiles: list[float], fence: float) -> float:
    """The factor between the middle 98 % and the bounds."""
    q01, q99 = quantiles
    return max(q99 / q01, MIN_RATIO) ** fence


def _two_digits(value: float, towards: Any) -> float:
    """The value rounded to two significant digits by ``towards`` (floor or ceil)."""
    digits = 1 - math.floor(math.log10(value))
    # The slack keeps 450.00000000000006 from becoming 460 on one backend and 450 on another.
    steps = value * 10.0**digits
    nearest = round(steps)
    steps = nearest if math.isclose(steps, nearest, rel_tol=1e-9) else towards(steps)
    return float(f"{steps * 10.0**-digits:.2g}")
