"""What a reader promises: every row is typed or in quarantine, and ids, times and numbers agree."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sqlite3
from pathlib import Path

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, DataError, UnknownName
from shoploom.core.time import to_us
from shoploom.tables import Source, _csv, connect, read_tables

HEADER = "user_id,time,action,item_id,price\n"
GOOD = "1,2024-01-01,view,7,1.5\n"


@pytest.fixture(scope="module")
def connection():
    return connect(threads=1)


@pytest.fixture
def read(tmp_path, connection):
    """Rows of a table written as text, and what was set aside, as lists of dicts."""

    def read_text(text: str | bytes, name="events.csv", table="events", **options):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        timezone = options.pop("timezone", "UTC")
        source = Source(path, **options)
        return rows(read_tables({table: source}, timezone=timezone, connection=connection), table)

    return read_text


def rows(raw, table="events"):
    typed = raw.tables[table].to_pyarrow().to_pylist()
    aside = raw.quarantine[table].to_pyarrow().to_pylist() if table in raw.quarantine else []
    by_row = lambda row: row.get(c.ROW) or 0  # noqa: E731
    return sorted(typed, key=by_row), sorted(aside, key=by_row), raw.notes


def column(typed, name):
    return [row[name] for row in typed]


def events(**columns):
    n = len(next(iter(columns.values())))
    return {"user_id": ["1"] * n, "time": [0] * n, "action": ["view"] * n} | columns


# Names, types and provenance


def test_tables_have_the_contracts_names_types_and_provenance(read):
    typed, aside, _ = read(HEADER + GOOD + "2,2024-01-02T03:04:05Z,purchase,8,\n")
    assert typed == [
        {"user_id": "1", "time": to_us("2024-01-01"), "action": "view", "item_id": "7",
         "price": 1.5, "_file": "events.csv", "_row": 1},
        {"user_id": "2", "time": to_us("2024-01-02T03:04:05"), "action": "purchase",
         "item_id": "8", "price": None, "_file": "events.csv", "_row": 2},
    ]  # fmt: skip
    assert aside == []


def test_columns_constants_and_actions_are_mapped(read):
    typed, _, notes = read(
        "who,when,extra\nann,2024-01-01,9\n",
        columns={"user_id": "who", "time": "when"},
        constants={"action": "buy", "price": "2.5"},
        actions={"buy": "purchase"},
    )
    assert typed[0]["user_id"] == "ann"
    assert (typed[0]["action"], typed[0]["price"]) == ("purchase", 2.5)
    assert any("left out extra" in note for note in notes)


def test_users_keep_every_attribute(read):
    typed, _, _ = read("user_id,age,city\n1,30,\n2,40,Riga\n", "users.csv", "users")
    assert column(typed, "age") == ["30", "40"]
    assert column(typed, "city") == [None, "Riga"]


def test_several_sources_of_one_table_are_put_under_each_other(tmp_path, connection):
    (tmp_path / "buys.csv").write_text("user_id,time,price\n1,2024-01-01,3\n")
    (tmp_path / "views.csv").write_text("user_id,time,item_id\n2,2024-01-02,9\n")
    raw = read_tables(
        {
            "events": [
                Source(tmp_path / "buys.csv", constants={"action": "purchase"}),
                Source(tmp_path / "views.csv", constants={"action": "view"}),
            ]
        },
        connection=connection,
    )
    typed = sorted(raw.tables["events"].to_pyarrow().to_pylist(), key=lambda row: row["user_id"])
    assert column(typed, "action") == ["purchase", "view"]
    assert column(typed, "item_id") == [None, "9"]
    assert column(typed, "price") == [3.0, None]


# Ids


@pytest.mark.parametrize(
    "ids",
    [
        ["1", "2", None],
        [1.0, 2.0, float("nan")],
        pa.array([1, 2, None], pa.int64()),
        pa.array([1, 2, None], pa.decimal128(10, 2)),
        ["1.0", " 2 ", ""],
        pd.Series([1, "2", None], dtype="object"),
    ],
)
def test_an_id_is_the_same_however_it_is_stored(ids, connection):
    frame = pd.DataFrame if isinstance(ids, pd.Series) else pa.table
    raw = read_tables({"events": Source(data=frame(events(item_id=ids)))}, connection=connection)
    typed, _, _ = rows(raw)
    assert column(typed, "item_id") == ["1", "2", None]


def test_leading_zeros_and_large_numbers_stay(read):
    typed, _, _ = read(
        "user_id,time,action\n007,2024-01-01,view\n12345678901234567890,2024-01-01,view\n"
    )
    assert column(typed, "user_id") == ["007", "12345678901234567890"]


def test_ids_that_are_numbers_in_one_file_and_text_in_another_match(tmp_path, connection):
    pq.write_table(pa.table(events(item_id=[10.0, None])), tmp_path / "events.parquet")
    (tmp_path / "items.csv").write_text("item_id,title\n10,Lamp\n")
    raw = read_tables(
        {"events": Source(tmp_path / "events.parquet"), "items": Source(tmp_path / "items.csv")},
        connection=connection,
    )
    joined = raw.tables["events"].join(raw.tables["items"], "item_id")
    assert joined.count().to_pyarrow().as_py() == 1


# Times


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2019-10-01 00:00:00 UTC", "2019-10-01"),
        ("2019-10-01T00:00:00Z", "2019-10-01"),
        ("2019-10-01T08:00:00+08:00", "2019-10-01"),
        ("2019-10-01 08:00:00 +0800", "2019-10-01"),
        ("2019-10-01T00:00:00.123456Z", "2019-10-01T00:00:00.123456"),
        ("2019-10-01", "2019-09-30T16:00:00"),
        ("20191001", "2019-09-30T16:00:00"),
        ("2019-10-01 08:30", "2019-10-01T00:30:00"),
        ("1569888000", "2019-10-01"),
    ],
)
def test_a_time_is_read_in_its_offset_or_else_in_the_shops_zone(read, text, moment):
    typed, _, _ = read(f"user_id,time,action\n1,{text},view\n", timezone="Asia/Shanghai")
    assert column(typed, "time") == [to_us(moment)]


def test_times_with_and_without_offset_in_one_column_are_read_rightly_and_counted(read):
    typed, _, notes = read(
        "user_id,time,action\n1,2024-07-01T12:00:00Z,view\n1,2024-07-01T12:00:00,view\n",
        timezone="Europe/Berlin",
    )
    assert column(typed, "time") == [to_us("2024-07-01T12:00:00"), to_us("2024-07-01T10:00:00")]
    assert any("mixed time zones: 1 values carry an offset, 1 carry none" in n for n in notes)


@pytest.mark.parametrize(
    ("number", "unit"), [(1_569_888_000, "seconds"), (1_569_888_000_000, "milliseconds"),
                         (1_569_888_000_000_000, None)],
)  # fmt: skip
@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.string()])
def test_the_unit_of_numeric_times_is_found_and_reported(number, unit, kind, connection):
    times = pa.array([number]).cast(kind) if kind != pa.string() else pa.array([str(number)])
    raw = read_tables({"events": Source(data=pa.table(events(time=times)))}, connection=connection)
    typed, _, notes = rows(raw)
    assert column(typed, "time") == [to_us("2019-10-01")]
    assert any("numbers were read as" in n for n in notes) == (unit is not None)
    assert unit is None or any(unit in n for n in notes)


def test_a_given_unit_and_format_are_obeyed(read):
    typed, _, _ = read("user_id,time,action\n1,86400,view\n", time_unit="s")
    assert column(typed, "time") == [to_us("1970-01-02")]
    typed, _, _ = read(
        "user_id,time,action\n1,31/12/2010 08:26,view\n", time_format="%d/%m/%Y %H:%M"
    )
    assert column(typed, "time") == [to_us("2010-12-31T08:26:00")]
    typed, _, _ = read(
        "user_id,time,action\n1,31/12/2010 08:26 +0100,view\n", time_format="%d/%m/%Y %H:%M %z"
    )
    assert column(typed, "time") == [to_us("2010-12-31T07:26:00")]


@pytest.mark.parametrize(
    ("dtype", "moment"),
    [
        (pa.timestamp("us"), "2018-12-31T16:00:00"),
        (pa.timestamp("ms", "UTC"), "2019-01-01"),
        (pa.date32(), "2018-12-31T16:00:00"),
    ],
)
def test_timestamps_and_dates_are_instants_or_the_shops_wall_time(dtype, moment, connection):
    times = pa.array([1_546_300_800]).cast(pa.timestamp("s")).cast(pa.timestamp("us"))
    times = times.cast(pa.date32()) if dtype == pa.date32() else times.cast(dtype)
    source = Source(data=pa.table(events(time=times)), timezone="Asia/Shanghai")
    typed, _, _ = rows(read_tables({"events": source}, connection=connection))
    assert column(typed, "time") == [to_us(moment)]


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.float64(), pa.string()])
@pytest.mark.parametrize("unit", ["s", "ms", None])
def test_absurd_numeric_times_are_read_as_the_last_day_there_is(kind, unit, connection):
    stamp = {"s": 1_569_888_000, "ms": 1_569_888_000_000}.get(unit, 1_569_888_000_000_000)
    numbers = [stamp, stamp, 2**63 - 1]
    times = pa.array(numbers).cast(kind, safe=False)
    source = Source(data=pa.table(events(time=times)), time_unit=unit)
    typed, aside, _ = rows(read_tables({"events": source}, connection=connection))
    assert column(typed, "time")[:2] == [to_us("2019-10-01")] * 2
    assert typed[2]["time"] >= to_us("9999-12-31")
    assert aside == []


def test_an_endless_timestamp_is_no_time(connection):
    connection.con.execute(
        "create or replace table endless as select '1' as user_id, 'view' as action, * from "
        "(values (timestamp '2024-01-01'), (timestamp 'infinity'), "
        "(timestamp '2024-01-02')) v(time)"
    )
    source = Source(data=connection.table("endless"))
    typed, aside, _ = rows(read_tables({"events": source}, connection=connection))
    assert sorted(column(typed, "time")) == [to_us("2024-01-01"), to_us("2024-01-02")]
    assert column(aside, c.REASON) == ["time is not readable"]


def test_nanoseconds_are_found_and_reported(connection):
    data = pa.table(events(time=["1569888000000000000", "77777777777777777777"]))
    typed, _, notes = rows(read_tables({"events": Source(data=data)}, connection=connection))
    assert typed[0]["time"] == to_us("2019-10-01")
    assert any("nanoseconds" in note for note in notes)


@pytest.mark.parametrize("text", ["infinity", "nan ", "-inf", "7" * 400, "epoch", "12"])
def test_words_and_small_numbers_are_no_times(read, text):
    good = GOOD * 2
    typed, aside, _ = read(HEADER + good + f"1,{text},view,7,1\n")
    assert len(typed) == 2
    assert aside[0][c.REASON] in ("time is not readable", "time is missing")


def test_an_unknown_time_zone_is_an_error(read):
    with pytest.raises(ConfigError, match="Did you mean 'Asia/Shanghai'"):
        read(HEADER + GOOD, timezone="Asia/Shangai")


# Numbers, flags and lists


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1299", 1299.0), ("1,299.00", 1299.0), ("1,299", 1299.0), ("¥12.5", 12.5),
        ("12.5元", 12.5), ("$1,000,000", 1e6), ("-$3.50", -3.5), ("12,50", 12.5),
        ("1.299,00 €", 1299.0), ("1 299,00", 1299.0), ("EUR 5", 5.0), ("1e3", 1000.0),
        ("nan", None), ("", None),
    ],
)  # fmt: skip
def test_a_price_is_understood(text, number, connection):
    data = pa.table(events(price=[text, "1"]))
    typed, aside, _ = rows(read_tables({"events": Source(data=data)}, connection=connection))
    assert (column(typed, "price"), aside) == ([number, 1.0], [])


def test_a_lone_comma_beside_decimal_commas_is_not_guessed(connection):
    data = pa.table(events(price=["12,50", "1,299", "3,5"]))
    typed, aside, notes = rows(read_tables({"events": Source(data=data)}, connection=connection))
    assert column(typed, "price") == [12.5, 3.5]
    assert [(row["price"], row[c.REASON]) for row in aside] == [("1,299", "price is not a number")]
    assert any("could be thousands or decimals" in note for note in notes)


def test_text_in_a_price_goes_to_quarantine_with_its_whole_row(read):
    typed, aside, notes = read(HEADER + GOOD * 2 + "4,2024-01-01,view,9,N/A\n")
    assert len(typed) == 2
    assert aside == [
        {"user_id": "4", "time": "2024-01-01", "action": "view", "item_id": "9", "price": "N/A",
         "_file": "events.csv", "_row": 3, "_reason": "price is not a number"}
    ]  # fmt: skip
    assert any(
        'events.csv, column "price": 1 of 3 values are not numbers (first: row 3, "N/A")' in note
        for note in notes
    )


def test_infinite_prices_are_no_numbers(connection):
    data = pa.table(events(price=[1.0, 2.0, float("inf")]))
    typed, aside, _ = rows(read_tables({"events": Source(data=data)}, connection=connection))
    assert column(typed, "price") == [1.0, 2.0]
    assert column(aside, c.REASON) == ["price is not a number"]


def test_flags_are_read_in_their_usual_spellings(read):
    typed, aside, _ = read(
        "user_id,time,arm,clicked\n" + "".join(
            f"1,2024-01-01,a,{flag}\n" for flag in ("TRUE", "0", "yes", "N", "", "maybe")
        ),
        "exposures.csv", "exposures",
    )  # fmt: skip
    assert column(typed, "clicked") == [True, False, True, False, None]
    assert column(aside, c.REASON) == ["clicked is neither true nor false"]


def test_lists_of_ids_come_from_lists_and_from_text(connection):
    for shown in (["a", "b"], "a|b", "['a', 'b']"):
        data = pa.table({"stream_id": ["s"], "time": [0], "items_shown": [shown]})
        raw = read_tables({"streams": Source(data=data)}, connection=connection)
        typed, _, _ = rows(raw, "streams")
        assert column(typed, "items_shown") == [["a", "b"]]


# Rows that cannot be typed, and mapping mistakes


def test_missing_required_values_and_unknown_actions_are_set_aside_with_reasons(read):
    typed, aside, notes = read(
        HEADER + GOOD * 3 + ",2024-01-01,view,1,\n1,,view,1,\n1,2024-01-01,,1,\n"
        "1,2024-01-01,pv,1,\n1,soon,view,1,\n"
    )
    assert len(typed) == 3
    assert column(aside, c.REASON) == [
        "user_id is missing", "time is missing", "action is missing", "action is unknown",
        "time is not readable",
    ]  # fmt: skip
    assert any("add actions: {pv: view}" in note for note in notes)


def test_columns_that_mostly_fail_are_one_error_that_lists_them_all(read):
    with pytest.raises(DataError) as error:
        read("user_id,time,action,price\n1,soon,pv,cheap\n2,later,buy,dear\n")
    message = str(error.value)
    assert 'column "time": 2 of 2 values are not readable' not in message
    assert 'column "time": 2 of 2 values are not times (first: row 1, "soon")' in message
    assert 'column "price": 2 of 2 values are not numbers (first: row 1, "cheap")' in message
    assert "add actions: {buy: purchase, pv: view}" in message


def test_missing_columns_are_listed_with_the_nearest_names_and_the_line_to_add(read):
    with pytest.raises(DataError) as error:
        read("visitorid,timestamp,action\n1,2,view\n")
    assert "found visitorid, timestamp, action" in str(error.value)
    assert "write user_id: visitorid" in str(error.value)
    assert "write time: timestamp" in str(error.value)


def test_a_mapped_column_that_is_not_there_is_an_error(read):
    with pytest.raises(DataError, match=r'column "preis" for price: did you mean .price.'):
        read(HEADER + GOOD, columns={"price": "preis"})


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({"event": Source("x.csv")}, "Did you mean 'events'"),
        ({"events": Source("x.csv", columns={"userid": "u"})}, "Did you mean 'user_id'"),
        ({"events": Source("x.csv", actions={"buy": "purchse"})}, "Did you mean 'purchase'"),
        ({"events": Source("x.csv", constants={"actoin": "view"})}, "Did you mean 'action'"),
    ],
)
def test_names_outside_the_contract_are_errors_with_a_suggestion(sources, message):
    with pytest.raises(UnknownName, match=message):
        read_tables(sources)


# Broken and odd files


def test_a_file_whose_last_row_is_cut_loses_just_that_row(read):
    typed, aside, notes = read(HEADER + GOOD * 3 + "2,2024-01-")
    assert column(typed, c.ROW) == [1, 2, 3]
    assert [(row[c.ROW], row[c.REASON], row["_line"]) for row in aside] == [
        (4, "row has too few fields", "2,2024-01-")
    ]
    assert any("1 of 4 rows could not be split" in note for note in notes)


def test_damaged_rows_are_set_aside_and_all_others_read(read):
    typed, aside, _ = read(
        (HEADER + GOOD).encode()
        + b"1,2024-01-01,view,8,1,extra\n"
        + b'1,2024-01-01,view,"9,1\n'
        + b"1,2024-01-01,view,\xff\xfe,1\n"
        + b"\n"
        + b'1,2024-01-01,view,"a\nb, ""c""",1\n'
        + b"1,2024-01-01\r,view,8,1\n"
        + GOOD.encode() * 2
    )
    assert [(row[c.ROW], row["item_id"]) for row in typed] == [
        (1, "7"), (5, 'a\nb, "c"'), (7, "7"), (8, "7"),
    ]  # fmt: skip
    assert [(row[c.ROW], row[c.REASON]) for row in aside] == [
        (2, "row has too many fields"),
        (3, "quotes are not balanced"),
        (4, "text is not in the file's encoding"),
        (6, "row holds a stray line end"),
    ]


