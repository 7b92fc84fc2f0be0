"""The view for many pictures, in a real browser."""

import io
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Request, Route, expect

from tests.browser.views_kit import Window, await_ready, choose, found, window, write_photos
from tests.web.web_kit import Kit, running, wait_for

pytestmark = [pytest.mark.web, pytest.mark.chromium]


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """Daemon and server."""
    (tmp_path / "server").mkdir()
    write_photos(tmp_path / "server/inner", 3)
    write_photos(tmp_path / "server", 2, start=10)
    web = {"server_folders": ["server"]}
    with running(Kit(tmp_path, web=web, settings={"output": {"drop_idle_s": 600}})) as kit:
        yield kit


@pytest.fixture
def shown(browser: Browser, kit: Kit) -> Iterator[Window]:
    """The view."""
    with window(browser, kit) as shown:
        shown.open("batch")
        yield shown


def count(shown: Window, name: str) -> int:
    """The number on one of the buttons that choose what is shown."""
    text = shown.page.locator(f'[data-filter="{name}"]').inner_text()
    return int(re.findall(r"\d+", text)[-1])


def delete(kit: Kit, name: str) -> None:
    """Another person deletes an uploaded picture."""
    [picture] = found(kit, text=name)
    kit.client.delete(f"/api/v1/pictures/{picture['upload']}")
    assert wait_for(lambda: kit.state(picture["upload"]) == "not_found")


def test_pictures_become_results(shown: Window, kit: Kit, tmp_path: Path):
    """Done, doubtful and failed ones are counted; thumbnails come; reasons are told."""
    paths = write_photos(tmp_path / "in", 4)
    (tmp_path / "in/bad.png").write_bytes(b"bad")
    (tmp_path / "in/blank.png").write_bytes(b"blank")
    (tmp_path / "in/empty.png").touch()
    (tmp_path / "in/notes.txt").write_text("no picture")
    others = [tmp_path / "in" / name for name in ("bad.png", "blank.png", "empty.png", "notes.txt")]
    choose(shown, [*paths, *others])
    await_ready(shown, 7)

    groups = {name: count(shown, name) for name in ("all", "open", "done", "doubtful", "failed")}
    assert groups == {"all": 7, "open": 0, "done": 4, "doubtful": 1, "failed": 2}
    expect(shown.page.locator(".thumb img[src^=blob]")).to_have_count(4)
    shown.page.click('[data-filter="failed"]')
    expect(shown.page.locator(".picture .reason")).to_have_text(
        ["not a picture", "The file is empty."], ignore_case=True
    )
    assert len(kit.tasks) == 6


def test_a_picture_is_looked_at_and_deleted(shown: Window, kit: Kit, tmp_path: Path):
    """In a window of its own; then it is no longer part of the batch, and others may be added."""
    choose(shown, write_photos(tmp_path / "in", 2))
    await_ready(shown, 2)
    shown.page.get_by_role("button", name="photo-000.png").click()
    dialog = shown.page.locator("dialog[open]")
    expect(dialog.locator(".stage-image[src^=blob]")).to_be_visible()
    dialog.get_by_role("button", name="Delete").click()
    shown.page.locator("dialog[open] .danger[value=yes]").click()
    await_ready(shown, 1)
    choose(shown, write_photos(tmp_path / "in", 1, start=5))
    await_ready(shown, 2)

    assert wait_for(lambda: kit.results().count("photo-000.png") == 0)
    assert len(kit.tasks) == 3


def test_a_touched_up_picture_takes_the_place_of_the_first(shown: Window, kit: Kit, tmp_path: Path):
    """In the list, also after a reload, and in the zip."""
    choose(shown, write_photos(tmp_path / "in", 2))
    await_ready(shown, 2)
    [first] = found(kit, text="photo-001")
    shown.page.get_by_role("button", name="photo-001.png").click()
    shown.page.locator("dialog[open]").get_by_role("link", name="Touch up").click()
    canvas = shown.page.locator(".touch .viewer-canvas")
    expect(canvas).to_be_visible()
    canvas.click()
    shown.page.get_by_role("button", name="Save").click()
    expect(shown.page.locator(".view-batch h1")).to_be_visible()
    await_ready(shown, 2)
    shown.page.reload()
    await_ready(shown, 2)
    with shown.page.expect_request("**/archives") as asked:
        shown.page.get_by_role("button", name="Save everything as a ZIP").click()
    body = json.loads(asked.value.post_data or "")

    [version] = [one for one in found(kit, text="photo-001") if one["id"] != first["id"]]
    assert version["upload"] in [one["id"] for one in body["pictures"]]
    assert first["upload"] not in [one["id"] for one in body["pictures"]]


