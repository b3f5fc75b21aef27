"""Outlines of things, in a frame where a product fills [-1, 1] both ways and y points down.

A shape is a ``Drawing``: parts laid over each other, each an outline, a paint and a form. Nothing
here knows colours or pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

Path = np.ndarray  # (k, 2) float: x, y of a closed polygon

#: What a part is painted with; see ``_looks.Look``. Only "main" carries the pattern.
Paint = Literal["main", "plain", "deep", "second", "metal", "dark", "light", "wood", "flame"]
#: How light falls on it: a sheet, something stuffed, or something turned about the vertical axis.
Form = Literal["flat", "soft", "tube"]


@dataclass(frozen=True)
class Part:
    """One layer of a drawing.

    Attributes:
        paths: outlines; the part is their union.
        paint: what colour it takes.
        form: how light falls on it.
        holes: outlines cut out of it.
        gloss: strength of its highlight, from 0 (cloth) to 1 (polished metal).
        lift: how much shadow it throws on the parts below.
        grain: turn of its pattern and folds, in radians.
        folds: depth of cloth folds.
        depth: radius of its rounded edge, in units of the frame.
        alpha: opacity.
    """

    paths: tuple[Path, ...]
    paint: Paint = "main"
    form: Form = "flat"
    holes: tuple[Path, ...] = ()
    gloss: float = 0.0
    lift: float = 0.3
    grain: float = 0.0
    folds: float = 0.0
    depth: float = 0.06
    alpha: float = 1.0


@dataclass(frozen=True)
class Drawing:
    """A product: its parts from back to front, and whether it stands or lies."""

    parts: tuple[Part, ...]
    stands: bool


#: Draws a shape from a roundness in [0, 1] and a generator that picks among its variants.
Draw = Callable[[float, np.random.Generator], Drawing]


def polygon(*points: tuple[float, float], corner: float = 0.0) -> Path:
    """The polygon through the points, each corner eased by ``corner`` in [0, 1].

    At 0 the corners are sharp; at 1 every edge is bent and the outline is a quadratic B-spline.
    """
    return eased(np.array(points, float), corner)


def eased(points: Path, corner: float) -> Path:
    """The closed polygon with a quadratic Bezier curve in place of each corner."""
    reach = 0.5 * np.clip(corner, 0.02, 1.0)
    before = points + reach * (np.roll(points, 1, axis=0) - points)
    after = points + reach * (np.roll(points, -1, axis=0) - points)
    t = np.linspace(0, 1, 9)[None, :, None]
    bends = (
        (1 - t) ** 2 * before[:, None] + 2 * t * (1 - t) * points[:, None] + t**2 * after[:, None]
    )
    return bends.reshape(-1, 2)


def mirrored(*half: tuple[float, float], corner: float = 0.0) -> Path:
    """The outline whose right half is given from top to bottom; the left half mirrors it."""
    right = np.array(half, float)
    left = right[::-1] * (-1, 1)
    # Points on the axis belong to both halves: once is enough.
    return eased(np.concatenate([right, left[np.abs(left[:, 0]) > 1e-9]]), corner)


def turned(*side: tuple[float, float], corner: float = 0.0, sag: float = 0.16) -> Path:
    """The outline of a vessel seen from a little above.

    Args:
        side: its right side from top to bottom.
        corner: how far the corners between the side's ends are eased.
        sag: height of the ellipses that its round ends appear as, relative to their width.
    """
    right = np.array(side, float)
    if len(right) > 2:
        # The ends meet ellipses: only the corners between them are eased.
        right = eased(right, corner)[9:-9]
        right = np.concatenate([[side[0]], right, [side[-1]]])
    (top_x, top_y), (base_x, base_y) = right[0], right[-1]
    base = arc(0, base_y, base_x, sag * base_x, 0, 180)
    top = arc(0, top_y, top_x, sag * top_x, 180, 360)
    return np.concatenate([right, base, right[::-1] * (-1, 1), top])


def ellipse(x: float, y: float, rx: float, ry: float | None = None, power: float = 2.0) -> Path:
    """A superellipse about (x, y): a diamond at power 1, an ellipse at 2, nearly a box at 8."""
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    cos, sin = np.cos(angle), np.sin(angle)
    across = np.sign(cos) * np.abs(cos) ** (2 / power)
    down = np.sign(sin) * np.abs(sin) ** (2 / power)
    return np.stack([x + rx * across, y + (rx if ry is None else ry) * down], axis=1)


def box(x0: float, y0: float, x1: float, y1: float, corner: float = 0.0) -> Path:
    """A rectangle whose corners have the radius ``corner`` times half its shorter side."""
    radius = np.clip(corner, 0.02, 1) * min(x1 - x0, y1 - y0) / 2
    turn = np.linspace(0, np.pi / 2, 8)
    arc = radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    centres = [
        (x1 - radius, y1 - radius),
        (x0 + radius, y1 - radius),
        (x0 + radius, y0 + radius),
        (x1 - radius, y0 + radius),
    ]
    quarter = np.array([[0, 1], [-1, 0]])  # a row vector times this turns by 90 degrees
    arcs = [
        centre + arc @ np.linalg.matrix_power(quarter, step) for step, centre in enumerate(centres)
    ]
    return np.concatenate(arcs)


def curve(*points: tuple[float, float], steps: int = 12) -> Path:
    """An open Catmull-Rom curve through the points."""
    knots = np.array(points, float)
    knots = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(knots, knots[1:], knots[2:], knots[3:], strict=False):
        bend = 2 * a - 5 * b + 4 * c - d
        pieces.append((2 * b + (c - a) * t + bend * t**2 + (3 * b - a - 3 * c + d) * t**3) / 2)
    return np.concatenate([*pieces, knots[-2:-1]])


def arc(x: float, y: float, rx: float, ry: float, start: float, end: float) -> Path:
    """An open elliptic arc between two angles in degrees (0 right, 90 down)."""
    angle = np.radians(np.linspace(start, end, 40))
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=1)


def ribbon(line: Path, width: float | Sequence[float]) -> Path:
    """A strip about an open line; ``width`` may run from one end to the other."""
    along = np.gradient(line, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    stops = np.atleast_1d(np.asarray(width, float))
    widths = np.interp(np.linspace(0, 1, len(line)), np.linspace(0, 1, len(stops)), stops)
    side = normal * widths[:, None] / 2
    return np.concatenate([line + side, (line - side)[::-1]])


def moved(
    path: Path, x: float = 0.0, y: float = 0.0, scale: float = 1.0, turn: float = 0.0
) -> Path:
    """The path scaled and turned (radians) about the origin, then shifted."""
    cos, sin = np.cos(turn), np.sin(turn)
    return scale * path @ np.array([[cos, sin], [-sin, cos]]) + (x, y)


def flipped(path: Path) -> Path:
    """The mirror image, left for right."""
    return path * (-1, 1)


def both(path: Path) -> tuple[Path, Path]:
    """The path and its mirror image."""
    return path, flipped(path)


def seam(line: ArrayLike, width: float = 0.012, alpha: float = 0.35) -> Part:
    """A dark thin line: a seam, an edge, a crease."""
    return Part((ribbon(np.asarray(line, float), width),), "dark", lift=0, alpha=alpha, depth=0.01)


def seams(*lines: Path, width: float = 0.012, alpha: float = 0.35) -> Part:
    """Several thin dark lines."""
    strips = tuple(ribbon(line, width) for line in lines)
    return Part(strips, "dark", lift=0, alpha=alpha, depth=0.01)


def straight(x0: float, y0: float, x1: float, y1: float) -> Path:
    """An open straight line."""
    return np.linspace((x0, y0), (x1, y1), 12)
