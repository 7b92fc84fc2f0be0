"""The brush, in a real browser, with a worker without a network: no stroke is lost."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.page_kit import CANVAS, shot_without_brush
from tests.browser.views_kit import Window, photo, window
from tests.web.web_kit import Kit

pytestmark = [pytest.mark.web, pytest.mark.chromium]
LARGE = """async () => {
  const {Painting} = await import('/static/views/brush.js');
  const painting = new Painting(4096, 3072);
  for (let count = 0; count < 8; count += 1) {
    painting.begin();
    for (const x of [1000, 2000, 3000]) painting.dab(x, 700 + 250 * count, 1000, 0.7, false);
    painting.end();
  }
  const kept = painting.done.length;
  while (painting.done.length) painting.undo();
  return [kept, painting.isEmpty]; }"""
DABS = """async () => {
  const {Painting} = await import('/static/views/brush.js');
  window.dabs = 0;
  const dab = Painting.prototype.dab;
  Painting.prototype.dab = function (...args) { window.dabs += 1; return dab.apply(this, args); };
}"""


@pytest.fixture
def shown(browser: Browser, kit: Kit) -> Iterator[Window]:
    """The brush, over a result."""
    upload_id = kit.upload(photo(), name="disc.png")
    kit.wait(upload_id)
    with window(browser, kit) as shown:
        shown.page.goto(f"{kit.server.url}/#/touch/{upload_id}")
        expect(shown.page.locator(f".touch {CANVAS}")).to_be_visible()
        expect(shown.page.locator(".zoom-text")).to_contain_text("%")
        yield shown


def middle(page: Page) -> tuple[float, float]:
    """Of the canvas."""
    box = page.locator(".viewer-canvas").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page: Page, *, down: int = 0, steps: int = 4) -> None:
    """From the middle, or from below it, to the right."""
    across, height = middle(page)
    page.mouse.move(across, height + down)
    page.mouse.down()
    page.mouse.move(across + 30, height + down, steps=steps)
    page.mouse.up()


def test_nothing_is_painted_while_it_is_saved(shown: Window):
    """What would not be sent cannot be painted or undone."""
    page = shown.page
    held: list[Route] = []
    drag(page)
    page.route("**/versions*", lambda route: held.append(route))
    page.get_by_role("button", name="Save").click()
    assert shown.wait_for(lambda: held)
    before = shot_without_brush(page)
    drag(page, down=60)
    page.keyboard.press("Control+z")

    assert shot_without_brush(page) == before
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    held[0].continue_()
    page.wait_for_url(re.compile("#/cut/"))


def test_strokes_stay_after_a_save_that_failed(shown: Window):
    """More may be painted then."""
    page = shown.page
    drag(page)
    page.route("**/versions*", lambda route: route.abort())
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".status-line")).to_contain_text("It was not saved")
    before = shot_without_brush(page)
    drag(page, down=60)

    assert shot_without_brush(page) != before
    expect(page.get_by_role("button", name="Save")).to_be_enabled()


def test_lost_answer_makes_no_second_version(shown: Window, kit: Kit):
    """The same strokes are sent again with the same key; other strokes have their own."""
    page = shown.page
    keys: list[str] = []

    def lose(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) < 3:
            route.fetch()
            route.abort()
        else:
            route.continue_()

    page.route("**/versions*", lose)
    drag(page)
    drag(page, down=60)
    for _ in range(2):
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".status-line.reason")).to_be_visible()
        page.locator(".status-line").evaluate("(line) => line.classList.remove('reason')")
        page.keyboard.press("Control+y")  # there is nothing to redo: the strokes stay the same
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(re.compile("#/cut/"))

    assert keys[0] == keys[1] != keys[2]
    assert len(kit.tasks) == 3  # the picture, and two versions


def test_server_in_trouble_is_waited_for(shown: Window):
    """A proxy says so while the version is made."""
    page = shown.page
    refused: list[int] = []

    def refuse(route: Route) -> None:
        if len(refused) < 3:
            refused.append((500, 502, 504)[len(refused)])
            route.fulfill(status=refused[-1], body="trouble")
        else:
            route.continue_()

    drag(page)
    page.route(re.compile(r"/api/v1/pictures/\w{22}$"), refuse)
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(re.compile("#/cut/"))

    assert refused == [500, 502, 504]


def test_strokes_that_cannot_be_undone_any_more_are_there(shown: Window):
    """They can be saved, and leaving is asked about."""
    kept, is_empty = shown.page.evaluate(LARGE)

    assert kept < 8
    assert is_empty is False


def test_space_moves_the_picture_wherever_the_focus_is(shown: Window):
    """After a tool was chosen by mouse; its button is not pressed by the key."""
    page = shown.page
    page.get_by_role("button", name="One pixel of the picture").click()
    page.get_by_role("button", name="Erase").click()
    page.get_by_role("button", name="Restore").click()
    page.get_by_role("button", name="Erase").focus()
    page.mouse.move(*middle(page))
    page.keyboard.down(" ")
    drag(page)
    page.keyboard.up(" ")

    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    expect(page.get_by_role("button", name="Restore")).to_have_attribute("aria-pressed", "true")


def test_large_brush_paints_few_discs(shown: Window):
    """Each has millions of pixels; a mouse tells of dozens of places a second."""
    page = shown.page
    page.evaluate(DABS)
    page.locator("#touch-size").fill("400")
    drag(page, steps=30)

    assert page.evaluate("window.dabs") == 2  # at its beginning and at its end
