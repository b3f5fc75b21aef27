"""The dashboard in a real browser: every page, both languages, live, by keyboard, on a phone."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoploom.core import columns as c
from shoploom.serving.dashboard.routes import PAGES
from shoploom.serving.keys import make_key
from shoploom.serving.store import open_store
from tests.serving.conftest import Process, event

pytestmark = pytest.mark.slow

playwright = pytest.importorskip("playwright.sync_api", reason="the extra test is not installed")
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("no chromium is installed", allow_module_level=True)

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"),
    *("--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="module")
def server(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    store = tmp_path_factory.mktemp("browser") / "live.db"
    started = Process(run_folder, f"sqlite:///{store}")
    actions = (c.VIEW, c.VIEW, c.CART, c.PURCHASE)
    for n in range(120):
        started.ask(
            "/v1/events",
            event(f"b{n}", f"u{n % 50:02d}", actions[n % 4], item_id=f"i{n % 40:02d}", price=5.0),
        )
    yield started
    started.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


class Looked:
    """A page, and everything about it that should not be."""

    def __init__(self, browser, server: Process, **context: object):
        self.server = server
        self.context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 900}, **context}
        )
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.page.on(
            "console",
            lambda m: self.wrong.append(m.text) if m.type in ("error", "warning") else None,
        )
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", self._asked)

    def _asked(self, request) -> None:
        if not request.url.startswith((self.server.url, "data:")):
            self.wrong.append(f"asked {request.url}")

    def at(self, path: str):
        """The page, drawn."""
        self.page.goto(f"{self.server.url}/dashboard/{path}")
        self.page.wait_for_selector("body[data-ready]")
        return self.page


@pytest.fixture
def looked(browser, server: Process) -> Iterator[Looked]:
    found = Looked(browser, server)
    yield found
    found.context.close()
    assert found.wrong == []


PATHS = [*PAGES, "users?id=u07", "products?item=i03", "products?q=lamps"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_is_drawn(looked: Looked, language: str):
    for path in PATHS:
        page = looked.at(f"{path}{'&' if '?' in path else '?'}lang={language}")
        for canvas in page.query_selector_all("[data-chart] canvas"):
            box = canvas.bounding_box()
            assert box["width"] > 50, path
            assert box["height"] > 30, path
        assert page.evaluate("document.documentElement.lang") == language


def test_a_visitor_logs_in_with_a_key(browser, run_folder: Path, tmp_path: Path):
    store = f"sqlite:///{tmp_path / 'live.db'}"
    token, key = make_key("manager", ["read"])
    opened = open_store(store)
    opened.add_key(key)
    server = Process(run_folder, store, demo=False)
    looked = Looked(browser, server)
    page = looked.page
    page.goto(f"{server.url}/dashboard/products")
    assert page.url == f"{server.url}/login"
    page.get_by_label("API key").fill(token)
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-ready]")
    assert page.url == f"{server.url}/dashboard/overview"
    looked.at("live")
    assert looked.wrong == []
    opened.revoke_key(key.id)
    opened.close()
    page.wait_for_url(f"{server.url}/login", timeout=20_000)
    looked.context.close()
    assert server.stop() == 0


@pytest.mark.parametrize("status", [429, 503, None])
def test_a_live_page_stays_and_says_that_the_server_does_not_answer(
    looked: Looked, status: int | None
):
    page = looked.at("live?lang=en")
    notice, tiles = page.locator(".late"), page.locator(".tile")
    n = tiles.count()
    assert n > 0
    assert not notice.is_visible()

    def fail(route) -> None:
        if status is None:
            route.abort()
        else:
            route.fulfill(status=status, content_type="application/json", body='{"error": {}}')

    page.route("**/dashboard/live/now*", fail)
    notice.wait_for(state="visible", timeout=10_000)
    assert tiles.count() == n
    page.unroute("**/dashboard/live/now*")
    notice.wait_for(state="hidden", timeout=10_000)
    looked.wrong.clear()  # browsers report every failed request


def test_a_live_event_appears_within_two_seconds(looked: Looked):
    page = looked.at("live?lang=en")
    for turn in range(3):
        name = f"somebody-{turn}"
        looked.server.ask("/v1/events", event(f"live-{turn}", name, c.CART, item_id="i03"))
        begin = time.monotonic()
        page.wait_for_selector(f".feed >> text={name}", timeout=2_000)
        assert time.monotonic() - begin < 2
    assert page.query_selector("#chart-funnel canvas") is not None


def test_charts_are_tables_as_well(looked: Looked):
    page = looked.at("quality?lang=en")
    page.click("#chart-coverage summary")
    assert page.is_visible("#chart-coverage table")
    with page.expect_download() as download:
        page.click("#chart-coverage a[download]")
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    assert text.startswith("day,events,aside")


def test_a_customer_is_found_while_typing(looked: Looked):
    page = looked.at("users?lang=en")
    page.type("main input[name=id]", "u0")
    page.click("#found >> text=u07")
    page.wait_for_selector("h1 >> text=u07")
    assert page.url.endswith("users?id=u07")


def test_the_keyboard_is_enough(looked: Looked):
    page = looked.at("overview?lang=en")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    links = set()
    page.evaluate("document.querySelector('.brand').focus()")
    for _ in range(11):
        page.keyboard.press("Tab")
        links.add(page.evaluate("document.activeElement.textContent.trim()"))
    assert {"Live", "Customers", "Model"} <= links


def test_light_and_dark_are_kept(looked: Looked):
    page = looked.at("overview?lang=en")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("[data-switch=theme]")
    after = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert before != after
    page = looked.at("live?lang=en")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == after


@pytest.mark.parametrize("width", [360, 820])
def test_narrow_screens_need_no_sideways_scrolling(browser, server: Process, width: int):
    looked = Looked(browser, server, viewport={"width": width, "height": 780})
    for path in PATHS:
        for language in ("en", "zh"):
            page = looked.at(f"{path}{'&' if '?' in path else '?'}lang={language}")
            over = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert over <= 0, (path, language)
    looked.context.close()
    assert looked.wrong == []


def test_what_is_read_aloud_has_names(looked: Looked):
    for path in PATHS:
        page = looked.at(f"{path}{'&' if '?' in path else '?'}lang=en")
        nameless = page.evaluate(
            """[...document.querySelectorAll('a, button, input, textarea, [role=img]')]
            .filter(e => !(e.textContent.trim() || e.ariaLabel || e.title)).length"""
        )
        assert nameless == 0, path
        assert page.evaluate("document.querySelectorAll('h1').length") == 1
        assert page.evaluate("document.querySelectorAll('main, nav').length") >= 2