def test_blocks_of_a_damaged_file_join_without_a_seam(read, monkeypatch):
    monkeypatch.setattr("shoploom.tables._csv._BLOCK", 64)
    lines = [f'{i},2024-01-01,view,"x\n{i}",1\n' if i % 3 else f"{i},2024-01-01,view,{i},1\n"
             for i in range(1, 60)]  # fmt: skip
    typed, aside, _ = read(HEADER + "".join(lines) + "cut")
    assert column(typed, "user_id") == [str(i) for i in range(1, 60)]
    assert column(typed, c.ROW) == list(range(1, 60))
    assert column(aside, c.ROW) == [60]


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "latin-1"])
def test_other_encodings_are_read_when_named(read, encoding):
    word = "é" if encoding == "latin-1" else "灯"
    typed, aside, _ = read(
        f"item_id,title\n1,{word}\n".encode(encoding), "items.csv", "items", encoding=encoding
    )
    assert (column(typed, "title"), aside) == ([word], [])


def test_a_file_in_another_encoding_says_so(read):
    with pytest.raises(DataError, match="encoding") as error:
        read("item_id,title\n1,灯\n2,桌\n".encode("gb18030"), "items.csv", "items")
    assert "gb18030" in str(error.value)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("cut", ["", "x"])
def test_line_ends_and_byte_order_marks_do_not_matter(read, newline, mark, cut):
    text = mark + (HEADER + GOOD + GOOD).replace("\n", newline) + cut
    typed, aside, _ = read(text)
    assert column(typed, "price") == [1.5, 1.5]
    assert len(aside) == len(cut)


