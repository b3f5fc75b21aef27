"""The studio: lights a drawing, sets it on a background and takes the photo.

Everything decided here is a nuisance. Background, light, place, size, turn, noise and blur say
nothing of a product's style, quality or category.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shoploom.simulate.content._looks import Look, oklch
from shoploom.simulate.content._paths import Drawing, Part, Path

if TYPE_CHECKING:
    from PIL import Image

#: Outlines are drawn this many times larger and then averaged: smooth edges.
OVERSAMPLING = 3
#: Share of the light that reaches a surface from everywhere.
AMBIENT = 0.52


@dataclass(frozen=True)
class Camera:
    """Where the product lies in the photo, and whence the light comes.

    Attributes:
        size: side of the photo in pixels.
        centre: x, y of the product's middle, in pixels.
        scale: pixels per unit of the product's frame.
        turn: its turn in radians.
        light: unit vector (3,) towards the lamp: right, down, towards the viewer.
    """

    size: int
    centre: tuple[float, float]
    scale: float
    turn: float
    light: np.ndarray

    def project(self, path: Path) -> np.ndarray:
        """Pixels (k, 2) of a path in the product's frame."""
        cos, sin = np.cos(self.turn), np.sin(self.turn)
        return self.scale * path @ np.array([[cos, sin], [-sin, cos]]) + self.centre

    def grid(self, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates (u, v) in the product's frame of a window of pixels."""
        x = (np.arange(columns.start, columns.stop, dtype=np.float32) + 0.5 - self.centre[0])[None]
        y = (np.arange(rows.start, rows.stop, dtype=np.float32) + 0.5 - self.centre[1])[:, None]
        cos, sin = np.float32(np.cos(self.turn)), np.float32(np.sin(self.turn))
        scale = np.float32(self.scale)
        return (cos * x + sin * y) / scale, (cos * y - sin * x) / scale


@dataclass(frozen=True)
class Mask:
    """What a part covers: opacity (h, w) of a window of the photo."""

    cover: np.ndarray
    rows: slice
    columns: slice


def choose_camera(stands: bool, size: int, rng: np.random.Generator) -> Camera:
    """A camera and a lamp: things that stand are tilted less than things that lie."""
    tilt = 0.025 if stands else 0.09
    light = np.array([rng.uniform(-0.75, 0.75), rng.uniform(-0.8, -0.35), 1.0])
    shift = rng.uniform(-0.05, 0.05, 2) * size
    return Camera(
        size=size,
        centre=(size / 2 + float(shift[0]), size / 2 + float(shift[1])),
        scale=size / 2 * rng.uniform(0.74, 0.9),
        turn=rng.normal(0, tilt),
        light=light / np.linalg.norm(light),
    )


def take_photo(drawing: Drawing, look: Look, size: int, rng: np.random.Generator) -> Image.Image:
    """A photo (size x size, RGB) of a product in a studio of its own."""
    camera = choose_camera(drawing.stands, size, rng)
    canvas = _background(drawing.stands, camera, rng)
    _throw_shadow(canvas, drawing, camera)
    for part in drawing.parts:
        _lay(canvas, part, look, camera, rng)
    return develop(canvas, rng)


def develop(canvas: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """What the camera makes of a scene (h, w, 3): exposure, cast, vignette, blur and noise."""
    from PIL import Image, ImageFilter

    height, width = canvas.shape[:2]
    warm = rng.normal(0, 0.025)  # the lamp's temperature
    canvas *= (rng.uniform(0.97, 1.07) * np.array([1 + warm, 1, 1 - warm])).astype(np.float32)
    x, y = np.linspace(-1, 1, width) ** 2, np.linspace(-1, 1, height) ** 2
    canvas *= (1 - rng.uniform(0, 0.07) * (x + y[:, None])).astype(np.float32)[..., None]
    noise = rng.standard_normal((height, width, 1), dtype=np.float32)
    canvas += np.float32(rng.uniform(0.003, 0.014)) * noise
    np.clip(canvas, 0, 1, out=canvas)
    photo = Image.fromarray((canvas * np.float32(255) + np.float32(0.5)).astype(np.uint8))
    return photo.filter(ImageFilter.BoxBlur(rng.uniform(0, 0.4)))


def _mask(
    paths: tuple[Path, ...],
    camera: Camera,
    margin: float,
    holes: tuple[Path, ...] = (),
    finer: int = OVERSAMPLING,
) -> Mask | None:
    """What paths cover, with a margin in pixels around them; None when out of the picture."""
    from PIL import Image, ImageDraw

    outlines = [camera.project(path) for path in paths]
    corners = np.concatenate(outlines)
    low = np.clip(np.floor(corners.min(axis=0) - margin), 0, camera.size).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0) + margin), 0, camera.size).astype(int)
    width, height = high - low
    if width <= 1 or height <= 1:
        return None
    sheet = Image.new("L", (int(width) * finer, int(height) * finer))
    draw = ImageDraw.Draw(sheet)
    for outline in outlines:
        draw.polygon((finer * (outline - low)).ravel().tolist(), fill=255)
    for hole in holes:
        draw.polygon((finer * (camera.project(hole) - low)).ravel().tolist(), fill=0)
    cover = np.asarray(sheet.reduce(finer) if finer > 1 else sheet, np.float32) / np.float32(255)
    return Mask(cover, slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0])))


