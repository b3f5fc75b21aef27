"""A trained network that answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shoploom.core.columns import ACTIONS, PURCHASE
from shoploom.core.errors import ConfigError, DataError, NotFitted
from shoploom.core.ids import Vocabulary
from shoploom.core.seeds import rng
from shoploom.engines._features import Columns
from shoploom.engines._ranking import Histories, Ranked, by_moment, popular_first
from shoploom.engines.engine import Inputs, ItemContent, State
from shoploom.engines.neural.asked import Known, Reader, read
from shoploom.engines.neural.backbones import Shape
from shoploom.engines.neural.content import Content, Whitening, read_items, whitenings
from shoploom.engines.neural.heads import KINDS, Head
from shoploom.engines.neural.network import Network, directions
from shoploom.engines.neural.objectives import last_batches, mask
from shoploom.engines.neural.profile import Profile
from shoploom.engines.neural.tokens import VISIT, buckets, histories_in
from shoploom.engines.scale import QuantileScale
from shoploom.tasks import Answers, Kind, Questions, Task

if TYPE_CHECKING:
    from shoploom.engines.neural.export import Exported
    from shoploom.engines.neural.neural import Neural

T = TypeVar("T")

#: Arrays of a state that have a row for each item.
_PER_ITEM = frozenset(
    {"items", "trend", "popular.counts", "network.item.weight", "network.profile.factors"}
)
_TOKENS = 8192  # events read at once
_CELLS = 4_000_000  # scores held at once: 16 MB


@dataclass(frozen=True)
class Popular:
    """What was learned by counting.

    Attributes:
        counts: ``(n_items,)`` int64 events of each item.
        actions: ``(n_actions,)`` int64 events of each code of core.columns.ACTIONS.
        order: ``(n_items,)`` int32 codes from the most frequent on, ties shuffled by the seed.
    """

    counts: NDArray[np.int64]
    actions: NDArray[np.int64]
    order: NDArray[np.int32]

    @classmethod
    def of(cls, events: Histories, n_items: int, rng: np.random.Generator) -> Popular:
        counts = np.bincount(events.item, minlength=n_items)
        actions = np.bincount(events.action, minlength=len(ACTIONS))
        return cls(counts, actions, popular_first(counts.astype(np.float64), rng))

    def log_shares(self) -> Tensor:
        """``(n_items,)`` logarithm of each item's share, none of it infinite; ties by order."""
        place = np.empty(len(self.order))
        place[self.order] = np.arange(len(self.order))
        counts = self.counts + 0.5 - 0.4 * place / max(len(place), 1)
        return torch.from_numpy(np.log(counts / counts.sum()).astype(np.float32))


@dataclass(frozen=True)
class Learned:
    """A task that was learned.

    Attributes:
        kind: of the task.
        reader: how its questions are read.
        start: what its head started from.
        window_days: the window that its questions asked about.
    """

    kind: Kind
    reader: Reader
    start: tuple[float, ...]
    window_days: int

    def head(self, profile: Profile, dropout: float) -> Head:
        """A head for such profiles; statistics are its broad way in."""
        subjects = self.reader.subjects
        return Head(
            profile.dim,
            len(self.reader.columns.pairs),
            0 if subjects is None else len(subjects),
            list(self.start),
            dropout=dropout,
            narrow=profile.blocks["statistics"][0],
        )


def network_of(
    settings: Neural,
    n_items: int,
    seed: int,
    *,
    content: ItemContent | None = None,
    taken: NDArray[np.bool_] | None = None,
    factors: NDArray[np.float32] | None = None,
    learned: Mapping[str, Learned] | None = None,
    repeats: float | None = None,
    source: FittedNeural | None = None,
) -> Network:
    """The network of these settings, drawn by the seed, ready to answer.

    Args:
        settings: of the engine.
        n_items: size of the catalogue.
        seed: of the weights.
        content: of the items.
        taken: ``(n_items,)`` which of them were met in training.
        factors: ``(n_items, dim)`` of co-occurrence, where there are tasks.
        learned: tasks with a head.
        repeats: the share of coming items that are in the history, where these are learned apart.
        source: what another shop has learned, to start from: everything but its items.
    """
    shape = Shape(
        dim=settings.dim,
        layers=settings.layers,
        heads=settings.heads,
        length=settings.length,
        dropout=settings.dropout,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng(seed, "network").integers(2**31)))
        read, profile, heads = None, None, {}
        if content is not None:
            ready = whitenings(
                content, settings.content_dim, {} if source is None else source.whitenings()
            )
            if ready:
                read = Content(content, ready, settings.dim, dropout=settings.modality_dropout)
        if learned and factors is not None:
            n_numbers = len(next(iter(learned.values())).reader.columns.statistics)
            profile = Profile(settings.dim, torch.from_numpy(factors), n_numbers)
            heads = {name: each.head(profile, settings.dropout) for name, each in learned.items()}
        network = Network(
            n_items,
            settings.backbone,
            shape,
            temperature=settings.temperature,
            content=read,
            taken=None if taken is None else torch.from_numpy(taken),
            item_dropout=settings.item_dropout,
            repeats=repeats,
            profile=profile,
            heads=heads,
            apart=settings.weighting == "apart",
        ).eval()
    if source is not None:
        source.hand_over(network)
    return network


