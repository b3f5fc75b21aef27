"""shoploom: one dated representation of every shop user, and the questions a shop asks of it.

    import shoploom as sl
    shop = sl.open("shop.yaml")
    model = sl.fit(shop, tasks=["next_item", "churn", "spend"])
    model.recommend(users=["42"], k=10)

Importing this module loads nothing heavy; each public name is fetched when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoploom.core.errors import (
        ConfigError,
        DataError,
        LeakageError,
        NotFitted,
        ShoploomError,
        UnknownName,
    )
    from shoploom.workflows import Model, Shop, fit, load, open

__version__ = "0.1.0"

_PUBLIC = {
    "open": "shoploom.workflows",
    "Shop": "shoploom.workflows",
    "Model": "shoploom.workflows",
    "fit": "shoploom.workflows",
    "load": "shoploom.workflows",
    "ShoploomError": "shoploom.core.errors",
    "DataError": "shoploom.core.errors",
    "ConfigError": "shoploom.core.errors",
    "UnknownName": "shoploom.core.errors",
    "NotFitted": "shoploom.core.errors",
    "LeakageError": "shoploom.core.errors",
}

__all__ = [
    "ConfigError",
    "DataError",
    "LeakageError",
    "Model",
    "NotFitted",
    "Shop",
    "ShoploomError",
    "UnknownName",
    "__version__",
    "fit",
    "load",
    "open",
]


def __getattr__(name: str) -> object:
    """Fetch a public name from the floor that owns it."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'shoploom' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
