"""Knock-out: every source is left out once, and nothing is learned twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shoploom.cli import run as cli
from shoploom.core.errors import ConfigError, DataError, UnknownName
from shoploom.core.ids import Vocabulary
from shoploom.core.progress import Quiet
from shoploom.engines import ItemContent
from shoploom.workflows import load_config, run_all
from shoploom.workflows import variants as variants_of
from shoploom.workflows.controls import WEIGHTINGS, controls
from shoploom.workflows.item_content import ItemContents
from shoploom.workflows.knockout import EVERYTHING, NOTHING, knockout, variants
from shoploom.workflows.run import Run
from tests.journeys.conftest import ShopFolder, write_shop

pytest.importorskip("torch")

SMALL = {"neural": {"dim": 16, "layers": 1, "max_epochs": 2, "pretrain": 0}, "popularity": {}}


@pytest.fixture
def folder(tmp_path: Path) -> ShopFolder:
    made = write_shop(tmp_path)
    made.set(
        tasks=["next_item"],
        engines=SMALL,
        encoders={"text": {"tfidf": {"dim": 16, "min_texts": 1}}},
    )
    return made


def test_each_source_is_left_out_and_stands_alone():
    content = ItemContent(
        Vocabulary.of(["a"]),
        {name: np.ones((1, 2), np.float16) for name in ("text", "image")},
        {name: np.ones(1, bool) for name in ("text", "image")},
    )
    made = variants(ItemContents(content))
    kept = {name: sorted(part.names) if part else [] for name, part in made.items()}
    assert kept == {
        EVERYTHING: ["image", "text"],
        "without text": ["image"],
        "without image": ["text"],
        "text alone": ["text"],
        "image alone": ["image"],
        NOTHING: [],
    }


@pytest.mark.slow
def test_differences_are_judged_and_kept(folder, monkeypatch, capsys):
    config = load_config(folder.yaml)
    run_all(config, Quiet())
    assert cli(["knockout", str(folder.yaml), "--quiet"]) == 0
    assert "next_item: ndcg@10" in capsys.readouterr().out
    monkeypatch.setattr(variants_of, "answers_of", lambda *_: 1 / 0)
    found = knockout(config, Run(config.run), Quiet())
    table = found["next_item"]
    assert set(table["results"]) == {EVERYTHING, NOTHING}
    value, low, high = table["versus"][NOTHING]
    assert low <= value <= high
    whole, none = (table["results"][name][0] for name in (EVERYTHING, NOTHING))
    assert value == pytest.approx(whole - none)


def test_what_cannot_be_left_out_is_told(folder):
    config = load_config(folder.yaml)
    with pytest.raises(UnknownName, match="nural"):
        knockout(config, Run(config.run), Quiet(), engine="nural")
    folder.set(encoders=None)
    with pytest.raises(DataError, match="name `encoders:`"):
        knockout(load_config(folder.yaml), Run(config.run), Quiet())


@pytest.mark.slow
def test_controls_compare_weightings_and_single_tasks(folder, capsys):
    churn = {"next_item": {"window_days": 14}, "churn": {"window_days": 14}}
    folder.set(encoders=None, tasks=churn)
    config = load_config(folder.yaml)
    run_all(config, Quiet())
    assert cli(["controls", str(folder.yaml), "--quiet"]) == 0
    assert "fixed - variant" in capsys.readouterr().out
    found = controls(config, Run(config.run), Quiet())
    for task in churn:
        assert list(found[task]["results"]) == [*WEIGHTINGS]
        assert set(found[task]["versus"]) == {*WEIGHTINGS} - {"fixed"}
    with pytest.raises(ConfigError, match="weighs several losses"):
        controls(config, Run(config.run), Quiet(), engine="popularity")
