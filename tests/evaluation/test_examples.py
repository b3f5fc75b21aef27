import doctest
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest

import shoploom.evaluation

MODULES = sorted(module.name for module in pkgutil.iter_modules(shoploom.evaluation.__path__))
PAGE = Path(__file__).parents[2] / "docs" / "evaluation.md"


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name):
    assert doctest.testmod(import_module(f"shoploom.evaluation.{name}")).failed == 0


def test_examples_on_the_page_are_true():
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert found.attempted > 5
    assert found.failed == 0