@pytest.mark.parametrize(
    ("name", "delimiter"), [("a.csv", ";"), ("a.tsv", "\t"), ("a.txt", "|"), ("a.csv.gz", ",")]
)
@pytest.mark.parametrize("cut", ["", "x"])
def test_delimiters_are_found_and_gzip_is_read(read, name, delimiter, cut):
    text = ((HEADER + GOOD).replace(",", delimiter) + cut).encode()
    typed, aside, _ = read(gzip.compress(text) if name.endswith(".gz") else text, name)
    assert column(typed, "price") == [1.5]
    assert len(aside) == len(cut)


def test_a_file_without_header_takes_its_names_from_the_source(read):
    typed, _, _ = read(GOOD, header=False, names=["user_id", "time", "action", "item_id", "price"])
    assert column(typed, "user_id") == ["1"]
    with pytest.raises(ConfigError, match="names"):
        Source("x.csv", header=False)


def test_no_events_is_an_error_and_other_empty_tables_are_a_note(tmp_path, connection):
    (tmp_path / "events.csv").write_text(HEADER)
    with pytest.raises(DataError, match="at least one event, found no row"):
        read_tables({"events": Source(tmp_path / "events.csv")}, connection=connection)
    (tmp_path / "events.csv").write_text(HEADER + GOOD)
    (tmp_path / "items.csv").write_text("item_id,title\n")
    (tmp_path / "users.csv").write_text("")
    raw = read_tables(
        {name: Source(tmp_path / f"{name}.csv") for name in ("events", "items", "users")},
        connection=connection,
    )
    assert raw.tables["items"].count().to_pyarrow().as_py() == 0
    assert "users" not in raw.tables
    assert any("items has no readable row" in note for note in raw.notes)
    assert any("not even a header" in note for note in raw.notes)


