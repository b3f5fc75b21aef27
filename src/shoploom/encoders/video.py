"""Films: one vector for each, from the frames of its shots.

Reading films is the matter of ``_films``, finding items in them of ``_moments``; both are offered
here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import ConfigError
from shoploom.core.progress import Progress, Quiet
from shoploom.encoders._films import Film, FilmLimits, frames_at, read_film
from shoploom.encoders._moments import ImageModel, Moment, image_model, moments
from shoploom.encoders.encoder import ENCODERS, Encoded, Modality
from shoploom.encoders.images import Unreadable, is_missing, square

#: Part of the encoder's identity: changes when the same film gives other frames.
FILMING = "film1"


@ENCODERS.register("video")
@dataclass(frozen=True)
class Video:
    """Vectors of films: mean, maximum and standard deviation over the shots' mean vectors.

    Attributes:
        image: the encoder of frames: ``efficientnet``, or a model such as ``timm:...``.
        by: ``shots`` spreads frames evenly over shots, so that a short shot counts like a long
            one; ``time`` evenly over time.
        frames: how many frames of a film are encoded, at most.
        seconds: of work on one film; what takes longer is unreadable.
    """

    image: str = "efficientnet"
    by: Literal["shots", "time"] = "shots"
    frames: int = 12
    seconds: float = 60.0
    modality: ClassVar[Modality] = "video"

    def __post_init__(self) -> None:
        if self.frames < 1 or self.by not in ("shots", "time"):
            raise ConfigError(
                f"encoder video: expected at least 1 frame, by shots or time, got frames="
                f"{self.frames}, by={self.by!r}."
            )

    def fit(self, column: Sequence[Any], *, seed: int = 0) -> Video:
        return self

    @property
    def identity(self) -> str:
        return f"video:{FILMING}:{self.by}:{self.frames}:{image_model(self.image).identity}"

    @property
    def dim(self) -> int:
        return 3 * image_model(self.image).dim

    def encode(self, column: Sequence[Any], *, progress: Progress | None = None) -> Encoded:
        """Vectors of films.

        Raises:
            DataError: a package of the extras ``video`` or ``image`` is missing.
        """
        model = image_model(self.image)
        vectors = np.zeros((len(column), self.dim), np.float32)
        present = np.zeros(len(column), bool)
        reasons: dict[int, str] = {}
        rows = [row for row, content in enumerate(column) if not is_missing(content)]
        for row in (progress or Quiet()).track(rows, "films", total=len(rows)):
            limits = FilmLimits(seconds=self.seconds, frames=max(96, 2 * self.frames))
            film = read_film(column[row], size=model.size, limits=limits)
            if isinstance(film, Unreadable):
                reasons[row] = film.reason
            elif film.ended.startswith("more than"):
                # How far one gets in a time depends on the machine; a vector must not.
                reasons[row] = film.ended
            else:
                vectors[row], present[row] = self._pool(film, model), True
        return Encoded(vectors, present, reasons)

    def _pool(self, film: Film, model: ImageModel) -> NDArray[np.float32]:
        shots = film.shots if self.by == "shots" else np.zeros(len(film), np.int64)
        chosen = spread(shots, self.frames)
        vectors = model.embed(np.stack([square(film.images[i], model.size) for i in chosen]))
        # By time there is one shot, and its frames are what is pooled.
        groups = shots[chosen] if self.by == "shots" else np.arange(len(chosen))
        label = np.unique(groups, return_inverse=True)[1]
        sums = np.zeros((label.max() + 1, model.dim))
        np.add.at(sums, label, vectors)
        means = sums / np.bincount(label)[:, None]
        return np.concatenate([means.mean(0), means.max(0), means.std(0)]).astype(np.float32)


def spread(shots: NDArray[np.int64], frames: int) -> NDArray[np.int64]:
    """Rows of at most ``frames`` frames: from each shot as many, spread evenly over it.

    Args:
        shots: ``(n,)`` shot of each frame, rising.
        frames: how many at most. With more shots than that, evenly spread shots give one each.

    >>> spread(np.array([0, 0, 0, 0, 0, 1, 1]), 2)
    array([2, 5])
    """
    starts = np.flatnonzero(np.r_[True, np.diff(shots) > 0])
    ends = np.r_[starts[1:], len(shots)]
    if len(starts) > frames:
        kept = np.linspace(0, len(starts) - 1, frames).round().astype(int)
        starts, ends = starts[kept], ends[kept]
    each = max(1, frames // len(starts))
    places = [
        (low + (np.arange(n := min(each, high - low)) + 0.5) * (high - low) / n - 0.5).astype(int)
        for low, high in zip(starts, ends, strict=True)
    ]
    return np.concatenate(places).astype(np.int64)


__all__ = [
    "Film",
    "FilmLimits",
    "ImageModel",
    "Moment",
    "Video",
    "frames_at",
    "image_model",
    "moments",
    "read_film",
    "spread",
]
