"""An encoder that costs nothing, counts what it is asked, and can be slow.

Run as a program it fills a store, to be killed or raced: ``python -m tests.encoders.fakes FOLDER
FIRST LAST CHUNK SECONDS`` encodes the texts of those numbers, taking so long for each chunk.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from shoploom.encoders import Encoded, Modality
from shoploom.encoders.store import VectorStore, encode_column

UNREADABLE = "unreadable"
DIM = 16


def vector(content: Any) -> np.ndarray:
    """What the encoder gives for a content: bytes of its hash."""
    if isinstance(content, str | Path) and Path(content).is_file():
        content = Path(content).read_bytes()
    content = content.encode() if isinstance(content, str) else bytes(content)
    return np.frombuffer(hashlib.sha256(content).digest()[:DIM], np.uint8).astype(np.float32)


def text(number: int) -> str:
    return f"text number {number}"


@dataclass(frozen=True)
class Fake:
    """An encoder for tests; ``asked`` collects every content it was given."""

    identity: str = "fake/1"
    seconds: float = 0.0
    scale: float = 1.0
    asked: list[Any] = field(default_factory=list)

    modality: ClassVar[Modality] = "text"
    dim: ClassVar[int] = DIM

    def fit(self, column: Sequence[Any], *, seed: int = 0) -> Fake:
        return self

    def encode(self, column: Sequence[Any], *, progress: Any = None) -> Encoded:
        self.asked.extend(column)
        time.sleep(self.seconds)
        vectors, reasons = np.zeros((len(column), DIM), np.float32), {}
        present = np.zeros(len(column), bool)
        for row, content in enumerate(column):
            if content == UNREADABLE:
                reasons[row] = "cannot be read"
            elif not isinstance(content, str) or not content.isspace():
                vectors[row], present[row] = vector(content) * self.scale, True
        return Encoded(vectors, present, reasons)


@dataclass(frozen=True)
class FakeImages(Fake):
    """The same for files."""

    modality: ClassVar[Modality] = "image"


def main(folder: str, first: str, last: str, chunk: str, seconds: str) -> None:
    """Encode the texts of those numbers into a store."""
    step = 1 if int(last) > int(first) else -1
    texts = [text(number) for number in range(int(first), int(last), step)]
    encode_column(Fake(seconds=float(seconds)), texts, VectorStore(folder), chunk=int(chunk))


if __name__ == "__main__":
    main(*sys.argv[1:])
