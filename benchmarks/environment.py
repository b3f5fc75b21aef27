"""Policies learned from a log, in the simulated shop: price, recommendation, reply.

A shop plays ``--seasons`` seasons at random and logs them; from what it could see of its visitors
(no taste, no quality, no group) it learns

* prices: elasticities by category and tier (``policies.price``), then the tried price that brings
  most at the item's cost;
* recommendations and replies for the long run (``policies.longterm``), beside the same models used
  greedily, as if nobody ever left.

Every policy is then valued exactly, by backward recursion over visits with the truth at hand, on
visits that it has not met; ``clairvoyant`` knows the truth. Rows compare policies of one kind, the
other two decisions being the same in all of them. Numbers are means over ``--worlds`` shops, with
the interval of the mean over them (Student); differences are paired.

    python benchmarks/environment.py --worlds 8 --json
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness import Benchmark, parser
from shoploom.core.seeds import rng
from shoploom.policies.longterm import LongTerm, Visits, fit_longterm
from shoploom.policies.price.demand import Demand, Offered, fit_demand
from shoploom.simulate import ShopSpec
from shoploom.simulate.catalogue import CATEGORIES, EMOTIONS, INTENTS, REPLIES
from shoploom.simulate.environment import (
    REPLY_COST,
    Contexts,
    Outcomes,
    ShopEnv,
    draw_contexts,
    observe,
    outcomes,
)
from shoploom.simulate.market import PRICE_ARMS
from shoploom.simulate.world import AGES, TIERS

ARMS = np.array(PRICE_ARMS)
LIST = PRICE_ARMS.index(1.0)
SAMPLES = 40  # visits of each user that policies are valued on
Floats = NDArray[np.float64]
#: From observations and visits left to (arm, place, reply), ``(n,)`` each.
Choose = Callable[[NDArray, int], tuple[NDArray, NDArray, NDArray]]


def main() -> None:
    options = parser(__doc__ or "", data=False)
    options.add_argument("--worlds", type=int, default=8)
    options.add_argument("--users", type=int, default=400)
    options.add_argument("--items", type=int, default=200)
    options.add_argument("--seasons", type=int, default=12)
    given = options.parse_args()
    settings = {n: getattr(given, n) for n in ("seed", "worlds", "users", "items", "seasons")}
    bench = Benchmark("environment", "simulated shops", settings)
    found: dict[str, list[float]] = {}
    for world in range(given.worlds):
        spec = ShopSpec(users=given.users, items=given.items, seed=given.seed + world)
        with bench.time(f"world {world}"):
            for name, value in one_world(spec, given.seasons).items():
                found.setdefault(name, []).append(value)
    for name, values in found.items():
        bench.add(name, {"value": interval(np.array(values))})
    bench.finish(as_json=given.json)


@dataclass(frozen=True)
class Seen:
    """Observations taken apart.

    Attributes:
        user: ``(n, f)`` age, tier, language, one-hot.
        tier: ``(n,)`` codes. category: ``(n,)`` codes.
        candidates: ``(n, candidates, 4)`` log price, relative margin, stars, own language.
        asked: ``(n, k)`` one-hot intent and emotion, zeros where nobody asks.
    """

    user: NDArray
    tier: NDArray
    category: NDArray
    candidates: NDArray
    asked: NDArray

    @classmethod
    def of(cls, observations: NDArray, candidates: int) -> Seen:
        sizes = [len(AGES), len(TIERS), 2, len(CATEGORIES), *[candidates] * 4, len(INTENTS)]
        parts = np.split(observations, np.cumsum([*sizes, len(EMOTIONS)]), axis=1)
        age, tier, language, category, price, margin, stars, own, intent, emotion, _ = parts
        return cls(
            np.hstack([age, tier, language]),
            tier.argmax(axis=1),
            category.argmax(axis=1),
            np.stack([price, margin, stars, own], axis=2),
            np.hstack([intent, emotion]),
        )

    def placed(self, arm: NDArray) -> NDArray:
        """``(n, candidates, g)`` what is known of recommending each at a price."""
        n, k, _ = self.candidates.shape
        category = np.broadcast_to(self.category[:, None, None], (n, k, 1))
        ratio = np.broadcast_to(np.log(ARMS[arm])[:, None, None], (n, k, 1))
        return np.concatenate([self.candidates, category, ratio], axis=2)

    def replied(self) -> NDArray:
        """``(n, n_replies, g)`` what is known of each reply to the question asked."""
        n, k = len(self.user), len(REPLIES)
        asked = np.broadcast_to(self.asked[:, None], (n, k, self.asked.shape[1]))
        reply = np.broadcast_to(np.eye(k, dtype=np.float32), (n, k, k))
        asks = self.asked.any(axis=1)[:, None, None]
        return np.concatenate([asked, reply * asks, np.broadcast_to(asks, (n, k, 1))], axis=2)


@dataclass(frozen=True)
class Log:
    """Visits of seasons played at random."""

    seen: Seen
    arm: NDArray
    place: NDArray
    reply: NDArray
    units: NDArray
    sales: NDArray
    cost: NDArray
    stayed: NDArray


def play_at_random(env: ShopEnv, seasons: int, seed: int) -> Log:
    """What a shop logs that decides by drawing."""
    draw = rng(seed, "random seasons")
    rows: list[tuple] = []
    observations = []
    for season in range(seasons):
        observation, _ = env.reset(seed=1000 * seed + season)
        over = False
        while not over:
            action = [draw.integers(k) for k in (len(ARMS), env.rules.candidates, len(REPLIES))]
            observations.append(observation)
            observation, reward, over, _, info = env.step(np.array(action))
            sales = reward + info["reply_cost"]
            rows.append((*action, info["units"], sales, info["reply_cost"], not info["left"]))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    arm, place, reply, units, sales, cost, stayed = columns
    seen = Seen.of(np.array(observations), env.rules.candidates)
    return Log(seen, arm, place, reply, units, sales, cost, stayed)


@dataclass(frozen=True)
class Learned:
    """What the log taught."""

    demand: Demand
    place: LongTerm
    reply: LongTerm


def learn(log: Log, horizon: int, seed: int) -> Learned:
    seen, n = log.seen, len(log.arm)
    rows = np.arange(n)
    candidate = seen.candidates[rows, log.place]
    offered = Offered(
        items=np.array([f"category {k}" for k in range(len(CATEGORIES))], dtype=object),
        category=np.zeros(len(CATEGORIES), dtype=np.int64),
        groups=TIERS,
        item=seen.category,
        group=seen.tier,
        ratio=np.log(ARMS)[log.arm],
        units=log.units.astype(np.float64),
        context=np.column_stack([candidate, seen.category, seen.user]).astype(np.float64),
        owners=rows.astype(str).astype(object),
        time=rows,
        expected=np.full(n, np.log(ARMS).mean()),
    )
    place = Visits(
        seen.user,
        seen.placed(log.arm),
        log.place,
        np.full(n, 1 / seen.candidates.shape[1]),
        log.sales,
        np.zeros(n),
        log.stayed,
    )
    # Who left after a question left for the reply, mostly: no news of what was recommended.
    place = place.take(np.flatnonzero(~seen.asked.any(axis=1)))
    reply = Visits(
        seen.user,
        seen.replied(),
        log.reply,
        np.full(n, 1 / len(REPLIES)),
        -log.cost,
        log.sales,
        log.stayed,
    )
    return Learned(
        fit_demand(offered, seed=seed),
        fit_longterm(place, horizon, seed=seed),
        fit_longterm(reply, horizon, seed=seed),
    )


def asked_of(seen: Seen, options: NDArray) -> Visits:
    """Visits that a policy has to decide: nothing has come of them yet."""
    n = len(seen.user)
    return Visits(
        seen.user, options, np.zeros(n, int), np.ones(n), *np.zeros((2, n)), np.ones(n, bool)
    )


def one_world(spec: ShopSpec, seasons: int) -> dict[str, float]:
    env = ShopEnv(spec)
    world, rules = env.world, env.rules
    log = play_at_random(env, seasons, spec.seed)
    known = learn(log, rules.visits, spec.seed)
    users = np.repeat(np.arange(len(world.users)), SAMPLES)
    contexts = draw_contexts(world, rules, users, rng(spec.seed, "visits to judge on"))
    seen = Seen.of(observe(world, contexts, np.ones(len(users), int)), rules.candidates)
    truth = outcomes(world, rules, contexts)
    n, rows = len(contexts), np.arange(len(contexts))
    draw = rng(spec.seed, "random choices")
    listed = np.full(n, LIST)
    at_random = {
        k: draw.integers(size, size=n)
        for k, size in (("place", rules.candidates), ("reply", len(REPLIES)))
    }
    placed = known.place.told(asked_of(seen, seen.placed(listed)))
    replied = known.reply.told(asked_of(seen, seen.replied()))
    # What a reply costs is known, not learned.
    replied = replace(replied, now=np.broadcast_to(-REPLY_COST, replied.now.shape))

    def places(policy: LongTerm) -> Callable[[int], NDArray]:
        return lambda m: policy.worth(placed, m).argmax(axis=1)

    def replies(policy: LongTerm) -> Callable[[int], NDArray]:
        return lambda m: policy.worth(replied, m).argmax(axis=1)

    long_place, long_reply = places(known.place), replies(known.reply)
    prices = best_prices(known.demand, seen)

    def value(arm, place, reply) -> float:
        return recursion(truth, contexts, rules.visits, arm, place, reply)

    def fixed(choice: NDArray) -> Callable[[int], NDArray]:
        return lambda m: choice

    def chosen_arm(m: int, place: NDArray) -> NDArray:
        return prices[rows, place]

    keep = lambda m, place: listed  # noqa: E731
    by_truth = recursion_of_truth(truth, contexts, rules.visits)
    base = value(keep, long_place, long_reply)
    learned_price = value(chosen_arm, long_place, long_reply)
    best_price = value(None, long_place, long_reply)
    greedy_place = value(keep, places(known.place.greedy()), long_reply)
    greedy_reply = value(keep, long_place, fixed(np.full(n, int(REPLY_COST.argmin()))))
    return {
        "price: list, share of clairvoyant prices": base / best_price,
        "price: learned, share of clairvoyant prices": learned_price / best_price,
        "recommendation: long-term minus greedy, %": 100 * (base / greedy_place - 1),
        "recommendation: greedy minus random, %": 100
        * (greedy_place / value(keep, fixed(at_random["place"]), long_reply) - 1),
        "reply: long-term minus random (the log), %": 100
        * (base / value(keep, long_place, fixed(at_random["reply"])) - 1),
        "reply: long-term minus cheapest, %": 100 * (base / greedy_reply - 1),
        "all learned, share of a clairvoyant who sees tastes": learned_price / by_truth,
        "random, share of it": value(
            lambda m, place: draw.integers(len(ARMS), size=n),
            fixed(at_random["place"]),
            fixed(at_random["reply"]),
        )
        / by_truth,
    }


def best_prices(demand: Demand, seen: Seen) -> NDArray:
    """``(n, candidates)`` the tried price that brings most, by category and tier."""
    told = demand.elasticity[seen.category, seen.tier]
    elasticity = np.where(np.isfinite(told), told, demand.overall[0])[:, None, None]
    cost = 1 - seen.candidates[:, :, 1, None]  # share of the list price
    return (ARMS**-elasticity * (ARMS - cost)).argmax(axis=2)


def recursion(
    truth: Outcomes,
    contexts: Contexts,
    visits: int,
    arm: Callable[[int, NDArray], NDArray] | None,
    place: Callable[[int], NDArray],
    reply: Callable[[int], NDArray],
) -> float:
    """What a season brings on average; with ``arm`` None, at the best price by the truth."""
    n_users = int(contexts.users.max()) + 1
    rows = np.arange(len(contexts))
    after = np.zeros(n_users)
    for m in range(1, visits + 1):
        at, said = place(m), reply(m)
        stays = truth.stays_reply[rows, said] * after[contexts.users]
        worth = truth.profit[rows, at] + truth.stays_item[rows, at] * stays[:, None]
        which = worth.argmax(axis=1) if arm is None else arm(m, at)
        brought = worth[rows, which] - truth.reply_cost[rows, said]
        after = brought.reshape(n_users, -1).mean(axis=1)
    return float(after.sum())


def recursion_of_truth(truth: Outcomes, contexts: Contexts, visits: int) -> float:
    """What a season brings to who knows everything."""
    n_users = int(contexts.users.max()) + 1
    after = np.zeros(n_users)
    for _ in range(visits):
        stays = truth.stays_item[..., None] * truth.stays_reply[:, None, None, :]
        worth = truth.profit[..., None] - truth.reply_cost[:, None, None, :]
        worth = worth + stays * after[contexts.users][:, None, None, None]
        after = worth.reshape(len(contexts), -1).max(axis=1).reshape(n_users, -1).mean(axis=1)
    return float(after.sum())


def interval(values: Floats) -> tuple[float, float, float]:
    """The mean over worlds with its 95 % interval."""
    from scipy.stats import t

    mean, n = float(values.mean()), len(values)
    half = float(t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)) if n > 1 else 0.0
    return mean, mean - half, mean + half


if __name__ == "__main__":
    main()
