"""What Batch, History, Review and State have in common: both languages, phones, everybody."""

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Route, expect

from daemon.web import machine
from daemon.web.programs import Programs
from daemon.worker import gauges
from tests.browser.views_kit import Window, drop_pictures, photo, window, write_photos
from tests.web.web_kit import Json, Kit, running

pytestmark = [pytest.mark.web, pytest.mark.chromium]
VIEWS = ("batch", "history", "review", "state")
TITLES = {
    "en": ("Batch", "History", "Review", "State"),
    "zh": ("批量处理", "历史记录", "复核", "状态"),
}


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """A daemon that has done, doubted and refused something."""
    write_photos(tmp_path / "server", 2)
    with running(Kit(tmp_path, web={"server_folders": ["server"]})) as kit:
        long_name = "a-very-long-name-that-no-phone-can-show-in-one-line.png"
        contents = {"cat.png": photo(), long_name: photo(3), "blank.png": b"blank"}
        drop_pictures(kit, contents | {"bad.png": b"bad"})
        kit.wait(kit.upload(photo(7)))
        yield kit


def fill(shown: Window, view: str, folder: Path) -> None:
    """Show a view with something in it."""
    shown.open(view)
    if view == "batch":
        (folder / "bad.png").write_bytes(b"bad")
        paths = [folder / "bad.png", *write_photos(folder / "in", 2)]
        shown.page.set_input_files("#batch-files", [str(path) for path in paths])
        expect(shown.page.locator(".badge.is-done")).to_have_count(2)
        shown.page.locator("details.options summary").click()
    elif view == "history":
        expect(shown.page.locator(".drop").first).to_be_visible()
        expect(shown.page.locator(".picture")).to_have_count(5)
        shown.page.wait_for_timeout(500)
    elif view == "review":
        expect(shown.page.locator(".review-panel")).to_be_visible()
    else:
        expect(shown.page.locator("[aria-busy]")).to_have_count(0, timeout=60_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["batch", "history"])
def test_a_picture_in_a_window_of_its_own_shuts_nobody_out(
    browser: Browser, kit: Kit, tmp_path: Path, view: str, scheme: str
):
    """By axe; Escape brings the focus back to the picture."""
    with window(browser, kit, scheme=scheme) as shown:
        fill(shown, view, tmp_path)
        button = shown.page.locator(".picture-button").first
        button.focus()
        shown.page.keyboard.press("Enter")
        expect(shown.page.locator("dialog[open] .facts")).to_be_visible()
        found = Axe().run(shown.page)
        shown.page.keyboard.press("Escape")

        assert found.violations_count == 0, found.generate_report()
        expect(button).to_be_focused()


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("view", VIEWS)
def test_each_language_on_a_phone(
    browser: Browser, kit: Kit, tmp_path: Path, view: str, language: str
):
    """Nothing is wider than 360 pixels, and no text is missing."""
    with window(browser, kit, language=language, width=360) as shown:
        fill(shown, view, tmp_path)
        width = shown.page.evaluate("document.documentElement.scrollWidth")
        text = shown.page.locator("body").inner_text()

        assert width <= 360
        assert f"{view}." not in text.replace(".png", "")
        expect(shown.page.locator("#view h1")).to_have_text(TITLES[language][VIEWS.index(view)])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_nothing_shuts_people_out(
    browser: Browser, kit: Kit, tmp_path: Path, view: str, scheme: str
):
    """By axe: names, contrast, order, roles."""
    with window(browser, kit, scheme=scheme) as shown:
        fill(shown, view, tmp_path)
        found = Axe().run(shown.page)

        assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_dialog_shuts_nobody_out(browser: Browser, kit: Kit, scheme: str):
    """The same for a single picture."""
    with window(browser, kit, scheme=scheme) as shown:
        shown.open("history")
        shown.page.get_by_role("button", name="cat.png").first.click()
        expect(shown.page.locator("dialog .stage-image[src^=blob]")).to_be_visible()
        found = Axe().run(shown.page)

        assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("view", VIEWS)
