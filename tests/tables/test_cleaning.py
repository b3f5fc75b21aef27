"""Cleaning: nothing is lost, every reason fits, and the past alone fills gaps."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, DataError
from shoploom.core.time import DAY_US, HOUR_US, MINUTE_US, SECOND_US, to_us
from shoploom.tables.bounds import Bound, Bounds
from shoploom.tables.cleaning import EVENT_COLUMNS, EVENT_ORDER, Cleaned, clean
from shoploom.tables.raw import RawTables
from shoploom.tables.rules import CleaningRules

NOON = to_us("2024-05-01T12:00")
NOW = to_us("2024-06-01")

TYPES = {
    c.USER_ID: pa.string(),
    c.TIME: pa.int64(),
    c.ACTION: pa.string(),
    c.ITEM_ID: pa.string(),
    c.PRICE: pa.float64(),
    c.QUANTITY: pa.float64(),
    c.SESSION_ID: pa.string(),
    c.QUERY: pa.string(),
    c.FILE: pa.string(),
    c.ROW: pa.int64(),
    c.PRICE_PRESENT: pa.bool_(),
    c.QUANTITY_PRESENT: pa.bool_(),
    c.RATING: pa.float64(),
    c.PROPENSITY: pa.float64(),
    c.COST: pa.float64(),
}


@pytest.fixture(scope="module")
def con() -> Iterator[ibis.BaseBackend]:
    connection = ibis.duckdb.connect(threads=1)
    yield connection
    connection.disconnect()


def kept_in(con):
    """A stage that computes once and keeps the result in memory."""

    def stage(expr: ibis.Table, name: str = "raw") -> ibis.Table:
        name = ibis.util.gen_name(name)
        con.con.register(name, expr if isinstance(expr, pa.Table) else expr.to_pyarrow())
        return con.table(name)

    return stage


def table(con, rows: list[dict]) -> ibis.Table:
    """A table of the given rows; a column is there when some row names it."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {
        name: pa.array([row.get(name) for row in rows], TYPES.get(name, pa.string()))
        for name in names
    }
    return kept_in(con)(pa.table(columns))


def event(
    user: str | None = "u",
    at: int = 0,
    action: str | None = c.VIEW,
    item: str | None = "i",
    **more,
):
    """An event ``at`` microseconds after noon."""
    return {c.USER_ID: user, c.TIME: NOON + at, c.ACTION: action, c.ITEM_ID: item, **more}


def cleaned(con, rows: list[dict], rules: CleaningRules | None = None, **more) -> Cleaned:
    raw = RawTables({"events": table(con, rows), **more.pop("tables", {})})
    return clean(raw, rules or CleaningRules(), now=NOW, stage=kept_in(con), **more)


def rows_of(expr: ibis.Table) -> list[dict]:
    return expr.order_by([n for n in EVENT_ORDER if n in expr.columns]).to_pyarrow().to_pylist()


def reasons_of(result: Cleaned, name: str = "events") -> list[str]:
    return sorted(row[c.REASON] for row in result.quarantine[name].to_pyarrow().to_pylist())


# --- reasons ----------------------------------------------------------------------------------


IMPOSSIBLE = [
    (event(user=None), "no user_id"),
    (event(user=""), "no user_id"),
    ({**event(), c.TIME: None}, "no time"),
    (event(action=None), "no action"),
    (event(action="dance"), "unknown action"),
    ({**event(), c.TIME: to_us("1989-12-31")}, "time before 1990"),
    ({**event(), c.TIME: NOW + 1}, "time in the future"),
    (event(price=-1.0), "negative price"),
    (event(price=math.inf), "infinite price"),
    (event(quantity=-2.0), "negative quantity"),
    (event(user=None, action="dance", price=-1.0), "no user_id"),
]


def test_an_impossible_row_is_set_aside_with_the_first_reason_that_fits(con):
    rows = [{**row, c.ROW: number} for number, (row, _) in enumerate(IMPOSSIBLE)]
    result = cleaned(con, [event(user="good", _row=99), *rows])
    lost = result.quarantine["events"].to_pyarrow().to_pylist()
    found = {row[c.ROW]: row[c.REASON] for row in lost}
    assert found == {number: reason for number, (_, reason) in enumerate(IMPOSSIBLE)}
    assert result.reasons["events"][None] == 1


