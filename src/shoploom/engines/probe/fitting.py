"""Training a head per task; what it reads stays as it is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from shoploom.core.progress import Progress, Quiet
from shoploom.core.seeds import rng
from shoploom.engines.engine import Fitted, Inputs
from shoploom.engines.neural.heads import KINDS, check_answers
from shoploom.engines.probe.calibration import Platt, fit_platt, prior_shift
from shoploom.engines.probe.features import Asked, Examples, Features
from shoploom.engines.probe.fitted import FittedProbe, Learned, log_odds
from shoploom.engines.probe.imbalance import Strategy, strategy
from shoploom.engines.probe.probe import Probe
from shoploom.tasks import Questions, Task


def fit(
    settings: Probe,
    part: Fitted | None,
    inputs: Inputs,
    tasks: Mapping[str, Task],
    questions: Mapping[str, Questions],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> FittedProbe:
    """A head for every task that has questions, on what the part knows of their users."""
    features = Features.of(settings, part, inputs)
    shown = progress or Quiet()
    learned = {}
    for name, asked in shown.track(questions.items(), "heads of the probe", len(questions)):
        learned[name] = _learn(settings, features, inputs, tasks[name], asked, seed, shown)
    return FittedProbe(settings, features, learned)


def _learn(
    settings: Probe,
    features: Features,
    inputs: Inputs,
    task: Task,
    questions: Questions,
    seed: int,
    progress: Progress,
) -> Learned:
    answers = check_answers(questions.answers, task.kind, task.name, engine="probe")
    asked = Asked.of(questions, inputs)
    examples = asked.examples(questions, features, inputs)
    yes_or_no = task.kind in ("binary", "multilabel")
    train, held = np.arange(len(examples)), np.arange(0)
    if yes_or_no and settings.recalibrate:
        train, held = _apart(questions.users, settings.held_out, seed)
    own = examples.take(train)
    how = Strategy(KINDS[task.kind].loss, lambda draw: draw.permutation(len(own)))
    if yes_or_no and settings.imbalance != "none":
        if 0 < own.answers.sum() < len(own):
            how = strategy(
                settings.imbalance, own, gamma=settings.gamma, seed=_seed(seed, task.name)
            )
        else:
            progress.note(f"probe: all answers of {task.name} are alike, so none is rarer")
    start = KINDS[task.kind].start(np.array([0.0, 1.0]) if how.balanced else own.answers)
    blank = Learned(task.kind, asked, tuple(start), task.window_days, settings.hidden)
    learned = _train(blank, features.dim, own, how, settings, seed=_seed(seed, task.name))
    if len(held):
        usual = float(answers[train].mean())
        shift = prior_shift(0.5, usual) if how.balanced else 0.0
        said = log_odds(learned, examples.take(held))
        learned = learned.calibrated(fit_platt(said, answers[held], start=Platt(intercept=shift)))
    return learned


def _train(
    blank: Learned, dim: int, examples: Examples, how: Strategy, settings: Probe, *, seed: int
) -> Learned:
    """The head after its epochs."""
    draw = rng(seed, "probe rows")
    head = blank.new_head(dim, seed).train()
    optimiser = torch.optim.Adam(head.parameters(), lr=settings.learning_rate)
    for _ in range(settings.epochs):
        rows = how.rows(draw)
        for first in range(0, len(rows), settings.batch):
            batch = how.add(examples.batch(rows[first : first + settings.batch]), draw)
            loss = how.loss(head(batch.profile, batch.pairs, batch.subject), batch.answers)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
    return blank.with_head(head)


def _apart(
    users: NDArray[np.object_], share: float, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows to learn from and rows of the users held out; no user has some of both."""
    names, of = np.unique(users.astype(str), return_inverse=True)
    held = np.zeros(len(names), dtype=bool)
    n = min(round(share * len(names)), len(names) - 1)
    held[rng(seed, "probe held out").permutation(len(names))[:n]] = True
    return np.flatnonzero(~held[of]), np.flatnonzero(held[of])


def _seed(seed: int, task: str) -> int:
    """A seed of the task's own, so that other tasks beside it change nothing."""
    return int(rng(seed, "probe", task).integers(2**31))
