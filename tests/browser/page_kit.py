"""The real daemon with its page and the real weights, and a real browser in front of it."""

import io
import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import (
    Browser,
    BrowserContext,
    FilePayload,
    Page,
    expect,
    sync_playwright,
)

from tests.system.daemon_process import Daemon, wait_for

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
PATIENCE_MS = 60_000
#: Of a viewer. It has a width once it knows its place; before that nothing is where it will be.
CANVAS = ".viewer-canvas[width]"
#: All that has changed is drawn when two frames have passed, however late the first one begins.
DRAWN = """() => new Promise((done) => {
  requestAnimationFrame(() => requestAnimationFrame(() => done())); })"""
PHONE = (360, 740)
DESK = (1280, 860)
Json = dict[str, Any]  # Any: JSON
expect.set_options(timeout=PATIENCE_MS)


def free_port() -> int:
    """A port of the loopback that nobody has now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Site:
    """A server that runs."""

    url: str
    base: Path
    key: str = ""

    def get(self, path: str) -> httpx.Response:
        """Ask the API."""
        headers = {"X-Api-Key": self.key} if self.key else {}
        answer = httpx.get(self.url + path, headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer

    def picture(self, upload_id: str) -> Json:
        """What the API says of a picture."""
        return dict(self.get(f"/api/v1/pictures/{upload_id}").json())

    def result(self, upload_id: str) -> NDArray[np.uint8]:
        """The pixels of a result."""
        content = self.get(f"/api/v1/pictures/{upload_id}/result").content
        return np.asarray(Image.open(io.BytesIO(content)))


@contextmanager
def serving(
    base: Path, *, key: str = "", settings: Json | None = None, **web: object
) -> Iterator[Site]:
    """The daemon and its server; ``settings`` besides those of ``web``."""
    port = free_port()
    listen = {"listen": f"127.0.0.1:{port}", "folder": "uploads", **web}
    own: dict[str, object] = {"web": listen}
    daemon = Daemon(base, own | (settings or {}))
    site = Site(f"http://127.0.0.1:{port}", base, key)
    try:
        assert wait_for(lambda: is_up(site)), daemon.log.read_text()
        yield site
    finally:
        daemon.process.terminate()
        daemon.process.wait(60)


def is_up(site: Site) -> bool:
    """Whether it answers."""
    try:
        headers = {"X-Api-Key": site.key} if site.key else {}
        status = httpx.get(f"{site.url}/api/v1/status", headers=headers).json()
        return bool(status["state"] == "running")
    except (httpx.HTTPError, KeyError, json.JSONDecodeError):
        return False


@contextmanager
def chromium() -> Iterator[Browser]:
    """One browser."""
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Window:
    """One window of a browser, and what went wrong in it."""

    site: Site
    context: BrowserContext
    page: Page
    errors: list[str] = field(default_factory=list)

    def open(self, place: str = "#/cut") -> Page:
        """Show a place of the page."""
        self.page.goto(f"{self.site.url}/{place}")
        return self.page

    def cut(self, name: str, content: bytes) -> str:
        """Cut a picture out by the file input; its id, when the result is shown."""
        self.open()
        self.page.set_input_files("#cut-file", payload(name, content))
        return self.shown_id()

    def shown_id(self) -> str:
        """Wait for a result; its id."""
        expect(self.page.locator(f".cut-layout {CANVAS}")).to_be_visible()
        self.page.wait_for_url(re.compile("#/cut/[0-9a-f]{22}"))
        return self.page.url.rpartition("/")[2]


def shot(page: Page) -> bytes:
    """What the viewer shows."""
    page.wait_for_timeout(150)
    page.evaluate(DRAWN)
    return page.locator(".viewer-canvas").screenshot()


def shot_without_brush(page: Page) -> bytes:
    """The same, with the pointer elsewhere."""
    page.mouse.move(1, 1)
    return shot(page)


@contextmanager
def window(
    browser: Browser,
    site: Site,
    *,
    language: str = "en",
    scheme: str = "light",
    size: tuple[int, int] = DESK,
    has_touch: bool = False,
) -> Iterator[Window]:
    """A window of its own: no other one's store; an error of a script fails the test."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale="zh-CN" if language == "zh" else "en-GB",
        color_scheme="dark" if scheme == "dark" else "light",
        accept_downloads=True,
        has_touch=has_touch,
        permissions=["clipboard-read", "clipboard-write"],
    )
    try:
        errors: list[str] = []
        yield Window(site, context, watched_page(context, errors), errors)
        assert errors == []
    finally:
        context.close()


def watched_page(context: BrowserContext, errors: list[str]) -> Page:
    """A new page, whose errors are collected."""
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if is_bad(line.text) else None)
    return page


def payload(name: str, content: bytes) -> FilePayload:
    """A file as the browser's own dialog would give it."""
    kind = "image/jpeg" if name.endswith("jpg") else "image/png"
    return {"name": name, "mimeType": kind, "buffer": content}


def is_bad(text: str) -> bool:
    """Whether a line of the console is about our own fault: a refused script or style."""
    return "Content Security Policy" in text or "Uncaught" in text or "TypeError" in text


def photo(width: int = 320, height: int = 240) -> bytes:
    """A JPEG of a round thing before a wall."""
    canvas = Image.new("RGB", (width, height), (150, 170, 200))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, height * 3 // 4, width, height), fill=(120, 90, 60))
    across, down, radius = width // 2, height // 2, min(width, height) // 3
    draw.ellipse(
        (across - radius, down - radius, across + radius, down + radius), fill=(220, 60, 40)
    )
    draw.ellipse((across - radius // 2, down - radius // 2, across, down), fill=(250, 200, 190))
    made = io.BytesIO()
    canvas.filter(ImageFilter.GaussianBlur(1)).save(made, "JPEG", quality=95)
    return made.getvalue()
