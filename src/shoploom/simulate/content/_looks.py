"""From a style in [-1, 1]^4 to what a product looks like: colours, pattern, corners.

The mapping is noisy on purpose: a style must be estimated from photos, not read off. Colours are
chosen in OKLCH (Ottosson, 2020, "A perceptual color space for image processing"), where equal
steps look equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shoploom.simulate.content._patterns import Pattern, choose_pattern

#: Hue of the warmest colour, in OKLCH degrees (orange); the coolest lies opposite (blue).
WARMEST = 50.0
#: Standard deviation of what blurs each axis of a style.
NOISE = 0.13


@dataclass(frozen=True)
class Look:
    """What one product looks like.

    Attributes:
        colours: paint -> RGB in [0, 1].
        figure: RGB of the pattern on "main".
        pattern: where that figure lies.
        corner: roundness in [0, 1] of outlines.
    """

    colours: dict[str, np.ndarray]
    figure: np.ndarray
    pattern: Pattern
    corner: float


def oklch(lightness: float, chroma: float, hue: float) -> np.ndarray:
    """RGB in [0, 1] (3,) of a colour in OKLCH; chroma is reduced until a screen can show it."""
    rgb = _linear_rgb(lightness, chroma, hue)
    while chroma > 0.001 and (rgb.min() < -0.002 or rgb.max() > 1.002):
        chroma *= 0.95
        rgb = _linear_rgb(lightness, chroma, hue)
    rgb = np.clip(rgb, 0, 1)
    return np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055)


def _linear_rgb(lightness: float, chroma: float, hue: float) -> np.ndarray:
    a, b = chroma * np.cos(np.radians(hue)), chroma * np.sin(np.radians(hue))
    cones = np.array(
        [
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.2914855480 * b,
        ]
    )
    to_rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    return to_rgb @ cones**3


def choose_look(style: np.ndarray, rng: np.random.Generator) -> Look:
    """How a product of this style (4,) looks: one draw among many that suit it."""
    warmth, vividness, pattern, roundness = np.clip(style + rng.normal(0, NOISE, 4), -1.1, 1.1)
    side = rng.choice([-1, 1])  # from warm to cool by way of green, or of purple
    hue = WARMEST + side * 90 * (1 - warmth) + rng.normal(0, 8)
    vivid = (np.clip(vividness, -1, 1) + 1) / 2
    chroma = 0.022 + 0.2 * vivid**1.2
    lightness = rng.uniform(0.48, 0.86) * (1 - 0.5 * vivid) + 0.64 * 0.5 * vivid
    contrast = 0.1 + 0.2 * max(pattern + 1, 0)
    # Towards white or black, whichever leaves room: that is how printed cloth keeps legible.
    lighter = lightness < 0.66 if rng.random() < 0.85 else lightness < 0.5
    other = np.clip(lightness + (contrast if lighter else -contrast), 0.16, 0.97)
    hue_2 = hue + rng.choice([-35, 0, 0, 35])
    chroma_2 = chroma * rng.uniform(0.35, 1.0)
    golden = rng.random() < 0.5 + 0.35 * warmth
    colours = {
        "main": oklch(lightness, chroma, hue),
        "plain": oklch(lightness, chroma, hue),
        "deep": oklch(lightness * 0.74, chroma * 0.85, hue),
        "second": oklch(other, chroma_2, hue_2),
        "metal": oklch(0.78, 0.085, 85) if golden else oklch(0.8, 0.008, 250),
        "dark": oklch(0.27, 0.02, hue),
        "light": oklch(0.95, 0.012, hue),
        "wood": oklch(rng.uniform(0.5, 0.72), 0.07, 65),
        "flame": oklch(0.93, 0.13, 90),
    }
    return Look(
        colours=colours,
        figure=colours["second"],
        pattern=choose_pattern(pattern, roundness, rng),
        corner=float(np.clip((roundness + 1) / 2, 0, 1)),
    )
