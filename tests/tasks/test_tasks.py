from __future__ import annotations

import numpy as np
import pytest

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, DataError, UnknownName
from shoploom.tables import Tables
from shoploom.tasks import Questions, Ragged, make_task
from tests.tiny import day, tables

CATEGORIES = {"tea": "food > tea", "jam": "food > jam", "hat": "wear > hats", "new": "toys"}
AT = day(100)
ROWS = [
    # The past: ann and bob are customers, cyd looks only, dan came long ago.
    ("ann", 90, c.PURCHASE, "tea", 2.0, 1.0, "a1"),
    ("bob", 50, c.PURCHASE, "hat", 5.0, 1.0, "b1"),
    ("bob", 95, c.VIEW, "jam", 3.0, None, "b2"),
    ("cyd", 99, c.VIEW, "hat", 5.0, None, "c1"),
    ("dan", 10, c.PURCHASE, "jam", 3.0, 1.0, "d1"),
    # The window begins at the moment itself and ends just before its end.
    ("ann", 100, c.PURCHASE, "tea", 2.5, 3.0, "a2"),
    ("ann", 101, c.PURCHASE, "hat", 5.0, None, "a2"),
    ("ann", 103, c.PURCHASE, "hat", 5.0, 1.0, None),
    ("ann", 103.5, c.PURCHASE, "jam", None, 1.0, None),
    ("cyd", 104, c.PURCHASE, "new", 0.1, 3.0, "c2"),
    ("bob", 105, c.VIEW, "tea", 2.0, None, "b3"),
    ("dan", 128, c.PURCHASE, "tea", 2.0, 1.0, "d2"),
    ("eve", 110, c.PURCHASE, "tea", 2.0, 1.0, "e1"),
]


@pytest.fixture(scope="module")
def tiny() -> Tables:
    return tables(ROWS, CATEGORIES)


def truth(questions: Questions) -> dict[str, float]:
    assert isinstance(questions.answers, np.ndarray)
    return dict(zip(questions.users.tolist(), questions.answers.tolist(), strict=True))


def rankings(questions: Questions) -> dict[str, list[str]]:
    assert isinstance(questions.answers, Ragged)
    lists = np.split(questions.answers.values, questions.answers.offsets[1:-1])
    return {
        user: items.tolist() for user, items in zip(questions.users.tolist(), lists, strict=True)
    }


def test_next_items_are_distinct_and_in_order_of_purchase(tiny: Tables):
    assert rankings(make_task("next_item").ask(tiny, AT)) == {
        "ann": ["tea", "hat", "jam"],
        "cyd": ["new"],
    }


def test_without_repeats_items_met_before_are_no_answers(tiny: Tables):
    questions = make_task("next_item", repeat=False).ask(tiny, AT)
    assert questions.exclude_seen
    assert rankings(questions) == {"ann": ["hat", "jam"], "cyd": ["new"]}


def test_next_item_may_be_about_another_action(tiny: Tables):
    assert rankings(make_task("next_item", action=c.VIEW).ask(tiny, AT)) == {"bob": ["tea"]}


def test_next_item_without_any_such_action_is_an_error_that_names_the_setting(tiny: Tables):
    with pytest.raises(DataError, match=r"'watch' for task 'next_item'.*set the task's action"):
        make_task("next_item", action=c.WATCH).ask(tiny, AT)


def test_next_item_in_a_quiet_window_asks_nobody(tiny: Tables):
    questions = make_task("next_item").ask(tiny, day(60))
    assert len(questions) == len(questions.answers) == 0  # type: ignore[arg-type]


def test_next_item_refuses_an_unknown_action():
    with pytest.raises(UnknownName, match="Did you mean 'purchase'"):
        make_task("next_item", action="purchse")


def test_purchase_is_asked_to_recent_visitors(tiny: Tables):
    assert truth(make_task("purchase").ask(tiny, AT)) == {"ann": 1, "bob": 0, "cyd": 1}
    everybody = truth(make_task("purchase", active_days=None).ask(tiny, AT))
    assert everybody == {"ann": 1, "bob": 0, "cyd": 1, "dan": 0}


def test_the_window_ends_before_its_end(tiny: Tables):
    longer = make_task("purchase", active_days=None, window_days=29).ask(tiny, AT)
    assert truth(longer)["dan"] == 1


def test_churn_is_asked_to_recent_customers_only(tiny: Tables):
    assert truth(make_task("churn").ask(tiny, AT)) == {"ann": 0, "bob": 1}
    assert truth(make_task("churn", active_days=20).ask(tiny, AT)) == {"ann": 0}


def test_spend_is_money_of_the_window(tiny: Tables):
    # 3 x 2.50 + 1 x 5.00 (no quantity) + 5.00 + nothing known
    assert truth(make_task("spend").ask(tiny, AT)) == {"ann": 17.5, "bob": 0, "dan": 0}


def test_spend_is_exact_to_the_cent():
    rows = [("ann", 1, c.PURCHASE, "tea", 1.0)]
    rows += [("ann", 100 + n / 10, c.PURCHASE, "tea", 0.1, 3.0) for n in range(10)]
    assert truth(make_task("spend").ask(tables(rows), AT)) == {"ann": 3.0}


def test_orders_are_sessions_or_days(tiny: Tables):
    assert truth(make_task("orders").ask(tiny, AT)) == {"ann": 2, "bob": 0, "dan": 0}


def test_category_asks_every_recent_user_about_every_top_category(tiny: Tables):
    questions = make_task("category").ask(tiny, AT)
    assert questions.subjects is not None
    assert isinstance(questions.answers, np.ndarray)
    rows = zip(questions.users, questions.subjects, questions.answers, strict=True)
    assert list(rows) == [
        ("ann", "food", 1),
        ("ann", "wear", 1),
        ("bob", "food", 0),
        ("bob", "wear", 0),
        ("cyd", "food", 0),  # toys had no buyer yet, so it is no subject
        ("cyd", "wear", 0),
    ]


def test_category_may_look_deeper_and_at_fewer(tiny: Tables):
    deep = make_task("category", level=2).ask(tiny, AT)
    assert sorted(set(deep.subjects)) == ["food > jam", "food > tea", "wear > hats"]
    assert set(make_task("category", top=1).ask(tiny, AT).subjects) == {"food"}


def test_category_needs_items_with_categories():
    with pytest.raises(DataError, match="found no items table"):
        make_task("category").ask(tables(ROWS), AT)


@pytest.mark.parametrize("setting", ["level", "top"])
def test_category_refuses_less_than_one(setting: str):
    with pytest.raises(ConfigError, match=f"got 0 for '{setting}'"):
        make_task("category", **{setting: 0})
