"""Learning anew from live events: in the shadow first, then in charge, and back again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from shoploom.cli import run as cli_run
from shoploom.core import columns as c
from shoploom.core.errors import DataError, NotFitted
from shoploom.core.files import read_json, write_json
from shoploom.core.progress import Quiet
from shoploom.core.time import HOUR_US
from shoploom.engines import ENGINES
from shoploom.serving.retrain import Retrained, _sources, compare, export, retrain
from shoploom.serving.runs import IN_CHARGE, deployments, promote, roll_back
from shoploom.serving.store import Text, open_store
from shoploom.serving.store.sqlite import SqliteStore
from shoploom.workflows import load, load_config
from shoploom.workflows.run import Run
from tests.serving.test_store import made


@pytest.fixture
def own(shop_folder: Path, tmp_path: Path) -> Path:
    """A copy of the trained shop."""
    shutil.copytree(shop_folder, tmp_path / "shop")
    return tmp_path / "shop"


def visits(end: int, n: int = 40) -> list:
    """Live events of the days after the data."""
    buy = c.ACTIONS.index(c.PURCHASE)
    return [
        made(
            f"{k}",
            f"u{k % 60:02d}",
            end + (k + 1) * HOUR_US,
            buy,
            item_id=f"i{k % 40:02d}",
            price=9.0,
        )
        for k in range(n)
    ]


def test_a_new_run_learns_from_live_events_and_takes_over(own: Path, tmp_path: Path, capsys):
    end = load(own / "runs" / "latest").card["trained_until"]
    url = f"sqlite:///{tmp_path / 'live.db'}"
    store = open_store(url)
    store.append(visits(end))
    command = ["retrain", str(own / "shop.yaml"), "--store", url, "--quiet", "--promote", "always"]
    assert cli_run(command) == 0
    said = capsys.readouterr().out
    assert "learned from 40 live events too" in said
    assert "in charge now" in said
    new = Path(store.get(IN_CHARGE))
    assert new.parent == own / "runs"
    card = read_json(new / "model.json")
    assert card["live_seq"] == 40
    assert card["trained_until"] > end
    assert (new / "segments.json").exists()
    old_rows = pq.read_metadata(own / "runs/latest/prepared/events.parquet").num_rows
    assert pq.read_metadata(new / "prepared/events.parquet").num_rows == old_rows + 40
    assert [each.action for each in deployments(store)] == ["promote", "shadow"]
    assert roll_back(store, by="test") == own / "runs" / "latest"
    store.close()


def test_a_worse_run_stays_in_the_shadow(own: Path, tmp_path: Path):
    """The new run is trained with best sellers alone: worse, and found to be."""
    store = SqliteStore(tmp_path / "live.db")
    config = load_config(own / "shop.yaml")
    weak = replace(config, engines={"popularity": ENGINES.get("popularity")()})
    weak = replace(weak, tasks={"next_item": config.tasks["next_item"]})
    found = retrain(weak, store, own / "runs" / "latest", Quiet(), policies=False)
    told = found.shadow.tasks["next_item"]
    assert told["difference"][0] < 0
    assert found.shadow.worse == ("next_item",)
    assert not found.promoted
    assert store.get(IN_CHARGE) is None
    assert deployments(store)[0].outcome == "worse at next_item"
    store.close()


@pytest.mark.parametrize("where", ["export", "run_all", "compare"])
def test_one_that_was_stopped_goes_on(
    own: Path, filed: SqliteStore, monkeypatch: pytest.MonkeyPatch, where: str
):
    config, current = load_config(own / "shop.yaml"), own / "runs" / "latest"
    config = replace(config, engines={"popularity": ENGINES.get("popularity")()})
    config = replace(config, tasks={"next_item": config.tasks["next_item"]})
    events = visits(load(current).card["trained_until"])
    filed.append(events[:30])

    def ask(**how: bool) -> Retrained:
        return retrain(config, filed, current, Quiet(), policies=False, **how)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"shoploom.serving.retrain.{where}", stop)
        with pytest.raises(KeyboardInterrupt):
            ask()
    (begun,) = (path.parent for path in own.glob("runs/*/retrain.json"))
    filed.append(events[30:])
    went_on = ask()
    assert (went_on.run, went_on.events) == (begun, 30)
    monkeypatch.setattr("shoploom.serving.retrain._free", lambda runs: runs / "next")
    later = ask()
    assert (later.run.name, later.events) == ("next", 40)


def test_a_run_that_knows_the_newest_days_is_asked_as_it_was_before_them(run_folder: Path):
    again = compare(Run(run_folder), Run(run_folder))
    assert again.why_not is None  # its engine of before the test days answers
    assert again.left_out == {}
    assert all(each["difference"][0] == 0 for each in again.tasks.values())


def test_nothing_is_compared_where_the_old_run_has_seen_the_answers(
    run_folder: Path, tmp_path: Path
):
    old = tmp_path / "old"
    shutil.copytree(run_folder, old)
    card = read_json(old / "model.json")
    later = {"judged_until": card["judged_until"] + 1}
    write_json(old / "model.json", card | later)
    told = compare(Run(run_folder), Run(old))
    assert "the old run has seen days after" in (told.why_not or "")
    assert told.tasks == {}


def test_a_task_that_the_old_run_can_no_longer_answer_is_named(run_folder: Path, tmp_path: Path):
    old = tmp_path / "old"
    shutil.copytree(run_folder, old)
    card = read_json(old / "model.json")
    shutil.rmtree(Run(old).judged_engine(card["chosen"]["churn"]))
    told = compare(Run(run_folder), Run(old))
    assert "churn" in told.left_out
    assert "churn" not in told.tasks


def test_live_texts_become_tables(tmp_path: Path):
    store = SqliteStore(tmp_path / "live.db")
    store.add_texts(
        [
            Text(b"1" * 16, "review", "u", 5, "i", None, None, 4.0, "Fine", "Good"),
            Text(b"2" * 16, "message", "u", 6, None, "d", "customer", None, None, "Hello"),
        ]
    )
    assert export(store, tmp_path / "out", 0) == 0
    assert set(_sources(tmp_path / "out")) == {"reviews", "dialogues"}
    assert pq.read_table(tmp_path / "out/reviews.parquet").to_pylist()[0][c.TEXT] == "Good"
    assert pq.read_table(tmp_path / "out/dialogues.parquet").to_pylist()[0][c.ROLE] == "customer"
    store.close()


def test_only_whole_runs_are_promoted(tmp_path: Path, run_folder: Path):
    store = SqliteStore(tmp_path / "live.db")
    with pytest.raises(NotFitted, match=r"no model\.json"):
        promote(store, tmp_path, current=run_folder, by="test")
    with pytest.raises(DataError, match="none was ever promoted"):
        roll_back(store, by="test")
    store.close()