def test_both_languages_have_all_texts(browser: Browser, kit: Kit, view: str):
    """The same keys, and the same values in each text."""
    with window(browser, kit) as shown:
        shown.open(view)
        texts = shown.page.evaluate(
            f"import('/static/views/{view}.words.js').then(({{en, zh}}) => ({{en, zh}}))"
        )

    fields = {
        language: {key: sorted(re.findall(r"{\w+}", text)) for key, text in one.items()}
        for language, one in texts.items()
    }
    assert fields["en"] == fields["zh"]


def test_what_the_machine_does(browser: Browser, kit: Kit):
    """Folders, speed, disks, models, checks; no path of this machine."""
    with window(browser, kit) as shown:
        fill(shown, "state", kit.base)
        # A disk that is slow to answer is asked once more.
        expect(shown.page.locator(".state-disks .disk")).to_have_count(1)
        text = shown.page.locator("#view").inner_text()

        assert {"hot", "web", "running", "free"} <= set(text.replace("\n", " ").split())
        assert str(kit.base) not in text
        assert shown.page.locator(".chart rect").count() >= 1


WORKER = {"word": "warm", "device": "cuda:0", "running": 3, "done": 1200, "pictures_per_s": 41.5}
LOST = {"word": "lost", "device": "", "running": 0, "done": 7, "pictures_per_s": 0.0}
CLUSTER = {
    "address": "10.0.0.5:6379",
    "trouble": "",
    "nodes": [
        {"name": "one", "address": "10.0.0.6", "why": "", "workers": [WORKER | {"why": ""}]},
        {"name": "two", "address": "10.0.0.7", "why": "", "workers": [LOST | {"why": "it hangs"}]},
        {"name": "three", "address": "10.0.0.8", "why": "other weights", "workers": []},
    ],
}
CLIP = {"source": "cat.mp4", "folder": "hot", "frames": 96, "frames_per_s": 9.5}
CLIPS = [
    CLIP | {"total": 200, "left_s": 11.0},
    CLIP | {"source": "dog.mkv", "total": None, "left_s": None},
]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_clips_and_machines(browser: Browser, kit: Kit, language: str):
    """How far clips are; which machine does what, and why one does nothing."""

    def answer(route: Route) -> None:
        found = route.fetch()
        route.fulfill(response=found, json=found.json() | {"clips": CLIPS, "cluster": CLUSTER})

    with window(browser, kit, language=language) as shown:
        shown.page.route("**/api/v1/status", answer)
        shown.open("state")
        clips = shown.page.locator(".clips-in-work li")
        expect(clips).to_have_count(2)
        machines = shown.page.locator("table.cluster tbody tr")
        expect(machines).to_have_count(3)
        texts = {
            "en": ("96 of 200 frames, 9.5 a second", "no worker"),
            "zh": ("已完成 96 / 200 帧", "没有工作进程"),
        }
        expect(clips.nth(0)).to_contain_text(f"cat.mp4 {texts[language][0]}")
        expect(clips.nth(0)).to_contain_text("11")
        expect(machines.nth(0)).to_contain_text("41.5")
        expect(machines.nth(1)).to_contain_text("it hangs")
        expect(machines.nth(2)).to_contain_text(texts[language][1])
        expect(machines.nth(2)).to_contain_text("other weights")


def test_a_table_keeps_the_focus(browser: Browser, kit: Kit):
    """It is drawn anew every few seconds; a person scrolls it by keys."""
    with window(browser, kit, width=320) as shown:
        shown.open("state")
        frame = shown.page.locator(".state-folders .table-frame")
        frame.focus()
        shown.page.evaluate("document.querySelector('.state-folders .table-frame').scrollLeft = 20")
        shown.page.evaluate("document.querySelector('.state-folders table').dataset.old = 'yes'")
        expect(shown.page.locator(".state-folders table[data-old]")).to_have_count(0)

        expect(frame).to_be_focused()
        assert frame.evaluate("(one) => one.scrollLeft") == 20


