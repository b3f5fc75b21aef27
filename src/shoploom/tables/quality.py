"""What a person should know about a shop's tables before trusting anything learned from them.

The result is the content of ``quality.json``; docs/architecture.md describes the format.
"""

# Ibis types every column alike, without operators and with few methods:
# pyright: reportOperatorIssue=false, reportAttributeAccessIssue=false
# pyright: reportArgumentType=false, reportReturnType=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shoploom.core import columns as c
from shoploom.core.time import DAY_US, WEEK_US, iso
from shoploom.tables import bots as b
from shoploom.tables import measures
from shoploom.tables.cleaning import Cleaned
from shoploom.tables.judging import ONE_ROW_PER, UNKNOWN_ITEM, UNKNOWN_USER

if TYPE_CHECKING:
    import ibis.expr.types as ir

PRICE_IMPUTED = "price taken from the item's past"
QUANTITY_IMPUTED = "missing quantity of a purchase set to 1"
SESSION_FOUND = "session found by a gap in time"
ZERO_PRICE = "zero price"

#: The most points that coverage has; a longer log is counted by week.
MAX_POINTS = 2_000

#: The most bots that are listed.
MAX_BOTS = 20

# A line that says more than this says nothing; it would drown every other in the sum.
_MOST_WORTH = 1e12

#: A share above which a table's quarantine, or a flag on its rows, is worth a note.
NOTEWORTHY = 0.01


