"""Tuning: an engine's settings searched on the validation questions, with Optuna.

The engine says what may be chosen (``engines.space``). Every trial learns before the validation
moment and is judged on the validation questions; the test questions are never read. The study lies
in a database in the run folder, so that a search that was stopped goes on where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shoploom.core.errors import ConfigError, DataError, UnknownName
from shoploom.core.files import fingerprint, read_json, remove, write_json
from shoploom.core.progress import Progress
from shoploom.engines import Engine, Inputs, Options, Span, Tunable, fit_once, with_settings
from shoploom.evaluation import KS, compare, score
from shoploom.evaluation.metrics import describe as describe_metric
from shoploom.sequences import views
from shoploom.tables import open_tables
from shoploom.tasks import Answers, Task
from shoploom.workflows.archive import read_answers, write_answers
from shoploom.workflows.config import ShopConfig, describe
from shoploom.workflows.item_content import item_contents
from shoploom.workflows.run import Run
from shoploom.workflows.split import split_of
from shoploom.workflows.train import Asked, ask_all

if TYPE_CHECKING:
    import optuna

TUNING = "tuning"
_DEFAULTS = "defaults"  # the mark of the trial with the settings of shop.yaml
_DRAWN = 8  # trials drawn at random before the search learns from them
_SURE = 3  # judgements of a training before it may be compared with those before it


def tuning_json(run: Run, engine: str) -> Path:
    """Where the result of an engine's search lies."""
    return run.folder / TUNING / f"{engine}.json"


def tune(
    config: ShopConfig,
    run: Run,
    progress: Progress,
    *,
    engine: str = "neural",
    trials: int = 50,
    minutes: float | None = None,
) -> dict[str, Any]:
    """Search an engine's settings until so many trials are done or so many minutes are over.

    A trial's gain is the mean over tasks of how much better its metric is than with the settings
    of shop.yaml, as a share; these are the first trial. Trainings that fall behind the median of
    those before them are stopped.

    Returns:
        ``{"engine", "metrics", "defaults", "best", "versus", "importance", "trials"}``, also
        written to ``RUN/tuning/ENGINE.json``.

    Raises:
        UnknownName: shop.yaml has no such engine.
        ConfigError: nothing about the engine can be chosen.
        DataError: Optuna is not installed.
    """
    optuna = _optuna()
    if engine not in config.engines:
        raise UnknownName("engine", engine, config.engines, where="shop.yaml")
    start = config.engines[engine]
    if not isinstance(start, Tunable):
        able = [name for name, each in config.engines.items() if isinstance(each, Tunable)]
        raise ConfigError(
            f"expected an engine with settings to search, got {engine!r}, which chooses its own "
            f"while it trains; in shop.yaml {', '.join(able) or 'no engine'} can be searched."
        )
    search = _Search.of(config, run, engine, start, progress)
    if not search.tasks:
        raise DataError(f"engine {engine!r}: expected questions of its tasks, found none to judge.")
    until = None if minutes is None else time.monotonic() + 60 * minutes
    with search.study(optuna, config.seed) as study:
        for _ in progress.track(range(_done(study), trials), f"trials of {engine}"):
            if until is not None and time.monotonic() > until and _done(study):
                progress.note(f"{minutes:g} minutes are over; the same command goes on.")
                break
            search.run_trial(optuna, study, until, progress)
            write_json(tuning_json(run, engine), search.result(optuna, study, config.seed))
    return read_json(tuning_json(run, engine))


