"""Rhythms that were planted are found."""

from __future__ import annotations

import numpy as np
import pytest

from shoploom.core.errors import ConfigError, DataError
from shoploom.core.time import DAY_US, HOUR_US, to_us
from shoploom.encoders.series import Series, SeriesEncoder

UNTIL = to_us("2024-07-01")  # a Monday
ENCODER = SeriesEncoder()


def days_ago(*days: float) -> np.ndarray:
    return np.array(sorted(UNTIL - np.array(days) * DAY_US), dtype=np.int64)


def series(*users: np.ndarray, amounts: np.ndarray | None = None) -> Series:
    offsets = np.concatenate([[0], np.cumsum([len(user) for user in users])])
    times = np.concatenate([np.zeros(0, np.int64), *users])
    return Series(offsets.astype(np.int64), times, UNTIL, amounts)


def read(*users: np.ndarray, amounts: np.ndarray | None = None) -> dict[str, np.ndarray]:
    encoded = ENCODER.encode(series(*users, amounts=amounts))
    return dict(zip(ENCODER.names, encoded.vectors.T, strict=True))


@pytest.mark.parametrize("period", [7, 14, 26])
def test_a_planted_period_is_the_dominant_one(period):
    """A clock's power lies at its period and at the harmonics; the first peak is one of them."""
    found = read(days_ago(*np.arange(0.5, 364, period)))
    peaks = [364 ** found[f"peak_{rank}_period"][0] for rank in range(3)]
    assert any(abs(period / peak - round(period / peak)) < 0.05 for peak in peaks)
    assert found["spectral_entropy"][0] < 0.7


def test_a_weekly_wave_has_its_power_at_seven_days():
    rng = np.random.default_rng(0)
    day = np.arange(364)
    wave = rng.poisson(3 + 2.5 * np.cos(2 * np.pi * day / 7))
    noise = rng.poisson(3, 364)
    users = [days_ago(*(np.repeat(day, counts) + 0.5)) for counts in (wave, noise)]
    found = read(*users)
    assert found["period_7d"][0] > 10 * found["period_7d"][1]
    assert round(364 ** found["peak_0_period"][0]) == 7
    assert found["spectral_entropy"][0] < found["spectral_entropy"][1]
    assert found["lag_7d"][0] > 0.3 > abs(found["lag_7d"][1])


def test_bursts_and_clocks_are_told_apart():
    rng = np.random.default_rng(1)
    clock = days_ago(*np.arange(1, 200, 2))
    poisson = days_ago(*np.cumsum(rng.exponential(2, 100)))
    bursts = days_ago(*(np.repeat(np.arange(10, 200, 40), 20) + rng.uniform(0, 0.01, 100)))
    burstiness = read(clock, poisson, bursts)["burstiness"]
    assert burstiness[0] == pytest.approx(-1, abs=1e-3)
    assert burstiness[1] == pytest.approx(0, abs=0.15)
    assert burstiness[2] > 0.6


def test_rising_and_fading_users_have_trends_of_opposite_sign():
    rng = np.random.default_rng(2)
    rising, fading = rng.beta(1, 4, 300) * 200, (1 - rng.beta(1, 4, 300)) * 200
    found = read(days_ago(*rising, 200), days_ago(*fading, 200))
    assert found["trend_per_week"][0] > 0 > found["trend_per_week"][1]
    assert found["second_half"][0] > 0 > found["second_half"][1]
    assert found["week_0"][0] > found["week_0"][1]


def test_nights_and_weekdays_are_those_of_utc():
    nights = UNTIL - np.arange(1, 11) * 7 * DAY_US + 2 * HOUR_US  # Mondays at two
    found = read(nights)
    assert found["night"][0] == 1
    assert found["evening"][0] == 0
    assert found["weekday_0"][0] == 1
    assert found["weekly_strength"][0] == pytest.approx(1)
    assert found["daily_cos"][0] == pytest.approx(np.cos(2 * np.pi * 2 / 24), abs=1e-6)