def quality(
    cleaned: Cleaned,
    rejects: Mapping[str, ir.Table] | None = None,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Counts of everything that cleaning did, as JSON-able values.

    Args:
        cleaned: what cleaning gave back.
        rejects: by table name, the rows that the reader could not type.
        notes: sentences of the reader, to be passed on.
    """
    rejects = rejects or {}
    present = cleaned.tables.present()
    events = _event_counts(present)
    first, last = events["first"], events["last"]
    tables: dict[str, dict[str, Any]] = {}
    for name in sorted({*present, *rejects}):
        reasons = dict(cleaned.reasons.get(name, {}))
        kept = reasons.pop(None, 0)
        if name in rejects:
            for reason, rows in _count_by(rejects[name], c.REASON).items():
                reasons[reason] = reasons.get(reason, 0) + rows
        set_aside = sum(reasons.values())
        tables[name] = {
            "rows_read": kept + set_aside,
            "rows_kept": kept,
            "rows_quarantined": set_aside,
            "rows_repaired": 0,
            "reasons": dict(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))),
            "repairs": {},
            "flags": {},
            "columns": _shares_present(present[name]) if name in present else {},
        }
    repairs = {
        PRICE_IMPUTED: events["price_imputed"],
        QUANTITY_IMPUTED: events["quantity_imputed"],
        SESSION_FOUND: cleaned.sessions_found,
    }
    tables["events"]["rows_repaired"] = events["repaired"]
    tables["events"]["repairs"] = {repair: rows for repair, rows in repairs.items() if rows}
    tables["events"]["flags"] = _flags(present, events["zero_price"])
    document = {
        "tables": tables,
        "period": {
            "first": iso(first),
            "last": iso(last),
            "days": last // DAY_US - first // DAY_US + 1,
        },
        "users": events["users"],
        "items": events["items"],
        "actions": _count_by(present["events"], c.ACTION),
        "bots": _top_bots(cleaned.bots),
        "coverage": _coverage(present["events"], cleaned.quarantine["events"], first, last),
        "revenue": {
            "kept": _revenue(present["events"]),
            "quarantined": _revenue(cleaned.quarantine["events"]),
        },
        "bounds": cleaned.bounds.to_json(),
        "notes": list(notes),
    }
    document["notes"] += _findings(document)
    return document


def _event_counts(present: Mapping[str, ir.Table]) -> dict[str, Any]:
    events = present["events"]
    price_imputed = events[c.PRICE].notnull() & ~events[c.PRICE_PRESENT]
    quantity_imputed = events[c.QUANTITY].notnull() & ~events[c.QUANTITY_PRESENT]
    counts = events.aggregate(
        first=events[c.TIME].min(),
        last=events[c.TIME].max(),
        users=events[c.USER_ID].nunique(),
        items=events[c.ITEM_ID].nunique(),
        price_imputed=price_imputed.sum(),
        quantity_imputed=quantity_imputed.sum(),
        repaired=(price_imputed | quantity_imputed).sum(),
        zero_price=(events[c.PRICE] == 0).sum(),
    )
    row = counts.to_pyarrow().to_pylist()[0]
    return {name: value or 0 for name, value in row.items()}


def _shares_present(table: ir.Table) -> dict[str, float]:
    """Of each column, the share of rows that have a value."""
    counted = [name for name in table.columns if name not in (c.PRICE_PRESENT, c.QUANTITY_PRESENT)]
    # A price that cleaning filled in is not one that the shop has.
    present = {c.PRICE: c.PRICE_PRESENT, c.QUANTITY: c.QUANTITY_PRESENT}
    shares = {
        name: table[present[name]].mean()
        if present.get(name) in table.columns
        else table[name].notnull().mean()
        for name in counted
    }
    row = table.aggregate(**shares).to_pyarrow().to_pylist()[0]
    return {name: round(share or 0.0, 6) for name, share in row.items()}


def _revenue(events: ir.Table) -> float:
    """What the purchases among the events say they are worth; impossible numbers count nothing.

    A float throughout, since what was set aside may say more than whole cents can hold.
    """
    if c.PRICE not in events.columns:
        return 0.0
    bought, price = events[c.ACTION] == c.PURCHASE, events[c.PRICE]
    units = measures.units(events) if c.QUANTITY in events.columns else 1.0
    worth = price * units
    total = worth.sum(where=bought & (worth >= 0) & (worth < _MOST_WORTH))
    return round(float(total.to_pyarrow().as_py() or 0.0), 2)


def _flags(present: Mapping[str, ir.Table], zero_price: int) -> dict[str, int]:
    """Rows that were kept although something about them is odd."""
    events = present["events"]
    flags = {ZERO_PRICE: zero_price}
    for name, flag in (("items", UNKNOWN_ITEM), ("users", UNKNOWN_USER)):
        if name in present:
            column = ONE_ROW_PER[name]
            named = events.filter(events[column].notnull())
            flags[flag] = int(named.anti_join(present[name], column).count().to_pyarrow().as_py())
    return {flag: rows for flag, rows in flags.items() if rows}


def _count_by(table: ir.Table, column: str) -> dict[str, int]:
    counts = table.group_by(column).aggregate(rows=table.count()).to_pyarrow().to_pylist()
    counts.sort(key=lambda row: (-row["rows"], row[column] or ""))
    return {row[column]: row["rows"] for row in counts}


def _top_bots(bots: ir.Table) -> list[dict[str, Any]]:
    import ibis

    busiest = bots.order_by(ibis.desc(b.MAX_PER_HOUR), c.USER_ID).limit(MAX_BOTS)
    return busiest.select(c.USER_ID, b.EVENTS, b.MAX_PER_HOUR).to_pyarrow().to_pylist()


def _coverage(events: ir.Table, quarantine: ir.Table, first: int, last: int) -> dict[str, Any]:
    """Counts of every day (or week) from the first event to the last, empty ones too."""
    import numpy as np

    step = DAY_US if (last - first) // DAY_US < MAX_POINTS else WEEK_US
    start = first // DAY_US * DAY_US
    points = (last - start) // step + 1
    bought = events[c.ACTION] == c.PURCHASE
    kept = events.group_by(point=(events[c.TIME] - start) // step).aggregate(
        events=events.count(),
        users=events[c.USER_ID].nunique(),
        purchases=bought.sum(),
        revenue=measures.cents(events).sum(where=bought),
    )
    dated = quarantine.filter(quarantine[c.TIME].between(first, last))
    lost = dated.group_by(point=(dated[c.TIME] - start) // step).aggregate(
        quarantined=dated.count()
    )

    def dense(table: ir.Table) -> dict[str, np.ndarray]:
        columns = table.to_pyarrow().to_pydict()
        at = np.asarray(columns.pop("point"), dtype=np.int64)
        out = {}
        for name, values in columns.items():
            out[name] = np.zeros(points, dtype=np.int64)
            out[name][at] = [value or 0 for value in values]
        return out

    counts = dense(kept) | dense(lost)
    counts["revenue"] = counts["revenue"] / 100
    return {
        "day": [iso(start + point * step) for point in range(points)],
        **{name: values.tolist() for name, values in counts.items()},
        "step_days": step // DAY_US,
    }


def _findings(document: Mapping[str, Any]) -> list[str]:
    """Sentences about what stands out."""
    notes = []
    for name, table in document["tables"].items():
        read, lost = table["rows_read"], table["rows_quarantined"]
        if lost > NOTEWORTHY * read:
            reason, rows = next(iter(table["reasons"].items()))
            notes.append(
                f"{name}: {lost / read:.1%} of {read:,} rows were set aside, most often for "
                f"{reason!r} ({rows:,}); see quarantine/{name}.parquet."
            )
    money = document["revenue"]
    lost, whole = money["quarantined"], money["quarantined"] + money["kept"]
    if lost > NOTEWORTHY * whole:
        notes.append(
            f"events: purchases worth {lost:,.2f} as written, {lost / whole:.1%} of all revenue, "
            "were set aside; see quarantine/events.parquet."
        )
    events = document["tables"]["events"]
    kept = events["rows_kept"]
    for flag, what in (
        (UNKNOWN_ITEM, "name an item that is not in the items table"),
        (UNKNOWN_USER, "are of a user who is not in the users table"),
        (ZERO_PRICE, "have a price of 0"),
    ):
        rows = events["flags"].get(flag, 0)
        if rows > NOTEWORTHY * kept:
            notes.append(f"events: {rows:,} rows ({rows / kept:.1%}) {what}; they were kept.")
    if rows := events["repairs"].get(PRICE_IMPUTED):
        notes.append(
            f"events: {rows:,} missing prices ({rows / kept:.1%} of all rows) were taken from the "
            "item's last known price."
        )
    if document["users"] == 1:
        notes.append("events: there is only one user; nothing can be learned across users.")
    if document["items"] == 1:
        notes.append("events: there is only one item; there is nothing to recommend.")
    if document["period"]["days"] == 1:
        notes.append(
            f"events: all lie on one day ({document['period']['first'][:10]}); a split in time "
            "needs at least two."
        )
    return notes
