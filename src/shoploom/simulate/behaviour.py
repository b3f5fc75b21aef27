"""Day by day: who looks, buys, waits for a parcel, writes, sends back, complains, and leaves.

Vectorised over all users of a day; the only loop is the one over days, because what happens
depends on what happened before (popularity, reviews, habits, unhappiness).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from shoploom.core import columns as c
from shoploom.core.seeds import rng
from shoploom.core.time import DAY_US
from shoploom.simulate import service, visits
from shoploom.simulate.catalogue import ASPECTS
from shoploom.simulate.choice import (
    PRIOR_RATING,
    REASONS,
    Seen,
    buy_reasons,
    expected_units,
    look_utility,
)
from shoploom.simulate.market import PHASES, PRICE_ARMS, Market
from shoploom.simulate.state import Rows, State
from shoploom.simulate.streams import SECONDS_EACH, Stream, plan_streams
from shoploom.simulate.timeline import NO_ITEM, Parts, order_in_time
from shoploom.simulate.world import ADS, Floats, World

AD_SHARE, AD_PROPENSITIES, AD_COST, AD_CLICKED = 0.5, (0.4, 0.3, 0.3), 0.05, 0.12
REVIEWED, RETURNED, WRITES_AFTER_BAD, WRITES_OTHERWISE = 0.3, 0.04, 0.3, 0.03
#: Satisfaction below this is a bad experience.
BAD = -0.9


@dataclass
class DayLog:
    """What a day leaves: flat arrays by column name, codes throughout.

    Attributes:
        events: see ``timeline.order_in_time``.
        prices, recommendations, ads, replies: exposures by kind.
        reviews, dialogues: what was written, as facts for the texts.
        left: users who left for good.
    """

    events: Rows = field(default_factory=dict)
    prices: Rows = field(default_factory=dict)
    recommendations: Rows = field(default_factory=dict)
    ads: Rows = field(default_factory=dict)
    replies: Rows = field(default_factory=dict)
    reviews: Rows = field(default_factory=dict)
    dialogues: Rows = field(default_factory=dict)
    left: Rows = field(default_factory=dict)


@dataclass(frozen=True)
class Looks:
    """The looked-at items of a day, one row each.

    Attributes:
        visit: row of Visits. rank: order within the visit.
        place: on the page. users, items, slot: codes.
        seen: what met the eye.
        price: what the user would pay. arm: of the price test, -1 outside it.
        reasons: by reason, what it adds to the log of the units demanded.
        expected: mean number of units. units: how many were bought.
    """

    visit: npt.NDArray[np.integer]
    rank: npt.NDArray[np.integer]
    place: npt.NDArray[np.integer]
    users: npt.NDArray[np.integer]
    items: npt.NDArray[np.integer]
    slot: npt.NDArray[np.integer]
    seen: Seen
    price: npt.NDArray[np.float64]
    arm: npt.NDArray[np.integer]
    reasons: dict[str, Floats]
    expected: Floats
    units: npt.NDArray[np.integer]


def simulate_days(world: World, market: Market) -> Iterator[DayLog]:
    """The log of the shop, a day at a time."""
    state, streams = State(world), plan_streams(world)
    for day in range(world.spec.days):
        yield _live_a_day(world, market, state, streams.get(day), day)


def _live_a_day(
    world: World, market: Market, state: State, stream: Stream | None, day: int
) -> DayLog:
    draw, log = rng(world.spec.seed, "day", day), DayLog()
    state.sleep()
    parts = Parts(len(REASONS))
    if day % 7 == 0:
        log.ads = _close_week(world, state, day)
        _send_ads(world, state, day, parts, draw)
    _deliver(world, state, day, log, draw)
    _send_back(world, state, day, parts, draw)
    _publish_reviews(world, state, day, log, draw)
    sessions = visits.draw_sessions(world, state, day, stream, draw)
    needs = visits.draw_visits(world, market, state, sessions, stream, day, draw)
    pages = visits.draw_pages(world, market, state, needs, stream, day, draw)
    looks, looked = _look(world, market, state, sessions, needs, pages, day, draw)
    views = _record(world, state, sessions, needs, looks, stream, parts, draw)
    log.events, times = order_in_time(parts, sessions, draw)
    log.prices = _expose_prices(looks, times[views])
    log.recommendations = _expose_recommended(sessions, needs, pages, looks, looked)
    _settle(world, state, looks, needs, day, draw)
    log.left = _leave(world, state, day, draw)
    if day == world.spec.days - 1:
        closing = _close_week(world, state, day + 1)
        log.ads = (
            {name: np.concatenate([log.ads[name], closing[name]]) for name in closing}
            if log.ads
            else closing
        )
    return log


def price_arm(
    seed: int, users: npt.NDArray[np.integer], items: npt.NDArray[np.integer], week: int
) -> npt.NDArray[np.integer]:
    """The arm that a user sees an item at in a week: a hash, so that it stays the same all week."""
    mixed = (
        users.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        ^ (items.astype(np.uint64) + np.uint64(1)) * np.uint64(0xBF58476D1CE4E5B9)
        ^ np.uint64((week * 0x94D049BB133111EB + seed * 0xD6E8FEB86659FD93) % 2**64)
    )
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return (mixed % np.uint64(len(PRICE_ARMS))).astype(np.int64)


def _look(
    world: World,
    market: Market,
    state: State,
    sessions: visits.Sessions,
    needs: visits.Visits,
    pages: visits.Pages,
    day: int,
    draw: np.random.Generator,
) -> tuple[Looks, npt.NDArray[np.bool_]]:
    """What is looked at closely and how much of it is bought; and the looks as a page mask."""
    seen = visits.seen_on(world, market, state, sessions, needs, pages, day)
    shape = pages.items.shape
    gumbel = -np.log(np.maximum(draw.standard_exponential(shape, np.float32), 1e-30))
    utility = np.where(pages.shown, look_utility(world, seen) + gumbel, -np.inf)
    order = np.argsort(-utility, axis=1, kind="stable")
    wanted = 1 + np.minimum(draw.poisson(1.3, len(needs)), pages.shown.sum(axis=1) - 1)
    chosen = np.arange(shape[1]) < wanted[:, None]
    visit, rank = np.nonzero(chosen)
    place = order[visit, rank]
    looked = np.zeros(shape, bool)
    looked[visit, place] = True

    close = Seen(*(getattr(seen, name)[visit, place] for name in Seen.__dataclass_fields__))
    week = market.week(day)
    price, arm = market.price[week][close.items], np.full(len(visit), -1)
    if market.phase[week] == PHASES.index("randomised"):
        arm = price_arm(world.spec.seed, close.users, close.items, week)
        price = np.round(price * np.array(PRICE_ARMS)[arm], 2)
    reasons = buy_reasons(world, close, price, market.shock[week][close.items])
    expected = expected_units(world, close, reasons)
    looks = Looks(
        visit,
        rank,
        place,
        close.users,
        close.items,
        pages.slot[visit, place],
        close,
        price,
        arm,
        reasons,
        expected,
        draw.poisson(expected),
    )
    return looks, looked


def _record(
    world: World,
    state: State,
    sessions: visits.Sessions,
    needs: visits.Visits,
    looks: Looks,
    stream: Stream | None,
    parts: Parts,
    draw: np.random.Generator,
) -> slice:
    """Write the acts of a day's sessions to ``parts``; where the looks stand comes back."""
    searched = np.flatnonzero(needs.searched)
    parts.add(
        c.SEARCH,
        session=needs.session[searched],
        visit=needs.rank[searched],
        stage=0,
        category=needs.category[searched],
        origin=needs.origin[searched],
    )
    if stream is not None:
        watching = np.flatnonzero(needs.origin == visits.STREAM)
        late = (sessions.start[needs.session[watching]] - stream.time) / 1e6
        first = np.minimum((late / SECONDS_EACH).astype(int), len(stream.items) - 1)
        parts.add(
            c.WATCH,
            session=needs.session[watching],
            visit=0,
            stage=1,
            items=stream.items[first],
            stream=np.full(len(watching), stream.number),
            origin=needs.origin[watching],
            slot=visits.STREAMED,
            dwell=(stream.seconds - late).astype(np.float32),
        )
    slots, origin = looks.slot, needs.origin[looks.visit]
    again = (slots == visits.HABIT) | (origin == visits.AGAIN)
    before = state.bought[looks.users, needs.category[looks.visit]]
    cause = np.where(again, before, NO_ITEM)
    cause = np.where(origin == visits.GOES_WITH, state.last_item[looks.users], cause)
    reasons = np.stack([looks.reasons[name] for name in REASONS], axis=1)
    common = {
        "session": needs.session[looks.visit],
        "visit": needs.rank[looks.visit],
        "items": looks.items,
        "price": looks.price,
        "origin": origin,
        "slot": slots,
        "cause_item": cause,
    }

    def add(action: str, which: npt.NDArray[np.bool_], step: int, **more: npt.ArrayLike) -> slice:
        chosen = {name: column[which] for name, column in common.items()}
        stage = 10 + looks.rank[which] * 10 + step
        return parts.add(action, stage=stage, **chosen, **more)

    every, bought = np.ones(len(looks.items), bool), looks.units > 0
    views = add(
        c.VIEW,
        every,
        0,
        searched=needs.searched[looks.visit],
        dwell=np.exp(draw.normal(3.0 + 0.2 * looks.reasons["style"], 0.8)).astype(np.float32),
    )
    chance = draw.random(len(looks.items))
    put = bought | (chance < np.minimum(1.5 * looks.expected, 0.6))
    add(c.CART, put, 2, reasons=reasons[put])
    add(c.REMOVE, put & ~bought & (draw.random(len(put)) < 0.35), 3)
    liked = draw.random(len(put)) < np.minimum(0.02 * np.exp(looks.reasons["style"] * 2), 0.5)
    add(c.FAVOURITE, liked, 1)
    filmed = looks.items < world.spec.films
    add(c.WATCH, filmed & (draw.random(len(put)) < 0.25), 4)
    chosen = {name: column[bought] for name, column in common.items()}
    chosen["visit"] = np.full(bought.sum(), Parts.CHECKOUT)
    parts.add(
        c.PURCHASE,
        stage=looks.rank[bought] + 10 * looks.visit[bought] % 1000,
        quantity=looks.units[bought].astype(np.float64),
        reasons=reasons[bought],
        **chosen,
    )
    return views


