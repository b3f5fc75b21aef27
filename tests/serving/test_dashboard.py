"""Every page in both languages, the rows behind each chart, and nothing of strangers as markup."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser

import pytest
import yaml

from shoploom.core import columns as c
from shoploom.serving.dashboard.charts import Chart, Column
from shoploom.serving.dashboard.routes import PAGES
from shoploom.serving.dashboard.wording import Words, texts
from shoploom.workflows import load
from tests.serving.conftest import Served, event

ASKED = [
    "",
    *(f"?{q}" for q in ("id=u07", "id=nobody", "id=u0", "item=i03", "item=none", "q=lamps")),
]


@pytest.fixture
def busy(served: Served) -> Served:
    """A server that has met a few events."""
    steps = [(c.VIEW, "i03"), (c.VIEW, "i08"), (c.CART, "i03"), (c.PURCHASE, "i03")]
    served.send(
        *[
            event(f"{n}", f"u0{n % 7}", action, item_id=item, price=3.0)
            for n, (action, item) in enumerate(steps)
        ]
    )
    served.send(event("bad", action="nonsense"), event("s", "u03", c.SEARCH, query="<b>tea</b>"))
    return served


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("page", PAGES)
def test_every_page_in_both_languages(busy: Served, page: str, language: str):
    for asked in ASKED[:1] if page not in ("users", "products") else ASKED:
        mark = "&" if asked else "?"
        answer = busy.client.get(f"/dashboard/{page}{asked}{mark}lang={language}")
        assert answer.status_code == 200, answer.text
        assert f'<html lang="{language}">' in answer.text
        assert texts()["nav"][page][language] in answer.text
        assert not re.search(r'(?:src|href)="(?:https?:)?//', answer.text)
        _Checked().feed(answer.text)


class _Checked(HTMLParser):
    """No inline handler, no inline script that runs, and every picture has a text."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        assert not any(name.startswith("on") for name in named)
        if tag == "script":
            assert "src" in named or named.get("type") == "application/json"
        if tag == "img":
            assert "alt" in named
        if tag in ("input", "textarea"):
            assert named.get("aria-label") or named.get("type") == "hidden"


def test_each_chart_has_a_table_and_a_download(busy: Served):
    for page in PAGES:
        text = busy.client.get(f"/dashboard/{page}").text
        for link in set(re.findall(r'href="(/dashboard/[^"]+\.csv[^"]*)"', text)):
            answer = busy.client.get(link.replace("&amp;", "&"))
            assert answer.status_code == 200, link
            assert answer.headers["content-type"] == "text/csv; charset=utf-8"
            rows = list(csv.reader(io.StringIO(answer.text.lstrip("\ufeff"))))
            assert len(rows) > 1, link
            assert len({len(row) for row in rows}) == 1


def test_what_is_drawn_is_what_is_downloaded():
    columns = [
        Column("item", "Item"),
        Column("n", "Number", "number"),
        Column("at", "When", "time"),
    ]
    chart = Chart("x", "X", "bars", columns, [["=1+1", 2, 0], ["</script>", None, 60_000_000]])
    assert (
        chart.csv()
        == "\ufeffitem,n,at\r\n'=1+1,2,1970-01-01\r\n</script>,,1970-01-01T00:01:00Z\r\n"
    )
    assert "</script>" not in chart.payload
    assert chart.cells(Words("en", "USD"))[1][1] == ("–", "number")


def test_words_of_strangers_are_text(busy: Served):
    busy.send(event("evil", '<script>alert("x")</script>', item_id="<img src=x onerror=alert(1)>"))
    for page in ("live", "users", "live/now", "users?id=<script>alert(1)</script>"):
        text = busy.client.get(f"/dashboard/{page}").text
        assert "<script>alert" not in text
        assert "<img src=x" not in text
    found = busy.client.get("/dashboard/users/found", params={"id": "<script>"}).text
    assert "<script>" not in found


