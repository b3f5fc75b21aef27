"""Product photos: drawn, or made from real photos, so that they alone show a product's style.

A photo's style is what ``_looks`` makes of the four axes; all else in it is a nuisance that says
nothing (``_scene``). A photo depends on the seed and its own name alone, so neither the number of
processes nor the other products change it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shoploom.core.errors import ConfigError, UnknownName
from shoploom.core.progress import Progress, Quiet
from shoploom.core.seeds import rng
from shoploom.simulate.catalogue import STYLE_AXES
from shoploom.simulate.content._clothes import CLOTHES
from shoploom.simulate.content._goods import GOODS
from shoploom.simulate.content._looks import choose_look
from shoploom.simulate.content._real import RealPhoto, choose_photos, find_photos, restyle
from shoploom.simulate.content._scene import take_photo

if TYPE_CHECKING:
    from PIL import Image

#: shape -> its drawing function; every ``Category.shape`` of the catalogue is here.
SHAPES = CLOTHES | GOODS

#: Below this many photos, starting processes costs more than it saves.
WORTH_A_POOL = 100


def draw_photo(shape: str, style: np.ndarray, seed: int, size: int = 224) -> Image.Image:
    """A photo of a product that does not exist.

    Args:
        shape: one of SHAPES.
        style: (4,) in [-1, 1], in the order of STYLE_AXES.
        seed: decides the variant, the background, the light and the noise.
        size: side of the square photo in pixels.

    >>> draw_photo("mug", np.array([1, 0, 0.5, -1]), seed=0, size=64).size
    (64, 64)
    """
    if shape not in SHAPES:
        raise UnknownName("shape", shape, SHAPES)
    random = rng(seed, "photo")
    look = choose_look(np.asarray(style, float), random)
    return take_photo(SHAPES[shape](look.corner, random), look, size, random)


@dataclass(frozen=True)
class _Job:
    """One photo to be made: all that a process needs to know."""

    path: Path
    shape: str
    style: np.ndarray
    seed: int
    size: int
    base: RealPhoto | None


def write_photos(
    folder: Path,
    names: Sequence[str],
    shapes: Sequence[str],
    styles: np.ndarray,
    seed: int,
    size: int = 224,
    photos_folder: Path | None = None,
    progress: Progress | None = None,
    processes: int = 2,
) -> None:
    """Writes one JPEG a product.

    Args:
        folder: where to; it is made if need be.
        names: file names, one a product.
        shapes: of SHAPES, one a product.
        styles: (n, 4) in [-1, 1], in the order of STYLE_AXES.
        seed: the shop's seed.
        size: side of the photos in pixels.
        photos_folder: real photos to start from: a folder with JPEG or PNG files anywhere below,
            or a Parquet file with a column ``image`` of bytes and perhaps ``label``. Labels, or
            the names of subfolders, say what a photo shows; shapes that none shows are drawn.
        progress: where to report to.
        processes: how many work at it; the result does not depend on it.

    Raises:
        ConfigError: when the arguments differ in length or a shape is unknown.
        DataError: when ``photos_folder`` holds nothing usable.
    """
    progress = progress or Quiet()
    styles = np.asarray(styles, float)
    if not len(names) == len(shapes) == len(styles) or styles.shape[1:] != (len(STYLE_AXES),):
        raise ConfigError(
            f"write_photos: expected a name, a shape and {len(STYLE_AXES)} styles a product, got "
            f"{len(names)} names, {len(shapes)} shapes and styles of shape {styles.shape}."
        )
    for shape in sorted(set(shapes) - set(SHAPES)):
        raise UnknownName("shape", shape, SHAPES)
    folder.mkdir(parents=True, exist_ok=True)
    seeds = [int(rng(seed, "photos", name).integers(2**62)) for name in names]
    bases: Sequence[RealPhoto | None] = [None] * len(names)
    if photos_folder is not None:
        bases = choose_photos(find_photos(photos_folder), shapes, seeds)
        if drawn := sorted({s for s, base in zip(shapes, bases, strict=True) if base is None}):
            progress.note(f"no real photo shows {', '.join(drawn)}: these are drawn")
    jobs = [
        _Job(folder / name, shape, style, own, size, base)
        for name, shape, style, own, base in zip(names, shapes, styles, seeds, bases, strict=True)
    ]
    done = (
        _in_processes(jobs, processes, progress) if len(jobs) >= WORTH_A_POOL else map(_write, jobs)
    )
    for _ in progress.track(done, "photos", total=len(jobs)):
        pass


def _in_processes(jobs: Sequence[_Job], processes: int, progress: Progress) -> Iterator[None]:
    """Works the jobs off in processes of their own, or here when they cannot be started."""
    if processes > 1:
        # Not forked: a fork of a process with threads (DuckDB, BLAS) may hang.
        context = get_context("spawn")
        try:
            with ProcessPoolExecutor(processes, mp_context=context) as pool:
                yield from pool.map(_write, jobs, chunksize=16)
                return
        except BrokenProcessPool:
            progress.note(
                "photos: helper processes ended at once (a script that starts them needs "
                '`if __name__ == "__main__":`); going on with one process'
            )
    yield from map(_write, jobs)


def _write(job: _Job) -> None:
    random = rng(job.seed, "file")
    if job.base is None:
        photo = draw_photo(job.shape, job.style, job.seed, job.size)
    else:
        look = choose_look(job.style, random)
        photo = restyle(job.base.read(), look, job.size, random)
    photo.save(job.path, "JPEG", quality=int(random.integers(74, 94)))
