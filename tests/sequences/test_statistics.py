from __future__ import annotations

import math

import numpy as np
import pytest

from shoploom.core import columns as c
from shoploom.core.time import DAY_US
from shoploom.sequences import UserStatistics, user_statistics
from shoploom.sequences.statistics import PERIODS_DAYS, WINDOWS_DAYS
from shoploom.tables import Tables
from tests.conftest import HABITS, SHOP_AT
from tests.tiny import DAY_0, day, other_future, tables, with_events

ROWS = [
    ("ann", 0.5, c.VIEW, "tea", 4.5),
    ("ann", 1.0, c.PURCHASE, "tea", 0.1, 3.0, "s1"),
    ("ann", 1.2, c.PURCHASE, "hat", 9.0, None, "s1"),
    ("ann", 3.0, c.PURCHASE, "tea", 0.2, 1.0, "s2"),
    ("ann", 11.0, c.PURCHASE, "tea", 0.2, 2.0, None),
    ("ann", 17.0, c.CART, "cup", 2.0),
    ("bob", 19.0, c.VIEW, "tea", 4.5),
    ("cyd", 6.0, c.PURCHASE, "cup", None, 2.0, "s3"),
]
AT = day(20)


@pytest.fixture(scope="module")
def tiny() -> UserStatistics:
    return user_statistics(tables(ROWS), AT)


@pytest.fixture(scope="module")
def statistics(shop: Tables, shop_at: int) -> UserStatistics:
    return user_statistics(shop, shop_at)


def of(statistics: UserStatistics, user: str) -> dict[str, float]:
    row = statistics.take(np.array([user], dtype=object))[0]
    return dict(zip(statistics.names, row.tolist(), strict=True))


def same(left: UserStatistics, right: UserStatistics) -> bool:
    users = left.users.ids.tolist() == right.users.ids.tolist()
    return users and left.values.tobytes() == right.values.tobytes()


@pytest.mark.parametrize(
    ("name", "value"),
    {
        "recency_days": 3,
        "tenure_days": 19.5,
        "active_days": 5,
        "active_share": 5 / 20,
        "visit_gap_mean_days": 16.5 / 4,
        "visit_overdue": 3 / (16.5 / 4),
        "events": 6,
        "view_count": 1,
        "cart_count": 1,
        "purchase_count": 4,
        "search_count": 0,
        "purchases_per_view": 4,
        "purchases_per_cart": 4,
        "carts_per_view": 1,
        "events_7d": 1,
        "events_14d": 2,
        "carts_7d": 1,
        "purchases_7d": 0,
        "purchases_14d": 1,
        "purchases_28d": 4,
        "active_days_28d": 5,
        "spend_14d": 0.4,
        "spend": 9.9,
        "events_pace_7d": 1.0,
        "spend_pace_14d": (0.4 / 14) / (9.9 / 28),
        "purchase_recency_days": 9,
        "purchase_tenure_days": 19,
        "purchase_days": 3,
        "purchase_gap_mean_days": 5,
        "purchase_gap_std_days": 3,
        "purchase_gap_min_days": 2,
        "purchase_gap_max_days": 8,
        "purchase_gap_last_days": 8,
        "purchase_gap_cv": 3 / 5,
        "purchase_burstiness": -2 / 8,
        "purchase_overdue": 9 / 5,
        "orders": 3,
        "order_value_mean": 3.3,
        "order_value_max": 9.3,
        "basket_lines": 4 / 3,
        "basket_units": 7 / 3,
        "unit_price_mean": 9.9 / 7,
        "purchased_items": 2,
        "top_item_share": 3 / 4,
        "repeat_share": 1 / 2,
        "discount_share": 1 - 9.9 / (9 + 6 * 0.2),
        "weekend_share": 0,
    }.items(),
)
def test_statistics_equal_those_by_hand(tiny: UserStatistics, name: str, value: float):
    assert of(tiny, "ann")[name] == pytest.approx(value, rel=1e-6)


def test_a_user_without_purchases_has_zeros_and_undefined_gaps(tiny: UserStatistics):
    bob = of(tiny, "bob")
    for name in (
        "purchase_count",
        "purchase_days",
        "orders",
        "spend",
        "spend_7d",
        "purchases_112d",
    ):
        assert bob[name] == 0, name
    for name in ("purchase_recency_days", "purchase_overdue", "order_value_mean", "spend_pace_7d"):
        assert math.isnan(bob[name]), name


def test_a_purchase_without_a_price_is_an_order_worth_nothing_known(tiny: UserStatistics):
    cyd = of(tiny, "cyd")
    assert (cyd["orders"], cyd["spend"], cyd["basket_units"]) == (1, 0, 2)
    assert math.isnan(cyd["unit_price_mean"])
    assert math.isnan(cyd["discount_share"])


def test_money_is_summed_in_cents():
    rows = [("ann", n / 10, c.PURCHASE, "tea", 0.1) for n in range(30)]
    statistics = user_statistics(tables(rows), AT)
    assert of(statistics, "ann")["spend"] == np.float32(3.0)


def test_users_without_history_are_not_there(tiny: UserStatistics):
    assert tiny.users.ids.tolist() == ["ann", "bob", "cyd"]
    assert np.isnan(tiny.take(np.array(["zoe"], dtype=object))).all()


def test_before_the_first_event_there_is_nobody():
    nobody = user_statistics(tables(ROWS), DAY_0)
    assert nobody.values.shape == (0, len(nobody.names))


