"""A shop's columns as the contract's types: what each value means, and which ones mean nothing.

Each contract type is a small class with the same two steps. ``marks`` says something of every
value (is it there, can it be read, has it an offset), which the reader sums up for all columns in
a single scan. ``settle`` then chooses with those facts how the whole column is read (the unit of
its numbers, whether its ids need tidying at all), so that a column which is right already is
passed through as it is.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, nearest
from shoploom.core.time import SECOND_US, to_us

if TYPE_CHECKING:
    import ibis.expr.types as ir

#: How programs write "no value" when they must write something.
_NOTHING = ("NULL", "null", "nan", "NaN", "None", "\\N", "<NA>", "NaT")

_PLAIN_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_CURRENCY = r"^([+-]?)\s*(?:US\$|[¥￥$€£₹₩₽₺]|[A-Z]{3}\s)\s*|\s*(?:[¥￥$€£₹₩₽₺元円]|\s[A-Z]{3})$"
_COMMA_THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$"
_OTHER_THOUSANDS = r"^[+-]?\d{1,3}([ . '’]\d{3})+(,\d+)?$"
_DECIMAL_COMMA = r"^[+-]?\d+,(\d{1,2}|\d{4,})$"
_ONE_COMMA = r"^[+-]?\d{1,3},\d{3}$"

_DECIMAL_ID = r"^(-?\d+)\.0$"

_OFFSET = r":\d{2}(?:\.\d+)?\s*(?:Z|z|[+-]\d{2}(?::?\d{2})?|[A-Z]{2,5}|[A-Z][A-Za-z]+/[A-Za-z_/]+)$"

_FIRST_US, _LAST_US = to_us("0001-01-01"), to_us("9999-12-31")
_UNITS_US = {"s": SECOND_US, "ms": 1_000, "us": 1}
_UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}

#: What shops call the contract's actions, for suggestions only: nothing is mapped unasked.
_LIKE_ACTIONS = {
    c.VIEW: ("pv", "pageview", "detail", "impression", "browse", "visit", "look"),
    c.CART: ("addtocart", "add_to_cart", "add-to-cart", "basket", "add", "atc"),
    c.REMOVE: ("remove_from_cart", "removefromcart", "delete"),
    c.FAVOURITE: ("fav", "favorite", "like", "wishlist", "collect", "save"),
    c.PURCHASE: ("buy", "order", "transaction", "pay", "paid", "checkout", "sale", "bought"),
    c.SEARCH: ("query", "find"),
    c.WATCH: ("play", "video", "stream"),
    c.CLICK: ("tap", "select"),
    c.RETURN: ("refund", "returned", "cancel"),
}


@dataclass(frozen=True)
class How:
    """What a source says about how its values are written."""

    timezone: str
    time_format: str | None = None
    time_unit: str | None = None
    actions: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Settled:
    """How one column is read, decided with its facts.

    Attributes:
        value: the column in the contract's type; None where missing or unreadable.
        failing: whether some value is there that cannot be read.
        costly: whether reading takes so much that it should happen once.
        notes: what a person should know of how it was read.
    """

    value: ir.Value
    failing: bool = False
    costly: bool = False
    notes: tuple[str, ...] = ()


class Reading(Protocol):
    """One column of a source on its way to a contract type."""

    @property
    def failure(self) -> str:
        """What a value is that cannot be read, as in "is not a number"."""
        ...

    def marks(self) -> dict[str, ir.Column]:
        """What to find out of every value, always with ``cells`` (is it there) and ``bad``.

        Of marks the facts are how many are true, or some distinct texts.
        """
        ...

    def settle(self, facts: Mapping[str, Any]) -> Settled:
        """The way to read the column, given its facts."""
        ...


def reading(kind: str, raw: ir.Value, how: How) -> Reading:
    """How a column of any type becomes one of the contract's ``kind``."""
    if raw.type().is_array() and kind != "ids":
        raw = raw.map(lambda part: part.cast("string")).join(c.CATEGORY_SEPARATOR)
    elif raw.type().is_json() or raw.type().is_struct() or raw.type().is_map():
        raw = raw.cast("string")
    if kind == "time":
        return _times(raw, how)
    if kind == "action":
        return Action(raw.cast("string"), how.actions or {})
    return {"id": Id, "text": Text, "number": Number, "flag": Flag, "ids": Ids}[kind](raw)


