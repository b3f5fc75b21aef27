"""One simulated log in memory, shared by the tests that recover what was planted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shoploom.simulate.behaviour import DayLog, simulate_days
from shoploom.simulate.dirt import Dirt
from shoploom.simulate.market import Market, make_market
from shoploom.simulate.spec import ShopSpec
from shoploom.simulate.state import Rows
from shoploom.simulate.world import World, make_world


@dataclass(frozen=True)
class Planted:
    """A log with its truth; each table as flat arrays of codes."""

    world: World
    market: Market
    events: Rows
    prices: Rows
    recommendations: Rows
    ads: Rows
    replies: Rows
    reviews: Rows
    left: Rows


def live(spec: ShopSpec) -> Planted:
    """Everything that happened in the shop of a specification."""
    world = make_world(spec)
    market = make_market(world)
    days = list(simulate_days(world, market))
    names = ("events", "prices", "recommendations", "ads", "replies", "reviews", "left")
    return Planted(world, market, *(_joined(days, name) for name in names))


def _joined(days: list[DayLog], name: str) -> Rows:
    parts = [rows for day in days if (rows := getattr(day, name))]
    return {column: np.concatenate([part[column] for part in parts]) for column in parts[0]}


def clean_spec(**settings: int) -> ShopSpec:
    """A specification without dirt."""
    return ShopSpec(dirt=Dirt.none(), **settings)


def poisson_slope(
    units: npt.NDArray[np.float64], offset: npt.NDArray[np.float64], x: npt.NDArray[np.float64]
) -> float:
    """The slope of log E[units / offset] on x, by maximum likelihood."""
    beta = np.zeros(2)
    design = np.stack([np.ones(len(x)), x], axis=1)
    for _ in range(30):
        mean = offset * np.exp(design @ beta)
        step = np.linalg.solve((design * mean[:, None]).T @ design, design.T @ (units - mean))
        beta += step
        if np.abs(step).max() < 1e-9:
            break
    return float(beta[1])
