"""Blends: better than their parts where these err apart, and honest about who answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shoploom.core.errors import ConfigError
from shoploom.core.ids import Vocabulary
from shoploom.core.time import DAY_US
from shoploom.engines import ENGINES, Inputs, fit_once
from shoploom.engines.blend import Blend, FittedBlend, _belief, _Pool
from shoploom.engines.personal import Personal
from shoploom.sequences import views
from shoploom.tables import Tables
from shoploom.tasks import Answers, make_task
from tests.engines.shops import ask, inputs

LIGHT = {"popularity": {}, "personal": {}}
SHOP = {
    "a": [(1, "tea"), (2, "jam"), (3, "tea")],
    "b": [(1, "jam"), (2, "oil")],
    "c": [(1, "jam"), (2, "oil"), (3, "oil")],
}
TASK = make_task("next_item")
AT = 1000 * DAY_US  # after everything


def ranking(items: list[list[int]], scores: list[list[float]], ids: str) -> Answers:
    return Answers(
        "next_item",
        items=np.array(items, dtype=np.int32),
        scores=np.array(scores, dtype=np.float32),
        catalogue=Vocabulary(np.array(list(ids), dtype=object)),
    )


def test_beliefs_are_averaged_by_item_whatever_its_code():
    one = ranking([[0, 1]], [[3.0, 1.0]], "abc")
    other = ranking([[1, 0]], [[0.9, 0.1]], "bc")
    pooled = _Pool.of(TASK, {"one": one, "other": other}, 0).answers({"one": 0.5, "other": 0.5}, 3)
    assert pooled.catalogue is not None
    assert pooled.catalogue.decode(pooled.items).tolist() == [["c", "a", "b"]]
    assert pooled.scores[0] == pytest.approx([0.45, 0.375, 0.175])


def test_what_no_part_lists_is_not_listed():
    given = ranking([[0, -1]], [[1.0, 0.0]], "ab")
    pooled = _Pool.of(TASK, {"one": given, "other": given}, 0).answers({"one": 1.0}, 2)
    assert pooled.items.tolist() == [[0, -1]]


def test_items_without_a_score_keep_their_order_behind_the_others():
    given = ranking([[2, 0, 1]], [[5.0, 0.0, 0.0]], "abc")
    row = _belief(given, given.catalogue).toarray()[0]
    assert row[2] == 1
    assert 0 < row[1] < row[0] < 1e-6


def test_probabilities_are_averaged_as_log_odds():
    churn = make_task("churn")
    parts = {name: Answers("churn", values=np.array([p])) for name, p in (("x", 0.5), ("y", 0.9))}
    pooled = _Pool.of(churn, parts, 0).answers({"x": 0.5, "y": 0.5}, 1)
    assert pooled.values == pytest.approx([0.75])


def test_weights_are_chosen_on_validation():
    asked = ask("a", "b", "c", answers=[["tea"], ["oil"], ["oil"]])
    tuned = Blend(parts=LIGHT, tune_parts=False).tune(
        inputs(SHOP), {"next_item": TASK}, {}, {"next_item": asked}
    )
    assert tuned.weights["next_item"] == {"personal": 1.0}
    fitted = tuned.fit(inputs(SHOP), {"next_item": TASK}, {})
    own = Personal().fit(inputs(SHOP), {}, {})
    for answers in (fitted, own):
        found = answers.answer(TASK, ask("a", "b", "c"), inputs(SHOP), k=1)
        assert found.catalogue.decode(found.items).ravel().tolist() == ["tea", "oil", "oil"]


def test_parts_that_cannot_answer_a_task_are_not_asked(shop: Tables, shop_at: int):
    task = make_task("churn", window_days=14)
    everything = Inputs(until=shop_at, tables=shop, **views(shop))
    asked = task.ask(shop, shop_at - 14 * 86_400_000_000)
    blend = Blend(parts={"popularity": {}, "rfm": {}})
    fitted = blend.fit(everything, {"churn": task}, {"churn": asked})
    assert list(fitted.parts) == ["rfm"]
    answers = fitted.answer(task, asked.unanswered(), everything)
    alone = fitted.parts["rfm"].answer(task, asked.unanswered(), everything)
    assert answers.values == pytest.approx(alone.values)


def test_a_part_is_fitted_once(monkeypatch):
    fitted = []
    fit = Personal.fit
    monkeypatch.setattr(Personal, "fit", lambda *a, **k: fitted.append(1) or fit(*a, **k))
    shop = inputs(SHOP)
    Blend(parts=LIGHT).fit(shop, {"next_item": TASK}, {})
    fit_once(Personal(), shop, {"next_item": TASK}, {})
    assert len(fitted) == 1
    fit_once(Personal(), shop, {"next_item": TASK}, {}, seed=1)
    fit_once(replace(Personal(), half_life_days=1.0), shop, {"next_item": TASK}, {})
    fit_once(Personal(), shop.upto(shop.until - 1), {"next_item": TASK}, {})
    assert len(fitted) == 4


def test_the_first_part_that_can_explain_explains():
    fitted = Blend(parts=LIGHT).fit(inputs(SHOP), {"next_item": TASK}, {})
    answers = fitted.answer(TASK, ask("a"), inputs(SHOP), k=2)
    own = fitted.because(np.array(["a"], dtype=object), answers.items, AT, inputs(SHOP))
    assert (
        own.tolist()
        == fitted.parts["personal"]
        .because(np.array(["a"], dtype=object), answers.items, AT, inputs(SHOP))
        .tolist()
    )


def test_a_saved_blend_answers_alike():
    fitted = Blend(parts=LIGHT, weights={"next_item": {"popularity": 1, "personal": 3}}).fit(
        inputs(SHOP), {"next_item": TASK}, {}
    )
    again = ENGINES.get("blend").from_state(fitted.state())
    assert isinstance(again, FittedBlend)
    one, other = (x.answer(TASK, ask("a", "zz"), inputs(SHOP), k=3) for x in (fitted, again))
    assert one.items.tolist() == other.items.tolist()
    assert fitted.weights(TASK) == {"popularity": 0.25, "personal": 0.75}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"parts": {"popularity": {}}}, "at least two other engines"),
        ({"parts": {"popularity": {}, "blend": {}}}, "at least two other engines"),
        ({"parts": LIGHT, "weights": {"next_item": {"personal": 0}}}, "sum above 0"),
        ({"parts": LIGHT, "weights": {"next_item": {"personal": -1}}}, "at least 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Blend(**settings)
