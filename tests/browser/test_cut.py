"""Cut: every way in, what is shown meanwhile, every knob, every way out."""

import base64
import io
import re
from importlib.util import find_spec
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from daemon.web import keys
from tests.browser.page_kit import (
    CANVAS,
    PHONE,
    Site,
    Window,
    payload,
    photo,
    serving,
    shot,
    window,
)
from tests.browser.views_kit import window as view_window
from tests.system.daemon_process import wait_for
from tests.web.web_kit import Kit, running

pytestmark = [pytest.mark.chromium, pytest.mark.web, pytest.mark.slow, pytest.mark.timeout(180)]
STEPS_SEEN = """() => { window.seen = [];
  new MutationObserver(() => {
    const text = document.querySelector(".step-text")?.textContent;
    if (text && window.seen.at(-1) !== text) window.seen.push(text);
  }).observe(document.body, {subtree: true, childList: true, characterData: true}); }"""


def set_knob(page: Page, name: str, value: float) -> None:
    """Turn a knob, and wait for the screen."""
    page.locator(f"#knob-{name}").evaluate(
        "(knob, value) => { knob.value = value; knob.dispatchEvent(new Event('input')); }", value
    )
    expect(page.locator(".cut-layout")).to_have_attribute("data-preview", "ready")


def downloaded(page: Page) -> tuple[str, bytes]:
    """Name and content of the download."""
    with page.expect_download() as found:
        page.get_by_role("button", name="Download").click()
    path = found.value.path()
    return found.value.suggested_filename, Path(path).read_bytes()


def transfer(name: str) -> str:
    """Script that makes a DataTransfer with a picture of base64 text."""
    return (
        "(text) => { const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));"
        " const data = new DataTransfer();"
        f" data.items.add(new File([bytes], '{name}', {{type: 'image/jpeg'}})); return data; }}"
    )


# --- in ----------------------------------------------------------------------------------


def test_a_chosen_file_shows_its_steps_and_its_result(site: Site, browser: Browser):
    """Uploading with percent, waiting, done."""
    with window(browser, site) as shown:
        shown.open()
        shown.page.evaluate(STEPS_SEEN)
        shown.page.set_input_files("#cut-file", payload("ball.jpg", photo()))
        upload_id = shown.shown_id()
        seen = shown.page.evaluate("window.seen")

        assert any(re.fullmatch(r"Uploading \d+ %", text) for text in seen), seen
        assert seen[-1].startswith("Opening")
        assert site.picture(upload_id)["state"] == "done"
        expect(shown.page.get_by_role("heading", name="ball.jpg")).to_be_visible()


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_file_is_dropped_or_pasted(site: Site, browser: Browser, way: str):
    """By DataTransfer, anywhere on the page."""
    with window(browser, site) as shown:
        page = shown.open()
        expect(page.locator(".drop-area")).to_be_visible()
        text = base64.b64encode(photo()).decode()
        data = page.evaluate_handle(transfer("dropped.jpg"), text)
        if way == "drop":
            page.dispatch_event("main", "dragover", {"dataTransfer": data})
            expect(page.locator(".is-over")).to_be_visible()
            page.dispatch_event("main", "drop", {"dataTransfer": data})
        else:
            page.evaluate(
                "(data) => document.dispatchEvent(new ClipboardEvent('paste',"
                " {clipboardData: data, bubbles: true}))",
                data,
            )
        upload_id = shown.shown_id()

        assert site.picture(upload_id)["name"] == "dropped.jpg"


def test_a_result_is_there_after_a_reload(site: Site, browser: Browser):
    """Its address is that of the result."""
    with window(browser, site) as shown:
        upload_id = shown.cut("ball.jpg", photo())
        shown.page.reload()

        assert shown.shown_id() == upload_id


def test_what_is_no_picture_is_told_and_another_one_may_follow(site: Site, browser: Browser):
    """The server's reason."""
    with window(browser, site) as shown:
        page = shown.open()
        page.set_input_files("#cut-file", payload("a.jpg", b"no picture"))
        expect(page.get_by_role("alert")).to_contain_text("cannot be cut out")
        page.get_by_role("button", name="Try it with a sample").click()

        assert site.picture(shown.shown_id())["name"] == "plant.jpg"


def test_an_upload_can_be_cancelled(site: Site, browser: Browser):
    """The page is free at once."""
    with window(browser, site) as shown:
        page = shown.open()
        page.route("**/api/v1/pictures?*", lambda route: None)  # never answered
        page.get_by_role("button", name="Try it with a sample").click()
        page.get_by_role("button", name="Cancel").click()

        expect(page.get_by_text("Drop a picture here")).to_be_visible()


