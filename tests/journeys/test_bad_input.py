"""Bad input, the way shops really send it: a clear message, and nothing is lost."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.journeys.conftest import Said, ShopFolder

Shoploom = Callable[..., Said]


def _quality(folder: ShopFolder) -> dict:
    return json.loads((folder.run / "prepared" / "quality.json").read_text())


def _counts_add_up(folder: ShopFolder, rows_read: int) -> None:
    """Every row read is in the prepared table or in quarantine, and the report says so."""
    events = _quality(folder)["tables"]["events"]
    assert events["rows_read"] == rows_read
    assert events["rows_kept"] + events["rows_quarantined"] == rows_read
    prepared = folder.run / "prepared"
    assert pq.read_metadata(prepared / "events.parquet").num_rows == events["rows_kept"]
    if events["rows_quarantined"]:
        quarantine = pd.read_parquet(prepared / "quarantine" / "events.parquet")
        assert len(quarantine) == events["rows_quarantined"]
        assert quarantine["_reason"].notna().all()


def _lines(folder: ShopFolder) -> list[str]:
    return (folder.path / "events.csv").read_text().splitlines()


def _write(folder: ShopFolder, lines: list[str], end: str = "\n") -> None:
    (folder.path / "events.csv").write_text("\n".join(lines) + end)


def test_a_missing_file_names_the_nearest(folder: ShopFolder, shoploom: Shoploom) -> None:
    folder.set(tables={"events": {"path": "event.csv"}})
    said = shoploom("prepare", folder.yaml, "--quiet")
    assert said.code == 3
    assert "event.csv" in said.err
    assert "events.csv" in said.err


def test_a_missing_column_says_what_to_add(folder: ShopFolder, shoploom: Shoploom) -> None:
    lines = _lines(folder)
    lines[0] = lines[0].replace("user_id", "customer")
    _write(folder, lines)
    said = shoploom("prepare", folder.yaml, "--quiet")
    assert said.code == 3
    assert "user_id" in said.err
    assert "customer" in said.err
    assert "columns" in said.err


def test_a_cut_row_goes_to_quarantine(folder: ShopFolder, shoploom: Shoploom) -> None:
    lines = _lines(folder)
    lines[-1] = lines[-1][:12]
    _write(folder, lines, end="")
    assert shoploom("prepare", folder.yaml, "--quiet").code == 0
    _counts_add_up(folder, len(lines) - 1)
    assert _quality(folder)["tables"]["events"]["rows_quarantined"] >= 1


def test_text_in_a_price_goes_to_quarantine(folder: ShopFolder, shoploom: Shoploom) -> None:
    lines = _lines(folder)
    head = lines[0].replace('"', "").split(",")
    row = lines[5].split(",")
    row[head.index("price")] = '"N/A"'
    lines[5] = ",".join(row)
    _write(folder, lines)
    assert shoploom("prepare", folder.yaml, "--quiet").code == 0
    _counts_add_up(folder, len(lines) - 1)
    quarantine = pd.read_parquet(folder.run / "prepared" / "quarantine" / "events.parquet")
    bad = quarantine[quarantine["_reason"].str.contains("price")]
    assert list(bad["price"]) == ["N/A"]
    assert list(bad["_row"]) == [5]


def test_mixed_time_zones_become_the_same_moments(folder: ShopFolder, shoploom: Shoploom) -> None:
    log = pd.read_csv(folder.path / "events.csv")
    moments = pd.to_datetime(log["time"], unit="us", utc=True)
    expected = sorted(log["time"])
    half = len(log) // 2
    east = moments.dt.tz_convert("Asia/Shanghai").map(lambda m: m.isoformat())
    naive = moments.dt.tz_convert("Europe/Berlin").map(
        lambda m: m.tz_localize(None).isoformat(sep=" ")
    )
    log["time"] = pd.concat([east[:half], naive[half:]])
    log.to_csv(folder.path / "events.csv", index=False)
    folder.set(timezone="Europe/Berlin")
    assert shoploom("prepare", folder.yaml, "--quiet").code == 0
    events = pd.read_parquet(folder.run / "prepared" / "events.parquet")
    assert sorted(events["time"]) == expected
    assert any("offset" in note for note in _quality(folder)["notes"])


def test_ids_match_whether_numbers_or_text(folder: ShopFolder, shoploom: Shoploom) -> None:
    log = pd.read_csv(folder.path / "events.csv")
    log["item_id"] = log["item_id"].str[1:].astype(int)
    log.to_csv(folder.path / "events.csv", index=False)
    items = pd.read_csv(folder.path / "items.csv")
    items["item_id"] = items["item_id"].str[1:].astype(int).astype(str)
    items.to_parquet(folder.path / "items.parquet")
    folder.set(
        tables={"events": {"path": "events.csv"}, "items": {"path": "items.parquet"}},
        cleaning={"unknown_items": "quarantine"},
    )
    assert shoploom("prepare", folder.yaml, "--quiet").code == 0
    assert _quality(folder)["tables"]["events"]["rows_quarantined"] == 0


def test_an_empty_table_says_so(folder: ShopFolder, shoploom: Shoploom) -> None:
    _write(folder, _lines(folder)[:1])
    said = shoploom("run", folder.yaml, "--quiet")
    assert said.code == 3
    assert "events" in said.err
    assert "expected at least one event" in said.err


@pytest.mark.slow
def test_one_user_is_enough_for_a_report(folder: ShopFolder, shoploom: Shoploom) -> None:
    log = pd.read_csv(folder.path / "events.csv")
    log[log["user_id"] == "u01"].to_csv(folder.path / "events.csv", index=False)
    said = shoploom("run", folder.yaml, "--quiet")
    assert said.code == 0, said.err
    assert (folder.run / "report.html").exists()


@pytest.mark.slow
def test_one_item_is_enough_for_a_report(folder: ShopFolder, shoploom: Shoploom) -> None:
    log = pd.read_csv(folder.path / "events.csv")
    log["item_id"] = "i00"
    log.to_csv(folder.path / "events.csv", index=False)
    said = shoploom("run", folder.yaml, "--quiet")
    assert said.code == 0, said.err
    assert (folder.run / "report.html").exists()


def test_a_single_day_is_too_short_and_told_so(folder: ShopFolder, shoploom: Shoploom) -> None:
    log = pd.read_csv(folder.path / "events.csv")
    day = log["time"] // 86_400_000_000
    log[day == day.mode()[0]].to_csv(folder.path / "events.csv", index=False)
    assert shoploom("prepare", folder.yaml, "--quiet").code == 0
    said = shoploom("train", folder.yaml, "--quiet")
    assert said.code == 3
    assert "days" in said.err
    assert "window_days" in said.err or "longer log" in said.err


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ({"task": ["churn"]}, "tasks"),
        ({"tasks": ["chrun"]}, "churn"),
        ({"engines": {"cooccurrence": {"windw": 3}}}, "window"),
        ({"cleaning": {"session_gap_minute": 3}}, "session_gap_minutes"),
        ({"tables": {"events": {"path": "events.csv", "colums": {}}}}, "columns"),
    ],
)
def test_a_misspelt_setting_is_an_error_with_the_nearest(
    folder: ShopFolder, shoploom: Shoploom, wrong: dict, right: str
) -> None:
    folder.set(**wrong)
    said = shoploom("run", folder.yaml, "--quiet")
    assert said.code == 2
    assert f"Did you mean '{right}'" in said.err


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 800 kB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("needs mount to make a small file system")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=800k", "tmpfs", mount], capture_output=True
    )
    if made.returncode:
        pytest.skip("needs the right to mount a small file system")
    yield mount
    subprocess.run(["umount", mount], check=True)


def test_a_full_disk_damages_nothing(
    folder: ShopFolder, shoploom: Shoploom, small_disk: Path
) -> None:
    folder.set(run=str(small_disk / "run"))
    assert shoploom("prepare", folder.yaml, "--quiet").code == 0
    before = {p.name: p.read_bytes() for p in (small_disk / "run/prepared").glob("*.json")}
    (small_disk / "filler").write_bytes(b"0" * (shutil.disk_usage(small_disk).free - 20_000))
    folder.set(timezone="Asia/Shanghai")  # makes the prepared tables stale
    said = shoploom("prepare", folder.yaml, "--quiet")
    assert said.code == 3
    assert "disk is full" in said.err
    after = {p.name: p.read_bytes() for p in (small_disk / "run/prepared").glob("*.json")}
    assert after == before
    (small_disk / "filler").unlink()
    assert shoploom("prepare", folder.yaml, "--quiet").code == 0