@dataclass(frozen=True)
class _Search:
    """What every trial of one search shares."""

    name: str
    engine: Engine
    space: Mapping[str, Span | Options]
    tasks: Mapping[str, Task]
    asked: Asked
    inputs: Inputs
    folder: Path
    mark: str
    seed: int

    @classmethod
    def of(
        cls, config: ShopConfig, run: Run, name: str, engine: Any, progress: Progress
    ) -> _Search:
        run.fingerprint_of("prepare")
        tables = open_tables(run.prepared)
        split = split_of(config, tables)
        asked = ask_all(config, run, tables, split, progress)
        tasks = {key: task for key, task in config.tasks_of(engine).items() if key in asked.valid}
        content = item_contents(run, config.encoders)
        encoded = run.fingerprint_of("encode") if config.encoders else None
        inputs = Inputs(until=split.valid, tables=tables, content=content, **views(tables))
        space = engine.space(tasks)
        mark = fingerprint(
            run.fingerprint_of("ask"),
            encoded,
            describe(engine),
            sorted(tasks),
            repr(space),
            config.seed,
        )
        folder = run.folder / TUNING / name / mark
        return cls(
            name, engine, space, tasks, asked.about(tasks), inputs, folder, mark, config.seed
        )

    @contextmanager
    def study(self, optuna: Any, seed: int) -> Iterator[optuna.Study]:
        """The study of this search, with what an earlier process left of it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        storage = optuna.storages.RDBStorage(f"sqlite:///{self.folder / 'study.db'}")
        try:
            yield self._begun(optuna, storage, seed)
        finally:
            storage.remove_session()
            storage.engine.dispose()

    def _begun(self, optuna: Any, storage: Any, seed: int) -> optuna.Study:
        made = optuna.create_study(
            study_name=self.name, storage=storage, direction="maximize", load_if_exists=True
        )
        for trial in made.trials:
            if trial.state == optuna.trial.TrialState.RUNNING:  # its process was killed
                made.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        # A search that goes on must not draw again what it has drawn.
        made.sampler = optuna.samplers.TPESampler(
            seed=seed + len(made.trials), n_startup_trials=_DRAWN
        )
        made.pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=_SURE)
        if _of_defaults(made) is None:
            now = {name: each.now for name, each in self.space.items()}
            made.enqueue_trial(now, user_attrs={_DEFAULTS: True})
        return made

    def run_trial(
        self, optuna: Any, study: optuna.Study, until: float | None, progress: Progress
    ) -> None:
        """One trial: learn, answer the validation questions, be judged."""
        trial = study.ask()
        chosen = {name: _suggest(trial, name, each) for name, each in self.space.items()}
        base = _of_defaults(study)
        try:
            with progress.step(f"Trial {trial.number}"):
                answers = self._answers(optuna, trial, chosen, until if base else None, progress)
        except optuna.TrialPruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            progress.note(f"trial {trial.number} fell behind and was stopped")
            return
        except BaseException:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            raise
        values = {
            name: score(task.kind, self.asked.valid[name], answers[name], resamples=0)[
                task.metric
            ].value
            for name, task in self.tasks.items()
        }
        trial.set_user_attr("values", values)
        gain = 0.0 if base is None else self._gain(values, base.user_attrs["values"])
        if not np.isfinite(gain):
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            return
        best = study.best_value if base is not None else -np.inf
        if gain > best:
            self._keep(answers, "best")
        if base is None:
            self._keep(answers, _DEFAULTS)
        study.tell(trial, gain)
        progress.note(f"trial {trial.number}: {gain:+.2%}, best {max(gain, best):+.2%}")

    def _answers(
        self,
        optuna: Any,
        trial: optuna.Trial,
        chosen: Mapping[str, Any],
        until: float | None,
        progress: Progress,
    ) -> dict[str, Answers]:
        engine = with_settings(self.engine, chosen)
        judged = 0

        def record(name: str, step: int, value: float) -> None:
            nonlocal judged
            if until is not None and time.monotonic() > until:
                raise optuna.TrialPruned
            if name == "quality":
                judged += 1
                trial.report(value, judged)
                if trial.should_prune():
                    raise optuna.TrialPruned

        how: dict[str, Any] = {"seed": self.seed}
        if "record" in signature(engine.tune).parameters:
            how["record"] = record
        # Nothing of a trial is kept for later: inputs of its own forget what it has learned.
        inputs = self.inputs.upto(self.inputs.until)
        asked = self.asked
        tuned = engine.tune(inputs, self.tasks, asked.train, asked.valid, **how)
        trial.set_user_attr("settings", describe(tuned))
        fitted = fit_once(tuned, inputs, self.tasks, asked.train, seed=self.seed)
        return {
            name: fitted.answer(task, asked.valid[name].unanswered(), inputs, k=max(KS))
            for name, task in self.tasks.items()
        }

    def _gain(self, values: Mapping[str, float], base: Mapping[str, float]) -> float:
        gains = []
        for name, task in self.tasks.items():
            better = 1.0 if describe_metric(task.metric).higher_is_better else -1.0
            gains.append(better * (values[name] - base[name]) / max(abs(base[name]), 1e-9))
        return float(np.mean(gains))

    def _keep(self, answers: Mapping[str, Answers], what: str) -> None:
        for name, given in answers.items():
            write_answers(self._path(name, what), self.asked.valid[name], given)

    def _path(self, task: str, what: str) -> Path:
        return self.folder / "answers" / f"{task}.{what}.parquet"

    def result(self, optuna: Any, study: optuna.Study, seed: int) -> dict[str, Any]:
        """All that is known so far."""
        base, states = _of_defaults(study), optuna.trial.TrialState
        done = [trial for trial in study.trials if trial.state == states.COMPLETE]
        if base is None:
            raise DataError(
                f"engine {self.name!r}: the settings of shop.yaml could not be judged, so that "
                "there is nothing to compare others with."
            )
        best = study.best_trial
        return {
            "engine": self.name,
            "metrics": {name: task.metric for name, task in self.tasks.items()},
            "n": {name: len(self.asked.valid[name]) for name in self.tasks},
            "defaults": base.user_attrs["values"],
            "best": {
                "number": best.number,
                "gain": best.value,
                "values": best.user_attrs["values"],
                "params": best.params,
            },
            "versus": self._versus(seed),
            "importance": _importance(optuna, study, len(done)),
            "trials": [_trial(trial) for trial in study.trials if trial.state.is_finished()],
        }

    def _versus(self, seed: int) -> dict[str, list[float | None]]:
        """By task, the metric with the best settings minus that with shop.yaml's, with interval."""
        found = {}
        for name, task in self.tasks.items():
            asked = self.asked.valid[name]
            both = {what: read_answers(self._path(name, what)) for what in ("best", _DEFAULTS)}
            versus = compare(task.kind, asked, both, "best", seed=seed)
            found[name] = versus[_DEFAULTS][task.metric].as_list()
        return found


