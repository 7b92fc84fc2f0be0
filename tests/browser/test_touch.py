"""Touch up: the brush, its keys, and that the server makes the new version."""

import io
import re

import cv2
import httpx
import numpy as np
import pytest
from PIL import Image, ImageCms
from playwright.sync_api import Browser, Page, expect

from tests.browser.page_kit import CANVAS, PHONE, Json, Site, photo, shot_without_brush, window
from tests.system.daemon_process import wait_for

pytestmark = [pytest.mark.chromium, pytest.mark.web, pytest.mark.slow, pytest.mark.timeout(180)]
MIDDLE = (0.5, 0.5)  # in the ball
CORNER = (0.06, 0.1)  # of the wall


def open_brush(page: Page) -> None:
    """From the result to the brush."""
    page.get_by_role("button", name="Touch up").click()
    expect(page.locator(f".touch {CANVAS}")).to_be_visible()
    expect(page.locator(".zoom-text")).to_contain_text("%")


def place(
    page: Page, share: tuple[float, float], *, width: int = 320, height: int = 240
) -> tuple[float, float]:
    """Where a place of the picture is on the screen."""
    box = page.locator(".viewer-canvas").bounding_box()
    assert box is not None
    zoom = min(box["width"] / width, box["height"] / height, 2)
    left = box["x"] + (box["width"] - zoom * width) / 2
    top = box["y"] + (box["height"] - zoom * height) / 2
    return left + share[0] * width * zoom, top + share[1] * height * zoom


def stroke(page: Page, share: tuple[float, float]) -> None:
    """A short stroke."""
    across, down = place(page, share)
    page.mouse.move(across, down)
    page.mouse.down()
    page.mouse.move(across + 6, down, steps=3)
    page.mouse.up()


def saved(page: Page, before: str) -> str:
    """Save; the id of the version."""
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(re.compile(f"#/cut/(?!{before})"))
    expect(page.locator("#cut-slider")).to_be_visible()
    return page.url.rpartition("/")[2]


def test_erase_and_restore_are_saved_by_the_server(site: Site, browser: Browser):
    """What was erased is transparent, what was restored has the original's own pixels."""
    content = photo()
    original = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    with window(browser, site) as shown:
        first = shown.cut("ball.jpg", content)
        open_brush(shown.page)
        stroke(shown.page, MIDDLE)
        shown.page.keyboard.press("r")
        stroke(shown.page, CORNER)
        version = saved(shown.page, first)
        before, after = site.result(first), site.result(version)

        assert before[120, 160, 3] > 200
        assert after[120, 160, 3] == 0
        assert before[24, 20, 3] < 50
        assert after[24, 20, 3] == 255
        assert np.array_equal(after[24, 20, :3], original[24, 20])
        assert np.array_equal(before[200:], after[200:])
        assert site.picture(version)["picture"]["touch_ups"] == 1
        assert site.picture(first)["state"] == "done"


def test_undo_and_redo_by_keys_and_buttons(site: Site, browser: Browser):
    """Each stroke is one step."""
    with window(browser, site) as shown:
        shown.cut("ball.jpg", photo())
        page = shown.page
        open_brush(page)
        plain = shot_without_brush(page)
        stroke(page, MIDDLE)
        one = shot_without_brush(page)
        stroke(page, (0.5, 0.35))
        two = shot_without_brush(page)
        page.keyboard.press("Control+z")
        assert shot_without_brush(page) == one
        page.get_by_role("button", name="Undo").click()
        assert shot_without_brush(page) == plain
        expect(page.get_by_role("button", name="Save")).to_be_disabled()
        page.keyboard.press("Control+Shift+z")
        page.keyboard.press("Control+y")

        assert shot_without_brush(page) == two
        assert len({plain, one, two}) == 3


def test_the_brush_is_set_by_keys(site: Site, browser: Browser):
    """Tool, size, hardness."""
    with window(browser, site) as shown:
        shown.cut("ball.jpg", photo())
        page = shown.page
        open_brush(page)
        page.keyboard.press("r")
        restore = page.get_by_role("button", name="Restore")
        expect(restore).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("]")
        page.keyboard.press("{")

        assert page.locator("#touch-size").input_value() == "49"
        assert page.locator("#touch-hardness").input_value() == "60"


def test_a_second_touch_up_keeps_the_first(site: Site, browser: Browser):
    """The masks add up."""
    with window(browser, site) as shown:
        first = shown.cut("ball.jpg", photo())
        open_brush(shown.page)
        stroke(shown.page, MIDDLE)
        second = saved(shown.page, first)
        open_brush(shown.page)
        stroke(shown.page, (0.5, 0.3))
        third = saved(shown.page, second)
        made = site.result(third)

        assert made[120, 160, 3] == 0
        assert made[72, 160, 3] == 0
        assert site.picture(third)["picture"]["touch_ups"] == 2