def test_what_is_cancelled_after_its_upload_is_deleted(site: Site, browser: Browser):
    """On the server too: a clip would keep it busy for long."""
    with window(browser, site) as shown:
        page = shown.open()
        # Its end is never told.
        page.route("**/api/v1/events*", lambda route: None)
        page.route(
            "**/api/v1/pictures/*",
            lambda route: route.continue_() if route.request.method == "DELETE" else None,
        )
        with page.expect_response(lambda answer: "/api/v1/pictures?" in answer.url) as sent:
            page.get_by_role("button", name="Try it with a sample").click()
        upload_id = sent.value.json()["pictures"][0]["id"]
        # By then the page knows what to delete: an answer is here before the page has read it.
        expect(page.locator(".step-waiting")).to_have_attribute("aria-current", "step")
        with page.expect_request(lambda request: request.method == "DELETE") as deleted:
            page.get_by_role("button", name="Cancel").click()

        assert deleted.value.url.endswith(upload_id)
        expect(page.get_by_text("Drop a picture here")).to_be_visible()


# --- looked at ---------------------------------------------------------------------------


def test_the_slider_works_by_keys_and_by_mouse(site: Site, browser: Browser):
    """From all original to all result."""
    with window(browser, site) as shown:
        shown.cut("ball.jpg", photo())
        page = shown.page
        half = shot(page)
        slider = page.get_by_role("slider", name="How much of the original is shown")
        slider.focus()
        page.keyboard.press("Home")
        result = shot(page)
        page.keyboard.press("End")
        original = shot(page)
        box = page.locator(".viewer-canvas").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] - 3, box["y"] + 50)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 50)
        page.mouse.up()

        assert len({half, result, original}) == 3
        assert slider.input_value() == "25"
        assert slider.get_attribute("aria-valuetext") == "25 % original"


def test_zoom_and_pan_by_keys_wheel_and_mouse(site: Site, browser: Browser):
    """1:1 is one pixel for one."""
    with window(browser, site) as shown:
        shown.cut("ball.jpg", photo(1600, 1200))
        page, text = shown.page, shown.page.locator(".zoom-text")
        fitted = text.inner_text()
        page.get_by_role("button", name="One pixel of the picture").click()
        expect(text).to_have_text("100 %")
        before = shot(page)
        page.locator(".viewer-canvas").focus()
        page.keyboard.press("ArrowRight")
        moved = shot(page)
        page.keyboard.press("+")
        expect(text).to_have_text("125 %")
        page.locator(".viewer-canvas").hover()
        page.mouse.wheel(0, 100)
        expect(text).not_to_have_text("125 %")
        page.keyboard.press("0")

        assert before != moved
        expect(text).to_have_text(fitted)


def test_every_ground(site: Site, browser: Browser):
    """Checkers, white, black, a colour, a picture of the user's."""
    with window(browser, site) as shown:
        shown.cut("ball.jpg", photo())
        page = shown.page
        page.locator("#cut-slider").fill("0")
        seen = {shot(page)}
        for name in ("White", "Black", "Colour"):
            page.get_by_role("button", name=name, exact=True).click()
            seen.add(shot(page))
        page.locator(".tools input[type=file]").set_input_files(payload("wall.jpg", photo(64, 64)))
        expect(page.locator(".tools button", has_text="Picture")).to_have_attribute(
            "aria-pressed", "true"
        )
        seen.add(shot(page))

        assert len(seen) == 5


@pytest.mark.parametrize(
    ("name", "value", "option"),
    [
        ("low", 0.4, {"low": 0.4}),
        ("high", 0.4, {"high": 0.4}),
        ("shift", 6, {"shift_px": 6.0}),
        ("feather", 12, {"feather_px": 12.0}),
        ("fill_holes", 0.1, {"fill_holes": 0.1}),
    ],
)
def test_a_knob_acts_at_once_and_in_the_download(
    site: Site, browser: Browser, name: str, value: float, option: dict[str, float]
):
    """On the screen before, in the file of the server afterwards."""
    with window(browser, site) as shown:
        first = shown.cut("ball.jpg", photo())
        page = shown.page
        page.locator("#cut-slider").fill("0")
        page.get_by_role("button", name="Black", exact=True).click()
        before = shot(page)
        set_knob(page, name, value)
        after = shot(page)
        with page.expect_request("**/versions?*") as asked:
            _, content = downloaded(page)
        made = np.asarray(Image.open(io.BytesIO(content)))

        [(key, number)] = option.items()
        assert f"adjust_{key}={number:g}" in asked.value.url
        if name != "fill_holes":  # this picture has no hole
            assert before != after
            assert not np.array_equal(made[..., 3], site.result(first)[..., 3])