def test_a_server_that_is_gone_is_told(browser: Browser, tmp_path: Path):
    """Also when all pictures are sent and nothing else would notice; then it goes on."""
    with (
        running(Kit(tmp_path, is_held=True)) as kit,
        window(browser, kit) as shown,
    ):
        shown.open("batch")
        choose(shown, write_photos(tmp_path / "in", 2))
        expect(shown.page.locator(".badge.is-sent")).to_have_count(2)
        shown.page.route("**/api/**", lambda route: route.abort())
        notice = shown.page.locator(".progress-card .notice")
        expect(notice).to_contain_text("does not answer")
        shown.page.unroute("**/api/**")

        expect(notice).to_be_hidden()


def test_everything_as_one_zip(shown: Window, tmp_path: Path):
    """In the folders from which the pictures came."""
    write_photos(tmp_path / "shoes/red", 2)
    write_photos(tmp_path / "shoes", 1)
    shown.page.set_input_files("#batch-folder", str(tmp_path / "shoes"))
    await_ready(shown, 3)
    with shown.page.expect_download() as download:
        shown.page.get_by_role("button", name="Save everything as a ZIP").click()
    content = Path(download.value.path()).read_bytes()

    assert sorted(zipfile.ZipFile(io.BytesIO(content)).namelist()) == [
        "shoes/photo-000.png",
        "shoes/red/photo-000.png",
        "shoes/red/photo-001.png",
    ]


def test_files_are_dropped(shown: Window):
    """Onto the zone."""
    shown.page.evaluate(
        """() => {
            const transfer = new DataTransfer();
            for (const name of ["a.png", "b.png"]) {
                transfer.items.add(new File([name], name, {type: "image/png"}));
            }
            const options = {dataTransfer: transfer, bubbles: true, cancelable: true};
            document.querySelector(".drop-zone").dispatchEvent(new DragEvent("drop", options));
        }"""
    )
    await_ready(shown, 2)


def test_dropped_folders_are_walked_through(shown: Window):
    """All of them, although a browser tells at most a hundred names at once."""
    paths = shown.page.evaluate(
        """async () => {
            const file = (name) => ({
                name, isFile: true, file: (good) => good(new File(["x"], name)),
            });
            const folder = (name, inner) => ({
                name, isDirectory: true,
                createReader: () => {
                    let rest = [...inner];
                    return {readEntries: (good) => good(rest.splice(0, 100))};
                },
            });
            const many = Array.from({length: 250}, (_, number) => file(`${number}.png`));
            const top = folder("top", [folder("deep", many), file("a.png")]);
            const items = [{kind: "file", webkitGetAsEntry: () => top}];
            const {droppedFiles} = await import("/static/views/dropped-files.js");
            const {found} = await droppedFiles({items, files: []});
            return found.map((one) => one.path);
        }"""
    )

    assert len(paths) == 251
    assert {"top/deep/249.png", "top/a.png"} <= set(paths)


def test_what_cannot_be_read_holds_nothing_up(shown: Window):
    """A folder, a file or the rest of a folder: counted, and everything else is taken."""
    found = shown.page.evaluate(
        """async () => {
            const file = (name) => ({
                name, isFile: true, file: (good) => good(new File(["x"], name)),
            });
            const bad = {name: "bad.png", isFile: true, file: (good, no) => no(new Error("no"))};
            const folder = (name, pages) => ({
                name, isDirectory: true,
                createReader: () => {
                    const rest = [...pages, []];
                    return {readEntries: (good, no) => {
                        const page = rest.shift();
                        return page === null ? no(new Error("no")) : good(page);
                    }};
                },
            });
            const lost = folder("lost+found", [null]);
            const torn = folder("torn", [[file("3.png")], null]);
            const top = folder("top", [[file("1.png"), lost, bad, torn, file("2.png")]]);
            const items = [{kind: "file", webkitGetAsEntry: () => top}];
            const {droppedFiles} = await import("/static/views/dropped-files.js");
            const {found, unreadable} = await droppedFiles({items, files: []});
            return [found.map((one) => one.path), unreadable];
        }"""
    )

    assert found == [["top/1.png", "top/torn/3.png", "top/2.png"], 3]


