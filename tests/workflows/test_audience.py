"""Who may be shown ads."""

from __future__ import annotations

from dataclasses import replace

import ibis
import pyarrow as pa

from shoploom.core import columns as c
from shoploom.workflows.audience import reachable
from tests.tiny import day, tables


def test_only_who_has_agreed_and_came_of_late_is_reachable():
    shop = tables([("a", 9, c.VIEW), ("b", 9, c.VIEW), ("c", 9, c.VIEW), ("d", 1, c.VIEW)])
    assert reachable(shop, day(10), 5).tolist() == ["a", "b", "c"]
    # Nobody knows what "c" wants: that is no consent.
    said = pa.table({c.USER_ID: ["a", "b", "d"], c.CONSENT: ["all", "service only", "all"]})
    shop = replace(shop, users=ibis.memtable(said))
    assert reachable(shop, day(10), 5).tolist() == ["a"]