@dataclass(frozen=True)
class FittedNeural:
    """A trained network.

    Attributes:
        settings: the engine's settings.
        catalogue: ``n_items`` items.
        network: the weights.
        items: ``(n_items, dim)`` what the network makes of each item.
        popular: counts, for users without history.
        learned: tasks with a head, by name.
        reading: arrays by name of how content is read: for items that come later, and for another
            shop to start from. The vectors of the items that there were are kept.
        trend: ``(n_items,)`` what is added to log-probabilities; None adds nothing.
    """

    settings: Neural
    catalogue: Vocabulary
    network: Network
    items: Tensor
    popular: Popular
    learned: Mapping[str, Learned] = field(default_factory=dict)
    reading: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    trend: Tensor | None = None

    @classmethod
    def of(
        cls,
        settings: Neural,
        catalogue: Vocabulary,
        network: Network,
        popular: Popular,
        learned: Mapping[str, Learned],
        trend: Tensor | None,
    ) -> FittedNeural:
        """The network as it is now."""
        with torch.no_grad():
            items = network.items().clone()
        reading = _reading(network)
        return cls(settings, catalogue, network, items, popular, learned, reading, trend)

    def whitenings(self) -> dict[str, Whitening]:
        """By modality, how its vectors were made ready."""
        names = {name.split(".")[1] for name in self.reading if name.startswith("whitening.")}
        return {
            name: Whitening(
                self.reading[f"whitening.{name}.mean"], self.reading[f"whitening.{name}.axes"]
            )
            for name in names
        }

    def hand_over(self, network: Network) -> None:
        """Give a network all that was learned and does not depend on the shop's items.

        Heads are given where the other shop asks the same task about equally many subjects.

        Raises:
            ConfigError: the networks differ in size.
        """
        if self.network.shape != network.shape or type(self.network.backbone) is not type(
            network.backbone
        ):
            raise ConfigError(
                f"engine 'neural': expected the size of the engine that it starts from, backbone "
                f"{self.settings.backbone} and {self.network.shape}, got {network.shape}; set the "
                "same `backbone`, `dim`, `layers`, `heads`, `length` and `dropout`."
            )
        given = {
            name: value
            for name, value in self.network.state_dict().items()
            if not name.startswith(("item.", "profile."))
        }
        given |= {name: torch.from_numpy(value) for name, value in self.reading.items()}
        own = network.state_dict()
        same = {n: v for n, v in given.items() if n in own and own[n].shape == v.shape}
        network.load_state_dict(same, strict=False)

    def answer(self, task: Task, questions: Questions, inputs: Inputs, *, k: int = 20) -> Answers:
        """The likeliest items, or what the task's head says.

        Scores of items are probabilities among all items, before any are excluded. A user
        without history gets popular ones; other tasks are answered from what is left to see.
        Items with content that came after the training are known by it, those that the inputs
        have at the earliest moment asked about.

        Raises:
            NotFitted: the task was not learned.
            ConfigError: it was learned for another window.
        """
        if len(questions):
            known = self._with_new_items(inputs, int(questions.times.min()))
            if known is not self:
                return known.answer(task, questions, inputs, k=k)
        if task.kind == "ranking":
            return self._rank(task, questions, inputs, k)
        if task.name not in self.learned:
            raise NotFitted(
                f"neural has learned {', '.join(self.learned) or 'rankings only'}, not "
                f"{task.name!r}; fit it with questions of that task."
            )
        learned = self.learned[task.name]
        if task.window_days != learned.window_days:
            raise ConfigError(
                f"neural learned {task.name!r} for a window of {learned.window_days} days, and "
                f"was asked about {task.window_days}; train on that window."
            )
        values = np.empty(len(questions))
        if not len(questions):
            return Answers(task.name, values=values)
        order = _canonical(questions)
        seen, rows = read(
            {task.name: learned.reader},
            {task.name: questions.take(order)},
            inputs,
            self.catalogue,
            self.settings.length,
        )
        with torch.inference_mode():
            for users, profiles in self._profiles(seen):
                asked = rows[task.name].about(users)
                outputs = self.network.outputs(task.name, profiles, asked)
                values[order[asked.rows]] = KINDS[learned.kind].answer(outputs).numpy()
        return Answers(task.name, values=values)

    def _rank(self, task: Task, questions: Questions, inputs: Inputs, k: int) -> Answers:
        ranked = Ranked.empty(len(questions), k)
        listed = min(k, len(self.catalogue))
        for at, rows in by_moment(questions.times):
            # In the order of the ids, so that rounding does not depend on the order asked.
            users, place = np.unique(questions.users[rows], return_inverse=True)
            asked = histories_in(inputs.sequences(at), users, self.catalogue)
            part = Ranked.empty(len(users), k)
            for some_rows, scores in self.log_probabilities(asked, self._action(task)):
                if questions.exclude_seen:
                    mask(scores, asked, some_rows)
                best, items = torch.topk(scores, listed, dim=1)
                items[best == -torch.inf] = -1
                part.items[some_rows, :listed] = items.numpy()
                part.scores[some_rows, :listed] = best.exp().numpy()  # 0 where nothing is left
            ranked.items[rows], ranked.scores[rows] = part.items[place], part.scores[place]
        return ranked.answers(questions, self.catalogue)

    def log_probabilities(
        self, asked: Histories, action: int = ACTIONS.index(PURCHASE)
    ) -> Iterator[tuple[NDArray[np.intp], Tensor]]:
        """Of all items as the next one, for some rows at a time.

        Args:
            asked: histories.
            action: code of the action that is asked for.

        Yields:
            Rows, and ``(len(rows), n_items)`` float32 log-probabilities.
        """
        n_rows = max(1, _CELLS // max(len(self.catalogue), 1))
        lengths = np.diff(asked.offsets)
        shares = None
        empty = np.flatnonzero(lengths == 0)
        for start in range(0, len(empty), n_rows):
            if shares is None:
                shares = self._now(self.popular.log_shares()[None])
            rows = empty[start : start + n_rows]
            yield rows, shares.repeat(len(rows), 1)
        with torch.inference_mode():
            for rows, batch in last_batches(self.network, asked, _TOKENS, n_rows):
                coming = torch.full((len(rows),), action)
                scores = self.network.last_scores(batch, self.items, coming)
                yield rows, self._now(scores)

    def _now(self, logits: Tensor) -> Tensor:
        """``(n, n_items)`` log-probabilities as of late, from logits that are overwritten."""
        if self.trend is not None:
            logits += self.trend
        return logits.sub_(torch.logsumexp(logits, 1, keepdim=True))

    def represent(self, users: NDArray[np.object_], at: int, inputs: Inputs) -> NDArray[np.float32]:
        """``(len(users), dim)`` profiles, or states after the last event where no task has a head.

        Zeros for a user without history.
        """
        known = self._with_new_items(inputs, at)
        if known is not self:
            return known.represent(users, at, inputs)
        distinct, place = np.unique(users, return_inverse=True)
        if self.learned:
            reader = next(iter(self.learned.values())).reader
            reader = Reader(Columns(reader.columns.statistics), reader.scale)
            asked = Questions("represent", distinct, np.full(len(distinct), at, dtype=np.int64))
            seen, rows = read(
                {asked.task: reader},
                {asked.task: asked},
                inputs,
                self.catalogue,
                self.settings.length,
            )
            assert self.network.profile is not None
            out = np.zeros((len(distinct), self.network.profile.dim), dtype=np.float32)
            with torch.inference_mode():
                for some, profiles in self._profiles(seen):
                    out[rows[asked.task].order[some]] = profiles.numpy()
            return out[place]
        events = histories_in(inputs.sequences(at), distinct, self.catalogue)
        out = np.zeros((len(distinct), self.settings.dim), dtype=np.float32)
        with torch.inference_mode():
            for rows, batch in last_batches(self.network, events, _TOKENS):
                out[rows] = batch.last(self.network.states(batch, self.items)).numpy()
        return out[place]

    def _with_new_items(self, inputs: Inputs, at: int) -> FittedNeural:
        """Itself; where items came after the training, what knows them by their content as well."""
        content = inputs.content(at) if self.reading else None
        if content is None or content.items is self.catalogue:
            return self
        # What the keys name is kept beside the values, so that nothing else gets its id.
        known, _ = inputs.once(
            ("neural: items known", id(self.catalogue), id(content)),
            lambda: (
                (self.catalogue.encode(content.items.ids) >= 0).all(),
                (self.catalogue, content),
            ),
        )
        if known:
            return self
        grown, _ = inputs.once(
            ("neural: with new items", id(self), id(content)),
            lambda: (self._grown(content), (self, content)),
        )
        return grown

    def _grown(self, content: ItemContent) -> FittedNeural:
        """With all items of the content in the catalogue."""
        state, old = self.state(), self.catalogue
        catalogue = Vocabulary.of([*old.ids, *content.items.ids])
        place = catalogue.encode(old.ids)
        new = np.setdiff1d(np.arange(len(catalogue)), place)
        arrays = dict(state.arrays)
        for name in _PER_ITEM & arrays.keys():
            rows = np.zeros((len(catalogue), *arrays[name].shape[1:]), arrays[name].dtype)
            rows[place] = arrays[name]
            arrays[name] = rows
        order = place[arrays["popular.order"]]
        arrays["popular.order"] = np.concatenate((order, new)).astype(np.int32)
        said = content.take(Vocabulary(catalogue.ids[new]))
        read = read_items(said, self.whitenings(), self.reading, self.settings.dim)
        arrays["items"][new] = directions(torch.from_numpy(read)).numpy()
        return self.from_state(
            State(state.config, arrays, {**state.vocabularies, "items": catalogue})
        )

    def _profiles(self, known: Known) -> Iterator[tuple[NDArray[np.intp], Tensor]]:
        """Places of some users and moments, with their profiles, until all have come."""
        for users in buckets(known.lengths, _TOKENS):
            seen = known.batch(users, len(self.catalogue))
            yield users, self.network.profiles(seen, self.items)

    def export(self, folder: Path, about: Mapping[str, Any]) -> Exported:
        """The user tower as ONNX, with its items and a card, in a folder."""
        if find_spec("onnx") is None:
            raise DataError(
                "engine 'neural': expected the package onnx, found it nowhere; "
                "run: pip install 'shoploom[export]'."
            )
        from shoploom.engines.neural.export import export

        return export(self, folder, about)

    def state(self) -> State:
        """Weights, counts and scales as arrays, the settings, the vocabularies."""
        weights = {
            f"network.{name}": value.numpy()
            for name, value in self.network.state_dict().items()
            # What content gave is in the vectors of the items.
            if not name.startswith(("content.", "rebuild."))
        }
        weights["items"] = self.items.numpy()
        weights |= {f"reading.{name}": value for name, value in self.reading.items()}
        if self.trend is not None:
            weights["trend"] = self.trend.numpy()
        counts = {f"popular.{name}": value for name, value in vars(self.popular).items()}
        scales, vocabularies, tasks = {}, {"items": self.catalogue}, {}
        for name, each in self.learned.items():
            scales["scale"] = each.reader.scale.quantiles
            scales[f"scale.{name}"] = each.reader.pair_scale.quantiles
            if each.reader.subjects is not None:
                vocabularies[f"subjects.{name}"] = each.reader.subjects
            tasks[name] = {
                "kind": each.kind,
                "columns": each.reader.columns.json(),
                "start": list(each.start),
                "window_days": each.window_days,
            }
        return State(
            config={"settings": self.settings.json(), "tasks": tasks},
            arrays={**weights, **counts, **scales},
            vocabularies=vocabularies,
        )

    @staticmethod
    def from_state(state: State) -> FittedNeural:
        """The fitted network that gave this state."""
        from shoploom.engines.neural.neural import Neural

        settings, arrays = Neural(**state.config["settings"]), state.arrays
        catalogue = state.vocabularies["items"]
        learned = {
            name: Learned(
                saved["kind"],
                Reader(
                    Columns.from_json(saved["columns"]),
                    QuantileScale(arrays["scale"]),
                    QuantileScale(arrays[f"scale.{name}"]),
                    state.vocabularies.get(f"subjects.{name}"),
                ),
                tuple(saved["start"]),
                saved["window_days"],
            )
            for name, saved in state.config["tasks"].items()
        }
        factors = arrays.get("network.profile.factors")
        network = network_of(
            settings,
            len(catalogue),
            0,
            factors=factors,
            learned=learned,
            repeats=0.5 if any(name.startswith("network.repeats.") for name in arrays) else None,
        )
        weights = {
            name: torch.from_numpy(array.copy()) for name, array in _of("network.", arrays).items()
        }
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise DataError(
                "engine 'neural': expected the weights of a network of this version, got others "
                f"({str(error).splitlines()[-1].strip()}); train it again."
            ) from None
        popular = Popular(*(arrays[f"popular.{name}"] for name in ("counts", "actions", "order")))
        items = torch.from_numpy(arrays["items"].copy())
        reading, trend = _of("reading.", arrays), arrays.get("trend")
        trend = None if trend is None else torch.from_numpy(trend.copy())
        return FittedNeural(settings, catalogue, network, items, popular, learned, reading, trend)

    def _action(self, task: Task) -> int:
        """What a ranking looks for: a visit's items, where other actions lead to the task's own.

        Where all events are of one action, it is that one; where the task's action was never seen,
        the most frequent one.
        """
        counts = self.popular.actions
        code = ACTIONS.index(getattr(task, "action", PURCHASE))
        if not counts[code]:
            return int(counts.argmax())
        return VISIT if self.network.causal and counts[code] < counts.sum() else code


@dataclass(frozen=True)
class FittedSingles:
    """A network for each task: what learning them together is compared with.

    Attributes:
        parts: by task name.
    """

    parts: Mapping[str, FittedNeural]

    def answer(self, task: Task, questions: Questions, inputs: Inputs, *, k: int = 20) -> Answers:
        """What the task's own network says.

        Raises:
            NotFitted: there is none.
        """
        if task.name not in self.parts:
            raise NotFitted(
                f"neural has learned {', '.join(self.parts) or 'no task'}, not {task.name!r}; fit "
                "it with questions of that task."
            )
        return self.parts[task.name].answer(task, questions, inputs, k=k)

    def represent(self, users: NDArray[np.object_], at: int, inputs: Inputs) -> NDArray[np.float32]:
        """What the networks know of each user, side by side."""
        return np.hstack([part.represent(users, at, inputs) for part in self.parts.values()])

    def state(self) -> State:
        """The states of all networks, their names prefixed."""
        states = {name: part.state() for name, part in self.parts.items()}
        return State(
            config={"singles": {name: state.config for name, state in states.items()}},
            arrays={
                f"{n}/{key}": v for n, state in states.items() for key, v in state.arrays.items()
            },
            vocabularies={
                f"{n}-{key}": v
                for n, state in states.items()
                for key, v in state.vocabularies.items()
            },
        )

    @staticmethod
    def from_state(state: State) -> FittedSingles:
        """The fitted networks that gave this state."""
        return FittedSingles(
            {
                name: FittedNeural.from_state(
                    State(
                        config,
                        _of(f"{name}/", state.arrays),
                        _of(f"{name}-", state.vocabularies),
                    )
                )
                for name, config in state.config["singles"].items()
            }
        )


def _reading(network: Network) -> dict[str, NDArray[np.float32]]:
    """How the network reads content, as arrays: ``whitening.MODALITY.*`` and its own weights."""
    if network.content is None:
        return {}
    found = {
        f"content.{name}": value.numpy().copy()
        for name, value in network.content.state_dict().items()
    }
    for name, whitening in network.content.whitenings.items():
        found[f"whitening.{name}.mean"] = whitening.mean
        found[f"whitening.{name}.axes"] = whitening.axes
    return found


def _of(prefix: str, values: Mapping[str, T]) -> dict[str, T]:
    """The values whose names begin so, without the beginning."""
    return {k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)}


def _canonical(questions: Questions) -> NDArray[np.intp]:
    """Places in an order that does not depend on the one asked, so that rounding does not."""
    keys = [questions.users.astype(str), questions.times]
    if questions.subjects is not None:
        keys.insert(0, questions.subjects.astype(str))
    return np.lexsort(keys)