def test_a_missing_file_names_the_nearest_one(tmp_path):
    (tmp_path / "events_2024.csv").write_text(HEADER + GOOD)
    with pytest.raises(DataError, match=r"Did you mean events_2024\.csv"):
        read_tables({"events": Source(tmp_path / "events-2024.csv")})
    with pytest.raises(DataError, match=r"nowhere does not exist"):
        read_tables({"events": Source(tmp_path / "nowhere" / "events.csv")})


def test_parquet_cut_short_is_a_clear_error(tmp_path, connection):
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table(events(item_id=["1", "2"])), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"events\.parquet: expected whole Parquet.*cut short"):
        read_tables({"events": Source(path)}, connection=connection)


def test_a_column_named_twice_is_an_error(read):
    with pytest.raises(DataError, match="price more than once"):
        read("user_id,time,action,price,price\n1,2024-01-01,view,1,2\n")


# Formats and backends


def test_json_lines_and_lists_are_read_and_broken_lines_set_aside(read):
    good = [{"user_id": 1, "time": "2024-01-01", "action": "view", "item_id": i} for i in "ab"]
    text = json.dumps(good[0]) + '\n{"user_id": 2, "ti\n' + json.dumps(good[1]) + "\n"
    typed, aside, _ = read(text, "events.jsonl")
    assert [(row["item_id"], row[c.ROW]) for row in typed] == [("a", 1), ("b", 3)]
    assert [(row[c.ROW], row[c.REASON]) for row in aside] == [(2, "line is no JSON object")]
    typed, aside, _ = read(json.dumps(good), "events.json")
    assert (column(typed, "user_id"), aside) == (["1", "1"], [])