def _suggest(trial: optuna.Trial, name: str, space: Span | Options) -> Any:
    if isinstance(space, Options):
        return trial.suggest_categorical(name, space.values)
    return trial.suggest_float(name, space.low, space.high, log=space.log)


def _of_defaults(study: optuna.Study) -> optuna.trial.FrozenTrial | None:
    """The finished trial with shop.yaml's settings."""
    for trial in study.trials:
        if trial.user_attrs.get(_DEFAULTS) and trial.value is not None:
            return trial
    return None


def _done(study: optuna.Study) -> int:
    """Trials that were judged or stopped on the way; failed ones do not count."""
    from optuna.trial import TrialState

    return sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in study.trials)


def _importance(optuna: Any, study: optuna.Study, n_done: int) -> dict[str, float]:
    """Share of the gain's variance that each setting explains (fANOVA: Hutter and others 2014)."""
    if n_done < _DRAWN:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


def _trial(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    seconds = trial.duration.total_seconds() if trial.duration is not None else None
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "gain": trial.value,
        "params": trial.params,
        "seconds": seconds,
    }


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise DataError(
            "expected the package optuna, found it nowhere; run: pip install 'shoploom[tune]'."
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def forget(run: Run, engine: str) -> None:
    """Remove all that searches of an engine have left."""
    remove(run.folder / TUNING / engine)
    remove(tuning_json(run, engine))
