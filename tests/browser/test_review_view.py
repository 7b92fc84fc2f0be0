"""Review in a real browser: one key for each decision."""

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from cvunet.matte import confidence
from tests.browser.views_kit import Window, drop_pictures, found, window
from tests.web.web_kit import Json, Kit, running, wait_for

pytestmark = [pytest.mark.web, pytest.mark.chromium]


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """Three doubtful results: two of dropped pictures, and the newest one of an upload."""
    with running(Kit(tmp_path, settings={"output": {"drop_idle_s": 600}})) as kit:
        drop_pictures(kit, {"one.png": b"blank 1", "two.png": b"blank 2"})
        kit.wait(kit.upload(b"blank 3", name="three.png"))
        yield kit


@pytest.fixture
def shown(browser: Browser, kit: Kit) -> Iterator[Window]:
    """The view."""
    with window(browser, kit) as shown:
        shown.open("review")
        expect(shown.page.locator(".review-panel")).to_be_visible()
        yield shown


def name(shown: Window) -> str:
    """Of the picture that is shown."""
    return shown.page.locator(".review-panel .name").inner_text()


def doubtful(kit: Kit) -> list[str]:
    """Names of what is for review."""
    return [one["name"] for one in found(kit, state="doubtful")]


def is_shown(shown: Window, wanted: str) -> None:
    """Wait for a picture."""
    expect(shown.page.locator(".review-panel .name")).to_have_text(wanted)


def test_reasons_are_told(shown: Window):
    """In words, with the place in the line."""
    is_shown(shown, "three.png")
    expect(shown.page.locator(".reasons")).to_contain_text("No subject was found")
    expect(shown.page.locator("#view")).to_contain_text("1 of 3")


MEASURES = ("inside", "shaky", "detached", "holes", "subject", "top", "border")
REASONS = """async ([confidences, language]) => {
  const {reasonsOf} = await import('/static/views/reasons.js');
  const {en, zh} = await import('/static/views/picture-words.js');
  const {register, useLanguage, words} = await import('/static/words.js');
  register({en, zh});
  useLanguage(language);
  return confidences.map((one) => reasonsOf(one, words)); }"""


def test_the_reasons_are_those_of_the_score(browser: Browser, kit: Kit):
    """As the library explains them, the worst one first; in Chinese with the same figures."""
    draw = random.Random(0)  # not for secrets
    drawn = []
    for _ in range(60):
        parts = {name: draw.choice([0.1, 0.3, 0.5, 0.7, 0.9]) for name in confidence.GROUPS}
        # Of small subjects the library tells a tenth of a percent.
        measures = {name: draw.randint(1, 99) / 100 for name in MEASURES} | {"subject": 0.004}
        drawn.append({"parts": parts, "measures": measures, "is_blank": False})
    expected = [confidence.explain(one["parts"], one["measures"]) for one in drawn]  # type: ignore[arg-type]
    with window(browser, kit) as shown:
        shown.open("state")
        english, chinese = (shown.page.evaluate(REASONS, [drawn, one]) for one in ("en", "zh"))

    for told, other, reasons in zip(english, chinese, expected, strict=True):
        texts = [f"{one[0].upper()}{one[1:]}." for one in reasons]
        assert sorted(told) == sorted(texts or ["Several small doubts add up."])
        figures = [sorted(re.findall(r"[\d.]+%", one)) for one in told]
        assert [sorted(re.findall(r"[\d.]+%", one)) for one in other] == figures


def test_decisions_are_on_the_first_screen_of_a_phone(browser: Browser, kit: Kit):
    """Below the picture, over everything else."""
    with window(browser, kit, width=360) as shown:
        shown.page.set_viewport_size({"width": 360, "height": 740})
        shown.open("review")
        for decision in ("Accept", "Reject", "Touch up"):
            box = shown.page.get_by_role("button", name=decision).bounding_box()

            assert box is not None
            assert box["y"] + box["height"] <= 740


def test_arrows_and_grounds(shown: Window):
    """Nothing is decided by them."""
    shown.page.keyboard.press("ArrowRight")
    is_shown(shown, "two.png")
    shown.page.keyboard.press("ArrowLeft")
    is_shown(shown, "three.png")
    shown.page.keyboard.press("ArrowLeft")
    is_shown(shown, "three.png")
    for ground in ("white", "black"):
        shown.page.keyboard.press("b")
        expect(shown.page.locator(f".stage-frame.{ground}")).to_be_visible()


