from __future__ import annotations

from dataclasses import replace
from itertools import chain, pairwise

import numpy as np
import pytest
import torch

from shoploom.core.columns import ACTIONS
from shoploom.core.errors import ConfigError, DataError, UnknownName
from shoploom.core.ids import Vocabulary
from shoploom.engines import Inputs, ItemContent, load_state, save_state
from shoploom.engines._ranking import all_histories
from shoploom.engines.neural import Neural
from shoploom.engines.neural.fitting import fit
from shoploom.engines.neural.objectives import _pieces, _visits
from shoploom.tasks import make_task

from ..shops import ask, inputs, listed

#: Everybody goes round the same circle, from another start.
CIRCLE = [f"i{n}" for n in range(8)]
SHOP = {
    f"u{n:02d}": [(float(day), CIRCLE[(n + day) % 8]) for day in range(4 + n % 4)]
    for n in range(40)
}
TASK = make_task("next_item")
SMALL = Neural(dim=16, heads=2, layers=1, dropout=0.1, epochs=20, batch=32, learning_rate=0.01)


def _with_content(shop: dict, content: ItemContent) -> Inputs:
    plain = inputs(shop)
    return Inputs(
        until=plain.until,
        sequences=plain.sequences,
        statistics=plain.statistics,
        content=content.always,
    )


@pytest.mark.parametrize("backbone", ["transformer", "gru", "bilstm"])
def test_every_backbone_learns_what_follows(backbone: str) -> None:
    shop = {
        f"u{n:02d}": [(float(day), CIRCLE[(n + day) % 8]) for day in range(12)] for n in range(24)
    }
    epochs = 50 if backbone == "bilstm" else 10  # one state per history and epoch
    fitted = replace(SMALL, backbone=backbone, epochs=epochs).fit(inputs(shop), {}, {})
    asked = {f"u{n:02d}": n for n in range(8)}
    answers = fitted.answer(TASK, ask(*asked), inputs(shop), k=1)
    assert listed(answers) == [[CIRCLE[(n + 12) % 8]] for n in asked.values()]


def test_scores_are_probabilities() -> None:
    fitted = SMALL.fit(inputs(SHOP), {}, {})
    answers = fitted.answer(TASK, ask("u00", "nobody"), inputs(SHOP), k=8)
    np.testing.assert_allclose(answers.scores.sum(1), 1, rtol=1e-4)


def test_seen_items_can_be_excluded_until_none_is_left() -> None:
    fitted = SMALL.fit(inputs(SHOP), {}, {})
    questions = ask("u00", exclude_seen=True)
    (items,) = listed(fitted.answer(TASK, questions, inputs(SHOP), k=6))
    assert set(items[:4]) == set(CIRCLE[4:])
    assert items[4:] == [None, None]


def test_a_list_longer_than_the_catalogue_ends_in_nothing() -> None:
    shop = {user: [(float(day), CIRCLE[day]) for day in range(8)] for user in ("a", "b")}
    fitted = replace(SMALL, epochs=1).fit(inputs(shop), {}, {})
    answers = fitted.answer(TASK, ask("a", "b", exclude_seen=True), inputs(shop), k=10)
    assert (answers.items == -1).all()
    answers = fitted.answer(TASK, ask("a"), inputs(shop), k=10)
    assert (answers.items[0, 8:] == -1).all()
    assert (np.diff(answers.scores) <= 0).all()


def test_a_stranger_gets_what_is_popular() -> None:
    shop = SHOP | {f"v{n}": [(0.0, "i3"), (1.0, "i5")] for n in range(30)}
    fitted = SMALL.fit(inputs(shop), {}, {})
    (items,) = listed(fitted.answer(TASK, ask("nobody"), inputs(shop), k=2))
    assert set(items) == {"i3", "i5"}


def test_a_shop_without_pairs_is_answered_by_popularity() -> None:
    shop = {"a": [(0.0, "x")], "b": [(1.0, "y")], "c": [(2.0, "y")]}
    fitted = Neural().fit(inputs(shop), {}, {})
    (items,) = listed(fitted.answer(TASK, ask("nobody"), inputs(shop), k=2))
    assert items == ["y", "x"]


def test_tuning_chooses_the_number_of_epochs() -> None:
    validation = ask(*SHOP, day=3, answers=[[CIRCLE[(n + 3) % 8]] for n in range(40)])
    engine = replace(SMALL, epochs=None, max_epochs=4)
    tuned = engine.tune(inputs(SHOP), {TASK.name: TASK}, {}, {TASK.name: validation})
    assert tuned.epochs is not None
    assert tuned.epochs >= 1
    assert replace(tuned, epochs=None, trend=None) == engine


def test_an_item_that_nobody_took_is_found_by_its_content() -> None:
    ids = [*CIRCLE, "new"]
    draw = np.random.default_rng(0).normal(size=(9, 12)).astype(np.float16)
    draw[8] = draw[3]  # says what i3 says
    content = ItemContent(Vocabulary.of(ids), {"text": draw}, {"text": np.ones(9, bool)})
    known = _with_content(SHOP, content)
    fitted = replace(SMALL, item_dropout=0.5).fit(known, {}, {})
    users = [f"u{n:02d}" for n in range(40) if (n + 4 + n % 4) % 8 == 3]
    answers = fitted.answer(TASK, ask(*users), known, k=2)
    assert all(set(items) == {"i3", "new"} for items in listed(answers))