def test_the_live_page_moves(served: Served):
    before = served.client.get("/dashboard/live/now").text
    served.send(event("a", "somebody", c.CART, item_id="i03"))
    after = served.client.get("/dashboard/live/now").text
    assert "somebody" not in before
    assert "somebody" in after
    assert "shoes number 3" in after or "number 3" in after


def test_a_customer_is_found_and_told(busy: Served):
    found = busy.client.get("/dashboard/users/found", params={"id": "u1"}).text
    assert "u10" in found
    assert "u20" not in found
    page = busy.client.get("/dashboard/users?id=u07").text
    for said in ("Wants next", "Timeline", "Churn", "Purchase", "within 14 days"):
        assert said in page


def test_what_the_page_says_is_what_the_run_found(busy: Served, run_folder):
    evaluation = load(run_folder).evaluation
    answer = busy.client.get("/dashboard/model/metric_churn.csv")
    rows = {row["engine"]: row for row in csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff")))}
    results = evaluation["tasks"]["churn"]["results"]
    assert len(rows) == len(results)
    values = sorted(float(row["value"]) for row in rows.values())
    assert values == pytest.approx(sorted(each["auroc"][0] for each in results.values()))


def test_policies_that_were_never_asked_for_say_so(served: Served):
    for page, command in (("prices", "price"), ("campaigns", "audience"), ("service", "reply")):
        assert f"shoploom {command} shop.yaml" in served.client.get(f"/dashboard/{page}").text
    answer = served.client.post("/dashboard/service/try", data={"text": "Where is it?"})
    assert "no replies were learned" in answer.text


def test_the_language_stays_chosen(served: Served):
    served.client.get("/dashboard/overview?lang=zh")
    assert 'lang="zh"' in served.client.get("/dashboard/live").text
    served.client.get("/dashboard/overview?lang=en")
    assert 'lang="en"' in served.client.get("/dashboard/live").text
    assert 'lang="en"' in served.client.get("/dashboard/live?lang=klingon").text


@pytest.mark.parametrize(
    "path", ["nothing", "overview/none.csv", "map.jpg", "photo?item=i01&size=7"]
)
def test_what_is_not_there_is_said(served: Served, path: str):
    assert served.client.get(f"/dashboard/{path}").status_code in (404, 422)


@pytest.mark.parametrize(
    ("language", "said"), [("en", "There is no such page."), ("zh", "没有这个页面。")]
)
def test_people_are_told_on_a_page(served: Served, language: str, said: str):
    answer = served.client.get(f"/dashboard/nothing?lang={language}")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert said in answer.text


def test_a_page_that_would_wait_long_is_refused_as_a_page(served: Served):
    served.server.aside._most = 0
    answer = served.client.get("/dashboard/overview?lang=en")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "1"
    assert "Too much is asked at once." in answer.text
    assert served.client.get("/dashboard/live/now").json()["error"]["code"] == "overloaded"


def test_static_files_are_ours_alone(served: Served):
    for name in ("board.js", "board.css", "htmx.min.js", "echarts.min.js", "fonts.css", "icon.svg"):
        assert served.client.get(f"/static/{name}").status_code == 200
    for name in ("routes.py", "..%2Froutes.py", "%2e%2e/texts.yaml", "htmx.LICENSE.txt"):
        assert served.client.get(f"/static/{name}").status_code == 404


def test_every_text_is_there_in_both_languages():
    def walk(value: object, path: str) -> None:
        if isinstance(value, dict) and set(value) & {"en", "zh"}:
            assert set(value) == {"en", "zh"}, path
            names = [sorted(re.findall(r"\{(\w+)\}", value[language])) for language in ("en", "zh")]
            assert names[0] == names[1], path
        elif isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, f"{path}.{key}")
        else:
            raise AssertionError(f"{path}: {value!r}")

    walk(yaml.safe_load(yaml.safe_dump(texts())), "")


def test_every_statistic_has_words(run_folder):
    model = load(run_folder)
    names = model.inputs.statistics(model.card["trained_until"]).names
    for language in ("en", "zh"):
        words = Words(language, "EUR")
        unsaid = [name for name in names if words.statistic(name) == name and "_" in name]
        assert not unsaid
