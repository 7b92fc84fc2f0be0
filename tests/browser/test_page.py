"""The frame of the page: languages, colours, phones, keys, and people who do not see it."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Request, expect

from tests.browser.page_kit import PHONE, Site, Window, photo, window
from tests.web.web_kit import Kit, running

pytestmark = [pytest.mark.chromium, pytest.mark.web, pytest.mark.slow, pytest.mark.timeout(180)]
STATIC = Path(__file__).parents[2] / "daemon" / "web" / "static"
LIMIT_BYTES = 150_000
ALL_VIEWS = (
    *(f"views/{name}.js" for name in ("cut", "touch", "batch", "history", "review", "state")),
    "views/matte-worker.js",
)
RECEIVED: tuple[Literal["responseBodySize", "responseHeadersSize"], ...] = (
    "responseBodySize",
    "responseHeadersSize",
)
LISTEN = """import('/static/api.js').then(({api}) => { window.seen = [];
  api.events(({kind}) => window.seen.push(kind)); })"""
STAGES = ("empty", "result", "touch")
TITLES = {"en": "Cut out a picture", "zh": "给图片去背景"}
TOUCH = re.compile("Touch up|修整")


def show(shown: Window, stage: str) -> Page:
    """One of the pages' states."""
    if stage == "empty":
        page = shown.open()
        expect(page.locator("h1")).to_be_visible()
        return page
    shown.cut("a-very-long-name-that-no-phone-can-show-in-one-line.jpg", photo())
    if stage == "touch":
        shown.page.get_by_role("button", name=TOUCH).click()
        expect(shown.page.locator(".touch .viewer-canvas")).to_be_visible()
    return shown.page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("stage", STAGES)
def test_nothing_shuts_people_out(site: Site, browser: Browser, stage: str, scheme: str):
    """By axe: names, contrast, order, roles."""
    with window(browser, site, scheme=scheme) as shown:
        page = show(shown, stage)
        found = Axe().run(page)

        assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("stage", STAGES)
def test_each_language_on_a_phone(site: Site, browser: Browser, stage: str, language: str):
    """Nothing is wider than 360 pixels, and no text is missing."""
    with window(browser, site, language=language, size=PHONE, has_touch=True) as shown:
        page = show(shown, stage)
        width = page.evaluate("document.documentElement.scrollWidth")
        text = page.locator("body").inner_text()

        assert width <= PHONE[0]
        assert re.search(r"\b(shell|cut|knob|touch|view|ground)\.\w", text) is None
        assert page.locator("html").get_attribute("lang") == {"en": "en", "zh": "zh-CN"}[language]


def test_the_switches_are_kept(site: Site, browser: Browser):
    """Language and colours, also after a reload."""
    with window(browser, site) as shown:
        page = shown.open()
        expect(page.locator("h1")).to_have_text(TITLES["en"])
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.locator("#language").select_option("zh")
        expect(page.locator("h1")).to_have_text(TITLES["zh"])
        page.locator("#theme").select_option("dark")
        page.reload()
        expect(page.locator("h1")).to_have_text(TITLES["zh"])

        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light


def test_everything_is_reached_by_keys_and_the_focus_is_seen(site: Site, browser: Browser):
    """From the link over the header to the last control."""
    with window(browser, site) as shown:
        page = show(shown, "result")
        page.evaluate("document.activeElement.blur()")
        wanted = page.locator(
            "button:visible:enabled, select:visible:enabled, input:visible:enabled, canvas, nav a"
        ).count()
        seen = set()
        for _ in range(wanted + 15):
            page.keyboard.press("Tab")
            mark, width = page.evaluate(
                "(() => { const one = document.activeElement; one.dataset.tab ??="
                " String(document.querySelectorAll('[data-tab]').length);"
                " return [one.dataset.tab, getComputedStyle(one).outlineWidth]; })()"
            )
            seen.add(mark)
            assert width != "0px" or mark == "body"

        assert len(seen) >= wanted


def test_an_unknown_place_is_the_first_page(site: Site, browser: Browser):
    """And a picture that is not there is told."""
    with window(browser, site) as shown:
        shown.open("#/nowhere")
        expect(shown.page.locator("h1")).to_have_text(TITLES["en"])
        shown.page.goto(f"{site.url}/#/touch/{'0' * 22}")

        expect(shown.page.get_by_role("alert")).to_contain_text("there is no such picture")


def test_refusals_are_told_in_the_language_of_the_page(site: Site, browser: Browser):
    """Those that people meet here; the server speaks English."""
    with window(browser, site, language="zh") as shown:
        shown.open(f"#/touch/{'0' * 22}")

        expect(shown.page.get_by_role("alert")).to_contain_text("没有这张图片")