def test_json_lists_become_a_category_path(read):
    typed, _, _ = read('{"item_id": "1", "category": ["Home", "Lamps"]}\n', "i.jsonl", "items")
    assert column(typed, "category") == ["Home > Lamps"]


def _stored(backend, table):
    """The rows as a table inside a database."""
    backend.con.register("given", table)
    backend.con.execute("create or replace table stored as from given")
    return backend.table("stored")


@pytest.mark.parametrize("how", ["pandas", "polars", "arrow", "reader", "relation", "ibis", "own"])
def test_frames_of_every_library_give_the_same_rows(how, connection):
    table = pa.table(events(item_id=["7", None], price=[1.5, None]))
    if how == "pandas":
        data = table.to_pandas()
    elif how == "polars":
        data = pytest.importorskip("polars").from_arrow(table)
    elif how == "reader":
        data = table.to_reader()
    elif how == "relation":
        import duckdb

        data = duckdb.connect().from_arrow(table)
    elif how == "ibis":
        data = _stored(ibis.duckdb.connect(), table)
    elif how == "own":
        data = _stored(connection, table)
    else:
        data = table
    typed, aside, _ = rows(read_tables({"events": Source(data=data)}, connection=connection))
    assert sorted((row["price"] or 0, row["item_id"] or "") for row in typed) == [
        (0, ""), (1.5, "7"),
    ]  # fmt: skip
    assert aside == []
    assert (c.ROW in typed[0]) == (how != "own")


