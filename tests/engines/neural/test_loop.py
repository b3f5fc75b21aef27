from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shoploom.core.files import read_json
from shoploom.engines.neural import Neural, loop
from shoploom.engines.neural.fitting import fit
from shoploom.engines.neural.processes import Group

from ..shops import inputs
from .test_neural import SHOP

PLAIN = Neural(dim=16, layers=1, dropout=0.2, epochs=6, batch=64)


class _Killed(BaseException):
    pass


def _weights(engine: Neural) -> dict[str, np.ndarray]:
    return dict(engine.fit(inputs(SHOP), {}, {}).state().arrays)


def _interrupted(engine: Neural, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train with a checkpoint at every step until that many steps are done, then die."""
    descend = loop._Run._descend

    def dying(self: loop._Run, *what: object) -> object:
        if self.step == after:
            raise _Killed
        self._saved = -1e9  # long ago: a checkpoint is due after every step
        return descend(self, *what)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(loop._Run, "_descend", dying)
        with pytest.raises(_Killed):
            engine.fit(inputs(SHOP), {}, {})


@pytest.mark.parametrize("after", [1, 5, 9])
@pytest.mark.parametrize(
    "settings",
    [{}, {"optimiser": "sgd"}, {"pretrain": 2, "adversarial": "pgd", "curriculum": 3}],
    ids=["adamw", "sgd", "everything"],
)
def test_an_interrupted_training_ends_at_the_same_weights(
    after: int, settings: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = replace(PLAIN, **settings)
    saving = replace(engine, checkpoints=str(tmp_path / "at"))
    _interrupted(saving, after, monkeypatch)
    (saved, *_) = sorted(tmp_path.glob("at*/training.json"))
    assert read_json(saved)["step"] == after
    resumed, whole = _weights(saving), _weights(engine)
    assert whole.keys() == resumed.keys()
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)


def test_a_checkpoint_of_another_training_is_not_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saving = replace(PLAIN, checkpoints=str(tmp_path / "at"))
    _interrupted(saving, 5, monkeypatch)
    other = replace(PLAIN, learning_rate=0.01)
    with_folder = _weights(replace(other, checkpoints=str(tmp_path / "at")))
    plain = _weights(other)
    assert all(np.array_equal(plain[name], with_folder[name]) for name in plain)


def test_early_stopping_keeps_the_best_weights() -> None:
    engine = replace(PLAIN, epochs=None, max_epochs=40, patience=2)

    _, course = fit(engine, inputs(SHOP), {}, {}, seed=0)
    best = int(np.argmax(course.scores()))
    assert course.scores() == [value / max(course.qualities)[0] for (value,) in course.qualities]
    assert len(course.qualities) in (best + 3, 40)
    # Epochs here are short: several pass between two judgements.
    assert course.best == (best + 1) * len(course.losses) / len(course.qualities)


def test_the_seed_decides() -> None:
    fits = [PLAIN.fit(inputs(SHOP), {}, {}, seed=seed).state().arrays for seed in (0, 0, 1)]
    assert np.array_equal(fits[0]["items"], fits[1]["items"])
    assert not np.array_equal(fits[0]["items"], fits[2]["items"])


@pytest.mark.slow
def test_two_processes_train_one_network() -> None:
    alone = fit(PLAIN, inputs(SHOP), {}, {}, seed=0)[1]
    course = fit(replace(PLAIN, processes=2), inputs(SHOP), {}, {}, seed=0)[1]
    assert course.best == alone.best
    assert course.losses[-1] < course.losses[0]


def test_processes_share_all_steps_evenly() -> None:
    shares = [Group(rank, 3).share(range(8)) for rank in range(3)]
    assert shares == [[0, 3], [1, 4], [2, 5]]
    assert Group().share(range(3)) == [0, 1, 2]


def test_no_quality_decides_for_all_when_to_stop() -> None:
    # Nats fall a little where NDCG doubles: the second judgement is better.
    course = loop.Course(qualities=[[0.10, 2.0], [0.20, 1.8], [0.20, -9.0]])
    assert course.scores() == pytest.approx([0.75, 0.95, 0.0])
    assert loop.Course(qualities=[[-2.0], [-1.0]]).scores() == pytest.approx([-1.0, -0.5])