def test_sixteen_bits_and_the_profile_stay(site: Site, browser: Browser):
    """The browser paints only where; the pixels are the original's."""
    rgb = np.asarray(Image.open(io.BytesIO(photo()))).astype(np.uint16) * 256 + 77
    _, png = cv2.imencode(".png", rgb[..., ::-1])
    with window(browser, site) as shown:
        first = shown.cut("deep.png", png.tobytes())
        open_brush(shown.page)
        shown.page.keyboard.press("r")
        stroke(shown.page, CORNER)
        version = saved(shown.page, first)
        content = site.get(f"/api/v1/pictures/{version}/result").content
        made = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)

        assert made is not None
        assert made.dtype == np.uint16
        assert np.array_equal(made[24, 20, 2::-1], rgb[24, 20])
        assert made[24, 20, 3] == 65535


def test_knobs_stay_through_a_touch_up_and_are_in_the_download(site: Site, browser: Browser):
    """One does not undo the other."""
    with window(browser, site) as shown:
        first = shown.cut("ball.jpg", photo())
        page = shown.page
        page.locator("#knob-format").select_option("webp")
        open_brush(page)
        stroke(page, MIDDLE)
        saved(page, first)
        with page.expect_download() as found:
            page.get_by_role("button", name="Download").click()
        made = np.asarray(Image.open(found.value.path()))

        assert found.value.suggested_filename == "ball.webp"
        assert made[120, 160, 3] == 0


def test_a_finger_paints_and_two_fingers_zoom(site: Site, browser: Browser):
    """On a telephone."""
    with window(browser, site, size=PHONE, has_touch=True) as shown:
        first = shown.cut("ball.jpg", photo())
        page = shown.page
        open_brush(page)
        page.locator(".viewer-canvas").scroll_into_view_if_needed()
        across, down = place(page, MIDDLE)
        page.touchscreen.tap(across, down)
        expect(page.get_by_role("button", name="Undo")).to_be_enabled()
        zoom = page.locator(".zoom-text").inner_text()
        session = shown.context.new_cdp_session(page)
        for kind, gap in (("touchStart", 20), ("touchMove", 40), ("touchMove", 60)):
            points = [{"x": across + side * gap, "y": down, "id": side + 1} for side in (-1, 1)]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        expect(page.locator(".zoom-text")).not_to_have_text(zoom)
        version = saved(page, first)

        assert site.result(version)[120, 160, 3] == 0


def test_leaving_with_strokes_is_asked(site: Site, browser: Browser):
    """Escape stays."""
    with window(browser, site) as shown:
        shown.cut("ball.jpg", photo())
        page = shown.page
        open_brush(page)
        brush = page.url
        stroke(page, MIDDLE)
        page.get_by_role("button", name="Back without saving").click()
        expect(page.get_by_text("are not saved")).to_be_visible()
        page.wait_for_url(brush)  # the browser comes back a moment after the question
        page.keyboard.press("Escape")
        expect(page.locator(".touch")).to_be_visible()
        page.get_by_role("button", name="Back without saving").click()
        page.get_by_role("button", name="Leave").click()

        expect(page.locator("#cut-slider")).to_be_visible()