def needs_trimming(kind: str, raw: ir.Value) -> bool:
    """Whether a column should be ``trimmed`` before its reading, which looks at it many times."""
    return raw.type().is_string() and kind in ("time", "number", "flag")


def trimmed(text: Any) -> Any:
    """Text without blanks around it; None where nothing is left or a program wrote "nothing"."""
    bare = text.strip().nullif("")
    return bare.isin(_NOTHING).ifelse(None, bare)


def _has_edges(text: Any) -> Any:
    """Whether text is empty or starts or ends with a blank (or what sorts before one)."""
    return (text < "!") | (text.right(1) < "!")


def sum_up(mark: Any) -> Any:
    """The fact that a mark becomes over all rows of its column."""
    if mark.type().is_boolean():
        return mark.sum().coalesce(0)
    return mark.collect(distinct=True).sort()[:8]


@dataclass(frozen=True)
class Id:
    """The shop's key as text: 1, 1.0 and "1" are one id, 007 another."""

    raw: ir.Value
    failure: str = "is not an id"

    def marks(self) -> dict[str, Any]:
        cells = {"cells": present(self.raw), "bad": _never()}
        if not self.raw.type().is_string():
            return cells
        raw: Any = self.raw
        # The pattern is slow to try, and few ids hold this.
        decimal = raw.contains(".0").ifelse(raw.strip().re_search(_DECIMAL_ID), False)
        untidy = _has_edges(raw) | raw.isin(_NOTHING) | decimal
        return cells | {"untidy": untidy, "decimal": decimal}

    def settle(self, facts: Mapping[str, Any]) -> Settled:
        dtype = self.raw.type()
        if dtype.is_floating():
            raw: ir.FloatingValue = _cells(self.raw)
            whole = (raw == raw.floor()) & (raw.abs() < 2.0**63)
            number = whole.ifelse(raw, None).cast("int64").cast("string")
            return Settled(whole.ifelse(number, raw.cast("string")))
        if dtype.is_decimal():
            text = self.raw.cast("string")
            return Settled(text.re_replace(r"\.0+$", ""))
        if not dtype.is_string():
            return Settled(self.raw.cast("string"))
        if not facts["untidy"]:
            return Settled(self.raw)
        value = trimmed(self.raw)
        if not facts["decimal"]:
            return Settled(value)
        return Settled(
            value.re_replace(_DECIMAL_ID, r"\1"),
            notes=(f"{facts['decimal']:,} ids written like 1.0 were read as 1",),
        )


@dataclass(frozen=True)
class Text:
    """Words as they are, without blanks around them."""

    raw: ir.Value
    failure: str = "is not text"

    def marks(self) -> dict[str, Any]:
        marks: dict[str, Any] = {"cells": present(self.raw), "bad": _never()}
        if self.raw.type().is_string():
            marks["untidy"] = _has_edges(self.raw)
        return marks

    def settle(self, facts: Mapping[str, Any]) -> Settled:
        if not self.raw.type().is_string():
            return Settled(self.raw.cast("string"))
        if not facts["untidy"]:
            return Settled(self.raw)
        return Settled(self.raw.strip().nullif(""))


