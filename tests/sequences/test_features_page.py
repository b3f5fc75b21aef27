from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from shoploom.sequences import category_statistics, user_statistics
from shoploom.tables import Tables
from shoploom.tasks import TASKS

DOCS = Path(__file__).parents[2] / "docs"


def first_cells(text: str) -> list[str]:
    """Every `name` in the first column of the tables."""
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


def test_every_statistic_is_described_once(shop: Tables, shop_at: int):
    page = (DOCS / "features.md").read_text(encoding="utf-8")
    by_user, by_category = page.split("## By user and category")
    assert sorted(first_cells(by_user)) == sorted(user_statistics(shop, shop_at).names)
    assert first_cells(by_category) == list(category_statistics(shop, shop_at).names)


@pytest.mark.parametrize("name", TASKS.names())
def test_every_task_is_described_as_it_is(name: str):
    page = (DOCS / "tasks.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
    task = TASKS.get(name)()
    assert f"| {task.kind} |" in lines[0]
    assert f"`{task.metric}`" in lines[0]
    settings = page.split("## Settings")[1]
    for field in dataclasses.fields(task):
        assert f"`{field.name}`" in settings
