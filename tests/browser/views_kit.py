"""A daemon with a worker that takes time, its server, and a real browser in front of it."""

import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import Browser, BrowserContext, Page, expect

from daemon.jobs import Hint
from daemon.messages import FileEvent
from tests.browser.page_kit import watched_page
from tests.web.web_kit import Json, Kit, wait_for

TITLES = {
    "batch": re.compile("Batch|批量处理"),
    "history": re.compile("History|历史记录"),
    "review": re.compile("Review|复核"),
    "state": re.compile("State|状态"),
}


def photo(shade: int = 0, side: int = 120) -> bytes:
    """A PNG with a disc in it."""
    made = io.BytesIO()
    canvas = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    ImageDraw.Draw(canvas).ellipse((20, 20, side - 20, side - 20), fill=(shade % 256, 90, 160, 255))
    canvas.save(made, "PNG")
    return made.getvalue()


@dataclass
class Window:
    """One window of a browser, and what went wrong in it."""

    kit: Kit
    context: BrowserContext
    page: Page
    errors: list[str] = field(default_factory=list)

    def open(self, view: str) -> None:
        """Show a view."""
        self.page.goto(f"{self.kit.server.url}/#/{view}")
        expect(self.page.locator("#view h1")).to_have_text(TITLES[view])

    def wait_for(self, what: Callable[[], object]) -> bool:
        """Wait until something is so; False if it never is. Routes are answered meanwhile."""
        return wait_for(what, pause=lambda wait_s: self.page.wait_for_timeout(1000 * wait_s))


@contextmanager
def window(
    browser: Browser, kit: Kit, *, language: str = "en", scheme: str = "light", width: int = 1200
) -> Iterator[Window]:
    """A window of its own: no other one's store; an error of a script fails the test."""
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        locale="zh-CN" if language == "zh" else "en-GB",
        color_scheme="dark" if scheme == "dark" else "light",
        accept_downloads=True,
    )
    try:
        errors: list[str] = []
        yield Window(kit, context, watched_page(context, errors), errors)
        assert errors == []
    finally:
        context.close()


def drop_pictures(kit: Kit, contents: dict[str, bytes]) -> None:
    """Put pictures into the hot folder by their names, and wait until all have ended."""
    before = len(found(kit))
    for name, content in contents.items():
        path = (kit.base / "hot" / name).resolve()
        path.write_bytes(content)
        kit.inbox.put(FileEvent("hot", path, Hint.MOVED))
    assert wait_for(lambda: len(found(kit)) == before + len(contents))


def found(kit: Kit, **query: str) -> list[Json]:
    """Pictures that the API finds."""
    return list(kit.client.get("/api/v1/pictures", params=query).json()["pictures"])


def write_photos(folder: Path, count: int, *, start: int = 0) -> list[Path]:
    """Some pictures on the disk; each has its own content."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"photo-{number:03}.png" for number in range(start, start + count)]
    for number, path in enumerate(paths, start):
        path.write_bytes(photo(number))
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))
    return paths


def choose(shown: Window, paths: list[Path]) -> None:
    """As with Batch's chooser of files."""
    shown.page.set_input_files("#batch-files", [str(path) for path in paths])


def await_ready(shown: Window, count: int) -> None:
    """All pictures of Batch are done or have failed."""
    expect(shown.page.locator(".progress-line")).to_contain_text(f"{count} of {count} ready")
