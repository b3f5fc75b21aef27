"""What goes wrong in a shop's files: switchable, at known rates, and written down.

Everything here soils a table that was right and says what it did in a ledger, so that cleaning can
be measured: how much of the dirt it finds, and how much of what it sets aside was dirty. An event
is soiled in one way at most, but for a clock that is wrong in all events of its user. The ledger
has one line a soiled value (a copied row, a bot):

    table      which table, or "images"
    row        place in that table as written, from 0; empty for bots and images
    kind       one of the kinds below
    column     the column; empty where the whole row is a copy
    original   what stood there, as text: the value; of a copy, the row copied; of a bot, its id; of
               an image, its file name
"""

# pyarrow.compute makes its functions at run time:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, DataError
from shoploom.core.seeds import rng
from shoploom.core.time import DAY_US, HOUR_US, SECOND_US

LEDGER_SCHEMA = pa.schema(
    {
        "table": pa.string(),
        "row": pa.int64(),
        "kind": pa.string(),
        "column": pa.string(),
        "original": pa.string(),
    }
)

DUPLICATE, DOUBLE_CLICK = "duplicate", "double click"
TIME_AHEAD, TIME_1970, CLOCK_OFF = "time ahead", "time 1970", "clock off"
MISSING_PRICE, NEGATIVE_PRICE, ABSURD_PRICE = "missing price", "negative price", "absurd price"
UNKNOWN_ITEM, BOT = "unknown item", "bot"
MISSING_TITLE, MISSING_CATEGORY = "missing title", "missing category"
WRONG_ENCODING = "wrong encoding"
TRUNCATED_IMAGE, OTHER_IMAGE, EMPTY_IMAGE = "truncated image", "other image type", "empty image"

# How a text comes to be misread: (written as, read as).
_MISREADINGS = (
    ("utf-8", "latin-1"),
    ("utf-8", "gb18030"),
    ("gb18030", "latin-1"),
    ("gb18030", "utf-8"),
)

# Items that the shop's table does not have.
_GHOSTS = tuple(f"delisted-{number:02}" for number in range(40))

# The columns of an event that can be soiled, each with the kinds of dirt it can have.
_KINDS_OF = {
    c.TIME: (TIME_AHEAD, TIME_1970, CLOCK_OFF),
    c.PRICE: (MISSING_PRICE, NEGATIVE_PRICE, ABSURD_PRICE),
    c.ITEM_ID: (UNKNOWN_ITEM,),
}

# A bot that hurries makes so many views an hour for some hours, a patient one for a whole day.
_HURRIED_PER_HOUR, _HURRIED_HOURS = (1_500, 2_600), (3, 6)
_PATIENT_PER_HOUR = (300, 600)


@dataclass(frozen=True)
class Dirt:
    """How much of what is soiled; each rate is a share in [0, 1], and 0 leaves it clean.

    Attributes:
        duplicates: events that are delivered twice, alike in every column.
        double_clicks: events that come again within a second.
        clock_skew: events that are dated many years ahead or on the first day of 1970; the same
            share of users has a clock that is some hours off in all of their events.
        bots: machines, as a share of the number of users; they are users beside these.
        missing_prices: priced events without their price.
        negative_prices: priced events with the price below zero.
        absurd_prices: priced events with a hundred times the price.
        unknown_items: events of an item that is not in the items table.
        missing_titles: items without a title.
        missing_categories: items without a category.
        wrong_encoding: titles and reviews with other letters than ASCII's that were read as
            another encoding than they were written in.
        broken_images: image files that are cut short, empty, or of another type than their name
            says.

    Raises:
        ConfigError: a rate is no share, or those of the events are more than 1 together.
    """

    duplicates: float = 0.004
    double_clicks: float = 0.003
    clock_skew: float = 0.001
    bots: float = 0.001
    missing_prices: float = 0.02
    negative_prices: float = 0.0005
    absurd_prices: float = 0.0005
    unknown_items: float = 0.002
    missing_titles: float = 0.01
    missing_categories: float = 0.01
    wrong_encoding: float = 0.01
    broken_images: float = 0.02

    def __post_init__(self) -> None:
        for rate in fields(self):
            value = getattr(self, rate.name)
            if not 0 <= value <= 1:
                raise ConfigError(
                    f"dirt: expected {rate.name} to be a share between 0 and 1, got {value!r}."
                )
        if (total := sum(rate for _, rate in self.of_events())) > 1:
            raise ConfigError(
                "dirt: an event is soiled in one way at most, so the rates of events may be 1 "
                f"together; they are {total:g}. Lower some."
            )

    @classmethod
    def none(cls) -> Dirt:
        """No dirt at all."""
        return cls(**{rate.name: 0.0 for rate in fields(cls)})

    def n_bots(self, n_users: int) -> int:
        """How many bots a shop with so many users has: at least one, unless there are none."""
        return math.ceil(self.bots * n_users)

    def of_events(self) -> tuple[tuple[str, float], ...]:
        """The kinds of dirt in single events, with their rates."""
        return (
            (DUPLICATE, self.duplicates),
            (DOUBLE_CLICK, self.double_clicks),
            (TIME_AHEAD, self.clock_skew / 2),
            (TIME_1970, self.clock_skew / 2),
            (MISSING_PRICE, self.missing_prices),
            (NEGATIVE_PRICE, self.negative_prices),
            (ABSURD_PRICE, self.absurd_prices),
            (UNKNOWN_ITEM, self.unknown_items),
        )


