"""Settings and inputs to a trained network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shoploom.core.columns import ACTIONS, PURCHASE
from shoploom.core.errors import ConfigError
from shoploom.core.files import fingerprint, remove
from shoploom.core.ids import Vocabulary
from shoploom.core.progress import Progress
from shoploom.core.seeds import rng
from shoploom.encoders.threads import one_thread
from shoploom.engines._ranking import Histories, histories
from shoploom.engines._search import ranking_judge
from shoploom.engines.cooccurrence import Cooccurrence
from shoploom.engines.engine import Inputs, ItemContent, Record, load_state
from shoploom.engines.neural.adversarial import Attack
from shoploom.engines.neural.asked import Reader, read
from shoploom.engines.neural.curves import curves_in
from shoploom.engines.neural.fitted import FittedNeural, FittedSingles, Learned, Popular, network_of
from shoploom.engines.neural.heads import KINDS, check_answers
from shoploom.engines.neural.loop import Course, Plan, Qualities, train
from shoploom.engines.neural.losses import ItemSoftmax, has_bfloat16
from shoploom.engines.neural.network import Network
from shoploom.engines.neural.objectives import (
    Contrast,
    MaskedEvents,
    NextEvent,
    Objective,
    Rebuild,
    TaskAnswers,
    hold_out,
    share_repeated,
)
from shoploom.engines.neural.trend import judged_with, trend_of, with_best_trend
from shoploom.engines.neural.weighting import LossWeights
from shoploom.engines.scale import QuantileScale
from shoploom.tasks import Kind, Questions, Task

if TYPE_CHECKING:
    from shoploom.engines.neural.neural import Neural

_HELD = 0.1  # share of the users that are held out, where nothing else says when to stop

_ALONE = 10  # epochs of events alone: tasks are learned by heart in less than events take

_ASKED = 5.0  # weight of the next visit, which rankings ask about, beside the next event's

_REPEATS = 0.01  # share of coming items that came before, from which on they are learned apart

_ONE_THREAD = 50_000  # events below which threads would mostly wait for each other


@dataclass(frozen=True)
class Validation:
    """Questions that judge each epoch, and the inputs they are answered from."""

    inputs: Inputs
    questions: Mapping[str, Questions]


def fit(
    settings: Neural,
    inputs: Inputs,
    tasks: Mapping[str, Task],
    questions: Mapping[str, Questions],
    *,
    seed: int,
    watch: Validation | None = None,
    progress: Progress | None = None,
    record: Record | None = None,
) -> tuple[FittedNeural, Course]:
    """The fitted network, and how its training went.

    With a number of epochs in the settings everything is learned from. Without it some users are
    held out, unless ``watch`` judges each epoch.
    """
    sequences = inputs.sequences(inputs.until)
    catalogue = sequences.items
    content = inputs.content(inputs.until) if settings.content else None
    if content is not None:
        if (catalogue.encode(content.items.ids) < 0).any():
            catalogue = Vocabulary.of([*catalogue.ids, *content.items.ids])
        content = content.take(catalogue)
    events = histories(sequences, sequences.users.ids, catalogue)
    popular = Popular.of(events, len(catalogue), rng(seed, "popularity"))
    # Rankings are learned from the events themselves.
    own = {name: asked for name, asked in questions.items() if tasks[name].kind != "ranking"}
    learned = _learned(tasks, own, inputs)
    source = None if settings.start_from is None else _source(Path(settings.start_from))
    network = network_of(
        settings,
        len(catalogue),
        seed,
        content=content,
        taken=popular.counts > 0,
        factors=_factors(inputs, catalogue, seed) if learned else None,
        learned=learned,
        repeats=_repeats(settings, events),
        source=source,
    )
    trend = trend_of(settings, events, len(catalogue))

    def now(network: Network, trend: Tensor | None) -> FittedNeural:
        return FittedNeural.of(settings, catalogue, network, popular, learned, trend)

    def answers(questions: Mapping[str, Questions], inputs: Inputs) -> TaskAnswers:
        readers = {name: learned[name].reader for name in questions}
        kinds: dict[str, Kind] = {name: learned[name].kind for name in questions}
        truth = {
            name: check_answers(asked.answers, kinds[name], name)
            for name, asked in questions.items()
        }
        known, rows = read(readers, questions, inputs, catalogue, settings.length, truth)
        return TaskAnswers(known, rows, kinds, len(catalogue), tokens=4 * settings.batch)

    qualities: list[Qualities] = []
    weights = {
        Rebuild.name: settings.rebuild,
        MaskedEvents.name: settings.masked,
        Contrast.name: settings.contrast,
        NextEvent.visit: _ASKED,
        **settings.weights,
    }
    own = {name: asked for name, asked in own.items() if weights.get(name, 1.0) > 0}
    if watch is not None:
        ranked, others = {}, {}
        for name, asked in watch.questions.items():
            if tasks[name].kind == "ranking":
                ranked[name] = asked
            elif name in own:
                others[name] = asked
        if ranked:
            judge: Any = ranking_judge(_itself, watch.inputs, tasks, ranked, seed)  # type: ignore[arg-type]
            tried = judged_with(settings, events, len(catalogue))
            qualities.append(lambda network: [max(judge(now(network, x)) for x in tried)])
        if others:
            qualities.append(_gains(answers(others, watch.inputs), learned))
    elif settings.epochs is None:
        events, held = hold_out(events, rng(seed, "held out"), share=_HELD)
        if len(held) and weights.get(NextEvent.name, 1.0) > 0:
            qualities.append(lambda network: [held.quality(network)])
        own, apart = _apart(own, rng(seed, "held out users"))
        if own and apart:
            qualities.append(_gains(answers(apart, inputs), learned))
    unasked = _self_supervised(settings, events, popular, network, _asked_action(tasks, popular))
    lesson = _Lesson(
        events=[each for each in unasked if weights.get(each.name, 1.0) > 0],
        asked=[answers(own, inputs)] if own else [],
        weights=weights,
        qualities=qualities,
        watched=watch is not None,
        identity=_identity(settings, events, own, content, seed, watch is not None, source),
    )
    small = len(events.item) < _ONE_THREAD
    with one_thread(torch=True) if small else nullcontext():
        course = _learn(network, lesson, settings, inputs.kept, seed, progress, record)
    return now(network, trend), course


@dataclass(frozen=True)
class _Lesson:
    """What is learned, and what judges it.

    Attributes:
        events: objectives of the events themselves.
        asked: that of the tasks, if there is one.
        weights: of losses by name.
        qualities: what judges each epoch.
        watched: whether validation is among it.
        identity: what must agree for an interrupted training to go on.
    """

    events: Sequence[Objective]
    asked: Sequence[Objective]
    weights: Mapping[str, float]
    qualities: Sequence[Qualities]
    watched: bool
    identity: str


def _learn(
    network: Network,
    lesson: _Lesson,
    settings: Neural,
    kept: Path | None,
    seed: int,
    progress: Progress | None,
    record: Record | None,
) -> Course:
    """Train in place: events alone for some epochs where tasks come after them, then everything."""
    everything = [*lesson.events, *lesson.asked]
    if not everything:
        return Course()
    checkpoints = None if settings.checkpoints is None else Path(settings.checkpoints)
    if checkpoints is None and kept is not None:
        checkpoints = kept / f"training-{lesson.identity}"
    before = checkpoints and checkpoints.with_name(f"{checkpoints.name}-pretraining")
    plan = _plan(settings, checkpoints, watched=lesson.watched)
    written = None if record is not None or settings.curves is None else Path(settings.curves)
    with curves_in(written) as curves:

        def learn(
            what: Sequence[Objective], plan: Plan, quality: Qualities | None = None
        ) -> Course:
            names = [name for each in what for name in each.names]
            return train(
                network,
                what,
                plan,
                LossWeights(settings.weighting, names, lesson.weights),
                seed=seed,
                quality=quality,
                identity=lesson.identity,
                progress=progress,
                record=record or curves,
            )

        epochs = settings.pretrain
        if epochs is None:
            epochs = _ALONE if lesson.asked else 0
        if epochs and lesson.events:
            learn(lesson.events, replace(plan, epochs=epochs, checkpoints=before))
        course = learn(everything, plan, _all(lesson.qualities))
    if checkpoints and before and settings.checkpoints is None:
        remove(checkpoints)
        remove(before)
    return course


def follow_trend(
    settings: Neural,
    fitted: FittedNeural,
    inputs: Inputs,
    tasks: Mapping[str, Task],
    watch: Validation,
    *,
    seed: int,
) -> tuple[Neural, FittedNeural]:
    """The settings with the trend that is best on validation, unless they name one; and the network
    with them.

    Args:
        settings: with the number of epochs.
        fitted: what they gave.
        inputs: what it was fitted on.
        tasks: by name.
        watch: the validation; rankings judge.
        seed: of the sample that judges.
    """
    sequences = inputs.sequences(inputs.until)
    events = histories(sequences, sequences.users.ids, fitted.catalogue)
    n_items = len(fitted.catalogue)

    def follow(settings: Neural) -> FittedNeural:
        return replace(fitted, settings=settings, trend=trend_of(settings, events, n_items))

    ranked = {n: asked for n, asked in watch.questions.items() if tasks[n].kind == "ranking"}
    if settings.trend is None and ranked:
        judge = ranking_judge(follow, watch.inputs, tasks, ranked, seed)  # type: ignore[arg-type]
        settings = with_best_trend(settings, events, n_items, judge)  # type: ignore[arg-type]
    return settings, follow(settings)


def fit_singles(
    settings: Neural,
    inputs: Inputs,
    tasks: Mapping[str, Task],
    questions: Mapping[str, Questions],
    *,
    seed: int,
    progress: Progress | None = None,
) -> FittedSingles:
    """A network for each task, learned from its own questions alone: the control."""
    parts = {}
    for name in questions or tasks:
        own = {} if tasks[name].kind == "ranking" else {NextEvent.name: 0.0}
        alone = replace(settings, weighting="fixed", weights={**settings.weights, **own})
        if settings.checkpoints is not None:
            alone = replace(alone, checkpoints=str(Path(settings.checkpoints) / name))
        asked = {name: questions[name]} if name in questions else {}
        parts[name] = fit(alone, inputs, tasks, asked, seed=seed, progress=progress)[0]
    return FittedSingles(parts)


def _learned(
    tasks: Mapping[str, Task], questions: Mapping[str, Questions], inputs: Inputs
) -> dict[str, Learned]:
    """How the questions of each task are read, and what its head starts from."""
    if not questions:
        return {}
    scale = QuantileScale.of(inputs.statistics(inputs.until).values)
    learned = {}
    for name, asked in questions.items():
        kind = tasks[name].kind
        truth = check_answers(asked.answers, kind, name)
        reader = Reader.of(asked, inputs, scale)
        learned[name] = Learned(
            kind, reader, tuple(KINDS[kind].start(truth)), tasks[name].window_days
        )
    return learned


def _factors(inputs: Inputs, catalogue: Vocabulary, seed: int) -> NDArray[np.float32]:
    """``(n_items, dim)`` factors of co-occurrence, each of length one; zeros where unknown."""
    fitted = Cooccurrence().fit(inputs, {}, {}, seed=seed)
    factors = np.zeros((len(catalogue), fitted.settings.dim), dtype=np.float32)
    own = fitted.factors
    length = np.linalg.norm(own, axis=1, keepdims=True)
    factors[catalogue.encode(fitted.catalogue.ids)] = own / np.maximum(length, 1e-9)
    return factors


def _source(folder: Path) -> FittedNeural:
    """The saved engine to start from.

    Raises:
        ConfigError: the folder holds another engine.
    """
    fitted = load_state(folder)
    if not isinstance(fitted, FittedNeural):
        raise ConfigError(
            f"engine 'neural': expected start_from to be the folder of a saved engine 'neural' "
            f"that is one network, such as RUN/engines/neural, got {folder}."
        )
    return fitted


def _self_supervised(
    settings: Neural,
    events: Histories,
    popular: Popular,
    network: Network,
    asked: int | None,
) -> list[Objective]:
    """What is learned from the events themselves."""
    n_items = len(popular.counts)
    softmax = ItemSoftmax(
        n_items,
        np.bincount(events.item, minlength=n_items),
        smoothing=settings.smoothing,
        negatives=settings.negatives if n_items > settings.full_softmax else None,
        dtype=_precision(settings),
    )

    def make(kind: type[NextEvent]) -> NextEvent:
        return kind(
            events,
            n_items,
            settings.length,
            softmax,
            tokens=settings.batch,
            causal=network.causal,
            asked=asked,
        )

    found: list[NextEvent | Contrast] = [make(NextEvent), make(MaskedEvents)]
    if network.content is not None:
        found += [make(Rebuild), Contrast(network.content.present)]
    return [each for each in found if len(each)]


def _repeats(settings: Neural, events: Histories) -> float | None:
    """The share of coming items that came before, where these are to be learned apart."""
    share = share_repeated(events)
    wanted = share >= _REPEATS if settings.repeats is None else settings.repeats
    return share if wanted else None


def _asked_action(tasks: Mapping[str, Task], popular: Popular) -> int | None:
    """The action that rankings ask about; None without one, or where every event is of it."""
    for task in tasks.values():
        code = ACTIONS.index(getattr(task, "action", PURCHASE))
        if task.kind == "ranking" and 0 < popular.actions[code] < popular.actions.sum():
            return code
    return None


def _apart(
    questions: Mapping[str, Questions], rng: np.random.Generator
) -> tuple[dict[str, Questions], dict[str, Questions]]:
    """The questions about most users, and those about the users held out; no task without any."""
    users = sorted({str(user) for asked in questions.values() for user in asked.users})
    held = np.array(users, dtype=str)[rng.random(len(users)) < _HELD]
    left, apart = {}, {}
    for name, asked in questions.items():
        out = np.isin(asked.users.astype(str), held)
        for part, rows in ((left, ~out), (apart, out)):
            if rows.any():
                part[name] = asked.take(np.flatnonzero(rows))
    return left, apart


def _gains(answers: TaskAnswers, learned: Mapping[str, Learned]) -> Qualities:
    start = {name: learned[name].start for name in answers.names}
    return lambda network: list(answers.gains(network, start).values())


def _all(qualities: Sequence[Qualities]) -> Qualities | None:
    if not qualities:
        return None
    return lambda network: [value for each in qualities for value in each(network)]


def _itself(fitted: FittedNeural) -> FittedNeural:
    return fitted


def _plan(settings: Neural, checkpoints: Path | None, *, watched: bool) -> Plan:
    return Plan(
        epochs=settings.max_epochs if settings.epochs is None or watched else settings.epochs,
        patience=settings.patience,
        optimiser=settings.optimiser,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        average=settings.average,
        curriculum=settings.curriculum,
        attack=_attack(settings),
        processes=settings.processes,
        checkpoints=checkpoints,
    )


def _attack(settings: Neural) -> Attack | None:
    if settings.adversarial == "none":
        return None
    steps = settings.adversarial_steps if settings.adversarial == "pgd" else 1
    return Attack(settings.adversarial_size, steps)


def _precision(settings: Neural) -> torch.dtype:
    if settings.precision == "auto":
        return torch.bfloat16 if has_bfloat16() else torch.float32
    return torch.bfloat16 if settings.precision == "bfloat16" else torch.float32


def _identity(
    settings: Neural,
    events: Histories,
    questions: Mapping[str, Questions],
    content: ItemContent | None,
    seed: int,
    watched: bool,
    source: FittedNeural | None,
) -> str:
    """What must agree for an interrupted training to go on."""
    digest = hashlib.sha256()
    for array in (events.item, events.action, events.time, events.offsets):
        digest.update(array.tobytes())
    for name in sorted(questions):
        digest.update(name.encode())
        digest.update(questions[name].times.tobytes())
        digest.update(np.asarray(questions[name].answers).tobytes())
    for name, vectors in sorted(content.vectors.items()) if content is not None else ():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(vectors).data)
    for name, array in sorted(source.state().arrays.items()) if source is not None else ():
        digest.update(name.encode())
        digest.update(array.tobytes())
    return fingerprint(settings.json(), seed, watched, digest.hexdigest())
