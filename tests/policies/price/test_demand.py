"""Elasticities: planted ones are found, drawn or not; where nothing varied nothing is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shoploom.core.errors import DataError
from shoploom.policies.price.demand import EXPLAINED, NEVER_VARIED, TOO_FEW, Offered, fit_demand
from shoploom.policies.price.hierarchy import Cells, shrink
from shoploom.policies.regression import Boosting

ARMS = np.log([0.75, 0.87, 1.0, 1.15, 1.33])
LIGHT = Boosting(rounds=30, learning_rate=0.1)
TRUE = np.array([[2.6, 1.4], [2.2, 1.0]])  # by category and group


def drawn(n: int = 40_000, items: int = 12, seed: int = 0) -> Offered:
    draw = np.random.default_rng(seed)
    item, group = draw.integers(0, items, n), draw.integers(0, 2, n)
    ratio = ARMS[draw.integers(0, 5, n)]
    category = np.arange(items) % 2
    level = 0.3 + 0.05 * item
    units = draw.poisson(level * np.exp(-TRUE[category[item], group] * ratio))
    return Offered(
        items=np.array([f"i{i}" for i in range(items)], dtype=object),
        category=category,
        groups=("a", "b"),
        item=item,
        group=group,
        ratio=ratio,
        units=units.astype(np.float64),
        context=np.column_stack([item, group]).astype(np.float64),
        owners=np.array([f"u{u}" for u in draw.integers(0, n // 10, n)], dtype=object),
        time=np.arange(n),
        expected=np.full(n, ARMS.mean()),
    )


def weekly(seed: int = 0, *, seen: bool = True) -> Offered:
    """Prices follow a shock that moves demand as well; whether the log shows it."""
    draw = np.random.default_rng(seed)
    items, weeks = 60, 60
    shock = np.zeros((items, weeks))
    for week in range(1, weeks):
        shock[:, week] = 0.8 * shock[:, week - 1] + draw.normal(0, 0.3, items)
    ratio = 0.3 * shock + draw.normal(0, 0.1, shock.shape)
    units = draw.poisson(6 * np.exp(shock - 2.0 * ratio))
    item, week = (x.ravel() for x in np.indices(shock.shape))
    told = shock.ravel() if seen else draw.normal(size=shock.size)
    return Offered(
        items=np.array([f"i{i}" for i in range(items)], dtype=object),
        category=np.zeros(items, dtype=np.int64),
        groups=("everybody",),
        item=item,
        group=np.zeros(item.size, dtype=np.int64),
        ratio=ratio.ravel(),
        units=units.ravel().astype(np.float64),
        context=np.column_stack([told, week]).astype(np.float64),
        owners=np.array([f"{i}/{w // 13}" for i, w in zip(item, week, strict=True)], dtype=object),
        time=week,
    )


def test_planted_elasticities_are_found_by_item_and_group() -> None:
    found = fit_demand(drawn(), settings=LIGHT)
    true = TRUE[np.arange(12) % 2]
    assert found.abstained == (None,) * 12
    assert np.median(np.abs(found.elasticity - true) / true) < 0.1
    inside = np.abs(found.elasticity - true) < 1.96 * found.sd
    assert inside.mean() > 0.8
    assert found.overall[1] < found.overall[0] < found.overall[2]
    assert found.credible
    assert found.followed is None
    # Groups differ more than items of a category, and it is known.
    assert found.spread["group"] > found.spread["item"]
    draws = found.sample(200, np.random.default_rng(0))
    np.testing.assert_allclose(draws.mean(axis=0), found.elasticity, atol=0.1)
    np.testing.assert_allclose(draws.std(axis=0), found.sd, rtol=0.25)


def test_the_same_log_teaches_the_same() -> None:
    first, again = (fit_demand(drawn(n=4000), settings=LIGHT) for _ in range(2))
    np.testing.assert_array_equal(first.elasticity, again.elasticity)


def test_prices_that_followed_demand_do_not_fool_it() -> None:
    found = fit_demand(weekly(seed=1))
    assert found.naive < 1.2  # a plain regression is
    assert abs(found.overall[0] - 2.0) < 0.3
    assert found.credible


def test_prices_that_followed_what_the_log_does_not_show_are_found_out() -> None:
    found = fit_demand(weekly(seen=False), settings=LIGHT)
    assert found.overall[0] < 1.5  # it cannot know better ...
    assert found.followed is not None
    assert abs(found.followed) > 2  # ... but it knows that
    assert not found.credible


def test_where_prices_never_varied_nothing_is_said() -> None:
    log = drawn(n=6000)
    fixed = log.ratio.copy()
    fixed[log.item == 3] = 0.0
    sold = log.units.copy()
    sold[log.item == 5] = 0.0
    found = fit_demand(replace(log, ratio=fixed, units=sold), settings=LIGHT)
    assert found.abstained[3] == NEVER_VARIED
    assert found.abstained[5] == TOO_FEW
    assert np.isnan(found.elasticity[[3, 5]]).all()
    assert np.isfinite(np.delete(found.elasticity, [3, 5], axis=0)).all()
    assert np.isnan(found.sample(3, np.random.default_rng(0))[:, 3]).all()
    with pytest.raises(DataError, match="its price never varied"):
        fit_demand(replace(log, ratio=np.zeros(len(log))))


def test_a_price_that_the_context_explains_is_no_experiment() -> None:
    log = weekly()
    known = replace(log, context=np.column_stack([log.ratio, log.item]).astype(np.float64))
    with pytest.raises(DataError, match="explained by competitor"):
        fit_demand(known, settings=replace(LIGHT, rounds=200, min_rows=20))
    half = np.where(log.item < 30, log.ratio, 0.0)
    mixed = replace(known, context=np.column_stack([half, log.item]).astype(np.float64))
    found = fit_demand(mixed, settings=replace(LIGHT, rounds=200, min_rows=20, leaves=31))
    assert EXPLAINED in found.abstained[:30]


def test_numbers_are_drawn_towards_what_is_common() -> None:
    cells = Cells.grid(np.zeros(50, dtype=np.int64), 1)
    draw = np.random.default_rng(0)
    true = 2 + draw.normal(0, 0.5, 50)
    information = np.where(np.arange(50) < 25, 100.0, 1.0)
    told = true + draw.normal(0, 1, 50) / np.sqrt(information)
    found = shrink(lambda x: (information * (x - told), information, 1.0), cells, 2.0)
    # Who tells much is believed, who tells little is drawn to the rest.
    assert np.abs(found.value - told)[:25].max() < 0.1
    assert np.abs(found.value - true)[25:].mean() < np.abs(told - true)[25:].mean()
    assert found.sd[:25].max() < found.sd[25:].min()
    assert found.spread["item"] == pytest.approx(0.5, abs=0.2)
    assert (np.abs(found.value - true) < 1.96 * found.sd).mean() > 0.85
