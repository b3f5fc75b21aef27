"""Personal: what the user took before, most and latest first, then what everybody takes.

Where people rebuy (food, pharmacy, pet shops) this beats most learned recommenders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from shoploom.core.ids import Vocabulary
from shoploom.core.seeds import rng
from shoploom.engines._ranking import (
    Histories,
    Ranked,
    action_weights,
    activity,
    age_weights,
    all_histories,
    by_moment,
    check_half_lives,
    histories,
    no_scores,
    popular_first,
    rank,
    recency_weights,
    shares,
    strengths,
)
from shoploom.engines._search import coordinate_search, first_moment, ranking_judge
from shoploom.engines.engine import ENGINES, Inputs, State
from shoploom.tasks import Answers, Kind, Questions, Task

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_SPACE = {
    "half_life_days": (14.0, 30.0, 60.0, 120.0, 240.0, None),
    "popular_half_life_days": (7.0, 14.0, 30.0, 90.0, None),
}


@ENGINES.register("personal")
@dataclass(frozen=True)
class Personal:
    """A user's own items by frequency and recency, then the best sellers.

    Attributes:
        half_life_days: an event counts half when it lies so far before the user's last one;
            None counts all alike.
        popular_half_life_days: the same for what fills up, counted from the shop's last event.
        action_weights: what an action counts, by name. An action that is not named counts 1,
            ``remove`` and ``return`` 0.
    """

    half_life_days: float | None = 60.0
    popular_half_life_days: float | None = 30.0
    action_weights: Mapping[str, float] = field(default_factory=dict)

    kinds: ClassVar[frozenset[Kind]] = frozenset({"ranking"})

    def __post_init__(self) -> None:
        action_weights(self.action_weights)
        check_half_lives(self, "personal")

    def tune(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        validation: Mapping[str, Questions],
        *,
        seed: int = 0,
    ) -> Personal:
        """The half-lives with the best NDCG@10 on validation."""
        past = inputs.upto(first_moment(validation))
        judge = ranking_judge(
            lambda engine: engine.fit(past, tasks, questions, seed=seed),
            inputs,
            tasks,
            validation,
            seed,
        )
        return coordinate_search(self, _SPACE, judge)

    def fit(
        self,
        inputs: Inputs,
        tasks: Mapping[str, Task],
        questions: Mapping[str, Questions],
        *,
        seed: int = 0,
    ) -> FittedPersonal:
        """The best sellers before ``inputs.until``; a user's own items come with each question."""
        sequences = inputs.sequences(inputs.until)
        events = all_histories(sequences)
        weights = action_weights(self.action_weights)[events.action]
        weights = weights * age_weights(events, self.popular_half_life_days)
        counts = strengths(events, weights, len(sequences.items))
        return FittedPersonal(self, sequences.items, popular_first(counts, rng(seed, "popularity")))

    @staticmethod
    def from_state(state: State) -> FittedPersonal:
        """The fitted engine that gave this state."""
        return FittedPersonal(
            Personal(**state.config), state.vocabularies["items"], state.arrays["order"]
        )


@dataclass(frozen=True)
class FittedPersonal:
    """What fills up a list when a user's own items run out.

    Attributes:
        settings: the engine's settings.
        catalogue: ``n_items`` items.
        order: ``(n_items,)`` int32 codes from the most popular on, ties shuffled by the seed.
    """

    settings: Personal
    catalogue: Vocabulary
    order: NDArray[np.int32]

    def answer(self, task: Task, questions: Questions, inputs: Inputs, *, k: int = 20) -> Answers:
        """The user's own items, then popular ones; only popular ones where seen is excluded.

        Scores are shares of the user's own decayed weight; 0 where popularity fills up.
        """
        ranked = Ranked.empty(len(questions), k)
        n_items = len(self.catalogue)
        for at, rows in by_moment(questions.times):
            asked = histories(inputs.sequences(at), questions.users[rows], self.catalogue)
            if questions.exclude_seen:
                part = rank(no_scores(len(rows), n_items), self.order, k, asked)
            else:
                part = rank(self._own(asked), self.order, k)
            ranked.put(rows, part)
        return ranked.answers(questions, self.catalogue)

    def represent(self, users: NDArray[np.object_], at: int, inputs: Inputs) -> NDArray[np.float32]:
        """``(len(users), 1)`` log(1 + events with an item); 0 for an unknown user."""
        return activity(inputs.sequences(at), users, self.catalogue)

    def because(
        self, users: NDArray[np.object_], items: NDArray[np.int32], at: int, inputs: Inputs
    ) -> NDArray[np.int32]:
        """``(n, k)`` the item itself where it is the user's own, else -1."""
        own = self._own(histories(inputs.sequences(at), users, self.catalogue))
        rows = np.repeat(np.arange(len(users)), items.shape[1])
        weight = np.asarray(own[rows, np.maximum(items, 0).ravel()]).reshape(items.shape)
        return np.where((weight > 0) & (items >= 0), items, -1).astype(np.int32)

    def state(self) -> State:
        """The order of popularity and the settings."""
        return State(
            config=asdict(self.settings),
            arrays={"order": self.order},
            vocabularies={"items": self.catalogue},
        )

    def _own(self, asked: Histories) -> csr_matrix:
        """``(n, n_items)`` each user's share of weight by item."""
        from scipy.sparse import csr_matrix

        value = action_weights(self.settings.action_weights)[asked.action]
        value = shares(value * recency_weights(asked, self.settings.half_life_days), asked)
        own = csr_matrix((value, asked.item, asked.offsets), (len(asked), len(self.catalogue)))
        own.sum_duplicates()
        return own