def test_the_downloads_alpha_is_the_one_on_the_screen(site: Site, browser: Browser):
    """Within what the rounding to bytes makes of it."""
    with window(browser, site) as shown:
        shown.cut("ball.jpg", photo())
        page = shown.page
        set_knob(page, "shift", 5)
        set_knob(page, "feather", 6)
        set_knob(page, "low", 0.1)
        script = """async () => {
          const {adjusted, NEUTRAL} = await import('/static/views/matte-preview.js');
          const {pixelsOf, alphaOf, decode} = await import('/static/views/cut-pictures.js');
          const id = location.hash.split('/')[2];
          const blob = await (await fetch(`/api/v1/pictures/${id}/result`)).blob();
          const {bitmap} = await decode(blob, 9999);
          const alpha = alphaOf(pixelsOf(bitmap, bitmap.width, bitmap.height));
          const knobs = {...NEUTRAL, shift: 5, feather: 6, low: 0.1};
          return [...adjusted(alpha, bitmap.width, bitmap.height, knobs, 1)]; }"""
        preview = np.array(page.evaluate(script), float).reshape(240, 320)
        _, content = downloaded(page)
        alpha = np.asarray(Image.open(io.BytesIO(content)))[..., 3].astype(float)

        assert np.abs(preview - alpha).mean() < 0.1
        assert np.abs(preview - alpha).max() <= 4


def test_reset_brings_the_plain_result_back(site: Site, browser: Browser):
    """And the download is the stored result again, without a new one."""
    with window(browser, site) as shown:
        first = shown.cut("ball.jpg", photo())
        page = shown.page
        set_knob(page, "shift", 6)
        page.locator("#knob-format").select_option("webp")
        page.get_by_role("button", name="Reset all").click()
        name, content = downloaded(page)

        assert name == "ball.png"
        assert content == site.get(f"/api/v1/pictures/{first}/result").content


# --- out ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format_", "suffix", "kind"),
    [
        ("webp", "webp", "WEBP"),
        ("tiff", "tiff", "TIFF"),
        ("jpeg", "jpg", "JPEG"),
        ("avif", "avif", "AVIF"),
    ],
)
def test_each_format(site: Site, browser: Browser, format_: str, suffix: str, kind: str):
    """Made by the server."""
    with window(browser, site) as shown:
        shown.cut("ball.jpg", photo())
        shown.page.locator("#knob-format").select_option(format_)
        name, content = downloaded(shown.page)

        assert name == f"ball.{suffix}"
        assert Image.open(io.BytesIO(content)).format == kind


def test_background_crop_and_preset(site: Site, browser: Browser):
    """A colour behind it; cropped with a margin; a preset's canvas."""
    with window(browser, site) as shown:
        shown.cut("ball.jpg", photo())
        page = shown.page
        page.locator("#knob-background").select_option("colour")
        page.locator("#knob-colour").fill("#00ff00")
        page.locator("#knob-crop").select_option("subject")
        set_knob(page, "margin", 0.1)
        made = Image.open(io.BytesIO(downloaded(page)[1]))
        assert made.size[0] < 320
        assert made.getpixel((0, 0))[:3] == (0, 255, 0)  # type: ignore[index]
        page.locator("#knob-preset").select_option("marketplace")
        expect(page.locator("#knob-crop")).to_be_disabled()
        made = Image.open(io.BytesIO(downloaded(page)[1]))

        assert made.size == (2000, 2000)


def test_keep_the_largest_part(site: Site, browser: Browser):
    """The choice is the server's, too."""
    with window(browser, site) as shown:
        shown.cut("ball.jpg", photo())
        shown.page.locator("#knob-keep").select_option("largest")
        with shown.page.expect_request("**/versions?*") as asked:
            downloaded(shown.page)

        assert "adjust_keep=largest" in asked.value.url


