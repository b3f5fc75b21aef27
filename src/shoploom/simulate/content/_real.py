"""Product photos from real ones: found, chosen by shape, re-coloured and framed by style."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shoploom.core.columns import IMAGE
from shoploom.core.errors import DataError
from shoploom.simulate.content._looks import Look
from shoploom.simulate.content._paths import box
from shoploom.simulate.content._scene import develop

if TYPE_CHECKING:
    from PIL import Image

ENDINGS = (".jpg", ".jpeg", ".png")
#: Optional column of a Parquet file: what its photos show.
LABEL = "label"
#: What a label (or the name of a photo's folder) may say when it shows a shape.
LABELS = {
    "dress": ("dress", "skirt"),
    "shirt": ("shirt", "t-shirt", "longsleeve", "blouse", "top"),
    "trousers": ("trousers", "pants", "jeans", "shorts"),
    "jacket": ("jacket", "outwear", "outerwear", "coat", "blazer"),
    "shoe": ("shoe", "shoes", "boots"),
}


@dataclass(frozen=True)
class RealPhoto:
    """A real photo that has not been read yet: bytes or a path, its label, and where it lies."""

    content: bytes | Path
    label: str
    where: str

    def read(self) -> Image.Image:
        """The photo, RGB and upright."""
        from PIL import Image, ImageOps

        source = io.BytesIO(self.content) if isinstance(self.content, bytes) else self.content
        try:
            with Image.open(source) as photo:
                return ImageOps.exif_transpose(photo).convert("RGB")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(
                f"{self.where}: expected a JPEG or PNG photo, got something that cannot be read "
                f"({error}). Repair or remove it."
            ) from error


def find_photos(source: Path) -> list[RealPhoto]:
    """The photos of a folder (anywhere below it) or of a Parquet file with a column ``image``.

    Raises:
        DataError: when there is nothing to use.
    """
    if source.is_dir():
        paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in ENDINGS)
        photos = [RealPhoto(path, path.parent.name.lower(), str(path)) for path in paths]
        expected = "files ending in .jpg, .jpeg or .png anywhere below"
    elif source.is_file():
        photos = _from_parquet(source)
        expected = f"photos in the column {IMAGE!r}"
    else:
        raise DataError(
            f"photos: expected a folder or a Parquet file, got {str(source)!r}, which does not "
            "exist. Check the path, or leave it out to have the photos drawn."
        )
    if not photos:
        raise DataError(
            f"{source}: expected {expected}, got none. Add some, or leave the folder out to have "
            "the photos drawn."
        )
    return photos


def _from_parquet(source: Path) -> list[RealPhoto]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(source).names
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{source}: expected a folder of photos or a Parquet file, got neither ({error})."
        ) from error
    if IMAGE not in names:
        raise DataError(
            f"{source}: expected a column {IMAGE!r} that holds the bytes of photos, got "
            f"the columns {', '.join(names)}. Rename the one that holds them."
        )
    table = pq.read_table(source, columns=[name for name in (IMAGE, LABEL) if name in names])
    labels = table[LABEL].to_pylist() if LABEL in names else [""] * len(table)
    return [
        RealPhoto(content or b"", str(label).lower(), f"{source}, row {row}")
        for row, (content, label) in enumerate(zip(table[IMAGE].to_pylist(), labels, strict=True))
    ]


def choose_photos(
    photos: Sequence[RealPhoto], shapes: Sequence[str], seeds: Sequence[int]
) -> list[RealPhoto | None]:
    """A photo for each product: one whose label says its shape; any, when no label says a shape.

    None where labels say shapes, but none says this one: a mug is not a photo of trousers.
    """
    shown = {
        shape: [photo for photo in photos if photo.label in LABELS.get(shape, (shape, shape + "s"))]
        for shape in set(shapes)
    }
    if not any(shown.values()):
        shown = {shape: list(photos) for shape in shown}
    return [
        shown[shape][seed % len(shown[shape])] if shown[shape] else None
        for shape, seed in zip(shapes, seeds, strict=True)
    ]


def restyle(photo: Image.Image, look: Look, size: int, rng: np.random.Generator) -> Image.Image:
    """A real photo in the colours of a look, on a mat that carries its pattern and corners."""
    from PIL import Image, ImageDraw, ImageOps

    place = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(2 / size) - 1
    figure = look.pattern.cover(place[None], place[:, None], 2 / size)[..., None]
    main = look.colours["main"].astype(np.float32)
    canvas = main + figure * (look.figure.astype(np.float32) - main)

    inner = int(size * rng.uniform(0.74, 0.82))
    left, top = (int((size - inner) * rng.uniform(0.4, 0.6)) for _ in range(2))
    fitted = ImageOps.fit(photo, (inner, inner), bleed=rng.uniform(0, 0.05))
    pixels = np.asarray(fitted, np.float32) / np.float32(255)
    grey = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    # A ramp from a dark tone through the main colour to a light one keeps the photo's relief.
    ramp = np.stack([look.colours["dark"], look.colours["main"], look.colours["light"]])
    toned = np.stack([np.interp(grey, (0.08, 0.5, 0.95), ramp[:, c]) for c in range(3)], axis=-1)
    toned = np.float32(0.25) * pixels + np.float32(0.75) * toned.astype(np.float32)

    sheet = Image.new("L", (3 * inner, 3 * inner))
    outline = 3 * inner * box(0, 0, 1, 1, look.corner)
    ImageDraw.Draw(sheet).polygon(outline.ravel().tolist(), fill=255)
    cover = np.asarray(sheet.reduce(3), np.float32)[..., None] / np.float32(255)
    window = canvas[top : top + inner, left : left + inner]
    window += cover * (toned - window)
    return develop(np.ascontiguousarray(canvas), rng)
