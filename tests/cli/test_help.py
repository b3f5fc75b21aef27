"""The command line tells the truth about itself."""

from __future__ import annotations

import pytest

from shoploom.cli import COMMANDS, run


@pytest.mark.parametrize("command", [name.rstrip("_") for name in COMMANDS])
def test_every_command_explains_itself_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command, "--help"]) == 0
    said = capsys.readouterr().out
    assert f"Example:  shoploom {command}" in said
    assert "Exit codes" not in said  # those stand on the first page


def test_the_first_page_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"│ {name.rstrip('_')} " in said for name in COMMANDS)
    assert "Exit codes" in said


def test_a_misspelt_command_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recomend"]) == 2
    assert 'Did you mean "recommend"' in capsys.readouterr().err


def test_a_missing_shop_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "nowhere/shop.yaml"]) == 2
    assert "expected a settings file at nowhere/shop.yaml" in capsys.readouterr().err
