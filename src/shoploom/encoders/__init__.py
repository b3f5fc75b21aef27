"""Content to vectors: one file per encoder, and the store that keeps what was encoded.

Heavy libraries (torch, ONNX Runtime, PyAV) are imported when an encoder first encodes.
"""

from __future__ import annotations

from shoploom.encoders.encoder import (
    ENCODERS,
    Encoded,
    Encoder,
    FittedEncoder,
    Modality,
    make_encoder,
)

__all__ = ["ENCODERS", "Encoded", "Encoder", "FittedEncoder", "Modality", "make_encoder"]