def _expose_prices(looks: Looks, times: npt.NDArray[np.int64]) -> Rows:
    """The prices under test that were seen, at the time of each look."""
    spent = looks.units * looks.price
    tested = looks.arm >= 0
    return {
        "users": looks.users[tested],
        "time": times[tested],
        "items": looks.items[tested],
        "arm": looks.arm[tested],
        "price": looks.price[tested],
        "converted": looks.units[tested] > 0,
        "spend": spent[tested],
        "expected": looks.expected[tested],
    }


def _expose_recommended(
    sessions: visits.Sessions,
    needs: visits.Visits,
    pages: visits.Pages,
    looks: Looks,
    looked: npt.NDArray[np.bool_],
) -> Rows:
    """The recommended items of the day, shown or not looked at."""
    row, place = np.nonzero(pages.slot == visits.RECOMMENDED)
    paid = np.zeros(pages.items.shape)
    paid[looks.visit, looks.place] = looks.units * looks.price
    # An item that fills two places of a slate is looked at, and paid, as one.
    clicked, same_paid = looked[row, place].copy(), paid[row, place].copy()
    for other in range(visits.RECOMMENDATIONS):
        twin = (pages.items[row, other] == pages.items[row, place]) & (other < place)
        clicked |= twin & looked[row, other]
        same_paid = np.where(twin, np.maximum(same_paid, paid[row, other]), same_paid)
    return {
        "users": needs.users[row],
        "time": sessions.start[needs.session[row]],
        "session": sessions.number[needs.session[row]],
        "items": pages.items[row, place],
        "place": place,
        "category": needs.category[row],
        "propensity": pages.propensity[row, place],
        "clicked": clicked,
        "converted": same_paid > 0,
        "spend": same_paid,
    }


