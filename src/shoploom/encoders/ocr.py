"""Words written in photos and films, by RapidOCR where it is installed: Chinese and English.

Optional: ``pip install rapidocr-onnxruntime``, whose wheel brings its models. Prices on banners,
brands on labels and captions of streams become text that the other encoders can read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from shoploom.core.errors import DataError
from shoploom.core.progress import Progress, Quiet
from shoploom.encoders._films import Film, FilmLimits, read_film
from shoploom.encoders.images import Pixels, Unreadable, read_image

_SIZE = 960  # pixels of the longer side; small print needs them


@dataclass(frozen=True)
class Written:
    """A line of writing.

    Attributes:
        text: what is written.
        confidence: in [0, 1].
        box: left, top, right, bottom as shares of the picture, in [0, 1].
        start_s, end_s: when it is seen in a film; 0 in a photo.
    """

    text: str
    confidence: float
    box: tuple[float, float, float, float]
    start_s: float = 0.0
    end_s: float = 0.0


def read_writing(source: Path | str | bytes, *, least: float = 0.5) -> list[Written] | Unreadable:
    """The lines written in a photo, from top to bottom.

    Args:
        source: a path, or the bytes of a file.
        least: the confidence below which a line is left out.

    Raises:
        DataError: RapidOCR is missing.
    """
    reader = _load()
    image = read_image(source, _SIZE)
    return image if isinstance(image, Unreadable) else _lines(reader, image, least)


def read_film_writing(
    source: Path | str | bytes,
    *,
    every_s: float = 2.0,
    least: float = 0.5,
    limits: FilmLimits | None = None,
    progress: Progress | None = None,
) -> list[Written] | Unreadable:
    """The lines written in a film, and from when to when each is seen.

    The same text in frames that follow each other is one line; its end is when the next frame that
    was looked at no longer has it, or the film's last frame.

    Args:
        source: a path, or the bytes of a file.
        every_s: seconds between the frames that are looked at.
        least: the confidence below which a line is left out.
        limits: when to stop.
        progress: where to report to.

    Raises:
        DataError: RapidOCR or PyAV is missing.
    """
    reader = _load()
    film = read_film(source, size=_SIZE, rate=1 / every_s, limits=limits)
    if isinstance(film, Unreadable):
        return film
    return _joined(film, reader, least, progress or Quiet())


def _joined(film: Film, reader: Any, least: float, progress: Progress) -> list[Written]:
    ends = np.r_[film.times[1:], film.seconds]
    open_lines: dict[str, Written] = {}
    done: list[Written] = []
    frames = zip(film.times, ends, film.images, strict=True)
    for start, end, image in progress.track(frames, "frames read", total=len(film)):
        seen = {line.text: line for line in _lines(reader, image, least)}
        done += [line for text, line in open_lines.items() if text not in seen]
        open_lines = {
            text: replace(
                line,
                confidence=max(line.confidence, open_lines.get(text, line).confidence),
                start_s=open_lines[text].start_s if text in open_lines else float(start),
                end_s=float(end),
            )
            for text, line in seen.items()
        }
    return sorted([*done, *open_lines.values()], key=lambda line: (line.start_s, line.box[1]))


def _lines(reader: Any, image: Pixels, least: float) -> list[Written]:
    """The lines of a picture; RapidOCR wants blue first."""
    found, _ = reader(np.ascontiguousarray(image[:, :, ::-1]))
    height, width = image.shape[:2]
    lines = []
    for corners, text, confidence in found or []:
        box = np.clip(np.array(corners, float) / [width, height], 0, 1)
        (left, top), (right, bottom) = box.min(0), box.max(0)
        if float(confidence) >= least and text.strip():
            place = (float(left), float(top), float(right), float(bottom))
            lines.append(Written(text.strip(), float(confidence), place))
    return sorted(lines, key=lambda line: (line.box[1], line.box[0]))


@lru_cache(maxsize=1)
def _load() -> Any:
    try:
        from rapidocr_onnxruntime import RapidOCR  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise DataError(
            "ocr: expected the package rapidocr-onnxruntime, found none; run: pip install "
            "rapidocr-onnxruntime."
        ) from None
    return RapidOCR()
