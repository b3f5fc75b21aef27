"""Photos read without dying, and the way of a column of them through an encoder.

Photos come from strangers. What a file is, its bytes decide and not its name; every way in which
it can be no photo ends in ``Unreadable`` with a reason, never in an exception. Limits are checked
before anything is decoded. What a photo means is for encoders to say.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.core.progress import Progress, Quiet
from shoploom.encoders._colours import Colour, dominant_colours
from shoploom.encoders._duplicates import difference_hash, near_duplicates
from shoploom.encoders.encoder import Encoded

if TYPE_CHECKING:
    from PIL import Image

Pixels = NDArray[np.uint8]

#: What is decoded. Pillow knows more, but some of that runs other programs (EPS) or is rarely met.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
#: Above these a photo is refused: the largest cameras of phones in common use take 50 megapixels.
MAX_PIXELS, MAX_BYTES = 64_000_000, 64_000_000
#: Part of every image encoder's identity: changes when the same bytes give other pixels.
READING = "read1"

_WHITE = (255, 255, 255)


@dataclass(frozen=True)
class Unreadable:
    """Why a photo or film could not be read."""

    reason: str


def missing_package(package: str, extra: str) -> DataError:
    """The error to raise when an optional package is missing."""
    return DataError(
        f"expected the package {package}, found none; run: pip install 'shoploom[{extra}]'."
    )


def locate(folder: Path, name: str) -> Path | Unreadable:
    """The file that a table names, if it lies in the folder.

    Args:
        folder: that which holds the table's files.
        name: a path relative to it, as a stranger wrote it.
    """
    if not name or "\0" in name:
        return Unreadable("no file name")
    try:
        path, root = (folder / name).resolve(), folder.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        return Unreadable(f"no usable path: {first_line(error)}")
    if not path.is_relative_to(root):
        return Unreadable("the path leads outside the shop's folder")
    return folder / name


def open_regular(source: Path | str | bytes, *, limit: int) -> BinaryIO | Unreadable:
    """The bytes, or a regular file, to be read; links, folders and devices are refused."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        refused = _refused_size(len(source), limit)
        return Unreadable(refused) if refused else io.BytesIO(source)
    try:
        # Not blocking: to open a pipe would otherwise wait for a writer for ever.
        flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        file = os.open(source, os.O_RDONLY | flags)
    except FileNotFoundError:
        return Unreadable("no such file")
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.ELOOP:
            return Unreadable("a symbolic link")
        return Unreadable(f"cannot be opened: {first_line(error)}")
    facts = os.fstat(file)
    if stat.S_ISREG(facts.st_mode):
        refused = _refused_size(facts.st_size, limit)
    else:
        refused = "a folder" if stat.S_ISDIR(facts.st_mode) else "no regular file"
    if refused:
        os.close(file)
        return Unreadable(refused)
    return os.fdopen(file, "rb")


def _refused_size(size: int, limit: int) -> str:
    if size > limit:
        return f"{size / 1e6:,.0f} MB, more than the limit of {limit / 1e6:,.0f} MB"
    return "" if size else "empty"


