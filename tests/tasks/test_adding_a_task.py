from __future__ import annotations

import re
from pathlib import Path

from shoploom.core import columns as c
from shoploom.tasks import TASKS
from tests.tiny import day, tables

PAGE = Path(__file__).parents[2] / "docs" / "tasks.md"


def test_the_example_of_a_new_task_runs():
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    try:
        exec(compile(example, str(PAGE), "exec", dont_inherit=True), {"__name__": "example"})
        rows = [(user, 1, c.PURCHASE, "tea", 1.0) for user in ("ann", "bob")]
        rows += [("bob", 5, c.RETURN, "tea", 1.0)]
        questions = TASKS.get("returns")().ask(tables(rows), day(3))
    finally:
        TASKS._members.pop("returns", None)  # so that no other test meets it
    assert questions.users.tolist() == ["ann", "bob"]
    assert questions.answers.tolist() == [0, 1]