def test_an_odd_but_possible_row_is_kept(con):
    rows = [
        event("a", price=0.0),
        event("b", price=None, quantity=None),
        event("c", price=math.nan),
        event("d", item=None),
        {**event("e"), c.TIME: NOW},
        {**event("f"), c.TIME: to_us("1990-01-01")},
    ]
    assert reasons_of(cleaned(con, rows)) == []


def test_an_exact_copy_is_set_aside_and_the_first_row_stays(con):
    rows = [event(price=2.0, _file="a.csv", _row=row) for row in (3, 1, 2)]
    result = cleaned(con, rows)
    assert reasons_of(result) == ["exact duplicate"] * 2
    lost = result.quarantine["events"].to_pyarrow().to_pylist()
    assert sorted(row[c.ROW] for row in lost) == [2, 3]


def test_the_same_act_within_a_second_is_a_near_duplicate(con):
    times = [0, SECOND_US, 2 * SECOND_US, 4 * SECOND_US]
    rows = [event(at=at, session_id=f"s{at}") for at in times]
    result = cleaned(con, rows)
    assert reasons_of(result) == ["near duplicate"] * 2
    assert [row[c.TIME] - NOON for row in rows_of(result.tables.events)] == [0, 4 * SECOND_US]


def test_acts_that_differ_are_no_duplicates(con):
    first = event(price=2.0, quantity=1.0, query="coats")
    others = [
        {c.ITEM_ID: "j"},
        {c.ACTION: c.CART},
        {c.PRICE: 3.0},
        {c.QUANTITY: 2.0},
        {c.USER_ID: "v"},
        {c.QUERY: "tea"},
    ]
    assert reasons_of(cleaned(con, [first, *({**first, **other} for other in others)])) == []


def test_near_duplicates_can_be_kept(con):
    rows = [event(), event(at=1), event(at=1)]
    result = cleaned(con, rows, CleaningRules(near_duplicate_seconds=0))
    assert reasons_of(result) == ["exact duplicate"]


def test_a_row_that_is_set_aside_makes_no_duplicate(con):
    first = to_us("1990-01-01")
    rows = [{**event(), c.TIME: first - 1}, {**event(), c.TIME: first}]
    assert reasons_of(cleaned(con, rows)) == ["time before 1990"]


def test_a_bot_loses_all_of_its_events(con):
    rules = CleaningRules(max_events_per_hour=20)
    clicks = [event("bot", at=at * 2 * SECOND_US) for at in range(21)]
    rows = [*clicks, event("bot", at=-3 * DAY_US), event("human")]
    result = cleaned(con, rows, rules)
    assert reasons_of(result) == ["bot"] * 22
    assert result.bots.to_pyarrow().to_pylist() == [
        {c.USER_ID: "bot", "events": 22, "max_per_hour": 21, "max_per_day": 21}
    ]


def test_a_steady_bot_is_found_by_the_day(con):
    rules = CleaningRules(max_events_per_hour=20, max_events_per_day=50)
    rows = [event("bot", at=at * 5 * MINUTE_US) for at in range(100)]
    assert reasons_of(cleaned(con, [*rows, event("human")], rules)) == ["bot"] * 100


def test_a_large_basket_makes_no_bot(con):
    rules = CleaningRules(max_events_per_hour=20)
    rows = [event(action=c.PURCHASE, item=f"i{line}") for line in range(300)]
    assert reasons_of(cleaned(con, rows, rules)) == []


def test_outliers_lie_outside_generous_fences(con):
    prices = [float(1 + i % 10) for i in range(200)]
    rows = [event(item=f"i{i}", price=price) for i, price in enumerate(prices)]
    odd = [0.0, 0.05, 0.2, 80.0, 1e6]
    rows += [event(item=f"odd{price}", price=price) for price in odd]
    result = cleaned(con, rows)
    lost = result.quarantine["events"].to_pyarrow().to_pylist()
    assert sorted(row[c.PRICE] for row in lost) == [0.05, 1e6]
    assert {row[c.REASON] for row in lost} == {"price outlier"}


