"""One space for texts and photos, learned from the shop's own pairs of title and photo.

Both encoders stay as they are; what is learned is one projection for each, so that a title and
its photo come to lie close together. A sentence then finds photos, a photo finds sentences, and a
list of words tags what was never labelled. The space knows vectors only: neither files nor words.

Three ways to learn it stand in order of simplicity, and the simplest that is not clearly beaten on
held-out pairs is kept: canonical correlations (closed form), and on top of them a linear map or one
with a hidden layer, trained by contrast.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError, UnknownName
from shoploom.core.files import atomic_path
from shoploom.core.progress import Progress, Quiet
from shoploom.core.seeds import rng
from shoploom.encoders.threads import one_thread

#: Ways to learn a space, simplest first.
METHODS = ("cca", "linear", "hidden")

_FORMAT = 1
_FEWEST_PAIRS = 50  # below, a held-out part says nothing
_BLOCK = 2048  # rows ranked at once
_ARRAYS = ("mean", "weight", "inner", "bias", "outer")  # of a Projection

# Shrinkage of the covariances of text and of images that canonical correlations try: in units of
# the mean variance. Photos need more of it, because their encoder gives more dimensions.
_SHRINKAGES = ((0.1, 0.3), (0.3, 1.0), (1.0, 1.0), (1.0, 3.0))


@dataclass(frozen=True)
class Projection:
    """From vectors of an encoder to the joint space: centred, projected, of length one.

    Attributes:
        rooted: whether square roots are taken first, as is right for features that a rectifier
            made: a few large ones would drown the rest (Perronnin, Sanchez and Mensink 2010,
            "Improving the Fisher kernel", section 3.2). Rows get length one in any case.
        mean: ``(d,)``, what is taken away then.
        weight: ``(d, dim)``.
        inner: ``(d, h)`` weights into a hidden layer of rectified units; ``h`` is 0 without one.
        bias: ``(h,)``.
        outer: ``(h, dim)`` weights out of it; what comes out is added to the linear part.
    """

    rooted: bool
    mean: NDArray[np.float32]
    weight: NDArray[np.float32]
    inner: NDArray[np.float32]
    bias: NDArray[np.float32]
    outer: NDArray[np.float32]

    def __call__(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """``(n, dim)`` of ``(n, d)``.

        Raises:
            DataError: the vectors have another width than those it was learned from.
        """
        if vectors.ndim != 2 or vectors.shape[1] != len(self.mean):
            raise DataError(
                f"expected vectors of shape (n, {len(self.mean)}), as the joint space was learned "
                f"from, got {vectors.shape}; encode with the same encoder or learn the space anew."
            )
        return self.project(_prepared(vectors, self.rooted))

    def project(self, prepared: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same of rows that are rooted and of length one already."""
        out = _coordinates(self, prepared)
        if len(self.bias):
            hidden = (prepared - self.mean) @ self.inner + self.bias
            out += np.maximum(hidden, 0) @ self.outer
        return _unit(out)


