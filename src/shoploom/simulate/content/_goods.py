"""How things for the home, the face and the desk are drawn: one function a shape."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shoploom.simulate.content._paths import (
    Draw,
    Drawing,
    Paint,
    Part,
    Path,
    arc,
    both,
    box,
    curve,
    ellipse,
    mirrored,
    moved,
    polygon,
    ribbon,
    seam,
    seams,
    straight,
    turned,
)


def watch(r: float, rng: np.random.Generator) -> Drawing:
    power, size = 2 + 7 * (1 - r) ** 1.5, rng.uniform(0.36, 0.42)
    case, ring, dial = (ellipse(0, 0, size * part, power=power) for part in (1, 0.84, 0.78))
    crown = box(size - 0.03, -0.07, size + 0.08, 0.07, 0.4)
    strap = mirrored(
        (0, -0.97), (0.15, -0.97), (0.19, -0.6), (0.24, -0.3), (0.24, 0.3), (0.19, 0.6),
        (0.14, 0.97), (0, 0.98), corner=0.1 + 0.5 * r,
    )  # fmt: skip
    holes = tuple(ellipse(0, y, 0.022) for y in (0.62, 0.72, 0.82))
    angles = np.radians(np.arange(0, 360, 30))
    reach = size * 0.7
    ticks = tuple(
        ribbon(
            straight(
                reach * np.cos(a),
                reach * np.sin(a),
                reach * 0.84 * np.cos(a),
                reach * 0.84 * np.sin(a),
            ),
            0.022,
        )
        for a in angles
    )
    hour, minute = rng.uniform(0, 2 * np.pi, 2)
    hands = (
        ribbon(straight(0, 0, 0.5 * size * np.cos(hour), 0.5 * size * np.sin(hour)), 0.04),
        ribbon(straight(0, 0, 0.68 * size * np.cos(minute), 0.68 * size * np.sin(minute)), 0.026),
        ellipse(0, 0, 0.035),
    )
    return Drawing(
        (
            Part((strap,), form="soft", depth=0.07, gloss=0.1),
            Part(holes, "dark", lift=0, depth=0.02),
            Part((box(-0.2, -0.7, 0.2, -0.64, 0.4),), "deep", lift=0.4, depth=0.02),
            Part((crown,), "metal", gloss=0.9, depth=0.03),
            Part((case,), "metal", gloss=1, lift=0.8, depth=0.07),
            Part((ring,), "second", lift=0, depth=0.03, gloss=0.3),
            Part((dial,), "light", lift=0, depth=0.02, alpha=0.8),
            Part((*ticks, *hands), "dark", lift=0.3, depth=0.01),
        ),
        stands=False,
    )  # fmt: skip


def necklace(r: float, rng: np.random.Generator) -> Drawing:
    deep, count = rng.uniform(0.36, 0.5), int(rng.integers(11, 16))
    angles = np.radians(np.linspace(200, -20, 2 * count + 1))
    line = np.stack([0.6 * np.cos(angles), -0.3 + (deep + 0.3) * np.sin(angles)], axis=1)
    chain = np.concatenate([[(-0.48, -0.92)], line, [(0.48, -0.92)]])
    power = 1.15 + 0.95 * r
    sizes = np.interp(np.arange(len(line)), [0, count, 2 * count], [0.045, 0.1, 0.045])
    beads = [ellipse(x, y, s, power=power) for (x, y), s in zip(line, sizes, strict=True)]
    low = line[count, 1]
    pendant = ellipse(0, low + 0.3, 0.21, 0.25, power)
    return Drawing(
        (
            Part((ribbon(chain, 0.028),), "metal", gloss=0.8, depth=0.015, lift=0.6),
            Part(tuple(beads[::2]), "plain", form="soft", gloss=0.9, depth=0.09, lift=0.7),
            Part(tuple(beads[1::2]), "second", form="soft", gloss=0.9, depth=0.09, lift=0.7),
            Part((moved(pendant, 0, 0), ellipse(0, low + 0.06, 0.05)), "metal", gloss=1, depth=0.05,
                 lift=0.8),
            Part((ellipse(0, low + 0.3, 0.17, 0.21, power),), "main", form="soft", gloss=0.9,
                 depth=0.16, lift=0),
        ),
        stands=False,
    )  # fmt: skip


def _one_of(rng: np.random.Generator, *paints: Paint) -> Paint:
    return paints[rng.integers(len(paints))]


def _mouth(y: float, rx: float, ry: float) -> tuple[Part, ...]:
    """The mouth of a vessel: a lip and the dark inside."""
    return (
        Part((ellipse(0, y, rx, ry),), "plain", lift=0, gloss=0.4, depth=0.03),
        Part((ellipse(0, y + 0.01, rx * 0.9, ry * 0.8),), "deep", lift=0, depth=0.08),
    )


def _label(y: float, rx: float, ry: float, r: float) -> tuple[Part, ...]:
    """A paper label with lines too small to read."""
    lines = [
        straight(-rx * w, y + ry * down, rx * w, y + ry * down)
        for w, down in ((0.4, 0.08), (0.52, 0.34), (0.3, 0.58))
    ]
    name = ribbon(straight(-rx * 0.56, y - ry * 0.3, rx * 0.56, y - ry * 0.3), 0.06)
    return (
        Part((ellipse(0, y, rx, ry, 2 + 7 * (1 - r)),), "light", "tube", lift=0.15),
        Part((name,), "second", lift=0, depth=0.01),
        seams(*lines, width=0.016, alpha=0.4),
    )


def mug(r: float, rng: np.random.Generator) -> Drawing:
    top, base, belly = rng.uniform(0.5, 0.56), rng.uniform(0.38, 0.46), 0.2 * r
    body = turned(
        (top, -0.53), (top + belly, 0.1), (base + belly, 0.56), (base - 0.03, 0.66),
        corner=0.12 + 0.85 * r,
    )  # fmt: skip
    handle = (
        curve((top - 0.04, -0.34), (0.88, -0.4), (0.96, 0.02), (0.8, 0.34), (base + 0.05, 0.38))
        if r > 0.45
        else polygon((top - 0.1, -0.34), (0.9, -0.36), (0.84, 0.34), (base, 0.36), corner=0.2)[6:-6]
    )
    return Drawing(
        (
            Part((ribbon(handle, [0.15, 0.12, 0.15]),), "plain", "soft", gloss=0.5, depth=0.06),
            Part((body,), form="tube", gloss=0.5),
            *_mouth(-0.53, top, 0.11),
        ),
        stands=True,
    )


def vase(r: float, rng: np.random.Generator) -> Drawing:
    neck, mouth, belly = rng.uniform(0.12, 0.18), rng.uniform(0.2, 0.28), rng.uniform(0.46, 0.56)
    level, wider = rng.uniform(-0.05, 0.3), 0.3 * r
    body = turned(
        (mouth, -0.86), (neck, -0.72), (neck, -0.44 - 0.1 * r), (belly + wider, level - 0.2 * r),
        (belly + wider, level + 0.35 * r), (0.28, 0.86), corner=0.08 + 0.9 * r,
    )  # fmt: skip
    facets = [curve((x * neck, -0.45), (x * belly, level), (x * 0.28, 0.86)) for x in (-0.45, 0.35)]
    angular = (seams(*facets, width=0.014, alpha=0.16),) if r < 0.4 else ()
    return Drawing(
        (Part((body,), form="tube", gloss=0.6), *angular, *_mouth(-0.86, mouth, 0.06)),
        stands=True,
    )


def lamp(r: float, rng: np.random.Generator) -> Drawing:
    top, wide, low = rng.uniform(0.24, 0.34), rng.uniform(0.58, 0.68), rng.uniform(-0.12, 0.0)
    if r > 0.5:
        dome = arc(0, low, wide, low + 0.92, 180, 360)
        shade = np.concatenate([dome, arc(0, low, wide, 0.07, 0, 180)])
    else:
        shade = turned((top, -0.9), (wide, low), sag=0.1)
    foot: Paint = "wood" if rng.random() < 0.5 else "metal"
    stem = [Part((box(-0.035, low - 0.1, 0.035, 0.85),), foot, "tube", gloss=0.6)]
    if rng.random() < 0.5:
        body = turned(
            (0.07, 0.14), (0.28 + 0.08 * r, 0.42), (0.2 + 0.1 * r, 0.72), (0.14, 0.84),
            corner=0.05 + 0.9 * r,
        )  # fmt: skip
        stem.append(Part((body,), "second", "tube", gloss=0.6))
    base = turned((0.3, 0.82), (0.34, 0.88), sag=0.14)
    return Drawing(
        (
            Part((base,), foot, "tube", gloss=0.5),
            Part((ellipse(0, 0.82, 0.3, 0.045),), foot, lift=0, depth=0.03),
            *stem,
            Part((shade,), form="tube", gloss=0.05, lift=0.4),
        ),
        stands=True,
    )


def cushion(r: float, rng: np.random.Generator) -> Drawing:
    power, size = 2 + 7 * (1 - r) ** 2, rng.uniform(0.78, 0.86)
    outline = ellipse(0, 0, size, size * rng.uniform(0.86, 1), power)
    if r < 0.6:  # corners drawn out, as stuffed squares have them
        angle = np.arctan2(outline[:, 1], outline[:, 0])
        outline = outline * (1 + 0.05 * np.cos(4 * angle + np.pi) * (1 - r))[:, None]
    button = ellipse(0, 0, 0.06)
    parts = [
        Part((moved(outline, scale=1.035),), "second", form="soft", depth=0.05),
        Part((outline,), form="soft", depth=0.42, folds=0.5, lift=0.1),
    ]
    if r > 0.6:
        pleats = [straight(0.1 * np.cos(a), 0.1 * np.sin(a), 0.62 * np.cos(a), 0.62 * np.sin(a))
                  for a in np.linspace(0, 2 * np.pi, 14, endpoint=False)]  # fmt: skip
        parts += [seams(*pleats, width=0.016, alpha=0.1),
                  Part((button,), "second", form="soft", lift=0.8, depth=0.05)]  # fmt: skip
    return Drawing(tuple(parts), stands=False)


def candle(r: float, rng: np.random.Generator) -> Drawing:
    wide, top = rng.uniform(0.46, 0.54), -0.3
    body = turned(
        (wide, top), (wide + 0.14 * r, 0.2), (wide + 0.08 * r, 0.66), (wide - 0.04, 0.76),
        corner=0.12 + 0.8 * r,
    )  # fmt: skip
    flame = mirrored((0, -0.84), (0.05, -0.66), (0.075, -0.54), (0, -0.44), corner=0.7)
    return Drawing(
        (
            Part((body,), form="tube", gloss=0.6),
            Part((ellipse(0, top, wide, 0.11),), "light", lift=0, depth=0.03, gloss=0.5),
            Part((ellipse(0, top + 0.02, wide * 0.92, 0.09),), "plain", lift=0, depth=0.06),
            Part((ellipse(0, top + 0.03, 0.24, 0.05),), "flame", lift=0, alpha=0.35, depth=0.04),
            seam(straight(0, top + 0.02, 0.01, -0.48), width=0.024, alpha=0.9),
            Part((ellipse(0, -0.62, 0.2, 0.26),), "flame", lift=0, alpha=0.12),
            Part((flame,), "flame", lift=0, depth=0.05),
            *_label(0.3, wide * 0.56, 0.22, r),
        ),
        stands=True,
    )


def _lid(wide: float, top: float, base: float, paint: Paint, r: float) -> tuple[Part, ...]:
    """A lid from ``top`` to ``base``: flat with a sharp edge, or a dome."""
    if r > 0.55:
        dome = arc(0, base, wide, base - top, 180, 360)
        outline = np.concatenate([dome, arc(0, base, wide, 0.16 * wide, 0, 180)])
        return (Part((outline,), paint, "soft", gloss=0.7, lift=0.5, depth=0.3),)
    return (
        Part((turned((wide, top), (wide, base)),), paint, "tube", gloss=0.7, lift=0.5),
        Part((ellipse(0, top, wide, 0.16 * wide),), paint, lift=0, depth=0.03, gloss=0.2),
    )


def jar(r: float, rng: np.random.Generator) -> Drawing:
    wide, top = rng.uniform(0.66, 0.76), rng.uniform(-0.14, -0.06)
    body = turned(
        (wide, top), (wide + 0.1 * r, 0.25), (wide + 0.02 * r, 0.54), (wide - 0.06, 0.62),
        corner=0.12 + 0.8 * r,
    )  # fmt: skip
    paint = _one_of(rng, "metal", "light", "deep")
    return Drawing(
        (
            Part((body,), form="tube", gloss=0.5),
            *_lid(wide + 0.02, -0.46 - 0.1 * r, top + 0.02, paint, r),
            *_label(0.38, wide * 0.5, 0.19, r),
        ),
        stands=True,
    )


def bottle(r: float, rng: np.random.Generator) -> Drawing:
    wide, shoulder = rng.uniform(0.34, 0.42), rng.uniform(-0.26, -0.16)
    body = turned(
        (0.15, -0.42), (0.16, shoulder - 0.04 + 0.02 * r), (wide + 0.12 * r, shoulder),
        (wide + 0.12 * r, 0.76), (wide - 0.02, 0.86), corner=0.1 + 0.85 * r,
    )  # fmt: skip
    bulb = turned(
        (0.07, -0.95), (0.1 + 0.03 * r, -0.85), (0.1, -0.66), corner=0.2 + 0.7 * r, sag=0.5
    )
    collar = turned((0.16, -0.66), (0.17, -0.42))
    ridges = [straight(x, -0.64, x, -0.4) for x in np.linspace(-0.13, 0.13, 7)]
    return Drawing(
        (
            Part((bulb,), "dark", "tube", gloss=0.4),
            Part((body,), form="tube", gloss=0.7),
            Part((collar,), _one_of(rng, "metal", "light"), "tube", gloss=0.8),
            seams(*ridges, alpha=0.16),
            *_label(0.32, wide * 0.72, 0.27, r),
        ),
        stands=True,
    )


def lipstick(r: float, rng: np.random.Generator) -> Drawing:
    slope = 0.26 * (1 - 0.55 * r)
    bullet = polygon(
        (-0.17, -0.08), (-0.17, -0.62 - slope * 0.2), (-0.02 - 0.06 * r, -0.74 - slope * 0.6),
        (0.17, -0.6), (0.17, -0.08), corner=0.1 + 0.85 * r,
    )  # fmt: skip
    case, tube = turned((0.28, 0.28), (0.28, 0.88)), turned((0.21, -0.1), (0.21, 0.28))
    cap = turned((0.27, -0.04), (0.27, 0.88))
    stick = (
        Part((ellipse(0, 0.28, 0.28, 0.045),), "metal", lift=0, depth=0.02, gloss=0.9),
        Part((case,), form="tube", gloss=0.6),
        Part((ellipse(0, 0.28, 0.28, 0.045),), "metal", lift=0, depth=0.02, gloss=0.9),
        Part((tube,), "metal", "tube", gloss=1),
        Part((ellipse(0, -0.1, 0.21, 0.034),), "deep", lift=0, depth=0.02),
        Part((bullet,), "plain", "tube", gloss=0.6),
    )
    lid = (
        Part((cap,), form="tube", gloss=0.6),
        Part((ellipse(0, -0.04, 0.27, 0.043),), "metal", lift=0, depth=0.02, gloss=0.9),
    )
    parts = [_beside(part, 0.44) for part in lid] + [_beside(part, -0.3) for part in stick]
    return Drawing(tuple(parts), stands=True)


def _beside(part: Part, x: float) -> Part:
    return replace(part, paths=tuple(moved(path, x) for path in part.paths))


def headphones(r: float, rng: np.random.Generator) -> Drawing:
    power = 2 + 5 * (1 - r)
    tall = rng.uniform(0.36, 0.44)
    if r > 0.35:
        band: Path = arc(0, 0.1, 0.66, 0.94, 188, 352)
    else:
        band = polygon((-0.66, 0.2), (-0.6, -0.82), (0.6, -0.82), (0.66, 0.2), corner=0.45)[6:-6]
    cup = ellipse(0.66, 0.36, 0.24, tall, power)
    pad = ellipse(0.47, 0.36, 0.14, tall * 0.94, power)
    disc = ellipse(0.7, 0.36, 0.14, tall * 0.62, power)
    arm = ribbon(straight(0.655, -0.14, 0.66, 0.12), 0.05)
    return Drawing(
        (
            Part((ribbon(band, [0.09, 0.13, 0.09]),), "deep", form="soft", depth=0.06, gloss=0.3),
            Part((ribbon(band[len(band) // 4 : -(len(band) // 4)], 0.16),), "plain", form="soft",
                 depth=0.07, gloss=0.2),
            Part(both(arm), "metal", gloss=0.9, depth=0.03),
            Part(both(pad), "dark", form="soft", depth=0.1),
            Part(both(cup), form="soft", depth=0.14, gloss=0.5, lift=0.5),
            Part(both(disc), "second", form="soft", depth=0.05, gloss=0.5, lift=0.2),
        ),
        stands=True,
    )  # fmt: skip


def phone(r: float, rng: np.random.Generator) -> Drawing:
    corner = 0.06 + 0.5 * r
    back = box(-0.48, -0.94, 0.48, 0.94, corner)
    island = box(-0.4, -0.86, 0.02, -0.44, 0.12 + 0.75 * r)
    lenses = tuple(ellipse(x, y, 0.085) for x, y in ((-0.28, -0.74), (-0.28, -0.55), (-0.1, -0.65)))
    glints = tuple(ellipse(x - 0.02, y - 0.025, 0.02) for x, y in ((-0.28, -0.74), (-0.28, -0.55),
                                                                    (-0.1, -0.65)))  # fmt: skip
    buttons = (box(0.46, -0.4, 0.51, -0.12, 0.3), box(-0.51, -0.36, -0.46, -0.2, 0.3))
    return Drawing(
        (
            Part(buttons, "deep", depth=0.02),
            Part((back,), "deep", depth=0.06, gloss=0.3),
            Part(
                (box(-0.45, -0.91, 0.45, 0.91, corner),),
                form="soft",
                depth=0.05,
                gloss=0.35,
                lift=0,
            ),
            Part((island,), "deep", depth=0.03, gloss=0.4, lift=0.5),
            Part(lenses, "dark", depth=0.04, gloss=0.9, lift=0.4),
            Part(glints, "light", lift=0, depth=0.01, alpha=0.7),
        ),
        stands=False,
    )


def tin(r: float, rng: np.random.Generator) -> Drawing:
    wide = rng.uniform(0.46, 0.54)
    bulge = 0.1 * r
    body = turned(
        (wide, -0.5), (wide + bulge, -0.2), (wide + bulge, 0.6), (wide, 0.86), corner=0.1 + 0.8 * r
    )
    paint = _one_of(rng, "deep", "second", "metal")
    knob = ellipse(0, -0.9, 0.09, 0.06, 2 + 5 * (1 - r))
    return Drawing(
        (
            Part((body,), form="tube", gloss=0.5),
            *_lid(wide + 0.02, -0.84, -0.46, paint, r),
            Part((knob,), "metal", "soft", gloss=0.8, depth=0.04),
            *_label(0.24, wide * 0.62, 0.28, r),
        ),
        stands=True,
    )


def pouch(r: float, rng: np.random.Generator) -> Drawing:
    wide = rng.uniform(0.56, 0.64)
    body = mirrored(
        (0, -0.9), (wide - 0.06, -0.9), (wide - 0.04, -0.6), (wide + 0.07 * r, 0.3), (wide, 0.84),
        (0.3, 0.9), (0, 0.87), corner=0.1 + 0.55 * r,
    )  # fmt: skip
    seal = mirrored(
        (0, -0.93), (wide - 0.05, -0.93), (wide - 0.05, -0.78), (0, -0.78), corner=0.05 + 0.2 * r
    )
    ridges = [straight(-wide + 0.07, y, wide - 0.07, y) for y in (-0.89, -0.855, -0.82)]
    gusset = curve((-wide + 0.02, 0.7), (0, 0.8 + 0.04 * r), (wide - 0.02, 0.7))
    valve = ellipse(0, -0.5, 0.06)
    return Drawing(
        (
            Part((body,), form="soft", depth=0.26, folds=0.6, gloss=0.2),
            Part((seal,), "plain", lift=0.2, depth=0.02),
            seams(*ridges, alpha=0.2),
            seam(gusset, width=0.018, alpha=0.22),
            Part((valve,), "deep", depth=0.02, lift=0.2),
            *_label(0.14, 0.36, 0.34, r),
        ),
        stands=True,
    )


GOODS: dict[str, Draw] = {
    "watch": watch,
    "necklace": necklace,
    "mug": mug,
    "vase": vase,
    "lamp": lamp,
    "cushion": cushion,
    "candle": candle,
    "jar": jar,
    "bottle": bottle,
    "lipstick": lipstick,
    "headphones": headphones,
    "phone": phone,
    "tin": tin,
    "pouch": pouch,
}
