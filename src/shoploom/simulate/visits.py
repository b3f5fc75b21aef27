"""Sessions, the needs that bring people, and the page of candidates that each visit shows.

Sessions of a day are Poisson by user (rhythm of the week, advertisement, unhappiness); over users
their rates are Gamma distributed, as in the NBD model (Ehrenberg 1959). A session has one or more
visits; a visit is for one category.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shoploom.core.time import DAY_US, MINUTE_US
from shoploom.simulate.catalogue import CATEGORIES, COMPLEMENTS
from shoploom.simulate.choice import Floats, Seen
from shoploom.simulate.market import Market
from shoploom.simulate.state import State
from shoploom.simulate.streams import Stream
from shoploom.simulate.world import WEEKDAYS, Codes, World, hour_shares

#: Why a visit happens.
ORIGINS = ("taste", "again", "still", "goes with", "stream")
TASTE, AGAIN, STILL, GOES_WITH, STREAM = range(len(ORIGINS))

#: How a candidate came onto the page.
SLOTS = ("page", "habit", "partner", "recommendation", "stream")
PAGE, HABIT, PARTNER, RECOMMENDED, STREAMED = range(len(SLOTS))

#: Candidates a page shows: the recommended ones first, then one for habit and two for partners.
PAGE_SIZE, RECOMMENDATIONS = 12, 3
HABIT_PLACE, PARTNER_PLACES = 3, (4, 5)
RECOMMENDED_SHARE, SEARCHED_SHARE = 0.5, 0.25
STAYS, FOLLOWS_PARTNER, PARTNER_DAYS, PARTNER_VISITS = 0.3, 0.35, 21, 0.5
TIRING, AGAIN_BOOST = 0.06, 6.0
STREAM_AUDIENCE = 0.08
INTENT_SPREAD = 1.2
_LOG_SALES_SHOWN = 0.5
_RECOMMENDED_POWER = 0.7


@dataclass(frozen=True)
class Sessions:
    """The sessions of a day; one row each.

    Attributes:
        users: who. start: when, microseconds UTC.
        number: counts over the whole log, for session ids.
        stream: the stream that brought the user, -1 = none.
        intent: how much the user has come to buy; the mean of its exponential is 1.
    """

    users: npt.NDArray[np.integer]
    start: npt.NDArray[np.int64]
    number: npt.NDArray[np.int64]
    stream: Codes
    intent: Floats

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True)
class Visits:
    """The visits of a day; one row each.

    Attributes:
        session: row of Sessions. rank: which visit of its session.
        users, category: codes. origin: code into ORIGINS.
        searched: whether it began with a search.
    """

    session: npt.NDArray[np.integer]
    rank: npt.NDArray[np.integer]
    users: npt.NDArray[np.integer]
    category: Codes
    origin: Codes
    searched: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True)
class Pages:
    """The candidates of each visit, (n_visits, PAGE_SIZE).

    Attributes:
        items: codes. slot: code into SLOTS.
        shown: False where an item stands on the page already.
        propensity: probability of a recommended candidate under the logged policy, else NaN.
    """

    items: Codes
    slot: Codes
    shown: npt.NDArray[np.bool_]
    propensity: Floats


def draw_sessions(
    world: World, state: State, day: int, stream: Stream | None, draw: np.random.Generator
) -> Sessions:
    """Who comes today, and when; the audience of a stream comes on top."""
    spec, users = world.spec, world.users
    here = np.flatnonzero(state.alive & (users.first_day <= day))
    weekday = np.array(list(WEEKDAYS.values()), np.float32)
    rhythm = users.rhythm[here]
    ad = np.maximum(state.ad[here], 0)
    # Day 4 of 1970 was a Monday.
    of_week = (spec.start_us // DAY_US + day - 4) % 7
    mean = (
        users.rate[here]
        * weekday[rhythm, of_week]
        * np.exp(users.ad_uplift[here, ad] - 0.4 * state.unhappiness[here])
    )
    who = np.repeat(here, draw.poisson(mean))
    turns = np.cumsum(hour_shares(), axis=1, dtype=np.float64)
    minute = np.empty(len(who), np.int64)
    at = draw.random(len(who))
    for kind, turn in enumerate(turns):
        of_kind = users.rhythm[who] == kind
        minute[of_kind] = np.searchsorted(turn / turn[-1], at[of_kind])
    midnight = spec.start_us + day * DAY_US
    start = midnight + minute * MINUTE_US + draw.integers(0, MINUTE_US, len(who))
    streams = np.full(len(who), -1, np.int32)
    if stream is not None:
        watchers = here[draw.random(len(here)) < STREAM_AUDIENCE]
        # Whoever comes early waits for the start; the last join while the last item is shown.
        late = draw.random(len(watchers)) * stream.seconds * 1_000_000
        who = np.concatenate([who, watchers])
        start = np.concatenate([start, stream.time + late.astype(np.int64)])
        streams = np.concatenate([streams, np.full(len(watchers), stream.number, np.int32)])
    number = state.sessions + np.arange(len(who))
    state.sessions += len(who)
    intent = draw.normal(-(INTENT_SPREAD**2) / 2, INTENT_SPREAD, len(who)).astype(np.float32)
    return Sessions(who, start, number, streams, intent)


def draw_visits(
    world: World,
    market: Market,
    state: State,
    sessions: Sessions,
    stream: Stream | None,
    day: int,
    draw: np.random.Generator,
) -> Visits:
    """What the sessions of a day are for."""
    streamed = sessions.stream >= 0
    needs = 1 + np.minimum(draw.poisson(0.7, len(sessions)), 5)
    needs[streamed] = 1
    session = np.repeat(np.arange(len(sessions)), needs)
    rank = np.arange(len(session)) - np.repeat(np.cumsum(needs) - needs, needs)
    users = sessions.users[session]
    category, due = _needed(world, market, state, users, day, draw)
    origin = np.where(due, AGAIN, TASTE)
    chance = draw.random(len(users))
    stays = (chance < STAYS) & (state.last_category[users] >= 0)
    fresh = (state.last_item[users] >= 0) & (day - state.last_item_day[users] <= PARTNER_DAYS)
    partner = (chance > 1 - FOLLOWS_PARTNER) & fresh & (rank == 0)
    wanted = np.array(COMPLEMENTS)[world.items.category[state.last_item[users]]]
    category = np.where(stays, state.last_category[users], category)
    category = np.where(partner, wanted, category)
    origin = np.select([partner, stays], [GOES_WITH, STILL], origin)
    if stream is not None:
        here = streamed[session]
        shown = stream.items[draw.integers(0, len(stream.items), len(users))]
        category = np.where(here, world.items.category[shown], category)
        origin = np.where(here, STREAM, origin)
    searched = (draw.random(len(users)) < SEARCHED_SHARE) & ~streamed[session]
    return Visits(
        session, rank, users, category.astype(np.int32), origin.astype(np.int32), searched
    )


def _needed(
    world: World,
    market: Market,
    state: State,
    users: npt.NDArray[np.integer],
    day: int,
    draw: np.random.Generator,
) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.bool_]]:
    """A category for each visit, and whether the stock of it at home is used up.

    Probabilities are taste times season over fatigue, times AGAIN_BOOST where the thing is due.
    """
    repeat = np.array([row.repeat_days or np.inf for row in CATEGORIES], np.float32)
    lasted = (day - state.bought_day[users]) / repeat
    due = (lasted > 0.75) & (lasted < 2.0)
    weight = world.users.taste_category[users] * np.exp(
        market.season[day] - TIRING * state.fatigue[users]
    )
    weight *= np.where(due, np.float32(AGAIN_BOOST), np.float32(1))
    heaped = np.cumsum(weight, axis=1)
    at = draw.random(len(users), np.float32) * heaped[:, -1]
    chosen = np.minimum((heaped < at[:, None]).sum(axis=1), len(CATEGORIES) - 1)
    return chosen, due[np.arange(len(users)), chosen]


class Shelves:
    """The items that can be shown on a day, drawn within a category by weight."""

    def __init__(self, world: World, weight: npt.NDArray[np.floating]) -> None:
        """Weights by item; 0 where an item is not there yet."""
        category = world.items.category
        self.order = np.argsort(category, kind="stable")
        self.starts = np.searchsorted(category[self.order], np.arange(len(CATEGORIES) + 1))
        self.heaped = np.concatenate([[0.0], np.cumsum(weight[self.order], dtype=np.float64)])
        self.weight = weight

    def draw(self, category: Codes, n: int, draw: np.random.Generator) -> Codes:
        """(len(category), n) items, independently of each other."""
        low, high = self.heaped[self.starts[category]], self.heaped[self.starts[category + 1]]
        at = low[:, None] + draw.random((len(category), n)) * (high - low)[:, None]
        place = np.searchsorted(self.heaped, at, side="right") - 1
        # Rounding may land on the neighbour's first item.
        place = np.clip(
            place, self.starts[category][:, None], self.starts[category + 1][:, None] - 1
        )
        return self.order[place].astype(np.int32)

    def share(self, items: Codes, category: Codes) -> Floats:
        """Probability that one draw from the category gives the item."""
        total = self.heaped[self.starts[category + 1]] - self.heaped[self.starts[category]]
        return (self.weight[items] / total).astype(np.float32)


def draw_pages(
    world: World,
    market: Market,
    state: State,
    visits: Visits,
    stream: Stream | None,
    day: int,
    draw: np.random.Generator,
) -> Pages:
    """The candidates that each visit shows."""
    items, week, n = world.items, market.week(day), len(visits)
    there = items.first_day <= day
    shown_often = np.exp(items.appeal + 0.5 * market.displayed[week])
    pages = Shelves(world, there * shown_often * (1 + state.sold) ** _LOG_SALES_SHOWN)
    candidates = pages.draw(visits.category, PAGE_SIZE, draw)
    slot = np.zeros((n, PAGE_SIZE), np.int32)
    propensity = np.full((n, PAGE_SIZE), np.nan, np.float32)

    habit = state.bought[visits.users, visits.category]
    has_habit = (habit >= 0) & ((visits.origin == AGAIN) | (draw.random(n) < 0.4))
    candidates[has_habit, HABIT_PLACE] = habit[has_habit]
    slot[has_habit, HABIT_PLACE] = HABIT

    partner = visits.origin == GOES_WITH
    partner &= draw.random(n) < PARTNER_VISITS
    bought = state.last_item[visits.users[partner]]
    pair = items.partners[bought]
    ready = there[pair]
    for which, place in enumerate(PARTNER_PLACES):
        rows = np.flatnonzero(partner)[ready[:, which]]
        candidates[rows, place] = pair[ready[:, which], which]
        slot[rows, place] = PARTNER

    recommended = np.flatnonzero(
        (visits.rank == 0) & (visits.origin != STREAM) & (draw.random(n) < RECOMMENDED_SHARE)
    )
    policy = Shelves(world, there * (1 + state.sold) ** _RECOMMENDED_POWER)
    places = slice(0, RECOMMENDATIONS)
    slate = policy.draw(visits.category[recommended], RECOMMENDATIONS, draw)
    candidates[recommended, places] = slate
    slot[recommended, places] = RECOMMENDED
    propensity[recommended, places] = policy.share(slate, visits.category[recommended][:, None])

    if stream is not None:
        watching = np.flatnonzero(visits.origin == STREAM)
        n_shown = min(len(stream.items), PAGE_SIZE)
        candidates[watching, :n_shown] = stream.items[:n_shown]
        slot[watching] = PAGE
        slot[watching, :n_shown] = STREAMED
    return Pages(candidates, slot, _first_of_each(candidates), propensity)


def _first_of_each(candidates: Codes) -> npt.NDArray[np.bool_]:
    """False where the same item stands further left on the page."""
    first = np.ones(candidates.shape, bool)
    for place in range(1, candidates.shape[1]):
        first[:, place] = (candidates[:, :place] != candidates[:, place, None]).all(axis=1)
    return first


def seen_on(
    world: World,
    market: Market,
    state: State,
    sessions: Sessions,
    visits: Visits,
    pages: Pages,
    day: int,
) -> Seen:
    """What meets the eye with each candidate of each page."""
    week = market.week(day)
    intent = sessions.intent[visits.session]
    users = np.broadcast_to(visits.users[:, None], pages.items.shape)
    return Seen(
        users=users,
        items=pages.items,
        stars=state.stars()[pages.items],
        badge=market.promoted[week][pages.items].astype(np.float32),
        habit=(pages.slot == HABIT).astype(np.float32),
        partner=(pages.slot == PARTNER).astype(np.float32),
        stream=(pages.slot == STREAMED).astype(np.float32),
        intent=np.broadcast_to(intent[:, None], pages.items.shape),
    )
