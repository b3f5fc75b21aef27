"""The simulated shop as a gymnasium environment: price, recommend and reply, one visit a step.

A cohort of users each means to come ``visits`` times. At each visit the agent puts one of the
candidates in front, at one of the price arms, and answers the visitor's question if there is one.
The choice model is that of the log (``choice``, ``service``). What is sold brings its margin now;
a bad item or a reply that does not suit may make the user leave for good, and a generous reply
costs money: the myopic policy is not the best one.

Users do not influence each other, so the best policy that knows the truth follows from one
backward recursion per user (``clairvoyant``), exact up to the sampling of contexts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from shoploom.core.seeds import rng
from shoploom.simulate.catalogue import CATEGORIES, EMOTIONS, INTENTS, REPLIES
from shoploom.simulate.choice import (
    Floats,
    Seen,
    buy_reasons,
    expected_units,
    look_utility,
    stars,
)
from shoploom.simulate.market import PRICE_ARMS
from shoploom.simulate.service import draw_intents, suit_probability
from shoploom.simulate.spec import ShopSpec
from shoploom.simulate.visits import Shelves
from shoploom.simulate.world import AGES, TIERS, World, make_world

#: What each of REPLIES costs the shop.
REPLY_COST = np.array([12.0, 8.0, 0.0, 0.5, 4.0, 0.0])


@dataclass(frozen=True)
class Rules:
    """What the environment adds to the choice model.

    Attributes:
        visits: how often each user means to come.
        candidates: items to choose the recommended one from.
        asks: probability that a visitor has a question. bad: that it follows a bad experience.
        intent: how much visitors have come to buy (``choice.Seen``).
        looks_at: added to the log odds of looking at the recommended item.
        leaves_unsuited, leaves_suited: probability of leaving after a reply.
        leaves_bad: probability of leaving per standard deviation of quality below ``good_enough``
            of an item that was bought.
        good_enough: quality from which on nobody leaves for it.
    """

    visits: int = 12
    candidates: int = 6
    asks: float = 0.3
    bad: float = 0.5
    intent: float = 2.0
    looks_at: float = 0.5
    leaves_unsuited: float = 0.3
    leaves_suited: float = 0.01
    leaves_bad: float = 0.25
    good_enough: float = 0.2


@dataclass(frozen=True)
class Contexts:
    """Visits, one row each, with what is true of them.

    Attributes:
        users: (n,) codes. category: (n,) codes.
        items: (n, candidates) codes. stars: their rating minus the prior.
        look: probability of looking at each candidate if it is recommended.
        units: expected units of a look at list price. elasticity: of demand, positive.
        asks: (n,) whether there is a question. intent, emotion: its codes.
        suits: (n, n_replies) probability that each reply suits.
    """

    users: npt.NDArray[np.integer]
    category: npt.NDArray[np.integer]
    items: npt.NDArray[np.integer]
    stars: Floats
    look: Floats
    units: Floats
    elasticity: Floats
    asks: npt.NDArray[np.bool_]
    intent: npt.NDArray[np.integer]
    emotion: npt.NDArray[np.integer]
    suits: Floats

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True)
class Outcomes:
    """What each action would bring on average.

    Attributes:
        profit: (n, candidates, n_arms) margin of what is bought.
        stays_item: (n, candidates, n_arms) probability that the item drives nobody away.
        reply_cost: (n, n_replies), 0 where nobody asks.
        stays_reply: (n, n_replies) probability that the reply drives nobody away.
    """

    profit: npt.NDArray[np.float64]
    stays_item: npt.NDArray[np.float64]
    reply_cost: npt.NDArray[np.float64]
    stays_reply: npt.NDArray[np.float64]


def draw_contexts(
    world: World,
    rules: Rules,
    users: npt.NDArray[np.integer],
    draw: np.random.Generator,
) -> Contexts:
    """A visit for each of ``users``; visits are independent given the user."""
    n, items = len(users), world.items
    taste = np.cumsum(world.users.taste_category[users], axis=1)
    at = draw.random((n, 1)) * taste[:, -1:]
    category = np.minimum((taste < at).sum(axis=1), len(CATEGORIES) - 1)
    shelves = Shelves(world, np.exp(items.appeal).astype(np.float64))
    shown = shelves.draw(category.astype(np.int32), rules.candidates, draw)
    # After many reviews the stars have found the quality out, with the authors' noise.
    found = stars(3.95 * 40 + 40 * 0.8 * items.quality, np.full(len(items), 40.0))
    zeros = np.zeros(shown.shape, np.float32)
    seen = Seen(
        users=np.broadcast_to(users[:, None], shown.shape),
        items=shown,
        stars=found[shown],
        badge=zeros,
        habit=zeros,
        partner=zeros,
        stream=zeros,
        intent=zeros + np.float32(rules.intent),
    )
    reasons = buy_reasons(world, seen, items.price[shown], zeros)
    intent, emotion = draw_intents(draw.random(n) < rules.bad, draw)
    return Contexts(
        users=users,
        category=category,
        items=shown,
        stars=seen.stars,
        look=(1 / (1 + np.exp(-rules.looks_at - look_utility(world, seen)))).astype(np.float32),
        units=expected_units(world, seen, reasons),
        elasticity=world.elasticity(seen.users, seen.items),
        asks=draw.random(n) < rules.asks,
        intent=intent,
        emotion=emotion,
        suits=suit_probability(intent, emotion, world.users.group[users]),
    )


def outcomes(world: World, rules: Rules, contexts: Contexts) -> Outcomes:
    """The mean outcome of each action in each context."""
    items, arms = world.items, np.array(PRICE_ARMS)
    price = items.price[contexts.items][:, :, None] * arms
    units = contexts.units[:, :, None] * arms ** -contexts.elasticity[:, :, None].astype(float)
    margin = price - items.cost[contexts.items][:, :, None]
    buys = contexts.look[:, :, None] * -np.expm1(-units)
    leaves_item = _leaves_for(world, rules, contexts.items)[:, :, None]
    asks = contexts.asks[:, None]
    leaves = contexts.suits * rules.leaves_suited + (1 - contexts.suits) * rules.leaves_unsuited
    return Outcomes(
        profit=contexts.look[:, :, None] * units * margin,
        stays_item=(1 - buys * leaves_item).astype(np.float64),
        reply_cost=np.where(asks, REPLY_COST, 0.0),
        stays_reply=np.where(asks, 1 - leaves, 1.0),
    )


def _leaves_for(world: World, rules: Rules, items: npt.NDArray[np.integer]) -> Floats:
    """Probability of leaving once an item has been bought."""
    lacking = np.maximum(rules.good_enough - world.items.quality[items], 0)
    return np.minimum(rules.leaves_bad * lacking, 1).astype(np.float32)


def observe(world: World, contexts: Contexts, visits_left: npt.NDArray[np.integer]) -> Floats:
    """(n, dim): what the shop can know at a visit; no taste, group or quality among it.

    One-hot age, tier, language, category; per candidate log price, relative margin, stars, brand
    number and whether its texts are in the user's language; one-hot intent and emotion, zeros
    where nobody asks; visits left.
    """
    users, items = world.users, world.items

    def one_hot(codes: npt.NDArray[np.integer], n: int) -> Floats:
        return np.eye(n, dtype=np.float32)[codes]

    price, cost = items.price[contexts.items], items.cost[contexts.items]
    own = items.language[contexts.items] == users.language[contexts.users][:, None]
    asks = contexts.asks[:, None]
    parts = [
        one_hot(users.age[contexts.users], len(AGES)),
        one_hot(users.tier[contexts.users], len(TIERS)),
        one_hot(users.language[contexts.users], 2),
        one_hot(contexts.category, len(CATEGORIES)),
        np.log(price / 30),
        1 - cost / price,
        contexts.stars,
        own,
        one_hot(contexts.intent, len(INTENTS)) * asks,
        one_hot(contexts.emotion, len(EMOTIONS)) * asks,
        visits_left[:, None] / 10,
    ]
    return np.concatenate(parts, axis=1, dtype=np.float32, casting="unsafe")


class ShopEnv(gymnasium.Env[npt.NDArray[np.float32], npt.NDArray[np.integer]]):
    """One episode is a cohort's season; one step a visit; the reward is profit in currency.

    Action: ``MultiDiscrete([len(PRICE_ARMS), candidates, len(REPLIES)])``; the reply counts only
    where somebody asks. Observation: ``observe``. ``info`` holds what a shop logs: whether the user
    ``left``, the ``units`` sold, the ``reply_cost``.

    >>> env = ShopEnv(ShopSpec(users=20, items=60))
    >>> observation, info = env.reset(seed=0)
    >>> observation.shape == env.observation_space.shape
    True
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (gymnasium's own form)

    def __init__(self, shop: ShopSpec | World, rules: Rules = Rules()) -> None:
        self.world = shop if isinstance(shop, World) else make_world(shop)
        self.rules = rules
        self.action_space = spaces.MultiDiscrete([len(PRICE_ARMS), rules.candidates, len(REPLIES)])
        self._season = _Season.start(self.world, rules, rng(0, "first look"))
        dim = self._season.observation().shape[0]
        self.observation_space = spaces.Box(-20.0, 20.0, (dim,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        """Begin a season with the whole cohort."""
        super().reset(seed=seed, options=options)
        self._season = _Season.start(self.world, self.rules, self.np_random)
        return self._season.observation(), {}

    def step(
        self, action: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """One visit: look, buy, perhaps ask, perhaps leave."""
        season, draw = self._season, self.np_random
        arm, place, reply = (int(part) for part in np.asarray(action))
        reward, info = season.visit(self.world, self.rules, arm, place, reply, draw)
        over = season.forward()
        return season.observation(), reward, over, False, info

    @property
    def contexts(self) -> Contexts:
        """All visits that the season may bring, in their order: the truth, for oracles."""
        return self._season.contexts

    @property
    def now(self) -> int:
        """The row of ``contexts`` that is due."""
        return self._season.now

    @property
    def visits_left(self) -> int:
        """How often the user who is here means to come again, this visit included."""
        return int(self._season.left[self._season.now])


@dataclass
class _Season:
    """An episode under way: its visits, who has left, and where it stands."""

    contexts: Contexts
    observations: Floats
    left: npt.NDArray[np.integer]
    gone: npt.NDArray[np.bool_]
    now: int = 0

    @classmethod
    def start(cls, world: World, rules: Rules, draw: np.random.Generator) -> _Season:
        users = np.tile(np.arange(len(world.users)), rules.visits)
        left = np.repeat(np.arange(rules.visits, 0, -1), len(world.users))
        # Each user's visits keep their order; users mix within a round.
        order = np.lexsort([draw.random(len(users)), -left])
        contexts = draw_contexts(world, rules, users[order], draw)
        seen = observe(world, contexts, left[order])
        return cls(contexts, seen, left[order], np.zeros(len(world.users), bool))

    def observation(self) -> Floats:
        """What is known at the visit that is due; the last one again when all are over."""
        return self.observations[min(self.now, len(self.observations) - 1)]

    def visit(
        self,
        world: World,
        rules: Rules,
        arm: int,
        place: int,
        reply: int,
        draw: np.random.Generator,
    ) -> tuple[float, dict[str, Any]]:
        """The profit of the visit that is due, and what a shop logs of it."""
        here, row = self.contexts, self.now
        item, ratio = here.items[row, place], PRICE_ARMS[arm]
        mean = here.units[row, place] * ratio ** -float(here.elasticity[row, place])
        units = int(draw.poisson(mean)) if draw.random() < here.look[row, place] else 0
        price = world.items.price[item] * ratio
        profit, stays = units * (price - world.items.cost[item]), 1.0
        if units:
            stays *= 1 - float(_leaves_for(world, rules, np.array([item]))[0])
        cost = float(REPLY_COST[reply]) if here.asks[row] else 0.0
        if here.asks[row]:
            suited = draw.random() < here.suits[row, reply]
            profit -= cost
            stays *= 1 - (rules.leaves_suited if suited else rules.leaves_unsuited)
        left = bool(draw.random() > stays)
        self.gone[here.users[row]] |= left
        return float(profit), {"left": left, "units": units, "reply_cost": cost}

    def forward(self) -> bool:
        """Go to the next visit of a user who has not left; whether there is none."""
        self.now += 1
        while self.now < len(self.contexts) and self.gone[self.contexts.users[self.now]]:
            self.now += 1
        return self.now >= len(self.contexts)


@dataclass(frozen=True)
class Clairvoyant:
    """The best policy that knows the truth, and what it is worth.

    Attributes:
        to_go: (visits + 1, n_users) mean profit of a user with so many visits left.
        value: mean profit of a season, the sum over users.
    """

    to_go: npt.NDArray[np.float64]
    value: float
    _world: World = field(repr=False)
    _rules: Rules = field(repr=False)

    def act(self, env: ShopEnv) -> npt.NDArray[np.int64]:
        """The best action at the visit that is due."""
        here = _row(env.contexts, env.now)
        after = self.to_go[env.visits_left - 1, here.users]
        _, actions = _best(outcomes(self._world, self._rules, here), after)
        return actions[0]


def clairvoyant(env: ShopEnv, samples: int = 64, seed: int = 0) -> Clairvoyant:
    """The clairvoyant policy by backward recursion over the visits left.

    W[n](u) = E over contexts of max over actions of profit - cost + stays * W[n - 1](u), with
    W[0] = 0 (Bellman 1957); the expectation is taken over ``samples`` contexts per user.
    """
    world, rules = env.world, env.rules
    n = len(world.users)
    drawn = draw_contexts(
        world, rules, np.repeat(np.arange(n), samples), rng(seed, "clairvoyant contexts")
    )
    mean = outcomes(world, rules, drawn)
    to_go = np.zeros((rules.visits + 1, n))
    for left in range(1, rules.visits + 1):
        best, _ = _best(mean, to_go[left - 1][drawn.users])
        to_go[left] = best.reshape(n, samples).mean(axis=1)
    return Clairvoyant(to_go, float(to_go[-1].sum()), world, rules)


def myopic(env: ShopEnv) -> npt.NDArray[np.int64]:
    """The action with the highest profit now, as if nobody ever left; it knows the truth too."""
    here = _row(env.contexts, env.now)
    _, actions = _best(outcomes(env.world, env.rules, here), np.zeros(1))
    return actions[0]


def play(
    env: ShopEnv, act: Callable[[ShopEnv], npt.ArrayLike], seasons: int, seed: int
) -> npt.NDArray[np.float64]:
    """(seasons,) the profit of each season under a policy that may look into the environment."""
    totals = np.zeros(seasons)
    for season in range(seasons):
        env.reset(seed=seed + season)
        over = False
        while not over:
            _, reward, over, _, _ = env.step(act(env))
            totals[season] += reward
    return totals


def _row(contexts: Contexts, row: int) -> Contexts:
    names = Contexts.__dataclass_fields__
    return Contexts(*(getattr(contexts, name)[row : row + 1] for name in names))


def _best(
    mean: Outcomes, after: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The value and the (arm, place, reply) of the best action, given what staying is worth."""
    after = after[:, None, None, None]
    stays = mean.stays_item[..., None] * mean.stays_reply[:, None, None, :]
    value = mean.profit[..., None] - mean.reply_cost[:, None, None, :] + stays * after
    flat = value.reshape(len(value), -1)
    chosen = flat.argmax(axis=1)
    place, arm, reply = np.unravel_index(chosen, value.shape[1:])
    return flat[np.arange(len(flat)), chosen], np.stack([arm, place, reply], axis=1)
