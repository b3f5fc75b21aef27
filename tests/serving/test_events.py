"""Events are read strictly, and what is wrong with them is said in full."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoploom.core import columns as c
from shoploom.core.time import to_us
from shoploom.serving.events import Event, key_of, read_events
from shoploom.serving.texts import read_message, read_review

NOW = to_us("2026-11-28T12:00:00")


def one(**fields: object) -> Event | str:
    said = {"event_id": "e", c.USER_ID: "u", c.ACTION: c.VIEW} | fields
    events, rejected = read_events([{k: v for k, v in said.items() if v != "gone"}], NOW)
    return events[0] if events else rejected[0].reason


def test_an_event_is_read_with_all_that_it_says():
    found = one(time="2026-11-28T19:00:00+08:00", item_id="i", price=9.5, quantity=2, query="tea")
    assert isinstance(found, Event)
    assert found.time == to_us("2026-11-28T11:00:00")
    assert (found.key, found.user_id, found.item_id) == (key_of("e"), "u", "i")
    assert (found.price, found.quantity, found.query) == (9.5, 2, "tea")
    assert c.ACTIONS[found.action] == c.VIEW


def test_an_event_without_a_time_is_of_now():
    assert one().time == NOW
    assert one(time=NOW - 5).time == NOW - 5


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"event_id": "gone"},
            "event_id: expected text of 1 to 200 printable letters, got nothing",
        ),
        ({c.USER_ID: 7}, "user_id: expected text"),
        ({c.USER_ID: ""}, "user_id: expected text"),
        ({c.USER_ID: "a\nb"}, "user_id: expected text"),
        ({c.USER_ID: "a" * 201}, "user_id: expected text"),
        ({c.ACTION: "purchse"}, "Did you mean 'purchase'?"),
        ({c.ACTION: None}, "action: expected one of view, cart"),
        ({c.TIME: "yesterday"}, "time: expected ISO 8601 text"),
        ({c.TIME: "2031-01-01"}, "time: expected a moment up to now"),
        ({c.TIME: "1970-01-01"}, "time: expected a moment up to now"),
        ({c.TIME: 10**30}, "time: expected a moment up to now"),
        ({c.TIME: True}, "time: expected ISO 8601 text"),
        ({c.PRICE: -1}, "price: expected a number from 0 to 1e+09, got -1"),
        ({c.PRICE: "9"}, "price: expected a number"),
        ({c.PRICE: True}, "price: expected a number"),
        ({c.QUANTITY: 0}, "quantity: expected a number"),
        ({c.ITEM_ID: 5}, "item_id: expected text"),
        ({c.QUERY: "x" * 2001}, "query: expected a text of at most 2,000 letters"),
        ({c.QUERY: "a\0b"}, "query: expected a text"),
        ({"usr": 1}, "no field is named 'usr'"),
        ({"user": 1}, "Did you mean 'user_id'?"),
    ],
)
def test_what_is_wrong_is_said(fields: dict, said: str):
    found = one(**fields)
    assert isinstance(found, str)
    assert said in found


def test_the_others_of_a_batch_are_kept():
    good = {"event_id": "a", c.USER_ID: "u", c.ACTION: c.VIEW}
    events, rejected = read_events([good, "nonsense", good | {c.PRICE: -1, "event_id": "b"}], NOW)
    assert [event.key for event in events] == [key_of("a")]
    assert [(each.place, each.event_id) for each in rejected] == [(1, None), (2, "b")]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(["event_id", c.USER_ID, c.ACTION, c.TIME, c.PRICE, c.ITEM_ID, c.QUERY])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.dictionaries(NAMES, ANYTHING | st.just(c.VIEW), max_size=7) | ANYTHING, max_size=4)
)
def test_whatever_comes_is_an_event_or_a_reason(given_values: list):
    events, rejected = read_events(given_values, NOW)
    assert len(events) + len(rejected) == len(given_values)
    assert all(each.reason.endswith((".", "?")) for each in rejected)
    assert all(
        np.isfinite(event.price or 0) and event.time <= NOW + 5 * 60 * 10**6 for event in events
    )


def test_texts_are_read_like_events():
    review = {"review_id": "r", c.USER_ID: "u", c.ITEM_ID: "i", c.TEXT: "Good", c.RATING: 4}
    found = read_review(review, NOW)
    assert (found.text, found.rating, found.time) == ("Good", 4.0, NOW)
    assert "rating: expected a number from 1 to 5" in read_review(review | {c.RATING: 9}, NOW)
    assert "text: expected a text" in read_review(review | {c.TEXT: "  "}, NOW)
    message = {"message_id": "m", "dialogue_id": "d", c.USER_ID: "u", c.TEXT: "Hello"}
    assert read_message(message, NOW).role == c.CUSTOMER
    assert "role: expected customer or agent" in read_message(message | {c.ROLE: "boss"}, NOW)
    assert "Did you mean 'text'?" in read_message(message | {"txt": 1}, NOW)
    assert json.dumps(read_message(message, NOW)._asdict(), default=str)