def test_options_are_for_all_pictures(shown: Window, kit: Kit, tmp_path: Path):
    """And are remembered."""
    shown.page.locator("details.options summary").click()
    shown.page.select_option("#option-format", "webp")
    shown.page.select_option("#option-background", "own")
    shown.page.locator("#option-colour").fill("#102030")
    choose(shown, write_photos(tmp_path / "in", 2))
    await_ready(shown, 2)
    shown.page.reload()

    assert {task.rendering.format for task in kit.tasks} == {"webp"}
    assert {task.rendering.background for task in kit.tasks} == {(16, 32, 48)}
    expect(shown.page.locator("#option-format")).to_have_value("webp")
    expect(shown.page.locator("#option-colour")).to_have_value("#102030")


def test_options_stay_for_the_next_batch(shown: Window, kit: Kit, tmp_path: Path):
    """As the page shows them."""
    shown.page.locator("details.options summary").click()
    shown.page.select_option("#option-format", "webp")
    choose(shown, write_photos(tmp_path / "in", 1))
    await_ready(shown, 1)
    shown.page.get_by_role("button", name="New batch").click()
    expect(shown.page.locator("#option-format")).to_have_value("webp")
    choose(shown, write_photos(tmp_path / "in", 1, start=5))
    assert shown.wait_for(lambda: len(kit.tasks) == 2)

    assert [task.rendering.format for task in kit.tasks] == ["webp", "webp"]


def test_other_options_do_not_spoil_the_second_try(shown: Window, kit: Kit, tmp_path: Path):
    """The picture was taken, its answer was lost, then the options were changed."""
    is_lost = threading.Event()

    def lose(route: Route) -> None:
        if is_lost.is_set():
            route.continue_()
            return
        route.fetch()
        is_lost.set()
        route.abort()

    shown.page.locator("details.options summary").click()
    shown.page.route("**/api/v1/pictures?*", lose)
    choose(shown, write_photos(tmp_path / "in", 1))
    assert shown.wait_for(is_lost.is_set)
    shown.page.select_option("#option-format", "webp")
    await_ready(shown, 1)
    choose(shown, write_photos(tmp_path / "in", 1, start=5))
    await_ready(shown, 2)

    assert (count(shown, "failed"), count(shown, "done")) == (0, 2)
    assert [task.rendering.format for task in kit.tasks] == ["png", "webp"]


def test_a_full_queue_after_a_lost_answer_spoils_nothing(shown: Window, kit: Kit, tmp_path: Path):
    """The try after it took nothing, but the first one did: the options stay those of the first."""
    tries = []
    full = {"code": "rate_limit_exceeded", "detail": "later"}

    def answer(route: Route) -> None:
        tries.append(route.request.url)
        if len(tries) == 1:
            route.fetch()
            route.abort()
        elif len(tries) == 2:
            route.fulfill(
                status=429,
                json=full,
                content_type="application/problem+json",
                headers={"Retry-After": "2"},
            )
        else:
            route.continue_()

    shown.page.locator("details.options summary").click()
    shown.page.route("**/api/v1/pictures?*", answer)
    choose(shown, write_photos(tmp_path / "in", 1))
    assert shown.wait_for(lambda: len(tries) == 2)
    shown.page.select_option("#option-format", "webp")
    await_ready(shown, 1)

    assert (count(shown, "failed"), count(shown, "done")) == (0, 1)
    assert len(kit.tasks) == 1


def test_a_batch_of_an_earlier_page_keeps_its_keys(shown: Window, kit: Kit):
    """The page was updated between: a picture that the server has is not sent as another one."""
    folder = kit.client.get("/api/v1/server-folders").json()["folders"][0]["id"]
    key = {"Idempotency-Key": "old-7"}
    place = f"/api/v1/server-folders/{folder}/pictures"
    kit.client.post(place, params={"path": "photo-010.png"}, headers=key)
    row = ["photo-010.png", 1, 0, 7, folder, None, "sending", "", ""]
    stored = {"version": 1, "id": "old", "options": {}, "leftOut": 0, "rows": [row]}
    shown.page.evaluate("(text) => localStorage.setItem('cvunetd.batch', text)", json.dumps(stored))
    # Without leaving: the page would store its own batch then.
    with shown.page.context.expect_page() as opened:
        shown.page.evaluate("() => window.open('/#/batch')")
    opened.value.get_by_role("button", name="Go on").click()
    expect(opened.value.locator(".progress-line")).to_contain_text("1 of 1 ready")
    opened.value.close()

    assert len(kit.tasks) == 1