def test_content_can_be_rebuilt_from_states(tmp_path) -> None:
    vectors = np.random.default_rng(0).normal(size=(8, 6)).astype(np.float16)
    content = ItemContent(Vocabulary.of(CIRCLE), {"text": vectors}, {"text": np.ones(8, bool)})
    known = _with_content(SHOP, content)
    engine = replace(SMALL, rebuild=1.0, epochs=30)
    fitted, course = fit(engine, known, {}, {}, seed=0)
    alone = fit(replace(engine, weights={"next event": 0.0}), known, {}, {}, seed=0)[1]
    assert alone.losses[-1] < 0.6 * alone.losses[0]  # the spread of what is rebuilt is one
    assert course.losses[-1] < course.losses[0]
    save_state(tmp_path / "neural", "neural", fitted.state())
    assert torch.equal(load_state(tmp_path / "neural").items, fitted.items)


def test_a_large_catalogue_is_learned_from_shared_negatives() -> None:
    shop = {
        f"u{n:02d}": [(float(day), CIRCLE[(n + day) % 8]) for day in range(12)] for n in range(24)
    }
    fitted = replace(SMALL, full_softmax=0, negatives=4).fit(inputs(shop), {}, {})
    answers = fitted.answer(TASK, ask("u00", "u01"), inputs(shop), k=1)
    assert listed(answers) == [["i4"], ["i5"]]


def test_every_event_of_a_long_history_is_learned() -> None:
    history = [(float(day), f"x{day:02d}") for day in range(25)]
    events = all_histories(inputs({"a": history, "b": history[:1]}).sequences(10**13))
    pieces = _pieces(events, 10)
    targets = [
        pieces.item[start + 1 : stop].tolist() for start, stop in pairwise(pieces.offsets.tolist())
    ]
    assert list(chain(*targets)) == list(range(1, 25))
    assert [len(each) for each in targets] == [4, 10, 10]


def test_content_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(DataError, match="one row per item"):
        ItemContent(Vocabulary.of("ab"), {"text": np.zeros((3, 4))}, {"text": np.ones(3, bool)})


def test_training_leaves_no_trace_in_torch() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    replace(SMALL, epochs=1).fit(inputs(SHOP), {}, {})
    assert torch.equal(torch.rand(3), expected)


def test_a_saved_engine_answers_the_same(tmp_path) -> None:
    fitted = SMALL.fit(inputs(SHOP), {}, {})
    save_state(tmp_path / "neural", "neural", fitted.state())
    loaded = load_state(tmp_path / "neural")
    answers = [each.answer(TASK, ask(*SHOP), inputs(SHOP), k=8) for each in (fitted, loaded)]
    assert np.array_equal(answers[0].items, answers[1].items)
    assert np.array_equal(answers[0].scores, answers[1].scores)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dim": 0}, "dim of at least 1"),
        ({"dim": 10, "heads": 4}, "multiple of twice the heads"),
        ({"dropout": 1.0}, "dropout from 0"),
        ({"optimiser": "lion"}, "adamw, adam, sgd"),
        ({"epochs": 0}, "epochs of at least 1"),
        ({"temperature": 0.0}, "temperature above 0"),
    ],
)
def test_impossible_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Neural(**settings)


def test_an_unknown_backbone_is_named() -> None:
    with pytest.raises(UnknownName, match="transformer"):
        Neural(backbone="transfomer").fit(inputs(SHOP), {}, {})


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoploom.engines.neural.neural.find_spec", lambda name: None)
    with pytest.raises(DataError, match="pip install"):
        Neural().fit(inputs(SHOP), {}, {})


def _looking_first(days: int = 8) -> dict:
    """In each visit a user looks at an item and buys it; the next visit is for the next in line."""
    return {
        f"u{n:02d}": [
            event
            for day in range(3 + n % (days - 2))
            for item in [CIRCLE[(n + day) % 8]]
            for event in [(float(day), item, "view"), (day + 0.01, item, "purchase")]
        ]
        for n in range(40)
    }


def test_what_the_next_visit_is_for_is_learned_across_the_look_before_it() -> None:
    shop = _looking_first()
    engine = replace(SMALL, epochs=30)
    fitted = engine.fit(inputs(shop), {TASK.name: TASK}, {})
    asked = [f"u{n:02d}" for n in range(8)]
    expected = [[CIRCLE[(n + 3 + n % 6) % 8]] for n in range(8)]
    assert listed(fitted.answer(TASK, ask(*asked), inputs(shop), k=1)) == expected


def test_visits_are_told_by_time() -> None:
    shop = {
        "u": [
            (0.0, "a", "view"),
            (0.1, "a", "purchase"),
            (2.0, "b", "view"),
            (2.1, "c", "purchase"),
        ]
    }
    shop["v"] = [(0.0, "a", "purchase"), (5.0, "b", "purchase"), (5.1, "d", "purchase")]
    events = all_histories(inputs(shop).sequences(inputs(shop).until))
    last, bought = _visits(events, ACTIONS.index("purchase"))
    # The first visits follow none; c follows the visit that ended with a's purchase, and so on.
    assert last.tolist() == [1, 4, 4]
    assert bought.tolist() == [3, 5, 6]
    assert not len(_visits(events, None)[0])


def test_weights_of_another_version_are_refused_with_advice() -> None:
    state = replace(SMALL, epochs=1).fit(inputs(SHOP), {}, {}).state()
    state.arrays["network.asked.weight"] = state.arrays["network.asked.weight"][:-1]
    with pytest.raises(DataError, match="train it again"):
        Neural.from_state(state)
