"""The picture map: the catalogue's photos on one sheet, like beside like.

Positions come from vectors of photos, cells of a grid keep thumbnails from lying on each other,
and all thumbnails travel as one image, so that a page of 3,000 photos is one file.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import ConfigError, DataError
from shoploom.encoders.images import Unreadable, missing_package, read_image
from shoploom.encoders.threads import one_thread

_MOST_EMBEDDED = 3_000  # beyond, t-SNE takes minutes
_MOST_ASSIGNED = 2_000  # beyond, the best assignment takes seconds
_COMPONENTS = 50  # kept before the embedding
_PERPLEXITY = 30.0


def picture_map(vectors: NDArray[np.floating], *, seed: int = 0) -> NDArray[np.float32]:
    """Positions ``(n, 2)`` in [0, 1]^2 of ``(n, d)`` vectors; what is alike stands together.

    Up to 3,000 rows by t-SNE (van der Maaten and Hinton 2008) of the first 50 principal components,
    started from the first two of them; beyond by those two alone, each coordinate replaced by its
    rank, so that the map is evenly filled. The same vectors and seed give the same map.

    Raises:
        DataError: no vectors, or some are not finite, or scikit-learn is missing.
    """
    if vectors.ndim != 2 or not len(vectors) or not np.isfinite(vectors).all():
        raise DataError(
            f"expected finite vectors of shape (n, d) with n of at least 1, got {vectors.shape}."
        )
    if len(vectors) < 4:
        return np.stack([(np.arange(len(vectors)) + 0.5) / len(vectors)] * 2, 1).astype(np.float32)
    with one_thread():
        parts = _principal(vectors.astype(np.float32), _COMPONENTS)
    if len(parts) > _MOST_EMBEDDED:
        ranks = np.argsort(np.argsort(parts[:, :2], axis=0, kind="stable"), axis=0, kind="stable")
        return ((ranks + 0.5) / len(parts)).astype(np.float32)
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        raise missing_package("scikit-learn", "text") from None
    # As TSNE's own "pca" start, which scales the first axis to this deviation.
    start = parts[:, :2] / max(float(parts[:, 0].std()), 1e-12) * 1e-4
    perplexity = min(_PERPLEXITY, (len(parts) - 1) / 3)
    embedding = TSNE(
        init=start,  # pyright: ignore[reportArgumentType]
        perplexity=perplexity,
        random_state=seed,
    )
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # equal rows have no spread
        placed = embedding.fit_transform(parts)
    low, high = placed.min(axis=0), placed.max(axis=0)
    return ((placed - low) / np.maximum(high - low, 1e-12)).astype(np.float32)


def grid_layout(xy: NDArray[np.floating], *, columns: int | None = None) -> NDArray[np.int64]:
    """A cell ``(n, 2)`` (column, row) of its own for each of ``(n, 2)`` positions in [0, 1]^2.

    Up to 2,000 positions are moved by the least squared distance in all (linear assignment);
    beyond, columns are filled from left to right and each from top to bottom.

    Args:
        xy: positions, as ``picture_map`` gives them.
        columns: of the grid; about a square when None.

    Raises:
        ConfigError: ``columns`` is not positive.
    """
    n = len(xy)
    if columns is None:
        columns = max(math.ceil(math.sqrt(n)), 1)
    if columns < 1:
        raise ConfigError(f"expected at least one column, got {columns}.")
    rows = max(math.ceil(n / columns), 1)
    if n > _MOST_ASSIGNED:
        order = np.argsort(xy[:, 0], kind="stable")
        cells = np.empty((n, 2), dtype=np.int64)
        for column in range(columns):
            members = order[column * rows : (column + 1) * rows]
            members = members[np.argsort(xy[members, 1], kind="stable")]
            cells[members] = np.column_stack(
                [np.full(len(members), column), np.arange(len(members))]
            )
        return cells
    from scipy.optimize import linear_sum_assignment

    grid = np.column_stack([np.tile(np.arange(columns), rows), np.repeat(np.arange(rows), columns)])
    centres = (grid + 0.5) / (columns, rows)
    cost = ((xy[:, None] - centres[None]) ** 2).sum(axis=-1)
    return grid[linear_sum_assignment(cost)[1]]


def sprite(
    photos: Sequence[Path | bytes | None], *, size: int = 40, columns: int | None = None
) -> bytes:
    """One JPEG of all thumbnails, row by row; photo ``i`` is at ``(i % columns, i // columns)``.

    A photo that cannot be read leaves its place grey.

    Args:
        photos: paths or contents of files.
        size: pixels of a thumbnail's side.
        columns: of the sheet; about a square when None.

    Raises:
        DataError: Pillow is missing.
    """
    try:
        from PIL import Image
    except ImportError:
        raise missing_package("Pillow", "image") from None
    columns = columns or max(math.ceil(math.sqrt(len(photos))), 1)
    rows = max(math.ceil(len(photos) / columns), 1)
    sheet = Image.new("RGB", (columns * size, rows * size), "white")
    for place, photo in enumerate(photos):
        corner = (place % columns * size, place // columns * size)
        pixels = Unreadable("none") if photo is None else read_image(photo, size)
        if isinstance(pixels, Unreadable):
            sheet.paste((225, 225, 225), (*corner, corner[0] + size, corner[1] + size))
            continue
        height, width = pixels.shape[:2]
        corner = (corner[0] + (size - width) // 2, corner[1] + (size - height) // 2)
        sheet.paste(Image.fromarray(pixels), corner)
    file = io.BytesIO()
    sheet.save(file, "JPEG", quality=82, subsampling=0)  # colours must not bleed into neighbours
    return file.getvalue()


def _principal(vectors: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """At most ``k`` principal components ``(n, k)``, each axis signed by its largest entry."""
    centred = vectors - vectors.mean(axis=0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, np.argsort(-values)][:, : min(k, len(vectors))]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return centred @ axes
