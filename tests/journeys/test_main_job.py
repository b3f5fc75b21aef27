"""From files to a report, the way a person does it, and again after being stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

import shoploom as sl
from shoploom.cli import run as cli_run
from shoploom.core.errors import DataError, LeakageError, NotFitted, UnknownName
from tests.conftest import shop_events, shop_items
from tests.journeys.conftest import SETTINGS, Said, ShopFolder, write_shop

Shoploom = Callable[..., Said]


def test_files_become_an_honest_report(folder: ShopFolder, shoploom: Shoploom) -> None:
    said = shoploom("run", folder.yaml, "--quiet")
    assert said.code == 0, said.err
    assert str(folder.run / "report.html") in said.out
    assert "\n3. " in said.out  # three findings in words at least
    html = (folder.run / "report.html").read_text()
    assert "Tiny shop" in html
    evaluation = json.loads((folder.run / "evaluation.json").read_text())
    churn = evaluation["tasks"]["churn"]
    assert churn["chosen"] in churn["results"]
    value, low, high = evaluation["tasks"]["purchase"]["results"]["rfm"]["auroc"]
    assert 0.7 < low <= value <= high <= 1  # fading and browsing users are planted
    ranking = evaluation["tasks"]["next_item"]["results"]
    assert set(ranking) == {"popularity", "cooccurrence"}


def test_nothing_is_done_twice(folder: ShopFolder, shoploom: Shoploom) -> None:
    shoploom("run", folder.yaml, "--quiet")
    before = (folder.run / "run.json").stat().st_mtime_ns
    assert shoploom("run", folder.yaml, "--quiet").code == 0
    assert (folder.run / "run.json").stat().st_mtime_ns == before


def test_changed_settings_redo_what_depends_on_them(folder: ShopFolder, shoploom: Shoploom) -> None:
    shoploom("run", folder.yaml, "--quiet")
    stages = json.loads((folder.run / "run.json").read_text())["stages"]
    folder.set(engines={**SETTINGS["engines"], "popularity": {"window_days": 30}})  # type: ignore[dict-item]
    assert shoploom("run", folder.yaml, "--quiet").code == 0
    again = json.loads((folder.run / "run.json").read_text())["stages"]
    changed = {name for name in again if again[name] != stages[name]}
    assert "train:popularity" in changed
    assert not changed & {"prepare", "ask", "train:rfm", "train:cooccurrence"}


@pytest.mark.slow
def test_stages_run_one_by_one(folder: ShopFolder, shoploom: Shoploom) -> None:
    early = shoploom("train", folder.yaml, "--quiet")
    assert early.code == 4
    assert "run `shoploom prepare shop.yaml` first" in early.err
    for stage in ("prepare", "train", "evaluate", "report"):
        said = shoploom(stage, folder.yaml, "--quiet")
        assert said.code == 0, said.err
    assert (folder.run / "report.html").exists()


def test_predictions_and_recommendations_leave_as_files(
    folder: ShopFolder, shoploom: Shoploom, tmp_path: Path
) -> None:
    shoploom("run", folder.yaml, "--quiet")
    out = tmp_path / "churn.parquet"
    assert shoploom("predict", "churn", "--run", folder.run, "--out", out).code == 0
    frame = pd.read_parquet(out)
    assert frame["probability"].between(0, 1).all()
    said = shoploom("recommend", "--user", "u01", "--k", "3", "--explain", "--run", folder.run)
    assert said.code == 0, said.err
    assert said.out.count("u01") == 3
    assert "because" in said.out


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The results of a run that nobody stopped."""
    shop = write_shop(tmp_path_factory.mktemp("straight"))
    assert cli_run(["run", str(shop.yaml), "--quiet"]) == 0
    return json.loads((shop.run / "evaluation.json").read_text())["tasks"]


