"""Which item of a catalogue a film shows when: a live stream's minutes, tied to what it sells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import ConfigError, DataError
from shoploom.core.progress import Progress, Quiet
from shoploom.encoders._films import Film, FilmLimits, read_film
from shoploom.encoders.encoder import make_encoder
from shoploom.encoders.images import Pixels, Unreadable, square


class ImageModel(Protocol):
    """An image encoder that also takes decoded pixels."""

    @property
    def identity(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def size(self) -> int: ...
    def embed(self, images: Pixels) -> NDArray[np.floating]: ...


def image_model(name: str) -> ImageModel:
    """The image encoder of that name, which must take decoded pixels.

    Raises:
        ConfigError: the encoder is no such one.
    """
    model = _image_model(name)
    if not hasattr(model, "embed"):
        raise ConfigError(
            f"encoder video: expected an image encoder that takes frames (efficientnet, timm:MODEL,"
            f" open_clip:MODEL), got {name!r}."
        )
    return model


@lru_cache(maxsize=4)
def _image_model(name: str) -> Any:
    return make_encoder(name).fit([])


@dataclass(frozen=True)
class Moment:
    """An item on screen.

    Attributes:
        start_s, end_s: seconds of the film.
        item_id: which item.
        score: mean cosine of what was seen and the item's photo, both centred.
    """

    start_s: float
    end_s: float
    item_id: str
    score: float


def moments(
    source: Path | str | bytes,
    item_ids: Sequence[str],
    photos: NDArray[np.floating],
    *,
    image: str = "efficientnet",
    rate: float = 0.5,
    least: float = 0.45,
    limits: FilmLimits | None = None,
    progress: Progress | None = None,
) -> list[Moment] | Unreadable:
    """When a film, such as a live stream, shows which item of a catalogue.

    Parts of frames are compared with the items' photos; over time, staying with an item is
    likelier than changing, except at a cut (Viterbi 1967). Where nothing fits, no item is named.

    Args:
        source: the film.
        item_ids: of the catalogue, or better of the items that the stream is known to show.
        photos: ``(n_items, dim)`` vectors of their photos by the same image encoder.
        image: the image encoder.
        rate: frames compared per second; each shot gets one at least.
        least: the score below which no item is named.
        limits: when to stop.
        progress: where to report to.

    Returns:
        In order of time, without overlap; or why there is none.
    """
    model = image_model(image)
    if photos.shape != (len(item_ids), model.dim):
        raise DataError(
            f"moments: expected vectors of shape {(len(item_ids), model.dim)}, one a photo by "
            f"{image}, got {photos.shape}."
        )
    limits = limits or FilmLimits()
    film = read_film(source, size=640, limits=limits)
    if isinstance(film, Unreadable):
        return film
    if not len(item_ids):
        return []
    looked = _looked(film, rate)
    track = (progress or Quiet()).track(looked, "frames compared", total=len(looked))
    parts = [model.embed(_parts(film.images[frame], model.size)) for frame in track]
    scores = _similarities(np.stack(parts), photos)
    item = _steadiest(scores, film.shots[looked], least)
    return _runs(item, scores, film.times[looked], film, item_ids)


def _similarities(parts: NDArray[np.floating], photos: NDArray[np.floating]) -> NDArray[np.float32]:
    """``(n_frames, n_items)``: the highest cosine of a frame's parts with an item's photo.

    All vectors are first measured against what this film and these photos have in common, because
    an encoder's vectors share much that tells nothing apart. An item without a photo gets -1.

    Args:
        parts: ``(n_frames, n_parts, dim)``.
        photos: ``(n_items, dim)``, zeros where there is none.
    """
    there = photos.any(axis=1)
    flat = parts.reshape(-1, parts.shape[2])
    pooled = np.concatenate([flat, photos[there]])
    middle, deviation = pooled.mean(0), pooled.std(0) + 0.1 * pooled.std()
    seen = _unit((flat - middle) / deviation) @ _unit((photos - middle) / deviation).T
    best = seen.reshape(*parts.shape[:2], len(photos)).max(1)
    return np.where(there, best, -1.0).astype(np.float32)


def _looked(film: Film, rate: float) -> NDArray[np.int64]:
    """Rows of the frames to compare: ``rate`` per second, spread evenly over each shot."""
    starts = np.flatnonzero(np.diff(film.shots, prepend=-1) > 0)
    ends = np.r_[starts[1:], len(film)]
    lasting = np.diff(np.r_[film.times[starts], film.seconds])
    wanted = np.clip(np.round(lasting * rate), 1, ends - starts).astype(int)
    places = [
        low + ((np.arange(n) + 0.5) * (high - low) / n).astype(np.int64)
        for low, high, n in zip(starts, ends, wanted, strict=True)
    ]
    return np.concatenate(places)


#: Sides of the windows in which an item is looked for, as shares of the frame's height.
_WINDOWS = (1.0, 0.65, 0.4)


def _parts(image: Pixels, size: int) -> Pixels:
    """The frame and square windows all over it, ``(n, size, size, 3)``."""
    height, width = image.shape[:2]
    parts = [image]
    for share in _WINDOWS:
        side = min(round(height * share), width)
        down = np.linspace(0, height - side, max(1, int(np.ceil(2 * (height / side - 1))) + 1))
        across = np.linspace(0, width - side, max(1, int(np.ceil(2 * (width / side - 1))) + 1))
        parts += [
            image[int(y) : int(y) + side, int(x) : int(x) + side] for y in down for x in across
        ]
    return np.stack([square(part, size) for part in parts])


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


_CHANGE_COST, _CHANGE_COST_AT_CUT = 0.6, 0.02  # of a score, to leave an item


def _steadiest(
    scores: NDArray[np.float32], shots: NDArray[np.int64], least: float
) -> NDArray[np.int64]:
    """``(n,)`` column of the item of each frame, or -1: the path of the highest total score."""
    n, n_items = scores.shape
    states = np.concatenate([scores, np.full((n, 1), least, np.float32)], axis=1)  # last: none
    cost = np.where(np.diff(shots, prepend=shots[:1]) > 0, _CHANGE_COST_AT_CUT, _CHANGE_COST)
    came_from = np.empty((n, n_items + 1), np.int64)
    total = states[0].copy()
    for row in range(1, n):  # frames follow each other; items are compared all at once
        best = int(np.argmax(total))
        leave = total[best] - cost[row] > total
        came_from[row] = np.where(leave, best, np.arange(n_items + 1))
        total = np.where(leave, total[best] - cost[row], total) + states[row]
    path = np.empty(n, np.int64)
    path[-1] = np.argmax(total)
    for row in range(n - 1, 0, -1):
        path[row - 1] = came_from[row, path[row]]
    return np.where(path == n_items, -1, path)


def _runs(
    item: NDArray[np.int64],
    scores: NDArray[np.float32],
    times: NDArray[np.float64],
    film: Film,
    item_ids: Sequence[str],
) -> list[Moment]:
    """Stretches of one item; a stretch begins at a cut where one lies between two frames."""
    starts = np.flatnonzero(np.r_[True, np.diff(item) != 0])
    ends = np.r_[starts[1:], len(item)]
    bounds = [0.0]
    for start in starts[1:]:
        between = film.cuts[(film.cuts > times[start - 1]) & (film.cuts <= times[start])]
        middle = (times[start - 1] + times[start]) / 2
        bounds.append(float(between[-1]) if len(between) else float(middle))
    bounds.append(film.seconds)
    return [
        Moment(
            bounds[i],
            bounds[i + 1],
            item_ids[int(item[low])],
            float(scores[low:high, item[low]].mean()),
        )
        for i, (low, high) in enumerate(zip(starts, ends, strict=True))
        if item[low] >= 0
    ]
