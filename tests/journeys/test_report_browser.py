"""The report in a real browser, as its reader meets it: Chromium, no network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shoploom.tables import Tables
from shoploom.workflows.report import at_risk, insights, render_report
from tests.workflows.report_sample import SHOP, content, policies, quality, report_data, studies

pytestmark = pytest.mark.slow

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(shop: Tables, shop_at: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the shared shop, with texts in it that try to be code."""
    shown = insights(shop, shop_at)
    users = np.array([f"u{n:02d}" for n in range(40)], dtype=object)
    risk = np.linspace(0.05, 0.95, 40)
    shown["at_risk"] = at_risk(shop, shop_at, users, risk, np.ones(40), window_days=28)
    shown["best_sellers"][0]["title"] = HOSTILE
    shown["pairs"] = [
        {
            "first": "=1+1",
            "second": "b",
            "support": 0.01,
            "confidence": 0.2,
            "lift": 3.5,
            "first_title": None,
            "second_title": HOSTILE,
        }
    ]
    dirty = quality() | {"notes": [HOSTILE]}
    path = tmp_path_factory.mktemp("report") / "report.html"
    said = content(text=HOSTILE, title=HOSTILE)
    shop_data = {**SHOP, "name": HOSTILE}
    parts = {"shop": shop_data, "quality": dirty, "content": said, "studies": studies()}
    parts["policies"] = policies(HOSTILE)
    render_report(report_data(shown, **parts), path)
    return path


class Reader:
    """A page with the report open, and everything it complained about or asked for."""

    def __init__(self, browser: Any, report: Path, query: str = "", **context: Any):
        self.context = browser.new_context(**{"locale": "en-GB", **context})
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(f"{report.as_uri()}{query}")
        self.page.wait_for_selector("html[data-ready]")

    def figure(self, kind: str) -> Any:
        return self.page.locator(f"[data-figure={kind}]").first

    def close(self) -> None:
        self.context.close()


@pytest.fixture
def read(browser: Any, report: Path) -> Iterator[Any]:
    """Open the report: ``read(query, **context)``."""
    readers: list[Reader] = []

    def open_report(query: str = "", **context: Any) -> Reader:
        readers.append(Reader(browser, report, query, **context))
        return readers[-1]

    yield open_report
    for reader in readers:
        reader.close()


def test_every_chart_draws_without_network_or_complaint(read: Any) -> None:
    reader = read()
    charts = reader.page.locator(".plot[role=img]:visible")
    assert charts.count() > 15
    assert charts.count() == reader.page.locator(".plot:visible svg").count()
    assert reader.complaints == []
    assert all(url.startswith(("file:", "data:")) for url in reader.requests)


def test_hostile_texts_are_shown_and_do_nothing(read: Any) -> None:
    reader = read()
    assert reader.page.title() == f"{HOSTILE} · shoploom"
    assert reader.page.locator("h1").inner_text() == HOSTILE
    assert reader.page.locator("img").count() == 0
    best = reader.figure("best_sellers")
    best.get_by_role("button", name="Table").click()
    assert best.locator("tbody th").first.inner_text() == HOSTILE
    reader.figure("revenue").locator(".plot").hover()  # tooltips are built, too
    assert reader.page.title() == f"{HOSTILE} · shoploom"
    assert reader.complaints == []


def test_hostile_reviews_are_quoted_and_do_nothing(read: Any) -> None:
    reader = read()
    aspects = reader.figure("aspects")
    assert aspects.locator("blockquote:visible").all_inner_texts() == [HOSTILE] * 3
    assert reader.figure("disagree").locator("td.small").inner_text() == HOSTILE
    assert HOSTILE in reader.figure("profiles").inner_text()
    reader.figure("picture_map").locator(".map-view").hover(position={"x": 20, "y": 20})
    assert reader.page.locator(".map-card strong").inner_text() == HOSTILE
    assert reader.page.locator("img").count() == 0
    assert reader.page.title() == f"{HOSTILE} · shoploom"
    assert reader.complaints == []
    assert all(url.startswith(("file:", "data:")) for url in reader.requests)


def test_an_aspect_shows_its_examples_by_mouse_and_keyboard(read: Any) -> None:
    aspects = read().figure("aspects")
    rows = aspects.locator("button.aspect")
    assert rows.first.inner_text().startswith("Delivery")  # most complaints first
    assert aspects.locator("h5:visible").inner_text() == "Delivery"
    rows.nth(1).click()
    assert aspects.locator("h5:visible").inner_text() == "Quality"
    rows.first.focus()
    assert aspects.locator("h5:visible").inner_text() == "Delivery"
    assert rows.first.get_attribute("aria-pressed") == "true"


#: The colour in the middle of each thumbnail that stands in view.
_MIDDLES = """() => {
  const shown = document.querySelector(".map-space canvas");
  const copy = Object.assign(document.createElement("canvas"), { width: shown.width, height: 1 });
  const pixels = copy.getContext("2d", { willReadFrequently: true });
  pixels.drawImage(shown, 0, -Math.floor(shown.height / 2));
  const at = (share) => pixels.getImageData(share * shown.width, 0, 1, 1).data.slice(0, 3);
  return [0.25, 0.75].map((share) => [...at(share)].join());
}"""


