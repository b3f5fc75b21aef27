"""Proposals: the best price within guardrails, with a reason; discounts that are fair."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoploom.core.errors import ConfigError
from shoploom.policies.price.demand import NEVER_VARIED, Demand
from shoploom.policies.price.hierarchy import Cells, shrink
from shoploom.policies.price.proposals import (
    Goods,
    Guardrails,
    Known,
    allowed,
    curve,
    exploration,
    personal_discounts,
    propose,
)

WIDE = Guardrails(margin=0.0, step=0.5, ceiling=2.0, sure=0.5, discount=0.3, parity=1.0)


def demand_of(elasticity: np.ndarray, sd: float = 0.05, **changes: object) -> Demand:
    """As if a log had told just that."""
    n, groups = elasticity.shape
    cells = Cells.grid(np.zeros(n, dtype=np.int64), groups)
    flat, precision = elasticity.ravel(), np.full(n * groups, 1 / sd**2)
    shrunk = shrink(lambda x: (precision * (x - flat), precision, 1.0), cells, 2.0)
    shrunk = replace(shrunk, value=flat)
    found = Demand(
        items=np.array([f"i{i}" for i in range(n)], dtype=object),
        groups=tuple(f"g{g}" for g in range(groups)),
        elasticity=elasticity,
        sd=np.full(elasticity.shape, sd),
        lowest=np.full(n, 0.5),
        highest=np.full(n, 2.0),
        units=np.full(n, 100.0),
        rows=np.full(n, 100),
        abstained=(None,) * n,
        overall=(2.0, 1.9, 2.1),
        naive=1.5,
        drawn=True,
        followed=None,
        spread={},
        overdispersion=0.0,
        _shrunk=shrunk,
        _kept=np.arange(n),
    )
    return replace(found, **changes)


def goods_of(n: int, groups: int, **changes: object) -> Goods:
    found = Goods(
        ids=np.array([f"i{i}" for i in range(n)], dtype=object),
        category=np.zeros(n, dtype=np.int64),
        price=np.full(n, 10.0),
        cost=np.full(n, 5.0),
        competitor=np.full(n, np.nan),
        units=np.full((n, groups), 400.0),
        weeks=8.0,
        reference=np.full(n, 10.0),
    )
    return replace(found, **changes)


def test_the_best_price_is_found() -> None:
    """The optimum is cost · ε / (ε − 1) (Lerner 1934)."""
    elasticity = np.array([[1.6], [2.0], [2.5]])
    found = propose(demand_of(elasticity), goods_of(3, 1), WIDE)
    best = 5 * elasticity[:, 0] / (elasticity[:, 0] - 1)
    np.testing.assert_allclose(found.proposed, best, rtol=0.06)
    assert found.action.tolist() == ["raise", "keep", "lower"]
    assert found.reason.tolist() == ["weak response", "best already", "strong response"]
    assert (found.gain[[0, 2]] > 0).all()
    assert (found.low <= found.gain).all()
    assert (found.gain <= found.high).all()
    assert found.total[0] == pytest.approx(found.gain.sum(), rel=0.05)
    assert found.units == pytest.approx(np.full(3, 50.0), rel=0.05)


@pytest.mark.parametrize(
    ("rails", "bound", "price"),
    [
        (replace(WIDE, step=0.1), "step", 11.0),
        (replace(WIDE, ceiling=1.2), "ceiling", 12.0),
        (replace(WIDE, competitor=(0.5, 1.05)), "competitor", 11.55),
    ],
)
def test_guardrails_bind_and_are_named(rails: Guardrails, bound: str, price: float) -> None:
    goods = goods_of(1, 1, competitor=np.array([11.0]))
    found = propose(demand_of(np.array([[1.3]])), goods, rails)
    assert found.proposed[0] == pytest.approx(price)
    assert found.bound[0] == bound


def test_the_floor_and_what_was_tried_bind_too() -> None:
    eager = demand_of(np.array([[6.0]]))
    found = propose(eager, goods_of(1, 1), replace(WIDE, margin=0.5))
    assert (found.proposed[0], found.bound[0]) == (7.5, "floor")
    tried = replace(eager, lowest=np.array([0.9]))
    found = propose(tried, goods_of(1, 1), WIDE)
    assert (found.proposed[0], found.bound[0]) == (9.0, "tried")


@given(
    st.lists(
        st.tuples(st.floats(0.5, 5), st.floats(1, 100), st.floats(0.1, 1.3), st.floats(0.5, 2.0)),
        min_size=1,
        max_size=6,
    ),
    st.floats(0, 0.5),
    st.floats(0, 0.6),
)
@settings(max_examples=40, deadline=None)
def test_no_guardrail_is_ever_broken(rows: list, step: float, margin: float) -> None:
    elasticity, price, cost, rival = (np.array(column) for column in zip(*rows, strict=True))
    price = np.round(price, 2)
    goods = goods_of(
        len(rows), 1, price=price, cost=price * cost, competitor=price * rival, reference=price
    )
    rails = Guardrails(margin=margin, step=step, ceiling=1.3, competitor=(0.8, 1.2), sure=0.5)
    demand = demand_of(elasticity[:, None])
    found = propose(demand, goods, rails)
    low, high, _, _ = allowed(goods, demand, rails)
    moved = found.proposed != goods.price
    assert (found.proposed[moved] >= low[moved] - 1e-9).all()
    assert (found.proposed[moved] <= high[moved] + 1e-9).all()
    assert (found.proposed[moved] >= goods.cost[moved] * (1 + margin) - 1e-6).all()
    assert (np.abs(found.proposed / goods.price - 1)[moved] <= step + 1e-6).all()


def test_what_cannot_be_priced_is_kept_and_says_why() -> None:
    demand = demand_of(np.full((5, 1), 1.5), abstained=(NEVER_VARIED, *[None] * 4))
    goods = goods_of(
        5,
        1,
        cost=np.array([5.0, np.nan, 12.0, 5.0, 9.9]),
        units=np.array([[400.0], [400.0], [400.0], [0.0], [400.0]]),
    )
    found = propose(demand, goods, replace(WIDE, margin=0.5, step=0.1))
    assert found.reason.tolist() == [
        *(NEVER_VARIED, "cost unknown", "below cost", "not sold", "no room")
    ]
    assert (found.proposed == goods.price).all()
    assert found.action.tolist() == ["keep"] * 5
    assert found.total == (0.0, 0.0, 0.0)


def test_a_price_stays_where_too_little_is_known() -> None:
    vague = demand_of(np.array([[1.9]]), sd=1.0)
    found = propose(vague, goods_of(1, 1), replace(WIDE, sure=0.95))
    assert found.reason[0] == "not shown"
    assert found.chance[0] < 0.95


def test_discounts_go_to_who_answers_to_them_and_never_above_the_list_price() -> None:
    demand, goods = demand_of(np.array([[1.5, 4.0]] * 2)), goods_of(2, 2)
    kept = propose(demand, goods, replace(WIDE, step=0.0))
    found = personal_discounts(demand, goods, kept, WIDE)
    assert (found.share[:, 0] == 0).all()
    assert (found.share[:, 1] > 0.1).all()
    assert (found.share <= WIDE.discount).all()
    assert found.gain[1] > 0
    none = personal_discounts(demand, goods, kept, replace(WIDE, discount=0.0))
    assert (none.share == 0).all()
    # What all would get is no personal discount.
    alike = demand_of(np.full((2, 2), 4.0))
    assert (personal_discounts(alike, goods, kept, WIDE).share == 0).all()


def test_discounts_are_cut_until_protected_values_pay_alike() -> None:
    demand, goods = demand_of(np.array([[1.5, 4.0]])), goods_of(1, 2)
    kept = propose(demand, goods, replace(WIDE, step=0.0))
    protected = {"women": (60, np.array([0.9, 0.1])), "men": (40, np.array([0.2, 0.8]))}
    free = personal_discounts(demand, goods, kept, WIDE, protected=protected)
    assert free.factor == 1.0
    assert free.apart > 0.02
    fair = personal_discounts(demand, goods, kept, replace(WIDE, parity=0.02), protected=protected)
    assert fair.apart == pytest.approx(0.02)
    assert fair.factor < 1
    assert fair.fairness["women"][0] == 60


def test_the_curve_is_what_was_learned() -> None:
    demand, goods = demand_of(np.array([[2.0]])), goods_of(1, 1)
    known = Known.of(demand, goods, seed=0)
    found = curve(known, goods, 0, 8.0, 12.0, k=5)
    np.testing.assert_allclose(found.price, [8, 9, 10, 11, 12])
    assert found.units[2, 0] == pytest.approx(50, rel=0.05)
    assert found.units[0, 0] == pytest.approx(50 * 0.8**-2, rel=0.05)
    np.testing.assert_allclose(found.profit[2, 0], found.units[2, 0] * 5)
    assert (found.units[:, 1] < found.units[:, 0]).all()
    assert (found.units[:, 0] < found.units[:, 2]).all()


def test_exploring_keeps_within_its_budget() -> None:
    demand, goods = demand_of(np.array([[1.9], [2.3]]), sd=0.6), goods_of(2, 1)
    known = Known.of(demand, goods, seed=0)
    prices = goods.price[:, None] * np.array([0.9, 1.0, 1.1])
    within = np.array([[True, True, True], [True, True, False]])
    free = exploration(known, goods, prices, within, 1.0)
    np.testing.assert_allclose(free.sum(axis=1), 1)
    assert free[1, 2] == 0
    assert (free[0] > 0.02).all()
    bound = exploration(known, goods, prices, within, 0.0)
    assert sorted(bound[0].tolist()) == [0, 0, 1]
    little = exploration(known, goods, prices, within, 0.001)
    assert little[0].max() > free[0].max()


@pytest.mark.parametrize("wrong", [{"step": 2.0}, {"sure": 0.2}, {"competitor": (1.2, 0.8)}])
def test_impossible_guardrails_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError, match="expected"):
        Guardrails(**wrong)
