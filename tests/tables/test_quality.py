"""The prepared folder is whole or untouched, and its quality counts are true."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shoploom.core import columns as c
from shoploom.core.errors import DataError
from shoploom.core.time import DAY_US, HOUR_US, SECOND_US, to_us
from shoploom.tables import prepare
from shoploom.tables.bounds import Bounds
from shoploom.tables.prepare import prepare_tables
from shoploom.tables.raw import RawTables
from shoploom.tables.rules import CleaningRules
from shoploom.tables.storage import open_tables

NOON = to_us("2024-05-01T12:00")
NOW = to_us("2030-06-01")
NAMES = (c.USER_ID, c.TIME, c.ACTION, c.ITEM_ID, c.PRICE, c.QUANTITY, c.FILE, c.ROW)

EVENTS = [
    ("u", NOON + HOUR_US, c.PURCHASE, "i", None, None),
    ("u", NOON, c.VIEW, "i", 2.5, None),
    ("v", NOON + 2 * DAY_US, c.PURCHASE, "i", 2.0, 3.0),
    ("v", NOON + 2 * DAY_US, c.PURCHASE, "ghost", 0.0, 1.0),
    ("v", NOON + 2 * DAY_US + SECOND_US, c.PURCHASE, "i", 2.0, 3.0),
    ("v", NOON + DAY_US, c.VIEW, "i", -1.0, None),
    ("v", 5, c.VIEW, "i", 1.0, None),
]


@pytest.fixture
def con() -> Iterator[ibis.BaseBackend]:
    connection = ibis.duckdb.connect(threads=1)
    yield connection
    connection.disconnect()


def known(con, name: str, table: pa.Table) -> ibis.Table:
    con.con.register(name, table)
    return con.table(name)


def raw(con, events: list[tuple] = EVENTS, rejects: int = 1) -> RawTables:
    """The little log above, two items, and one row that its reader could not type."""
    rows = [(*row, "log.csv", number) for number, row in enumerate(events, start=1)]
    columns = dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True))
    numbers = {name: pa.array(columns[name], pa.float64()) for name in (c.PRICE, c.QUANTITY)}
    bad = {"when": ["yesterday"], c.FILE: ["log.csv"], c.ROW: [9], c.REASON: ["unreadable time"]}
    return RawTables(
        {
            "events": known(con, "raw_events", pa.table(columns | numbers)),
            "items": known(con, "raw_items", pa.table({c.ITEM_ID: ["j", "i", "i"]})),
        },
        {"events": known(con, "raw_rejects", pa.table(bad))} if rejects else {},
        ("log.csv: times have no offset; read as UTC.",),
    )


def prepared(con, folder: Path, **more) -> dict:
    return prepare_tables(raw(con), folder, now=NOW, **more)


def test_the_folder_holds_what_the_architecture_says(con, tmp_path):
    document = prepared(con, tmp_path / "prepared")
    files = {
        str(p.relative_to(tmp_path / "prepared")) for p in tmp_path.rglob("*.*") if p.is_file()
    }
    assert files == {
        "events.parquet",
        "items.parquet",
        "quarantine/events.parquet",
        "quarantine/items.parquet",
        "bounds.json",
        "quality.json",
    }
    assert json.loads((tmp_path / "prepared/quality.json").read_text()) == document
    stored = json.loads((tmp_path / "prepared/bounds.json").read_text())
    assert Bounds.from_json(stored).to_json() == document["bounds"]


def test_clean_events_are_sorted_and_can_be_opened(con, tmp_path):
    prepared(con, tmp_path)
    events = pq.read_table(tmp_path / "events.parquet").to_pylist()
    keys = [(row[c.USER_ID], row[c.TIME], row[c.ITEM_ID], row[c.ACTION]) for row in events]
    assert keys == sorted(keys)
    assert len(keys) == 4
    assert open_tables(tmp_path).events.count().to_pyarrow().as_py() == 4


def test_quarantine_has_the_readers_rejects_and_cleanings(con, tmp_path):
    prepared(con, tmp_path)
    rows = pq.read_table(tmp_path / "quarantine/events.parquet").to_pylist()
    assert {row[c.ROW]: row[c.REASON] for row in rows} == {
        9: "unreadable time",
        5: "near duplicate",
        6: "negative price",
        7: "time before 1990",
    }
    [unreadable] = [row for row in rows if row[c.ROW] == 9]
    assert unreadable["when"] == "yesterday"
    assert unreadable[c.USER_ID] is None
    assert {row[c.FILE] for row in rows} == {"log.csv"}


def test_every_row_and_repair_is_counted(con, tmp_path):
    document = prepared(con, tmp_path)
    events = document["tables"]["events"]
    assert events == {
        "rows_read": 8,
        "rows_kept": 4,
        "rows_quarantined": 4,
        "rows_repaired": 1,
        "reasons": {
            "near duplicate": 1,
            "negative price": 1,
            "time before 1990": 1,
            "unreadable time": 1,
        },
        "repairs": {
            "price taken from the item's past": 1,
            "missing quantity of a purchase set to 1": 1,
            "session found by a gap in time": 4,
        },
        "flags": {"zero price": 1, "unknown item": 1},
        "columns": {
            c.USER_ID: 1.0,
            c.TIME: 1.0,
            c.ACTION: 1.0,
            c.ITEM_ID: 1.0,
            c.PRICE: 0.75,
            c.QUANTITY: 0.5,
            c.SESSION_ID: 1.0,
        },
    }
    assert document["tables"]["items"]["rows_kept"] == 2
    assert document["users"] == 2
    assert document["items"] == 2
    assert document["actions"] == {c.PURCHASE: 3, c.VIEW: 1}


def test_coverage_counts_every_day_in_whole_cents(con, tmp_path):
    document = prepared(con, tmp_path)
    assert document["period"] == {
        "first": "2024-05-01T12:00:00Z",
        "last": "2024-05-03T12:00:00Z",
        "days": 3,
    }
    assert document["coverage"] == {
        "day": ["2024-05-01", "2024-05-02", "2024-05-03"],
        "events": [2, 0, 2],
        "users": [1, 0, 1],
        "purchases": [1, 0, 2],
        "revenue": [2.5, 0.0, 6.0],
        "quarantined": [0, 1, 0],
        "step_days": 1,
    }


def test_a_long_log_is_counted_by_week(con, tmp_path):
    events = [
        ("u", NOON, c.VIEW, "i", 1.0, None),
        ("u", NOON + 2100 * DAY_US, c.VIEW, "i", 1.0, 1.0),
    ]
    document = prepare_tables(raw(con, events), tmp_path, now=NOW)
    coverage = document["coverage"]
    assert coverage["step_days"] == 7
    assert len(coverage["day"]) == 301
    assert (coverage["events"][0], coverage["events"][-1], sum(coverage["events"])) == (1, 1, 2)


def test_notes_tell_what_stands_out(con, tmp_path):
    notes = prepared(con, tmp_path)["notes"]
    assert notes[0] == "log.csv: times have no offset; read as UTC."
    assert any("events: 50.0% of 8 rows were set aside" in note for note in notes)
    assert any("name an item that is not in the items table" in note for note in notes)
    assert any("price of 0" in note for note in notes)


def test_the_share_of_revenue_that_was_set_aside_is_told(con, tmp_path):
    document = prepared(con, tmp_path)
    assert document["revenue"] == {"kept": 8.5, "quarantined": 6.0}
    assert any("worth 6.00 as written, 41.4% of all revenue" in n for n in document["notes"])


def test_one_user_one_item_and_one_day_are_notes_not_errors(con, tmp_path):
    events = [("u", NOON, c.VIEW, "i", None, None)]
    document = prepare_tables(raw(con, events, rejects=0), tmp_path, now=NOW)
    assert [note.split(";")[0] for note in document["notes"][-3:]] == [
        "events: there is only one user",
        "events: there is only one item",
        "events: all lie on one day (2024-05-01)",
    ]
    assert document["coverage"]["events"] == [1]


def test_the_busiest_bots_are_listed(con, tmp_path):
    clicks = [("bot", NOON + n * 5 * SECOND_US, c.VIEW, f"i{n}", None, None) for n in range(30)]
    rules = CleaningRules(max_events_per_hour=20)
    document = prepare_tables(raw(con, EVENTS + clicks), tmp_path, rules, now=NOW)
    assert document["bots"] == [{c.USER_ID: "bot", "events": 30, "max_per_hour": 30}]
    assert document["tables"]["events"]["reasons"]["bot"] == 30


def test_preparing_the_prepared_changes_nothing(con, tmp_path):
    first = prepared(con, tmp_path / "a")
    tables = open_tables(tmp_path / "a", con).present()
    bounds = Bounds.from_json(first["bounds"])
    again = prepare_tables(RawTables(tables), tmp_path / "b", now=NOW, bounds=bounds)
    a, b = (pq.read_table(tmp_path / name / "events.parquet") for name in "ab")
    assert a.equals(b)
    assert again["tables"]["events"]["rows_quarantined"] == 0


def test_a_failure_leaves_the_old_folder_as_it_was(con, tmp_path, monkeypatch):
    folder = tmp_path / "prepared"
    prepared(con, folder)
    before = {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    monkeypatch.setattr(prepare, "quality", _full_disk)
    with pytest.raises(OSError, match="no space left"):
        prepared(con, folder)
    assert {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["prepared"]


def _full_disk(*_: object) -> dict:
    raise OSError("no space left on device")


def test_nothing_stays_behind_in_the_connection(con, tmp_path):
    def views() -> set:
        return set(con.con.execute("SELECT view_name FROM duckdb_views()").fetchall())

    shop = raw(con)
    before = views()
    prepare_tables(shop, tmp_path, now=NOW)
    assert views() == before


def test_no_events_left_writes_nothing(con, tmp_path):
    with pytest.raises(DataError, match="none of 1: time before 1990"):
        prepare_tables(raw(con, EVENTS[-1:]), tmp_path / "prepared", now=NOW)
    assert not (tmp_path / "prepared").exists()