def test_accepted_and_undone(shown: Window, kit: Kit):
    """By two keys."""
    shown.page.keyboard.press("a")
    is_shown(shown, "two.png")
    assert wait_for(lambda: len(list(kit.base.glob("outputs/*/review/*"))) == 2)
    shown.page.keyboard.press("u")
    is_shown(shown, "three.png")

    assert wait_for(lambda: doubtful(kit) == ["three.png", "two.png", "one.png"])


def test_rejected_and_undone(shown: Window, kit: Kit):
    """The original goes into quarantine, and comes back to be cut out again."""
    shown.page.keyboard.press("ArrowRight")
    is_shown(shown, "two.png")
    shown.page.keyboard.press("r")
    is_shown(shown, "one.png")
    assert wait_for(lambda: (kit.base / "failed/hot/two.png").exists())
    shown.page.keyboard.press("u")

    expect(shown.page.locator(".review-panel .notice")).to_contain_text("two.png is cut out again")
    assert wait_for(lambda: "two.png" in doubtful(kit))
    assert not (kit.base / "failed/hot/two.png").exists()
    expect(shown.page.locator("#view")).to_contain_text("of 3")  # it is in the list again


def test_undone_at_once(shown: Window, kit: Kit):
    """Before the daemon has done what was decided."""
    shown.page.keyboard.press("r")
    shown.page.keyboard.press("u")

    assert wait_for(lambda: len(kit.tasks) == 4)
    assert wait_for(lambda: len(doubtful(kit)) == 3)


def test_all_are_judged(shown: Window, kit: Kit):
    """Then there is nothing more to do, and the last one can still be undone."""
    for left in (2, 1, 0):
        shown.page.keyboard.press("a")
        if left:
            expect(shown.page.locator("#view")).to_contain_text(f"1 of {left}")
    expect(shown.page.locator("#view")).to_contain_text("Nothing to review")
    assert wait_for(lambda: not list(kit.base.glob("outputs/*/review/*")))
    shown.page.get_by_role("button", name="Undo").click()

    is_shown(shown, "one.png")


def test_touching_up(shown: Window):
    """Leads to the other view."""
    shown.page.keyboard.press("t")

    shown.page.wait_for_url("**/#/touch/*")


def test_touching_up_a_dropped_picture(shown: Window, kit: Kit):
    """Its original is taken in like an upload before."""
    shown.page.keyboard.press("ArrowRight")
    is_shown(shown, "two.png")
    shown.page.keyboard.press("t")
    shown.page.wait_for_url("**/#/touch/*")

    upload_id = shown.page.url.rpartition("/")[2].partition("?")[0]
    assert kit.client.get(f"/api/v1/pictures/{upload_id}/original").content == b"blank 2"


def test_the_other_model_is_another_one(browser: Browser, kit: Kit):
    """The one that has made the result is not offered first."""
    models = [{"name": "first"}, {"name": "second"}]
    with window(browser, kit) as shown:
        shown.page.route("**/api/v1/models", lambda route: route.fulfill(json={"models": models}))
        listing = "**/api/v1/pictures?state=doubtful*"

        def by_first(route: Route) -> None:
            """All results are of the first model."""
            answer = route.fetch()
            found = answer.json()
            found["pictures"] = [one | {"model": "first"} for one in found["pictures"]]
            route.fulfill(response=answer, json=found)

        shown.page.route(listing, by_first)
        shown.open("review")

        expect(shown.page.locator("#review-model")).to_have_value("second")


def test_another_model(browser: Browser, kit: Kit):
    """The new result stands beside the old one; each is judged by itself."""
    models = [{"name": "first"}, {"name": "second"}]
    with window(browser, kit) as shown:
        shown.page.route("**/api/v1/models", lambda route: route.fulfill(json={"models": models}))
        shown.page.route(
            "**/versions?model=*",
            lambda route: route.continue_(url=route.request.url.partition("?")[0]),
        )
        shown.open("review")
        is_shown(shown, "three.png")  # before that a key does nothing
        shown.page.keyboard.press("ArrowRight")
        is_shown(shown, "two.png")
        shown.page.keyboard.press("m")
        expect(shown.page.locator(".review-panel")).to_contain_text("first · web")
        shown.page.keyboard.press("r")
        shown.page.keyboard.press("ArrowLeft")

        assert wait_for(lambda: len(found(kit, state="failed")) == 1)
        assert found(kit, state="failed")[0]["upload"]