def test_few_values_give_no_bounds(con):
    rows = [event(item=f"i{i}", price=1.0) for i in range(50)] + [event(item="x", price=1e9)]
    result = cleaned(con, rows)
    assert reasons_of(result) == []
    assert result.bounds.columns[c.PRICE].high is None


def test_stored_bounds_win_over_new_ones(con):
    bounds = Bounds({c.PRICE: Bound(1.0, 2.0, "by hand")})
    rows = [event(item=f"i{price}", price=price) for price in (0.5, 1.0, 2.0, 2.5)]
    result = cleaned(con, rows, bounds=bounds)
    assert reasons_of(result) == ["price outlier"] * 2
    assert result.bounds is bounds


def in_two_units() -> list[dict]:
    """Two hundred tins by the piece, and fuel by the thousandth of a gallon."""
    tins = [
        event("u", n * HOUR_US, c.PURCHASE, f"tin{n}", price=1.0 + n % 5, quantity=1.0 + n % 3)
        for n in range(2_000)
    ]
    fuel = [
        event("v", n * HOUR_US, c.PURCHASE, "fuel", price=0.01, quantity=1e4 + 100 * n)
        for n in range(12)
    ]
    return [row | {c.TIME: row[c.TIME] - 100 * DAY_US} for row in tins + fuel]


def test_an_item_sold_in_another_unit_is_kept(con):
    result = cleaned(con, in_two_units())
    assert reasons_of(result) == []
    bound = result.bounds.columns[c.QUANTITY]
    assert bound.high is not None
    assert bound.high < 1e4
    assert bound.items == {"fuel": (None, 110_000.0)}


def test_an_item_with_its_own_range_still_has_outliers(con):
    rows = [*in_two_units(), event("w", action=c.PURCHASE, item="fuel", price=0.01, quantity=1e7)]
    assert reasons_of(cleaned(con, rows)) == ["quantity outlier"]


def test_an_odd_quantity_of_plausible_worth_is_kept(con):
    many = event("w", action=c.PURCHASE, item="corn", price=0.1, quantity=120.0)
    dear = event("w", action=c.PURCHASE, item="soup", price=5.0, quantity=9999.0)
    result = cleaned(con, [*in_two_units(), many, dear])
    lost = result.quarantine["events"].to_pyarrow().to_pylist()
    assert [(row[c.ITEM_ID], row[c.REASON]) for row in lost] == [("soup", "quantity outlier")]


def test_cleaning_again_with_the_items_own_ranges_changes_nothing(con):
    once = cleaned(con, in_two_units())
    bounds = Bounds.from_json(once.bounds.to_json())
    again = cleaned(con, rows_of(once.tables.events), bounds=bounds)
    assert reasons_of(again) == []
    assert rows_of(again.tables.events) == rows_of(once.tables.events)


def test_bounds_survive_json():
    bounds = Bounds({c.PRICE: Bound(1.0, None, "by hand", {"fuel": (None, 3.0)})})
    assert Bounds.from_json(bounds.to_json()) == bounds
    with pytest.raises(DataError, match=r"expected .*low.*got"):
        Bounds.from_json({c.PRICE: {"lowest": 1}})


def test_unknown_ids_are_kept_unless_the_rules_say_otherwise(con):
    rows = [event("u1", item="i1"), event("u2", item="i2"), event("u1", item=None)]
    tables = {
        "items": table(con, [{c.ITEM_ID: "i1"}]),
        "users": table(con, [{c.USER_ID: "u1"}]),
    }
    assert reasons_of(cleaned(con, rows, tables=tables)) == []
    rules = CleaningRules(unknown_items="quarantine")
    assert reasons_of(cleaned(con, rows, rules, tables=tables)) == ["unknown item"]
    rules = CleaningRules(unknown_users="quarantine")
    assert reasons_of(cleaned(con, rows, rules, tables=tables)) == ["unknown user"]


