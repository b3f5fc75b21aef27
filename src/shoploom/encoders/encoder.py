"""What an encoder is: a column of content in, one vector a row out.

An encoder is a frozen dataclass of settings under ``ENCODERS.register(name)``. What must learn
from the column first (TF-IDF, quantiles) comes out of ``fit``; what is pretrained is returned by it
as it is. Encoding is a function of the content alone: neither the order of the rows nor the size of
a batch changes a vector, which is what makes the cache of ``store`` right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from shoploom.core.progress import Progress
from shoploom.core.registry import Registry

Modality = Literal["text", "image", "video", "series", "number", "category"]


@dataclass(frozen=True)
class Encoded:
    """Vectors of a column.

    Attributes:
        vectors: ``(n, dim)`` float16 or float32; zeros where nothing could be read.
        present: ``(n,)`` bool, False for missing or unreadable content.
        reasons: by row, why content that was given could not be read.
    """

    vectors: NDArray[np.floating]
    present: NDArray[np.bool_]
    reasons: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.present)


class Encoder(Protocol):
    """Settings of an encoder; a frozen dataclass under ``ENCODERS.register(name)``."""

    modality: ClassVar[Modality]

    def fit(self, column: Sequence[Any], *, seed: int = 0) -> FittedEncoder:
        """The encoder ready to encode, having learned from the training column if it must."""
        ...


class FittedEncoder(Protocol):
    """An encoder that can encode."""

    modality: ClassVar[Modality]

    @property
    def identity(self) -> str:
        """Names everything that decides a vector: weights, settings, version.

        Two encoders of one identity give the same vector for the same content; cache keys hold it.
        """
        ...

    @property
    def dim(self) -> int: ...

    def encode(self, column: Sequence[Any], *, progress: Progress | None = None) -> Encoded:
        """One row per row of the column; None (or an empty text) is missing.

        Text: ``str``. Image and video: a path or ``bytes``. Number: ``float``. Category: ``str``.
        Series: ``Series`` of ``series.py``.
        """
        ...


#: Members are encoder dataclasses; ``ENCODERS.get(name)()`` has default settings.
ENCODERS: Registry[type] = Registry("encoder", "shoploom.encoders")


def make_encoder(name: str, **settings: Any) -> Encoder:
    """The encoder of that name.

    A name that is not registered and holds a slash or a colon means a model:
    ``"BAAI/bge-small-zh"`` or the path of a local folder goes to the ``huggingface`` member,
    ``"timm:mobilenetv3_small_100"`` to ``timm``, ``"open_clip:ViT-B-32"`` to ``open_clip``.

    Raises:
        UnknownName: no such encoder.
    """
    prefix, _, rest = name.partition(":")
    if rest and prefix in ENCODERS.names():
        return ENCODERS.get(prefix)(model=rest, **settings)
    if "/" in name and name not in ENCODERS.names():
        return ENCODERS.get("huggingface")(model=name, **settings)
    return ENCODERS.get(name)(**settings)