@dataclass(frozen=True)
class Number:
    """A float64, from any number or from trimmed text.

    Thousands separators, currency signs and decimal commas are understood.

    ``1,299`` alone is read as thousands, unless its column elsewhere writes decimals with a comma
    (``12,50``): then nobody can say which it is, and it fails.
    """

    raw: ir.Value
    failure: str = "is not a number"

    def _parts(self) -> tuple[Any, Any, Any]:
        """Whether text is no plain number, that text without currency, and the number.

        Patterns are slow: they are tried only where a plain cast fails.
        """
        text: Any = self.raw
        plain = text.try_cast("float64")
        odd = text.notnull() & (plain.isnull() | plain.isinf())
        bare = odd.ifelse(text, None).re_replace(_CURRENCY, r"\1").strip()
        thousands = bare.re_replace(r"[, '’]", "")
        european = bare.re_replace(r"[. '’]", "").replace(",", ".")
        number = _cases(
            (~odd, plain),
            (bare.re_search(_PLAIN_NUMBER), bare.try_cast("float64")),
            (bare.re_search(_COMMA_THOUSANDS), thousands.try_cast("float64")),
            (bare.re_search(_DECIMAL_COMMA), european.try_cast("float64")),
            (bare.re_search(_OTHER_THOUSANDS), european.try_cast("float64")),
        )
        return odd, bare, number

    def marks(self) -> dict[str, Any]:
        dtype, raw = self.raw.type(), self.raw
        if dtype.is_string():
            odd, bare, number = self._parts()
            return {
                "cells": raw.notnull(),
                "bad": odd & number.isnull(),
                "rewritten": odd & number.notnull(),
                "decimal_commas": bare.re_search(_DECIMAL_COMMA),
                "one_commas": bare.re_search(_ONE_COMMA),
            }
        if dtype.is_floating():
            return {"cells": present(raw), "bad": raw.isinf(), "nans": raw.isnan()}
        if dtype.is_numeric() or dtype.is_boolean():
            return {"cells": raw.notnull(), "bad": _never()}
        return {"cells": raw.notnull(), "bad": raw.notnull()}

    def settle(self, facts: Mapping[str, Any]) -> Settled:
        dtype = self.raw.type()
        if dtype.is_string():
            return self._settle_text(facts)
        if dtype.is_floating():
            number: Any = _cells(self.raw) if facts["nans"] else self.raw
            number = number.cast("float64")
            if not facts["bad"]:
                return Settled(number)
            return Settled(number.isinf().ifelse(None, number), failing=True)
        if dtype.is_numeric() or dtype.is_boolean():
            return Settled(self.raw.cast("float64"))
        import ibis

        return Settled(ibis.null("float64"), failing=True)

    def _settle_text(self, facts: Mapping[str, Any]) -> Settled:
        _, bare, number = self._parts()
        notes: list[str] = []
        rewritten, unclear = facts["rewritten"], 0
        if facts["decimal_commas"] and facts["one_commas"]:
            unclear = facts["one_commas"]
            number = bare.re_search(_ONE_COMMA).ifelse(None, number)
            rewritten -= unclear
            notes.append(
                f"{unclear:,} values like 1,299 could be thousands or decimals, as "
                "others here write decimals with a comma; their rows are in quarantine"
            )
        if rewritten:
            notes.append(
                f"{rewritten:,} values with a currency sign, thousands separator or decimal comma "
                "were read as numbers"
            )
        failing = bool(facts["bad"] or unclear)
        return Settled(number, failing, costly=True, notes=tuple(notes))


@dataclass(frozen=True)
class Flag:
    """True or false, also as 1/0, yes/no, t/f, y/n in any case."""

    raw: ir.Value
    failure: str = "is neither true nor false"

    def _flag(self) -> tuple[ir.Value, Any]:
        if self.raw.type().is_boolean():
            return self.raw, self.raw
        text = _cells(self.raw).cast("string").lower()
        flag = _cases(
            (text.isin(("true", "t", "yes", "y", "1", "1.0")), True),
            (text.isin(("false", "f", "no", "n", "0", "0.0")), False),
        )
        return text, flag

    def marks(self) -> dict[str, Any]:
        text, flag = self._flag()
        return {"cells": text.notnull(), "bad": text.notnull() & flag.isnull()}

    def settle(self, facts: Mapping[str, Any]) -> Settled:
        _, flag = self._flag()
        return Settled(flag, bool(facts["bad"]), costly=self.raw.type().is_string())