def test_the_fullest_row_of_an_item_stays(con):
    items = [
        {c.ITEM_ID: "a", c.TITLE: "old", c.ROW: 1},
        {c.ITEM_ID: "a", c.TITLE: "full", c.BRAND: "b", c.ROW: 2},
        {c.ITEM_ID: "a", c.TITLE: "late", c.ROW: 3},
        {c.ITEM_ID: "b", c.TITLE: "first", c.ROW: 4},
        {c.ITEM_ID: "b", c.TITLE: "last", c.ROW: 5},
        {c.ITEM_ID: "b", c.TITLE: "last", c.ROW: 6},
        {c.ITEM_ID: "d", c.PRICE: -1.0, c.ROW: 7},
    ]
    result = cleaned(con, [event()], tables={"items": table(con, items)})
    assert result.tables.items is not None
    kept = result.tables.items.order_by(c.ITEM_ID).to_pyarrow()
    assert kept[c.TITLE].to_pylist() == ["full", "last"]
    assert reasons_of(result, "items") == [
        *["duplicate id"] * 3,
        "exact duplicate",
        "negative price",
    ]


def test_other_tables_are_judged_by_the_same_reasons(con):
    review = {c.USER_ID: "u", c.ITEM_ID: "i", c.TIME: NOON, c.RATING: 5.0}
    shown = {c.USER_ID: "u", c.TIME: NOON, c.ARM: "a", c.PROPENSITY: 0.5}
    tables = {
        "reviews": table(con, [review, review, {**review, c.RATING: 11.0}]),
        "exposures": table(con, [shown, {**shown, c.PROPENSITY: 0.0}, {**shown, c.ARM: None}]),
        "offers": table(con, [{c.ITEM_ID: "i", c.TIME: NOW + 1, c.PRICE: 1.0}]),
    }
    result = cleaned(con, [event()], tables=tables)
    assert reasons_of(result, "reviews") == ["exact duplicate", "rating out of range"]
    assert reasons_of(result, "exposures") == ["no arm", "propensity out of range"]
    assert reasons_of(result, "offers") == ["time in the future"]


# --- repairs ----------------------------------------------------------------------------------


def test_a_missing_price_comes_from_the_past_of_the_item_alone(con):
    rows = [
        event(at=1, price=None),
        event(at=2, price=5.0),
        event("v", at=2, price=6.0),
        event("w", at=2, price=None),
        event(at=3, price=None),
        event(at=4, price=1.0),
        event(at=5, item="j", price=None),
        event(at=6, item=None, price=None),
    ]
    result = cleaned(con, rows, CleaningRules(near_duplicate_seconds=0))
    found = {
        (row[c.TIME] - NOON, row[c.USER_ID]): (row[c.PRICE], row[c.PRICE_PRESENT])
        for row in rows_of(result.tables.events)
    }
    assert found == {
        (1, "u"): (None, False),
        (2, "u"): (5.0, True),
        (2, "v"): (6.0, True),
        (2, "w"): (None, False),
        (3, "u"): (6.0, False),
        (4, "u"): (1.0, True),
        (5, "u"): (None, False),
        (6, "u"): (None, False),
    }


def test_a_price_that_was_set_aside_fills_no_gap(con):
    rows = [event(price=-5.0), event(at=9, price=None), event("v", at=20, price=3.0)]
    kept = rows_of(cleaned(con, rows).tables.events)
    assert [row[c.PRICE] for row in kept] == [None, 3.0]


def test_a_missing_quantity_of_a_purchase_is_one(con):
    rows = [event(action=c.PURCHASE), event(), event(action=c.PURCHASE, item="j", quantity=3.0)]
    found = [
        (row[c.ACTION], row[c.QUANTITY], row[c.QUANTITY_PRESENT])
        for row in rows_of(cleaned(con, rows).tables.events)
    ]
    assert found == [(c.PURCHASE, 1.0, False), (c.VIEW, None, False), (c.PURCHASE, 3.0, True)]


def test_a_pause_of_more_than_half_an_hour_ends_a_session(con):
    minutes = [0, 30, 61, 61, 200]
    rows = [event(at=m * MINUTE_US, item=f"i{i}") for i, m in enumerate(minutes)]
    found = [row[c.SESSION_ID] for row in rows_of(cleaned(con, rows).tables.events)]
    assert found == ["u-1", "u-1", "u-2", "u-2", "u-3"]