def test_rewriting_the_future_moves_nothing(shop: Tables, shop_at: int, statistics: UserStatistics):
    assert same(statistics, user_statistics(other_future(shop, shop_at), shop_at))


def test_the_order_of_the_rows_moves_not_one_bit(
    shop: Tables, shop_at: int, statistics: UserStatistics
):
    events = shop.events.to_pyarrow()
    shuffled = with_events(shop, events.take(np.random.default_rng(0).permutation(len(events))))
    assert same(statistics, user_statistics(shuffled, shop_at))


def test_nothing_is_infinite(statistics: UserStatistics):
    assert not np.isinf(statistics.values).any()


def test_planted_habits_show(statistics: UserStatistics):
    def mean(name: str, habit: str) -> float:
        users = np.array([f"u{num:02d}" for num in HABITS[habit]], dtype=object)
        return float(np.nanmean(statistics.take(users)[:, statistics.names.index(name)]))

    assert mean("recency_days", "fading") > 30 > mean("recency_days", "regular")
    assert mean("weekly_events_slope", "fading") < mean("weekly_events_slope", "regular")
    assert mean("tenure_days", "newcomer") < 35 < mean("tenure_days", "regular")
    assert mean("spend", "browser") == 0 < mean("spend", "regular")
    assert mean("visit_overdue", "fading") > 3 > mean("visit_overdue", "regular")


def test_a_weekly_rhythm_is_found_and_a_random_one_is_not():
    rng = np.random.default_rng(0)
    rows = [("clock", 7 * week + 5.5, c.VIEW, "tea", 1.0) for week in range(20)]
    rows += [("noise", when, c.VIEW, "tea", 1.0) for when in rng.uniform(0, 140, size=20)]
    statistics = user_statistics(tables(rows), day(140))
    clock, noise = of(statistics, "clock"), of(statistics, "noise")
    assert clock["period_7d_power"] == pytest.approx(20, rel=1e-3)  # n for a perfect clock
    assert noise["period_7d_power"] < 5
    assert clock["weekday_concentration"] == pytest.approx(1, abs=1e-3)
    assert clock["hour_concentration"] == pytest.approx(1, abs=1e-3)
    assert clock["weekend_share"] == 1  # day 5 is a Saturday
    assert clock["spectral_entropy"] < noise["spectral_entropy"]
    # Noon is opposite midnight; Saturday noon is 5.5 days after Monday.
    assert (clock["hour_cos"], clock["hour_sin"]) == pytest.approx((-1, 0), abs=1e-3)
    turn = 2 * math.pi * 5.5 / 7
    direction = clock["weekday_cos"], clock["weekday_sin"]
    assert direction == pytest.approx((math.cos(turn), math.sin(turn)), abs=1e-3)


def test_the_weekday_does_not_depend_on_the_day_of_asking():
    rows = [("ann", 7 * week + 2.5, c.VIEW, "tea", 1.0) for week in range(10)]
    directions = [
        (of(statistics, "ann")["weekday_cos"], of(statistics, "ann")["weekday_sin"])
        for statistics in (user_statistics(tables(rows), day(70 + later)) for later in range(3))
    ]
    assert directions[0] == pytest.approx(directions[1], abs=1e-5)
    assert directions[0] == pytest.approx(directions[2], abs=1e-5)


def test_weekly_series_equal_the_textbook(shop: Tables, statistics: UserStatistics):
    events = shop.events.to_pyarrow()
    user, time = events[c.USER_ID].to_numpy(), events[c.TIME].to_numpy()
    for name in ("u00", "u05", "u21", "u33", "u44", "u59"):
        week = (SHOP_AT - 1 - time[(user == name) & (time < SHOP_AT)]) // (7 * DAY_US)
        n = min(int(week.max()) + 1, 16)
        series = np.bincount(week[week < n], minlength=n)[::-1]  # oldest first
        deviation = series - series.mean()
        lagged = (deviation[1:] * deviation[:-1]).sum() / (deviation**2).sum()
        slope = np.polyfit(np.arange(n), series, 1)[0] if n >= 3 else math.nan
        row = of(statistics, name)
        assert row["weekly_events_slope"] == pytest.approx(slope, abs=1e-6, nan_ok=True)
        expected = lagged if n >= 4 else math.nan
        assert row["weekly_events_autocorrelation"] == pytest.approx(
            expected, abs=1e-6, nan_ok=True
        )


def test_powers_equal_a_direct_sum(shop: Tables, statistics: UserStatistics):
    events = shop.events.to_pyarrow()
    user, time = events[c.USER_ID].to_numpy(), events[c.TIME].to_numpy()
    for name in ("u00", "u25", "u45"):
        age = np.unique((SHOP_AT - 1 - time[(user == name) & (time < SHOP_AT)]) // DAY_US)
        row = of(statistics, name)
        for period in PERIODS_DAYS:
            total = np.exp(2j * np.pi * (age + 0.5) / period).sum()
            assert row[f"period_{period}d_power"] == pytest.approx(
                abs(total) ** 2 / len(age), abs=1e-4
            )


def test_windows_are_what_the_caller_asks_for():
    statistics = user_statistics(tables(ROWS), AT, windows_days=(10, 30))
    names = {name for name in statistics.names if name.startswith(("events_", "spend_"))}
    assert names == {
        *("events_10d", "events_30d", "events_pace_10d"),
        *("spend_10d", "spend_30d", "spend_pace_10d"),
    }
    assert of(statistics, "ann")["spend_10d"] == pytest.approx(0.4)
    assert WINDOWS_DAYS == (7, 14, 28, 56, 112)