def _settle(
    world: World,
    state: State,
    looks: Looks,
    needs: visits.Visits,
    day: int,
    draw: np.random.Generator,
) -> None:
    """Carry the day into the state: habits, fatigue, counted sales, parcels on their way."""
    np.add.at(state.fatigue, (needs.users, needs.category), np.float32(1))
    state.last_category[needs.users] = needs.category
    bought = looks.units > 0
    users, items, units = looks.users[bought], looks.items[bought], looks.units[bought]
    state.remember_purchases(users, items, world.items.category[items], day)
    np.add.at(state.sold, items, units.astype(np.float32))
    np.add.at(state.week_spend, users, units * looks.price[bought])
    style = looks.reasons["style"][bought]
    aspects = world.items.aspects[items] + draw.normal(0, 0.6, (len(items), len(ASPECTS)))
    satisfaction = 0.6 * aspects.mean(axis=1) + 0.4 * world.items.quality[items] + 0.4 * style
    state.parcels.put(
        day + 1 + draw.poisson(1.5, len(users)),
        {
            "users": users,
            "items": items,
            "units": units,
            "price": looks.price[bought],
            "aspects": aspects.astype(np.float32),
            "satisfaction": (satisfaction + draw.normal(0, 0.3, len(users))).astype(np.float32),
        },
    )