def test_a_changed_download_leaves_no_other_result(site: Site, browser: Browser):
    """The server deletes it when the browser has it; the same file once more is not made again."""
    with window(browser, site) as shown:
        first = shown.cut("only-once.jpg", photo())
        shown.page.locator("#knob-format").select_option("webp")
        with shown.page.expect_response(
            lambda one: one.request.method == "DELETE" and one.status == 202
        ) as deleted:
            _, content = downloaded(shown.page)
        assert wait_for(lambda: not is_there(site, deleted.value.url))
        _, again = downloaded(shown.page)

        assert content == again
        # The server may carry it out between the two looks of a search: at rows, then at orders.
        assert wait_for(lambda: found(site, "only-once") == [first])


def found(site: Site, text: str) -> list[str]:
    """Ids of the uploads that are found by a text."""
    pictures = site.get(f"/api/v1/pictures?text={text}").json()["pictures"]
    return [one["upload"] for one in pictures]


def is_there(site: Site, url: str) -> bool:
    """Whether the server knows a picture."""
    return httpx.get(url, timeout=30).status_code != 404


def test_a_frame_beyond_the_picture_is_shown(site: Site, browser: Browser):
    """Larger than the picture: the viewer makes room for it, with the file's background."""
    with window(browser, site) as shown:
        shown.cut("ball.jpg", photo())
        page, text = shown.page, shown.page.locator(".zoom-text")
        set_share(page, 0)
        fitted = text.inner_text()
        page.locator("#knob-background").select_option("colour")
        page.locator("#knob-crop").select_option("subject")
        page.locator("#knob-margin").evaluate(
            "(one) => { one.value = 0.45; one.dispatchEvent(new Event('input')); }"
        )
        expect(text).not_to_have_text(fitted)
        view = np.asarray(Image.open(io.BytesIO(shot(page))).convert("RGB")).astype(int)
        middle = view.shape[1] // 2

        assert view[20, middle].tolist() == [255, 255, 255]  # above the picture: the background
        page.locator("#knob-crop").select_option("none")
        expect(text).to_have_text(fitted)


def test_a_lost_upload_is_sent_again(site: Site, browser: Browser):
    """By a button, without choosing the file again, and only one picture comes of it."""
    with window(browser, site) as shown:
        page = shown.open()
        keys_seen = []

        def lose(route: Route) -> None:
            """Have the server take it, and lose the answer the first time."""
            keys_seen.append(route.request.headers["idempotency-key"])
            if len(keys_seen) > 1:
                route.continue_()
            else:
                route.fetch()
                route.abort()

        page.route("**/api/v1/pictures?*", lose)
        page.set_input_files("#cut-file", payload("lost.jpg", photo()))
        expect(page.get_by_role("alert")).to_contain_text("does not answer")
        page.get_by_role("button", name="Try again").click()
        shown.shown_id()
        found = site.get("/api/v1/pictures?text=lost.jpg").json()["pictures"]

        assert len(set(keys_seen)) == 1
        assert len(found) == 1


def test_a_daemon_that_is_down_is_told(browser: Browser, tmp_path: Path):
    """While a picture waits; it is safe meanwhile."""
    with (
        running(Kit(tmp_path, is_daemon_up=False)) as kit,
        view_window(browser, kit) as shown,
    ):
        shown.page.goto(f"{kit.server.url}/#/cut")
        shown.page.set_input_files("#cut-file", payload("ball.jpg", photo()))

        expect(shown.page.locator(".step-text")).to_contain_text("the daemon does not run")


@pytest.mark.parametrize("view", ["cut", "touch"])
def test_what_is_needed_is_on_the_first_screen_of_a_phone(site: Site, browser: Browser, view: str):
    """Download, and the brush's tools; a last control is not hidden below them."""
    buttons = {"cut": ["Download", "Copy", "Touch up"], "touch": ["Erase", "Undo", "Save"]}
    with window(browser, site, size=PHONE, has_touch=True) as shown:
        shown.cut("ball.jpg", photo())
        page = shown.page
        if view == "touch":
            page.get_by_role("button", name="Touch up").click()
            expect(page.locator(f".touch {CANVAS}")).to_be_visible()
        for name in buttons[view]:
            box = page.get_by_role("button", name=name, exact=True).bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= PHONE[1]
        last = page.locator("main button:visible:not(.dock *)").last
        last.scroll_into_view_if_needed()
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        boxes = [last.bounding_box(), page.locator(".dock").bounding_box()]

        assert boxes[0] is not None
        assert boxes[1] is not None
        assert boxes[0]["y"] + boxes[0]["height"] <= boxes[1]["y"]