@pytest.mark.parametrize("key", ["a", "r"])
def test_a_key_that_is_held_decides_once(shown: Window, kit: Kit, key: str):
    """The next picture waits for a key of its own."""
    shown.page.keyboard.down(key)
    is_shown(shown, "two.png")
    for _ in range(3):
        shown.page.keyboard.down(key)
        shown.page.wait_for_timeout(100)
    shown.page.keyboard.up(key)

    is_shown(shown, "two.png")
    assert wait_for(lambda: doubtful(kit) == ["two.png", "one.png"])


def test_another_model_that_fails_twice(browser: Browser, kit: Kit):
    """The same wish is sent once at a time; a picture that is gone takes no other one with it."""
    models = [{"name": "first"}, {"name": "second"}]
    refusal = {"code": "gone", "detail": "it was deleted"}
    waiting: list[Route] = []
    with window(browser, kit) as shown:
        shown.page.route("**/api/v1/models", lambda route: route.fulfill(json={"models": models}))
        shown.page.route("**/versions?model=*", lambda route: waiting.append(route))
        shown.open("review")
        is_shown(shown, "three.png")
        for model in ("second", "second", "first"):
            shown.page.select_option("#review-model", model)
            shown.page.get_by_role("button", name="Other model").click()
        assert shown.wait_for(lambda: len(waiting) == 2)
        for route in waiting:
            route.fulfill(status=410, json=refusal, content_type="application/problem+json")
        is_shown(shown, "two.png")
        shown.page.keyboard.press("ArrowRight")
        is_shown(shown, "one.png")
        expect(shown.page.locator("#view")).to_contain_text("2 of 2")


def test_nothing_is_taken_back_where_nothing_was_sent(browser: Browser, kit: Kit):
    """A result that was not doubtful is accepted by itself, and stays so."""
    listing = "**/api/v1/pictures?state=doubtful*"
    sent: list[str] = []

    def as_certain(route: Route) -> None:
        answer = route.fetch()
        content = answer.json()
        content["pictures"] = [one | {"is_doubtful": False} for one in content["pictures"]]
        route.fulfill(response=answer, json=content)

    with window(browser, kit) as shown:
        shown.page.route(listing, as_certain)
        shown.page.on("request", lambda one: sent.append(one.method))
        shown.open("review")
        is_shown(shown, "three.png")
        shown.page.keyboard.press("a")
        is_shown(shown, "two.png")
        shown.page.keyboard.press("u")
        is_shown(shown, "three.png")

    assert "POST" not in sent


def test_two_browsers_judge_the_same_picture(browser: Browser, shown: Window, kit: Kit):
    """The slower one is told, and goes on with the next picture."""
    with window(browser, kit) as other:
        other.open("review")
        is_shown(other, "three.png")
        shown.page.keyboard.press("a")
        is_shown(shown, "two.png")
        other.page.keyboard.press("r")
        is_shown(other, "two.png")
        expect(other.page.locator(".notice:visible")).to_contain_text("somebody else")

    assert wait_for(lambda: doubtful(kit) == ["two.png", "one.png"])
    assert found(kit, state="failed") == []


def test_keys_in_a_field_decide_nothing(shown: Window, kit: Kit):
    """And neither do shortcuts of the browser."""
    shown.page.keyboard.press("Control+a")
    shown.page.keyboard.press("Alt+r")

    is_shown(shown, "three.png")
    assert len(doubtful(kit)) == 3


REFUSAL: Json = {"status": 503, "code": "unavailable", "detail": "the ledger cannot be read now"}
NOTHING = {"en": "Nothing to review", "zh": "没有需要复核的图片"}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_list_that_cannot_be_loaded(browser: Browser, kit: Kit, language: str):
    """The reason is told, and not that there is nothing to do; later the list comes by itself."""
    refusals = [REFUSAL]

    def answer(route: Route) -> None:
        if refusals:
            route.fulfill(status=503, json=REFUSAL, content_type="application/problem+json")
        else:
            route.continue_()

    with window(browser, kit, language=language) as shown:
        shown.page.clock.install()
        shown.page.route("**/api/v1/pictures?state=doubtful*", answer)
        shown.open("review")
        expect(shown.page.locator(".notice:visible")).to_have_text(REFUSAL["detail"])
        expect(shown.page.get_by_text(NOTHING[language])).to_be_hidden()
        expect(shown.page.locator(".review-panel")).to_be_hidden()

        refusals.clear()
        shown.page.clock.run_for(20_000)
        is_shown(shown, "three.png")
        expect(shown.page.locator(".notice:visible")).to_have_count(0)