def _blurred(field: np.ndarray, radius: float) -> np.ndarray:
    """A field (h, w) blurred by two box filters, near enough to a Gaussian."""
    from scipy.ndimage import uniform_filter

    side = max(round(1.2 * radius), 1)
    if side == 1:
        return field
    once = uniform_filter(field, side, mode="constant")
    return uniform_filter(once, side, mode="constant")


def _throw_shadow(canvas: np.ndarray, drawing: Drawing, camera: Camera) -> None:
    """Darkens the background where the product keeps the light off."""
    paths = tuple(path for part in drawing.parts for path in part.paths)
    away = -camera.light[:2] / camera.light[2]
    if drawing.stands:
        base = max(path[:, 1].max() for path in paths)
        near = tuple(  # laid down on the table, away from the lamp
            np.stack(
                [
                    path[:, 0] + (base - path[:, 1]) * 0.5 * away[0],
                    base - 0.02 - (base - path[:, 1]) * 0.1,
                ],
                axis=1,
            )
            for path in paths
        )
        layers = [(near, 0.09, 0.34), (tuple(path * (0.98, 0.06) + (0, base * 0.95 - 0.01)
                                             for path in paths), 0.03, 0.4)]  # fmt: skip
    else:
        layers = [
            (tuple(path + away * 0.09 for path in paths), 0.11, 0.3),
            (tuple(path + away * 0.025 for path in paths), 0.03, 0.3),
        ]
    for outlines, softness, strength in layers:
        radius = softness * camera.scale
        mask = _mask(outlines, camera, 2 * radius, finer=1)  # it is blurred anyway
        if mask is not None:
            dark = np.float32(strength) * _blurred(mask.cover, radius)
            canvas[mask.rows, mask.columns] *= (1 - dark)[..., None]


def _lay(
    canvas: np.ndarray, part: Part, look: Look, camera: Camera, rng: np.random.Generator
) -> None:
    """Paints one part over the canvas, its own shadow first."""
    mask = _mask(part.paths, camera, 0.07 * camera.scale, part.holes)
    if mask is None:
        return
    window = canvas[mask.rows, mask.columns]
    if part.lift > 0:
        reach = 0.05 * part.lift * camera.scale
        away = np.round(-reach * camera.light[:2] / camera.light[2]).astype(int)
        fallen = np.roll(_blurred(mask.cover, 0.6 * reach), (away[1], away[0]), axis=(0, 1))
        window *= (1 - np.float32(0.38 * min(part.lift + 0.2, 1)) * fallen)[..., None]
    u, v = camera.grid(mask.rows, mask.columns)
    across, down, facing, along = _normals(part, mask.cover, u, v, camera, rng)
    shade, mirrored = _light(part, across, down, facing, camera.light.astype(np.float32))
    seen = _colours(part, look, along, v, 1 / camera.scale) * shade[..., None]
    if mirrored is not None:
        seen += mirrored[..., None]
    window += (np.float32(part.alpha) * mask.cover)[..., None] * (seen - window)


