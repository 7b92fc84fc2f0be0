"""From Review to the brush and to another model, with the real daemon and real weights."""

import io
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.page_kit import CANVAS, Site, serving, window
from tests.system.daemon_process import WEIGHTS, wait_for

pytestmark = [pytest.mark.chromium, pytest.mark.web, pytest.mark.slow, pytest.mark.timeout(240)]
Json = dict[str, Any]  # Any: JSON


@pytest.fixture
def doubting(tmp_path: Path) -> Iterator[Site]:
    """A daemon with two models, for which every result is doubtful; it has done three pictures."""
    settings = {
        "model": {"device": "cpu"},
        "models": {"first": str(WEIGHTS), "second": str(WEIGHTS)},
        "output": {"drop_idle_s": 600, "review": {"below": 1.0}},
    }
    with serving(tmp_path, settings=settings) as site:
        for name in ("one.jpg", "two.jpg", "three.jpg"):
            count = len(doubtful(site))
            (tmp_path / "hot" / name).write_bytes(fog())
            assert wait_for(partial(is_more, site, count), patience_s=60)
        yield site


def is_more(site: Site, count: int) -> bool:
    """Whether one more is for review."""
    return len(doubtful(site)) > count


def fog() -> bytes:
    """A grey surface: the network finds no subject, so its result is doubtful."""
    made = io.BytesIO()
    Image.new("RGB", (320, 240), (150, 150, 150)).save(made, "JPEG", quality=95)
    return made.getvalue()


def doubtful(site: Site) -> list[Json]:
    """What is for review, the newest first."""
    return list(site.get("/api/v1/pictures?state=doubtful").json()["pictures"])


def is_shown(page: Page, wanted: str) -> None:
    """Wait for a picture."""
    expect(page.locator(".review-panel .name")).to_have_text(wanted)


def paint(page: Page) -> None:
    """A stroke through the middle."""
    canvas = page.locator(f".touch {CANVAS}")
    expect(canvas).to_be_visible()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 9, box["y"] + box["height"] / 2, steps=3)
    page.mouse.up()


def test_a_touch_up_settles_the_doubt_and_the_next_one_opens(doubting: Site, browser: Browser):
    """Both results stay; what was made only to be painted on goes."""
    with window(browser, doubting) as shown:
        page = shown.open("#/review")
        is_shown(page, "three.jpg")
        page.keyboard.press("ArrowRight")
        is_shown(page, "two.jpg")
        page.keyboard.press("t")
        paint(page)
        page.get_by_role("button", name="Save").click()
        page.wait_for_url(re.compile("#/review$"))
        is_shown(page, "one.jpg")

    assert wait_for(lambda: [one["name"] for one in doubtful(doubting)] == ["three.jpg", "one.jpg"])
    assert wait_for(lambda: len(named(doubting, "two.jpg")) == 2)
    made, first = named(doubting, "two.jpg")
    assert (made["touch_ups"], first.get("touch_ups", 0)) == (1, 0)
    assert wait_for(lambda: not list((doubting.base / "outputs").glob("*/review/two*")))


@pytest.mark.parametrize(("status", "code"), [(409, "picture_failed"), (503, "unavailable")])
def test_a_touch_up_is_saved_whatever_becomes_of_the_doubt(
    doubting: Site, browser: Browser, status: int, code: str
):
    """A colleague has rejected the earlier result, or the server has trouble then."""
    refusal = {"code": code, "detail": "not now"}
    with window(browser, doubting) as shown:
        page = shown.open("#/review")
        is_shown(page, "three.jpg")
        page.route(
            "**/approve?doubtful=true",
            lambda route: route.fulfill(
                status=status, json=refusal, content_type="application/problem+json"
            ),
        )
        page.keyboard.press("t")
        paint(page)
        page.get_by_role("button", name="Save").click()
        if status == 503:
            expect(page.locator("#view")).to_contain_text("still asked about: not now")
            expect(page.get_by_role("button", name="Save")).to_be_disabled()
            page.get_by_role("link", name="Go on").click()
        page.wait_for_url(re.compile("#/review$"))
        is_shown(page, "three.jpg")

    assert [one.get("touch_ups", 0) for one in named(doubting, "three.jpg")] == [1, 0]


def test_leaving_the_brush_leaves_the_doubt(doubting: Site, browser: Browser):
    """And nothing else in Review."""
    with window(browser, doubting) as shown:
        page = shown.open("#/review")
        is_shown(page, "three.jpg")
        page.keyboard.press("t")
        expect(page.locator(".touch .viewer-canvas")).to_be_visible()
        page.get_by_role("button", name="Back without saving").click()
        page.wait_for_url(re.compile("#/review$"))
        is_shown(page, "three.jpg")
        assert wait_for(lambda: len(doubtful(doubting)) == 3)

    assert len(named(doubting, "three.jpg")) == 1


def test_another_model_and_the_better_one_is_chosen(doubting: Site, browser: Browser):
    """Its result stands beside the old one, with its name."""
    with window(browser, doubting) as shown:
        page = shown.open("#/review")
        is_shown(page, "three.jpg")
        page.locator("#review-model").select_option("second")
        page.locator("h1").click()
        page.keyboard.press("m")
        expect(page.locator(".review-panel")).to_contain_text("second · web")
        page.keyboard.press("a")
        is_shown(page, "two.jpg")
        page.keyboard.press("ArrowLeft")
        is_shown(page, "three.jpg")
        page.keyboard.press("r")
        is_shown(page, "two.jpg")

    assert wait_for(lambda: [one["name"] for one in doubtful(doubting)] == ["two.jpg", "one.jpg"])
    assert wait_for(lambda: (doubting.base / "failed/hot/three.jpg").exists())
    # The row of the old one changes after its original is there.
    assert wait_for(lambda: models_of_done(doubting, "three.jpg") == ["second"])


def models_of_done(site: Site, name: str) -> list[str]:
    """The models that have made the results of a name."""
    return [one["model"] for one in named(site, name) if one["state"] == "done"]


def named(site: Site, name: str) -> list[Json]:
    """All pictures of a name, the newest first."""
    return list(site.get(f"/api/v1/pictures?text={name}").json()["pictures"])