def test_a_list_that_breaks_off_is_not_at_its_end(browser: Browser, kit: Kit):
    """All that was loaded is judged, and more cannot be loaded now."""

    def answer(route: Route) -> None:
        if "before=" in route.request.url:
            route.fulfill(status=503, json=REFUSAL, content_type="application/problem+json")
        else:
            first = route.fetch()
            content = first.json()
            [newest, *_] = content["pictures"]
            route.fulfill(json=content | {"pictures": [newest], "next": newest["id"]})

    with window(browser, kit) as shown:
        shown.page.route("**/api/v1/pictures?state=doubtful*", answer)
        shown.open("review")
        is_shown(shown, "three.png")
        shown.page.keyboard.press("a")

        expect(shown.page.locator(".notice:visible")).to_have_text(REFUSAL["detail"])
        expect(shown.page.get_by_text(NOTHING["en"])).to_be_hidden()


def test_the_list_goes_on_where_a_page_is_empty(browser: Browser, kit: Kit):
    """All of the newest page was judged meanwhile."""

    def answer(route: Route) -> None:
        if "before=" in route.request.url:
            route.continue_()
        else:
            [newest] = found(kit, text="three")
            route.fulfill(json={"pictures": [], "next": newest["id"], "doubtful": 3})

    with window(browser, kit) as shown:
        shown.page.route("**/api/v1/pictures?state=doubtful*", answer)
        shown.page.add_init_script("window.setInterval = () => 0")  # there is no second look
        shown.open("review")
        is_shown(shown, "two.png")


def test_decisions_while_the_daemon_is_down(browser: Browser, tmp_path: Path):
    """They wait for it."""
    with running(Kit(tmp_path)) as kit:
        drop_pictures(kit, {"one.png": b"blank"})
    with running(Kit(tmp_path, is_daemon_up=False)) as kit, window(browser, kit) as shown:
        shown.open("review")
        is_shown(shown, "one.png")
        shown.page.keyboard.press("a")
        expect(shown.page.locator("#view")).to_contain_text("Nothing to review")
    with running(Kit(tmp_path)) as kit:
        assert wait_for(lambda: not list(kit.base.glob("outputs/*/review/*")))


def test_leaving_while_the_brush_is_made_ready_leaves_nothing(shown: Window, kit: Kit):
    """The copy that was made only to be painted on is deleted."""
    held: list[Route] = []
    shown.page.route("**/versions*", lambda route: held.append(route))
    shown.page.keyboard.press("ArrowRight")
    is_shown(shown, "two.png")
    shown.page.keyboard.press("t")
    assert shown.wait_for(lambda: held)
    shown.open("state")
    with shown.page.expect_request(lambda request: request.method == "DELETE") as deleted:
        held[0].continue_()
    upload_id = deleted.value.url.rpartition("/")[2]

    assert wait_for(lambda: kit.state(upload_id) == "not_found")
    # Its files go a moment later.
    assert wait_for(lambda: sorted(doubtful(kit)) == ["one.png", "three.png", "two.png"])


def test_undo_that_fails_can_be_tried_again(shown: Window, kit: Kit):
    """The decision is not forgotten."""
    shown.page.keyboard.press("r")
    is_shown(shown, "two.png")
    assert wait_for(lambda: len(found(kit, state="failed")) == 1)
    shown.page.route("**/retry", lambda route: route.abort())
    shown.page.keyboard.press("u")
    expect(shown.page.locator(".notice:visible")).to_contain_text("does not answer")
    shown.page.unroute("**/retry")
    shown.page.get_by_role("button", name="Undo").click()

    assert wait_for(lambda: len(doubtful(kit)) == 3)


def test_decision_that_waits_for_the_daemon_is_told(browser: Browser, kit: Kit):
    """It cannot be undone yet; in the language of the page."""
    refusal = {"code": "picture_done", "detail": "the picture is done"}
    with window(browser, kit, language="zh") as shown:
        shown.open("review")
        is_shown(shown, "three.png")
        shown.page.route("**/retry", lambda route: route.fulfill(status=409, json=refusal))
        shown.page.keyboard.press("r")
        is_shown(shown, "two.png")
        shown.page.keyboard.press("u")

        expect(shown.page.locator(".notice:visible")).to_contain_text("请稍后再撤销")
