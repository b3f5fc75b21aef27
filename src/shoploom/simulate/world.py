"""Who the users and what the items really are: the latent truth, drawn before the first event.

Nothing here depends on time; what the calendar brings (season, prices, demand) is in
``market``, what people do with it in ``behaviour``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shoploom.core.seeds import rng
from shoploom.simulate.catalogue import (
    ASPECTS,
    BRANDS,
    CATEGORIES,
    COMPLEMENTS,
    ITEM_GROUPS,
    STYLE_AXES,
    USER_GROUPS,
)
from shoploom.simulate.spec import ShopSpec

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]

#: Units demanded change by -ELASTICITY % when the price rises by 1 %: (USER_GROUPS, ITEM_GROUPS).
ELASTICITY = np.array([[2.9, 2.5, 2.1], [2.3, 2.0, 1.7], [1.8, 1.6, 1.4]], np.float32)

AGES = ("18-24", "25-34", "35-44", "45-54", "55+")
GENDERS = ("female", "male", "unstated")
TIERS = ("basic", "silver", "gold")
CITIES = ("Shanghai", "Chengdu", "Guangzhou", "London", "Toronto", "Sydney", "Austin", "Dublin")

#: Kinds of day: the share of a kind's sessions by hour is a mixture of normal curves,
#: (weight, hour of the peak, spread in hours).
RHYTHMS = {
    "commuter": ((0.35, 8.3, 1.0), (0.2, 12.8, 1.2), (0.45, 20.8, 1.8)),
    "home": ((0.5, 10.8, 2.2), (0.3, 15.0, 2.0), (0.2, 20.0, 1.8)),
    "night owl": ((0.25, 13.5, 2.0), (0.75, 22.2, 1.9)),
}
#: Relative number of sessions on Monday to Sunday, by kind of day.
WEEKDAYS = {
    "commuter": (0.95, 0.9, 0.9, 0.95, 1.05, 1.2, 1.05),
    "home": (1.2, 1.2, 1.15, 1.1, 1.0, 0.6, 0.75),
    "night owl": (0.75, 0.75, 0.8, 0.9, 1.2, 1.4, 1.2),
}

#: What an advertisement may be; none is an arm as well.
ADS = ("none", "discount", "new arrivals")

FAVOURITE_BRANDS = 3
_CHINESE_BRAND = np.array([not name.isascii() for name in BRANDS])


@dataclass(frozen=True)
class Users:
    """The users' truth; every array has one row per user.

    Attributes:
        language: code into LANGUAGES.
        group: code into USER_GROUPS, which decides how strongly price counts.
        age, gender, tier, city: codes into AGES, GENDERS, TIERS, CITIES; what the shop knows. The
            tier tells something of the group, the city of the language.
        taste_category: (n, n_categories) share of a user's needs by category, season aside.
        taste_style: (n, n_axes) liked direction of visual style, standard normal.
        taste_brand: (n, FAVOURITE_BRANDS) codes of favoured brands.
        quality_weight: how much reviews move a user, 1 on average.
        rate: sessions a day while active.
        rhythm: code into RHYTHMS.
        hazard: daily probability of leaving for good while nothing bad happens.
        mood: leniency: raises what a user says of everything.
        ad_uplift: (n, n_ads) log of the factor on ``rate`` in the week of an ad; some below 0.
        first_day: the day the user joins.
    """

    language: Codes
    group: Codes
    age: Codes
    gender: Codes
    tier: Codes
    city: Codes
    taste_category: Floats
    taste_style: Floats
    taste_brand: Codes
    quality_weight: Floats
    rate: Floats
    rhythm: Codes
    hazard: Floats
    mood: Floats
    ad_uplift: Floats
    first_day: Codes

    def __len__(self) -> int:
        return len(self.language)


@dataclass(frozen=True)
class Items:
    """The items' truth; every array has one row per item.

    Attributes:
        category: code into CATEGORIES.
        group: code into ITEM_GROUPS, the category's.
        brand: code into BRANDS.
        language: code into LANGUAGES that title and description are written in.
        style: (n, n_axes) visual style in [-1, 1]; only the photo shows it.
        quality: standard normal; only reviews reveal it.
        aspects: (n, n_aspects) quality by aspect.
        price: list price. cost: what the shop pays.
        appeal: log weight with which the shop's pages show it; its spread makes the long tail.
        first_day: the day it appears; negative = before the log.
        partners: (n, 2) items that are wanted after this one is bought.
    """

    category: Codes
    group: Codes
    brand: Codes
    language: Codes
    style: Floats
    quality: Floats
    aspects: Floats
    price: npt.NDArray[np.float64]
    cost: npt.NDArray[np.float64]
    appeal: Floats
    first_day: Codes
    partners: Codes

    def __len__(self) -> int:
        return len(self.category)


@dataclass(frozen=True)
class World:
    """All that is true before the first event."""

    spec: ShopSpec
    users: Users
    items: Items

    def elasticity(self, users: npt.NDArray[np.integer], items: npt.NDArray[np.integer]) -> Floats:
        """Elasticity of demand of users for items, arrays that broadcast against each other."""
        return ELASTICITY[self.users.group[users], self.items.group[items]]


def make_world(spec: ShopSpec) -> World:
    """The world that a specification means; the same one every time."""
    return World(spec, _draw_users(spec), _draw_items(spec))


def hour_shares() -> Floats:
    """Share of sessions by minute of the day, (n_rhythms, 1440), rows sum to 1."""
    hours = np.arange(1440) / 60
    rows = []
    for peaks in RHYTHMS.values():
        share = np.full(1440, 0.004)
        for weight, peak, spread in peaks:
            # Midnight is no wall: distance runs around the clock.
            away = np.abs(hours - peak)
            away = np.minimum(away, 24 - away)
            share += weight * np.exp(-0.5 * (away / spread) ** 2) / spread
        rows.append(share / share.sum())
    return np.array(rows, np.float32)


def _draw_users(spec: ShopSpec) -> Users:
    n, draw = spec.users, rng(spec.seed, "users")
    language = (draw.random(n) < 0.45).astype(np.int32)
    group = _pick(draw, n, (0.35, 0.45, 0.2))
    # The tier tells the group in seven cases of ten.
    tier = np.where(draw.random(n) < 0.7, group, _pick(draw, n, (0.5, 0.35, 0.15)))
    city = np.where(language == 1, draw.integers(0, 3, n), draw.integers(3, len(CITIES), n))
    moved = draw.random(n) < 0.1
    city = np.where(moved, draw.integers(0, len(CITIES), n), city)
    tastes = np.log(_category_weights()) + draw.normal(0, 1.0, (n, len(CATEGORIES)))
    tastes = np.exp(tastes - tastes.max(axis=1, keepdims=True))
    brands = draw.integers(0, len(BRANDS), (n, FAVOURITE_BRANDS))
    # One favourite is likely to be named in the user's own language.
    own = np.flatnonzero(_CHINESE_BRAND)[draw.integers(0, _CHINESE_BRAND.sum(), n)]
    brands[:, 0] = np.where(language == 1, own, brands[:, 0])
    joined_later = draw.random(n) < 0.3
    age = _pick(draw, n, (0.18, 0.3, 0.24, 0.16, 0.12))
    return Users(
        language=language,
        group=group,
        age=age,
        gender=_pick(draw, n, (0.52, 0.4, 0.08)),
        tier=tier.astype(np.int32),
        city=city.astype(np.int32),
        taste_category=(tastes / tastes.sum(axis=1, keepdims=True)).astype(np.float32),
        taste_style=draw.normal(0, 1, (n, len(STYLE_AXES))).astype(np.float32),
        taste_brand=brands.astype(np.int32),
        quality_weight=np.exp(draw.normal(-0.08, 0.4, n)).astype(np.float32),
        rate=(draw.gamma(1.1, 1 / 1.1, n) * spec.sessions_per_week / 7).astype(np.float32),
        rhythm=_pick(draw, n, (0.5, 0.25, 0.25)),
        hazard=np.minimum(np.exp(draw.normal(np.log(0.0012), 0.8, n)), 0.05).astype(np.float32),
        mood=draw.normal(0, 0.35, n).astype(np.float32),
        ad_uplift=_ad_uplift(group, age, draw),
        first_day=np.where(joined_later, draw.integers(0, max(spec.days * 4 // 5, 1), n), 0).astype(
            np.int32
        ),
    )


def _draw_items(spec: ShopSpec) -> Items:
    n, draw = spec.items, rng(spec.seed, "items")
    n_categories, n_brands = len(CATEGORIES), len(BRANDS)
    # Two of each category first, so that none stands empty.
    category = np.concatenate(
        [
            np.tile(np.arange(n_categories), 2),
            draw.choice(n_categories, n - 2 * n_categories, p=_category_weights()),
        ]
    )
    category = draw.permutation(category).astype(np.int32)
    brand_share = draw.dirichlet(np.full(n_brands, 2.0))
    brand = draw.choice(n_brands, n, p=brand_share).astype(np.int32)
    brand_quality = draw.normal(0, 0.45, n_brands)
    quality = brand_quality[brand] + draw.normal(0, 0.9, n)
    group = np.array([ITEM_GROUPS.index(row.group) for row in CATEGORIES])[category]
    median = np.array([row.price for row in CATEGORIES])[category]
    price = np.maximum(np.round(median * np.exp(draw.normal(0, 0.35, n))), 2) - 0.01
    # List prices stand near what the mean user's elasticity calls for, so that better prices
    # exist but are no scandal: p* = cost * e / (e - 1).
    elasticity = ELASTICITY[USER_GROUPS.index("typical")][group]
    cost = price * (1 - 1 / elasticity) * draw.uniform(0.75, 1.2, n)
    new = draw.random(n) < 0.35
    first_day = np.where(new, draw.integers(0, spec.days, n), -draw.integers(1, 700, n))
    # Every category can be shown from the first day on.
    first_day[np.unique(category, return_index=True)[1]] = -365
    return Items(
        category=category,
        group=group.astype(np.int32),
        brand=brand,
        language=np.where(
            _CHINESE_BRAND[brand], draw.random(n) < 0.9, draw.random(n) < 0.25
        ).astype(np.int32),
        style=draw.uniform(-1, 1, (n, len(STYLE_AXES))).astype(np.float32),
        quality=quality.astype(np.float32),
        aspects=(quality[:, None] + draw.normal(0, 0.8, (n, len(ASPECTS)))).astype(np.float32),
        price=np.round(price, 2),
        cost=np.round(cost, 2),
        appeal=draw.normal(0, 1.2, n).astype(np.float32),
        first_day=first_day.astype(np.int32),
        partners=_draw_partners(category, draw),
    )


def _draw_partners(category: Codes, draw: np.random.Generator) -> Codes:
    """Two items of the complementary category for each item, whatever they look like."""
    order = np.argsort(category, kind="stable")
    starts = np.searchsorted(category[order], np.arange(len(CATEGORIES) + 1))
    wanted = np.array(COMPLEMENTS)[category]
    low, high = starts[wanted], starts[wanted + 1]
    places = low[:, None] + (draw.random((len(category), 2)) * (high - low)[:, None]).astype(int)
    return order[places].astype(np.int32)


def _ad_uplift(group: Codes, age: Codes, draw: np.random.Generator) -> Floats:
    """Bargain hunters answer to a discount, the young to news; the devoted are put off by both."""
    discount = np.array([0.5, 0.15, -0.2])[group]
    news = np.array([0.45, 0.35, 0.1, 0.0, -0.1])[age] - 0.15 * (group == 2)
    uplift = np.stack([np.zeros(len(group)), discount, news], axis=1)
    uplift[:, 1:] += draw.normal(0, 0.1, (len(group), 2))
    return uplift.astype(np.float32)


def _category_weights() -> npt.NDArray[np.float64]:
    """Share of items and of needs by category: cheap and replenished things are most wanted."""
    weight = np.array([(4 if row.repeat_days else 2) / row.price**0.25 for row in CATEGORIES])
    return weight / weight.sum()


def _pick(draw: np.random.Generator, n: int, shares: tuple[float, ...]) -> Codes:
    return draw.choice(len(shares), n, p=shares).astype(np.int32)