@pytest.mark.parametrize("query", ["?lang=en", "?lang=zh&theme=dark"])
def test_thumbnails_are_drawn_from_inside_the_file(read: Any, query: str) -> None:
    reader = read(query)
    reader.page.wait_for_function(f"({_MIDDLES})().join() === '200,30,30,30,60,200'")
    assert reader.page.locator(".map-kind").count() == 2
    assert reader.complaints == []
    assert all(url.startswith(("file:", "data:")) for url in reader.requests)


def test_the_map_is_walked_zoomed_and_filtered_by_keyboard(read: Any) -> None:
    reader = read()
    figure = reader.figure("picture_map")
    card = figure.locator(".map-card")
    view = figure.locator(".map-view")
    figure.get_by_role("button", name="Smaller pictures").focus()
    view.focus()
    view.press("ArrowRight")
    view.press("ArrowRight")
    assert "i2" in card.inner_text()
    view.press("ArrowLeft")
    assert "€30.50" in card.inner_text()
    assert "Home > Vases" in card.inner_text()
    width = figure.locator(".map-space").bounding_box()["width"]
    view.press("+")
    assert figure.locator(".map-space").bounding_box()["width"] == pytest.approx(
        1.5 * width, rel=0.05
    )
    view.press("Escape")
    assert card.is_hidden()
    figure.get_by_role("button", name="Home").press("Enter")
    assert reader.page.evaluate(_MIDDLES)[1] != "30,60,200"  # the other category has faded
    figure.get_by_role("button", name="Table").click()
    assert "i2" in figure.locator("tbody").inner_text()


def test_the_switch_turns_every_word_and_number_chinese(read: Any) -> None:
    reader = read()
    assert "customers" in reader.page.locator(".figures").inner_text()
    reader.page.get_by_role("button", name="中文").click()
    body = reader.page.locator("main").inner_text()
    assert "顾客" in body
    assert "How customers behave" not in body
    assert "评价说了什么" in body
    assert "What reviews say" not in body
    assert "配送" in reader.figure("aspects").inner_text()
    assert "2024年1月1日" in reader.page.locator(".dates").inner_text()
    assert reader.page.evaluate("document.documentElement.lang") == "zh"
    assert reader.figure("revenue").locator("svg").text_content().count("月") > 2


def test_the_language_is_remembered_and_can_be_linked_to(read: Any) -> None:
    reader = read()
    reader.page.get_by_role("button", name="中文").click()
    reader.page.reload()
    assert reader.page.evaluate("document.documentElement.lang") == "zh"
    assert read("?lang=zh").page.evaluate("document.documentElement.lang") == "zh"
    assert read(locale="zh-CN").page.evaluate("document.documentElement.lang") == "zh"


def test_dark_follows_the_system_and_the_switch(read: Any) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    dark = read(color_scheme="dark").page
    assert dark.evaluate(background) == "rgb(17, 19, 24)"
    dark.get_by_role("button", name="Light").click()
    assert dark.evaluate(background) == "rgb(252, 252, 251)"


def test_a_table_stands_behind_every_chart(read: Any) -> None:
    reader = read()
    for name in reader.page.locator(".plot:visible").evaluate_all(
        "plots => plots.map((plot) => plot.getAttribute('aria-label'))"
    ):
        assert name.startswith("Chart: ")
    for button in reader.page.get_by_role("button", name="Table", exact=True).all():
        button.click()
    assert reader.page.locator(".plot:visible").count() == 0
    tables = reader.page.locator(".table-box:visible")
    assert tables.count() == reader.page.locator("[data-figure]").count()
    assert "2024" in reader.figure("cohorts").inner_text()


def test_csv_holds_the_numbers_and_no_formula(read: Any) -> None:
    reader = read()
    with reader.page.expect_download() as download:
        reader.figure("pairs").get_by_role("button", name="CSV").click()
    text = Path(download.value.path()).read_bytes().decode("utf-8-sig")
    assert text.splitlines()[0] == "Who buys,also buys,Support,Confidence,Lift"
    assert text.splitlines()[1].startswith("'=1+1,")
    assert text.splitlines()[1].endswith(",0.01,0.2,3.5")
    with reader.page.expect_download() as download:
        reader.figure("revenue").get_by_role("button", name="CSV").click()
    assert download.value.suggested_filename == "revenue.csv"


def test_another_metric_can_be_chosen(read: Any) -> None:
    figure = read().figure("engines")
    assert "0.250" in figure.locator("svg").text_content()
    figure.get_by_label("Metric").select_option("hr@10")
    assert "0.125" in figure.locator("svg").text_content()


def test_a_phone_scrolls_one_way_only(read: Any) -> None:
    page = read(viewport={"width": 390, "height": 844}).page
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator(".plot:visible svg").count() > 15


def test_the_keyboard_reaches_the_switches(read: Any) -> None:
    page = read().page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.get_by_role("button", name="中文").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.documentElement.lang") == "zh"


def test_paper_is_light_and_without_controls(read: Any) -> None:
    page = read(color_scheme="dark").page
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert page.locator(".tools:visible, .bar:visible, .map-zoom:visible").count() == 0
    assert page.locator(".aspect-examples h5:visible").count() == 2  # examples of every aspect
    assert len(page.pdf()) > 50_000
