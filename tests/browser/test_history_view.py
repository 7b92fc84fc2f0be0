"""History in a real browser: found, looked at, saved, deleted."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.views_kit import Window, drop_pictures, found, photo, window
from tests.web.web_kit import Kit, running, wait_for

pytestmark = [pytest.mark.web, pytest.mark.chromium]


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """A daemon that has done some pictures, dropped and uploaded ones, in two drops."""
    with running(Kit(tmp_path, settings={"output": {"drop_idle_s": 600}})) as kit:
        contents = {name: photo(at) for at, name in enumerate(("cat.png", "dog.png", "猫.png"))}
        drop_pictures(kit, contents | {"broken.png": b"bad"})
        kit.wait(kit.upload(photo(9), name="sent.png"))
        yield kit


@pytest.fixture
def shown(browser: Browser, kit: Kit) -> Iterator[Window]:
    """The view."""
    with window(browser, kit) as shown:
        shown.open("history")
        expect(shown.page.locator(".drop")).to_have_count(2)
        yield shown


def test_drops_with_their_pictures(shown: Window):
    """Counts, thumbnails, and when they go."""
    expect(shown.page.locator(".drop").nth(1)).to_contain_text("done 3")
    expect(shown.page.locator(".drop").nth(1)).to_contain_text("failed 1")
    expect(shown.page.locator(".thumb img[src^=blob]")).to_have_count(4)
    expect(shown.page.locator(".drop").first).to_contain_text("takes pictures")


def test_a_search_by_name(shown: Window):
    """While one types, in any case."""
    shown.page.fill("#history-text", "CAT")
    # Not by their count: one of the drops has one picture, too, and may be filled first.
    expect(shown.page.locator(".results .name")).to_have_text(["cat.png"])
    shown.page.fill("#history-text", "猫")
    expect(shown.page.locator(".results .name")).to_have_text(["猫.png"])
    shown.page.fill("#history-text", "nothing like it")
    expect(shown.page.locator(".results")).to_contain_text("No picture is found")
    shown.page.fill("#history-text", "")
    expect(shown.page.locator(".drop")).to_have_count(2)


def test_a_search_by_state_and_folder(shown: Window):
    """Both together."""
    shown.page.select_option("#history-state", "failed")
    expect(shown.page.locator(".results .name")).to_have_text(["broken.png"])
    shown.page.select_option("#history-state", "done")
    shown.page.select_option("#history-folder", "web")
    expect(shown.page.locator(".results .name")).to_have_text(["sent.png"])


def test_a_picture_is_looked_at_and_saved(shown: Window):
    """Large, on other grounds, its original, and as a file."""
    shown.page.get_by_role("button", name="cat.png").click()
    dialog = shown.page.locator("dialog[open]")
    expect(dialog.locator(".stage-image[src^=blob]")).to_be_visible()
    dialog.get_by_role("button", name="Black").click()
    expect(dialog.locator(".stage-frame.black")).to_be_visible()
    dialog.get_by_role("button", name="Original", exact=True).click()
    with shown.page.expect_download() as download:
        dialog.get_by_role("button", name="Save result").click()
    shown.page.keyboard.press("Escape")

    assert download.value.suggested_filename == "cat.png"
    assert Path(download.value.path()).read_bytes() == photo(0)
    expect(dialog).to_have_count(0)


def test_a_picture_is_deleted_by_keyboard(shown: Window, kit: Kit):
    """Only after a question; the first Enter means no."""
    shown.page.get_by_role("button", name="dog.png").press("Enter")
    shown.page.locator("dialog[open]").get_by_role("button", name="Delete").press("Enter")
    shown.page.keyboard.press("Enter")
    assert len(found(kit, text="dog")) == 1
    shown.page.locator("dialog[open]").get_by_role("button", name="Delete").press("Enter")
    shown.page.keyboard.press("Tab")
    shown.page.keyboard.press("Enter")
    expect(shown.page.get_by_role("button", name="dog.png")).to_have_count(0)

    assert wait_for(lambda: not list(kit.base.glob("outputs/*/dog.png")))


def test_a_failed_picture_is_tried_again(shown: Window, kit: Kit):
    """Its reason is told before."""
    tasks = len(kit.tasks)
    shown.page.get_by_role("button", name="broken.png").click()
    expect(shown.page.locator("dialog[open]")).to_contain_text("not a picture")
    shown.page.get_by_role("button", name="Try again").click()

    assert wait_for(lambda: len(kit.tasks) == tasks + 1)


def test_a_drop_is_saved_and_deleted(shown: Window, kit: Kit):
    """As a zip, its manifest, and then away with it."""
    drop = shown.page.locator(".drop").nth(1)
    with shown.page.expect_download() as download:
        drop.get_by_role("button", name="ZIP").click()
    members = zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())).namelist()
    with shown.page.expect_download() as download:
        drop.get_by_role("button", name="Manifest").click()
    manifest = json.loads(Path(download.value.path()).read_text())
    drop.get_by_role("button", name="Delete").click()
    shown.page.locator("dialog[open]").get_by_role("button", name="Delete").click()
    expect(shown.page.locator(".drop")).to_have_count(1)

    assert {"cat.png", "dog.png", "猫.png", "manifest.json"} == set(members)
    assert len(manifest["pictures"]) == 4
    assert wait_for(lambda: len(list((kit.base / "outputs").iterdir())) == 1)


def test_a_picture_that_was_deleted_meanwhile(shown: Window, kit: Kit):
    """The page says so, and goes on."""
    [cat] = found(kit, text="cat")
    shown.page.get_by_role("button", name="cat.png").click()
    expect(shown.page.locator("dialog[open]")).to_be_visible()
    kit.client.delete(cat["href"])
    assert wait_for(lambda: not list(kit.base.glob("outputs/*/cat.png")))
    shown.page.get_by_role("button", name="Save result").click()

    expect(shown.page.locator("dialog[open] .notice:visible")).to_contain_text("no such picture")


def test_folders_that_are_left_out_end_no_page(browser: Browser, tmp_path: Path):
    """Of 42 folders the second newest, or the 21 newest, are about to be deleted."""
    with running(Kit(tmp_path, settings={"output": {"drop_max_files": 1}})) as kit:
        sent = [("image", (f"{number:03}.png", b"%d" % number)) for number in range(42)]
        kit.client.post("/api/v1/pictures", files=sent)
        assert wait_for(lambda: len(kit.tasks) == 42 and not kit.left())
    with running(Kit(tmp_path, is_daemon_up=False)) as kit, window(browser, kit) as shown:
        drops, more = (
            shown.page.locator(".drop"),
            shown.page.get_by_role("button", name="Show more"),
        )
        kit.client.delete("/api/v1/drops/41")
        shown.open("history")
        expect(drops).to_have_count(19)
        more.click()
        expect(drops).to_have_count(39)
        more.click()
        expect(drops).to_have_count(41)
        expect(more).to_be_hidden()

        for number in range(22, 43):
            kit.client.delete(f"/api/v1/drops/{number}")
        shown.page.reload()
        expect(drops).to_have_count(19)
        more.click()
        expect(drops).to_have_count(21)


def test_a_search_goes_on_where_all_was_deleted(browser: Browser, kit: Kit):
    """A page without pictures is not the last one."""

    def answer(route: Route) -> None:
        if "before=" in route.request.url:
            route.continue_()
        else:
            [newest] = found(kit, text="sent")
            content = {"pictures": [], "next": newest["id"], "doubtful": 0}
            route.fulfill(json=content)

    with window(browser, kit) as shown:
        shown.page.route("**/api/v1/pictures?text=*", answer)
        shown.open("history")
        shown.page.fill("#history-text", "png")
        expect(shown.page.locator(".results .name")).to_have_text(
            ["broken.png", "猫.png", "dog.png", "cat.png"]
        )


def test_many_pictures_come_in_pages(browser: Browser, tmp_path: Path):
    """No picture comes twice."""
    with running(Kit(tmp_path, settings={"output": {"drop_idle_s": 600}})) as kit:
        sent = [("image", (f"{number:03}.png", b"%d" % number)) for number in range(130)]
        kit.client.post("/api/v1/pictures", files=sent)
        assert wait_for(lambda: counts(kit) == [{"done": 130}])
        with window(browser, kit) as shown:
            shown.open("history")
            shown.page.get_by_role("button", name="Show all 130").click()
            expect(shown.page.locator(".picture")).to_have_count(60)
            shown.page.get_by_role("button", name="Show more").first.click()
            expect(shown.page.locator(".picture")).to_have_count(120)
            shown.page.get_by_role("button", name="Show more").first.click()
            expect(shown.page.locator(".picture")).to_have_count(130)

            assert len(set(shown.page.locator(".picture .name").all_text_contents())) == 130


def counts(kit: Kit) -> list[dict[str, int]]:
    """How many pictures of each drop have ended how."""
    return [one["counts"] for one in kit.client.get("/api/v1/drops").json()["drops"]]


def test_what_was_asked_for_is_told(shown: Window):
    """For all to see: nothing else shows that a folder is being closed."""
    shown.page.get_by_role("button", name="Close").first.click()

    expect(shown.page.locator(".view-history > .notice")).to_contain_text("The folder is closed")


def test_back_closes_the_window_of_a_picture(shown: Window):
    """It would lie over the other view."""
    shown.open("state")
    shown.open("history")
    shown.page.get_by_role("button", name="cat.png").click()
    expect(shown.page.locator("dialog[open]")).to_be_visible()
    shown.page.go_back()
    expect(shown.page.locator(".view-state h1")).to_be_visible()

    expect(shown.page.locator("dialog")).to_have_count(0)
