"""Popularity: what everybody takes, of all time or of the last days.

The floor that every recommender must beat; in a fast-moving shop its recent form is hard to beat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from shoploom.core.ids import Vocabulary
from shoploom.core.seeds import rng
from shoploom.core.time import DAY_US
from shoploom.engines._ranking import (
    Ranked,
    action_weights,
    activity,
    all_histories,
    by_moment,
    histories,
    no_scores,
    popular_first,
    rank,
    strengths,
)
from shoploom.engines.engine import ENGINES, Inputs, ItemCounts, State
from shoploom.tasks import Answers, Kind, Questions, Task


@ENGINES.register("popularity")
@dataclass(frozen=True)
class Popularity:
    """Items by how often they were taken.

    Attributes:
        window_days: count only the last days before the moment asked; None counts everything that
            was known at the fit.
        action_weights: what an action counts, by name. An action that is not named counts 1,
            ``remove`` and ``return`` 0.
    """

    window_days: float | None = None
    action_weights: Mapping[str, float] = field(default_factory=dict)

    kinds: ClassVar[frozenset[Kind]] = frozenset({"ranking"})

    def __post_init__(self) -> None:
        action_weights(self.action_weights)

    def tune(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        validation: Mapping[str, Questions],
        *,
        seed: int = 0,
    ) -> Popularity:
        """Itself: a floor is not tuned."""
        return self

    def fit(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        *,
        seed: int = 0,
    ) -> FittedPopularity:
        """Counts of everything before ``inputs.until``."""
        sequences = inputs.sequences(inputs.until)
        events = all_histories(sequences)
        weights = action_weights(self.action_weights)[events.action]
        counts = strengths(events, weights, len(sequences.items))
        order = popular_first(counts, rng(seed, "popularity"))
        return FittedPopularity(self, sequences.items, counts, order)

    @staticmethod
    def from_state(state: State) -> FittedPopularity:
        """The fitted engine that gave this state."""
        return FittedPopularity(
            Popularity(**state.config),
            state.vocabularies["items"],
            state.arrays["counts"],
            state.arrays["order"],
        )


#: The same engine with another default; under its own name, so that reports show both.
@ENGINES.register("popularity_7d")
@dataclass(frozen=True)
class RecentPopularity(Popularity):
    """Items by how often they were taken in the last days before the moment asked."""

    window_days: float | None = 7.0


@dataclass(frozen=True)
class FittedPopularity:
    """Counts per item.

    Attributes:
        settings: the engine's settings.
        catalogue: ``n_items`` items.
        counts: ``(n_items,)`` float64, everything before the fit.
        order: ``(n_items,)`` int32 codes from the most popular on, ties shuffled by the seed.
    """

    settings: Popularity
    catalogue: Vocabulary
    counts: NDArray[np.float64]
    order: NDArray[np.int32]

    def answer(self, task: Task, questions: Questions, inputs: Inputs, *, k: int = 20) -> Answers:
        """The same best sellers for everybody, less what the user has where that is excluded.

        Scores are shares of the counted weight. With a window, items without an event in it
        follow in the order of all time with score 0.
        """
        ranked = Ranked.empty(len(questions), k)
        for at, rows in by_moment(questions.times):
            counts, order = self._as_of(inputs, at)
            asked = None
            if questions.exclude_seen:
                users = questions.users[rows]
                asked = histories(inputs.sequences(at), users, self.catalogue)
            part = rank(no_scores(len(rows), len(order)), order, k, asked)
            # One place more, which the -1 of an exhausted catalogue finds at the end.
            share = np.append(counts / max(counts.sum(), 1e-300), 0).astype(np.float32)
            ranked.put(rows, replace(part, scores=share[part.items]))
        return ranked.answers(questions, self.catalogue)

    def represent(self, users: NDArray[np.object_], at: int, inputs: Inputs) -> NDArray[np.float32]:
        """``(len(users), 1)`` log(1 + events with an item); 0 for an unknown user."""
        return activity(inputs.sequences(at), users, self.catalogue)

    def state(self) -> State:
        """Counts, order and settings."""
        return State(
            config=asdict(self.settings),
            arrays={"counts": self.counts, "order": self.order},
            vocabularies={"items": self.catalogue},
        )

    def _as_of(self, inputs: Inputs, at: int) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        if self.settings.window_days is None:
            return self.counts, self.order
        counted = inputs.counts(at - round(self.settings.window_days * DAY_US), at)
        # What the keys name is kept beside the value, so that nothing else gets its id.
        found, _ = inputs.once(
            ("popularity", id(self), id(counted)), lambda: (self._of(counted), (self, counted))
        )
        return found

    def _of(self, counted: ItemCounts) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """Weighted counts of the catalogue's items, and their order."""
        taken = np.flatnonzero(counted.counts.any(axis=1))
        code = self.catalogue.encode(counted.items.ids[taken])
        weight = counted.counts[taken] @ action_weights(self.settings.action_weights)
        counts = np.zeros(len(self.order))
        counts[code[code >= 0]] = weight[code >= 0]
        # A stable sort of the all-time order: all time decides ties within the window.
        return counts, self.order[np.argsort(-counts[self.order], kind="stable")]
