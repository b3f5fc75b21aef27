from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoploom.core import columns as c
from shoploom.core.errors import ConfigError, DataError
from shoploom.tables import Tables
from shoploom.workflows.report import at_risk, findings, insights, render_report, report_html
from shoploom.workflows.report.findings import captured, effects, outcome, reading_verdict, verdict
from shoploom.workflows.report.insights.history import cohorts, concentration, revenue
from shoploom.workflows.report.insights.orders import Orders
from shoploom.workflows.report.insights.segments import rfm
from shoploom.workflows.report.wording import LANGUAGES, money, number, texts
from tests.tiny import day, other_future, tables
from tests.workflows.report_sample import (
    SHOP,
    content,
    evaluation,
    policies,
    quality,
    report_data,
    studies,
)

HOSTILE = "</script><img src=x onerror=alert(1)>"


def bought(*rows: tuple) -> Tables:
    """Tables of purchases: (user, day, item, price, session)."""
    return tables([(u, d, c.PURCHASE, i, p, 1.0, s) for u, d, i, p, s in rows])


def orders_of(*rows: tuple[int, float, int]) -> Orders:
    """Orders from (user, day, cents), given in order of user and day."""
    user, days, cents = map(np.array, zip(*rows, strict=True))
    ids = np.array([f"u{u}" for u in range(user.max() + 1)], dtype=object)
    return Orders(user, np.array([day(d) for d in days]), cents, np.ones(len(user)), ids)


@pytest.fixture(scope="module")
def shown(shop: Tables, shop_at: int) -> dict[str, Any]:
    """The insights of the shared shop, with a list of users at risk."""
    result = insights(shop, shop_at)
    users = np.array(["u00", "u01", "u20"], dtype=object)
    risky = at_risk(shop, shop_at, users, np.array([0.1, 0.2, 0.9]), np.ones(3), window_days=28)
    return result | {"at_risk": risky}


# --- insights ---------------------------------------------------------------------------------


def test_money_is_summed_in_cents_over_orders() -> None:
    rows = [("a", 0, "x", 0.1, "s1"), ("a", 0, "y", 0.2, "s1"), ("b", 1, "x", None, "s2")]
    totals = insights(bought(*rows), day(10))["totals"]
    assert totals["revenue"] == 0.3
    assert (totals["orders"], totals["buyers"], totals["purchases"]) == (2, 2, 3)
    assert totals["lines_per_order"] == 1.5


def test_a_row_without_a_session_belongs_to_its_day() -> None:
    rows = [("a", 0.1, "x", 1.0, None), ("a", 0.9, "y", 1.0, None), ("a", 1.1, "x", 1.0, None)]
    assert insights(bought(*rows), day(10))["totals"]["orders"] == 2


def test_rewriting_the_future_moves_no_insight(shop: Tables, shop_at: int) -> None:
    assert insights(shop, shop_at) == insights(other_future(shop, shop_at), shop_at)


def test_a_shop_without_purchases_has_a_funnel_and_no_sales() -> None:
    rows = [("a", 0, c.VIEW, "x", 1.0, None, "s1"), ("a", 0.1, c.CART, "x", 1.0, None, "s1")]
    result = insights(tables(rows), day(10))
    assert [step["action"] for step in result["funnel"]] == [c.VIEW, c.CART]
    assert result["totals"]["orders"] == 0
    assert result["revenue"] is None
    assert result["best_sellers"] is None


def test_purchases_alone_are_no_funnel() -> None:
    assert insights(bought(("a", 0, "x", 1.0, "s")), day(1))["funnel"] is None


