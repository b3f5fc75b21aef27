"""The ground floor: ids, files, registries, settings, time, errors."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoploom.core.errors import ConfigError, DataError, UnknownName
from shoploom.core.files import atomic_path, fingerprint, read_json, write_json
from shoploom.core.ids import Vocabulary
from shoploom.core.registry import Registry
from shoploom.core.seeds import rng
from shoploom.core.settings import parse
from shoploom.core.time import DAY_US, from_us, iso, to_us


@given(st.lists(st.text(max_size=5)))
def test_ids_survive_the_round_trip(ids: list[str]) -> None:
    vocabulary = Vocabulary.of(ids)
    codes = vocabulary.encode(ids)
    assert list(vocabulary.decode(codes)) == ids
    assert (codes >= 0).all()


def test_codes_do_not_depend_on_the_order_of_appearance() -> None:
    forward, backward = Vocabulary.of(["b", "a", "c"]), Vocabulary.of(["c", "a", "b", "b"])
    assert list(forward.encode(["a", "c"])) == list(backward.encode(["a", "c"]))


def test_unknown_ids_are_minus_one_and_none() -> None:
    vocabulary = Vocabulary.of(["a"])
    assert vocabulary.encode(["z"])[0] == -1
    assert vocabulary.decode(np.array([-1]))[0] is None


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})

    def interrupted() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert read_json(path) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    for content in ("one", "two"):
        with atomic_path(tmp_path / "folder") as temporary:
            temporary.mkdir()
            (temporary / content).write_text(content)
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["two"]


def _folder(path: Path, content: str) -> None:
    path.mkdir(parents=True)
    (path / content).touch()


def test_a_stop_between_the_two_renames_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "folder"
    _folder(path, "old")
    rename = Path.replace

    def stopped(source: Path, target: Path) -> Path:
        if not source.name.endswith(".old.tmp") and target == path:
            raise KeyboardInterrupt
        return rename(source, target)

    def write() -> None:
        with atomic_path(path) as temporary:
            _folder(temporary, "new")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stopped)
        with pytest.raises(KeyboardInterrupt):
            write()
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]
    assert [p.name for p in path.iterdir()] == ["old"]


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    _folder(tmp_path / f".folder.{ended.pid}.old.tmp", "old")

    def fail() -> None:
        with atomic_path(tmp_path / "folder"):
            raise OSError

    with pytest.raises(OSError):
        fail()
    assert [p.name for p in (tmp_path / "folder").iterdir()] == ["old"]
    assert len(list(tmp_path.iterdir())) == 1


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / f".a.json.{ended.pid}.tmp").write_text("half")
    (tmp_path / ".a.json.1.tmp").write_text("of a process that still runs")
    write_json(tmp_path / "a.json", 1)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".a.json.1.tmp", "a.json"]


def test_json_cut_short_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": ')
    with pytest.raises(DataError, match="cut short"):
        read_json(tmp_path / "a.json")


def test_a_fingerprint_moves_with_values_and_files(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("1")
    before = fingerprint({"x": 1}, path)
    assert before == fingerprint({"x": 1}, path)
    assert before != fingerprint({"x": 2}, path)
    path.write_text("12")
    assert before != fingerprint({"x": 1}, path)


def test_unknown_names_suggest_the_nearest() -> None:
    registry: Registry[int] = Registry("encoder", "json")
    registry.register("image")(1)
    with pytest.raises(UnknownName, match=r"no encoder is named 'imgae'.*Did you mean 'image'\?"):
        registry.get("imgae")


def test_two_members_cannot_share_a_name() -> None:
    registry: Registry[int] = Registry("encoder", "json")
    registry.register("image")(1)
    with pytest.raises(ValueError, match="two encoders"):
        registry.register("image")(2)


@dataclass(frozen=True)
class _Settings:
    days: int = 28
    name: str = "a"


def test_settings_are_checked_by_name_and_type() -> None:
    assert parse(_Settings, {"days": 7}, "x") == _Settings(days=7)
    with pytest.raises(UnknownName, match="Did you mean 'days'"):
        parse(_Settings, {"day": 7}, "shop.yaml: churn")
    with pytest.raises(ConfigError, match=r"shop.yaml: churn: days: .*got 'soon'"):
        parse(_Settings, {"days": "soon"}, "shop.yaml: churn")
    with pytest.raises(ConfigError, match="expected settings"):
        parse(_Settings, [1], "x")  # type: ignore[arg-type]


@given(st.integers(-(10**16), 10**17))
def test_moments_survive_the_round_trip(us: int) -> None:
    assert to_us(from_us(us)) == us
    assert to_us(iso(us)) == us


def test_moments_are_utc() -> None:
    assert to_us("1970-01-02") == DAY_US
    assert to_us("1970-01-02T08:00:00+08:00") == DAY_US
    with pytest.raises(ConfigError, match="expected a moment such as"):
        to_us("yesterday")


def test_purposes_do_not_share_a_stream() -> None:
    assert rng(0, "a").random() == rng(0, "a").random()
    assert rng(0, "a").random() != rng(0, "b").random()
    assert rng(0, "a").random() != rng(1, "a").random()


def test_importing_shoploom_is_light() -> None:
    code = (
        "import sys, json, shoploom;"
        "print(json.dumps([m for m in ('torch','ibis','pandas','duckdb','lightgbm') "
        "if m in sys.modules]))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(out.stdout) == []


def test_every_public_name_can_be_fetched() -> None:
    import shoploom

    for name in shoploom.__all__:
        assert getattr(shoploom, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = shoploom.nothing