def _deliver(world: World, state: State, day: int, log: DayLog, draw: np.random.Generator) -> None:
    """Parcels arrive: people are content or not, will review, send back, or write to the shop."""
    parcels = state.parcels.take(day)
    if not parcels:
        return
    users, satisfaction = parcels["users"], parcels["satisfaction"]
    np.add.at(state.unhappiness, users, np.maximum(-0.4 - satisfaction, 0).astype(np.float32))
    # Who has strong feelings writes more often.
    writes = draw.random(len(users)) < REVIEWED * (0.6 + 0.4 * np.abs(satisfaction))
    state.opinions.put(
        (day + 1 + draw.poisson(5, writes.sum())),
        {name: column[writes] for name, column in parcels.items()},
    )
    odds = RETURNED * np.exp(np.clip(-1.6 * satisfaction, -3, 2.5))
    back = draw.random(len(users)) < np.minimum(odds, 0.7)
    state.regrets.put(
        (day + 1 + draw.poisson(4, back.sum())),
        {name: parcels[name][back] for name in ("users", "items", "units", "price")},
    )
    bad = satisfaction < BAD
    asks = draw.random(len(users)) < np.where(bad, WRITES_AFTER_BAD, WRITES_OTHERWISE)
    log.dialogues = _serve(world, state, users[asks], parcels["items"][asks], bad[asks], day, draw)
    log.replies = log.dialogues


def _serve(
    world: World,
    state: State,
    users: npt.NDArray[np.integer],
    items: npt.NDArray[np.integer],
    bad: npt.NDArray[np.bool_],
    day: int,
    draw: np.random.Generator,
) -> Rows:
    """Customers write to the shop; a reply that suits them makes up for much."""
    intent, emotion = service.draw_intents(bad, draw)
    propensity = service.logged_propensities(intent)
    heaped = np.cumsum(propensity, axis=1)
    reply = (heaped < draw.random(len(users))[:, None] * heaped[:, -1:]).sum(axis=1)
    rows = np.arange(len(users))
    suits = service.suit_probability(intent, emotion, world.users.group[users])
    suited = draw.random(len(users)) < suits[rows, reply]
    np.add.at(state.unhappiness, users, np.where(suited, -0.5, 0.4).astype(np.float32))
    np.maximum(state.unhappiness, 0, out=state.unhappiness)
    upset = np.isin(emotion, (2, 3))
    score = 3.9 * suited + 1.9 * ~suited - 0.4 * upset + world.users.mood[users]
    score += draw.normal(0, 0.6, len(users))
    number = state.dialogues + rows
    state.dialogues += len(users)
    midnight = world.spec.start_us + day * DAY_US
    return {
        "number": number,
        "users": users,
        "items": items,
        "time": midnight + draw.integers(8 * 3600, 22 * 3600, len(users)) * 1_000_000,
        "intent": intent,
        "emotion": emotion,
        "reply": reply,
        "propensity": propensity[rows, reply],
        "suited": suited,
        "suit_probability": suits[rows, reply],
        "satisfaction": np.clip(np.round(score + 0.6), 1, 5),
    }