@dataclass(frozen=True)
class Ids:
    """A list of ids, from a list or from text with commas, semicolons, bars or blanks between."""

    raw: ir.Value
    failure: str = "is not a list of ids"

    def marks(self) -> dict[str, Any]:
        return {"cells": self.raw.notnull(), "bad": _never()}

    def settle(self, facts: Mapping[str, Any]) -> Settled:
        raw: Any = self.raw
        if not raw.type().is_array():
            bare = raw.cast("string").re_replace(r"""[\[\]"']""", " ").re_replace(r"[,;|\s]+", " ")
            raw = bare.strip().nullif("").split(" ")
        return Settled(raw.map(lambda part: part.cast("string").strip()))


@dataclass(frozen=True)
class Action:
    """One of the contract's actions, by the shop's own words where it maps them."""

    raw: ir.StringValue
    actions: Mapping[str, str]
    failure: str = "is unknown"

    def _known(self) -> dict[str, str]:
        known = {action: action for action in c.ACTIONS}
        return known | {word.strip().casefold(): action for word, action in self.actions.items()}

    def marks(self) -> dict[str, Any]:
        known = self._known()
        same = [action for action in c.ACTIONS if known[action] == action]
        untidy = ~self.raw.isin(same).fill_null(False)
        there = present(self.raw)
        unknown = untidy.ifelse(there & ~self.raw.strip().lower().isin(list(known)), False)
        return {
            "cells": there,
            "bad": unknown,
            "untidy": untidy,
            "words": unknown.ifelse(self.raw.strip(), None),
        }

    def settle(self, facts: Mapping[str, Any]) -> Settled:
        action: Any = self.raw.strip().lower().cases(*self._known().items(), else_=None)
        if not facts["bad"]:
            return Settled(action if facts["untidy"] else self.raw)
        hints = ", ".join(f"{word}: {likely_action(word)}" for word in sorted(facts["words"]))
        note = f"unknown actions; to keep these rows add actions: {{{hints}}}"
        return Settled(action, failing=True, notes=(note,))


def likely_action(word: str) -> str:
    """The contract action that a shop's word most probably means."""
    word = word.casefold()
    for action, alike in _LIKE_ACTIONS.items():
        if word in alike:
            return action
    near = nearest(word, c.ACTIONS)
    return near or next((a for a in c.ACTIONS if a in word), c.VIEW)


def _times(raw: ir.Value, how: How) -> Reading:
    dtype = raw.type()
    if dtype.is_numeric():
        return NumberTime(raw, how)
    if dtype.is_timestamp() or dtype.is_date():
        return StampTime(raw, how)
    return TextTime(raw.cast("string"), how)


@dataclass(frozen=True)
class StampTime:
    """Times that are dates or timestamps already."""

    raw: ir.Value
    how: How
    failure: str = "is not readable"

    def _time(self) -> Any:
        dtype: Any = self.raw.type()
        if dtype.is_timestamp() and dtype.timezone is not None:
            return _functions().epoch_us(self.raw)
        return _local(self.raw.cast("timestamp"), self.how.timezone)

    def marks(self) -> dict[str, Any]:
        # A database's "infinity" is a timestamp that is no time.
        there = self.raw.notnull()
        return {"cells": there, "bad": there & self._time().isnull()}

    def settle(self, facts: Mapping[str, Any]) -> Settled:
        return Settled(self._time(), failing=bool(facts["bad"]))


