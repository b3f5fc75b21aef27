"""A category as a vector without a list of categories: hashed, with how common it is.

Each part of a path such as "home > lamps" has a sparse random direction of its own, so that
categories of one parent look alike, and a category that training never saw is no special case.
Source: Weinberger and others 2009, "Feature Hashing for Large Scale Multitask Learning".
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate, chain
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, DataError
from shoploom.core.progress import Progress
from shoploom.encoders.encoder import ENCODERS, Encoded, Modality

_OWN = 2  # dimensions that are not hashed: being there, and how common
_SIGNS = 4  # entries of a direction that are not zero


@ENCODERS.register("category")
@dataclass(frozen=True)
class Category:
    """Settings of the hashing.

    Attributes:
        dim: length of a vector.
        remembered: the frequencies of at most so many categories, the most frequent ones.
    """

    dim: int = 64
    remembered: int = 100_000

    modality: ClassVar[Modality] = "category"

    def __post_init__(self) -> None:
        if self.dim < _OWN + _SIGNS or self.remembered < 0:
            raise ConfigError(
                f"encoder 'category': expected dim of at least {_OWN + _SIGNS} and remembered of "
                f"at least 0, got dim={self.dim}, remembered={self.remembered}."
            )

    def fit(self, column: Sequence[Any], *, seed: int = 0) -> FittedCategory:
        """How often each category occurs in a column."""
        counts = Counter(name for name in _names(column) if name is not None)
        # Equal ones by name, so that the order of rows decides nothing.
        common = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[: self.remembered]
        return FittedCategory(self, dict(common))


@dataclass(frozen=True)
class FittedCategory:
    """Hashing that knows what is common.

    Attributes:
        counts: how often training saw a category.
    """

    settings: Category
    counts: Mapping[str, int] = field(hash=False)

    modality: ClassVar[Modality] = "category"

    @property
    def identity(self) -> str:
        learned = "\n".join(f"{count} {name}" for name, count in self.counts.items())
        digest = hashlib.sha256(learned.encode("utf-8", "surrogatepass")).hexdigest()
        return f"category/1 dim={self.dim} learned={digest[:16]}"

    @property
    def dim(self) -> int:
        return self.settings.dim

    def encode(self, column: Sequence[Any], *, progress: Progress | None = None) -> Encoded:
        """Vectors ``(n, dim)`` float32.

        First 1 for being there and the frequency in training, 0 (never seen) to 1 (the most
        common one), on a logarithmic scale; then the hashed parts, at length one. Missing rows are
        zeros.
        """
        names = _names(column)
        known = sorted({name for name in names if name is not None})
        code = {name: number for number, name in enumerate(known)}
        # Row 0 is for what is missing.
        table = np.zeros((len(known) + 1, self.dim), np.float32)
        seen = np.fromiter((self.counts.get(name, 0) for name in known), np.int64, len(known))
        table[1:, 0] = 1
        table[1:, 1] = np.log1p(seen) / math.log1p(max(self.counts.values(), default=1))
        table[1:, _OWN:] = _hashed(known, self.dim - _OWN)
        at = np.fromiter((0 if n is None else code[n] + 1 for n in names), np.int64, len(names))
        return Encoded(table[at], at > 0)

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[np.int64]]]:
        """JSON-able values, and arrays."""
        names, counts = list(self.counts), np.array(list(self.counts.values()), np.int64)
        values = {"version": 1, "settings": asdict(self.settings), "names": names}
        return values, {"counts": counts}

    @classmethod
    def from_state(cls, values: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> FittedCategory:
        """The encoder that ``state`` described.

        Raises:
            DataError: another version wrote it.
        """
        if values.get("version") != 1:
            raise DataError(
                f"expected a saved 'category' encoder of version 1, got "
                f"{values.get('version')!r}; fit it again."
            )
        counts = dict(zip(values["names"], arrays["counts"].tolist(), strict=True))
        return cls(Category(**values["settings"]), counts)


def _hashed(names: list[str], dim: int) -> NDArray[np.float32]:
    """``(n, dim)`` sums of the directions of each path's parts, at length one."""
    paths = [list(accumulate(name.split(c.CATEGORY_SEPARATOR), _below)) for name in names]
    row = np.repeat(np.arange(len(paths)), [len(path) for path in paths])
    digests = [
        hashlib.blake2b(part.encode("utf-8", "surrogatepass"), digest_size=8 * _SIGNS).digest()
        for part in chain.from_iterable(paths)
    ]
    drawn = np.frombuffer(b"".join(digests), "<u8").reshape(-1, _SIGNS)
    place = ((drawn >> np.uint64(1)) % np.uint64(dim)).astype(np.int64)
    vectors = np.zeros((len(names), dim), np.float32)
    np.add.at(vectors, (row[:, None], place), (1 - 2 * (drawn & np.uint64(1)).astype(np.float32)))
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _below(parent: str, part: str) -> str:
    return parent + c.CATEGORY_SEPARATOR + part


def _names(column: Sequence[Any]) -> list[str | None]:
    """Categories of a column; None, NaN and white space are missing."""
    names: list[str | None] = []
    for row, value in enumerate(column):
        if isinstance(value, str):
            names.append(value if value and not value.isspace() else None)
        elif value is None or value != value:
            names.append(None)
        else:
            raise DataError(
                f"encoder 'category': expected text or None, got {value!r} in row {row}; "
                "turn the column into text, or take the encoder 'number'."
            )
    return names
