"""Randomness as an argument: generators derived from one seed and a purpose.

Two purposes never share a stream, and nothing here touches a global generator.
"""

from __future__ import annotations

import hashlib

import numpy as np


def rng(seed: int, *purpose: str | int) -> np.random.Generator:
    """A generator that depends on the seed and the purpose alone.

    >>> bool(rng(0, "bootstrap").integers(9) == rng(0, "bootstrap").integers(9))
    True
    """
    digest = hashlib.sha256("/".join(map(str, purpose)).encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