@pytest.mark.parametrize("kind", ["duckdb", "sqlite", "address"])
def test_databases_are_read_by_table(tmp_path, connection, kind):
    path = tmp_path / f"shop.{'duckdb' if kind == 'duckdb' else 'sqlite'}"
    create = "create table log (user_id integer, time text, action text)"
    insert = "insert into log values (1, '2024-01-01', 'view')"
    if kind == "duckdb":
        database = ibis.duckdb.connect(path)
        database.con.execute(create)
        database.con.execute(insert)
        database.disconnect()
    else:
        with sqlite3.connect(path) as database:
            database.execute(create)
            database.execute(insert)
        database.close()
    where = f"sqlite://{path}" if kind == "address" else path
    raw = read_tables({"events": Source(where, table="log")}, connection=connection)
    assert column(rows(raw)[0], "user_id") == ["1"]
    with pytest.raises(DataError, match="Did you mean 'log'"):
        read_tables({"events": Source(where, table="logs")}, connection=connection)


def test_globs_and_folders_of_parts_are_one_table(tmp_path, connection):
    for part in ("a", "b"):
        (tmp_path / "day").mkdir(exist_ok=True)
        pq.write_table(pa.table(events(item_id=[part])), tmp_path / "day" / f"{part}.parquet")
    for where in (tmp_path / "day", tmp_path / "day" / "*.parquet"):
        typed, _, _ = rows(read_tables({"events": Source(where)}, connection=connection))
        assert sorted((row[c.FILE], row[c.ROW]) for row in typed) == [
            ("a.parquet", 1), ("b.parquet", 1),
        ]  # fmt: skip


