"""Any text encoder of Hugging Face or sentence-transformers, by name or from a folder.

Weights are read from safetensors alone and no code of a model is run: what is loaded must not be
able to act. The mean over tokens is the vector, or the first token where the folder of a
sentence-transformers model says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import ConfigError, DataError
from shoploom.core.progress import Progress, Quiet
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
    from collections.abc import Iterator

Pooling = Literal["auto", "mean", "first"]

_BATCH_TOKENS = 4096
_POOLING_FILE = "1_Pooling/config.json"


@ENCODERS.register("huggingface")
@dataclass(frozen=True)
class HuggingFace:
    """Settings of a model of Hugging Face.

    Attributes:
        model: a name on the hub such as ``"BAAI/bge-small-zh-v1.5"``, or a folder.
        prefix: what the model reads before each text, such as ``"query: "``.
        pooling: ``"mean"`` over tokens, the ``"first"`` token, or as the model's files say.
        window: most tokens that are read together; None takes the model's own limit.
        overlap: tokens that neighbouring windows of a longer text share.
        threads: for torch; None takes its own choice.
        download: whether the hub may be asked for what is not on this machine.
    """

    model: str = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
    prefix: str = ""
    pooling: Pooling = "auto"
    window: int | None = None
    overlap: int = 0
    threads: int | None = None
    download: bool = True

    modality: ClassVar[Modality] = "text"

    def __post_init__(self) -> None:
        if self.pooling not in ("auto", "mean", "first"):
            raise ConfigError(
                "encoder 'huggingface': expected a pooling of auto, mean or first, "
                f"got {self.pooling!r}."
            )
        if self.window is not None:
            check_window(self.window, self.overlap, None, "encoder 'huggingface'")

    def fit(self, column: Sequence[Any], *, seed: int = 0) -> FittedHuggingFace:
        """The pretrained model, loaded; nothing is learned from the column.

        Raises:
            DataError: a package is missing, the model is not there and cannot be fetched, or its
                weights are no safetensors.
            ConfigError: the window is larger than the model can read.
        """
        where = f"encoder 'huggingface', model {self.model!r}"
        require("torch", "torch", where)
        require("transformers", "transformers", where)
        from transformers import AutoModel, AutoTokenizer

        is_folder = Path(self.model).is_dir()
        options = {
            "local_files_only": is_folder or not self.download,
            "trust_remote_code": False,
        }
        with _quiet(), _explained(self.model, where):
            tokenizer = AutoTokenizer.from_pretrained(self.model, **options)
            model = AutoModel.from_pretrained(self.model, use_safetensors=True, **options).eval()
        limit = min(
            tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", 512)
        )
        if self.window is not None and self.window > limit:
            raise ConfigError(
                f"{where}: expected a window of at most {limit} tokens, got {self.window}."
            )
        window = self.window or limit
        check_window(window, self.overlap, limit, where)
        pooling = self.pooling
        if pooling == "auto":
            pooling = _declared_pooling(self.model, options["local_files_only"])
        before, after = _marks(tokenizer)
        version = _version(self.model, model.config)
        return FittedHuggingFace(self, tokenizer, model, window, pooling, version, before, after)


@dataclass(frozen=True, eq=False)
class FittedHuggingFace:
    """A loaded model.

    Attributes:
        window: most tokens read together, marks included.
        pooling: ``"mean"`` or ``"first"``.
        version: the commit of the hub, or a digest of the weights of a folder.
        before: token ids of the marks that open every text.
        after: token ids of the marks that close it.
    """

    settings: HuggingFace
    tokenizer: Any
    model: Any
    window: int
    pooling: str
    version: str
    before: tuple[int, ...]
    after: tuple[int, ...]

    modality: ClassVar[Modality] = "text"

    @property
    def identity(self) -> str:
        own = self.settings
        return (
            f"huggingface/1 {Path(own.model).name} {self.version} prefix={own.prefix!r} "
            f"pooling={self.pooling} window={self.window} overlap={own.overlap}"
        )

    @property
    def dim(self) -> int:
        return int(self.model.config.hidden_size)

    def encode(self, column: Sequence[Any], *, progress: Progress | None = None) -> Encoded:
        """Unit vectors ``(n, dim)`` float32; zeros for missing texts."""
        progress = progress or Quiet()
        present, texts = given(column)
        vectors = np.zeros((len(column), self.dim), dtype=np.float32)
        if texts:
            chunks = range(0, len(texts), CHUNK)
            with torch_threads(self.settings.threads):
                encoded = [
                    self._encode([self.settings.prefix + t for t in texts[start : start + CHUNK]])
                    for start in progress.track(chunks, "texts", total=len(chunks))
                ]
            vectors[present] = np.concatenate(encoded)
        return Encoded(vectors, present)

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        with _quiet():
            ids = self.tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        marks = len(self.before) + len(self.after)
        cut = windows(lengths, self.window - marks, self.settings.overlap)
        start = cut.start - (np.cumsum(lengths) - lengths)[cut.text]
        pooled = np.empty((len(cut.text), self.dim), dtype=np.float32)
        for rows in batches(cut.length + marks, _BATCH_TOKENS):
            pooled[rows] = self._pooled(
                [ids[cut.text[n]][start[n] : start[n] + cut.length[n]] for n in rows]
            )
        return normalised(cut.mean(pooled, len(texts)))

    def _pooled(self, ids: list[list[int]]) -> NDArray[np.float32]:
        """``(n, dim)`` vectors of windows of token ids."""
        import torch

        marked = [[*self.before, *each, *self.after] for each in ids]
        batch = self.tokenizer.pad({"input_ids": marked}, return_tensors="pt")
        with torch.inference_mode():
            hidden = self.model(
                input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
            ).last_hidden_state.float()
            if self.pooling == "first":
                return hidden[:, 0].numpy()
            mask = batch["attention_mask"][..., None].float()
            return ((hidden * mask).sum(1) / mask.sum(1).clamp(min=1)).numpy()


@contextmanager
def _explained(model: str, where: str) -> Iterator[None]:
    """A block whose failures to find or load the model say what to do."""
    try:
        yield
    except (OSError, ValueError, ImportError) as error:
        folder = Path(model)
        first = str(error).strip().partition("\n")[0]
        if folder.is_dir() and not list(folder.glob("*.safetensors")):
            held = ", ".join(sorted(each.name for each in folder.iterdir())[:8]) or "nothing"
            raise DataError(
                f"{where}: expected weights in safetensors, got a folder with {held}. Pickled "
                "weights are not loaded, because they can run code: save the model again with "
                "save_pretrained(folder, safe_serialization=True)."
            ) from error
        if folder.is_dir():
            raise DataError(
                f"{where}: expected a model and a tokenizer that transformers reads, got: {first}."
            ) from error
        raise DataError(
            f"{where}: expected a folder, a model in this machine's cache, or a hub that answers; "
            f"got: {first}. Where there is a network, run: hf download {model} --local-dir FOLDER "
            "and give the path of that folder as the model."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """A block in which transformers draws no bars and warns of nothing but errors."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _marks(tokenizer: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Token ids that the tokenizer puts before and after a text."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    marked = tokenizer("a")["input_ids"]
    at = next(n for n in range(len(marked)) if marked[n : n + len(bare)] == bare)
    return tuple(marked[:at]), tuple(marked[at + len(bare) :])


def _declared_pooling(model: str, local_only: bool) -> str:
    """What the files of a sentence-transformers model say; the mean where they say nothing."""
    from transformers.utils.hub import cached_file

    path = cached_file(
        model,
        _POOLING_FILE,
        local_files_only=local_only,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        _raise_exceptions_for_gated_repo=False,
    )
    if path is None:
        return "mean"
    declared = json.loads(Path(path).read_text(encoding="utf-8"))
    return "first" if declared.get("pooling_mode_cls_token") else "mean"


def _version(model: str, config: Any) -> str:
    """The commit that the hub gave, or a digest of the folder's weights and settings."""
    if commit := getattr(config, "_commit_hash", None):
        return commit[:16]
    digest = hashlib.sha256()
    names = ("*.safetensors", "config.json", "tokenizer*.json", "vocab*", "*.model")
    for path in sorted({each for name in names for each in Path(model).glob(name)}):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
