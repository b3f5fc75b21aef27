"""Named members of a kind (readers, tasks, engines, encoders), one file each.

A registry imports its own folder, then installed entry points, the first time somebody asks;
adding a member therefore means adding one file and editing none.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import fields
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from shoploom.core.errors import UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """Members of one kind by name.

    Args:
        kind: what a member is called in messages, such as ``"engine"``.
        package: dotted package whose modules register members on import.
    """

    def __init__(self, kind: str, package: str):
        self.kind, self.package = kind, package
        self._members: dict[str, T] = {}
        self._loaded = False

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that files a class or instance under ``name``."""

        def add(member: T) -> T:
            if name in self._members and self._members[name] is not member:
                raise ValueError(f"two {self.kind}s are named {name!r}")
            self._members[name] = member
            return member

        return add

    def get(self, name: str) -> T:
        """The member of that name.

        Raises:
            UnknownName: there is none; the message lists all and suggests the nearest.
        """
        self._load()
        if name not in self._members:
            raise UnknownName(self.kind, name, self._members)
        return self._members[name]

    def make(self, name: str, **settings: object) -> Any:
        """The member of that name, a dataclass, with the given settings.

        Raises:
            UnknownName: no such member, or no such setting of it.
        """
        member: Any = self.get(name)
        known = [field.name for field in fields(member)]
        for setting in settings:
            if setting not in known:
                raise UnknownName("setting", setting, known, where=f"{self.kind} {name!r}")
        return member(**settings)

    def name_of(self, member: object) -> str | None:
        """The name that a member has, None where it is no member."""
        self._load()
        return next((name for name, each in self._members.items() if each is member), None)

    def names(self) -> list[str]:
        """Every registered name, sorted."""
        self._load()
        return sorted(self._members)

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True  # before: a member may ask for another while it is imported
        try:
            package = import_module(self.package)
            for module in pkgutil.iter_modules(package.__path__):
                if not module.name.startswith("_"):
                    import_module(f"{self.package}.{module.name}")
            for point in entry_points(group=f"{self.package}.plugins"):
                point.load()
        except BaseException:
            self._loaded = False  # or else the next caller would find a part of the members
            raise
