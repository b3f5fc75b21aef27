"""Photos by any model of timm: ``make_encoder("timm:mobilenetv3_small_100")``.

timm is no dependency: it needs torchvision, which must match torch exactly. Weights come from a
hub the first time, so this needs a network once.
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


@ENCODERS.register("timm")
@dataclass(frozen=True)
class Timm:
    """Vectors of photos by a model of timm, before its classifier.

    Attributes:
        model: a name of ``timm.list_models(pretrained=True)``.
        batch: photos that go through the model at once.
    """

    model: str = ""
    batch: int = 16
    modality: ClassVar[Modality] = "image"

    def fit(self, column: Sequence[Any], *, seed: int = 0) -> Timm:
        return self

    @property
    def identity(self) -> str:
        try:
            return f"timm:{version('timm')}:{self.model}:{READING}"
        except PackageNotFoundError:
            raise _missing() from None

    @property
    def size(self) -> int:
        return _load(self.model).size

    @property
    def dim(self) -> int:
        return _load(self.model).dim

    def encode(self, column: Sequence[Any], *, progress: Progress | None = None) -> Encoded:
        """Vectors of photos.

        Raises:
            ConfigError: no model of that name.
            DataError: timm is missing, or the weights cannot be had.
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
        return _load(self.model)(images)


@lru_cache(maxsize=2)
def _load(name: str) -> TorchImages:
    try:
        import timm  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise _missing() from None
    if not name or not timm.is_model(name):
        near = ", ".join(timm.list_models(f"*{name}*")[:5]) if name else ""
        raise ConfigError(
            f"encoder timm: expected the name of a model such as 'timm:mobilenetv3_small_100', "
            f"got {name!r}{f'; near: {near}' if near else ''}."
        )
    try:
        model = timm.create_model(name, pretrained=True, num_classes=0)
    except Exception as error:  # the hub's clients raise their own kinds
        raise DataError(
            f"encoder timm: expected weights of {name!r}, got {error!r}. Is the hub reachable? "
            "Load them once where it is, and copy its cache folder here."
        ) from error
    facts = timm.data.resolve_model_data_config(model)
    return TorchImages(
        forward=model.eval(),
        dim=int(model.num_features),
        size=int(facts["input_size"][-1]),
        mean=tuple(facts["mean"]),
        std=tuple(facts["std"]),
    )


def _missing() -> DataError:
    return DataError(
        "encoder timm: expected the package timm, found none; run: pip install timm, with the "
        "torchvision made for your torch (another one breaks transformers)."
    )