def test_funnel_counts_users_and_sessions_once() -> None:
    rows = [
        ("a", 0.0, c.VIEW, "x", 1.0, None, "s1"),
        ("a", 0.1, c.VIEW, "y", 1.0, None, "s1"),
        ("a", 1.0, c.VIEW, "x", 1.0, None, "s2"),
        ("a", 1.1, c.PURCHASE, "x", 1.0, 1.0, "s2"),
    ]
    assert insights(tables(rows), day(9))["funnel"] == [
        {"action": c.VIEW, "users": 1, "sessions": 2},
        {"action": c.PURCHASE, "users": 1, "sessions": 1},
    ]


def test_gaps_in_sales_are_zeros_and_partial_weeks_are_marked() -> None:
    # Day 0 is a Monday; the sale on day 2 opens the history in mid-week.
    result = revenue(orders_of((0, 2, 500), (0, 80, 250), (1, 80, 250)))
    assert result["grain"] == "week"
    assert result["start"][:2] == ["2024-01-01", "2024-01-08"]
    assert result["revenue"] == [5.0] + [0.0] * 10 + [5.0]
    assert result["buyers"][-1] == 2
    assert result["complete"] == [False] + [True] * 10 + [False]


def test_cohorts_follow_users_from_their_first_month() -> None:
    result = cohorts(orders_of((0, 3, 1), (0, 40, 1), (1, 5, 1), (2, 35, 1), (2, 90.5, 1)))
    assert result is not None
    assert result["cohort"] == ["2024-01-01", "2024-02-01"]
    assert result["users"] == [2, 1]
    assert result["retention"] == [[1.0, 0.5, 0.0], [1.0, 1.0]]  # the last day is 31 March


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 400), st.integers(0, 9_999)), min_size=1))
@settings(max_examples=60, deadline=None)
def test_every_buyer_and_cent_is_on_every_picture(rows: list[tuple[int, float, int]]) -> None:
    used = {user: code for code, user in enumerate(sorted({user for user, _, _ in rows}))}
    orders = orders_of(*sorted((used[user], when, cents) for user, when, cents in rows))
    total = orders.cents.sum() / 100
    grid = rfm(orders, day(401))
    assert np.sum(grid["users"]) == len(used)
    assert np.sum(grid["spend"]) == pytest.approx(total)
    assert sum(segment["users"] for segment in grid["segments"]) == len(used)
    assert sum(revenue(orders)["revenue"]) == pytest.approx(total)
    assert sum(concentration(orders)) == pytest.approx(1 if total else 0, abs=1e-3)
    monthly = cohorts(orders)
    if monthly is not None:
        assert all(0 <= share <= 1 for row in monthly["retention"] for share in row)


def test_best_sellers_carry_titles_and_distinct_buyers(shop: Tables, shop_at: int) -> None:
    best = insights(shop, shop_at, top=5)["best_sellers"]
    assert len(best) == 5
    assert [row["revenue"] for row in best] == sorted((r["revenue"] for r in best), reverse=True)
    past = shop.as_of(shop_at).events.to_pyarrow().to_pylist()
    mine = [e for e in past if e[c.ITEM_ID] == best[0][c.ITEM_ID] and e[c.ACTION] == c.PURCHASE]
    assert best[0]["buyers"] == len({event[c.USER_ID] for event in mine})
    assert best[0]["revenue"] == pytest.approx(sum(e[c.PRICE] * e[c.QUANTITY] for e in mine))
    assert best[0][c.TITLE].endswith(f"number {int(best[0][c.ITEM_ID][1:])}")


def test_hours_are_those_of_the_shop() -> None:
    noon = bought(("a", 0.5, "x", 1.0, "s"))  # Monday noon, UTC
    assert insights(noon, day(1))["rhythm"][0][12] == 1
    assert insights(noon, day(1), timezone="Pacific/Auckland")["rhythm"][1][1] == 1


def test_an_unknown_time_zone_is_refused_with_an_example() -> None:
    with pytest.raises(ConfigError, match="such as Asia/Shanghai, got 'Mars/Base'"):
        insights(bought(("a", 0.5, "x", 1.0, "s")), day(1), timezone="Mars/Base")