@pytest.mark.parametrize(
    "stopped_at",
    [
        pytest.param("prepare.prepare_tables", marks=pytest.mark.slow),
        pytest.param("train.write_questions", marks=pytest.mark.slow),
        "train.write_answers",
        pytest.param("evaluate.evaluate_task", marks=pytest.mark.slow),
        pytest.param("reporting.render_report", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_goes_on_to_the_same_results(
    folder: ShopFolder,
    shoploom: Shoploom,
    monkeypatch: pytest.MonkeyPatch,
    straight: dict,
    stopped_at: str,
) -> None:
    with monkeypatch.context() as patch:

        def stop(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        patch.setattr(f"shoploom.workflows.{stopped_at}", stop)
        said = shoploom("run", folder.yaml, "--quiet")
        assert said.code == 130
        assert "goes on where it stopped" in said.err
    assert shoploom("run", folder.yaml, "--quiet").code == 0
    resumed = json.loads((folder.run / "evaluation.json").read_text())["tasks"]
    assert resumed == straight


def test_ctrl_c_inside_a_query_is_an_interruption_too(
    folder: ShopFolder, shoploom: Shoploom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB turns the signal into an error of its own; here it gets a real one."""

    def long_query(*_: object, **__: object) -> None:
        threading.Timer(0.5, signal.raise_signal, [signal.SIGINT]).start()
        duckdb.sql(
            "SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b"
        ).fetchall()

    monkeypatch.setattr("shoploom.workflows.prepare.prepare_tables", long_query)
    # Started in the background of a shell, Python inherits that SIGINT is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        said = shoploom("prepare", folder.yaml, "--quiet")
    finally:
        signal.signal(signal.SIGINT, before)
    assert said.code == 130
    assert "goes on where it stopped" in said.err


@pytest.mark.slow
def test_kill_and_ctrl_c_at_any_moment_lose_nothing(folder: ShopFolder) -> None:
    """A real process, stopped at growing delays by SIGINT and SIGKILL, then left to finish."""
    command = [sys.executable, "-m", "shoploom", "run", str(folder.yaml), "--quiet"]
    for attempt, delay in enumerate(np.linspace(1.0, 7.0, 7)):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(delay)
        process.send_signal((signal.SIGINT, signal.SIGKILL)[attempt % 2])
        process.communicate(timeout=120)
        assert process.returncode in (0, 130, -signal.SIGKILL, -signal.SIGINT)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (folder.run / "report.html").exists()
    assert not list(folder.run.rglob("*.tmp"))


@pytest.fixture(scope="module")
def model() -> sl.Model:
    """A model fitted in Python from frames in memory."""
    shop = sl.Shop(
        events=shop_events().to_pandas(),
        items=shop_items().to_pandas(),
        **{key: SETTINGS[key] for key in ("tasks", "engines", "split")},  # type: ignore[arg-type]
    )
    return sl.fit(shop)


def test_python_users_get_frames(model: sl.Model) -> None:
    items = model.recommend(users=["u01", "stranger"], k=4)
    assert list(items["rank"]) == [1, 2, 3, 4] * 2
    assert items["title"].notna().all()
    churn = model.predict("churn")
    assert churn["probability"].between(0, 1).all()
    z = model.represent(["u01", "stranger"])
    assert z.shape[0] == 2
    assert np.isfinite(z).all()
    table = model.representations(["u01", "stranger"])
    assert table["user_id"].tolist() == ["u01", "stranger"]
    np.testing.assert_array_equal(table.drop(columns="user_id").to_numpy(), z)
    one = model.card["engines"][0]
    assert all(name.startswith(f"{one}_") for name in model.representations(engine=one).columns[1:])
    with pytest.raises(UnknownName, match="no engine is named"):
        model.represent(["u01"], engine="nural")


def test_planted_habits_are_recovered(model: sl.Model) -> None:
    """Who browses never buys, who is regular always does, and who faded away is not asked about."""
    purchase = model.predict("purchase").set_index("user_id")["probability"]
    assert purchase[purchase.index < "u20"].min() > purchase[purchase.index >= "u52"].max()
    churn = model.predict("churn")
    assert churn["user_id"].between("u20", "u39").sum() == 0


def test_a_model_can_be_saved_and_loaded_anywhere(model: sl.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "mine")
    loaded = sl.load(tmp_path / "mine")
    pd.testing.assert_frame_equal(
        loaded.recommend(users=["u01"], k=3), model.recommend(users=["u01"], k=3)
    )


def test_asking_about_a_learned_past_is_refused(model: sl.Model) -> None:
    with pytest.raises(LeakageError, match="would know the future"):
        model.predict("churn", at="2024-02-01")
    with pytest.raises(DataError, match="up to the end of the data"):
        model.predict("churn", at="2030-01-01")
    judged = model.predict("churn", at=model.evaluation["split"]["test"])
    assert len(judged) > 0


def test_wrong_names_are_told(model: sl.Model, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'churn'"):
        model.predict("chrun")
    with pytest.raises(UnknownName, match="Did you mean 'rfm'"):
        model.predict("churn", engine="rmf")
    with pytest.raises(DataError, match="use recommend"):
        model.predict("next_item")
    with pytest.raises(NotFitted, match="found none"):
        sl.load(tmp_path)