def _colours(
    part: Part, look: Look, along: np.ndarray, down: np.ndarray, pixel: float
) -> np.ndarray:
    """A part's own colours, (h, w, 3) or (3,), before light falls on them."""
    colour = look.colours[part.paint].astype(np.float32)
    if part.paint != "main" or look.pattern.motif is None:
        return colour
    cos, sin = float(np.cos(part.grain)), float(np.sin(part.grain))
    figure = look.pattern.cover(cos * along + sin * down, cos * down - sin * along, pixel)
    return colour + figure[..., None] * (look.figure.astype(np.float32) - colour)


def _light(
    part: Part, across: np.ndarray, down: np.ndarray, facing: np.ndarray, light: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """What light a surface scatters (1 where it faces the viewer), and what it mirrors if glossy.

    Lambert's law over an even ambient light, and Blinn's (1977) highlight.
    """
    if part.paint == "flame":
        return np.ones_like(facing), None
    lit = across * light[0] + down * light[1] + facing * light[2]
    shade = AMBIENT + (1 - AMBIENT) / float(light[2]) * np.maximum(lit, 0)
    if part.paint == "metal":  # it mirrors a room that is lit unevenly
        shade *= 1 + 0.22 * np.sin(5 * across + 3 * down + 1.5)
    if part.gloss == 0:
        return shade, None
    half = light + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    mirrored = np.maximum(across * half[0] + down * half[1] + facing * half[2], 0)
    for _ in range(5):  # to the 32nd power
        mirrored *= mirrored
    return shade, np.float32(0.5 * part.gloss) * mirrored


def _normals(
    part: Part,
    cover: np.ndarray,
    u: np.ndarray,
    v: np.ndarray,
    camera: Camera,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The surface's normal (across, down, facing), each (h, w), and u as measured along it."""
    if part.form == "tube":
        left, right = _sides(cover)
        half, middle = np.maximum(right - left, 1.0) / 2, (right + left) / 2
        column = np.arange(cover.shape[1], dtype=np.float32)[None] + np.float32(0.5)
        place = np.clip((column - middle) / half, -0.97, 0.97)
        # A pattern runs around: near the edges the surface turns away and the figure narrows.
        along = np.arcsin(place) * half / np.float32(camera.scale)
        return place, np.zeros_like(place), np.sqrt(1 - place**2), along
    radius = max(part.depth * camera.scale, 1.0)
    height = _blurred(cover, radius)
    slope = np.float32(radius * (1.1 if part.form == "soft" else 0.45))
    down, across = (-slope * side for side in np.gradient(height))
    if part.folds > 0:
        phase = rng.uniform(0, 2 * np.pi, 3).astype(np.float32)
        cos, sin = np.float32(np.cos(part.grain)), np.float32(np.sin(part.grain))
        x, y = cos * u + sin * v, cos * v - sin * u
        bent = 9 * x + 1.4 * np.sin(2.6 * y + phase[0]) + 2.2 * y * np.sin(phase[1])
        ripple = np.cos(bent) * (0.6 + 0.4 * np.sin(3.1 * y + 2 * x + phase[2]))
        across = across + np.float32(0.16 * part.folds) * ripple
        down = down + np.float32(0.05 * part.folds) * ripple
    facing = 1 / np.sqrt(1 + across**2 + down**2)
    return across * facing, down * facing, facing, u


def _sides(cover: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each row of a mask begins and ends, (h, 1) each, to a fraction of a pixel."""
    width = cover.shape[1]
    inside = cover > 0.5
    padded = np.pad(cover, ((0, 0), (1, 1)))
    first = inside.argmax(axis=1)[:, None]
    last = width - 1 - inside[:, ::-1].argmax(axis=1)[:, None]

    def at(column: np.ndarray) -> np.ndarray:
        return np.take_along_axis(padded, column + 1, axis=1)

    left = first.astype(np.float32) + 1 - at(first) - at(first - 1)
    return left, last.astype(np.float32) + at(last) + at(last + 1)


def _background(stands: bool, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """A background (size, size, 3) float32 in [0, 1], of one of five kinds."""
    kinds = ("studio", "gradient", "wood", "fabric", "wall")
    kind = kinds[rng.choice(5, p=[0.34, 0.22, 0.14, 0.12, 0.18])]
    size = camera.size
    hue = rng.uniform(0, 360)
    x = np.linspace(-1, 1, size, dtype=np.float32)[None]
    y = np.linspace(-1, 1, size, dtype=np.float32)[:, None]
    if kind == "studio":
        lightness = rng.uniform(0.9, 0.985)
        first, last = (
            oklch(lightness, 0.004, hue),
            oklch(lightness - rng.uniform(0, 0.08), 0.006, hue),
        )
        blend = np.hypot(x - camera.light[0], y - camera.light[1]) / 2.4
    elif kind == "gradient":
        first = oklch(rng.uniform(0.9, 0.97), rng.uniform(0.01, 0.035), hue)
        last = oklch(rng.uniform(0.82, 0.93), rng.uniform(0.01, 0.04), hue + rng.uniform(-60, 60))
        blend = (rng.uniform(-0.5, 0.5) * x + y + 1.2) / 2.4
    elif kind == "wood":
        tone = rng.uniform(0.66, 0.88)
        first, last = oklch(tone, 0.05, 70), oklch(tone - 0.14, 0.055, 60)
        blend = _planks(size, rng)
    elif kind == "fabric":
        tone = rng.uniform(0.78, 0.95)
        first, last = oklch(tone, 0.015, hue), oklch(tone - 0.13, 0.02, hue)
        pitch = np.float32(rng.uniform(1.1, 1.5))
        thread = np.arange(size, dtype=np.float32)
        weave = np.sin(pitch * thread)[None] * np.sin(pitch * thread)[:, None]
        blend = 0.35 + 0.14 * weave + 0.5 * _cloud(5, 5, size, rng)
    else:
        tone = rng.uniform(0.82, 0.96)
        first, last = oklch(tone, 0.018, hue), oklch(tone - 0.1, 0.02, hue)
        blend = 0.4 + 0.25 * _cloud(3, 3, size, rng) + 0.04 * _cloud(90, 90, size, rng)
    blend = np.clip(blend.astype(np.float32), 0, 1)[..., None]
    first, last = first.astype(np.float32), last.astype(np.float32)
    ground = first + blend * (last - first)
    if stands and kind in ("studio", "wall", "gradient"):
        edge = camera.centre[1] + camera.scale * rng.uniform(0.45, 0.75)
        soft = {"studio": 0.2, "gradient": 0.12, "wall": 0.006}[kind] * size
        table = np.clip((np.arange(size) - edge) / soft + 0.5, 0, 1).astype(np.float32)
        ground *= (1 - np.float32(rng.uniform(0.04, 0.13)) * table)[:, None, None]
    return ground


def _cloud(rows: int, columns: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise (size, size), mostly in [-.5, .5], of ``rows`` by ``columns`` bumps."""
    from PIL import Image

    grid = Image.fromarray(rng.uniform(-0.5, 0.5, (rows, columns)).astype(np.float32))
    return np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC))


def _planks(size: int, rng: np.random.Generator) -> np.ndarray:
    """Boards of wood (size, size): long fibres, joints, each board of its own tone."""
    count = int(rng.integers(3, 6))
    board = (np.arange(size) * count // size) % count
    tone = rng.uniform(-0.2, 0.2, count).astype(np.float32)[board]
    fibres = 0.55 * _cloud(70, 4, size, rng) + 0.5 * _cloud(18, 2, size, rng)
    joint = np.concatenate([[False], board[1:] != board[:-1]]).astype(np.float32)
    wood = 0.45 + fibres + (tone + 0.5 * joint)[:, None]
    return wood.T if rng.random() < 0.5 else wood
