"""The choice model, as functions of the truth; behaviour and environment both call it.

A visit shows a page of candidates. Which of them are looked at follows a multinomial logit
without replacement (Plackett-Luce: the largest utilities plus Gumbel noise; McFadden 1974, Yellott
1977). How many units of a looked-at item are bought is Poisson with a log-linear mean (Cameron and
Trivedi, Regression Analysis of Count Data), so that the planted elasticity is exact: E[units] =
exp(... - elasticity * log(price / list price)).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shoploom.simulate.world import Floats, World

#: A rating before any review is written, and how many reviews it counts for.
PRIOR_RATING, PRIOR_REVIEWS = 3.8, 5.0


@dataclass(frozen=True)
class Weights:
    """How much each reason counts, in log units of demand or of the odds of a look.

    Attributes:
        look_style, look_brand, look_stars, look_badge: for being looked at.
        look_habit, look_partner, look_stream: the same, for what was bought before, for what goes
            with it, for what a stream shows.
        buy: log of the units that a mean look brings.
        buy_style, buy_brand, buy_stars, buy_badge: for being bought.
        buy_habit, buy_partner, buy_stream: the same, as above.
    """

    look_style: float = 0.9
    look_brand: float = 0.7
    look_stars: float = 0.5
    look_badge: float = 0.4
    look_habit: float = 1.6
    look_partner: float = 1.6
    look_stream: float = 0.6
    buy: float = -3.6
    buy_style: float = 0.5
    buy_brand: float = 0.4
    buy_stars: float = 0.9
    buy_badge: float = 0.25
    buy_habit: float = 1.3
    buy_partner: float = 0.8
    buy_stream: float = 0.5


WEIGHTS = Weights()

#: The reasons whose shares in a decision are known, in the order of their columns.
REASONS = (
    *("style", "brand", "stars", "badge", "habit", "partner", "stream", "price", "shock"),
    "intent",
)


@dataclass(frozen=True)
class Seen:
    """What meets the eye with each candidate; arrays of one shape.

    Attributes:
        users, items: codes.
        stars: the mean rating that the page shows, minus its prior.
        badge: 1.0 where promoted.
        habit, partner, stream: 1.0 where that reason holds.
        intent: how much the user has come to buy rather than to look around, in log units.
    """

    users: npt.NDArray[np.integer]
    items: npt.NDArray[np.integer]
    stars: Floats
    badge: Floats
    habit: Floats
    partner: Floats
    stream: Floats
    intent: Floats


def stars(rating_sum: npt.ArrayLike, reviews: npt.ArrayLike) -> Floats:
    """The shrunken mean rating that pages show, minus the prior: what reviews reveal so far."""
    total = np.asarray(rating_sum) + PRIOR_RATING * PRIOR_REVIEWS
    return (total / (np.asarray(reviews) + PRIOR_REVIEWS) - PRIOR_RATING).astype(np.float32)


def style_match(world: World, seen: Seen) -> Floats:
    """Taste times style over the root of the number of axes: about N(0, .6), shape of ``seen``."""
    taste, style = world.users.taste_style, world.items.style
    match = sum(
        taste[:, axis][seen.users] * style[:, axis][seen.items] for axis in range(style.shape[1])
    )
    return np.asarray(match / np.sqrt(style.shape[1]), np.float32)


def brand_match(world: World, seen: Seen) -> Floats:
    """1.0 where the item's brand is a favourite of the user."""
    brand = world.items.brand[seen.items]
    favourites = world.users.taste_brand
    hits = [favourites[:, place][seen.users] == brand for place in range(favourites.shape[1])]
    return np.logical_or.reduce(hits).astype(np.float32)


def look_utility(world: World, seen: Seen, weights: Weights = WEIGHTS) -> Floats:
    """Utility of looking closer at each candidate, before noise; price plays no part yet."""
    utility = (
        weights.look_style * style_match(world, seen)
        + weights.look_brand * brand_match(world, seen)
        + weights.look_stars * seen.stars
        + weights.look_badge * seen.badge
        + weights.look_habit * seen.habit
        + weights.look_partner * seen.partner
        + weights.look_stream * seen.stream
    )
    return utility.astype(np.float32, copy=False)


def buy_reasons(
    world: World,
    seen: Seen,
    price: npt.NDArray[np.floating],
    shock: Floats,
    weights: Weights = WEIGHTS,
) -> dict[str, Floats]:
    """By reason, what it adds to the log of the units demanded of a looked-at item.

    Args:
        world: the truth.
        seen: users and the items they look at, one row each.
        price: what each would pay.
        shock: the item's demand beside season in that week.
        weights: how much each reason counts.
    """
    elasticity = world.elasticity(seen.users, seen.items)
    ratio = np.log(price / world.items.price[seen.items]).astype(np.float32)
    return {
        "style": weights.buy_style * style_match(world, seen),
        "brand": weights.buy_brand * brand_match(world, seen),
        "stars": weights.buy_stars * world.users.quality_weight[seen.users] * seen.stars,
        "badge": weights.buy_badge * seen.badge,
        "habit": weights.buy_habit * seen.habit,
        "partner": weights.buy_partner * seen.partner,
        "stream": weights.buy_stream * seen.stream,
        "price": -elasticity * ratio,
        "shock": shock,
        "intent": seen.intent,
    }


def expected_units(
    world: World, seen: Seen, reasons: Mapping[str, Floats], weights: Weights = WEIGHTS
) -> Floats:
    """Mean number of units bought per look, from the reasons of ``buy_reasons``."""
    total = weights.buy + base_demand(world)[seen.items]
    for reason in REASONS:
        total = total + reasons[reason]
    return np.exp(total)


def base_demand(world: World) -> Floats:
    """(n_items,) log of the units per look at list price: dear things are looked at more often."""
    return (-0.35 * np.log(world.items.price / 30.0)).astype(np.float32)
