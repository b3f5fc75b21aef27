"""The colours of a photo and their names, in English and Chinese."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Colour:
    """A colour of a photo.

    Attributes:
        hex: ``#rrggbb``.
        share: of the pixels that were looked at.
        name: the basic colour's name in English.
        name_zh: and in Chinese.
    """

    hex: str
    share: float
    name: str
    name_zh: str


_CHINESE = {
    "black": "黑色",
    "white": "白色",
    "grey": "灰色",
    "red": "红色",
    "orange": "橙色",
    "yellow": "黄色",
    "green": "绿色",
    "blue": "蓝色",
    "purple": "紫色",
    "pink": "粉色",
    "brown": "棕色",
    "beige": "米色",
}


def dominant_colours(image: Pixels, k: int = 5, *, background: bool = True) -> list[Colour]:
    """The colours that fill most of an image, largest share first.

    k-means in OKLab (Ottosson 2020), where distances agree with the eye; colours that look alike
    are joined, so there may be fewer than ``k``. The same image always gives the same answer.

    Args:
        image: ``(height, width, 3)`` uint8.
        k: how many at most.
        background: whether to count an even backdrop: what hangs together with the border and
            has its colour.

    >>> [c.name for c in dominant_colours(np.full((8, 8, 3), (200, 20, 30), np.uint8))]
    ['red']
    """
    from PIL import Image

    small = Image.fromarray(image)
    small.thumbnail((64, 64), Image.Resampling.BOX)
    lab = _oklab(np.asarray(small, np.uint8))
    pixels = lab.reshape(-1, 3) if background else lab[_foreground(lab)]
    centres, owner = _k_means(pixels, k)
    share = np.bincount(owner, minlength=len(centres)) / len(pixels)
    return [
        Colour(_hex(centres[i]), float(share[i]), name := colour_name(centres[i]), _CHINESE[name])
        for i in np.argsort(-share, kind="stable")
        if share[i] > 0
    ]


def colour_name(lab: NDArray[np.floating]) -> str:
    """The basic colour (Berlin and Kay 1969, and beige) of a colour in OKLab."""
    lightness, a, b = (float(x) for x in lab)
    chroma, hue = np.hypot(a, b), np.degrees(np.arctan2(b, a)) % 360
    bluish, warm = 220 < hue < 295, 20 < hue < 115
    if lightness < 0.18 or (lightness < 0.38 and chroma < (0.02 if bluish else 0.035)):
        return "black"
    if chroma < (0.018 if bluish else 0.028):
        return "white" if lightness > 0.83 else "grey"
    if warm and chroma < 0.075 and lightness > 0.72:
        return "white" if lightness > 0.95 and chroma < 0.03 else "beige"
    if 30 < hue < 100 and lightness < (0.6 if hue < 50 and chroma > 0.14 else 0.66):
        # Dark or dull between red and yellow.
        return "red" if hue < 36 and chroma > 0.15 else "brown" if hue < 96 else "green"
    if hue < 18 or hue >= 345:
        return "pink" if lightness > 0.64 or (hue >= 345 and lightness > 0.58) else "red"
    if hue < 38:
        return "pink" if lightness > 0.74 else "red"
    if hue < 80:
        return "orange"
    if hue < 112:
        return "yellow"
    if hue < 190:
        return "green"
    if hue < 282:
        return "blue"
    if hue < 325:
        return "purple"
    return "pink" if lightness > 0.58 else "purple"


def _oklab(rgb: Pixels) -> NDArray[np.float32]:
    """``(..., 3)`` sRGB of 8 bits to OKLab."""
    table = np.arange(256, dtype=np.float32) / 255
    table = np.where(table <= 0.04045, table / 12.92, ((table + 0.055) / 1.055) ** 2.4)
    return np.cbrt(table[rgb] @ _TO_CONES.T).astype(np.float32) @ _TO_LAB.T


def _hex(lab: NDArray[np.floating]) -> str:
    linear = np.linalg.solve(_TO_CONES, np.linalg.solve(_TO_LAB, lab) ** 3)
    linear = np.clip(linear, 0, 1)
    srgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(float(part) * 255):02x}" for part in srgb)


_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    np.float32,
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    np.float32,
)
_ALIKE = 0.05  # colours nearer than this in OKLab are joined


def _foreground(lab: NDArray[np.float32]) -> NDArray[np.bool_]:
    """What does not hang together with an even border; everything when no border is even."""
    from scipy.ndimage import label

    border = np.concatenate([lab[0], lab[-1], lab[:, 0], lab[:, -1]])
    colour = np.median(border, axis=0)
    if np.mean(np.linalg.norm(border - colour, axis=1) < 0.08) < 0.6:
        return np.ones(lab.shape[:2], bool)
    pieces = np.empty(lab.shape[:2], np.int32)
    label(np.linalg.norm(lab - colour, axis=2) < 0.08, output=pieces)
    at_border = np.unique(np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]]))
    inside = ~np.isin(pieces, at_border[at_border > 0])
    return inside if inside.mean() > 0.03 else np.ones_like(inside)


def _k_means(pixels: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Centres and each pixel's centre. Starts at the farthest points: nothing is left to chance."""
    centres = [np.median(pixels, axis=0)]
    far = np.linalg.norm(pixels - centres[0], axis=1)
    while len(centres) < k and far.max() > _ALIKE:
        centres.append(pixels[int(np.argmax(far))])
        far = np.minimum(far, np.linalg.norm(pixels - centres[-1], axis=1))
    found = np.stack(centres)
    for _ in range(12):
        owner = np.argmin(((pixels[:, None] - found[None]) ** 2).sum(2), axis=1)
        found = np.stack(
            [pixels[owner == i].mean(0) if (owner == i).any() else c for i, c in enumerate(found)]
        )
    apart = np.linalg.norm(found[:, None] - found[None], axis=2)
    joined = (apart < _ALIKE).argmax(1)  # each is like itself at least
    return found, joined[np.argmin(((pixels[:, None] - found[None]) ** 2).sum(2), axis=1)]
