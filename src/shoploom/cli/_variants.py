"""How variants of an engine are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def show_variants(found: Mapping[str, Mapping[str, Any]]) -> None:
    """One table per task: each variant's metric, and what the first is ahead of it."""
    compared = sum(len(table["versus"]) for table in found.values())
    for task, table in found.items():
        print(f"\n{task}: {table['metric']} on {table['n']:,} questions; {table['base']} - variant")
        for name, result in table["results"].items():
            print(f"  {name:<18}{_shown(result)}   {_shown(table['versus'].get(name), sign='+')}")
    print(f"\n95 % intervals; of {compared} differences, one in twenty leaves zero by chance")


def _shown(interval: list[float | None] | None, sign: str = "") -> str:
    """A value with its interval."""
    if interval is None or None in interval:
        return ""
    value, low, high = (f"{x:{sign}.4f}" for x in interval)
    return f"{value} ({low} to {high})"