def test_plain_counts_are_what_they_say():
    found = read(days_ago(0.5, 0.6, 3.5, 20.5))
    assert found["events"][0] == pytest.approx(np.log(5))
    assert found["active_days"][0] == pytest.approx(np.log(4))
    assert found["recency_days"][0] == pytest.approx(np.log(1.5))
    assert found["tenure_days"][0] == pytest.approx(np.log(22))
    assert found["active_share"][0] == pytest.approx(3 / 21)
    assert found["week_0"][0] == pytest.approx(np.log(4))
    assert found["week_2"][0] == pytest.approx(np.log(2))
    assert found["gap_longest"][0] == pytest.approx(np.log1p(17 * 24 * 60))


def test_amounts_count_where_they_are_known():
    amounts = np.array([100.0, np.nan, 10.0])
    found = read(days_ago(100, 50, 1), amounts=amounts)
    assert found["amount_total"][0] == pytest.approx(np.log1p(110))
    assert found["amount_lately"][0] == pytest.approx(10 / 110)
    assert found["amount_mean"][0] == pytest.approx((np.log1p(100) + np.log1p(10)) / 2)
    assert read(days_ago(1))["amount_total"][0] == 0


def test_what_comes_at_or_after_the_moment_changes_nothing():
    past = days_ago(1, 2, 30)
    future = np.concatenate([past, [UNTIL, UNTIL + DAY_US]])
    one, other = ENCODER.encode(series(past)), ENCODER.encode(series(future))
    assert np.array_equal(one.vectors, other.vectors)
    assert ENCODER.encode(series(np.array([UNTIL]))).present.tolist() == [False]


def test_the_order_of_events_within_a_user_changes_nothing():
    past = days_ago(*np.random.default_rng(3).uniform(0, 300, 50))
    one, other = ENCODER.encode(series(past)), ENCODER.encode(series(past[::-1].copy()))
    assert np.array_equal(one.vectors, other.vectors)


def test_old_events_count_in_totals_but_not_in_the_spectrum():
    found = read(days_ago(1, 2, 1000), days_ago(1, 2, 500))
    assert found["tenure_days"][0] > found["tenure_days"][1]
    assert found["spectral_entropy"][0] == found["spectral_entropy"][1]


def test_strange_users_have_finite_vectors():
    same = np.full(50, UNTIL - DAY_US)
    busy = days_ago(*np.repeat(np.arange(364) + 0.5, 3))  # no variance at all
    encoded = ENCODER.encode(series(days_ago(1), same, busy, days_ago(0.0001), days_ago(9000)))
    assert np.isfinite(encoded.vectors).all()
    assert encoded.present.all()
    assert np.abs(encoded.vectors).max() < 20


def test_users_of_other_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(4)
    users = [days_ago(*rng.uniform(0, 400, rng.integers(0, 20))) for _ in range(23)]
    whole = ENCODER.encode(series(*users))
    monkeypatch.setattr("shoploom.encoders.series._BLOCK", 4)
    parts = ENCODER.encode(series(*users))
    assert np.array_equal(whole.present, parts.present)
    np.testing.assert_allclose(whole.vectors, parts.vectors, atol=1e-5)


def test_rows_are_taken_with_their_events():
    users = days_ago(1, 2), days_ago(3), np.zeros(0, np.int64), days_ago(4, 5, 6)
    taken = series(*users, amounts=np.arange(6.0)).take(np.array([3, 2, 0]))
    assert taken.offsets.tolist() == [0, 3, 3, 5]
    assert taken.times_us.tolist() == [*users[3], *users[0]]
    assert taken.amounts is not None
    assert taken.amounts.tolist() == [3, 4, 5, 0, 1]


def test_wrong_series_and_settings_are_told():
    with pytest.raises(DataError, match="expected offsets from 0 to 2"):
        Series(np.array([0, 1]), days_ago(1, 2), UNTIL)
    with pytest.raises(DataError, match="expected offsets that never fall"):
        Series(np.array([0, 2, 1, 2]), days_ago(1, 2), UNTIL)
    with pytest.raises(DataError, match="expected 2 amounts, got 1"):
        Series(np.array([0, 2]), days_ago(1, 2), UNTIL, np.ones(1))
    with pytest.raises(DataError, match=r"expected a Series .* got list"):
        ENCODER.encode([1, 2])
    with pytest.raises(ConfigError, match="whole weeks, got 100"):
        SeriesEncoder(days=100)
