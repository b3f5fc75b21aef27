from __future__ import annotations

import ibis
import pytest

from shoploom.core import columns as c
from shoploom.tables.codes import Codes, action_name, action_place, find_codes

USERS = ["u10", "u9", "", None, "U1", "ü", "u9"]


@pytest.fixture
def events() -> ibis.Table:
    rows = {c.USER_ID: USERS, c.TIME: list(range(len(USERS)))}
    return ibis.memtable(rows, schema={c.USER_ID: "string", c.TIME: "int64"})


@pytest.fixture
def codes(events: ibis.Table) -> Codes:
    return find_codes(events, lambda table, name: table)


def test_ids_survive_coding(events: ibis.Table, codes: Codes):
    coded = codes.encode(events)
    assert coded.columns == events.columns
    back = codes.decode(coded).order_by(c.TIME)[c.USER_ID].to_pyarrow().to_pylist()
    assert back == USERS


def test_codes_are_in_the_order_of_the_text(events: ibis.Table, codes: Codes):
    coded = codes.encode(events).order_by(c.TIME)[c.USER_ID].to_pyarrow().to_pylist()
    pairs = {(user, code) for user, code in zip(USERS, coded, strict=True) if user is not None}
    assert [code for _, code in sorted(pairs)] == [1, 2, 3, 4, 5]


def test_an_id_that_is_not_there_has_no_code(codes: Codes):
    others = ibis.memtable({c.USER_ID: ["u9", "nobody"]})
    found = codes.encode(others)[c.USER_ID].to_pyarrow().to_pylist()
    assert sorted(found, key=str) == [4, None]


def test_actions_survive_their_places():
    actions = ibis.memtable({c.ACTION: list(c.ACTIONS)})
    placed = actions.mutate(**{c.ACTION: action_place(actions)}).order_by(c.ACTION)
    names = action_name(placed).to_pyarrow().to_pylist()
    assert names == sorted(c.ACTIONS)
