"""Groups of users who are alike: how many, who belongs where, and what to call them.

Blocks of numbers that mean different things (habits, tastes, what engines know) are brought to
one spread each, so that none decides alone. k-means cuts them (Lloyd 1982, by scikit-learn); the
number of groups is the largest whose cut comes out the same from other halves of the users
(stability: Ben-Hur and others 2002; Lange and others 2004). A user moves to another group only
when clearly nearer to it, so that lists do not change from week to week by noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.core.seeds import rng
from shoploom.evaluation.intervals import Estimate, Owners, Resampled, Weights, ratio, resample

Floats = NDArray[np.floating]

#: Numbers of groups that are tried.
SIZES = tuple(range(3, 11))
#: Users below which a group is shown to nobody, and is joined to its nearest.
FEWEST = 20

_AXES = 16  # of a block that are kept: what spreads less is noise to distances
_PAIRS = 8  # of halves that are compared
_STABLE = 0.02  # agreement that a larger number of groups may cost


@dataclass(frozen=True)
class Space:
    """Where users are compared.

    Attributes:
        means: by block, ``(d,)``.
        axes: by block, ``(d, kept)`` principal axes, scaled so that the block has a spread of one.
    """

    means: Mapping[str, Floats]
    axes: Mapping[str, Floats]

    @classmethod
    def of(cls, blocks: Mapping[str, Floats]) -> Space:
        """From ``(n, d)`` finite numbers by block; constant blocks say nothing and are left out."""
        means, axes = {}, {}
        for name, rows in blocks.items():
            mean = rows.mean(axis=0)
            _, spread, turned = np.linalg.svd(rows - mean, full_matrices=False)
            total = float(np.sqrt((spread**2).sum() / max(len(rows), 1)))
            if total > 1e-9:
                means[name], axes[name] = mean, turned[:_AXES].T / total
        return cls(means, axes)

    def place(self, blocks: Mapping[str, Floats]) -> NDArray[np.float64]:
        """``(n, dim)`` where users with such blocks are."""
        parts = [(blocks[name] - mean) @ self.axes[name] for name, mean in self.means.items()]
        return np.hstack(parts).astype(np.float64)


@dataclass(frozen=True)
class Segments:
    """Groups in a space.

    Attributes:
        space: where users are compared.
        centres: ``(k, dim)``, the largest group first.
        stability: by number of groups tried, the mean agreement of two halves (adjusted Rand
            index, 1 for the same cut), and its standard error.
        merged: groups that were too small and were joined to their nearest.
    """

    space: Space
    centres: NDArray[np.float64]
    stability: Mapping[int, tuple[float, float]]
    merged: int = 0

    def __len__(self) -> int:
        return len(self.centres)

    def assign(
        self,
        blocks: Mapping[str, Floats],
        before: NDArray[np.integer] | None = None,
        margin: float = 0.15,
    ) -> NDArray[np.int64]:
        """``(n,)`` the group of each user.

        Args:
            blocks: as the space was made from.
            before: ``(n,)`` the group that each had, -1 for none.
            margin: share of the distance by which another must be nearer before a user moves.
        """
        away = _distances(self.space.place(blocks), self.centres)
        nearest = away.argmin(axis=1)
        if before is None:
            return nearest
        rows = np.arange(len(away))
        own = away[rows, np.maximum(before, 0)]
        moves = (before < 0) | (away[rows, nearest] < (1 - margin) * own)
        return np.where(moves, nearest, before)


def find_segments(
    blocks: Mapping[str, Floats],
    *,
    k: int | None = None,
    sizes: Sequence[int] = SIZES,
    fewest: int = FEWEST,
    seed: int = 0,
) -> Segments:
    """The groups of ``n`` users.

    Args:
        blocks: ``(n, d)`` finite numbers by what they are about.
        k: how many groups; None takes the largest number that is about as stable as the stablest.
        sizes: numbers to choose from.
        fewest: users of a group; smaller ones are joined to their nearest.
        seed: of starts and halves.

    Raises:
        DataError: there are too few users, or scikit-learn is not installed.
    """
    if find_spec("sklearn") is None:
        raise DataError(
            "segments: expected the package scikit-learn, found it nowhere; "
            "run: pip install 'shoploom[policies]'."
        )
    n = len(next(iter(blocks.values())))
    if n < 2 * fewest:
        raise DataError(
            f"segments: expected at least {2 * fewest} users, so that no group is of a few people, "
            f"got {n}."
        )
    space = Space.of(blocks)
    if not space.means:
        raise DataError("segments: expected users that differ in something, they are all alike.")
    places = space.place(blocks)
    stability: dict[int, tuple[float, float]] = {}
    if k is None:
        stability = {size: _stability(places, size, seed) for size in sizes if n >= fewest * size}
        best, error = max(stability.values(), default=(0.0, 0.0))
        good = [s for s, (mean, _) in stability.items() if mean >= best - max(error, _STABLE)]
        k = max(good, default=2)
    centres = _cut(places, k, seed)
    centres, merged = _large_enough(places, centres, fewest)
    sizes_found = np.bincount(_distances(places, centres).argmin(axis=1), minlength=len(centres))
    return Segments(space, centres[np.argsort(-sizes_found, kind="stable")], stability, merged)


def explained(
    groups: NDArray[np.integer],
    outcome: Floats,
    users: NDArray[np.object_],
    *,
    resamples: int = 500,
    seed: int = 0,
) -> Estimate:
    """Share of the spread of what users did later that their groups explain (η²), over users.

    Args:
        groups: ``(n,)`` group of each.
        outcome: ``(n, d)`` what they did.
        users: ``(n,)`` ids.
        resamples: of the users.
        seed: of them.
    """
    return _explained(groups, outcome, users, resamples, seed).estimate()


def explained_difference(
    groups: NDArray[np.integer],
    others: NDArray[np.integer],
    outcome: Floats,
    users: NDArray[np.object_],
    *,
    resamples: int = 500,
    seed: int = 0,
) -> Estimate:
    """``explained`` of some groups minus that of others, on the same resamples."""
    one, other = (_explained(g, outcome, users, resamples, seed) for g in (groups, others))
    return one.minus(other)


def _explained(
    groups: NDArray[np.integer],
    outcome: Floats,
    users: NDArray[np.object_],
    resamples: int,
    seed: int,
) -> Resampled:
    owners = Owners.of(users)
    k, d = int(groups.max(initial=0)) + 1, outcome.shape[1]
    member = np.eye(k)[groups]
    sums = (member[:, :, None] * outcome[:, None, :]).reshape(len(groups), k * d)
    table = owners.sums([*member.T, *sums.T, (outcome**2).sum(axis=1)])

    def measure(weights: Weights) -> dict[str, NDArray[np.float64]]:
        found = weights.astype(np.float64) @ table
        n, total = found[:, :k], found[:, k:-1].reshape(-1, k, d)
        whole = total.sum(axis=1) ** 2
        middle = whole.sum(axis=1) / np.maximum(n.sum(axis=1), 1)
        between = ((total**2).sum(axis=2) / np.maximum(n, 1)).sum(axis=1) - middle
        return {"eta2": ratio(between, found[:, -1] - middle)}

    return resample(measure, owners, resamples=resamples, seed=seed)["eta2"]


def distinguishing(
    numbers: Floats, groups: NDArray[np.integer], names: Sequence[str], most: int = 3
) -> list[list[tuple[str, float]]]:
    """By group, the numbers in which its users stand apart from all others, the strongest first.

    Args:
        numbers: ``(n, d)`` of each user, as places from -1 (least of all) to 1 (most).
        groups: ``(n,)``.
        names: of the numbers.
        most: how many of each group.

    Returns:
        Names, each with the mean place of the group: below 0 is less than most.
    """
    found = []
    spread = np.maximum(numbers.std(axis=0), 1e-9)
    for group in range(int(groups.max(initial=0)) + 1):
        mean = numbers[groups == group].mean(axis=0) if (groups == group).any() else 0 * spread
        apart = (mean - numbers.mean(axis=0)) / spread
        order = np.argsort(-np.abs(apart), kind="stable")[:most]
        found.append([(names[i], float(mean[i])) for i in order.tolist()])
    return found


def _cut(places: NDArray[np.float64], k: int, seed: int) -> NDArray[np.float64]:
    from sklearn import cluster

    means: Any = cluster.KMeans  # typed too narrowly
    return means(k, n_init=4, random_state=seed).fit(places).cluster_centers_


def _stability(places: NDArray[np.float64], k: int, seed: int) -> tuple[float, float]:
    """Agreement on everybody of cuts that were found on two halves each."""
    from sklearn.metrics import adjusted_rand_score

    draw, agreed = rng(seed, "halves of users", k), []
    for pair in range(_PAIRS):
        order = draw.permutation(len(places))
        halves = (order[: len(order) // 2], order[len(order) // 2 :])
        cuts = [_distances(places, _cut(places[h], k, seed + pair)).argmin(1) for h in halves]
        agreed.append(float(adjusted_rand_score(*cuts)))
    return float(np.mean(agreed)), float(np.std(agreed) / np.sqrt(_PAIRS))


def _large_enough(
    places: NDArray[np.float64], centres: NDArray[np.float64], fewest: int
) -> tuple[NDArray[np.float64], int]:
    """The centres without those of small groups; their users go to the nearest other."""
    merged = 0
    while len(centres) > 1:
        sizes = np.bincount(_distances(places, centres).argmin(axis=1), minlength=len(centres))
        if sizes.min() >= fewest:
            break
        centres, merged = np.delete(centres, int(sizes.argmin()), axis=0), merged + 1
    return centres, merged


def _distances(places: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(n, k)``."""
    squares = (places**2).sum(1)[:, None] + (centres**2).sum(1) - 2 * places @ centres.T
    return np.sqrt(np.maximum(squares, 0))