def soil_events(
    events: pa.Table, dirt: Dirt, seed: int, *, first_row: int = 0
) -> tuple[pa.Table, pa.Table]:
    """A chunk of the event log, soiled, and its ledger; copies stand right after their original.

    The same chunk at the same place is always soiled in the same way. Bots are not among the dirt
    of a chunk: see ``bot_events``.

    Args:
        events: rows of the contract's events; user_id and item_id are dictionary-encoded, with the
            whole shop's users and items as dictionaries, the same in each chunk.
        dirt: how much of what.
        seed: the shop's seed.
        first_row: how many rows stand before the chunk in the table as written.

    Raises:
        DataError: user_id or item_id is not dictionary-encoded.
    """
    if not any(rate for _, rate in dirt.of_events()):
        return events, LEDGER_SCHEMA.empty_table()
    events = events.combine_chunks()
    draw = rng(seed, "dirt", "events", first_row)
    shift_us = _clock_shifts(_column(events, c.USER_ID), dirt, seed)
    rows = _soiled_rows(events, shift_us, dirt, draw)
    clean = {name: _column(events, name) for name in _KINDS_OF}
    soiled = {
        c.TIME: _soil_times(clean[c.TIME], rows, shift_us, draw),
        c.PRICE: _soil_prices(clean[c.PRICE], rows),
        c.ITEM_ID: _soil_item_ids(clean[c.ITEM_ID], rows, draw),
    }
    for name, column in soiled.items():
        events = events.set_column(events.column_names.index(name), name, column)
    copied = np.union1d(rows[DUPLICATE], rows[DOUBLE_CLICK])
    # A row stands behind the copies of the rows before it.
    written = {kind: first_row + at + np.searchsorted(copied, at) for kind, at in rows.items()}
    lines = [
        _lines("events", written[kind] + 1, kind, None, written[kind])
        for kind in (DUPLICATE, DOUBLE_CLICK)
    ]
    lines += [
        _lines("events", written[kind], kind, name, clean[name].take(pa.array(rows[kind])))
        for name, kinds in _KINDS_OF.items()
        for kind in kinds
    ]
    return _with_copies(events, copied, rows[DOUBLE_CLICK], draw), pa.concat_tables(lines)


