"""Why a row is set aside: the reasons, in the order in which they are tried.

1. ``no COLUMN``: a required value is missing (an empty id counts as missing).
2. ``unknown action``
3. ``time before DATE``, ``time in the future``
4. ``infinite COLUMN``, ``negative COLUMN``: prices, quantities and costs.
5. ``rating out of range``, ``propensity out of range``
6. ``exact duplicate``: every column equals that of a row that is kept.
7. ``near duplicate`` (events): the same again within a second or so; ``duplicate id`` (items and
   users): another row of the same id is fuller or later.
8. ``bot`` (events): the user acts faster than people do.
9. ``price outlier``, ``quantity outlier`` (events)
10. ``unknown item``, ``unknown user`` (events; only when the rules say so)

The first that fits wins, and a row that is set aside no longer counts: duplicates are looked for
among what reasons 1 to 5 leave, rates and bounds are taken from what 6 and 7 leave.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from shoploom.core import columns as c
from shoploom.core.time import SECOND_US, iso, to_us
from shoploom.tables.bounds import BOUNDED, Bounds
from shoploom.tables.codes import Codes, action_place
from shoploom.tables.repairs import blank_repairs
from shoploom.tables.rules import CleaningRules
from shoploom.tables.schema import SCHEMAS, ColumnType

if TYPE_CHECKING:
    import ibis.expr.types as ir

EXACT_DUPLICATE, NEAR_DUPLICATE, DUPLICATE_ID = "exact duplicate", "near duplicate", "duplicate id"
BOT, UNKNOWN_ITEM, UNKNOWN_USER = "bot", "unknown item", "unknown user"

#: Columns in which a number below zero is a mistake, in any table.
NOT_NEGATIVE = (c.PRICE, c.QUANTITY, c.COST, c.COMPETITOR_PRICE)

#: Tables in which an id may stand only once.
ONE_ROW_PER = {"items": c.ITEM_ID, "users": c.USER_ID}

#: What makes an event the same act again, apart from its time.
SAME_ACT = (c.USER_ID, c.ITEM_ID, c.ACTION, c.PRICE, c.QUANTITY, c.QUERY, c.STREAM_ID)

#: Where a row came from; no part of what it says.
PROVENANCE = (c.FILE, c.ROW)


def judge_rows(
    name: str, table: ir.Table, rules: CleaningRules, now: int, codes: Codes
) -> ir.Table:
    """The table with ``_reason`` from reasons 1 to 7, null where none fits; events are coded.

    Args:
        name: the table's name in the contract.
        table: its typed rows.
        rules: the rules.
        now: the moment of cleaning, microseconds UTC.
        codes: codes of the ids in events.
    """
    import ibis

    if name == "events":
        table = blank_repairs(table)
    table = _nan_to_null(table).mutate(**{c.REASON: ibis.null("string")})
    table = _add_reasons(table, _row_reasons(name, table, rules, now))
    if name == "events":
        return _judge_repeats(codes.encode(table), rules.near_duplicate_seconds)
    return _judge_copies(table, ONE_ROW_PER.get(name))


def judge_together(
    events: ir.Table,
    rules: CleaningRules,
    bots: ir.Table,
    bounds: Bounds,
    known: Mapping[str, ir.Table],
    codes: Codes,
) -> ir.Table:
    """The events with ``_reason`` completed by reasons 8 to 10.

    Args:
        events: coded events with the reasons of ``judge_rows``.
        rules: the rules.
        bots: the bots among the users, coded.
        bounds: the plausible prices and quantities.
        known: by table name, the clean items and users, where the shop has them.
        codes: codes of the ids in events.
    """
    columns = events.columns
    marked = _mark(events, bots, c.USER_ID, BOT)
    for name, policy, unknown in (
        ("items", rules.unknown_items, UNKNOWN_ITEM),
        ("users", rules.unknown_users, UNKNOWN_USER),
    ):
        if policy == "quarantine" and name in known and ONE_ROW_PER[name] in columns:
            ids = codes.encode(known[name].select(ONE_ROW_PER[name]))
            marked = _mark(marked, ids, ONE_ROW_PER[name], unknown)
    for column in BOUNDED:
        marked = bounds.with_range(marked, column, codes)
    reasons = [(marked[BOT].notnull(), BOT)]
    reasons += [(bounds.outlier(marked, column), f"{column} outlier") for column in BOUNDED]
    for name, unknown in (("items", UNKNOWN_ITEM), ("users", UNKNOWN_USER)):
        if unknown in marked.columns:
            named = marked[ONE_ROW_PER[name]].notnull()
            reasons.append((named & marked[unknown].isnull(), unknown))
    return _add_reasons(marked, reasons).select(columns)


def _mark(table: ir.Table, ids: ir.Table, column: str, mark: str) -> ir.Table:
    """The table with the column ``mark``: the row's id where it is among the distinct ids."""
    ids = ids.select(**{mark: column})
    return table.left_join(ids, table[column] == ids[mark]).select(*table.columns, mark)


