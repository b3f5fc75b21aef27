"""A probe learns nothing but its heads, and says what it says as a probability."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from shoploom.core.errors import ConfigError, DataError, NotFitted
from shoploom.core.time import DAY_US
from shoploom.engines import ENGINES, Inputs, fit_once, load_state, save_state
from shoploom.engines.probe import Probe
from shoploom.evaluation import auroc, calibration
from shoploom.sequences import UserStatistics
from shoploom.tasks import Kind, Questions

from ..shops import sequences

AT = 100 * DAY_US
N = 2400
USERS = np.array([f"u{n:04d}" for n in range(N)], dtype=object)
DRAW = np.random.default_rng(0)
NUMBERS = DRAW.normal(size=(N, 4)).astype(np.float32)
#: One in eight, as the first two numbers have it.
CHANCE = 1 / (1 + np.exp(-(2 * NUMBERS[:, 0] + NUMBERS[:, 1] - 3)))
RARE = (DRAW.random(N) < CHANCE).astype(float)
SHOP = {
    user: [(float(day), f"{'a' if n % 3 else 'b'}{day}") for day in range(3)]
    for n, user in enumerate(USERS)
}
ANSWERS: dict[Kind, np.ndarray] = {
    "binary": RARE,
    "count": np.where(NUMBERS[:, 0] > 0, 5.0, 1.0),
    "amount": np.where(NUMBERS[:, 0] > 0, 40.0, 0.0),
    "ordinal": np.where(NUMBERS[:, 0] > 0, 4.0, 1.0),
    "multiclass": np.where(NUMBERS[:, 0] > 0, 2.0, 1.0),
}
IMBALANCE = ("none", "class_weights", "focal", "over_sampling", "under_sampling", "gan")
TRAIN, HELD = slice(0, 1600), slice(1600, N)
#: Statistics alone: what is tested is the head.
PLAIN = Probe(features="statistics", epochs=6, learning_rate=0.01)


@dataclass(frozen=True)
class Planted:
    """A task that only tests ask."""

    name: str
    kind: Kind
    window_days: int = 14
    unit: ClassVar[str] = "probability"
    metric: ClassVar[str] = "auroc"

    def ask(self, tables: object, at: int, *, answered: bool = True) -> Questions:
        raise NotImplementedError


TASKS = {kind: Planted(kind, kind) for kind in ANSWERS}


def _inputs() -> Inputs:
    def statistics(at: int) -> UserStatistics:
        known = sequences(SHOP, at / DAY_US).users
        return UserStatistics(at, known, ("w", "x", "y", "z"), NUMBERS)

    return Inputs(
        until=AT, sequences=lambda at: sequences(SHOP, at / DAY_US), statistics=statistics
    )


INPUTS = _inputs()


def _ask(kind: Kind, rows: slice) -> Questions:
    times = np.full(len(USERS[rows]), AT, dtype=np.int64)
    return Questions(kind, USERS[rows], times, answers=ANSWERS[kind][rows])


def _fit(engine: Probe, *kinds: Kind, seed: int = 0):
    asked = {kind: _ask(kind, TRAIN) for kind in kinds}
    return engine.fit(INPUTS, {kind: TASKS[kind] for kind in kinds}, asked, seed=seed)


def _answers(fitted, kind: Kind = "binary") -> np.ndarray:
    return fitted.answer(TASKS[kind], _ask(kind, HELD).unanswered(), INPUTS).values


def test_what_is_probed_does_not_move_and_is_shared() -> None:
    small = {"dim": 16, "layers": 1, "epochs": 1, "batch": 2048}
    tasks = {"binary": TASKS["binary"]}
    asked = {"binary": _ask("binary", TRAIN)}
    part = fit_once(ENGINES.make("neural", **small), INPUTS, tasks, asked)
    before = {name: array.copy() for name, array in part.state().arrays.items()}
    fitted = Probe(settings=small).fit(INPUTS, tasks, asked)
    assert fitted.features.part is part
    after = part.state().arrays
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert np.ptp(_answers(fitted)) > 0.01
    one = Probe(settings=small, span=(0, 16)).fit(INPUTS, tasks, asked)
    assert one.features.dim == 16
    with pytest.raises(ConfigError, match="columns of z"):
        Probe(settings=small, span=(0, 10_000)).fit(INPUTS, tasks, asked)


@pytest.mark.parametrize("imbalance", IMBALANCE)
def test_recalibrated_probabilities_are_those_of_what_comes(imbalance) -> None:
    fitted = _fit(replace(PLAIN, imbalance=imbalance), "binary")
    said, truth = _answers(fitted), RARE[HELD]
    assert auroc(said, truth) > auroc(CHANCE[HELD], truth) - 0.02
    assert calibration(said, truth).ece < 0.04
    assert np.abs(said - CHANCE[HELD]).mean() < 0.08
    raw = _answers(fitted.uncalibrated())
    # A straight line of log-odds keeps the order.
    assert np.array_equal(np.argsort(raw, kind="stable"), np.argsort(said, kind="stable"))
    if imbalance not in ("none", "focal"):
        assert calibration(raw, truth).ece > 0.1
        assert np.abs(raw - CHANCE[HELD]).mean() > 0.12


def test_every_kind_is_learned() -> None:
    fitted = _fit(replace(PLAIN, epochs=12), *ANSWERS)
    high = NUMBERS[HELD, 0] > 0
    for kind in ("count", "amount", "ordinal", "multiclass"):
        values = ANSWERS[kind]
        between = values.min() / 2 + values.max() / 2
        got = _answers(fitted, kind)
        assert (got[high] > between).mean() > 0.85, kind
        assert (got[~high] < between).mean() > 0.85, kind


def test_other_tasks_beside_it_change_nothing() -> None:
    assert np.array_equal(_answers(_fit(PLAIN, "binary")), _answers(_fit(PLAIN, "count", "binary")))


@pytest.mark.parametrize("imbalance", IMBALANCE)
def test_the_same_seed_gives_the_same_answers_and_saving_loses_nothing(
    imbalance, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("shoploom.engines.probe.gan._STEPS", 20)
    engine = replace(PLAIN, imbalance=imbalance, epochs=1)
    fitted = _fit(engine, "binary", seed=3)
    assert np.array_equal(_answers(fitted), _answers(_fit(engine, "binary", seed=3)))
    assert not np.array_equal(_answers(fitted), _answers(_fit(engine, "binary", seed=4)))
    save_state(tmp_path / "probe", "probe", fitted.state())
    loaded = load_state(tmp_path / "probe")
    assert loaded.settings == fitted.settings
    assert np.array_equal(_answers(fitted), _answers(loaded))


def test_answers_that_are_all_alike_are_told() -> None:
    class Notes:
        said: ClassVar[list[str]] = []

        def note(self, message: str) -> None:
            self.said.append(message)

        def track(self, items, message, total=None):
            yield from items

    asked = replace(_ask("binary", TRAIN), answers=np.zeros(1600))
    engine = replace(PLAIN, imbalance="over_sampling", epochs=1)
    fitted = engine.fit(INPUTS, {"binary": TASKS["binary"]}, {"binary": asked}, progress=Notes())
    assert "alike" in Notes.said[0]
    assert _answers(fitted).max() < 0.05


def test_what_was_not_learned_is_not_answered() -> None:
    fitted = _fit(replace(PLAIN, epochs=1), "binary")
    with pytest.raises(NotFitted, match="not 'count'"):
        _answers(fitted, "count")
    with pytest.raises(ConfigError, match="14 days"):
        fitted.answer(replace(TASKS["binary"], window_days=30), _ask("binary", HELD), INPUTS)
    half = replace(_ask("binary", TRAIN), answers=np.full(1600, 0.5))
    with pytest.raises(DataError, match="probe expected questions"):
        PLAIN.fit(INPUTS, {"binary": TASKS["binary"]}, {"binary": half})


def test_tuning_tunes_what_is_probed() -> None:
    small = {"dim": 16, "layers": 1, "max_epochs": 1, "batch": 2048}
    tasks = {"binary": TASKS["binary"]}
    tuned = Probe(settings=small).tune(
        INPUTS, tasks, {"binary": _ask("binary", TRAIN)}, {"binary": _ask("binary", HELD)}
    )
    assert tuned.settings["epochs"] >= 1
    assert replace(tuned, settings=small) == Probe(settings=small)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"of": "probe"}, "another engine"),
        ({"hidden": 0}, "hidden of at least 1"),
        ({"learning_rate": 0.0}, "learning_rate above 0"),
        ({"gamma": -1.0}, "gamma of at least 0"),
        ({"held_out": 1.0}, "held_out between 0 and 1"),
        ({"imbalance": "smote"}, "class_weights, focal"),
        ({"features": "all"}, "statistics, both"),
        ({"span": (4, 2)}, "two ascending numbers"),
    ],
)
def test_impossible_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Probe(**settings)


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoploom.engines.probe.probe.find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install"):
        PLAIN.fit(INPUTS, {}, {})
