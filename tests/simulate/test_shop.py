"""A simulated shop is a shop like any other, the same for the same seed, whole or absent."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, DataError
from shoploom.simulate import Dirt, ShopSpec, simulate
from shoploom.tables import SCHEMAS
from shoploom.workflows import load_config

SPEC = ShopSpec(users=150, items=60, days=60, films=2, photo_size=48, sessions_per_week=4)
TABLES = ("events", "items", "users", "reviews", "dialogues", "offers", "exposures", "streams")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(tmp_path_factory.mktemp("made") / "shop", SPEC).parent


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(shop: Path, tmp_path: Path) -> None:
    again = simulate(tmp_path / "again", SPEC).parent
    assert _bytes(again) == _bytes(shop)


def test_another_seed_gives_another_shop(shop: Path, tmp_path: Path) -> None:
    other = simulate(tmp_path / "other", replace(SPEC, seed=1, content=False)).parent
    assert (other / "events.parquet").read_bytes() != (shop / "events.parquet").read_bytes()


@pytest.mark.parametrize("name", TABLES)
def test_every_table_of_the_contract_is_there(shop: Path, name: str) -> None:
    table = pq.read_table(shop / f"{name}.parquet")
    required = [column.name for column in SCHEMAS[name].values() if column.required]
    assert table.num_rows > 0
    assert set(required) <= set(table.column_names)
    missing = set(SCHEMAS[name]) - set(table.column_names) - {"image"}
    assert not missing or name in ("items", "reviews"), missing


def test_shop_yaml_is_a_configuration(shop: Path) -> None:
    config = load_config(shop)
    assert set(config.tables) == set(TABLES)
    assert "simulated" in config.caveat


def test_files_that_tables_name_are_there(shop: Path) -> None:
    items = pq.read_table(shop / "items.parquet")
    streams = pq.read_table(shop / "streams.parquet")
    named = [*items[c.IMAGE].to_pylist(), *items[c.VIDEO].drop_null().to_pylist()]
    named += streams[c.VIDEO].to_pylist()
    assert len(named) > 60
    assert all((shop / name).exists() for name in named)


def test_truth_matches_the_log_row_by_row_where_it_is_clean(tmp_path: Path) -> None:
    clean = simulate(tmp_path / "clean", replace(SPEC, content=False, dirt=Dirt.none())).parent
    keys = [c.USER_ID, c.TIME, c.ACTION, c.ITEM_ID]
    events = pq.read_table(clean / "events.parquet", columns=keys)
    causes = pq.read_table(clean / "truth/causes.parquet", columns=keys)
    assert events.equals(causes)
    assert not (clean / "truth/dirt.parquet").exists()


@pytest.mark.slow
def test_personal_data_stands_where_the_truth_says(shop: Path, tmp_path: Path) -> None:
    clean = simulate(tmp_path / "clean", replace(SPEC, dirt=Dirt.none(), films=0)).parent
    reviews = pq.read_table(clean / "reviews.parquet")[c.TEXT].to_pylist()
    turns: dict[str, list[str]] = {}
    for row in pq.read_table(clean / "dialogues.parquet").to_pylist():
        turns.setdefault(row[c.DIALOGUE_ID], []).append(row[c.TEXT])
    found = pq.read_table(clean / "truth/personal.parquet").to_pylist()
    assert found
    for row in found:
        text = (
            reviews[int(row["row"])]
            if row["table"] == "reviews"
            else turns[row["row"]][row["turn"]]
        )
        assert text[row["start"] : row["end"]] == row["value"]


def test_truth_says_what_was_planted(shop: Path) -> None:
    truth = json.loads((shop / "truth/truth.json").read_text())
    assert truth["elasticity"]["typical"]["everyday"] == 2.3
    assert truth["settings"]["users"] == 150
    streams = pq.read_table(shop / "truth/streams.parquet")
    assert pc.all(pc.less(streams["start_s"], streams["end_s"])).as_py()


def test_the_shop_is_not_made_twice_nor_over_something_else(shop: Path) -> None:
    before = (shop / "events.parquet").stat().st_mtime_ns
    assert simulate(shop, SPEC) == shop / "shop.yaml"
    assert (shop / "events.parquet").stat().st_mtime_ns == before
    with pytest.raises(DataError, match="Give another folder"):
        simulate(shop, replace(SPEC, seed=9))


def test_an_interrupted_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shoploom.simulate.shop._write_texts", stop)
    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "shop", SPEC)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoploom.simulate.shop.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'shoploom\[simulate\]'"):
        simulate(tmp_path / "shop", SPEC)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("users", 0, "expected users of at least 1, got 0"),
        ("items", 10, "expected items of at least 48, got 10"),
        ("days", 3, "expected days of at least 14, got 3"),
        ("sessions_per_week", 0.0, "expected sessions_per_week above 0"),
    ],
)
def test_impossible_settings_are_told(setting: str, value: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ShopSpec(**{setting: value})
