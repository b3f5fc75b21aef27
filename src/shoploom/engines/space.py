"""What may be chosen about an engine: ranges and options by the name of a setting.

Names reach into settings that are mappings: ``weights.churn``, ``parts.neural.dropout``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias, runtime_checkable

from shoploom.tasks import Task


@dataclass(frozen=True)
class Span:
    """Numbers from ``low`` to ``high``; with ``log``, small ones are looked at as closely.

    ``now`` is what the engine has.
    """

    low: float
    high: float
    log: bool = False
    now: float | None = None

    def around(self, value: float) -> Span:
        """The span of an engine that has this value, widened to hold it."""
        low, high = min(self.low, value), max(self.high, value)
        return replace(self, low=low, high=high, now=value)


@dataclass(frozen=True)
class Options:
    """One of some values; ``now`` is what the engine has."""

    values: tuple[Any, ...]
    now: Any = None

    def around(self, value: Any) -> Options:
        """The options of an engine that has this value, which is one of them."""
        return Options(self.values if value in self.values else (*self.values, value), value)


Space: TypeAlias = Mapping[str, Span | Options]


@runtime_checkable
class Tunable(Protocol):
    """An engine that says what may be chosen about it."""

    def space(self, tasks: Mapping[str, Task]) -> Space:
        """Ranges and options by setting, for an engine that answers these tasks."""
        ...


def setting(engine: Any, name: str, default: Any = None) -> Any:
    """What an engine has under a name of its space; ``default`` where a mapping lacks it."""
    first, *rest = name.split(".")
    value = getattr(engine, first)
    for key in rest:
        value = value.get(key, default) if isinstance(value, Mapping) else default
    return value


def with_settings(engine: Any, chosen: Mapping[str, Any]) -> Any:
    """The engine with other settings, by names of its space."""
    for name, value in chosen.items():
        first, *rest = name.split(".")
        engine = replace(engine, **{first: _put(getattr(engine, first), rest, value)})
    return engine


def _put(old: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    return {**(old or {}), path[0]: _put((old or {}).get(path[0]), path[1:], value)}