def _add_reasons(table: ir.Table, reasons: Iterable[tuple[ir.BooleanValue, str]]) -> ir.Table:
    """The table with the first reason that fits, in rows that have none yet."""
    import ibis

    reason = ibis.cases(*reasons, else_=ibis.null("string"))
    return table.mutate(**{c.REASON: ibis.coalesce(table[c.REASON], reason)})


def _nan_to_null(table: ir.Table) -> ir.Table:
    """NaN means missing in many a source, and sorts differently on each backend."""
    import ibis

    floats = [name for name, kind in table.schema().items() if kind.is_floating()]
    blanks = {
        name: table[name].isnan().ifelse(ibis.null(table[name].type()), table[name])
        for name in floats
    }
    return table.mutate(**blanks) if blanks else table


def _row_reasons(
    name: str, table: ir.Table, rules: CleaningRules, now: int
) -> list[tuple[ir.BooleanValue, str]]:
    """Reasons 1 to 5 of a table, each with the rows that it fits."""
    reasons: list[tuple[ir.BooleanValue, str]] = []
    for column in SCHEMAS[name].values():
        if column.required:
            reasons.append((_missing(table[column.name], column.type), f"no {column.name}"))
    if c.ACTION in table.columns:
        reasons.append((table[c.ACTION].notin(c.ACTIONS), "unknown action"))
    if c.TIME in table.columns:
        earliest = to_us(rules.earliest)
        reasons.append((table[c.TIME] < earliest, f"time before {_date(earliest)}"))
        reasons.append((table[c.TIME] > now, "time in the future"))
    for column in NOT_NEGATIVE:
        if column in table.columns:
            reasons.append((table[column].isinf(), f"infinite {column}"))
            reasons.append((table[column] < 0, f"negative {column}"))
    if c.RATING in table.columns:
        inside = table[c.RATING].between(*rules.rating_range)
        reasons.append((~inside, "rating out of range"))
    if c.PROPENSITY in table.columns:
        inside = (table[c.PROPENSITY] > 0) & (table[c.PROPENSITY] <= 1)
        reasons.append((~inside, "propensity out of range"))
    return reasons


def _missing(value: ir.Column, kind: ColumnType) -> ir.BooleanValue:
    return value.isnull() | (value == "") if kind == "id" else value.isnull()


def _date(moment: int) -> str:
    """The year where the moment is its first, else the whole date."""
    return iso(moment).removesuffix("-01-01")


def _judge_repeats(events: ir.Table, near_seconds: float) -> ir.Table:
    """Reasons 6 and 7 of events, by comparing each event with the same act before it."""
    import ibis

    same = [name for name in SAME_ACT if name in events.columns]
    other = {*same, c.TIME, c.REASON, *PROVENANCE}
    rest = [name for name in events.columns if name not in other]
    provenance = [name for name in PROVENANCE if name in events.columns]
    keys = [action_place(events) if name == c.ACTION else events[name] for name in same]
    # Rows that are set aside already have windows of their own.
    keys.append(events[c.REASON].isnull())
    before = ibis.window(group_by=keys, order_by=[c.TIME, *rest, *provenance])
    gap = events[c.TIME] - events[c.TIME].lag().over(before)
    equal = [events[name].identical_to(events[name].lag().over(before)) for name in rest]
    reasons = [(functools.reduce(operator.and_, equal, gap == 0), EXACT_DUPLICATE)]
    if near_seconds:
        reasons.append((gap <= int(near_seconds * SECOND_US), NEAR_DUPLICATE))
    return _add_reasons(events, reasons)


def _judge_copies(table: ir.Table, id_column: str | None) -> ir.Table:
    """Reasons 6 and 7 of other tables: copies of a row, and more than one row of an id.

    Of several rows with one id the one with the most values stays, then the last one read.
    """
    import ibis

    content = [name for name in table.columns if name not in {c.REASON, *PROVENANCE}]
    provenance = [name for name in PROVENANCE if name in table.columns]
    copies = ibis.window(group_by=[*content, c.REASON], order_by=provenance or content)
    table = _add_reasons(table, [(ibis.row_number().over(copies) > 0, EXACT_DUPLICATE)])
    if id_column is None:
        return table
    values = functools.reduce(
        operator.add, (table[name].notnull().cast("int64") for name in content)
    )
    best_first = [values.desc(), *(ibis.desc(name) for name in (*provenance, *content))]
    rows_of_id = ibis.window(group_by=[id_column, c.REASON], order_by=best_first)
    return _add_reasons(table, [(ibis.row_number().over(rows_of_id) > 0, DUPLICATE_ID)])