def read_image(
    source: Path | str | bytes, size: int | None = None, *, max_pixels: int = MAX_PIXELS
) -> Pixels | Unreadable:
    """A photo as people see it: upright, in RGB, on white where it is transparent.

    Of an animation the first frame. 16 bits become 8. The content decides what the file is: a PNG
    named ``.jpg`` is read as the PNG that it is.

    Args:
        source: a path, or the bytes of a file.
        size: the longer side is reduced to at most this many pixels; None leaves it as it is.
        max_pixels: refuse what has more, before decoding it.

    Returns:
        ``(height, width, 3)`` uint8, or why there is none.

    >>> read_image(b"hello")
    Unreadable(reason='no image that we know (JPEG, PNG, WEBP, GIF, BMP, TIFF, AVIF)')
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _read_image(source, size, max_pixels)


def _read_image(
    source: Path | str | bytes, size: int | None, max_pixels: int = MAX_PIXELS
) -> Pixels | Unreadable:
    """``read_image`` for threads, which must not each touch the filters of warnings."""
    from PIL import Image, UnidentifiedImageError

    opened = open_regular(source, limit=MAX_BYTES)
    if isinstance(opened, Unreadable):
        return opened
    try:
        with opened, Image.open(opened, formats=_formats()) as image:
            width, height = image.size
            if width * height > max_pixels:
                return Unreadable(
                    f"{width} x {height} pixels, more than the limit of "
                    f"{max_pixels / 1e6:,.0f} megapixels"
                )
            if size is not None:
                image.draft("RGB", (size, size))  # JPEG: decodes 1/2, 1/4 or 1/8 of each side
            image.load()
            turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
            seen = _in_rgb(image, size)
            return np.array(seen if turn is None else seen.transpose(Image.Transpose[turn]))
    except UnidentifiedImageError:
        return Unreadable(f"no image that we know ({', '.join(FORMATS)})")
    except Image.DecompressionBombError:
        return Unreadable(f"more than the limit of {max_pixels / 1e6:,.0f} megapixels")
    except MemoryError:
        return Unreadable("too large for the memory")
    except Exception as error:  # decoders of damaged files raise nearly anything
        return Unreadable(f"damaged: {first_line(error)}")


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    """Those of FORMATS that this Pillow was built with."""
    from PIL import Image

    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _in_rgb(image: Image.Image, size: int | None) -> Image.Image:
    """The image in RGB, its longer side reduced to ``size``."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        image = _in_8_bits(image)
    if image.mode in ("P", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
    if size is not None and max(image.size) > size:
        share = size / max(image.size)
        width, height = (max(1, round(side * share)) for side in image.size)
        if image.mode not in ("RGB", "RGBA", "L", "CMYK"):
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        if image.mode == "RGBA":
            # Before reduction: the colours below what is transparent must not bleed out of it.
            image = _on_white(image)
        # As sharp as bicubic when reducing, in two thirds of its time.
        image = image.resize((width, height), Image.Resampling.HAMMING, reducing_gap=2.0)
    return _on_white(image) if image.has_transparency_data else image.convert("RGB")


_ORIENTATION = 0x0112  # EXIF
#: EXIF orientation -> what stands the image upright.
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def _on_white(image: Image.Image) -> Image.Image:
    from PIL import Image

    image = image.convert("RGBA")
    sheet = Image.new("RGB", image.size, _WHITE)
    sheet.paste(image, mask=image.getchannel("A"))
    return sheet


def _in_8_bits(image: Image.Image) -> Image.Image:
    """Grey of 8 bits: by the range of 16 bits, or by its own where it has none."""
    from PIL import Image

    values = np.nan_to_num(np.asarray(image, np.float32))
    if image.mode == "F" or values.max(initial=0) > 65535 or values.min(initial=0) < 0:
        low, high = float(values.min()), float(values.max())
        values = (values - low) / (high - low or 1.0) * 65535
    return Image.fromarray((values / 257).round().astype(np.uint8))


def first_line(error: BaseException) -> str:
    """What an error says, cut to a line."""
    lines = str(getattr(error, "strerror", None) or error).strip().splitlines()
    return lines[0][:120] if lines else type(error).__name__


def square(image: Pixels, size: int) -> Pixels:
    """The image in the middle of a white square, reduced or enlarged to fill it one way."""
    from PIL import Image

    height, width = image.shape[:2]
    share = size / max(height, width)
    if share != 1.0:
        smaller = max(1, round(width * share)), max(1, round(height * share))
        image = np.asarray(Image.fromarray(image).resize(smaller, Image.Resampling.BICUBIC))
        height, width = image.shape[:2]
    if height == width:
        return image
    sheet = np.full((size, size, 3), 255, np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    sheet[top : top + height, left : left + width] = image
    return sheet


def is_missing(content: Any) -> bool:
    """Whether a row of a column of photos or films holds nothing."""
    return content is None or content == "" or content == b"" or content != content


def encode_images(
    column: Sequence[Any],
    forward: Callable[[Pixels], NDArray[np.floating]],
    *,
    dim: int,
    size: int,
    batch: int,
    threads: int,
    progress: Progress | None = None,
) -> Encoded:
    """Vectors of a column of photos, in as many threads as wished.

    Args:
        column: paths or bytes; None is missing.
        forward: ``(batch, size, size, 3)`` uint8 to ``(batch, dim)``; called from several threads.
        dim: width of a vector.
        size: side of the squares that ``forward`` takes.
        batch: how many it takes at once.
        threads: how many threads read and call ``forward``.
        progress: where to report to.
    """
    vectors = np.zeros((len(column), dim), np.float32)
    present = np.zeros(len(column), bool)
    reasons: dict[int, str] = {}
    rows = [row for row, content in enumerate(column) if not is_missing(content)]

    def work(part: list[int]) -> None:
        images: dict[int, Pixels] = {}
        for row in part:
            seen = _read_image(column[row], size)
            if isinstance(seen, Unreadable):
                reasons[row] = seen.reason
            else:
                images[row] = square(seen, size)
        if images:
            there = list(images)
            vectors[there] = forward(np.stack(list(images.values())))
            present[there] = True

    parts = (rows[start : start + batch] for start in range(0, len(rows), batch))
    # Once for all threads: the filters of warnings belong to the process.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = _in_threads(work, parts, threads)
        total = -(-len(rows) // batch)
        for _ in (progress or Quiet()).track(done, "images", total=total):
            pass
    return Encoded(vectors, present, dict(sorted(reasons.items())))


def _in_threads(
    work: Callable[[list[int]], None], parts: Iterator[list[int]], threads: int
) -> Iterator[None]:
    """Does the parts in threads, without queueing more than the threads can soon do."""
    if threads <= 1:
        yield from map(work, parts)
        return
    with ThreadPoolExecutor(threads) as pool:
        while wave := list(islice(parts, 16 * threads)):
            yield from pool.map(work, wave)


def all_threads(threads: int | None) -> int:
    """The setting, or as many as there are cores for this process."""
    if threads is not None:
        return max(1, threads)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def difference_hashes(
    column: Sequence[Any], *, threads: int | None = None, progress: Progress | None = None
) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Hashes of a column of photos, and which could be read."""
    hashes = np.zeros(len(column), np.uint64)
    present = np.zeros(len(column), bool)

    def work(part: list[int]) -> None:
        for row in part:
            # 72 pixels suffice for 9 greys and let JPEG decode an eighth.
            seen = _read_image(column[row], 72)
            if not isinstance(seen, Unreadable):
                hashes[row], present[row] = difference_hash(seen), True

    parts = ([row] for row, content in enumerate(column) if not is_missing(content))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = _in_threads(work, parts, all_threads(threads))
        for _ in (progress or Quiet()).track(done, "hashes", total=len(column)):
            pass
    return hashes, present


__all__ = [
    "FORMATS",
    "MAX_BYTES",
    "MAX_PIXELS",
    "READING",
    "Colour",
    "Pixels",
    "Unreadable",
    "all_threads",
    "difference_hash",
    "difference_hashes",
    "dominant_colours",
    "encode_images",
    "first_line",
    "is_missing",
    "locate",
    "missing_package",
    "near_duplicates",
    "open_regular",
    "read_image",
    "square",
]