OPTIONS = [
    {"crop": "subject", "format": "jpeg"},
    {"preset": "marketplace", "format": "webp"},
    {"background": "ffffff"},
    {"max_megapixels": "0.01", "depth": "8", "adjust_shift_px": "3"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda one: next(iter(one)))
def test_a_touched_up_result_stays_as_it_was_asked_for(
    site: Site, browser: Browser, options: dict[str, str]
):
    """Painted in the original's frame, saved with its own format, crop and background.

    What was made only to be painted on is deleted.
    """
    sent = httpx.post(
        f"{site.url}/api/v1/pictures",
        params={"name": "ball.jpg"} | options,
        content=photo(),
        timeout=30,
    ).json()["pictures"][0]["id"]
    known = {one["id"] for one in site.get("/api/v1/pictures?limit=200").json()["pictures"]}
    with window(browser, site) as shown:
        shown.open(f"#/touch/{sent}?from=history")
        expect(shown.page.locator(f".touch {CANVAS}")).to_be_visible()
        stroke(shown.page, MIDDLE)
        shown.page.get_by_role("button", name="Save").click()
        expect(shown.page.locator(".view-history h1")).to_be_visible()
    before = site.picture(sent)["picture"]
    assert wait_for(lambda: len(new_ones(site, known, before["id"])) == 1)
    [after] = new_ones(site, known, before["id"])

    made = np.asarray(Image.open(io.BytesIO(site.get(f"{after['href']}/result").content)))
    names = ("result_width", "result_height")
    assert [after[name] for name in names] == [before[name] for name in names]
    assert after["touch_ups"] == 1
    assert after["result"].rpartition(".")[2] == before["result"].rpartition(".")[2]
    middle = made[made.shape[0] // 2, made.shape[1] // 2]
    assert middle.tolist() == [255] * 3 if made.shape[2] == 3 else middle[3] == 0


def new_ones(site: Site, known: set[str], sent: str) -> list[Json]:
    """Pictures that are neither known nor the one that was sent."""
    found = site.get("/api/v1/pictures?limit=200").json()["pictures"]
    return [one for one in found if one["id"] not in known | {sent}]


def test_a_large_picture_is_painted_smaller_and_exact_where_it_is_not(site: Site, browser: Browser):
    """24 megapixels; the mask has at most 4096 pixels a side."""
    with window(browser, site) as shown:
        first = shown.cut("large.jpg", photo(6000, 4000))
        open_brush(shown.page)
        box = shown.page.locator(".viewer-canvas").bounding_box()
        assert box is not None
        shown.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        shown.page.mouse.down()
        shown.page.mouse.up()
        version = saved(shown.page, first)
        before, after = site.result(first), site.result(version)

        assert after.shape == (4000, 6000, 4)
        assert after[2000, 3000, 3] == 0
        assert np.array_equal(before[:1000], after[:1000])


def test_the_profile_is_kept(site: Site, browser: Browser):
    """The version has the original's own colours."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    made = io.BytesIO()
    Image.open(io.BytesIO(photo())).save(made, "JPEG", quality=95, icc_profile=profile)
    with window(browser, site) as shown:
        first = shown.cut("ball.jpg", made.getvalue())
        open_brush(shown.page)
        stroke(shown.page, MIDDLE)
        version = saved(shown.page, first)
        content = site.get(f"/api/v1/pictures/{version}/result").content

        assert Image.open(io.BytesIO(content)).info["icc_profile"] == profile


@pytest.mark.parametrize("way", ["header", "back", "forward", "language"])
def test_strokes_are_not_lost_without_a_question(site: Site, browser: Browser, way: str):
    """However a person leaves: a no stays with all strokes, a yes goes on."""
    with window(browser, site) as shown:
        page = shown.page
        first = shown.cut("ball.jpg", photo())
        if way == "forward":
            page.evaluate("location.hash = '#/state'")
            expect(page.locator(".view-state h1")).to_be_visible()
            page.go_back()
            expect(page.locator("#cut-slider")).to_be_visible()
            page.evaluate(f"history.replaceState(history.state, '', '#/touch/{first}')")
            page.reload()
            expect(page.locator(f".touch {CANVAS}")).to_be_visible()
        else:
            open_brush(page)
        brush = page.url
        stroke(page, MIDDLE)
        painted = shot_without_brush(page)
        for answer in ("Stay", "Leave"):
            go(page, way)
            expect(page.get_by_role("dialog")).to_be_visible()
            page.wait_for_url(brush)  # the browser comes back a moment after the question
            page.get_by_role("button", name=answer, exact=True).click()
            expect(page.get_by_role("dialog")).to_have_count(0)
            if answer == "Stay":
                assert shot_without_brush(page) == painted
                assert page.locator("#language").input_value() == "en"

        expect(page.locator(AFTER[way])).to_be_visible()


AFTER = {
    "header": ".view-history h1",
    "back": "#cut-slider",
    "forward": ".view-state h1",
    "language": "html[lang=zh-CN] .touch",
}


def go(page: Page, way: str) -> None:
    """Try to leave."""
    if way == "header":
        page.get_by_role("link", name="History").click()
    elif way == "language":
        page.locator("#language").select_option("zh")
    else:
        step = -1 if way == "back" else 1
        page.evaluate(f"history.go({step})")


def test_nothing_is_asked_after_saving(site: Site, browser: Browser):
    """And nothing without strokes."""
    with window(browser, site) as shown:
        first = shown.cut("ball.jpg", photo())
        open_brush(shown.page)
        shown.page.go_back()
        expect(shown.page.locator("#cut-slider")).to_be_visible()
        open_brush(shown.page)
        stroke(shown.page, MIDDLE)
        saved(shown.page, first)
        shown.page.get_by_role("link", name="State").click()

        expect(shown.page.locator(".view-state h1")).to_be_visible()
