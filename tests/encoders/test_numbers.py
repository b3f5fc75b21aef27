"""Numbers and categories as vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoploom.core.errors import ConfigError, DataError
from shoploom.encoders.categories import Category
from shoploom.encoders.numbers import Number


def scaled(fitted, column) -> list[float]:
    return fitted.encode(column).vectors[:, 0].tolist()


def test_any_distribution_becomes_normal():
    prices = np.random.default_rng(0).lognormal(3, 2, 20_000)
    values = Number().fit(prices).encode(prices).vectors[:, 0]
    assert values.mean() == pytest.approx(0, abs=0.01)
    assert values.std() == pytest.approx(1, abs=0.01)
    assert np.quantile(values, [0.025, 0.975]) == pytest.approx([-1.96, 1.96], abs=0.03)
    assert (np.diff(values[np.argsort(prices)]) >= 0).all()


def test_ties_share_their_middle():
    """Nine zeros and a one: zeros have half of nine tenths below them."""
    fitted = Number().fit([0] * 9 + [1])
    assert scaled(fitted, [0, 1]) == pytest.approx([-0.1257, 1.6449], abs=1e-3)


def test_beyond_the_training_numbers_the_scale_ends():
    fitted = Number().fit(range(100))
    assert scaled(fitted, [-1e12, 1e12]) == scaled(fitted, [0, 99])


def test_missing_is_not_the_median():
    encoded = Number().fit([1.0, 2.0, 3.0]).encode([2.0, None, float("nan"), float("-inf")])
    assert encoded.vectors.tolist() == [[0, 1], [0, 0], [0, 0], [0, 0]]
    assert encoded.present.tolist() == [True, False, False, False]
    assert encoded.reasons == {3: "an infinite number"}


def test_a_column_without_numbers_or_variety_gives_zeros():
    assert scaled(Number().fit([]), [5.0]) == [0]
    assert scaled(Number().fit([None, float("inf")]), [5.0]) == [0]
    assert scaled(Number().fit([7, 7]), [7, 1, 9]) == [0, 0, 0]


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60), st.integers(2, 20))
def test_a_scale_never_falls_and_is_finite(column, quantiles):
    fitted = Number(quantiles=quantiles).fit(column)
    asked = np.sort([x for x in column if np.isfinite(x)])
    values = np.array(scaled(fitted, asked))
    assert np.isfinite(values).all()
    assert (np.diff(values) >= -1e-6).all()
    assert len(fitted.values) <= quantiles


def test_few_quantiles_come_near_the_scale_of_many():
    numbers = np.random.default_rng(1).exponential(1, 50_000)
    few, many = Number(quantiles=200).fit(numbers), Number(quantiles=50_000).fit(numbers)
    inner = np.quantile(numbers, np.linspace(0.01, 0.99, 99))
    assert scaled(few, inner) == pytest.approx(scaled(many, inner), abs=0.02)


def test_text_is_no_number():
    with pytest.raises(DataError, match="encoder 'number': expected numbers or None"):
        Number().fit(["cheap"])
    with pytest.raises(ConfigError, match="at least 2 quantiles, got 1"):
        Number(quantiles=1)


def test_categories_of_one_parent_look_alike():
    rows = ["home > lamps", "home > rugs", "toys > puzzles", "home"]
    hashed = Category(dim=256).fit(rows).encode(rows).vectors[:, 2:]
    assert np.linalg.norm(hashed, axis=1) == pytest.approx(1)
    lamps, rugs, puzzles, home = hashed
    assert lamps @ rugs > 0.35
    assert lamps @ home > 0.6
    assert abs(lamps @ puzzles) < 0.3


def test_frequency_is_that_of_training():
    fitted = Category().fit(["a"] * 99 + ["b"] * 9 + [None])
    vectors = fitted.encode(["a", "b", "never seen", None, " "]).vectors
    assert vectors[:, 0].tolist() == [1, 1, 1, 0, 0]
    assert vectors[:, 1] == pytest.approx([1, 0.5, 0, 0, 0])
    assert vectors[2, 2:].any()
    assert not vectors[3:].any()


def test_only_the_most_frequent_are_remembered():
    fitted = Category(remembered=2).fit(["c", "b", "b", "a", "d"])
    assert fitted.counts == {"b": 2, "a": 1}


def test_a_number_is_no_category():
    with pytest.raises(DataError, match=r"expected text or None, got 3 in row 1"):
        Category().fit(["a", 3])
    with pytest.raises(ConfigError, match="got dim=4"):
        Category(dim=4)


def test_categories_no_file_could_hold_are_categories():
    assert Category().fit(["\ud800"]).encode(["\ud800"]).present.all()
