"""A shop with planted truth: a whole shop folder whose every answer is known.

``docs/simulation.md`` has the equations. ``simulate.environment`` is the same shop as a gymnasium
environment; it is imported by name, because gymnasium is an extra.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoploom.simulate.dirt import Dirt
    from shoploom.simulate.shop import simulate
    from shoploom.simulate.spec import ShopSpec

_LAZY = {
    "Dirt": "shoploom.simulate.dirt",
    "ShopSpec": "shoploom.simulate.spec",
    "simulate": "shoploom.simulate.shop",
}

__all__ = ["Dirt", "ShopSpec", "simulate"]


def __getattr__(name: str) -> object:
    """Fetch a public name from the module that owns it."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'shoploom.simulate' has no attribute {name!r}")
