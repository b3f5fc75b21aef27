"""Readers: from texts to probabilities of labels, one file each."""

from shoploom.engines.readers.reader import (
    READERS,
    SHIPPED_SENTIMENT,
    Encode,
    FittedReader,
    Reader,
    load_reader,
    make_reader,
    save_reader,
)

__all__ = [
    "READERS",
    "SHIPPED_SENTIMENT",
    "Encode",
    "FittedReader",
    "Reader",
    "load_reader",
    "make_reader",
    "save_reader",
]