def test_value_at_stake_is_risk_times_usual_spend() -> None:
    shop = bought(("a", 0, "x", 100.0, "s"), ("b", 0, "x", 10.0, "s"), ("b", 50, "x", 10.0, "t"))
    users = np.array(["b", "a", "stranger"], dtype=object)
    listed = at_risk(shop, day(56), users, np.array([0.5, 0.1, 1.0]), np.ones(3), window_days=28)
    assert [row["user_id"] for row in listed] == ["a", "b"]
    assert [row["value"] for row in listed] == [5.0, 5.0]  # 0.1 * 100 / 2 and 0.5 * 20 / 2
    assert listed[1]["last_purchase"] == "2024-02-20"


def test_nobody_is_at_risk_where_nobody_bought() -> None:
    shop = tables([("a", 0, c.VIEW, "x", 1.0, None, "s")])
    users = np.array(["a"], dtype=object)
    assert at_risk(shop, day(1), users, np.ones(1), np.ones(1), window_days=28) == []


# --- sentences --------------------------------------------------------------------------------


def test_findings_come_in_both_languages_with_their_figures(shown: dict[str, Any]) -> None:
    said = findings(quality(), evaluation(), shown, currency="EUR")
    assert 3 <= len(said) <= 6
    for sentence in said:
        assert set(sentence) == set(LANGUAGES)
        assert re.search(r"\d", sentence["en"])
        assert re.search(r"\d", sentence["zh"])
        assert re.search(r"[\u4e00-\u9fff]", sentence["zh"])
        assert "{" not in sentence["en"] + sentence["zh"]
    assert "97.75" in said[-1]["en"]  # 4,350 of 4,450 rows could be used


def test_a_clear_gain_is_called_one() -> None:
    task = evaluation()["tasks"]["next_item"]
    assert outcome(task) == "wins"
    assert "0.250" in verdict(task)["en"]
    assert "0.200" in verdict(task)["en"]


def test_an_interval_around_zero_is_no_gain() -> None:
    task = evaluation()["tasks"]["churn"]
    assert outcome(task) == "draws"
    assert "no difference to rely on" in verdict(task)["en"]
    assert "差异不可靠" in verdict(task)["zh"]


def test_a_simple_method_that_wins_is_named() -> None:
    task = evaluation()["tasks"]["churn"]
    task["versus"]["rfm"]["auroc"] = [-0.05, -0.08, -0.02]
    assert outcome(task) == "loses"
    assert "The simple method wins" in verdict(task)["en"]


def test_a_simple_method_in_use_is_said_to_be_unbeaten() -> None:
    task = evaluation()["tasks"]["spend"]
    assert outcome(task) == "baseline"
    assert "not beaten" in verdict(task)["en"]
    assert "hindsight" in verdict(task)["en"]  # boosting did better on test


def test_an_interval_that_reaches_guessing_is_not_trusted(shown: dict[str, Any]) -> None:
    judged = evaluation()
    judged["tasks"]["churn"]["results"]["boosting"]["auroc"] = [0.6, 0.48, 0.7]
    assert "too few cases" in verdict(judged["tasks"]["churn"])["en"]
    said = findings(quality(), judged, shown, currency="EUR")
    assert any("too few cases" in sentence["en"] for sentence in said)


def test_less_is_better_for_errors() -> None:
    task = evaluation()["tasks"]["churn"] | {"metric": "brier"}
    task["versus"]["rfm"]["brier"] = [-0.03, -0.04, -0.02]
    assert outcome(task) == "wins"


def test_the_top_share_is_read_off_the_calibration() -> None:
    curve = {"predicted": [0.1, 0.9], "observed": [0.25, 0.75], "n": [50, 50]}
    assert captured(curve, 0.5) == pytest.approx(0.75)
    assert captured(curve, 0.25) == pytest.approx(0.375)
    assert captured({"predicted": [0.1], "observed": [0.0], "n": [5]}) is None