def test_both_languages_have_the_same_texts(site: Site, browser: Browser):
    """Chinese has one plural form, English two: some views repeat it, some do not."""
    files = [path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*.words.js")]
    with window(browser, site) as shown:
        page = shown.open()
        for file in files:
            script = (
                f"import('/{file}').then((one) => [Object.keys(one.en), Object.keys(one.zh), one])"
            )
            english, chinese, texts = page.evaluate(script)
            without_one = {key for key in english if not key.endswith(".one")}
            assert without_one == {key for key in chinese if not key.endswith(".one")}, file
            for key in without_one:
                names = [set(re.findall(r"\{\w+\}", texts[one][key])) for one in ("en", "zh")]
                assert names[0] == names[1], key


def test_the_page_is_small(site: Site, browser: Browser):
    """What a browser transfers for all views: no font, no library, and everything compressed."""
    ended: list[Request] = []

    def note(request: Request) -> None:  # the library cannot wrap a built-in method
        ended.append(request)

    with window(browser, site) as shown:
        shown.page.on("requestfinished", note)
        show(shown, "touch")
        for view in ("batch", "history", "review", "state"):
            shown.page.evaluate(f"location.hash = '#/{view}'")
            expect(shown.page.locator(f".view-{view} h1")).to_be_visible()
        shown.page.wait_for_timeout(1000)
        modules = {f"{site.url}/static/{name}" for name in ALL_VIEWS}
        until_so(shown.page, lambda: modules <= {one.url for one in ended})
        sizes: Counter[str] = Counter()
        for request in ended:
            path = request.url.removeprefix(site.url)
            if not path.startswith("/api/"):
                sizes[path] += sum(request.sizes()[part] for part in RECEIVED)
        told = json.dumps(sizes, indent=1)

        missing = {f"/static/{name}" for name in ALL_VIEWS} - set(sizes)
        assert missing == set(), told
        assert 20_000 < sum(sizes.values()) <= LIMIT_BYTES, told


@pytest.mark.parametrize("stage", ["result", "touch"])
def test_nothing_shuts_people_out_on_a_phone(site: Site, browser: Browser, stage: str):
    """What lies at the lower edge of a small screen is no trap."""
    with window(browser, site, size=PHONE, has_touch=True) as shown:
        found = Axe().run(show(shown, stage))

        assert found.violations_count == 0, found.generate_report()


def test_nothing_comes_from_elsewhere(site: Site, browser: Browser):
    """No view asks another server for anything, and no file names one."""
    asked: list[str] = []

    def note(request: Request) -> None:  # the library cannot wrap a built-in method
        asked.append(request.url)

    with window(browser, site) as shown:
        shown.page.on("request", note)
        show(shown, "touch")
        for view in ("batch", "history", "review", "state"):
            shown.page.evaluate(f"location.hash = '#/{view}'")
            expect(shown.page.locator(f".view-{view} h1")).to_be_visible()
    texts = {path.name: path.read_text() for path in STATIC.rglob("*.*") if path.suffix != ".svg"}
    named = {name for name, text in texts.items() if re.search(r"https?://(?!www\.w3\.org/)", text)}

    assert [url for url in asked if not url.startswith((site.url, f"blob:{site.url}"))] == []
    assert named == set()
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", texts["index.html"])


def test_events_go_on_after_the_server_was_away(browser: Browser, tmp_path: Path):
    """The page connects again by itself, and its views hear that they may have missed some."""
    with running(Kit(tmp_path)) as kit:
        port = int(kit.server.url.rpartition(":")[2])
        site = Site(kit.server.url, tmp_path)
        with window(browser, site) as shown:
            page = shown.open()
            page.evaluate(LISTEN)
            until(page, "window.seen.length === 1")
            kit.stop()
            page.wait_for_timeout(3000)
            kit.start_at(port)
            until(page, "window.seen.length === 2")
            kit.upload()
            until(page, "window.seen.includes('done')")

            assert page.evaluate("window.seen.slice(0, 2)") == ["connected", "connected"]


def until(page: Page, script: str) -> None:
    """Wait until a script says yes; the page's policy forbids `wait_for_function`."""
    assert until_so(page, lambda: page.evaluate(script)), script


def until_so(page: Page, what: Callable[[], object]) -> bool:
    """Wait until something is so; False if it never is. Events of the page come meanwhile."""
    for _ in range(300):
        if what():
            return True
        page.wait_for_timeout(100)
    return False
