"""Makes the screenshots in docs/ again: `python -m tests.browser.screenshots docs`.

The pictures are drawn here, or come with scikit-image (public domain).
"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, expect
from skimage import data

from tests.browser.page_kit import DESK, PHONE, Site, chromium, serving, window

LIMIT_BYTES = 150_000
QUALITIES = (85, 75, 65, 55)


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


def take(
    site: Site,
    browser: Browser,
    folder: Path,
    *,
    language: str,
    scheme: str,
    size: tuple[int, int],
    name: str,
) -> None:
    """All views of one kind of window."""
    suffix = f"{name}{'-zh' if language == 'zh' else ''}.jpg"
    with window(browser, site, language=language, scheme=scheme, size=size) as shown:
        page = shown.open()
        expect(page.locator("h1")).to_be_visible()
        page.wait_for_timeout(300)
        keep(page.screenshot(), folder / f"page-empty{suffix}")
        shown.cut("cat.jpg", cat())
        page.wait_for_timeout(800)
        keep(page.screenshot(), folder / f"page-cut{suffix}")
        shown.page.get_by_role("button", name="修整" if language == "zh" else "Touch up").click()
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
        keep(page.screenshot(), folder / f"page-touch{suffix}")


def main(folder: Path) -> None:
    """Both languages; the phone is dark."""
    with tempfile.TemporaryDirectory() as base, serving(Path(base)) as site, chromium() as browser:
        for language in ("en", "zh"):
            take(site, browser, folder, language=language, scheme="light", size=DESK, name="")
            take(site, browser, folder, language=language, scheme="dark", size=PHONE, name="-phone")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
