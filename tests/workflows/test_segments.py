"""What groups are called and what is said of them where little is known."""

from __future__ import annotations

import numpy as np

from shoploom.engines.scale import QuantileScale
from shoploom.workflows.segments import HABITS, Describing, _Known, _mean, _names


def test_a_group_whom_nobody_asked_about_has_no_risk() -> None:
    assert _mean(np.array([np.nan, np.nan])) is None
    assert _mean(np.array([0.25, np.nan, 0.75])) == 0.5


def test_no_two_groups_are_called_alike() -> None:
    groups = np.repeat([0, 1, 2, 3], 25)
    # The first two have few orders, the last two many, and nothing else is known of anybody.
    orders = np.where(groups < 2, -0.8, 0.8)[:, None]
    users = np.arange(100).astype(str).astype(object)
    raw = orders.astype(np.float32)
    describing = Describing(("orders",), QuantileScale.of(raw), (), {})
    known = _Known(users, describing, {HABITS: orders}, raw)
    called = [name["en"] for name in _names(known, groups)]
    assert called == ["Few orders", "Few orders (2)", "Many orders", "Many orders (4)"]
    flat = _Known(users, describing, {HABITS: 0 * orders}, raw)
    assert next(name["en"] for name in _names(flat, groups)) == "Like most (1)"