@dataclass(frozen=True)
class NumberTime:
    """Times that count seconds, milliseconds or microseconds since 1970."""

    raw: ir.Value
    how: How
    failure: str = "is not readable"

    def marks(self) -> dict[str, Any]:
        cells = _cells(self.raw)
        return {"cells": cells.notnull(), "bad": _never()} | _sizes(cells)

    def settle(self, facts: Mapping[str, Any]) -> Settled:
        unit, notes = _unit(facts, self.how)
        if unit == "us" and self.raw.type().is_integer() and not self.raw.type().is_uint64():
            return Settled(self.raw.cast("int64"))
        return Settled(_scaled(_cells(self.raw), unit), notes=notes)


@dataclass(frozen=True)
class TextTime:
    """Times as trimmed text: ISO 8601 with or without an offset, numbers, or a given format."""

    raw: ir.StringValue
    how: How
    failure: str = "is not readable"

    def _parts(self, unit: str) -> tuple[Any, Any, Any, Any]:
        """The text, whether it is a number, whether it has an offset, and the time."""
        f = _functions()
        text: Any = self.raw
        if (form := self.how.time_format) is not None:
            if "%z" in form or "%Z" in form:
                return text, None, None, f.epoch_us(f.try_strptime_zoned(text, form))
            return text, None, None, _local(f.try_strptime(text, form), self.how.timezone)
        number = text.try_cast("float64")
        number = (number.isnan() | number.isinf()).ifelse(None, number)
        compact = number.between(19_000_101, 20_991_231).fill_null(False)
        numeric = (number.abs() >= _SMALLEST).fill_null(False)
        if self.how.time_unit is not None:
            compact, numeric = compact & False, number.notnull()
        dated = (text >= "0") & (text < ":")  # keeps out words such as "infinity"
        zoned = (dated & number.isnull()).ifelse(text.re_search(_OFFSET), False)
        # DuckDB takes an offset only where nothing stands before it.
        close = text.re_replace(r"\s+([+-])", r"\1")
        local = dated.ifelse(text, None).try_cast("timestamp")
        value = _cases(
            (numeric, _scaled(text, unit)),
            (compact, _local(f.try_strptime(text, "%Y%m%d"), self.how.timezone)),
            (zoned, f.epoch_us(close.try_cast("timestamp('UTC')"))),
            else_=_local(local, self.how.timezone),
        )
        return text, numeric, zoned, value

    def marks(self) -> dict[str, Any]:
        text, numeric, zoned, value = self._parts("us")
        marks = {"cells": text.notnull(), "bad": text.notnull() & value.isnull()}
        if numeric is None:
            return marks
        return marks | {
            **_sizes(numeric.ifelse(text, None).try_cast("float64")),
            "numeric": numeric,
            "zoned": zoned & value.notnull(),
            "local": ~zoned & ~numeric & value.notnull(),
        }

    def settle(self, facts: Mapping[str, Any]) -> Settled:
        unit, notes = _unit(facts, self.how) if facts.get("numeric") else ("us", ())
        if facts.get("zoned") and facts.get("local"):
            notes += (
                f"mixed time zones: {facts['zoned']:,} values carry an offset, {facts['local']:,} "
                f"carry none and were read in {self.how.timezone}",
            )
        *_, value = self._parts(unit)
        return Settled(value, bool(facts["bad"]), costly=True, notes=notes)


#: Below which size a number of each unit stays, from 1973 to 5138.
_SIZES = {"s": 1e11, "ms": 1e14, "us": 1e17, "ns": float("inf")}
_SMALLEST = 1e8


def _sizes(number: Any) -> dict[str, Any]:
    """For each unit, whether a number has the size of a moment in it."""
    size, low, marks = number.cast("float64").abs(), _SMALLEST, {}
    for unit, high in _SIZES.items():
        marks[unit] = (size >= low) & (size < high)
        low = high
    return marks


