"""Readings say what a label means; mentions say what a clause is about."""

from __future__ import annotations

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoploom.core import columns as c
from shoploom.core.errors import DataError, UnknownName
from shoploom.tables import Tables
from shoploom.tasks.content import READINGS, make_reading
from shoploom.tasks.content.aspects import ASPECTS, clauses, find_mentions

REVIEWS = {
    c.USER_ID: ["u3", "u1", "u2", "u1", "u4"],
    c.ITEM_ID: ["i1", "i1", "i2", "i3", "i3"],
    c.TIME: [30, 10, 20, 40, 50],
    c.RATING: [5.0, 1.0, 3.0, None, 2.0],
    c.TITLE: ["Lovely", None, "", "Hm", None],
    c.TEXT: ["Fits well.", "Too big.", "OK", None, "  "],
}
DIALOGUES = {
    c.DIALOGUE_ID: ["d1", "d1", "d2"],
    c.USER_ID: ["u1", "u1", "u2"],
    c.TIME: [1, 2, 3],
    c.ROLE: ["customer", "agent", "customer"],
    c.TEXT: ["Where is it?", "On its way.", "Thanks!"],
    c.INTENT: ["delivery", None, "praise"],
    c.EMOTION: ["worried", None, None],
}
ITEMS = {
    c.ITEM_ID: ["i1", "i2", "i3"],
    c.TITLE: ["Red shoe", "Lamp", "Blue shoe"],
    c.CATEGORY: ["clothing > shoes", "home > lamps", None],
}


@pytest.fixture(scope="module")
def tables():
    con = ibis.duckdb.connect()
    made = {
        name: con.create_table(name, pa.table(columns))
        for name, columns in {"reviews": REVIEWS, "dialogues": DIALOGUES, "items": ITEMS}.items()
    }
    made["events"] = con.create_table("events", pa.table({c.USER_ID: ["u1"], c.TIME: [1]}))
    yield Tables(**made)
    con.disconnect()


def test_reviews_come_by_time_with_their_title_first(tables):
    examples = make_reading("sentiment").examples(tables)
    assert examples.texts.tolist() == ["Too big.", "OK", "Lovely. Fits well.", "Hm"]
    assert examples.users.tolist() == ["u1", "u2", "u3", "u1"]
    assert examples.keys.tolist() == ["i1", "i2", "i1", "i3"]


def test_stars_between_the_bounds_and_missing_ones_tell_nothing(tables):
    assert make_reading("sentiment").examples(tables).labels.tolist() == [0, -1, 1, -1]


def test_bounds_are_settings(tables):
    examples = make_reading("sentiment", positive_from=3).examples(tables)
    assert examples.labels.tolist() == [0, 1, 1, -1]


def test_a_rating_keeps_its_order(tables):
    examples = make_reading("rating").examples(tables)
    assert examples.labels.tolist() == [0, 2, 4, -1]
    assert make_reading("rating").label(np.array([0.0, 4.4, 6.0, np.nan])).tolist() == [
        -1,
        3,
        -1,
        -1,
    ]


def test_only_customers_are_read(tables):
    examples = make_reading("intent").examples(tables)
    assert examples.texts.tolist() == ["Where is it?", "Thanks!"]
    assert examples.names == ("delivery", "praise")
    assert make_reading("emotion").examples(tables).labels.tolist() == [0, -1]


def test_an_item_without_a_category_is_an_unlabelled_example(tables):
    examples = make_reading("attributes", level=1).examples(tables)
    assert examples.names == ("clothing", "home")
    assert dict(zip(examples.keys, examples.labels, strict=True)) == {"i1": 0, "i2": 1, "i3": -1}


@pytest.mark.parametrize("name", ["sentiment", "rating", "intent", "emotion"])
def test_rewriting_the_future_moves_no_past_example(tables, name):
    at = 25
    everything = make_reading(name).examples(tables)
    past = make_reading(name).examples(tables.as_of(at))
    seen = everything.take(everything.times < at)
    assert past.texts.tolist() == seen.texts.tolist()
    assert past.labels.tolist() == seen.labels.tolist()


@pytest.mark.parametrize("name", READINGS.names())
def test_a_missing_table_is_told(tables, name):
    with pytest.raises(DataError, match=f"reading '{name}': expected a table .*shop.yaml"):
        make_reading(name).examples(Tables(events=tables.events))


def test_unknown_readings_and_settings_are_told():
    with pytest.raises(UnknownName, match="Did you mean 'sentiment'"):
        make_reading("sentimnet")
    with pytest.raises(UnknownName, match="no setting is named 'positive'"):
        make_reading("sentiment", positive=3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Lovely colour, but it arrived late.", {"looks", "delivery"}),
        ("Customer service never replied", {"service"}),
        ("面料很舒服，就是有点贵", {"quality", "comfort", "value"}),
        ("物流很快 客服态度差", {"delivery", "service"}),
        ("the box is sturdy", {"delivery"}),  # a hint yields to a word that is plain
        ("very sturdy", {"quality"}),
        ("I rarely write reviews", set()),
        ("", set()),
    ],
)
def test_clauses_are_about_what_their_words_say(text, said):
    assert {ASPECTS[aspect] for aspect in find_mentions([text]).aspects} == said


def test_mentions_know_their_text_and_clause():
    found = find_mentions(["nothing", "Ugly colour. Cheap price!"])
    assert found.texts.tolist() == [1, 1]
    assert found.clauses.tolist() == ["Ugly colour", "Cheap price"]


def test_numbers_are_not_cut():
    assert clauses("It cost 3.50, twice!") == ["It cost 3.50", "twice"]


@given(st.lists(st.text(max_size=40), max_size=5))
def test_any_text_is_read(texts):
    found = find_mentions(texts)
    assert all(clause in texts[row] for row, clause in zip(found.texts, found.clauses, strict=True))
