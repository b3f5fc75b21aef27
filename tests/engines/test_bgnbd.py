"""BG/NBD and Gamma-Gamma: published parameters, planted truth, and limits that must hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from shoploom.core.errors import DataError
from shoploom.core.seeds import rng
from shoploom.engines import ENGINES, can_answer
from shoploom.engines.bgnbd import (
    BGNBD,
    GammaGamma,
    expected_purchases,
    expected_value,
    fit_bgnbd,
    fit_first_order,
    fit_gamma_gamma,
    probability_alive,
    probability_of_first,
    probability_of_none,
    sample_histories,
)
from shoploom.tasks import make_task

ROOT = Path(__file__).parents[2]
PUBLISHED = BGNBD(r=0.243, alpha=4.414, a=0.793, b=2.426)


def test_planted_parameters_are_recovered() -> None:
    truth = BGNBD(r=0.8, alpha=6.0, a=0.6, b=3.0)
    draw = rng(0, "planted")
    age = draw.uniform(20, 60, 40_000).round(1)
    frequency, recency = sample_histories(truth, age, draw)
    found = fit_bgnbd(frequency, recency.round(1), age)
    for name in ("r", "alpha", "a", "b"):
        assert getattr(found, name) == pytest.approx(getattr(truth, name), rel=0.15), name


def test_expectations_are_those_of_the_planted_world() -> None:
    """Who is drawn from the model buys on average as often as the model expects."""
    draw = rng(1, "planted")
    age = np.full(400_000, 39.0)
    later = np.full(400_000, 78.0)
    frequency, recency = sample_histories(PUBLISHED, later, rng(2, "planted"))
    # The same customers at half time cannot be cut from (x, t_x); compare whole populations.
    early, early_recency = sample_histories(PUBLISHED, age, draw)
    expected = expected_purchases(PUBLISHED, early, early_recency, age, 39.0).mean()
    assert expected == pytest.approx(frequency.mean() - early.mean(), abs=0.03)
    assert (recency <= later).all()


def test_chances_agree_with_each_other() -> None:
    x, t_x, T = np.array([0, 2, 26, 500]), np.array([0, 30.4, 37, 38.9]), np.full(4, 38.86 + 0.14)
    alive = probability_alive(PUBLISHED, x, t_x, T)
    assert alive[0] == 1  # without a repeat order nobody can have dropped out
    none = [probability_of_none(PUBLISHED, x, t_x, T, horizon) for horizon in (0.0, 1.0, 52.0)]
    assert np.allclose(none[0], 1)
    assert (none[1] >= none[2]).all()
    assert (none[2] >= 1 - alive - 1e-12).all()
    expected = expected_purchases(PUBLISHED, x, t_x, T, 52.0)
    assert np.isfinite(expected).all()
    assert (expected >= 1 - none[2] - 1e-9).all()  # an expected count is at least a chance of one


def test_the_textbook_customer_is_answered_as_in_the_paper() -> None:
    """Fader, Hardie and Lee (2005), page 281: x=2, t_x=30.43, T=38.86, t=39 gives 1.226."""
    found = expected_purchases(PUBLISHED, 2, 30.43, 38.86, 39.0)
    assert float(found) == pytest.approx(1.226, abs=2e-3)


def test_a_mean_value_is_drawn_to_everybodys_the_less_the_more_is_known() -> None:
    model = GammaGamma(p=6.25, q=3.74, v=15.44)
    none, one, many = expected_value(model, [0, 1, 1000], [0.0, 100.0, 100.0])
    assert none == pytest.approx(6.25 * 15.44 / 2.74)
    assert none < one < many < 100.01
    assert many == pytest.approx(100, rel=0.02)


def test_planted_order_values_are_recovered() -> None:
    draw = rng(0, "values")
    orders = draw.integers(1, 12, 30_000)
    scale = draw.gamma(3.74, 1 / 15.44, 30_000)
    mean = draw.gamma(6.25 * orders, 1 / (orders * scale))
    found = fit_gamma_gamma(orders, mean)
    assert found.p == pytest.approx(6.25, rel=0.15)
    assert found.q == pytest.approx(3.74, rel=0.15)


def test_a_first_order_gets_less_likely_with_waiting() -> None:
    model = fit_first_order(np.array([1.0, 2, 3, 50, 60]), np.array([1, 1, 1, 0, 0]))
    soon, late = probability_of_first(model, [1.0, 50.0], 7.0)
    assert 0 < late < soon < 1


def test_tasks_that_are_not_about_buying_are_left_to_others() -> None:
    @dataclass(frozen=True)
    class Returns:
        name: str = "returns"
        kind: str = "binary"

    engine = ENGINES.get("bgnbd")()
    assert can_answer(engine, make_task("churn"))
    assert not can_answer(engine, Returns())  # type: ignore[arg-type]
    assert not can_answer(engine, make_task("next_item"))


def test_impossible_histories_are_refused() -> None:
    with pytest.raises(DataError, match="0 <= recency <= age"):
        probability_alive(PUBLISHED, [1], [10.0], [5.0])
    with pytest.raises(DataError, match="positive value"):
        fit_gamma_gamma([1, 2], [0.0, 0.0])


def test_the_published_parameters_come_out() -> None:
    """CDNOW, the systematic sample of 2,357 customers, weeks and dollars."""
    path = ROOT / "../shared/data/cdnow/purchases.parquet"
    if not path.exists():
        pytest.skip("needs ../shared/data/cdnow, which the project does not ship")
    ids = (ROOT / "benchmarks/cdnow_sample.txt").read_text().split()
    table = pq.read_table(path)
    name = next(n for n in table.column_names if "customer" in n)
    when = next(n for n in table.column_names if n in ("time", "date"))
    table = table.filter(pc.is_in(table[name], value_set=pa.array(ids, table[name].type)))
    user = np.array(table[name].to_pylist(), dtype=int)
    day = table[when].to_numpy().astype("datetime64[D]").astype(int)
    split = np.datetime64("1997-10-01").astype(int)
    user, day = user[day < split], day[day < split]
    pairs = np.unique(np.column_stack((user, day)), axis=0)  # one order a day
    start = np.flatnonzero(np.r_[True, pairs[1:, 0] != pairs[:-1, 0]])
    count = np.diff(np.r_[start, len(pairs)])
    first, last = pairs[start, 1], pairs[start + count - 1, 1]
    found = fit_bgnbd(count - 1, (last - first) / 7, (split - 1 - first) / 7)
    assert len(start) == 2_357
    assert found.r == pytest.approx(0.243, abs=0.002)
    assert found.alpha == pytest.approx(4.414, abs=0.03)
    assert found.a == pytest.approx(0.793, abs=0.01)
    assert found.b == pytest.approx(2.426, abs=0.05)
