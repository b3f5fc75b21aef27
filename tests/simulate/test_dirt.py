"""Dirt: at the rates asked for, written down exactly, and found by cleaning as far as it can be."""

# pyarrow.compute makes its functions at run time:
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import io
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, DataError
from shoploom.core.seeds import rng
from shoploom.core.time import DAY_US, HOUR_US, SECOND_US, to_us
from shoploom.simulate import dirt as d
from shoploom.simulate.dirt import Dirt
from shoploom.tables import CleaningRules, Source, connect, prepare_tables, read_tables
from shoploom.tables import judging as j

START, NOW, DAYS = to_us("2025-01-06"), to_us("2026-02-01"), 60
USERS, ITEMS = 400, 80
USER_IDS = pa.array([f"u{user:04}" for user in range(USERS)])
ITEM_IDS = pa.array([f"i{item:04}" for item in range(ITEMS)])

#: More of everything, so that a small log has enough to measure.
FILTHY = Dirt(
    duplicates=0.01,
    double_clicks=0.01,
    clock_skew=0.01,
    bots=0.01,
    negative_prices=0.005,
    absurd_prices=0.005,
    unknown_items=0.01,
)


def coded(codes: np.ndarray, names: pa.Array) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=codes < 0), names)


def log(n: int, seed: int = 0) -> pa.Table:
    """Events of people who never do anything twice within ten seconds."""
    draw = rng(seed, "log")
    times = START + np.sort(draw.integers(0, DAYS * DAY_US // (10 * SECOND_US), n)) * 10 * SECOND_US
    action = draw.choice(4, size=n, p=(0.7, 0.1, 0.1, 0.1))
    searched = action == 3
    item = np.where(searched, -1, draw.integers(0, ITEMS, n))
    price = 5.0 + 2.5 * item
    return pa.table(
        {
            c.USER_ID: coded((np.arange(n) * 7) % USERS, USER_IDS),
            c.TIME: pa.array(times),
            c.ACTION: coded(action, pa.array([c.VIEW, c.CART, c.PURCHASE, c.SEARCH])),
            c.ITEM_ID: coded(item, ITEM_IDS),
            c.PRICE: pa.array(np.where(searched, np.nan, price), from_pandas=True),
            c.QUANTITY: pa.array(np.where(action == 2, 1.0, np.nan), from_pandas=True),
            c.SESSION_ID: pa.array([f"s{number // 5}" for number in range(n)]),
            c.QUERY: coded(np.where(searched, 0, -1), pa.array(["tea"])),
            c.SOURCE: coded(np.zeros(n, int), pa.array(["page"])),
        }
    )


def of_kind(ledger: pa.Table, *kinds: str) -> list[dict]:
    return [line for line in ledger.to_pylist() if line["kind"] in kinds]


@pytest.fixture(scope="module")
def soiled():
    """A log, soiled in three chunks and with bots below it, and its ledger."""
    whole = log(60_000)
    tables, ledgers, first_row = [], [], 0
    for start in range(0, len(whole), 20_000):
        table, ledger = d.soil_events(
            whole.slice(start, 20_000), FILTHY, seed=3, first_row=first_row
        )
        tables.append(table)
        ledgers.append(ledger)
        first_row += len(table)
    bots = d.bot_events(
        FILTHY.n_bots(USERS), ITEM_IDS, whole.schema, days=DAYS, start_us=START, seed=3
    )
    return pa.concat_tables([*tables, bots]), pa.concat_tables([*ledgers, d.bot_ledger(bots)])


@pytest.fixture(scope="module")
def prepared(soiled, tmp_path_factory) -> tuple[pa.Table, pa.Table]:
    """What cleaning kept of the soiled log, and what it set aside."""
    folder = tmp_path_factory.mktemp("soiled")
    pq.write_table(soiled[0], folder / "events.parquet")
    pq.write_table(pa.table({c.ITEM_ID: ITEM_IDS}), folder / "items.parquet")
    connection = connect(threads=1)
    raw = read_tables(
        {name: Source(folder / f"{name}.parquet") for name in ("events", "items")},
        connection=connection,
    )
    rules = CleaningRules(unknown_items="quarantine")
    prepare_tables(raw, folder / "prepared", rules, now=NOW)
    connection.disconnect()
    kept = pq.read_table(folder / "prepared" / "events.parquet")
    return kept, pq.read_table(folder / "prepared" / "quarantine" / "events.parquet")


def test_the_ledger_says_what_stood_where(soiled):
    events, ledger = soiled
    rows = events.to_pylist()
    assert {line["kind"] for line in ledger.to_pylist()} == {
        *(d.DUPLICATE, d.DOUBLE_CLICK, d.TIME_AHEAD, d.TIME_1970, d.CLOCK_OFF, d.BOT),
        *(d.MISSING_PRICE, d.NEGATIVE_PRICE, d.ABSURD_PRICE, d.UNKNOWN_ITEM),
    }
    for line in of_kind(ledger, d.DUPLICATE):
        assert rows[line["row"]] == rows[int(line["original"])]
    for line in of_kind(ledger, d.DOUBLE_CLICK):
        copy, original = rows[line["row"]], rows[int(line["original"])]
        assert 0 < copy[c.TIME] - original[c.TIME] < SECOND_US
        assert copy | {c.TIME: 0} == original | {c.TIME: 0}
    for line in of_kind(ledger, d.MISSING_PRICE):
        assert rows[line["row"]][c.PRICE] is None
    for line in of_kind(ledger, d.NEGATIVE_PRICE):
        assert rows[line["row"]][c.PRICE] == -float(line["original"])
    for line in of_kind(ledger, d.ABSURD_PRICE):
        assert rows[line["row"]][c.PRICE] == 100 * float(line["original"])
    for line in of_kind(ledger, d.UNKNOWN_ITEM):
        assert line["original"] in ITEM_IDS.to_pylist()
        assert rows[line["row"]][c.ITEM_ID] not in ITEM_IDS.to_pylist()
    for line in of_kind(ledger, d.TIME_AHEAD):
        assert rows[line["row"]][c.TIME] > NOW
    for line in of_kind(ledger, d.TIME_1970):
        assert 0 <= rows[line["row"]][c.TIME] < DAY_US


def test_what_the_ledger_does_not_name_is_as_it_was(soiled):
    events, ledger = soiled
    events = events.filter(pc.is_valid(events[c.SESSION_ID]))  # bots have none
    copies = {line["row"] for line in of_kind(ledger, d.DUPLICATE, d.DOUBLE_CLICK)}
    originals = [at for at in range(len(events)) if at not in copies]
    place = {at: number for number, at in enumerate(originals)}
    rows = events.take(originals).to_pylist()
    for line in ledger.to_pylist():
        if line["row"] is not None and line["row"] not in copies:
            kind = type(rows[place[line["row"]]][line["column"]] or 0.0)
            original = line["original"] if line["column"] == c.ITEM_ID else kind(line["original"])
            rows[place[line["row"]]][line["column"]] = original
    assert rows == log(60_000).to_pylist()


def test_a_wrong_clock_is_off_by_hours_in_all_events_of_its_user(soiled):
    events, ledger = soiled
    lines = of_kind(ledger, d.CLOCK_OFF)
    users = events[c.USER_ID].to_pylist()
    times = events[c.TIME].to_pylist()
    off = {}
    for line in lines:
        shift = times[line["row"]] - int(line["original"])
        assert off.setdefault(users[line["row"]], shift) == shift
        assert HOUR_US <= abs(shift) <= 12 * HOUR_US
        assert shift % HOUR_US == 0
    assert 1 <= len(off) < 0.03 * USERS


def test_rates_are_as_asked(soiled):
    ledger, n = soiled[1], 60_000
    for kind, rate in FILTHY.of_events():
        found = len(of_kind(ledger, kind)) / n
        assert 0.7 * rate < found < 1.2 * rate, kind  # a tenth has no item and no price
    assert len(of_kind(ledger, d.BOT)) == FILTHY.n_bots(USERS) == 4


def test_cleaning_finds_what_can_be_found(soiled, prepared):
    events, ledger = soiled
    reasons = dict(
        zip(*(prepared[1][name].to_pylist() for name in ("_row", "_reason")), strict=True)
    )
    expected = {
        d.DUPLICATE: {j.EXACT_DUPLICATE},
        d.DOUBLE_CLICK: {j.NEAR_DUPLICATE},
        d.TIME_AHEAD: {"time in the future"},
        d.TIME_1970: {"time before 1990"},
        d.NEGATIVE_PRICE: {"negative price"},
        d.UNKNOWN_ITEM: {j.UNKNOWN_ITEM},
        d.ABSURD_PRICE: {"price outlier"},
        d.CLOCK_OFF: set(),
    }
    recall = {}
    for kind, fitting in expected.items():
        rows = [line["row"] + 1 for line in of_kind(ledger, kind)]
        recall[kind] = np.mean([reasons.get(row) in fitting for row in rows])
    for kind in (d.DUPLICATE, d.DOUBLE_CLICK, d.TIME_AHEAD, d.TIME_1970, d.NEGATIVE_PRICE):
        assert recall[kind] >= 0.99, recall
    assert recall[d.UNKNOWN_ITEM] >= 0.99
    dirty = {line["row"] + 1 for line in ledger.to_pylist() if line["row"] is not None}
    bots = {at + 1 for at, user in enumerate(events[c.USER_ID].to_pylist()) if "bot" in user}
    set_aside = set(reasons)
    assert bots <= {row for row, reason in reasons.items() if reason == j.BOT}
    assert len(set_aside & (dirty | bots)) / len(set_aside) > 0.999


def test_cleaning_fills_missing_prices(soiled, prepared):
    kept = prepared[0]
    priced = kept.filter(pc.field(c.ITEM_ID).is_valid())
    missing = len(of_kind(soiled[1], d.MISSING_PRICE))
    filled = pc.sum(pc.invert(priced[c.PRICE_PRESENT])).as_py()
    assert filled == pytest.approx(missing, rel=0.02)
    assert priced[c.PRICE].null_count < 0.01 * missing


def test_no_dirt_changes_nothing():
    clean = log(1_000)
    events, ledger = d.soil_events(clean, Dirt.none(), seed=0)
    assert events.equals(clean)
    assert ledger.num_rows == 0
    assert Dirt.none().n_bots(1_000) == 0
    assert d.bot_events(0, ITEM_IDS, clean.schema, days=9, start_us=START, seed=0).num_rows == 0


def test_the_same_chunk_at_the_same_place_is_soiled_alike():
    chunk = log(5_000)
    once, again = (d.soil_events(chunk, FILTHY, seed=1, first_row=70) for _ in range(2))
    assert once[0].equals(again[0])
    assert once[1].equals(again[1])
    elsewhere = d.soil_events(chunk, FILTHY, seed=1, first_row=71)
    assert not once[0].equals(elsewhere[0])


def test_an_empty_chunk_stays_empty():
    events, ledger = d.soil_events(log(0), FILTHY, seed=0)
    assert events.num_rows == ledger.num_rows == 0


def test_the_log_keeps_its_types(soiled):
    assert soiled[0].schema == log(10).schema


def test_bots_are_spread_over_the_log_and_their_views_in_order_of_time():
    bots = d.bot_events(12, ITEM_IDS, log(1).schema, days=DAYS, start_us=START, seed=0)
    times = bots[c.TIME].to_numpy()
    assert (np.diff(times) >= 0).all()
    assert START <= times.min() < times.max() < START + DAYS * DAY_US
    assert len(set(times // DAY_US)) > 6


# --- items, reviews, images ---------------------------------------------------------------------


def items(n: int = 2_000) -> pa.Table:
    titles = [f"马克杯 {row}" if row % 2 else f"mug {row}" for row in range(n)]
    return pa.table({c.ITEM_ID: list(map(str, range(n))), c.TITLE: titles, c.CATEGORY: ["a"] * n})


def test_items_lose_titles_and_categories_and_chinese_titles_are_misread():
    clean = items()
    table, ledger = d.soil_items(clean, Dirt(wrong_encoding=0.05), seed=0)
    assert table.schema == clean.schema
    changed = set()
    for column in (c.TITLE, c.CATEGORY):
        before, after = clean[column].to_pylist(), table[column].to_pylist()
        changed |= {(row, column) for row in range(len(clean)) if before[row] != after[row]}
    lines = ledger.to_pylist()
    assert changed == {(line["row"], line["column"]) for line in lines}
    assert len(changed) == len(lines)
    for line in lines:
        assert line["original"] == clean[line["column"]][line["row"]].as_py()
    assert 10 <= len(of_kind(ledger, d.MISSING_TITLE)) <= 30
    assert 10 <= len(of_kind(ledger, d.MISSING_CATEGORY)) <= 30
    assert 30 <= len(of_kind(ledger, d.WRONG_ENCODING)) <= 75


def test_misread_texts_are_valid_text_without_nul():
    reviews = pa.table({c.TITLE: ["很好", None] * 300, c.TEXT: ["质量不错，喜欢 😊", "fine"] * 300})
    spared = np.arange(600) < 100
    table, ledger = d.soil_reviews(reviews, Dirt(wrong_encoding=0.5), seed=0, spared=spared)
    assert table.num_rows == 600
    assert {line["column"] for line in ledger.to_pylist()} == {c.TITLE, c.TEXT}
    for line in ledger.to_pylist():
        text = table[line["column"]][line["row"]].as_py()
        assert line["row"] >= 100
        assert line["original"] != text
        assert "\0" not in text
        assert text.encode("utf-8").decode("utf-8") == text


def test_broken_images_are_short_empty_or_of_another_type(tmp_path: Path):
    from PIL import Image

    jpeg = io.BytesIO()
    noise = rng(0, "noise").integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(jpeg, format="JPEG")
    names = [f"{number}.jpg" for number in range(300)]
    for name in names:
        (tmp_path / name).write_bytes(jpeg.getvalue())
    ledger = d.break_images(tmp_path, names, Dirt(broken_images=0.2), seed=0)
    kinds = {line["original"]: line["kind"] for line in ledger.to_pylist()}
    assert 40 < len(kinds) < 80
    assert set(kinds.values()) == {d.TRUNCATED_IMAGE, d.OTHER_IMAGE, d.EMPTY_IMAGE}
    for name in names:
        content = (tmp_path / name).read_bytes()
        match kinds.get(name):
            case None:
                assert content == jpeg.getvalue()
            case d.TRUNCATED_IMAGE:
                assert 0 < len(content) < len(jpeg.getvalue())
                assert jpeg.getvalue().startswith(content)
            case d.OTHER_IMAGE:
                assert content.startswith(b"\x89PNG")
            case d.EMPTY_IMAGE:
                assert content == b""


# --- errors and speed ---------------------------------------------------------------------------


@pytest.mark.parametrize("rates", [{"bots": -0.1}, {"broken_images": 1.5}, {"duplicates": 0.99}])
def test_impossible_rates_are_refused(rates):
    with pytest.raises(ConfigError, match=r"^dirt: .*(expected|may be 1)"):
        Dirt(**rates)


@pytest.mark.parametrize("column", [c.USER_ID, c.ITEM_ID])
def test_plain_ids_are_refused(column):
    events = log(10)
    plain = events[column].cast(pa.string())
    events = events.set_column(events.column_names.index(column), column, plain)
    with pytest.raises(DataError, match=f"{column}.*expected a dictionary"):
        d.soil_events(events, FILTHY, seed=0)


def test_a_million_events_are_soiled_in_a_second():
    events = log(1_000_000)
    start = time.process_time()
    d.soil_events(events, Dirt(), seed=0)
    assert time.process_time() - start < 1.0
