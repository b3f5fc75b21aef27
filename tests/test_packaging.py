"""Packaging and documentation keep pace with the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from shoploom.engines import ENGINES
from shoploom.tables.layouts import LAYOUTS
from shoploom.tasks import TASKS

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=~! ]", requirement)[0].lower().replace("_", "-")


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    return {_name(name): version for name, version in pairs}


def test_constraints_pin_every_requirement() -> None:
    extras = [need for needs in PROJECT["optional-dependencies"].values() for need in needs]
    needed = {_name(need) for need in PROJECT["dependencies"] + extras}
    assert needed <= set(_pins())


def test_constraints_hold_versions_only() -> None:
    text = (ROOT / "constraints.txt").read_text()
    assert "/" not in text
    assert "+" not in text
    assert " @ " not in text


@pytest.mark.parametrize("name", ENGINES.names())
def test_every_engine_has_a_page(name: str) -> None:
    headings = [page.read_text().splitlines()[0] for page in (ROOT / "docs/engines").glob("*.md")]
    assert any(re.search(rf"\b{name}\b", heading) for heading in headings)


@pytest.mark.parametrize("name", TASKS.names())
def test_every_task_is_in_the_table_of_tasks(name: str) -> None:
    assert f"\n| `{name}` |" in (ROOT / "docs/tasks.md").read_text()


@pytest.mark.parametrize("name", LAYOUTS.names())
def test_every_layout_has_a_section(name: str) -> None:
    assert name in (ROOT / "docs/tables.md").read_text()
