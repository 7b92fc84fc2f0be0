"""Batch, in a real browser: what is told of it, and what changes elsewhere."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.views_kit import (
    Window,
    await_ready,
    choose,
    found,
    photo,
    window,
    write_photos,
)
from tests.web.web_kit import Json, Kit, wait_for

pytestmark = [pytest.mark.web, pytest.mark.chromium]
DROP = """(place) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File(["x"], "a.png", {type: "image/png"}));
    const options = {dataTransfer: transfer, bubbles: true, cancelable: true};
    const event = new DragEvent("drop", options);
    document.querySelector(place).dispatchEvent(event);
    return event.defaultPrevented; }"""


@pytest.fixture
def shown(browser: Browser, kit: Kit) -> Iterator[Window]:
    """The view."""
    with window(browser, kit) as shown:
        shown.open("batch")
        yield shown


def notice(shown: Window) -> Locator:
    """What the view tells."""
    return shown.page.locator(".view-batch > .notice")


def test_files_that_are_left_out_are_told(shown: Window, tmp_path: Path):
    """For all to see; the next files that are added end it."""
    paths = write_photos(tmp_path / "in", 3)
    (tmp_path / "notes.txt").write_text("no picture")
    choose(shown, [*paths[:2], tmp_path / "notes.txt"])
    expect(notice(shown)).to_have_text("1 file left out, because it is no picture.")
    choose(shown, paths[2:])

    expect(notice(shown)).to_be_hidden()


def test_zip_that_is_refused_is_told(shown: Window, tmp_path: Path):
    """For all to see."""
    choose(shown, write_photos(tmp_path / "in", 1))
    await_ready(shown, 1)
    refusal = {"code": "invalid_pictures", "detail": "pictures is a list of 1 to 10000"}
    shown.page.route("**/api/v1/archives", lambda route: route.fulfill(status=400, json=refusal))
    shown.page.get_by_role("button", name="Save everything as a ZIP").click()

    expect(notice(shown)).to_have_text(refusal["detail"])


def test_click_without_a_connection_is_no_fault_of_the_picture(shown: Window, tmp_path: Path):
    """It is told, and its card stays as it was."""
    choose(shown, write_photos(tmp_path / "in", 1))
    await_ready(shown, 1)
    shown.page.route("**/api/v1/drops/**", lambda route: route.abort())
    shown.page.locator(".picture-button").click()
    expect(notice(shown)).to_contain_text("does not answer")
    shown.page.unroute("**/api/v1/drops/**")
    shown.page.locator(".picture-button").click()

    expect(shown.page.locator("dialog[open]")).to_be_visible()
    expect(notice(shown)).to_be_hidden()
    expect(shown.page.locator(".picture .reason")).to_have_count(0)


@pytest.mark.parametrize("place", ["h1", "ul.pictures", "header"])
def test_files_are_dropped_anywhere_on_the_page(shown: Window, place: str):
    """The browser does not open them instead."""
    assert shown.page.evaluate(DROP, place)
    await_ready(shown, 1)


def test_judged_in_a_window_of_its_own(shown: Window, tmp_path: Path):
    """What was decided is told, and the focus goes to the card in its place."""
    paths = write_photos(tmp_path / "in", 2)
    paths[0].write_bytes(b"blank")
    choose(shown, paths)
    await_ready(shown, 2)
    dialog = shown.page.locator("dialog[open]")
    shown.page.get_by_role("button", name="photo-000.png").press("Enter")
    dialog.get_by_role("button", name="Accept").click()
    expect(notice(shown)).to_have_text("photo-000.png is accepted.")
    expect(shown.page.locator(".badge.is-done")).to_have_count(2)
    expect(shown.page.get_by_role("button", name="photo-000.png")).to_be_focused()
    shown.page.get_by_role("button", name="photo-000.png").press("Enter")
    dialog.get_by_role("button", name="Reject").click()
    expect(shown.page.locator(".picture")).to_have_count(1)

    expect(shown.page.get_by_role("button", name="photo-001.png")).to_be_focused()


def test_what_was_judged_in_another_view_is_seen(shown: Window, kit: Kit, tmp_path: Path):
    """Accepted in Review, tried again in History: the view asks when it is opened."""
    paths = write_photos(tmp_path / "in", 2)
    paths[0].write_bytes(b"blank")
    paths[1].write_bytes(b"bad")
    choose(shown, paths)
    await_ready(shown, 2)
    shown.open("review")
    expect(shown.page.locator(".review-panel .name")).to_have_text("photo-000.png")
    shown.page.keyboard.press("a")
    assert wait_for(lambda: found(kit, state="doubtful") == [])
    assert wait_for(lambda: not list(kit.base.glob("outputs/*/review/*")))
    [failed] = found(kit, state="failed")
    kit.client.post(f"{failed['href']}/retry")
    assert wait_for(lambda: len(kit.tasks) == 3)
    shown.open("batch")

    expect(shown.page.locator('[data-filter="doubtful"]')).to_have_text("Doubtful 0")


def stored(rows: list[list[object]]) -> Json:
    """A batch as the page keeps it."""
    return {"version": 2, "id": "b", "options": {}, "leftOut": 0, "rows": rows}


def test_kept_batch_is_asked_about(browser: Browser, kit: Kit):
    """A picture that had failed, and was tried again since, is done, and in the zip.

    One that was not taken has to be chosen again.
    """
    upload_id = kit.upload(photo())
    kit.wait(upload_id)
    rows: list[list[object]] = [
        ["a.png", 5, 1, "k1", None, upload_id, "failed", "old reason", "", None],
        ["b.png", 5, 1, "k2", None, None, "refused", "too large", "", None],
        ["c.png", 0, 1, "k3", None, None, "refused", "empty", "", None],
    ]
    with window(browser, kit) as shown:
        text = json.dumps(json.dumps(stored(rows)))
        # The server tells of the last half minute again.
        shown.page.route("**/api/v1/events*", lambda route: route.abort())
        shown.page.add_init_script(f"localStorage['cvunetd.batch'] ??= {text}")
        shown.open("batch")
        expect(shown.page.locator(".badge.is-done")).to_have_count(1)
        shown.page.get_by_role("button", name="Try failed ones again").click()

        expect(shown.page.locator(".badge")).to_have_text(["done", "not sent yet", "not taken"])