def test_parquet_that_is_right_already_is_passed_through_unchanged(tmp_path, connection):
    path = tmp_path / "events.parquet"
    stamps = [to_us("2024-01-01")]
    pq.write_table(pa.table(events(time=stamps, item_id=["7"], price=[1.5])), path)
    raw = read_tables({"events": Source(path)}, connection=connection)
    query = ibis.to_sql(raw.tables["events"]).upper()
    assert not any(word in query for word in ("CASE", 'CAST("T0"."ITEM_ID', "TRIM", "WHERE"))
    assert rows(raw)[2] == ()


def test_a_connection_is_utc_and_takes_its_limits(tmp_path):
    connection = connect(memory_limit="300MB", threads=1, temp_dir=tmp_path / "spill")
    assert connection.con.execute(
        "select current_setting('TimeZone'), current_setting('threads')"
    ).fetchone() == ("UTC", 1)


def test_temporary_copies_go_with_the_connection(tmp_path):
    (tmp_path / "events.csv").write_text(HEADER + GOOD)
    connection = connect(temp_dir=tmp_path / "spill")
    raw = read_tables({"events": Source(tmp_path / "events.csv")}, connection=connection)
    assert raw.tables["events"].count().to_pyarrow().as_py() == 1
    assert len(list((tmp_path / "spill").rglob("*.parquet"))) == 2
    folder: Path = connection._shoploom_scratch
    connection._shoploom_scratch_end()
    assert not folder.exists()


