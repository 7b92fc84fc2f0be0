"""Makes the screenshots in docs/ again: `python -m tests.browser.screenshots docs`.

With `--all` and another folder: each view in both languages, both schemes and both sizes.

The pictures are drawn here, or come with scikit-image (public domain).
"""

import io
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product, starmap
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect
from skimage import data

from tests.browser.page_kit import DESK, PHONE, Site, chromium, payload, photo, serving, window
from tests.system.daemon_process import wait_for

LIMIT_BYTES = 150_000
QUALITIES = (85, 75, 65, 55)
#: Whether each thumbnail in the window is there.
ALL_SEEN = """() => [...document.querySelectorAll(".thumb img:not([src])")].every((one) => {
  const box = one.getBoundingClientRect();
  return box.top > innerHeight || box.left > innerWidth; })"""
#: Each step may take so long on a machine that has more to do.
PATIENCE_MS = 180_000
PHOTOS = ("astronaut", "coffee", "rocket", "chelsea")


@dataclass(frozen=True)
class Look:
    """One kind of window."""

    language: str
    scheme: str
    is_phone: bool


LOOKS = tuple(starmap(Look, product(("en", "zh"), ("light", "dark"), (False, True))))
#: What the documents show: view and look, by file.
SHOWN = {
    ("cut", Look("en", "light", is_phone=False)): "page-cut.jpg",
    ("cut", Look("zh", "light", is_phone=False)): "page-cut-zh.jpg",
    ("cut", Look("en", "dark", is_phone=True)): "page-cut-phone.jpg",
    ("touch", Look("en", "light", is_phone=False)): "page-touch.jpg",
    ("batch", Look("en", "light", is_phone=False)): "page-batch.jpg",
    ("history", Look("en", "light", is_phone=False)): "page-history.jpg",
    ("review", Look("en", "light", is_phone=False)): "page-review.jpg",
    ("state", Look("en", "light", is_phone=False)): "page-state.jpg",
}


def cat() -> bytes:
    """Chelsea, of scikit-image."""
    made = io.BytesIO()
    Image.fromarray(data.chelsea()).resize((902, 600)).save(made, "JPEG", quality=92)
    return made.getvalue()


def keep(png: bytes, path: Path) -> None:
    """Write a JPEG of at most 150 kB."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for quality in QUALITIES:
        made = io.BytesIO()
        picture.save(made, "JPEG", quality=quality, optimize=True, progressive=True)
        if len(made.getvalue()) <= LIMIT_BYTES:
            path.write_bytes(made.getvalue())
            return
    raise SystemExit(f"{path} does not fit into {LIMIT_BYTES} bytes")


def jpeg(name: str) -> bytes:
    """A photo of scikit-image."""
    made = io.BytesIO()
    Image.fromarray(getattr(data, name)()).convert("RGB").save(made, "JPEG", quality=92)
    return made.getvalue()


def fill(site: Site) -> None:
    """Do some pictures by the hot folder, for History, Review and State."""
    for name in PHOTOS:
        (site.base / "hot" / f"{name}.jpg").write_bytes(jpeg(name))
    wanted = len(PHOTOS)
    assert wait_for(lambda: len(site.get("/api/v1/pictures").json()["pictures"]) >= wanted)


def settle(page: Page, view: str) -> None:
    """Wait until a view shows all that it has to show: a machine may be busy, so by facts."""
    if view == "batch":
        files = [payload(f"{name}.jpg", jpeg(name)) for name in PHOTOS]
        page.set_input_files("#batch-files", [*files, payload("ball.jpg", photo())])
        expect(page.locator(".progress-line")).to_contain_text(re.compile("5 (of|/) 5"))
    elif view == "review":
        expect(page.locator(".stage-image[src]:not(.is-loading)")).to_be_visible()
    elif view == "state":
        expect(page.locator("#view [aria-busy]")).to_have_count(0)
    else:
        expect(page.locator(".drop .thumb img[src]").first).to_be_visible()
    assert wait_for(lambda: page.evaluate(ALL_SEEN))
    page.wait_for_timeout(500)  # for what is drawn after the last answer


def stroke(page: Page) -> None:
    """Erase something at the bottom."""
    canvas = page.locator(".touch .viewer-canvas")
    expect(canvas).to_be_visible()
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.7)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.75, steps=8)
    page.mouse.up()
    page.wait_for_timeout(300)


def take(site: Site, browser: Browser, look: Look, keep_as: Callable[[str, bytes], None]) -> None:
    """All views of one kind of window."""
    size = PHONE if look.is_phone else DESK
    with window(
        browser,
        site,
        language=look.language,
        scheme=look.scheme,
        size=size,
        has_touch=look.is_phone,
    ) as shown:
        shown.page.set_default_timeout(PATIENCE_MS)
        page = shown.open()
        expect(page.locator("h1")).to_be_visible()
        page.wait_for_timeout(300)
        keep_as("empty", page.screenshot())
        shown.cut("cat.jpg", cat())
        page.wait_for_timeout(800)
        keep_as("cut", page.screenshot())
        page.get_by_role("button", name=re.compile("修整|Touch up")).click()
        stroke(page)
        keep_as("touch", page.screenshot())
        shown.page.keyboard.press("Control+z")
        for view in ("batch", "history", "review", "state"):
            shown.open(f"#/{view}")
            expect(page.locator(f".view-{view} h1")).to_be_visible()
            settle(page, view)
            keep_as(view, page.screenshot())


def main(folder: Path, *, is_all: bool) -> None:
    """Make those that the documents show, or all of them, to be looked at."""
    expect.set_options(timeout=PATIENCE_MS)
    settings = {"output": {"drop_idle_s": 600, "review": {"below": 0.82}}}
    with (
        tempfile.TemporaryDirectory() as base,
        serving(Path(base), settings=settings) as site,
        chromium() as browser,
    ):
        fill(site)
        for look in LOOKS:

            def keep_as(view: str, png: bytes, look: Look = look) -> None:
                name = SHOWN.get((view, look))
                if is_all:
                    name = f"{view}-{look.language}-{look.scheme}{'-phone' * look.is_phone}.jpg"
                if name is not None:
                    keep(png, folder / name)

            if is_all or any(look == one for _, one in SHOWN):
                take(site, browser, look, keep_as)


if __name__ == "__main__":
    main(Path(sys.argv[1]), is_all="--all" in sys.argv)
