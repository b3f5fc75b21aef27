"""Patterns as functions of place: how much of the figure's colour lies at each point.

A motif maps the coordinates of a cell, (x, y) in [-.5, .5], to a signed distance in cells:
negative inside the figure. Angular and round motifs are kept apart, for the choice between them
is part of a product's roundness.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Motif = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _stripes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(x) - 0.24


def _pinstripes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.minimum(np.abs(np.abs(x) - 0.28) - 0.07, np.abs(x) - 0.05)


def _grid(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.minimum(np.abs(x), np.abs(y)) - 0.09


def _checkers(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    edge = np.minimum(0.5 - np.abs(x), 0.5 - np.abs(y))
    return np.sign(x * y) * np.minimum(np.minimum(np.abs(x), np.abs(y)), edge)


def _diamonds(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 0.9 * (np.abs(x) + 0.75 * np.abs(y)) - 0.3


def _zigzag(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    shifted = y + 0.9 * np.abs(x) - 0.22
    return 0.75 * (np.abs(shifted - np.round(shifted)) - 0.2)


def _triangles(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.maximum(0.87 * np.abs(x) + 0.5 * y, -y) - 0.2


def _dots(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.hypot(x, y) - 0.3


def _rings(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(np.hypot(x, y) - 0.3) - 0.085


def _waves(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    shifted = y + 0.2 * np.cos(2 * np.pi * x)
    return 0.75 * (np.abs(shifted - np.round(shifted)) - 0.2)


def _flowers(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    petals = radius - 0.28 * (1 + 0.38 * np.cos(5 * angle))
    return np.maximum(petals, 0.085 - radius)


def _scallops(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    radius = np.hypot(x, y + 0.25)
    return np.minimum(np.abs(radius - 0.5), np.abs(radius - 0.24)) - 0.07


ANGULAR: tuple[Motif, ...] = (
    _stripes,
    _pinstripes,
    _grid,
    _checkers,
    _diamonds,
    _zigzag,
    _triangles,
)
ROUND: tuple[Motif, ...] = (_dots, _rings, _waves, _flowers, _scallops)
_STAGGERED = (_diamonds, _triangles, _dots, _rings, _flowers, _scallops)


@dataclass(frozen=True)
class Pattern:
    """A motif laid over a surface.

    Attributes:
        motif: the figure of one cell; None leaves the surface plain.
        frequency: cells per unit of the product's frame.
        turn: turn of the whole, in radians.
        strength: opacity of the figure.
    """

    motif: Motif | None
    frequency: float
    turn: float
    strength: float

    def cover(self, u: np.ndarray, v: np.ndarray, pixel: float) -> np.ndarray:
        """Share in [0, 1] of the figure's colour at points (u, v), smoothed over ``pixel``."""
        if self.motif is None:
            return np.zeros(np.broadcast_shapes(u.shape, v.shape), np.float32)
        cos = self.frequency * float(np.cos(self.turn))
        sin = self.frequency * float(np.sin(self.turn))
        x, y = cos * u + sin * v, cos * v - sin * u
        if self.motif in _STAGGERED:
            x = x + 0.5 * (np.round(y) % 2)
        distance = self.motif(x - np.round(x), y - np.round(y))
        return self.strength * np.clip(0.5 - distance / (self.frequency * pixel), 0, 1)


def choose_pattern(amount: float, roundness: float, rng: np.random.Generator) -> Pattern:
    """A pattern of an amount and roundness in [-1, 1]: plain when low, dense and bold when high."""
    level = (np.clip(amount, -1, 1) + 1) / 2
    family = ANGULAR if roundness + rng.normal(0, 0.18) < 0 else ROUND
    motif = family[rng.integers(len(family))]
    frequency = float((2.2 + 2.6 * level) * rng.uniform(0.85, 1.15))
    diagonal = rng.random() < 0.25 and motif not in (_flowers, _triangles, _scallops)
    turn = float((rng.uniform(0.5, 0.9) if diagonal else 0) + rng.normal(0, 0.02))
    strength = float(np.clip(0.25 + 0.9 * level, 0, 1))
    plain = level < 0.13
    return Pattern(None if plain else motif, frequency, turn, strength)
