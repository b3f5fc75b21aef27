"""Raw tables to clean ones: every row is kept or set aside with a reason, none is lost.

Cleaning judges (``tables.judging`` lists the reasons) and repairs (``tables.repairs``); it does
not parse. It is written as Ibis expressions that give the same tables on DuckDB and on Spark.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.tables.bots import find_bots
from shoploom.tables.bounds import Bounds, find_bounds
from shoploom.tables.codes import CODED, Codes, Stage, action_name, action_place, find_codes
from shoploom.tables.judging import ONE_ROW_PER, PROVENANCE, judge_rows, judge_together
from shoploom.tables.raw import RawTables
from shoploom.tables.repairs import fill_prices, fill_quantities, name_sessions, number_sessions
from shoploom.tables.rules import CleaningRules
from shoploom.tables.tables import Tables

if TYPE_CHECKING:
    import ibis.expr.types as ir

#: The columns that clean events always have, in this order; those the shop adds follow.
EVENT_COLUMNS = (
    c.USER_ID,
    c.TIME,
    c.ACTION,
    c.ITEM_ID,
    c.PRICE,
    c.QUANTITY,
    c.SESSION_ID,
    c.PRICE_PRESENT,
    c.QUANTITY_PRESENT,
)

#: The order in which clean events are written.
EVENT_ORDER = (c.USER_ID, c.TIME, c.ITEM_ID, c.ACTION, c.PRICE, c.QUANTITY, c.SESSION_ID)

# Columns that every clean event has, whether the shop has them or not.
_FILLED = {c.ITEM_ID: "string", c.PRICE: "float64", c.QUANTITY: "float64", c.SESSION_ID: "string"}


@dataclass(frozen=True)
class Cleaned:
    """What cleaning gives back; tables and quarantine are expressions, not yet computed.

    Attributes:
        tables: the clean tables, without ``_file`` and ``_row``; events in ``EVENT_ORDER``.
        quarantine: by table name, the rows that cleaning set aside: the columns as read and
            ``_reason``. The reader's own rejects are not among them.
        bounds: the price and quantity bounds that were used.
        bots: one row per bot (see ``tables.bots``).
        reasons: by table name, how many rows each reason set aside; None counts those kept.
        sessions_found: events whose session id was found by a gap in time.
    """

    tables: Tables
    quarantine: dict[str, ir.Table]
    bounds: Bounds
    bots: ir.Table
    reasons: dict[str, dict[str | None, int]]
    sessions_found: int


def _lazily(table: ir.Table, name: str) -> ir.Table:
    return table


def clean(
    raw: RawTables,
    rules: CleaningRules = CleaningRules(),  # noqa: B008 (frozen)
    *,
    now: int | None = None,
    bounds: Bounds | None = None,
    stage: Stage = _lazily,
) -> Cleaned:
    """The tables that ``rules`` leave of ``raw``, and what they set aside.

    Args:
        raw: typed tables on one backend.
        rules: what to set aside and repair.
        now: the moment of cleaning, microseconds UTC; events after it are impossible.
        bounds: bounds found by an earlier cleaning, to treat new rows like the old.
        stage: where to keep intermediate tables that are needed more than once; without it they
            are computed each time they are needed.

    Raises:
        DataError: there is no events table, or none of its rows is left.
    """
    now = time.time_ns() // 1_000 if now is None else now
    if "events" not in raw.tables:
        raise DataError(
            f"expected a table named events, got {', '.join(sorted(raw.tables)) or 'no table'}; "
            "name the shop's event log under tables: events."
        )
    codes = find_codes(raw.tables["events"], stage)
    judged = {
        name: stage(judge_rows(name, table, rules, now, codes), f"{name}-rows")
        for name, table in raw.tables.items()
    }
    left = _kept(judged["events"])
    bots = stage(
        find_bots(left, per_hour=rules.max_events_per_hour, per_day=rules.max_events_per_day),
        "bots",
    )
    if bounds is None:
        bounds = find_bounds(left, rules.outlier_fence, codes)
    known = {name: _kept(judged[name]) for name in ONE_ROW_PER if name in judged}
    judged["events"] = judge_together(judged["events"], rules, bots, bounds, known, codes)
    counts = {name: _count_reasons(name, table) for name, table in judged.items()}
    reasons = {
        name: {reason: row["rows"] for reason, row in rows.items()} for name, rows in counts.items()
    }
    if None not in counts["events"]:
        raise _nothing_left(reasons["events"])
    gaps = counts["events"][None]
    events = repair_events(
        _kept(judged["events"]),
        rules,
        codes,
        prices=gaps["priced"] > 0 and gaps["unpriced"] > 0,
        sessions=gaps["sessionless"] > 0,
    )
    tables = {name: _kept(table) for name, table in judged.items() if name != "events"}
    quarantine = {name: table.filter(table[c.REASON].notnull()) for name, table in judged.items()}
    quarantine["events"] = codes.decode(quarantine["events"])
    quarantine = {name: stage(table, f"{name}-quarantine") for name, table in quarantine.items()}
    return Cleaned(
        tables=Tables(events=events, **tables),
        quarantine=quarantine,
        bounds=bounds,
        bots=codes.decode(bots),
        reasons=reasons,
        sessions_found=gaps["sessionless"],
    )


def repair_events(
    events: ir.Table, rules: CleaningRules, codes: Codes, *, prices: bool, sessions: bool
) -> ir.Table:
    """The kept events with all of ``EVENT_COLUMNS``, missing values filled where that is possible.

    They are in ``EVENT_ORDER``, with ids as text.

    Args:
        events: coded events that nothing set aside.
        rules: the rules.
        codes: codes of the ids in events.
        prices: whether some prices of items are missing and others are there to fill them.
        sessions: whether some session ids are missing.
    """
    events = _completed(events)
    events = fill_prices(events, impute=rules.impute_prices and prices)
    events = fill_quantities(events)
    further = [name for name in events.columns if name not in EVENT_COLUMNS]
    # Windows and sorting move whole rows: the narrower, the quicker.
    events = events.mutate(**{c.ACTION: action_place(events)})
    if sessions:
        events = number_sessions(events, rules.session_gap_minutes)
    events = events.mutate(**{f"_by_{name}": events[name] for name in CODED})
    events = codes.decode(events)
    if sessions:
        events = name_sessions(events)
    order = [f"_by_{name}" if name in CODED else name for name in EVENT_ORDER]
    events = events.order_by(order)
    events = events.mutate(**{c.ACTION: action_name(events)})
    return events.select(*EVENT_COLUMNS, *further)


def _kept(table: ir.Table) -> ir.Table:
    """The rows without a reason, without the columns that only quarantine needs."""
    kept = table.filter(table[c.REASON].isnull())
    return kept.drop(c.REASON, *(name for name in PROVENANCE if name in table.columns))


def _completed(events: ir.Table) -> ir.Table:
    """The events with every column of ``_FILLED``, empty where the shop has none."""
    import ibis

    lacking = {name: kind for name, kind in _FILLED.items() if name not in events.columns}
    return events.mutate(**{name: ibis.null(kind) for name, kind in lacking.items()})


def _count_reasons(name: str, table: ir.Table) -> dict[str | None, dict[str, int]]:
    """By reason, None for kept rows: the number of rows, and for events what they lack."""
    measures = {"rows": table.count()}
    if name == "events":
        table = _completed(table)
        priced = table[c.PRICE].notnull()
        measures = {
            "rows": table.count(),
            "priced": table.count(where=table[c.ITEM_ID].notnull() & priced),
            "unpriced": table.count(where=table[c.ITEM_ID].notnull() & ~priced),
            "sessionless": table.count(where=table[c.SESSION_ID].isnull()),
        }
    rows = table.group_by(c.REASON).aggregate(**measures).to_pyarrow().to_pylist()
    return {row.pop(c.REASON): row for row in rows}


def _nothing_left(reasons: dict[str | None, int]) -> DataError:
    most_first = sorted(reasons.items(), key=lambda pair: -pair[1])
    listed = ", ".join(f"{reason} ({rows:,})" for reason, rows in most_first)
    total = sum(reasons.values())
    if not total:
        return DataError(
            "events: expected at least one row, got none; is the file empty, or were all of its "
            "rows unreadable?"
        )
    return DataError(
        f"events: expected rows to be left after cleaning, got none of {total:,}: {listed}. "
        "Check the time unit and the column mapping, or change the rules under cleaning."
    )
