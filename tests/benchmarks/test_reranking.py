"""Re-ranking: what is proposed, what may be known of it, and that trees learn an order."""

from __future__ import annotations

import numpy as np
import pytest

import reranking
from loaders import sequence_inputs
from reranking import ITEM_FEATURES, USER_FEATURES, Reranking, propose
from shoploom.core.errors import LeakageError
from shoploom.core.time import DAY_US
from shoploom.engines import Inputs
from shoploom.engines._trees import TreeSettings
from shoploom.engines.cooccurrence import Cooccurrence
from shoploom.engines.popularity import Popularity
from shoploom.tasks import make_task
from tests.engines.shops import ask, inputs, listed, sequences

SHOP = {
    "ann": [(1, "tea"), (8, "cup")],
    "bob": [(2, "tea"), (9, "hat")],
    "cat": [(3, "tea"), (4, "pen")],
}
WINDOW = 10
FEW = TreeSettings(rounds=10, min_rows=5, learning_rate=0.2)


def _column(name: str) -> int:
    """Where an item's or a user's number stands, counted from the end."""
    names = (*ITEM_FEATURES, *USER_FEATURES)
    return names.index(name) - len(names)


def _propose(shop, questions, depth=2):
    view = inputs(shop, questions.times[0] / DAY_US)
    sources = {
        "popularity": Popularity().fit(view, {}, {}),
        "cooccurrence": Cooccurrence(repeat=0).fit(view, {}, {}),
    }
    return propose(sources, questions, view, depth)


def test_candidates_are_what_any_source_lists() -> None:
    asked = ask("ann", "bob", day=10, exclude_seen=True, answers=[["hat", "pen"], ["pen"]])
    found = _propose(SHOP, asked, depth=5)
    pairs = zip(found.row.tolist(), found.catalogue.decode(found.item), strict=True)
    assert list(pairs) == [(0, "hat"), (0, "pen"), (1, "cup"), (1, "pen")]
    assert found.taken(asked).tolist() == [1, 1, 0, 1]


def test_numbers_are_counted_up_to_the_moment() -> None:
    found = _propose(SHOP, ask("cat", "stranger", day=10), depth=5)
    tea = found.catalogue.encode(["tea"])[0]
    row = found.features[(found.row == 0) & (found.item == tea)][0]
    assert row[_column("item_events")] == 3
    assert row[_column("item_events_7d")] == 1
    assert row[_column("item_age_days")] == 9
    assert row[_column("item_recency_days")] == 7
    assert row[_column("user_events")] == 2
    assert row[_column("user_recency_days")] == 6
    assert row[_column("user_active_days")] == 1
    assert row[_column("user_taste_popularity")] == 2
    stranger = found.features[found.row == 1][0]
    assert stranger[_column("user_events")] == 0
    assert np.isnan(stranger[_column("user_recency_days")])


def test_the_future_changes_no_candidate_before_it() -> None:
    later = SHOP | {"ann": [*SHOP["ann"], (11, "pen")], "dan": [(12, "hat")]}
    asked = ask("ann", "cat", day=10)
    one, two = _propose(SHOP, asked), _propose(later, asked)
    assert np.array_equal(one.item, two.item)
    assert np.array_equal(one.features, two.features, equal_nan=True)


def _fashion():
    """A shop where everybody takes what is newest, and what is popular is out of fashion."""
    draw = np.random.default_rng(0)
    return {
        f"u{n:02d}": sorted(
            (float(when), f"i{int(when) // 5 - int(draw.integers(0, 2)):02d}")
            for when in draw.uniform(10, 80, 12)
        )
        for n in range(60)
    }


def _asked(shop, at):
    rows = {
        user: [item for when, item in events if at <= when < at + WINDOW]
        for user, events in shop.items()
    }
    rows = {user: items for user, items in rows.items() if items}
    return ask(*rows, day=at, answers=list(rows.values()))


def _fashion_inputs(shop, until) -> Inputs:
    """Inputs whose codes mean the same items at every moment, as those of a log do."""
    return sequence_inputs(sequences(shop), until=round(until * DAY_US))


def test_trees_learn_an_order_that_the_source_lacks() -> None:
    shop, task = _fashion(), make_task("next_item")
    view, test = _fashion_inputs(shop, 70), _asked(shop, 70)
    engine = Reranking({"popularity": Popularity()}, trees=FEW)
    fitted = engine.fit(view, [_asked(shop, at) for at in (30, 40, 50, 60)])
    plain = Popularity().fit(view, {}, {}).answer(task, test.unanswered(), view, k=2)

    def hits(answers) -> float:
        truth = [set(test.answers.take(np.array([n])).values) for n in range(len(test))]
        return np.mean([bool(t & set(row)) for t, row in zip(truth, listed(answers), strict=True)])

    assert hits(fitted.answer(task, test.unanswered(), view, k=2)) > hits(plain) + 0.2


def test_tuning_learns_from_what_precedes_validation_alone(monkeypatch) -> None:
    monkeypatch.setattr(reranking, "MOST_ROUNDS", 10)
    shop = _fashion()
    view, sources = _fashion_inputs(shop, 70), {"popularity": Popularity()}
    earlier = [_asked(shop, at) for at in (30, 40, 50)]
    tuned = Reranking(sources).tune(view, earlier, _asked(shop, 60))
    assert 1 <= tuned.trees.rounds <= 10
    with pytest.raises(LeakageError):
        Reranking(sources).tune(view.upto(45 * DAY_US), earlier, _asked(shop, 60))


def test_the_same_seed_gives_the_same_list() -> None:
    shop = _fashion()
    view, asked = _fashion_inputs(shop, 70), [_asked(shop, at) for at in (40, 50, 60)]
    engine = Reranking({"popularity": Popularity()}, negatives=3, trees=FEW)
    one, two = (
        engine.fit(view, asked, seed=4).answer(
            make_task("next_item"), _asked(shop, 70).unanswered(), view
        )
        for _ in range(2)
    )
    assert np.array_equal(one.items, two.items)
