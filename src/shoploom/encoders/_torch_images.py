"""The way of decoded photos through a model of torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.encoders.images import Pixels


@dataclass(frozen=True)
class TorchImages:
    """A torch model of photos, and what its pixels must look like.

    Attributes:
        forward: gives ``(n, dim)`` for ``(n, 3, size, size)``.
        dim, size: widths of a vector and side of a photo.
        mean, std: of red, green and blue in [0, 1], as in its training.
    """

    forward: Callable[[Any], Any]
    dim: int
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Pixels) -> NDArray[np.float32]:
        import torch

        scale = 255 * np.array(self.std, np.float32)
        pixels = (images - 255 * np.array(self.mean, np.float32)) / scale
        tensor = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
        with torch.inference_mode():
            return self.forward(tensor.float()).float().numpy()
