"""What the benchmark of unmet items counts on."""

from __future__ import annotations

import numpy as np

from cold_items import _among, _asked
from shoploom.core.ids import Vocabulary
from shoploom.core.time import DAY_US
from shoploom.tables import Tables
from shoploom.tasks import Answers
from tests.conftest import SHOP_AT, SHOP_DAYS, SHOP_START


def test_only_hidden_items_stay_in_their_order() -> None:
    answers = Answers(
        "next_item",
        items=np.array([[2, 0, 3, 1], [0, 1, -1, -1]], dtype=np.int32),
        scores=np.array([[0.4, 0.3, 0.2, 0.1], [0.6, 0.4, 0.0, 0.0]], dtype=np.float32),
        catalogue=Vocabulary.of(list("abcd")),
    )
    kept = _among(answers, {"b", "c"})
    assert kept.items.tolist() == [[2, 1], [1, -1]]
    np.testing.assert_allclose(kept.scores[0], [0.4, 0.1])
    assert kept.scores[1, 0] == np.float32(0.4)


def test_asked_is_what_comes_in_the_window(shop: Tables) -> None:
    end = SHOP_START + SHOP_DAYS * DAY_US
    hidden = {"i00", "i01", "i02"}
    asked = _asked(shop, hidden, "view", SHOP_AT, end)
    assert set(asked.answers.values) <= hidden
    assert (asked.answers.lengths > 0).all()
    events = shop.events.to_pyarrow().to_pandas()
    inside = events[
        (events.time >= SHOP_AT) & (events.action == "view") & events.item_id.isin(hidden)
    ]
    assert set(asked.users) == set(inside.user_id)
    assert len(asked.answers.values) == len(inside[["user_id", "item_id"]].drop_duplicates())