def _publish_reviews(
    world: World, state: State, day: int, log: DayLog, draw: np.random.Generator
) -> None:
    """Reviews that are due appear, and pages show them from now on."""
    due = state.opinions.take(day)
    if not due:
        return
    users, items = due["users"], due["items"]
    score = PRIOR_RATING + 0.15 + 0.95 * due["satisfaction"] + world.users.mood[users]
    rating = np.clip(np.round(score), 1, 5).astype(np.int64)
    np.add.at(state.rating_sum, items, rating)
    np.add.at(state.reviews, items, 1)
    spoken = draw.random(due["aspects"].shape) < 0.33
    spoken[np.arange(len(users)), draw.integers(0, len(ASPECTS), len(users))] = True
    # People speak of what stands out; an aspect near the middle follows the overall mood.
    felt = due["aspects"] + 0.5 * (score - PRIOR_RATING)[:, None]
    midnight = world.spec.start_us + day * DAY_US
    log.reviews = {
        "users": users,
        "items": items,
        "time": midnight + draw.integers(7 * 3600, 86_399, len(users)) * 1_000_000,
        "rating": rating,
        "satisfaction": due["satisfaction"],
        "polarity": np.where(spoken, np.where(felt > 0, 1, -1), 0).astype(np.int8),
    }


def _send_back(
    world: World, state: State, day: int, parts: Parts, draw: np.random.Generator
) -> None:
    """Returns that are due arrive at the shop."""
    due = state.regrets.take(day)
    if not due:
        return
    midnight = world.spec.start_us + day * DAY_US
    parts.add_at(
        c.RETURN,
        time=midnight + draw.integers(8 * 3600, 20 * 3600, len(due["users"])) * 1_000_000,
        users=due["users"],
        items=due["items"],
        price=due["price"],
        quantity=due["units"].astype(np.float64),
    )


def _send_ads(
    world: World, state: State, day: int, parts: Parts, draw: np.random.Generator
) -> None:
    """A new week: a random half of the users who are still there is drawn an arm each."""
    n = len(world.users)
    asked = state.alive & (world.users.first_day <= day) & (draw.random(n) < AD_SHARE)
    arm = draw.choice(len(ADS), n, p=AD_PROPENSITIES)
    state.ad = np.where(asked, arm, -1).astype(np.int8)
    lift = world.users.ad_uplift[np.arange(n), np.maximum(state.ad, 0)]
    state.ad_clicked = (state.ad > 0) & (draw.random(n) < AD_CLICKED * np.exp(1.5 * lift))
    clicked = np.flatnonzero(state.ad_clicked)
    midnight = world.spec.start_us + day * DAY_US
    parts.add_at(
        c.CLICK,
        time=midnight + draw.integers(9 * 3600, 22 * 3600, len(clicked)) * 1_000_000,
        users=clicked,
        ad=state.ad[clicked],
        items=np.full(len(clicked), NO_ITEM),
    )


def _close_week(world: World, state: State, day: int) -> Rows:
    """The exposures of the week that ends, with what followed; the new week's count begins."""
    asked = np.flatnonzero(state.ad >= 0)
    spend = state.week_spend[asked].copy()
    week_us = world.spec.start_us + (day - 1) // 7 * 7 * DAY_US
    rows = {
        "users": asked,
        "time": np.full(len(asked), week_us),
        "arm": state.ad[asked].astype(np.int64),
        "propensity": np.array(AD_PROPENSITIES)[state.ad[asked]],
        "clicked": state.ad_clicked[asked],
        "converted": spend > 0,
        "spend": spend,
        "cost": np.where(state.ad[asked] > 0, AD_COST, 0.0),
    }
    state.week_spend[:] = 0
    return rows if day else {}


def _leave(world: World, state: State, day: int, draw: np.random.Generator) -> Rows:
    """Some leave for good: an exponential hazard that unhappiness multiplies (Cox 1972)."""
    here = state.alive & (world.users.first_day <= day)
    hazard = world.users.hazard * np.exp(1.3 * np.minimum(state.unhappiness, 3))
    leaves = here & (draw.random(len(hazard), np.float32) < hazard)
    state.alive &= ~leaves
    users = np.flatnonzero(leaves)
    return {
        "users": users,
        "day": np.full(len(users), day),
        "unhappiness": state.unhappiness[users],
    }
