"""Encoders on disk: settings, and what was learned; never pretrained weights, never a pickle.

What is pretrained is named by its settings and read again from its package or folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import DataError
from shoploom.core.files import atomic_path, read_json
from shoploom.core.settings import names, parse
from shoploom.encoders.encoder import ENCODERS, Encoder, FittedEncoder

_VERSION = 1
_HEAD, _ARRAYS = "encoder.json", "arrays.safetensors"


@runtime_checkable
class Learned(Protocol):
    """What a fitted encoder has as well when it learned from its column."""

    def state(self) -> tuple[dict[str, Any], Mapping[str, NDArray[Any]]]:
        """JSON-able values, and arrays."""
        ...

    @classmethod
    def from_state(cls, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Any:
        """The fitted encoder that ``state`` described."""
        ...


def name_of(encoder: Encoder) -> str:
    """The name under which an encoder's class is registered."""
    return next(name for name in ENCODERS.names() if ENCODERS.get(name) is type(encoder))


def save_encoder(folder: Path, encoder: Encoder, fitted: FittedEncoder) -> None:
    """Write ``encoder.json``, and ``arrays.safetensors`` for what learns; whole or not at all.

    Args:
        folder: to be made or replaced.
        encoder: the settings.
        fitted: what ``encoder.fit`` gave.
    """
    from safetensors.numpy import save_file

    head: dict[str, Any] = {
        "version": _VERSION,
        "name": name_of(encoder),
        "settings": {name: getattr(encoder, name) for name in names(type(encoder))},
        "identity": fitted.identity,
    }
    with atomic_path(folder) as temporary:
        temporary.mkdir(parents=True)
        if isinstance(fitted, Learned):
            head["learned"], arrays = fitted.state()
            whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
            save_file(whole, temporary / _ARRAYS)
        text = json.dumps(head, ensure_ascii=False, indent=1)
        (temporary / _HEAD).write_text(text + "\n", encoding="utf-8", errors="surrogatepass")


def load_encoder(folder: Path) -> FittedEncoder:
    """The encoder saved in a folder.

    Raises:
        DataError: there is none, another version wrote it, or its package has changed since, so
            that it would give other vectors.
        UnknownName: its kind is not registered here.
    """
    from safetensors.numpy import load_file

    head = read_json(folder / _HEAD)
    if head.get("version") != _VERSION:
        raise DataError(
            f"{folder}: expected a saved encoder of version {_VERSION}, got "
            f"{head.get('version')!r}; run `shoploom encode` again."
        )
    encoder = parse(ENCODERS.get(head["name"]), head["settings"], f"{folder / _HEAD}: settings")
    # Fitted on nothing: pretrained ones are whole then, and those that learn show their class.
    fitted = encoder.fit([])
    if "learned" in head:
        fitted = type(fitted).from_state(head["learned"], load_file(folder / _ARRAYS))
    if fitted.identity != head["identity"]:
        raise DataError(
            f"{folder}: expected the encoder {head['identity']!r}, this machine has "
            f"{fitted.identity!r}; install what made it, or run `shoploom encode` again."
        )
    return fitted
