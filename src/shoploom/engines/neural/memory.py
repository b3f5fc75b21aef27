"""Freed memory stays with the process while it trains.

Every step frees some large arrays and asks for as many again. The C library of Linux gives them
back to the system in between, which must then clear page after page when they are touched: up to
a tenth of the time of training.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# From <malloc.h>: what to set, and what holds when nobody sets it.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_USUAL = 128 * 1024
_KEPT = 256 * 1024 * 1024  # that may lie free at the end of the heap
_LARGEST = 32 * 1024 * 1024  # that is taken from the heap at all: the most that glibc allows


@contextmanager
def kept_memory() -> Iterator[None]:
    """Freed memory is kept inside the block, and given back after it; without glibc, as usual."""
    mallopt, trim = _glibc()
    if mallopt is None or trim is None:
        yield
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST)
    mallopt(_TRIM_THRESHOLD, _KEPT)
    try:
        yield
    finally:
        mallopt(_MMAP_THRESHOLD, _USUAL)
        mallopt(_TRIM_THRESHOLD, _USUAL)
        trim(0)


def _glibc() -> tuple[Callable[..., Any] | None, Callable[..., Any] | None]:
    """``mallopt`` and ``malloc_trim``, where the C library has them."""
    try:
        library = ctypes.CDLL(None)
    except (OSError, TypeError):
        return None, None
    return getattr(library, "mallopt", None), getattr(library, "malloc_trim", None)