def test_numbers_read_as_each_language_writes_them() -> None:
    assert number(12_345)["en"] == "12,345"
    assert number(1_234_567)["zh"] == "123.5万"
    assert money(29.5, "CNY") == {"en": "¥29.50", "zh": "29.50元"}
    assert money(29.5, "SEK")["en"] == "29.50 SEK"


def test_the_most_complaints_and_a_disagreement_are_said(shown: dict[str, Any]) -> None:
    said = findings(quality(), evaluation(), shown, content(), currency="EUR")
    complaint, disagreement = said[-3], said[-2]
    # 27 of 60 about delivery against 9 of 90 about quality
    assert "delivery: 27 of the 60 times" in complaint["en"]
    assert "45\N{NO-BREAK SPACE}%" in complaint["en"]
    assert "配送：提到60次，其中27次不满（45%）" in complaint["zh"]
    assert "“Brass vase” has 4.6 stars on average, but 2 of its 8 reviews" in disagreement["en"]
    assert "“Brass vase”平均4.6星" in disagreement["zh"]
    assert said[:-3] == findings(quality(), evaluation(), shown, currency="EUR")[:-1]


def test_stars_below_the_words_are_said_to_be(shown: dict[str, Any]) -> None:
    read = content()
    read["sentiment"]["disagree"][0] |= {"stars": 2.0, "words": 0.75, "title": None}
    said = findings(quality(), evaluation(), shown, read)
    assert "“i1” has only 2.0 stars on average, yet 6 of its 8 reviews" in said[-2]["en"]


def test_few_mentions_and_no_complaints_are_no_finding(shown: dict[str, Any]) -> None:
    read = {
        "sentiment": {
            "aspects": [
                {"aspect": "quality", "n": 9, "positive": 0.0},
                {"aspect": "looks", "n": 50, "positive": 1.0},
            ]
        }
    }
    without = findings(quality(), evaluation(), shown)
    assert findings(quality(), evaluation(), shown, read) == without
    assert findings(quality(), evaluation(), shown, {}) == without


def test_a_reader_is_better_only_where_intervals_do_not_meet() -> None:
    judged = content()["sentiment"]["judged"]
    assert "95.0\N{NO-BREAK SPACE}% of the reviews" in reading_verdict(judged)["en"]
    assert "“Counting words” 90.0\N{NO-BREAK SPACE}%" in reading_verdict(judged)["en"]
    assert "The gain over the best simple method holds" in reading_verdict(judged)["en"]
    assert "优势可靠" in reading_verdict(judged)["zh"]
    judged["accuracy"]["tfidf"] = [0.93, 0.91, 0.95]
    assert "no difference to rely on" in reading_verdict(judged)["en"]
    judged["accuracy"]["tfidf"] = [0.99, 0.98, 1.0]
    assert "The simple method reads better" in reading_verdict(judged)["en"]
    judged["accuracy"] = {"reader": [0.95, 0.93, 0.97]}
    assert "nothing simpler was tried" in reading_verdict(judged)["en"]


def test_every_text_is_there_in_both_languages() -> None:
    def leaves(node: Any, path: str = "") -> Any:
        if set(node) <= set(LANGUAGES) and all(isinstance(text, str) for text in node.values()):
            yield path, node
        else:
            for name, child in node.items():
                yield from leaves(child, f"{path}.{name}")

    for path, wording in leaves(texts()):
        assert set(wording) == set(LANGUAGES), path
        assert all(wording.values()), path
        named = {
            language: set(re.findall(r"\{(\w+)\}", wording[language])) for language in LANGUAGES
        }
        assert named["en"] == named["zh"], path


# --- the page ---------------------------------------------------------------------------------