def _unit(facts: Mapping[str, Any], how: How) -> tuple[str, tuple[str, ...]]:
    """The unit that most numeric times have by their size, and a note when it was so found."""
    if how.time_unit is not None:
        return how.time_unit, ()
    unit = max(_SIZES, key=lambda unit: facts[unit])
    if not facts[unit] or unit == "us":
        return "us", ()
    return unit, (f"numbers were read as {_UNIT_NAMES[unit]}",)


def _scaled(number: Any, unit: str) -> Any:
    """int64 microseconds of numbers (or their text) in a unit; None for what is no number.

    Absurd numbers stop at the first and the last year of the calendar, for cleaning to judge.
    """
    per_us = 1_000 if unit == "ns" else 1
    factor = _UNITS_US.get(unit, 1)

    def whole(number: Any) -> Any:
        if unit == "ns":  # an int64 of nanoseconds ends in 2262 and needs no bound
            return (number.cast("int64") / per_us).floor().cast("int64")
        return number.clip(_FIRST_US // factor, _LAST_US // factor).cast("int64") * factor

    def fraction(number: Any) -> Any:
        return (number * factor / per_us).clip(float(_FIRST_US), float(_LAST_US)).round()

    if number.type().is_integer():
        return whole(number)
    if not number.type().is_string():
        return fraction(number.cast("float64"))
    # Float64 holds microseconds of this century exactly; text without a fraction needs no float.
    return whole(number.try_cast("int64")).coalesce(fraction(number.try_cast("float64")))


def _local(stamp: Any, timezone: str) -> Any:
    """int64 microseconds UTC of wall times in a zone."""
    f = _functions()
    if timezone == "UTC":
        return f.epoch_us_local(stamp)
    return f.epoch_us(f.timezone(timezone, stamp))


def present(raw: Any) -> Any:
    """Whether each value is there at all, readable or not."""
    if raw.type().is_string():
        bare = _has_edges(raw).ifelse(raw.strip(), raw)
        return raw.notnull() & ~bare.isin(("", *_NOTHING))
    return _cells(raw).notnull()


def _cells(raw: Any) -> Any:
    """Values that are no text, without NaN, which means missing."""
    if raw.type().is_floating():
        return raw.isnan().ifelse(None, raw)
    return raw


def _never() -> Any:
    import ibis

    return ibis.literal(False)


def _cases(*branches: tuple[Any, Any], else_: Any = None) -> Any:
    import ibis

    return ibis.cases(*branches, else_=else_)


def check_timezone(name: str) -> str:
    """The name, when it is a time zone's.

    Raises:
        ConfigError: no time zone has this name.
    """
    from zoneinfo import available_timezones

    zones = available_timezones()
    if name in zones:
        return name
    near = nearest(name, zones)
    raise ConfigError(
        f"expected a time zone such as UTC or Asia/Shanghai, got {name!r}."
        + (f" Did you mean {near!r}?" if near else "")
    )


class _Functions:
    """DuckDB's own functions that Ibis has no name for."""

    def __init__(self) -> None:
        import ibis
        import ibis.expr.datatypes as dt

        def builtin(name: str, takes: tuple[Any, ...], gives: Any) -> Any:
            # Ibis reads the number of arguments from a function that it never calls.
            one = lambda first: None  # noqa: E731
            two = lambda first, second: None  # noqa: E731
            function: Any = one if len(takes) == 1 else two
            define: Any = ibis.udf.scalar.builtin
            return define(function, name=name, signature=(takes, gives))

        stamp, moment = dt.Timestamp(), dt.Timestamp(timezone="UTC")
        self.epoch_us = builtin("epoch_us", (moment,), dt.int64)
        self.epoch_us_local = builtin("epoch_us", (stamp,), dt.int64)
        self.timezone = builtin("timezone", (dt.string, stamp), moment)
        self.try_strptime = builtin("try_strptime", (dt.string, dt.string), stamp)
        self.try_strptime_zoned = builtin("try_strptime", (dt.string, dt.string), moment)


@cache
def _functions() -> _Functions:
    return _Functions()
