"""Photos by any model of open_clip: ``make_encoder("open_clip:ViT-B-32")``.

open_clip is no dependency: it needs torchvision, which must match torch exactly. Weights come
from a hub the first time, so this needs a network once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import ConfigError, DataError
from shoploom.core.progress import Progress
from shoploom.encoders._torch_images import TorchImages
from shoploom.encoders.encoder import ENCODERS, Encoded, Modality
from shoploom.encoders.images import READING, Pixels, encode_images


@ENCODERS.register("open_clip")
@dataclass(frozen=True)
class OpenClip:
    """Vectors of photos in the space that a CLIP model shares with its texts.

    Attributes:
        model: a name of ``open_clip.list_models()``, such as ``ViT-B-32``.
        weights: one of its sets of weights; the first that open_clip lists when empty.
        batch: photos that go through the model at once.
    """

    model: str = "ViT-B-32"
    weights: str = ""
    batch: int = 16
    modality: ClassVar[Modality] = "image"

    def fit(self, column: Sequence[Any], *, seed: int = 0) -> OpenClip:
        return self

    @property
    def identity(self) -> str:
        try:
            own = version("open-clip-torch")
        except PackageNotFoundError:
            raise _missing() from None
        return f"open_clip:{own}:{self.model}:{self.weights}:{READING}"

    @property
    def size(self) -> int:
        return _load(self.model, self.weights).size

    @property
    def dim(self) -> int:
        return _load(self.model, self.weights).dim

    def encode(self, column: Sequence[Any], *, progress: Progress | None = None) -> Encoded:
        """Vectors of photos.

        Raises:
            ConfigError: no model, or no weights, of that name.
            DataError: open_clip is missing, or the weights cannot be had.
        """
        return encode_images(
            column,
            self.embed,
            dim=self.dim,
            size=self.size,
            batch=self.batch,
            threads=1,  # torch brings its own
            progress=progress,
        )

    def embed(self, images: Pixels) -> NDArray[np.float32]:
        """``(n, dim)`` of ``(n, size, size, 3)`` decoded pixels."""
        return _load(self.model, self.weights)(images)


@lru_cache(maxsize=2)
def _load(name: str, weights: str) -> TorchImages:
    try:
        import open_clip  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise _missing() from None
    known = open_clip.list_pretrained_tags_by_model(name)
    if not known or (weights and weights not in known):
        raise ConfigError(
            f"encoder open_clip: expected a model with weights, got model {name!r} and weights "
            f"{weights!r}; weights of that model: {', '.join(known) or 'none'}. "
            "open_clip.list_pretrained() lists all."
        )
    try:
        model = open_clip.create_model(name, pretrained=weights or known[0])
    except Exception as error:  # the hub's clients raise their own kinds
        raise DataError(
            f"encoder open_clip: expected weights {weights or known[0]!r} of {name!r}, got "
            f"{error!r}. Is the hub reachable? Load them once where it is, and copy its cache "
            "folder here."
        ) from error
    side = model.visual.image_size
    return TorchImages(
        forward=model.eval().encode_image,
        dim=int(model.visual.output_dim),
        size=int(side if isinstance(side, int) else side[-1]),
        mean=tuple(model.visual.image_mean),
        std=tuple(model.visual.image_std),
    )


def _missing() -> DataError:
    return DataError(
        "encoder open_clip: expected the package open_clip_torch, found none; run: "
        "pip install open_clip_torch, with the torchvision made for your torch (another one "
        "breaks transformers)."
    )
