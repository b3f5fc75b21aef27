"""What is said in a film or a recording, and when; by faster-whisper where it is installed.

Optional: ``pip install faster-whisper``. Its weights come from a hub the first time, or from a
local folder. Nothing else in the package needs speech: a stream's ``transcript`` column may also
be given by the shop.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from shoploom.core.errors import DataError
from shoploom.encoders.images import Unreadable, first_line, open_regular

_MAX_BYTES = 8_000_000_000


@dataclass(frozen=True)
class Said:
    """A sentence or so.

    Attributes:
        start_s, end_s: seconds from the beginning.
        text: what was said.
        language: code of two letters, as heard or as told.
        confidence: mean probability of the tokens, in [0, 1].
    """

    start_s: float
    end_s: float
    text: str
    language: str
    confidence: float


def transcribe(
    source: Path | str | bytes, *, model: str = "small", language: str | None = None
) -> list[Said] | Unreadable:
    """What is said, in order of time; an empty list when nobody speaks.

    Args:
        source: a film or a recording: a path, or the bytes of a file.
        model: a name that faster-whisper knows, or the path of a local folder of its weights.
        language: such as ``zh`` or ``en``; heard from the first half minute when None.

    Raises:
        DataError: faster-whisper is missing, or its weights cannot be had.
    """
    import numpy as np

    speech = _load(model)
    opened = open_regular(source, limit=_MAX_BYTES)
    if isinstance(opened, Unreadable):
        return opened
    with opened:
        try:
            parts, facts = speech.transcribe(opened, language=language, vad_filter=True)
            return [
                Said(
                    float(part.start),
                    float(part.end),
                    part.text.strip(),
                    facts.language,
                    float(np.exp(min(0.0, part.avg_logprob))),
                )
                for part in parts
            ]
        except Exception as error:  # decoders of damaged files raise nearly anything
            return Unreadable(f"no sound that can be heard: {first_line(error)}")


@lru_cache(maxsize=1)
def _load(model: str) -> Any:
    try:
        from faster_whisper import WhisperModel  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise DataError(
            "speech: expected the package faster-whisper, found none; run: pip install "
            "faster-whisper, or give the streams a transcript column."
        ) from None
    try:
        return WhisperModel(model, device="cpu", compute_type="int8")
    except Exception as error:  # the hub's clients raise their own kinds
        raise DataError(
            f"speech: expected weights of the model {model!r}, got {first_line(error)}. Is the "
            "hub reachable? Or give the path of a folder that holds them as model."
        ) from error
