"""What the calendar brings to every item: season, demand shocks, prices, promotions, rivals.

Three phases follow each other. In the first, prices followed demand and promotions went to what
sold badly, as managers do; a regression of sales on prices is biased there. In the second prices
stand at list and promotions fall at random. In the third every user sees a price multiplied by a
randomised arm, with known propensity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shoploom.core.seeds import rng
from shoploom.core.time import DAY_US, from_us
from shoploom.simulate.catalogue import CATEGORIES
from shoploom.simulate.world import Codes, Floats, World

PHASES = ("confounded", "list", "randomised")
#: Where the phases begin, as a share of the log.
PHASE_STARTS = (0.0, 0.45, 0.65)

#: Multipliers of the price test, each as likely as the others.
PRICE_ARMS = (0.75, 0.87, 1.0, 1.15, 1.33)

#: Of the price on the shock in the confounded phase, and what else moved it.
PRICE_FOLLOWS, PRICE_NOISE = 0.3, 0.1
SHOCK_STEP, SHOCK_KEPT = 0.15, 0.9
PROMOTED_SHARE, DISCOUNTS = 0.1, (0.9, 0.8, 0.7)


@dataclass(frozen=True)
class Market:
    """By week and item, (n_weeks, n_items); by day and category where said so.

    Attributes:
        phase: (n_weeks,) code into PHASES.
        shock: log of demand beside season: AR(1), unseen by the shop's tables.
        price: what the tag says before any personal test arm.
        promoted: bool, whether a badge and a discount are on.
        displayed: bool, whether the item stands in front.
        competitor: a rival's price, which answers to the same demand with noise.
        season: (n_days, n_categories) log of demand over the yearly mean.
    """

    phase: Codes
    shock: Floats
    price: np.ndarray
    promoted: np.ndarray
    displayed: np.ndarray
    competitor: np.ndarray
    season: Floats

    def week(self, day: int) -> int:
        """The week that a day belongs to."""
        return day // 7


def make_market(world: World) -> Market:
    """The market of a world; the same one every time."""
    spec, items = world.spec, world.items
    n_weeks, draw = -(-spec.days // 7), rng(spec.seed, "market")
    phase = np.searchsorted(PHASE_STARTS, (np.arange(n_weeks) * 7) / spec.days, side="right") - 1
    shock = np.empty((n_weeks, len(items)), np.float32)
    stationary = SHOCK_STEP / np.sqrt(1 - SHOCK_KEPT**2)
    shock[0] = draw.normal(0, stationary, len(items))
    for week in range(1, n_weeks):
        shock[week] = SHOCK_KEPT * shock[week - 1] + draw.normal(0, SHOCK_STEP, len(items))

    confounded = (phase == PHASES.index("confounded"))[:, None]
    follows = np.exp(PRICE_FOLLOWS * shock + draw.normal(0, PRICE_NOISE, shock.shape))
    multiplier = np.where(confounded, follows, 1.0)
    # The confounded phase promotes the tenth that sells worst, later phases any tenth.
    worst = shock < np.quantile(shock, PROMOTED_SHARE)
    anywhere = draw.random(shock.shape) < PROMOTED_SHARE
    promoted = np.where(confounded, worst, anywhere)
    discount = np.asarray(DISCOUNTS)[draw.integers(0, len(DISCOUNTS), shock.shape)]
    price = np.round(items.price * multiplier * np.where(promoted, discount, 1.0), 2)
    rival = np.exp(0.3 * shock + draw.normal(0.0, 0.06, shock.shape))
    return Market(
        phase=phase.astype(np.int32),
        shock=shock,
        price=price,
        promoted=promoted,
        displayed=promoted & (draw.random(shock.shape) < 0.5),
        competitor=np.round(items.price * rival, 2),
        season=_season(spec.start_us, spec.days),
    )


def _season(start_us: int, days: int) -> Floats:
    """(n_days, n_categories): a cosine over the year around each category's peak."""
    year_days = np.array(
        [from_us(start_us + day * DAY_US).timetuple().tm_yday for day in range(days)]
    )
    peaks = np.array([row.peak_day for row in CATEGORIES])
    strength = np.array([row.season for row in CATEGORIES])
    turn = 2 * np.pi * (year_days[:, None] - peaks) / 365.25
    return (strength * np.cos(turn)).astype(np.float32)