class Page(HTMLParser):
    """What an HTML parser finds: elements by tag, and the text of scripts."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_script = self._in_script and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data

    def section_ids(self) -> list[str]:
        return [str(attrs["id"]) for tag, attrs in self.elements if tag == "section"]

    def figures(self) -> list[str]:
        return [str(attrs["data-figure"]) for _, attrs in self.elements if "data-figure" in attrs]


def test_one_file_asks_nothing_of_any_host(shown: dict[str, Any], tmp_path: Any) -> None:
    path = tmp_path / "report.html"
    render_report(report_data(shown), path)
    page = Page(path.read_text(encoding="utf-8"))
    assert path.stat().st_size < 2_500_000
    assert not [
        attrs for tag, attrs in page.elements if "src" in attrs or tag in ("link", "iframe")
    ]
    policy = next(a["content"] for t, a in page.elements if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "unsafe-eval" not in policy


def test_hostile_names_stay_text(shown: dict[str, Any]) -> None:
    poisoned = json.loads(json.dumps(shown))
    poisoned["best_sellers"][0]["title"] = poisoned["at_risk"][0]["user_id"] = HOSTILE
    dirty = quality()
    dirty["notes"] = [HOSTILE]
    dirty["bots"][0]["user_id"] = HOSTILE
    dirty["tables"]["events"]["reasons"] = {HOSTILE: 100}
    html = report_html(
        report_data(
            poisoned,
            shop={**SHOP, "name": HOSTILE, "caveat": HOSTILE},
            quality=dirty,
            content=content(HOSTILE, HOSTILE),
        )
    )
    page = Page(html)
    assert not [tag for tag, _ in page.elements if tag == "img"]
    assert len(page.scripts) == 8  # the data and seven programs, none opened by a name
    data = json.loads(page.scripts[0])
    assert data["shop"]["name"] == HOSTILE
    assert data["quality"]["notes"] == [HOSTILE]
    assert data["content"]["sentiment"]["disagree"][0]["title"] == HOSTILE


def test_undefined_numbers_are_refused_with_advice(shown: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="use None"):
        report_html(report_data(shown | {"concentration": [float("nan")] * 10}))


def test_a_shop_without_a_currency_is_refused_by_name(shown: dict[str, Any]) -> None:
    shop = {key: value for key, value in SHOP.items() if key != "currency"}
    with pytest.raises(DataError, match="currency is missing"):
        report_data(shown, shop=shop)


def test_figures_follow_what_the_shop_has(shown: dict[str, Any]) -> None:
    full = Page(report_html(report_data(shown))).figures()
    assert {"funnel", "cohorts", "revenue", "risk_map", "calibration", "deciles", "rfm"} <= set(
        full
    )
    assert full.count("engines") == 3
    bare = shown | dict.fromkeys(("funnel", "at_risk", "cohorts", "pairs", "category_pairs"))
    fewer = Page(report_html(report_data(bare, evaluation={}))).figures()
    assert not {"funnel", "risk_map", "at_risk", "cohorts", "engines", "pairs"} & set(fewer)
    assert "repeat" in fewer


def test_a_shop_without_sales_still_gets_a_report() -> None:
    rows = [("a", 0, c.VIEW, "x", 1.0, None, "s1"), ("a", 0.1, c.CART, "x", 1.0, None, "s1")]
    shown = insights(tables(rows), day(1))
    html = report_html(report_data(shown, evaluation={}))
    assert "no purchase" in html
    assert "rfm" not in Page(html).figures()


def test_every_figure_has_a_program(shown: dict[str, Any]) -> None:
    page = Page(
        report_html(report_data(shown, content=content(), studies=studies(), policies=policies()))
    )
    programs = "\n".join(page.scripts)
    for kind in set(page.figures()):
        assert re.search(rf"^  {kind}(\(|: \()", programs, re.MULTILINE), kind


def test_content_shows_what_there_is_of_it(shown: dict[str, Any]) -> None:
    everything = Page(report_html(report_data(shown, content=content())))
    kinds = {"aspects", "mood", "disagree", "reading", "picture_map", "interests", "together"}
    kinds |= {"profiles", "intents", "emotions", "confusion", "content_coverage", "languages"}
    assert kinds <= set(everything.figures())
    assert everything.section_ids()[2:5] == ["behaviour", "content", "predict"]
    for name, parts in content().items():
        for key, value in parts.items():
            if name != "map":
                page = Page(report_html(report_data(shown, content={name: {key: value}})))
                assert set(page.figures()) & kinds or key in ("tags", "users"), key
    nothing = {"sentiment": {"aspects": []}, "map": {"columns": 9, "cells": []}}
    for empty in ({}, nothing):
        page = Page(report_html(report_data(shown, content=empty)))
        assert "content" not in page.section_ids()


def test_pictures_from_elsewhere_are_refused(shown: dict[str, Any]) -> None:
    read = content()
    read["map"]["sprite"]["data"] = "https://example.org/sprite.jpg"
    with pytest.raises(DataError, match=r"data:image/jpeg.*got 'https://example\.org"):
        report_data(shown, content=read)


def test_the_same_parts_give_the_same_file(shown: dict[str, Any]) -> None:
    assert report_html(report_data(shown)) == report_html(report_data(shown))


def test_a_difference_counts_where_its_interval_leaves_zero() -> None:
    parts = studies()
    said = effects(parts["knockout"]["neural"]["next_item"])
    assert said["en"] == (
        "Worse than everything: without photos, texts alone, ids alone. "
        "No difference from everything seen: without texts."
    )
    assert "去掉图片" in said["zh"]
    # Less log loss is better.
    assert effects(parts["controls"]["neural"]["churn"])["en"] == (
        "Better than equal weights: one network per task."
    )


def test_studies_have_a_section_only_where_there_are_any(shown: dict[str, Any]) -> None:
    assert 'id="studies"' not in report_html(report_data(shown))
    assert 'id="studies"' in report_html(report_data(shown, studies=studies()))


def test_groups_and_campaigns_are_shown_where_there_are_any(shown: dict[str, Any]) -> None:
    bare = Page(report_html(report_data(shown)))
    assert "campaigns" not in bare.section_ids()
    assert "groups" not in bare.figures()
    html = report_html(report_data(shown, policies=policies()))
    page = Page(html)
    assert page.section_ids()[-4:] == ["campaigns", "prices", "acting", "method"]
    assert {"groups", "explains", "policies", "gain_curve"} <= set(page.figures())
    assert {"price_policies", "price_proposals", "price_curve"} <= set(page.figures())
    assert {"reply_policies", "reply_matrix"} <= set(page.figures())
    assert "1 up, 0 down, 3 kept; +12 EUR a week" in html
    assert "1 changes within the guardrails are expected to bring" in html
    assert "The chosen replies bring +3.100 more per reply" in html
    assert "mean prices by gender are 1.0% apart" in html
    assert "100 slates of 10 places show 40 different products" in html
    assert "+0.500 per showing beside “Everybody: none”" in html
    assert "at least 97% of customers stay" in html
    said = "Who was shown what was not drawn by chance"
    assert html.count(said) == 2  # the texts of the browser hold it too
    refused = policies()
    refused["audience"]["ad"] |= {"refused": "too few", "observational": False}
    refused["price"] |= {"refused": "nobody drew", "judged": None, "drawn": False}
    refused["slates"] |= {"refused": "not shown", "estimates": None}
    refused["reply"] |= {"refused": "too few replies"}
    html = report_html(report_data(shown, policies=refused))
    assert "nobody is named: too few" in html
    assert "no export: nobody drew" in html
    assert (
        "changes within the guardrails are expected" not in html.split("<main")[1].split("id=")[1]
    )
    assert "No verdict: not shown" in html
    assert "No verdict: too few replies" in html
    assert "price_policies" not in Page(html).figures()
    assert html.count(said) == 1