@dataclass(frozen=True)
class JointSpace:
    """Texts and photos in one space; the cosine says how well they go together.

    Attributes:
        text: from text vectors ``(n, dt)`` to ``(n, dim)``.
        image: from image vectors ``(n, di)`` to ``(n, dim)``.
        method: the one of METHODS that was kept.
        temperature: by which cosines are divided to become logits; learned on held-out pairs.
        recall_at_10: by method, the share of held-out pairs whose partner is among the nearest
            ten, mean of both directions.
        held_out: how many pairs that was measured on.
    """

    text: Projection
    image: Projection
    method: str
    temperature: float
    recall_at_10: Mapping[str, float] = field(default_factory=dict)
    held_out: int = 0

    @property
    def dim(self) -> int:
        return self.text.weight.shape[1]

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
        """JSON-able values, and arrays by name."""
        values = {
            "method": self.method,
            "temperature": self.temperature,
            "recall_at_10": dict(self.recall_at_10),
            "held_out": self.held_out,
            "rooted": {"text": self.text.rooted, "image": self.image.rooted},
        }
        arrays = {
            f"{side}.{name}": getattr(projection, name)
            for side, projection in (("text", self.text), ("image", self.image))
            for name in _ARRAYS
        }
        return values, arrays

    @classmethod
    def from_state(cls, values: Mapping[str, Any], arrays: Mapping[str, NDArray]) -> JointSpace:
        """The space that gave this state."""
        rest = dict(values)
        rooted = rest.pop("rooted")
        text, image = (
            Projection(rooted[side], *(arrays[f"{side}.{name}"] for name in _ARRAYS))
            for side in ("text", "image")
        )
        return cls(text, image, **rest)

    def save(self, folder: Path) -> None:
        """Write ``joint.json`` and ``joint.safetensors`` into a folder of their own, atomically."""
        from safetensors.numpy import save_file

        values, arrays = self.state()
        with atomic_path(folder) as temporary:
            temporary.mkdir(parents=True)
            save_file(arrays, temporary / "joint.safetensors")
            (temporary / "joint.json").write_text(json.dumps({"format": _FORMAT, **values}))

    @classmethod
    def load(cls, folder: Path) -> JointSpace:
        """The space saved in a folder.

        Raises:
            DataError: a file is missing, damaged or of another version.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            values = json.loads((folder / "joint.json").read_text())
            arrays = load_file(folder / "joint.safetensors")
        except (OSError, ValueError, SafetensorError) as error:
            raise DataError(
                f"expected a joint space in {folder}, could not read it ({error}); learn it anew."
            ) from None
        if values.pop("format", None) != _FORMAT:
            raise DataError(
                f"{folder}: expected format {_FORMAT} of a joint space; it was written by another "
                "version of shoploom: learn it anew."
            )
        return cls.from_state(values, arrays)


@dataclass(frozen=True)
class Contrast:
    """How projections are trained by contrast.

    Attributes:
        hidden: units of the hidden layer of the method of that name.
        learning_rate: of Adam.
        drop: share of coordinates that are set to zero while training.
        batch: pairs that are contrasted with each other.
        epochs: at most.
        patience: training stops when the held-out loss has not fallen for so many epochs.
    """

    hidden: int = 256
    learning_rate: float = 3e-4
    drop: float = 0.3
    batch: int = 512
    epochs: int = 40
    patience: int = 4


def fit_joint(
    text: NDArray[np.floating],
    image: NDArray[np.floating],
    *,
    groups: Sequence[object] | NDArray | None = None,
    dim: int = 128,
    methods: Sequence[str] = METHODS[:2],
    contrast: Contrast | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> JointSpace:
    """The joint space of pairs: row ``i`` of both arrays is about the same thing.

    Args:
        text: ``(n, dt)`` vectors, such as of titles.
        image: ``(n, di)`` vectors, such as of photos.
        groups: ``(n,)`` labels of pairs that are one product in several guises (sizes of a shirt
            that share a photo). A group is never split between learning and held-out pairs, and
            its members are never contrasted.
        dim: of the space; less where the vectors have fewer.
        methods: which of METHODS to try. A hidden layer never won on real titles and photos, and
            is tried only when it is named; canonical correlations always are, for the others start
            from them.
        contrast: how the last two are trained.
        seed: decides which pairs are held out, and the order of training.
        progress: told what was kept.

    Raises:
        DataError: the arrays do not pair up, hold what is not finite, or are too few; or torch is
            missing, which all but canonical correlations need.
        UnknownName: no such method.
    """
    for method in methods:
        if method not in METHODS:
            raise UnknownName("way to learn a joint space", method, METHODS)
    group = _check(text, image, groups)
    rooted = (bool((text >= 0).all()), bool((image >= 0).all()))
    pairs = _Pairs(_prepared(text, rooted[0]), _prepared(image, rooted[1]), group, rooted)
    held = rng(seed, "held-out pairs").random(int(group.max()) + 1)[group] < 0.2
    if not 10 <= held.sum() <= len(held) - 20:
        raise DataError(
            "expected pairs of many products to hold some of them out, got only "
            f"{group.max() + 1:,} groups; give more pairs or finer groups."
        )
    trained = [method for method in METHODS[1:] if method in methods]
    with one_thread(torch=bool(trained)):
        learning, judging = pairs.take(~held), pairs.take(held)
        tried = [_try_canonical(learning, judging, dim)]
        tried += [
            _try_contrast(method, learning, judging, tried[0], contrast or Contrast(), seed)
            for method in trained
        ]
        best = tried[0]
        for other in tried[1:]:
            gain = other.found - best.found
            # One standard error: a simpler space is kept until it is clearly beaten (Breiman 1984).
            if gain.mean() > gain.std() / np.sqrt(len(gain)):
                best = other
        recalls = {each.method: float(each.found.mean()) for each in tried}
        shown = ", ".join(f"{name} {value:.3f}" for name, value in recalls.items())
        (progress or Quiet()).note(
            f"joint space: {best.method} kept; recall@10 on {held.sum():,} held-out pairs: {shown}"
        )
        text_side, image_side = best.learn(pairs)
        return JointSpace(
            text_side, image_side, best.method, best.temperature, recalls, int(held.sum())
        )


def partners_found(
    left: NDArray[np.floating], right: NDArray[np.floating], k: int = 10
) -> NDArray[np.bool_]:
    """Whether row ``i`` of ``right`` is among the ``k`` nearest to row ``i`` of ``left``, ``(n,)``.

    Rows of equal similarity as the partner stand before it: a collapsed space finds nothing.
    """
    ranks = np.empty(len(left), dtype=np.int64)
    for start in range(0, len(left), _BLOCK):
        rows = slice(start, start + _BLOCK)
        similarity = left[rows] @ right.T
        # The partner's own similarity from the same product, so that it equals itself exactly.
        own = similarity[np.arange(len(similarity)), np.arange(start, start + len(similarity))]
        ranks[rows] = (similarity >= own[:, None]).sum(axis=1) - 1
    return ranks < k


# --- zero-shot tags ---------------------------------------------------------------------------


def tag(
    vectors: NDArray[np.floating],
    labels: NDArray[np.floating],
    *,
    temperature: float = 0.02,
    reference: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:
    """How likely each label is for each row, ``(n, n_labels)``; rows sum to one.

    Some labels lie near everything, and cosines of E5 all lie between .7 and .9. Each label's mean
    similarity to the catalogue is therefore taken away first: what counts is by how much a row is
    nearer to a label than rows usually are. Nothing here has seen a true label, so that these are
    shares of belief among the labels given, not calibrated frequencies.

    Args:
        vectors: ``(n, dim)`` of length one: ``space.image(photos)``, or text vectors themselves.
        labels: ``(n_labels, dim)`` of length one, from the same space.
        temperature: by which differences of cosines are divided; ``space.temperature`` in a joint
            space.
        reference: ``(m, dim)`` rows that say what is usual; ``vectors`` when None. With few of
            them the mean is drawn towards the mean over all labels.
    """
    usual = (vectors if reference is None else reference).astype(np.float32) @ labels.T
    overall = usual.mean()
    weight = len(usual) / (len(usual) + _USUAL)
    mean = overall + weight * (usual.mean(axis=0) - overall)
    logits = (vectors.astype(np.float32) @ labels.T - mean) / temperature
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


_USUAL = 20  # rows that the mean over all labels counts for


# --- ways to learn ----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pairs:
    """Prepared vectors of both sides, and the group of each pair."""

    text: NDArray[np.float32]
    image: NDArray[np.float32]
    group: NDArray[np.int64]
    rooted: tuple[bool, bool]

    def take(self, rows: NDArray[np.bool_]) -> _Pairs:
        return _Pairs(self.text[rows], self.image[rows], self.group[rows], self.rooted)


#: A text projection and an image projection.
_Sides = tuple[Projection, Projection]


@dataclass(frozen=True)
class _Tried:
    """A way to learn with its settings chosen, and how well it did on held-out pairs.

    Attributes:
        found: ``(n,)`` whether each held-out pair was found: 0, 1/2 (one direction) or 1.
        learn: learns the projections from any pairs with the settings chosen.
    """

    method: str
    found: NDArray[np.float64]
    temperature: float
    learn: Callable[[_Pairs], _Sides]


def _judge(method: str, sides: _Sides, held: _Pairs, learn: Callable[[_Pairs], _Sides]) -> _Tried:
    text, image = (side.project(v) for side, v in zip(sides, (held.text, held.image), strict=True))
    found = (partners_found(text, image).astype(float) + partners_found(image, text)) / 2
    return _Tried(method, found, _temperature(text, image), learn)


def _try_canonical(learning: _Pairs, held: _Pairs, dim: int) -> _Tried:
    """Canonical correlations with the shrinkage that finds most."""
    correlations = _Correlations(learning)

    def judge(shrinkage: tuple[float, float]) -> _Tried:
        def learn(pairs: _Pairs) -> _Sides:
            return _Correlations(pairs).sides(dim, shrinkage)

        return _judge("cca", correlations.sides(dim, shrinkage), held, learn)

    return max(map(judge, _SHRINKAGES), key=lambda each: each.found.mean())


def _try_contrast(
    method: str, learning: _Pairs, held: _Pairs, start: _Tried, contrast: Contrast, seed: int
) -> _Tried:
    """Training by contrast from ``start``, as long as the loss of held-out pairs falls."""
    hidden = contrast.hidden if method == "hidden" else 0
    network = _Network(start.learn(learning), learning, hidden, contrast, seed)
    sides, losses = network.sides(), [np.inf]
    for _ in range(contrast.epochs):
        network.train_epoch()
        losses.append(network.loss(held))
        if losses[-1] == min(losses):
            sides = network.sides()
        elif len(losses) - 1 - np.argmin(losses) >= contrast.patience:
            break
    epochs = int(np.argmin(losses))

    def learn(pairs: _Pairs) -> _Sides:
        network = _Network(start.learn(pairs), pairs, hidden, contrast, seed)
        for _ in range(epochs):
            network.train_epoch()
        return network.sides()

    return _judge(method, sides, held, learn)


class _Correlations:
    """Canonical correlations of pairs, for any shrinkage of the covariances.

    Each direction is scaled by its correlation: Gong, Ke, Isard and Lazebnik 2014, "A multi-view
    embedding space for modeling internet images, tags, and their semantics", section 3.2, with
    the power 1.
    """

    def __init__(self, pairs: _Pairs):
        self._rooted = pairs.rooted
        self._means = (pairs.text.mean(axis=0), pairs.image.mean(axis=0))
        text, image = pairs.text - self._means[0], pairs.image - self._means[1]
        self._spectra = [
            np.linalg.eigh((x.T @ x).astype(np.float64) / len(x)) for x in (text, image)
        ]
        self._cross = (text.T @ image).astype(np.float64) / len(text)

    def sides(self, dim: int, shrinkage: tuple[float, float]) -> _Sides:
        whitening = []
        for (values, vectors), shrink in zip(self._spectra, shrinkage, strict=True):
            values = np.maximum(values, 0)
            floor = max(shrink * values.mean(), np.finfo(np.float32).tiny)
            whitening.append(vectors / np.sqrt(values + floor) @ vectors.T)
        left, correlation, right = np.linalg.svd(
            whitening[0] @ self._cross @ whitening[1], full_matrices=False
        )
        weights = (whitening[0] @ left[:, :dim], whitening[1] @ right[:dim].T)
        text, image = (
            _linear(rooted, mean, weight * correlation[:dim])
            for rooted, mean, weight in zip(self._rooted, self._means, weights, strict=True)
        )
        return text, image


class _Network:
    """Projections trained by the symmetric contrastive loss, starting from canonical correlations.

    What is learned acts on canonical coordinates, so that a few thousand pairs are enough; in the
    encoders' own coordinates the same training fell far behind its start. The loss is that of
    Radford et al. 2021, "Learning transferable visual models from natural language supervision",
    figure 3, its temperature learned; pairs of one group are no negatives of each other.
    """

    def __init__(self, start: _Sides, pairs: _Pairs, hidden: int, contrast: Contrast, seed: int):
        import torch

        self._group, self._contrast = pairs.group, contrast
        self._order = rng(seed, "order of training a joint space")
        self._noise = torch.Generator().manual_seed(seed)
        draw = rng(seed, "weights of a joint space")
        # Coordinates of mean length one, whatever the encoder's scale was.
        self._start = [
            replace(side, weight=side.weight / np.linalg.norm(_coordinates(side, x), axis=1).mean())
            for side, x in zip(start, (pairs.text, pairs.image), strict=True)
        ]
        dim = start[0].weight.shape[1]
        self._weights = [
            [
                torch.tensor(part, dtype=torch.float32, requires_grad=True)
                for part in (
                    np.eye(dim),
                    draw.normal(size=(dim, hidden)),
                    np.zeros(hidden),
                    np.zeros((hidden, dim)),
                )
            ]
            for _ in start
        ]
        self._sharpness = torch.tensor(np.log(1 / 0.07), dtype=torch.float32, requires_grad=True)
        every = [part for side in self._weights for part in side]
        self._optimiser = torch.optim.Adam([*every, self._sharpness], lr=contrast.learning_rate)
        self._inputs = self._coordinates(pairs)

    def train_epoch(self) -> None:
        import torch

        drop, batch = self._contrast.drop, min(self._contrast.batch, len(self._group))
        rows = self._order.permutation(len(self._group))
        for first in range(0, len(rows) - batch + 1, batch):
            chosen = rows[first : first + batch]
            some = [x[torch.from_numpy(chosen)] for x in self._inputs]
            some = [x * (torch.rand(x.shape, generator=self._noise) >= drop) for x in some]
            self._optimiser.zero_grad()
            self._loss(some, self._group[chosen]).backward()
            self._optimiser.step()

    def loss(self, pairs: _Pairs) -> float:
        """The loss of other pairs, all contrasted with each other."""
        import torch

        with torch.inference_mode():
            return float(self._loss(self._coordinates(pairs), pairs.group))

    def sides(self) -> _Sides:
        """The projections as they are now."""
        made = []
        for start, parts in zip(self._start, self._weights, strict=True):
            weight, inner, bias, outer = (part.detach().numpy().copy() for part in parts)
            arrays = (start.weight @ weight, start.weight @ inner, bias, outer)
            made.append(Projection(start.rooted, start.mean, *arrays))
        return made[0], made[1]

    def _coordinates(self, pairs: _Pairs) -> list[Any]:
        import torch

        sides = zip(self._start, (pairs.text, pairs.image), strict=True)
        return [torch.from_numpy(_coordinates(side, vectors)) for side, vectors in sides]

    def _loss(self, inputs: list[Any], group: NDArray[np.int64]) -> Any:
        import torch
        from torch.nn import functional

        out = []
        for x, (weight, inner, bias, outer) in zip(inputs, self._weights, strict=True):
            projected = x @ weight
            if len(bias):
                projected = projected + torch.relu(x @ inner + bias) @ outer
            out.append(functional.normalize(projected))
        logits = out[0] @ out[1].T * self._sharpness.exp().clamp(max=100)
        same = torch.from_numpy(group[:, None] == group[None]).fill_diagonal_(False)
        logits = logits.masked_fill(same, -1e4)
        own = torch.arange(len(group))
        both = functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)
        return both / 2


def _coordinates(side: Projection, prepared: NDArray[np.float32]) -> NDArray[np.float32]:
    """The linear part of a projection, before it is brought to length one."""
    return np.asarray((prepared - side.mean) @ side.weight, dtype=np.float32)


def _linear(rooted: bool, mean: NDArray, weight: NDArray) -> Projection:
    """A projection without a hidden layer."""
    d, dim = weight.shape
    parts = (mean, weight, np.zeros((d, 0)), np.zeros(0), np.zeros((0, dim)))
    return Projection(rooted, *(np.ascontiguousarray(part, dtype=np.float32) for part in parts))


def _prepared(vectors: NDArray[np.floating], rooted: bool) -> NDArray[np.float32]:
    """Rows of length one, of square roots where ``rooted``."""
    vectors = vectors.astype(np.float32)
    return _unit(np.sqrt(np.maximum(vectors, 0)) if rooted else vectors)


def _temperature(text: NDArray[np.float32], image: NDArray[np.float32]) -> float:
    """The temperature under which held-out pairs are most likely, found by golden section."""
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    similarity = (text @ image.T).astype(np.float64)
    own = np.diag(similarity)

    def surprise(log_temperature: float) -> float:
        scaled = similarity / np.exp(log_temperature)
        both = sum(np.mean(logsumexp(scaled, axis=axis)) for axis in (0, 1))
        return float(both - 2 * own.mean() / np.exp(log_temperature))

    found = minimize_scalar(surprise, bounds=(np.log(0.01), np.log(1.0)), method="bounded")
    return float(np.exp(found.x))


def _check(
    text: NDArray, image: NDArray, groups: Sequence[object] | NDArray | None
) -> NDArray[np.int64]:
    """The group of each pair as a code; a group of its own where none are given."""
    if text.ndim != 2 or image.ndim != 2 or len(text) != len(image):
        raise DataError(
            "expected text vectors (n, dt) and image vectors (n, di) of the same n things, got "
            f"{text.shape} and {image.shape}."
        )
    if len(text) < _FEWEST_PAIRS:
        raise DataError(
            f"expected at least {_FEWEST_PAIRS} pairs of text and image, got {len(text)}; "
            "a joint space cannot be learned from so few."
        )
    for name, vectors in (("text", text), ("image", image)):
        if not np.isfinite(vectors).all():
            raise DataError(f"expected finite {name} vectors, got some that are not; drop them.")
    if groups is None:
        return np.arange(len(text))
    if len(groups) != len(text):
        raise DataError(f"expected one group per pair, {len(text)}, got {len(groups)}.")
    return np.unique(np.asarray(groups).astype(str), return_inverse=True)[1].astype(np.int64)


def _unit(vectors: NDArray[Any]) -> NDArray[Any]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
