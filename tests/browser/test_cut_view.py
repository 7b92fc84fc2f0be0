"""Cut, in a real browser, with a worker without a network."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, expect

from daemon.config import video
from tests.browser.views_kit import Window, photo, window
from tests.service.test_clips import MP4, gif
from tests.web.web_kit import Kit

pytestmark = [pytest.mark.web, pytest.mark.chromium]


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with the extra for clips: nothing here reads or writes clips in earnest."""
    monkeypatch.setattr(video, "is_installed", lambda: True)


@pytest.fixture
def shown(browser: Browser, kit: Kit) -> Iterator[Window]:
    """The view."""
    with window(browser, kit) as shown:
        shown.page.goto(f"{kit.server.url}/#/cut")
        yield shown


def choose(shown: Window, name: str, kind: str, content: bytes) -> None:
    """As with the chooser of files."""
    file: FilePayload = {"name": name, "mimeType": kind, "buffer": content}
    shown.page.set_input_files("#cut-file", file)


def downloaded(shown: Window) -> tuple[str, bytes]:
    """Name and content of the download."""
    with shown.page.expect_download() as found:
        shown.page.get_by_role("button", name="Download").click()
    return found.value.suggested_filename, Path(found.value.path()).read_bytes()


def test_clip_that_cannot_be_shown_is_downloaded(shown: Window):
    """Without settings and brush, which would have nothing to show; then another one may follow."""
    choose(shown, "cat.mp4", "video/mp4", MP4)
    expect(shown.page.locator("#view")).to_contain_text("It cannot be shown here")
    expect(shown.page.locator("#view button")).to_have_text(["Download", "Another picture"])

    assert downloaded(shown) == ("cat.webm", MP4)
    shown.page.get_by_role("button", name="Another picture").click()
    expect(shown.page.get_by_text("Drop a picture here")).to_be_visible()


def test_result_that_cannot_be_shown_is_not_painted_on(shown: Window, kit: Kit):
    """The page says why."""
    upload_id = kit.upload(MP4, name="cat.mp4")
    kit.wait(upload_id)
    shown.page.goto(f"{kit.server.url}/#/touch/{upload_id}")

    expect(shown.page.get_by_role("alert")).to_contain_text("cannot be touched up")


def test_download_has_the_suffix_of_the_result(shown: Window):
    """An animated GIF comes out as WebP."""
    choose(shown, "cat.gif", "image/gif", gif(3))

    assert downloaded(shown) == ("cat.webp", gif(3))


def test_file_that_is_gone_is_told(shown: Window, tmp_path: Path):
    """It is no fault of the connection, and sending it again is not offered."""
    path = tmp_path / "gone.png"
    path.write_bytes(photo())
    shown.page.route("**/api/v1/pictures?*", lambda route: route.abort())
    shown.page.set_input_files("#cut-file", str(path))
    expect(shown.page.get_by_role("alert")).to_contain_text("does not answer")
    path.unlink()
    shown.page.get_by_role("button", name="Try again").click()

    expect(shown.page.get_by_role("alert")).to_contain_text("changed or removed")
    expect(shown.page.get_by_role("button", name="Try again")).to_have_count(0)


FORBIDDEN = """for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, {get() { throw new DOMException("", "SecurityError"); }});"""


def test_page_works_where_site_data_is_forbidden(browser: Browser, kit: Kit, tmp_path: Path):
    """It only forgets; Batch says so."""
    path = tmp_path / "cat.png"
    path.write_bytes(photo())
    with window(browser, kit) as shown:
        shown.page.add_init_script(FORBIDDEN)
        shown.open("batch")
        shown.page.locator("#theme").select_option("dark")
        shown.page.locator("#language").select_option("zh")
        expect(shown.page.locator("h1")).to_have_text("批量处理")
        shown.page.locator("#language").select_option("en")
        shown.page.set_input_files("#batch-files", str(path))

        expect(shown.page.locator(".progress-card .notice")).to_contain_text("cannot remember")
        expect(shown.page.locator(".badge.is-done")).to_have_count(1)


LISTEN = """import('/static/api.js').then(({api}) => { window.seen ??= [];
  api.events(({kind}) => window.seen.push(kind)); })"""


def test_events_come_after_a_key_was_refused_once(shown: Window):
    """The next listener asks for one again."""
    refusal = {"code": "auth_failed", "detail": "a key is needed"}
    shown.page.route("**/api/v1/events", lambda route: route.fulfill(status=401, json=refusal))
    shown.page.evaluate(LISTEN)
    shown.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(shown.page.locator(".key-dialog")).to_have_count(0)  # then the listener has given up
    shown.page.unroute("**/api/v1/events")
    shown.page.evaluate(LISTEN)

    assert shown.wait_for(lambda: shown.page.evaluate("window.seen") == ["connected"] * 2)