ASKED = r"""async () => {
  const {askForKey} = await import('/static/key-dialog.js');
  const key = askForKey(false);
  document.querySelector('#key').value = ' ab\u200bc\uff11d\n';
  document.querySelector('dialog form button[value=use]').click();
  return key; }"""


def test_a_pasted_key_has_only_letters_of_a_key(browser: Browser, kit: Kit):
    """With others no request can be made, and the page would say that the server is away."""
    with window(browser, kit) as shown:
        shown.open("state")

        assert shown.page.evaluate(ASKED) == "abcd"


STAGES = {"decode": 2, "network": 1, "judge": 0, "finish": 3, "polish": 4}
STEPS = {
    "en": "reading 2 · finding the subject 1 · refining 3 · polish 4",
    "zh": "读取 2 · 识别主体 1 · 精修 3 · polish 4",
}
CHECKS = {"en": ("there is no answer yet", "All is well"), "zh": ("还没有结果", "一切正常")}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_stages_have_words(browser: Browser, kit: Kit, language: str):
    """A stage that a later daemon adds is shown by its name."""

    def answer(route: Route) -> None:
        told = route.fetch()
        route.fulfill(response=told, json=told.json() | {"stages": STAGES})

    with window(browser, kit, language=language) as shown:
        shown.page.route("**/api/v1/status", answer)
        shown.open("state")

        expect(shown.page.locator(".state-daemon .facts")).to_contain_text(STEPS[language])


def test_every_stage_has_words(browser: Browser, kit: Kit):
    """Those that the worker knows; both languages have the same keys."""
    with window(browser, kit) as shown:
        shown.open("state")
        keys = shown.page.evaluate(
            "import('/static/views/state.words.js').then((one) => Object.keys(one.en))"
        )

    assert {f"state.stage_{name}" for name in gauges.STAGES} <= set(keys)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_checks_that_take_long(
    browser: Browser, kit: Kit, language: str, monkeypatch: pytest.MonkeyPatch
):
    """The real refusal, in the language of the page, which asks again by itself."""
    ended = threading.Event()

    def examine(programs: Programs, path: Path | None, *, redact: Callable[[str], str]) -> Json:
        assert ended.wait(60)
        return {"is_well": True, "findings": []}

    monkeypatch.setattr(machine, "CHECKS_PATIENCE_S", 0.0)
    monkeypatch.setattr(machine, "examine", examine)
    with window(browser, kit, language=language) as shown:
        shown.open("state")

        checks = shown.page.locator(".state-checks")
        expect(checks.locator(".notice")).to_contain_text(CHECKS[language][0])
        ended.set()
        expect(checks).to_contain_text(CHECKS[language][1])


def test_a_daemon_that_is_down(browser: Browser, tmp_path: Path):
    """Each view says so, or is empty; none breaks."""
    with running(Kit(tmp_path, is_daemon_up=False)) as kit, window(browser, kit) as shown:
        for view in VIEWS:
            shown.open(view)
        expect(shown.page.locator(".state-daemon")).to_contain_text("down")


def test_leaving_a_view_forgets_its_pictures(browser: Browser, kit: Kit):
    """Their memory is given back."""
    with window(browser, kit) as shown:
        shown.page.add_init_script(
            """(() => {
                window.kept = new Set();
                const make = URL.createObjectURL, free = URL.revokeObjectURL;
                URL.createObjectURL = (blob) => {
                    const url = make.call(URL, blob);
                    window.kept.add(url);
                    return url;
                };
                URL.revokeObjectURL = (url) => { window.kept.delete(url); free.call(URL, url); };
            })()"""
        )
        shown.open("history")
        expect(shown.page.locator(".thumb img[src^=blob]").first).to_be_visible()
        shown.page.evaluate("location.hash = '#/state'")
        expect(shown.page.locator(".state-daemon")).to_be_visible()
        shown.page.wait_for_timeout(1000)

        assert shown.page.evaluate("window.kept.size") == 0
