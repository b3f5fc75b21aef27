from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from shoploom.core.errors import ConfigError, UnknownName
from shoploom.core.progress import Quiet
from shoploom.engines import Options, Span, setting, with_settings
from shoploom.engines.neural import Neural
from shoploom.workflows import load_config
from shoploom.workflows.prepare import prepare
from shoploom.workflows.run import Run
from shoploom.workflows.tuning import tune
from tests.journeys.conftest import write_shop

ENGINES = {
    "neural": {"dim": 16, "layers": 1, "batch": 512, "max_epochs": 2, "pretrain": 0},
    "rfm": {},
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_shop(tmp_path_factory.mktemp("tuned"))
    folder.set(
        engines=ENGINES, tasks={"next_item": {"window_days": 14}, "churn": {"window_days": 14}}
    )
    config = load_config(folder.yaml)
    prepare(config, Run(config.run), Quiet())
    return folder.yaml


def _tune(shop: Path, **how: object) -> dict:
    config = load_config(shop)
    return tune(config, Run(config.run), Quiet(), **how)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_search_goes_on_and_never_forgets_its_best(shop: Path) -> None:
    first = _tune(shop, trials=2)
    assert [trial["number"] for trial in first["trials"]] == [0, 1]
    # The first trial has the settings of shop.yaml, and is what others are compared with.
    assert first["trials"][0]["gain"] == 0
    assert first["trials"][0]["params"]["dim"] == 16
    more = _tune(shop, trials=4)
    assert len(more["trials"]) == 4
    assert more["trials"][:2] == first["trials"]
    gains = [trial["gain"] for trial in more["trials"] if trial["gain"] is not None]
    assert more["best"]["gain"] == max(gains) >= 0
    assert {trial["params"]["learning_rate"] for trial in more["trials"]} - {0.003}
    # Nothing is left to do: nothing is done.
    assert _tune(shop, trials=4) == more


def test_other_settings_start_another_search(shop: Path) -> None:
    before = _tune(shop, trials=1)
    values = yaml.safe_load(shop.read_text())
    other = shop.with_name("other.yaml")
    neural = {**ENGINES["neural"], "dropout": 0.2}
    other.write_text(yaml.safe_dump({**values, "engines": {"neural": neural}}))
    after = _tune(other, trials=1)
    assert len(after["trials"]) == 1
    assert after["trials"][0]["params"]["dropout"] == 0.2
    assert before["trials"][0]["params"]["dropout"] == 0.4


def test_time_that_is_over_stops_after_the_first_trial(shop: Path) -> None:
    values = yaml.safe_load(shop.read_text())
    other = shop.with_name("timed.yaml")
    other.write_text(yaml.safe_dump({**values, "seed": 3}))
    assert len(_tune(other, trials=5, minutes=0.0)["trials"]) == 1


def test_engines_without_a_space_are_refused(shop: Path) -> None:
    with pytest.raises(ConfigError, match="neural can be searched"):
        _tune(shop, engine="rfm")
    with pytest.raises(UnknownName, match="blend"):
        _tune(shop, engine="blend")


def test_names_reach_into_mappings() -> None:
    engine = with_settings(Neural(), {"dim": 32, "weights.churn": 2.0})
    assert (engine.dim, engine.weights) == (32, {"churn": 2.0})
    assert setting(engine, "weights.churn") == 2.0
    assert setting(engine, "weights.spend", 1.0) == 1.0


def test_what_the_engine_has_is_always_in_its_space() -> None:
    assert Options((1, 2)).around(3).values == (1, 2, 3)
    span = Span(0.1, 0.6).around(0.9)
    assert (span.low, span.high, span.now) == (0.1, 0.9, 0.9)