# Properties

CELLS = st.sampled_from(
    ["", "1", "2.0", "x", "N/A", "1,5", 'a"b', "é", " ", "2024-01-01", "7" * 20]
)


FILES = {
    "lines": st.lists(st.lists(CELLS, min_size=1, max_size=7), max_size=8),
    "broken": st.sampled_from([None, b'1,2024-01-01,view,"open,1', b"\xff\xfe,1", b"cut"]),
    "place": st.integers(0, 8),
}


def messy_file(path, lines, broken, place):
    """A file of good rows and then messy ones; gives back how many rows it has."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    body = [line.encode() for line in text.getvalue().splitlines()]
    if broken is not None:
        body.insert(place, broken)
    path.write_bytes(HEADER.encode() + GOOD.encode() * (len(body) + 2) + b"\n".join(body))
    return len(body) * 2 + 2


@settings(max_examples=40, deadline=None)
@given(**FILES)
def test_every_row_of_a_messy_file_is_split_or_set_aside(tmp_path_factory, **file):
    path = tmp_path_factory.mktemp("property") / "events.csv"
    n_rows = messy_file(path, **file)
    layout = _csv.look(path, delimiter=None, header=True, names=None, encoding="utf-8")
    damage = _csv.to_parquet(_shared(), path, layout, path.with_suffix(".parquet"))
    split = pq.read_table(path.with_suffix(".parquet"))[c.ROW].to_pylist()
    assert sorted(split + damage.rows) == list(range(1, n_rows + 1))


def check_no_row_is_lost(path, **file):
    n_rows = messy_file(path, **file)
    typed, aside, _ = rows(read_tables({"events": Source(path)}, connection=_shared()))
    numbers = sorted(column(typed, c.ROW) + column(aside, c.ROW))
    assert numbers == list(range(1, n_rows + 1))
    assert all(row[c.REASON] for row in aside)
    assert all(row["user_id"] and row["action"] in c.ACTIONS for row in typed)


@settings(max_examples=5, deadline=None)
@given(**FILES)
def test_rows_read_are_rows_typed_plus_rows_set_aside(tmp_path_factory, **file):
    check_no_row_is_lost(tmp_path_factory.mktemp("property") / "events.csv", **file)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(**FILES)
def test_rows_read_are_typed_or_set_aside_many_times(tmp_path_factory, **file):
    check_no_row_is_lost(tmp_path_factory.mktemp("property") / "events.csv", **file)


@settings(max_examples=3, deadline=None)
@given(st.lists(st.integers(0, 2**52), min_size=1, max_size=5))
def test_whole_numbers_give_the_same_ids_as_integers_floats_and_text(numbers):
    connection = _shared()
    found = []
    for ids in (
        pa.array(numbers),
        pa.array(numbers).cast(pa.float64()),
        pa.array(map(str, numbers)),
    ):
        raw = read_tables(
            {"events": Source(data=pa.table(events(item_id=ids)))}, connection=connection
        )
        found.append(column(rows(raw)[0], "item_id"))
    assert found[0] == found[1] == found[2] == [str(n) for n in numbers]


_connections: list = []


def _shared():
    if not _connections:
        _connections.append(connect(threads=1))
    return _connections[0]