def test_copy_to_the_clipboard(site: Site, browser: Browser):
    """As PNG, whatever the format of downloads is."""
    with window(browser, site) as shown:
        shown.cut("ball.jpg", photo())
        shown.page.locator("#knob-format").select_option("webp")
        shown.page.get_by_role("button", name="Copy").click()
        expect(shown.page.get_by_text("Copied. Paste it anywhere.")).to_be_visible()
        kinds = shown.page.evaluate(
            "async () => (await navigator.clipboard.read()).flatMap((one) => one.types)"
        )

        assert "image/png" in kinds


def test_sixteen_bits_are_untouched(site: Site, browser: Browser):
    """The download is the file of the server, byte for byte."""
    rgb = np.asarray(Image.open(io.BytesIO(photo()))).astype(np.uint16) * 257 + 3
    _, png = cv2.imencode(".png", rgb[..., ::-1].clip(0, 65535).astype(np.uint16))
    with window(browser, site) as shown:
        first = shown.cut("deep.png", png.tobytes())
        _, content = downloaded(shown.page)
        made = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)

        assert content == site.get(f"/api/v1/pictures/{first}/result").content
        assert made is not None
        assert made.dtype == np.uint16


def test_a_file_that_the_browser_cannot_decode_is_compared_all_the_same(
    site: Site, browser: Browser
):
    """TIFF: the server makes a preview of the original."""
    made = io.BytesIO()
    Image.open(io.BytesIO(photo())).save(made, "TIFF")
    with window(browser, site) as shown:
        shown.cut("ball.tif", made.getvalue())
        page = shown.page
        expect(page.locator("#cut-slider")).to_be_visible()
        set_share(page, 100)
        original = shot(page)
        set_share(page, 0)

        assert shot(page) != original


@pytest.mark.heif
def test_a_heic_is_compared_by_the_servers_preview(site: Site, browser: Browser):
    """As phones make them; this browser cannot show it. The brush can restore from it, too."""
    heif = pytest.importorskip("pillow_heif")
    made = io.BytesIO()
    heif.from_pillow(Image.open(io.BytesIO(photo()))).save(made, quality=90)
    with window(browser, site) as shown:
        shown.cut("IMG_0001.HEIC", made.getvalue())
        page = shown.page
        expect(page.locator("#cut-slider")).to_be_visible()
        set_share(page, 100)
        original = shot(page)
        set_share(page, 0)
        assert shot(page) != original
        page.get_by_role("button", name="Touch up").click()

        expect(page.get_by_label("Show the original faintly")).to_be_visible()


@pytest.mark.skipif(find_spec("pillow_heif") is not None, reason="pillow-heif is installed")
def test_a_heic_without_the_extra_is_told(site: Site, browser: Browser):
    """What is missing, and what a person can do without it."""
    with window(browser, site) as shown:
        page = shown.open()
        brand = b"\0\0\0\x18ftypheic\0\0\0\0heicmif1"
        page.set_input_files("#cut-file", payload("IMG_0001.HEIC", brand + bytes(100)))
        alert = page.get_by_role("alert")

        expect(alert).to_contain_text("HEIC picture: install pillow-heif")
        expect(alert).to_contain_text("convert the picture to JPEG")
        expect(page.get_by_role("button", name="Try again")).to_have_count(0)


def set_share(page: Page, share: int) -> None:
    """Show so much of the original."""
    page.locator("#cut-slider").evaluate(
        "(one, value) => { one.value = value; one.dispatchEvent(new Event('input')); }", share
    )


def test_a_server_with_keys_asks_for_one(browser: Browser, tmp_path: Path):
    """Once; it is kept for the tab. A wrong one is told."""
    key = keys.new_key()
    (tmp_path / "keys").write_text(keys.line_of("anna", key).rstrip("\n") + "\n")
    (tmp_path / "keys").chmod(0o600)
    with (
        serving(tmp_path, key=key, keys_file="keys") as site,
        window(browser, site) as shown,
    ):
        asked_for_key(shown, key)

        assert site.picture(shown.shown_id())["state"] == "done"


def asked_for_key(shown: Window, key: str) -> None:
    """Cut the sample out with a wrong key, then with the right one."""
    page = shown.open()
    page.get_by_role("button", name="Try it with a sample").click()
    page.locator("#key").fill("wrong")
    page.get_by_role("button", name="Use it").click()
    expect(page.get_by_text("does not know this key")).to_be_visible()
    page.locator("#key").fill(key)
    page.get_by_role("button", name="Use it").click()
