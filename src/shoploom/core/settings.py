"""Settings from YAML or keywords: frozen dataclasses, checked once at the edge.

An unknown key is an error that suggests the nearest known one; a value of the wrong type says
where it stands and what was expected. Values are never coerced from something surprising.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from shoploom.core.errors import ConfigError, UnknownName

T = TypeVar("T")


def parse(cls: type[T], values: Mapping[str, Any] | None, where: str) -> T:
    """An instance of the dataclass ``cls`` from a mapping of settings.

    Args:
        cls: a frozen dataclass whose annotations say what is allowed.
        values: settings by field name; None means all defaults.
        where: how messages call this place, such as ``shop.yaml: cleaning``.

    Raises:
        UnknownName: a key is no field of ``cls``.
        ConfigError: the mapping is none, or a value has the wrong type.
    """
    from pydantic import TypeAdapter, ValidationError

    if values is None:
        values = {}
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"{where}: expected settings as `name: value` lines, got {values!r}; "
            f"the known names are {', '.join(names(cls))}."
        )
    check_keys(values, names(cls), where)
    try:
        return TypeAdapter(cls).validate_python(dict(values))
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            path = ".".join(str(part) for part in problem["loc"])
            if problem["type"] == "missing":
                lines.append(f"{where}: the setting {path!r} is missing; add it.")
            else:
                lines.append(
                    f"{where}: {path}: {problem['msg'].lower()}, got {problem['input']!r}."
                )
        raise ConfigError("\n".join(lines)) from None


def names(cls: type) -> list[str]:
    """The names of the settings of a dataclass."""
    return [field.name for field in fields(cls) if field.init]


def check_keys(values: Mapping[str, Any], known: list[str], where: str) -> None:
    """Raise UnknownName for the first key that is not known."""
    for key in values:
        if key not in known:
            raise UnknownName("setting", str(key), known, where=where)


def read_yaml(path: Path | str) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: the file is missing, is no YAML, or holds no mapping.
    """
    import yaml

    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"expected a settings file at {path}, found nothing there.") from None
    except IsADirectoryError:
        raise ConfigError(
            f"expected a settings file such as shop.yaml, got the folder {path}."
        ) from None
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected `name: value` lines, got {type(values).__name__}.")
    return values
