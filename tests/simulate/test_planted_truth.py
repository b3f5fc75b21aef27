"""What was planted can be found by simple means where it must be, and cannot where it must not."""

from __future__ import annotations

import numpy as np
import pytest

from shoploom.core import columns as c
from shoploom.simulate import service, visits
from shoploom.simulate.catalogue import INTENTS, ITEM_GROUPS, REPLIES, USER_GROUPS
from shoploom.simulate.choice import REASONS
from shoploom.simulate.market import PHASES, PRICE_ARMS
from shoploom.simulate.world import ADS, ELASTICITY
from tests.simulate.planted import Planted, poisson_slope

VIEW, CART, PURCHASE = (c.ACTIONS.index(name) for name in (c.VIEW, c.CART, c.PURCHASE))


@pytest.mark.parametrize("user_group", range(len(USER_GROUPS)), ids=USER_GROUPS)
def test_the_price_test_reveals_the_elasticity_of_each_group(
    planted: Planted, user_group: int
) -> None:
    everyday = ITEM_GROUPS.index("everyday")
    rows = planted.prices
    of_group = planted.world.users.group[rows["users"]] == user_group
    of_group &= planted.world.items.group[rows["items"]] == everyday
    units = rows["spend"][of_group] / rows["price"][of_group]
    arm = np.log(np.array(PRICE_ARMS))[rows["arm"][of_group]]
    assert units.sum() > 10_000
    found = poisson_slope(units, np.ones(len(units)), arm)
    assert found == pytest.approx(-ELASTICITY[user_group, everyday], rel=0.1)


def test_the_arms_of_the_price_test_are_equally_likely(planted: Planted) -> None:
    share = np.bincount(planted.prices["arm"]) / len(planted.prices["arm"])
    assert share == pytest.approx(1 / len(PRICE_ARMS), abs=0.01)


def _naive_elasticity(planted: Planted, phase: str) -> float:
    """Of units per view on the price by item and week, as if prices had been set by lot."""
    n_items, events = len(planted.world.items), planted.events
    week = (events["time"] - planted.world.spec.start_us) // (7 * 86_400_000_000)
    in_phase = np.isin(week, np.flatnonzero(planted.market.phase == PHASES.index(phase)))
    cells = len(planted.market.phase) * n_items
    views = in_phase & (events["action"] == VIEW)
    key = week[views] * n_items + events["items"][views]
    ratio = np.log(events["price"][views] / planted.world.items.price[events["items"][views]])
    seen = np.bincount(key, minlength=cells)
    price = np.bincount(key, weights=ratio, minlength=cells)[seen > 0] / seen[seen > 0]
    sales = in_phase & (events["action"] == PURCHASE)
    key = week[sales] * n_items + events["items"][sales]
    units = np.bincount(key, weights=events["quantity"][sales], minlength=cells)
    return poisson_slope(units[seen > 0], seen[seen > 0].astype(float), price)


def test_a_naive_regression_on_confounded_prices_finds_demand_too_inelastic(
    planted: Planted,
) -> None:
    # Prices rose when demand did, so the slope is pulled towards zero: a bias of known sign.
    confounded = _naive_elasticity(planted, "confounded")
    randomised = _naive_elasticity(planted, "randomised")
    assert randomised == pytest.approx(-2.25, rel=0.1)
    assert confounded > randomised + 0.5


def test_reviews_reveal_quality(planted: Planted) -> None:
    rows, n = planted.reviews, len(planted.world.items)
    count = np.bincount(rows["items"], minlength=n)
    mean = np.bincount(rows["items"], weights=rows["rating"], minlength=n) / np.maximum(count, 1)
    known = count >= 20
    assert known.sum() > 100
    assert np.corrcoef(mean[known], planted.world.items.quality[known])[0, 1] > 0.85


def test_what_is_bought_looks_like_what_is_liked(planted: Planted) -> None:
    users, items, events = planted.world.users, planted.world.items, planted.events
    match = {}
    for name, action in (("viewed", VIEW), ("bought", PURCHASE)):
        rows = events["action"] == action
        taste = users.taste_style[events["users"][rows]]
        match[name] = float((taste * items.style[events["items"][rows]]).sum(axis=1).mean())
    assert match["bought"] > match["viewed"] > 0.2


def test_titles_prices_and_brands_say_nothing_of_style_and_quality(planted: Planted) -> None:
    items = planted.world.items
    for hidden in (*items.style.T, items.appeal):
        for told in (items.price, items.category, items.language, items.first_day):
            assert abs(np.corrcoef(hidden, told)[0, 1]) < 0.15