def test_it_goes_on_after_a_lost_connection(shown: Window, kit: Kit, tmp_path: Path):
    """By itself, and no picture is taken twice, also if only an answer was lost."""
    lost: list[str] = []
    later: list[Route] = []
    is_told = threading.Event()

    def lose(route: Route, request: Request) -> None:
        if len(lost) < 3:
            lost.append(request.headers["idempotency-key"])
            route.fetch()  # the server takes the picture, and the page never hears of it
            route.abort()
        elif is_told.is_set():
            route.continue_()
        else:
            later.append(route)  # a good answer would end what is told

    shown.page.route("**/api/v1/pictures?*", lose)
    choose(shown, write_photos(tmp_path / "in", 6))
    expect(shown.page.locator(".notice:visible")).to_contain_text("cannot be reached")
    is_told.set()
    for route in later:
        route.continue_()
    await_ready(shown, 6)

    assert len(lost) == 3
    assert len(kit.tasks) == 6


def test_it_waits_as_long_as_it_is_told_to(browser: Browser, tmp_path: Path):
    """A full queue says when to come again (429, Retry-After)."""
    with running(Kit(tmp_path)) as kit, window(browser, kit) as shown:
        shown.open("batch")
        asked: dict[str, list[float]] = {}
        clock = kit.server.site.clock

        def refuse(route: Route, request: Request) -> None:
            key = request.headers["idempotency-key"]
            asked.setdefault(key, []).append(clock())
            if len(asked[key]) == 1:
                body = '{"code": "rate_limit_exceeded", "detail": "later"}'
                headers = {"Retry-After": "3", "Content-Type": "application/problem+json"}
                route.fulfill(status=429, body=body, headers=headers)
            else:
                route.continue_()

        shown.page.route("**/api/v1/pictures?*", refuse)
        choose(shown, write_photos(tmp_path / "in", 2))
        await_ready(shown, 2)

    pauses = [later - first for first, later in asked.values()]
    assert len(pauses) == 2
    assert min(pauses) >= 2.9


def test_it_goes_on_after_a_reload(shown: Window, kit: Kit, tmp_path: Path):
    """What the server has goes on; the rest is chosen again, and nothing is sent twice."""
    paths = write_photos(tmp_path / "in", 5)
    let_through = [True, True, False]  # then the line is dead

    def route_upload(route: Route) -> None:
        is_whole = let_through.pop(0) if len(let_through) > 1 else let_through[0]
        route.continue_() if is_whole else route.abort()

    shown.page.route("**/api/v1/pictures?*", route_upload)
    choose(shown, paths)
    assert shown.wait_for(lambda: len(kit.tasks) >= 2)
    expect(shown.page.locator(".notice:visible")).to_be_visible()
    shown.page.on("dialog", lambda dialog: dialog.accept())
    shown.page.reload()
    expect(shown.page.locator(".notice:visible")).to_contain_text("Choose the same files")
    let_through[:] = [True]
    choose(shown, paths)
    await_ready(shown, 5)

    assert len(kit.tasks) == 5


def test_failed_ones_are_tried_again(shown: Window, kit: Kit, tmp_path: Path):
    """They keep their places."""
    (tmp_path / "bad.png").write_bytes(b"bad")
    choose(shown, [tmp_path / "bad.png"])
    await_ready(shown, 1)
    shown.page.get_by_role("button", name="Try failed ones again").click()
    assert wait_for(lambda: len(kit.tasks) == 2)
    await_ready(shown, 1)

    # The line may still be that of the first time.
    assert shown.wait_for(lambda: count(shown, "failed") == 1)


def test_pictures_of_a_folder_on_the_server(shown: Window, kit: Kit):
    """With those of its sub-folders; the originals stay."""
    shown.page.locator("details.server-folders summary").click()
    expect(shown.page.get_by_role("button", name="inner")).to_be_visible()
    shown.page.get_by_role("button", name=re.compile("Take these pictures")).click()
    await_ready(shown, 5)

    assert len(list((kit.base / "server").rglob("*.png"))) == 5


def test_a_folder_that_cannot_be_read_is_left_out(shown: Window, kit: Kit):
    """The pictures beside it are taken, and the page says that something is missing."""
    refusal = {"code": "not_readable", "detail": "the server's user may not read it"}
    shown.page.route(
        "**/api/v1/server-folders/0?path=inner*",
        lambda route: route.fulfill(
            status=404, json=refusal, content_type="application/problem+json"
        ),
    )
    write_photos(kit.base / "server/later", 1, start=20)
    shown.page.locator("details.server-folders summary").click()
    expect(shown.page.get_by_role("button", name="later")).to_be_visible()
    shown.page.get_by_role("button", name=re.compile("Take these pictures")).click()
    await_ready(shown, 3)

    expect(shown.page.locator("details.server-folders")).to_contain_text(
        "1 entry could not be read"
    )


