"""How things to wear are drawn: one function a shape, from a roundness and a choice of variant."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shoploom.simulate.content._paths import (
    Draw,
    Drawing,
    Part,
    arc,
    both,
    box,
    curve,
    ellipse,
    flipped,
    mirrored,
    moved,
    polygon,
    ribbon,
    seam,
    seams,
    straight,
)


def dress(r: float, rng: np.random.Generator) -> Drawing:
    corner, flare = 0.15 + 0.75 * r, rng.uniform(0.5, 0.66)
    hem = 0.86 + 0.06 * r
    body = mirrored(
        (0, -0.62 + 0.08 * r),
        (0.12, -0.70),
        (0.17, -0.93),
        (0.29, -0.91),
        (0.29, -0.70),
        (0.35, -0.56),
        (0.25, -0.14),
        (0.30 + 0.1 * r, 0.05),
        (flare, hem - 0.04),
        (flare * 0.5, hem + 0.02),
        (0, hem + 0.03),
        corner=corner * 0.8,
    )
    back = polygon((-0.2, -0.9), (0.2, -0.9), (0.14, -0.6), (0, -0.5), (-0.14, -0.6), corner=0.4)
    parts = [Part((back,), "deep", lift=0)]
    if rng.random() < 0.55:
        sleeve = polygon(
            (0.2, -0.92), (0.34, -0.88), (0.6, -0.58), (0.46, -0.42), (0.3, -0.6), corner=corner
        )
        parts.append(Part(both(sleeve), form="soft", grain=0.6, folds=0.5))
    sash = ribbon(curve((-0.27, -0.13), (0, -0.1), (0.27, -0.13)), 0.075)
    folds = [curve((x * 0.4, -0.04), (x * 0.7, 0.4), (x * 1.15, hem - 0.06)) for x in (-0.42, 0.42)]
    folds += [curve((0.02, -0.04), (0.06, 0.35), (0.04, hem - 0.04))]
    return Drawing(
        (
            *parts,
            Part((body,), form="soft", folds=1.0, depth=0.1),
            seams(*folds, width=0.016, alpha=0.14),
            Part((sash,), "second", form="soft", lift=0.5),
        ),
        stands=False,
    )


def shirt(r: float, rng: np.random.Generator) -> Drawing:
    corner = 0.12 + 0.55 * r
    tail = 0.84
    body = mirrored(
        (0, -0.74),
        (0.16, -0.80),
        (0.43, -0.68),
        (0.47, -0.3),
        (0.41, 0.1),
        (0.43, tail - 0.14 * r),
        (0.3, tail),
        (0, tail - 0.04),
        corner=corner,
    )
    if rng.random() < 0.6:
        sleeve = polygon(
            (0.34, -0.73), (0.5, -0.64), (0.82, 0.42), (0.64, 0.48), (0.42, -0.24), corner=corner
        )
        cuff = polygon((0.83, 0.36), (0.86, 0.5), (0.64, 0.56), (0.61, 0.42), corner=corner)
        grain = -0.3
    else:
        sleeve = polygon(
            (0.34, -0.73), (0.5, -0.64), (0.78, -0.22), (0.58, -0.08), (0.42, -0.24), corner=corner
        )
        cuff = polygon((0.76, -0.26), (0.8, -0.19), (0.58, -0.04), (0.55, -0.11), corner=corner)
        grain = -0.6
    collar = polygon(
        (0, -0.62), (-0.14, -0.9), (-0.22, -0.84), (-0.2, -0.56), (-0.1, -0.52), corner=corner * 0.9
    )
    inside = ellipse(0, -0.8, 0.16, 0.1)
    placket = box(-0.045, -0.62, 0.045, tail - 0.05)
    buttons = tuple(
        ellipse(0, y, 0.018, power=2 if r > 0.4 else 4) for y in np.arange(-0.5, tail - 0.1, 0.22)
    )
    pocket = polygon((0.14, -0.36), (0.33, -0.36), (0.33, -0.17), (0.235, -0.12), (0.14, -0.17),
                     corner=corner)  # fmt: skip
    return Drawing(
        (
            Part((sleeve,), form="soft", folds=0.8, grain=grain),
            Part((flipped(sleeve),), form="soft", folds=0.8, grain=-grain),
            Part(both(cuff), "plain", form="soft", lift=0.2),
            Part((body,), form="soft", folds=0.9, depth=0.08),
            Part((inside,), "deep", lift=0, depth=0.1),
            Part((placket,), "main", lift=0.35, depth=0.02),
            Part((pocket,), "main", lift=0.4, depth=0.02),
            Part(buttons, "light", lift=0.4, depth=0.02, gloss=0.3),
            Part(both(collar), "plain", form="soft", lift=0.6, depth=0.04),
        ),
        stands=False,
    )


def trousers(r: float, rng: np.random.Generator) -> Drawing:
    knee, ankle = 0.44 + 0.14 * r, rng.uniform(0.38, 0.5) - 0.04 * r
    legs = mirrored(
        (0, -0.9),
        (0.3, -0.9),
        (0.38, -0.55),
        (knee, 0.1),
        (ankle + 0.03, 0.9),
        (0.14, 0.93),
        (0.07, -0.1),
        (0.0, -0.27),
        corner=0.1 + 0.6 * r,
    )
    band = polygon((-0.31, -0.95), (0.31, -0.95), (0.325, -0.82), (-0.325, -0.82), corner=0.1)
    loops = tuple(box(x - 0.018, -0.97, x + 0.018, -0.8) for x in (-0.2, 0.2))
    pocket = curve((0.2, -0.82), (0.25, -0.66 + 0.06 * r), (0.38, -0.6))
    turn_up = polygon(
        (0.13, 0.82), (ankle + 0.05, 0.8), (ankle + 0.045, 0.92), (0.13, 0.95), corner=0.15
    )
    crease = curve((0.23, -0.5), (0.27, 0.2), (ankle * 0.5 + 0.1, 0.8))
    return Drawing(
        (
            Part((legs,), form="soft", folds=0.8, depth=0.11),
            seams(crease, flipped(crease), width=0.018, alpha=0.14),
            seams(pocket, flipped(pocket), curve((0, -0.82), (0.01, -0.5), (-0.02, -0.36)),
                  curve((0.06, -0.82), (0.07, -0.52), (0.0, -0.38))),
            Part(both(turn_up), "plain", form="soft", lift=0.4),
            Part((band,), "plain", form="soft", lift=0.3),
            Part(loops, "plain", lift=0.4, depth=0.02),
            Part((ellipse(0, -0.885, 0.028),), "metal", gloss=0.8, lift=0.5, depth=0.03),
        ),
        stands=False,
    )  # fmt: skip


def jacket(r: float, rng: np.random.Generator) -> Drawing:
    corner = 0.12 + 0.6 * r
    sleeve = polygon(
        (0.32, -0.74), (0.5, -0.66), (0.74 + 0.06 * r, -0.1), (0.82, 0.5), (0.6, 0.54),
        (0.44, -0.1), corner=corner,
    )  # fmt: skip
    cuff = polygon((0.6, 0.48), (0.82, 0.44), (0.82, 0.6), (0.61, 0.63), corner=0.3)
    body = mirrored(
        (0, -0.7), (0.2, -0.8), (0.47, -0.66), (0.5, -0.2), (0.49 + 0.04 * r, 0.3), (0.46, 0.7),
        (0, 0.72), corner=corner,
    )  # fmt: skip
    hem = polygon((-0.46, 0.66), (0.46, 0.66), (0.45, 0.82), (-0.45, 0.82), corner=0.25)
    collar = polygon(
        (0.02, -0.56), (0.04, -0.86), (0.2, -0.93), (0.26, -0.72), (0.14, -0.6), corner=corner
    )
    inside = ellipse(0, -0.82, 0.2, 0.1)
    quilts = [curve((-0.5, y), (0, y + 0.05 * r), (0.5, y)) for y in (-0.42, -0.14, 0.14, 0.42)]
    pocket = ribbon(straight(0.22, 0.2, 0.36, 0.44), 0.05)
    zipper = box(-0.022, -0.66, 0.022, 0.82)
    quilted = rng.random() < 0.6
    return Drawing(
        (
            Part((sleeve,), form="soft", folds=0.7, grain=-0.25, depth=0.12),
            Part((flipped(sleeve),), form="soft", folds=0.7, grain=0.25, depth=0.12),
            Part(both(cuff), "deep", form="soft", lift=0.3),
            Part((inside,), "dark", lift=0),
            Part((body,), form="soft", folds=0.7, depth=0.16),
            *((seams(*quilts, width=0.026, alpha=0.28),) if quilted else ()),
            Part((hem,), "deep", form="soft", lift=0.3),
            Part(both(pocket), "deep", lift=0.3, depth=0.02),
            Part((zipper,), "dark", lift=0.3, depth=0.02),
            Part((ribbon(straight(0, -0.64, 0, 0.8), 0.016), box(-0.02, -0.5, 0.02, -0.4)),
                 "metal", gloss=0.7, lift=0.2, depth=0.01),
            Part(both(collar), "second", form="soft", lift=0.6, depth=0.06),
        ),
        stands=False,
    )  # fmt: skip


def shoe(r: float, rng: np.random.Generator) -> Drawing:
    toe = 0.86 + 0.06 * (1 - r)
    bend = 0.2 + 0.6 * r
    upper = polygon(
        (-0.74, -0.34), (-0.85, -0.02), (-0.8, 0.32), (toe, 0.32), (toe + 0.02, 0.16 - 0.2 * r),
        (0.62, -0.02 - 0.12 * r), (0.3, -0.16), (0.02, -0.44), (-0.14, -0.54), (-0.28, -0.38),
        (-0.5, -0.24), (-0.64, -0.38), corner=bend,
    )  # fmt: skip
    lining = ellipse(-0.42, -0.34, 0.3, 0.1)
    tongue = polygon((-0.24, -0.4), (-0.2, -0.66), (-0.04, -0.64), (0.14, -0.3), corner=bend)
    stay = polygon(
        (-0.14, -0.46), (0, -0.43), (0.33, -0.13), (0.25, 0.02), (-0.17, -0.28), corner=bend
    )
    cap = polygon(
        (0.5, 0.3), (toe - 0.01, 0.3), (toe, 0.17 - 0.18 * r), (0.7, 0.04 - 0.1 * r), (0.5, 0.02),
        corner=bend,
    )  # fmt: skip
    heel = polygon(
        (-0.72, -0.24), (-0.6, -0.2), (-0.48, 0.04), (-0.5, 0.3), (-0.79, 0.3), (-0.83, 0.0),
        corner=bend,
    )  # fmt: skip
    sole = polygon(
        (-0.83, 0.24), (0.5, 0.27), (toe + 0.04, 0.23), (toe + 0.06, 0.34), (toe - 0.06, 0.46),
        (-0.8, 0.46), (-0.87, 0.34), corner=0.15 + 0.7 * r,
    )  # fmt: skip
    laces = tuple(
        ribbon(straight(x + 0.02, y - 0.03, x - 0.06, y + 0.13), 0.045)
        for x, y in ((-0.03, -0.41), (0.07, -0.33), (0.16, -0.25), (0.25, -0.17))
    )
    parts = (
        Part((tongue,), "plain", form="soft"),
        Part((lining,), "dark", lift=0),
        Part((upper,), form="soft", depth=0.22, lift=0.3),
        Part((cap, heel, stay), "second", form="soft", depth=0.07, lift=0.2),
        Part(laces, "light", form="soft", lift=0.5, depth=0.02),
        Part((sole,), "light", form="soft", depth=0.06, lift=0.2),
        seam(straight(-0.84, 0.36, toe + 0.04, 0.36), alpha=0.25),
    )
    return Drawing(tuple(_shifted(part, 0, 0.1, 1.03) for part in parts), stands=True)


def _shifted(part: Part, x: float, y: float, scale: float) -> Part:
    return replace(part, paths=tuple(moved(path, x, y, scale) for path in part.paths))


def socks(r: float, rng: np.random.Generator) -> Drawing:
    corner = 0.25 + 0.6 * r
    leg = polygon(
        (-0.3, -0.9), (0.06, -0.9), (0.08, 0.12), (0.5, 0.42), (0.62, 0.66), (0.46, 0.84),
        (0.2, 0.8), (-0.24, 0.5), (-0.34, 0.2), corner=corner,
    )  # fmt: skip
    toe = polygon((0.4, 0.36), (0.52, 0.44), (0.62, 0.66), (0.46, 0.84), (0.26, 0.8), corner=corner)
    heel = polygon((-0.33, 0.14), (-0.06, 0.3), (-0.12, 0.56), (-0.24, 0.5), (-0.34, 0.26),
                   corner=corner)  # fmt: skip
    cuff = polygon((-0.31, -0.94), (0.07, -0.94), (0.07, -0.72), (-0.305, -0.72), corner=0.15)
    ribs = [straight(x, -0.92, x, -0.74) for x in np.linspace(-0.25, 0.01, 6)]
    one = (
        Part((leg,), form="soft", folds=0.5, depth=0.12, lift=0.5),
        Part((toe, heel), "second", form="soft", depth=0.08, lift=0),
        Part((cuff,), "second", form="soft", lift=0.3),
        seams(*ribs, alpha=0.2),
    )
    behind = [_shifted(part, 0.24, -0.04, 0.95) for part in one]
    front = [_shifted(part, -0.2, 0.04, 0.98) for part in one]
    return Drawing((*behind, *front), stands=False)


def bag(r: float, rng: np.random.Generator) -> Drawing:
    corner = 0.1 + 0.7 * r
    wide, top = rng.uniform(0.68, 0.8), -0.22
    body = mirrored(
        (0, top - 0.02), (0.55, top), (wide - 0.08 * (1 - r), 0.2), (wide, 0.76),
        (0, 0.82 + 0.06 * r), corner=corner,
    )  # fmt: skip
    flap = mirrored(
        (0, top - 0.06), (0.57, top - 0.04), (0.6, 0.1), (0.3 * r + 0.2, 0.3 + 0.04 * r),
        (0, 0.3 + 0.1 * (1 - r)), corner=corner,
    )  # fmt: skip
    height = -0.85 - 0.1 * r
    handle = curve((-0.38, -0.1), (-0.32, -0.6), (0, height), (0.32, -0.6), (0.38, -0.1))
    if r < 0.4:  # an upright handle with shoulders
        handle = polygon((-0.38, -0.1), (-0.3, -0.8), (0.3, -0.8), (0.38, -0.1), corner=0.25)[6:-6]
    rings = tuple(ellipse(x, -0.1, 0.055, power=2 + 4 * (1 - r)) for x in (-0.38, 0.38))
    clasp = ellipse(0, 0.28, 0.085, 0.07, power=2 + 5 * (1 - r))
    stitches = moved(flap, 0, 0.0, 0.93)
    return Drawing(
        (
            Part((ribbon(handle, 0.09),), "deep", form="soft", depth=0.04, gloss=0.2),
            Part((body,), form="soft", depth=0.14, gloss=0.15),
            Part((flap,), "main", form="soft", depth=0.06, lift=0.7, gloss=0.15),
            seam(np.concatenate([stitches, stitches[:1]]), width=0.01, alpha=0.3),
            Part(rings, "metal", gloss=0.9, depth=0.04, lift=0.5,
                 holes=tuple(ellipse(x, -0.1, 0.028) for x in (-0.38, 0.38))),
            Part((clasp,), "metal", gloss=0.9, depth=0.05, lift=0.6),
        ),
        stands=True,
    )  # fmt: skip


def scarf(r: float, rng: np.random.Generator) -> Drawing:
    corner = 0.2 + 0.7 * r
    loop = arc(0, -0.36, 0.4, 0.5, 150, 390)
    tail = curve((0.02, -0.1), (-0.16, 0.2), (-0.26, 0.74))
    other = curve((0.0, -0.12), (0.2, 0.12), (0.27, 0.58))
    front = curve((-0.44, -0.36), (-0.2, -0.06), (0.1, -0.06), (0.44, -0.36))
    ends = []
    for x, y in ((-0.26, 0.74), (0.27, 0.58)):
        for k in np.linspace(-0.14, 0.14, 8):
            if r < 0.55:
                ends.append(ribbon(straight(x + k, y - 0.02, x + k * 1.15, y + 0.16), 0.022))
            else:
                ends.append(ellipse(x + k, y + 0.02, 0.035))
    knot = polygon((-0.16, -0.2), (0.16, -0.22), (0.18, 0.02), (-0.12, 0.06), corner=corner)
    return Drawing(
        (
            Part((ribbon(loop, [0.22, 0.26, 0.22]),), "deep", form="soft", depth=0.07, folds=1),
            seams(moved(loop, 0, 0.0, 0.94), arc(0, -0.36, 0.46, 0.56, 160, 380), alpha=0.25),
            Part(tuple(ends), "second", form="soft", depth=0.02),
            Part((ribbon(other, [0.2, 0.3, 0.34]),), form="soft", grain=-0.3, depth=0.1, folds=1.2),
            Part((ribbon(tail, [0.2, 0.3, 0.36]),), form="soft", grain=0.2, depth=0.1, folds=1.2,
                 lift=0.7),
            Part((ribbon(front, [0.24, 0.32, 0.24]),), form="soft", depth=0.12, folds=1.2, lift=0.6,
                 grain=0.1),
            Part((knot,), form="soft", grain=0.8, depth=0.1, folds=1, lift=0.6),
        ),
        stands=False,
    )  # fmt: skip


def hat(r: float, rng: np.random.Generator) -> Drawing:
    wide, tall = rng.uniform(0.82, 0.95), -0.62 - 0.08 * (1 - r)
    crown = mirrored(
        (0, tall + 0.1 * (1 - r)), (0.26 + 0.1 * (1 - r), tall), (0.48, tall + 0.22 * r),
        (0.52, 0.16), (0, 0.26), corner=0.12 + 0.85 * r,
    )  # fmt: skip
    band = mirrored((0, -0.02), (0.51, -0.12), (0.525, 0.08), (0.51, 0.14), (0, 0.24), corner=0.3)
    brim = ellipse(0, 0.2, wide, 0.26, power=2.3 - 0.3 * r)
    hollow = ellipse(0, 0.14, 0.55, 0.13)
    parts = [
        Part((brim,), form="soft", depth=0.08, lift=0.3),
        Part((hollow,), "deep", lift=0, depth=0.05, alpha=0.7),
        Part((crown,), form="soft", depth=0.22, lift=0.3),
        Part((band,), "second", form="soft", depth=0.06, lift=0.2),
    ]
    if r < 0.5:
        dent = curve((-0.2, tall + 0.1), (0.02, tall + 0.2), (0.22, tall + 0.07))
        parts.append(seam(dent, width=0.03, alpha=0.2))
    else:
        parts.append(Part((ellipse(0.34, 0.1, 0.07),), "deep", form="soft", depth=0.06, lift=0.5))
    return Drawing(tuple(parts), stands=True)


def belt(r: float, rng: np.random.Generator) -> Drawing:
    """A belt rolled up on its edge, buckle to the front."""
    high, rx, ry = rng.uniform(0.24, 0.3), 0.78, 0.34 + 0.06 * r
    back = np.concatenate([arc(0, -0.12, rx, ry, 180, 360), arc(0, high, rx, ry, 360, 180)])
    front = np.concatenate([arc(0, -0.12, rx, ry, 180, 0), arc(0, high, rx, ry, 0, 180)])
    inner = np.concatenate(
        [
            arc(0.1, -0.08, rx * 0.8, ry * 0.75, 180, 360),
            arc(0.1, high, rx * 0.8, ry * 0.75, 360, 180),
        ]
    )
    low = (ry + high - 0.12 + ry) / 2
    tongue = polygon(
        (0.1, low - 0.17), (0.5, low - 0.2), (0.64 + 0.04 * (1 - r), low - 0.1), (0.5, low + 0.12),
        (0.1, low + 0.17), corner=0.1 + 0.7 * r,
    )  # fmt: skip
    holes = tuple(ellipse(x, low - 0.03 * k, 0.022) for k, x in enumerate((0.24, 0.36, 0.48)))
    power = 2 + 6 * (1 - r)
    frame, gap = ellipse(-0.06, low, 0.23, 0.25, power), ellipse(-0.06, low, 0.16, 0.18, power)
    return Drawing(
        (
            Part((back,), "deep", form="tube", lift=0.2),
            Part((inner,), "deep", form="tube", lift=0.4),
            Part((front,), "main", form="tube", lift=0.5, gloss=0.25),
            Part((tongue,), "main", form="soft", lift=0.6, depth=0.05, gloss=0.2),
            Part(holes, "dark", lift=0, depth=0.02),
            Part((frame,), "metal", holes=(gap,), gloss=1, lift=0.7, depth=0.05),
            Part((ribbon(straight(-0.06, low, 0.18, low), 0.045),), "metal", gloss=1, lift=0.6,
                 depth=0.03),
        ),
        stands=True,
    )  # fmt: skip


CLOTHES: dict[str, Draw] = {
    "dress": dress,
    "shirt": shirt,
    "trousers": trousers,
    "jacket": jacket,
    "shoe": shoe,
    "socks": socks,
    "bag": bag,
    "scarf": scarf,
    "hat": hat,
    "belt": belt,
}