def bot_events(
    n_bots: int,
    items: pa.Array,
    schema: pa.Schema,
    *,
    days: int,
    start_us: int,
    seed: int,
) -> pa.Table:
    """All events of some bots, in order of time: views of one item after the other, day and night.

    Every other bot hurries (well over a thousand views an hour, for some hours), the others take a
    whole day (UTC) for some hundred views an hour.

    Args:
        n_bots: how many; their ids are ``bot-0``, ``bot-1`` ...
        items: ids of the shop's items.
        schema: the event log's columns and types; what bots leave open is null.
        days: how long the log is.
        start_us: its first midnight, microseconds UTC.
        seed: the shop's seed.
    """
    bots: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)]
    times: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)]
    views: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)]
    for bot in range(n_bots):
        draw = rng(seed, "dirt", "bot", bot)
        day = int(draw.integers(days))
        if bot % 2 == 0:
            hours = int(draw.integers(*_HURRIED_HOURS))
            first_hour, per_hour = draw.integers(24 - hours), draw.integers(*_HURRIED_PER_HOUR)
        else:
            first_hour, hours, per_hour = 0, 24, draw.integers(*_PATIENT_PER_HOUR)
        n = int(hours * per_hour)
        gap = hours * HOUR_US / n
        times.append(
            start_us
            + day * DAY_US
            + int(first_hour) * HOUR_US
            + ((np.arange(n) + 0.8 * draw.random(n)) * gap).astype(np.int64)
        )
        views.append((int(draw.integers(len(items))) + np.arange(n)) % len(items))
        bots.append(np.full(n, bot))
    bot, time, view = map(np.concatenate, (bots, times, views))
    order = np.argsort(time, kind="stable")
    names = pa.array([f"bot-{number}" for number in range(n_bots)], pa.string())
    known = {
        c.USER_ID: names.take(pa.array(bot[order])),
        c.TIME: pa.array(time[order]),
        c.ACTION: pa.array([c.VIEW], pa.string()).take(pa.array(np.zeros(len(order), np.int64))),
        c.ITEM_ID: items.cast(pa.string()).take(pa.array(view[order])),
    }
    columns = [
        _as_type(known[field.name], field.type)
        if field.name in known
        else pa.nulls(len(order), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def bot_ledger(bots: pa.Table) -> pa.Table:
    """The ledger of ``bot_events``: one line a bot."""
    ids = sorted(bots[c.USER_ID].unique().to_pylist())
    return _lines("events", None, BOT, c.USER_ID, ids)


def soil_items(items: pa.Table, dirt: Dirt, seed: int) -> tuple[pa.Table, pa.Table]:
    """The items with some titles and categories missing and some titles misread; and the ledger."""
    draw = rng(seed, "dirt", "items")
    chances = draw.random((items.num_rows, 2))
    no_title = chances[:, 0] < dirt.missing_titles
    no_category = chances[:, 1] < dirt.missing_categories
    lines = []
    for column, kind, missing in (
        (c.TITLE, MISSING_TITLE, no_title),
        (c.CATEGORY, MISSING_CATEGORY, no_category),
    ):
        rows, clean = np.flatnonzero(missing), _column(items, column)
        lines.append(_lines("items", rows, kind, column, clean.take(pa.array(rows))))
        blank = pc.if_else(pa.array(missing), pa.scalar(None, clean.type), clean)
        items = items.set_column(items.column_names.index(column), column, blank)
    items, misread = _misread("items", items, (c.TITLE,), no_title, dirt, draw)
    return items, pa.concat_tables([*lines, misread])


def soil_reviews(
    reviews: pa.Table, dirt: Dirt, seed: int, *, spared: npt.NDArray[np.bool_] | None = None
) -> tuple[pa.Table, pa.Table]:
    """The reviews with some titles and texts misread, and the ledger; no row comes or goes.

    Args:
        reviews: the contract's reviews.
        dirt: how much of what.
        seed: the shop's seed.
        spared: (n,) rows to leave as they are, such as those whose text has known places.
    """
    spared = np.zeros(reviews.num_rows, bool) if spared is None else spared
    return _misread(
        "reviews", reviews, (c.TITLE, c.TEXT), spared, dirt, rng(seed, "dirt", "reviews")
    )


def break_images(folder: Path, names: Sequence[str], dirt: Dirt, seed: int) -> pa.Table:
    """Break some of the image files ``names`` of a folder; the ledger of it.

    A third is cut short, a third becomes a PNG whatever its name says, a third is left empty.
    """
    draw = rng(seed, "dirt", "images")
    kinds = (TRUNCATED_IMAGE, OTHER_IMAGE, EMPTY_IMAGE)
    broken = draw.random(len(names)) < dirt.broken_images
    how, share = draw.integers(len(kinds), size=len(names)), draw.uniform(0.2, 0.8, len(names))
    for number in np.flatnonzero(broken).tolist():
        path = folder / names[number]
        if kinds[how[number]] == OTHER_IMAGE:
            _turn_into_png(path)
        elif kinds[how[number]] == TRUNCATED_IMAGE:
            content = path.read_bytes()
            path.write_bytes(content[: int(share[number] * len(content))])
        else:
            path.write_bytes(b"")
    return pa.concat_tables(
        _lines(
            "images", None, kind, c.IMAGE, [names[row] for row in np.flatnonzero(chosen).tolist()]
        )
        for place, kind in enumerate(kinds)
        for chosen in [broken & (how == place)]
    )


# --- events -------------------------------------------------------------------------------------


def _soiled_rows(
    events: pa.Table, shift_us: npt.NDArray[np.int64], dirt: Dirt, draw: np.random.Generator
) -> dict[str, npt.NDArray[np.int64]]:
    """By kind, the rows to soil, in order."""
    kinds, rates = zip(*dirt.of_events(), strict=True)
    limits = np.cumsum(rates)
    chance = draw.random(events.num_rows)
    some = np.flatnonzero(chance < limits[-1])
    kind = np.searchsorted(limits, chance[some], side="right")
    rows = {name: some[kind == place] for place, name in enumerate(kinds)}
    for column in (c.PRICE, c.ITEM_ID):
        present = _column(events, column).is_valid().to_numpy(zero_copy_only=False)
        rows |= {name: rows[name][present[rows[name]]] for name in _KINDS_OF[column]}
    moved = np.union1d(rows[TIME_AHEAD], rows[TIME_1970])
    return rows | {CLOCK_OFF: np.setdiff1d(np.flatnonzero(shift_us), moved, assume_unique=True)}


def _clock_shifts(users: pa.Array, dirt: Dirt, seed: int) -> npt.NDArray[np.int64]:
    """By how many microseconds the clock of each event's user is off; 0 for nearly all."""
    if not isinstance(users, pa.DictionaryArray):
        raise DataError(
            f"events, column {c.USER_ID!r}: expected a dictionary of all users, got {users.type}; "
            "encode the column with the shop's users as dictionary."
        )
    draw = rng(seed, "dirt", "clocks")
    n = len(users.dictionary)
    hours = draw.integers(1, 12, n, endpoint=True) * draw.choice((-1, 1), n)
    off_us = np.where(draw.random(n) < dirt.clock_skew, hours * HOUR_US, 0)
    return off_us[users.indices.to_numpy()]


def _soil_times(
    times: pa.Array,
    rows: dict[str, npt.NDArray[np.int64]],
    shift_us: npt.NDArray[np.int64],
    draw: np.random.Generator,
) -> pa.Array:
    soiled = times.to_numpy() + shift_us
    ahead, back = rows[TIME_AHEAD], rows[TIME_1970]
    years = draw.integers(20, 60, len(ahead))
    soiled[ahead] = times.to_numpy()[ahead] + years * 365 * DAY_US
    soiled[back] = draw.integers(0, DAY_US, len(back))
    return pa.array(soiled)


def _soil_prices(prices: pa.Array, rows: dict[str, npt.NDArray[np.int64]]) -> pa.Array:
    soiled = prices.to_numpy(zero_copy_only=False).copy()
    soiled[rows[MISSING_PRICE]] = np.nan
    soiled[rows[NEGATIVE_PRICE]] *= -1
    soiled[rows[ABSURD_PRICE]] *= 100
    return pa.array(soiled, from_pandas=True)


def _soil_item_ids(
    items: pa.Array, rows: dict[str, npt.NDArray[np.int64]], draw: np.random.Generator
) -> pa.Array:
    if not isinstance(items, pa.DictionaryArray):
        raise DataError(
            f"events, column {c.ITEM_ID!r}: expected a dictionary of all items, got {items.type}; "
            "encode the column with the shop's items as dictionary."
        )
    unknown = rows[UNKNOWN_ITEM]
    mask = np.zeros(len(items), bool)
    mask[unknown] = True
    ghosts = len(items.dictionary) + draw.integers(len(_GHOSTS), size=len(unknown))
    codes = pc.replace_with_mask(
        items.indices, pa.array(mask), pa.array(ghosts, items.indices.type)
    )
    known = pa.concat_arrays([items.dictionary, pa.array(_GHOSTS, items.dictionary.type)])
    return pa.DictionaryArray.from_arrays(codes, known)


def _with_copies(
    events: pa.Table,
    copied: npt.NDArray[np.int64],
    clicked: npt.NDArray[np.int64],
    draw: np.random.Generator,
) -> pa.Table:
    """The events with a copy behind each row of ``copied``, a bit later for those ``clicked``."""
    times_written = np.ones(events.num_rows, np.int64)
    times_written[copied] = 2
    table = events.take(pa.array(np.repeat(np.arange(events.num_rows), times_written)))
    moments = table[c.TIME].to_numpy().copy()
    later = clicked + np.searchsorted(copied, clicked) + 1
    moments[later] += draw.integers(SECOND_US // 20, SECOND_US * 9 // 10, len(later))
    return table.set_column(table.column_names.index(c.TIME), c.TIME, pa.array(moments))


# --- texts and images ---------------------------------------------------------------------------


def _misread(
    name: str,
    table: pa.Table,
    columns: Sequence[str],
    spared: npt.NDArray[np.bool_],
    dirt: Dirt,
    draw: np.random.Generator,
) -> tuple[pa.Table, pa.Table]:
    """A table with some texts read in another encoding than their own, and its ledger."""
    lines = [LEDGER_SCHEMA.empty_table()]
    for column in columns:
        clean = _column(table, column)
        foreign = pc.invert(pc.string_is_ascii(clean)).fill_null(False)
        candidates = foreign.to_numpy(zero_copy_only=False) & ~spared
        chosen = np.flatnonzero(candidates & (draw.random(len(clean)) < dirt.wrong_encoding))
        originals = clean.take(pa.array(chosen)).to_pylist()
        ways = draw.integers(len(_MISREADINGS), size=len(chosen))
        texts = [
            text.encode(_MISREADINGS[way][0]).decode(_MISREADINGS[way][1], errors="replace")
            for text, way in zip(originals, ways, strict=True)
        ]
        mask = np.zeros(len(clean), bool)
        mask[chosen] = True
        soiled = pc.replace_with_mask(clean, pa.array(mask), pa.array(texts, clean.type))
        table = table.set_column(table.column_names.index(column), column, soiled)
        lines.append(_lines(name, chosen, WRONG_ENCODING, column, originals))
    return table, pa.concat_tables(lines)


def _turn_into_png(path: Path) -> None:
    from PIL import Image

    with Image.open(path) as image:
        image.load()
    image.save(path, format="PNG")


# --- Arrow --------------------------------------------------------------------------------------


def _column(table: pa.Table, name: str) -> pa.Array:
    """A column in one piece."""
    column = table[name].combine_chunks()
    return column.chunk(0) if isinstance(column, pa.ChunkedArray) else column


def _lines(
    table: str,
    rows: npt.NDArray[np.int64] | None,
    kind: str,
    column: str | None,
    originals: pa.Array | npt.NDArray[np.int64] | Sequence[str],
) -> pa.Table:
    """Ledger lines of one kind."""
    text = originals if isinstance(originals, pa.Array) else pa.array(originals)
    n = len(text)
    columns = (
        pa.array([table] * n, pa.string()),
        pa.nulls(n, pa.int64()) if rows is None else pa.array(rows, pa.int64()),
        pa.array([kind] * n, pa.string()),
        pa.array([column] * n, pa.string()),
        pc.cast(text, pa.string()),
    )
    return pa.Table.from_arrays(list(columns), schema=LEDGER_SCHEMA)


def _as_type(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Values of the type of a log's column, which may be a dictionary."""
    if pa.types.is_dictionary(kind):
        return values.dictionary_encode().cast(kind)
    return values.cast(kind)