def test_a_picture_that_is_deleted_meanwhile(shown: Window, kit: Kit, tmp_path: Path):
    """Is told on its card."""
    choose(shown, write_photos(tmp_path / "in", 2))
    await_ready(shown, 2)
    delete(kit, "photo-000")
    shown.page.reload()

    expect(shown.page.locator(".picture .reason")).to_have_text("It was deleted on the server.")
    expect(shown.page.locator(".badge.is-done")).to_have_count(1)


def test_a_picture_that_is_deleted_while_the_zip_is_asked_for(
    shown: Window, kit: Kit, tmp_path: Path
):
    """Is told, and the others are saved."""
    choose(shown, write_photos(tmp_path / "in", 2))
    await_ready(shown, 2)

    def delete_first(route: Route) -> None:
        delete(kit, "photo-000")
        route.continue_()

    shown.page.route("**/api/v1/archives", delete_first)
    with shown.page.expect_download() as download:
        shown.page.get_by_role("button", name="Save everything as a ZIP").click()

    assert zipfile.ZipFile(download.value.path()).namelist() == ["photo-001.png"]
    expect(shown.page.locator(".view-batch > .notice")).to_have_text(
        "The download of 1 picture has begun. 1 picture was deleted on the server meanwhile."
    )


def test_by_keyboard_alone(shown: Window, kit: Kit, tmp_path: Path):
    """The choosers are reached and opened."""
    # The browser is told in time to hand its choosers over: a key may overtake that message.
    shown.page.on("filechooser", lambda _: None)
    shown.page.locator("#batch-files").focus()
    expect(shown.page.locator("#batch-files")).to_be_focused()
    with shown.page.expect_file_chooser() as chooser:
        shown.page.keyboard.press("Enter")
    chooser.value.set_files([str(path) for path in write_photos(tmp_path / "in", 1)])
    await_ready(shown, 1)
    shown.page.keyboard.press("Tab")

    assert shown.page.evaluate("document.activeElement.id") == "batch-folder"


def test_a_daemon_that_is_down(browser: Browser, tmp_path: Path):
    """Pictures are taken all the same, and the page says why nothing gets on; then it does."""
    with (
        running(Kit(tmp_path, is_daemon_up=False)) as kit,
        window(browser, kit) as shown,
    ):
        shown.open("batch")
        choose(shown, write_photos(tmp_path / "in", 2))
        expect(shown.page.locator(".notice:visible")).to_contain_text("does not run now")
        port = int(kit.server.url.rpartition(":")[2])
        kit.stop()
        kit.is_daemon_up = True
        kit.start_at(port)
        await_ready(shown, 2)


@pytest.mark.slow
@pytest.mark.timeout(360)
@pytest.mark.parametrize("count", [250, pytest.param(1000, marks=pytest.mark.whole)])
def test_many_pictures(shown: Window, kit: Kit, count: int):
    """All are done; the page stays small."""
    shown.page.evaluate(
        """count => {
            const transfer = new DataTransfer();
            for (let number = 0; number < count; number += 1) {
                transfer.items.add(new File([`content ${number}`], `${number}.png`));
            }
            const options = {dataTransfer: transfer, bubbles: true, cancelable: true};
            document.querySelector(".drop-zone").dispatchEvent(new DragEvent("drop", options));
        }""",
        count,
    )
    expect(shown.page.locator(".progress-line")).to_contain_text(
        f"{count:,} of {count:,} ready", timeout=300_000
    )

    assert shown.page.locator(".picture").count() <= 120
    assert len(kit.tasks) == count


def test_a_view_that_is_entered_at_once_keeps_the_focus(shown: Window):
    """The page puts the focus on a new view, but not if somebody is in it already."""
    shown.open("state")
    shown.page.evaluate(
        """() => new MutationObserver(() => document.getElementById("batch-files")?.focus())
            .observe(document.getElementById("view"), { childList: true, subtree: true })"""
    )
    shown.open("batch")
    expect(shown.page).to_have_title(re.compile("^Batch"))

    assert shown.page.evaluate("document.activeElement.id") == "batch-files"