def test_sessions_that_the_shop_gives_stay(con):
    rows = [event(session_id="mine"), event(at=HOUR_US, session_id=None)]
    result = cleaned(con, rows)
    assert [row[c.SESSION_ID] for row in rows_of(result.tables.events)] == ["mine", "u-2"]
    assert result.sessions_found == 1


def test_clean_events_always_have_the_same_columns(con):
    rows = [{c.USER_ID: "u", c.TIME: NOON, c.ACTION: c.SEARCH, c.QUERY: "tea"}]
    result = cleaned(con, rows)
    assert result.tables.events.columns == (*EVENT_COLUMNS, c.QUERY)
    assert result.tables.events.schema()[c.PRICE].is_float64()


# --- properties -------------------------------------------------------------------------------

_NUMBERS = st.sampled_from([None, -1.0, 0.0, 1.0, 2.0, math.nan, math.inf])
_EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            c.USER_ID: st.sampled_from(["u", "v", "", None]),
            c.TIME: st.one_of(
                st.sampled_from([None, 0, NOW + 1]),
                st.integers(0, 6).map(lambda step: NOON + step * SECOND_US // 2),
                st.integers(0, 6).map(lambda step: NOON + step * 20 * MINUTE_US),
            ),
            c.ACTION: st.sampled_from([c.VIEW, c.PURCHASE, "dance"]),
            c.ITEM_ID: st.sampled_from(["i", "j", None]),
            c.PRICE: _NUMBERS,
            c.QUANTITY: _NUMBERS,
            c.SESSION_ID: st.sampled_from([None, "s"]),
        }
    ),
    min_size=10,
    max_size=40,
)
_PROPERTY = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
_RULES = CleaningRules(max_events_per_hour=6)
_GOOD = event("good")


@_PROPERTY
@given(_EVENTS)
def test_every_row_is_kept_or_set_aside(con, rows):
    result = cleaned(con, [_GOOD, *rows], _RULES)
    kept, lost = result.tables.events.to_pyarrow(), result.quarantine["events"].to_pyarrow()
    assert len(kept) + len(lost) == len(rows) + 1
    assert lost[c.REASON].null_count == 0

    def keys(rows: list[dict]) -> Counter:
        return Counter(tuple(row[n] for n in (c.USER_ID, c.TIME, c.ACTION)) for row in rows)

    assert keys(kept.to_pylist()) + keys(lost.to_pylist()) == keys([_GOOD, *rows])


@_PROPERTY
@given(_EVENTS, st.booleans())
def test_cleaning_twice_equals_cleaning_once(con, rows, with_stored_bounds):
    once = cleaned(con, [_GOOD, *rows], _RULES)
    first = rows_of(once.tables.events)
    again = cleaned(con, first, _RULES, bounds=once.bounds if with_stored_bounds else None)
    assert reasons_of(again) == []
    assert rows_of(again.tables.events) == first


@_PROPERTY
@given(_EVENTS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(con, rows, random):
    shuffled = random.sample(rows, len(rows))
    a, b = (cleaned(con, [_GOOD, *order], _RULES) for order in (rows, shuffled))
    assert rows_of(a.tables.events) == rows_of(b.tables.events)
    assert a.reasons == b.reasons


# --- errors -----------------------------------------------------------------------------------


def test_no_events_table_is_an_error(con):
    raw = RawTables({"items": table(con, [{c.ITEM_ID: "i"}])})
    with pytest.raises(DataError, match="expected a table named events, got items"):
        clean(raw, now=NOW)


def test_no_events_left_is_an_error_that_names_the_reasons(con):
    rows = [event(price=-1.0), event(price=-2.0), {**event(), c.TIME: 5}]
    with pytest.raises(DataError, match=r"none of 3: negative price \(2\), time before 1990 \(1\)"):
        cleaned(con, rows)


@pytest.mark.parametrize(
    "setting",
    [
        {"session_gap_minutes": 0},
        {"near_duplicate_seconds": -1},
        {"max_events_per_day": 0},
        {"unknown_items": "drop"},
        {"earliest": "long ago"},
    ],
)
def test_impossible_rules_are_refused(setting):
    with pytest.raises(ConfigError, match="expected"):
        CleaningRules(**setting)


def test_a_shop_of_one_event_is_clean(con):
    assert len(rows_of(cleaned(con, [event()]).tables.events)) == 1