def test_advertisements_lift_those_whom_they_were_planted_to_lift(planted: Planted) -> None:
    rows, users = planted.ads, planted.world.users
    discount, none = ADS.index("discount"), ADS.index("none")
    lift = {}
    for group in (USER_GROUPS.index("bargain hunter"), USER_GROUPS.index("devoted")):
        of_group = users.group[rows["users"]] == group
        bought = {
            arm: rows["converted"][of_group & (rows["arm"] == arm)].mean()
            for arm in (discount, none)
        }
        lift[group] = bought[discount] / bought[none] - 1
    assert lift[0] > 0.2
    assert lift[2] < 0


def test_arms_of_advertisements_follow_their_propensities(planted: Planted) -> None:
    rows = planted.ads
    # E[1 / propensity] of the arm that was drawn is the number of arms.
    assert (1 / rows["propensity"]).mean() == pytest.approx(len(ADS), rel=0.01)


def test_recommended_items_follow_their_propensities(planted: Planted) -> None:
    rows, items = planted.recommendations, planted.world.items
    last = rows["time"] >= planted.world.spec.end_us - 7 * 86_400_000_000
    there = items.first_day < planted.world.spec.days - 7
    for category in range(3):
        of_category = last & (rows["category"] == category)
        on_offer = (there & (items.category == category)).sum()
        weights = 1 / rows["propensity"][of_category]
        assert weights.mean() == pytest.approx(on_offer, rel=0.25)


def test_the_best_reply_to_each_question_shows_in_the_log(planted: Planted) -> None:
    rows = planted.replies
    value = np.zeros((len(INTENTS), len(REPLIES)))
    for intent in range(len(INTENTS)):
        for reply in range(len(REPLIES)):
            weight = (rows["intent"] == intent) & (rows["reply"] == reply)
            value[intent, reply] = rows["suited"][weight].mean()
    assert value[INTENTS.index("damaged or wrong item")].argmax() in (0, 1)
    assert value[INTENTS.index("where is my order")].argmax() == 3
    assert value[INTENTS.index("praise")].argmax() == 5
    handbook = value[np.arange(len(INTENTS)), service.HANDBOOK].mean()
    assert value.max(axis=1).mean() > handbook  # the shop's handbook can be bettered


def test_who_was_let_down_leaves_more_often(planted: Planted) -> None:
    gone = planted.left
    assert 0.15 < len(gone["users"]) / len(planted.world.users) < 0.4
    others = gone["unhappiness"] == 0
    assert 0.15 < (~others).mean() < 0.9
    hazard = planted.world.users.hazard
    assert hazard[gone["users"]].mean() > 1.3 * hazard.mean()


def test_every_event_has_a_cause(planted: Planted) -> None:
    events = planted.events
    of_session = events["number"] >= 0
    assert (events["origin"][of_session] >= 0).all()
    told = np.isin(events["action"], (CART, PURCHASE))
    assert not np.isnan(events["reasons"][told]).any()
    assert np.isnan(events["reasons"][~told]).all()


def test_partners_are_caused_by_what_was_bought_before(planted: Planted) -> None:
    events, items = planted.events, planted.world.items
    rows = events["slot"] == visits.PARTNER
    cause, item = events["cause_item"][rows], events["items"][rows]
    assert rows.sum() > 1_000
    assert (items.partners[cause] == item[:, None]).any(axis=1).all()


def test_expected_demand_is_what_happens_on_average(planted: Planted) -> None:
    rows = planted.prices
    units = rows["spend"] / rows["price"]
    assert units.sum() == pytest.approx(rows["expected"].sum(), rel=0.03)


def test_popularity_has_a_long_tail_and_new_items_arrive(planted: Planted) -> None:
    events, items = planted.events, planted.world.items
    sold = np.bincount(events["items"][events["action"] == PURCHASE], minlength=len(items))
    tenth = np.sort(sold)[::-1][: len(items) // 10].sum() / sold.sum()
    assert 0.4 < tenth < 0.9
    assert (items.first_day > 0).sum() > 200
    there = events["items"] >= 0
    day = (events["time"] - planted.world.spec.start_us) // 86_400_000_000
    assert (items.first_day[events["items"][there]] <= day[there]).all()


def test_events_of_a_session_follow_each_other(planted: Planted) -> None:
    events = planted.events
    inside = events["number"] >= 0
    order = np.lexsort([events["time"][inside], events["number"][inside]])
    session, time = events["number"][inside][order], events["time"][inside][order]
    same = session[1:] == session[:-1]
    assert (np.diff(time)[same] >= 1_000_000).all()
    users = events["users"][inside][order]
    assert (users[1:] == users[:-1])[same].all()


def test_reasons_are_named_in_the_order_of_their_columns() -> None:
    assert len(REASONS) == len(set(REASONS)) == 10
