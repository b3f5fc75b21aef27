"""Items that come after the training are known by what is said of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from shoploom.core.ids import Vocabulary
from shoploom.core.time import DAY_US
from shoploom.engines import Inputs, ItemContent, load_state, save_state
from shoploom.engines.neural import Neural
from shoploom.engines.neural.fitted import FittedNeural
from shoploom.tasks import make_task

from ..shops import ask, listed, sequences

TASK = make_task("next_item")
SMALL = Neural(dim=16, layers=1, dropout=0.1, epochs=12, batch=128, item_dropout=0.4)

# Who likes lamps buys lamps, and who likes rugs rugs; ids say nothing of it.
KINDS = {f"i{n:02d}": ("lamp", "rug")[n % 2] for n in range(16)}
NEW = {"a-lamp": "lamp", "z-rug": "rug"}


def _shop(*, later: bool = False) -> dict[str, list[tuple[float, str]]]:
    rng = np.random.default_rng(0)
    shop = {}
    for user in range(80):
        own = [item for item, kind in KINDS.items() if kind == ("lamp", "rug")[user % 2]]
        shop[f"u{user:02d}"] = [(float(day), str(rng.choice(own))) for day in range(6)]
    if later:
        shop["u00"].append((8.0, "a-lamp"))
    return shop


def _content(kinds: dict[str, str]) -> ItemContent:
    rng = np.random.default_rng(1)
    items = Vocabulary.of(kinds)
    centre = {"lamp": rng.normal(size=6), "rug": rng.normal(size=6)}
    vectors = np.array([centre[kinds[item]] + 0.1 * rng.normal(size=6) for item in items.ids])
    return ItemContent(
        items, {"text": vectors.astype(np.float16)}, {"text": np.ones(len(items), bool)}
    )


def _inputs(content: ItemContent, *, later: bool = False) -> Inputs:
    def none(at: int) -> None:
        raise AssertionError("no statistics are needed")

    return Inputs(
        until=1000 * DAY_US,
        sequences=lambda at: sequences(_shop(later=later), at / DAY_US),
        statistics=none,  # type: ignore[arg-type]
        content=content.always,
    )


def _fitted() -> FittedNeural:
    fitted = SMALL.fit(_inputs(_content(KINDS)), {TASK.name: TASK}, {}, seed=0)
    assert isinstance(fitted, FittedNeural)
    return fitted


def _place(answers, row: int, item: str) -> int:
    return listed(answers)[row].index(item)


def test_a_new_item_is_listed_for_those_who_like_its_kind(tmp_path) -> None:
    fitted = _fitted()
    now = _inputs(_content({**KINDS, **NEW}))
    asked = ask("u00", "u01", "u02", "u03", day=10)
    found = fitted.answer(TASK, asked, now, k=18)
    for row in range(4):
        own, other = ("a-lamp", "z-rug") if row % 2 == 0 else ("z-rug", "a-lamp")
        assert _place(found, row, own) < _place(found, row, other)
    np.testing.assert_allclose(found.scores.sum(1), 1, atol=1e-4)
    save_state(tmp_path / "neural", "neural", fitted.state())
    again = load_state(tmp_path / "neural").answer(TASK, asked, now, k=18)
    np.testing.assert_array_equal(again.items, found.items)
    np.testing.assert_allclose(again.scores, found.scores, atol=1e-6)


def test_old_items_are_answered_as_before_but_for_the_share_of_new_ones() -> None:
    fitted, asked = _fitted(), ask("u00", "u01", day=10)
    before = fitted.answer(TASK, asked, _inputs(_content(KINDS)), k=16)
    after = fitted.answer(TASK, asked, _inputs(_content({**KINDS, **NEW})), k=18)
    for row in range(2):
        old = [item for item in listed(after)[row] if item not in NEW]
        assert old == listed(before)[row]


def test_who_took_a_new_item_is_read_with_it() -> None:
    fitted = _fitted()
    content = _content({**KINDS, **NEW})
    users = np.array(["u00", "u01"], dtype=object)
    with_it = fitted.represent(users, 9 * DAY_US, _inputs(content, later=True))
    without = fitted.represent(users, 9 * DAY_US, _inputs(content))
    assert np.abs(with_it - without)[0].max() > 0.01
    np.testing.assert_allclose(with_it[1], without[1], atol=1e-6)


def test_cold_users_get_popular_items_before_new_ones() -> None:
    fitted = _fitted()
    found = fitted.answer(TASK, ask("nobody", day=10), _inputs(_content({**KINDS, **NEW})), k=18)
    assert set(listed(found)[0][-2:]) == set(NEW)


def test_an_engine_without_content_knows_no_new_items() -> None:
    bare = replace(SMALL, content=False, epochs=1).fit(_inputs(_content(KINDS)), {}, {}, seed=0)
    found = bare.answer(TASK, ask("u00", day=10), _inputs(_content({**KINDS, **NEW})), k=18)
    assert not set(NEW) & set(listed(found)[0])


def test_what_was_learned_of_old_items_keeps_its_place() -> None:
    fitted, catalogue = _fitted(), Vocabulary.of({**KINDS, **NEW})
    before = fitted.state().arrays
    grown = fitted._grown(_content({**KINDS, **NEW}))
    after = grown.state().arrays
    for name in ("items", "popular.counts", "network.item.weight"):
        np.testing.assert_array_equal(after[name][catalogue.encode(sorted(KINDS))], before[name])
    assert grown.popular.counts[catalogue.encode(sorted(NEW))].tolist() == [0, 0]
    assert sorted(after["popular.order"].tolist()) == list(range(len(catalogue)))
