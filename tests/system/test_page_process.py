"""The page of a real daemon with the real weights, in a real browser: a batch, looked at after."""

import io
import zipfile
from pathlib import Path

import pytest
import skimage.data
from PIL import Image
from playwright.sync_api import expect

from tests.browser.page_kit import chromium
from tests.system.daemon_process import Daemon, wait_for
from tests.system.test_web_process import answers, free_port

pytestmark = [pytest.mark.web, pytest.mark.chromium]
PHOTOS = ("astronaut", "cat", "coffee")


def write_photos(folder: Path) -> None:
    """Real ones, as JPEG."""
    folder.mkdir()
    for name in PHOTOS:
        pixels = getattr(skimage.data, name)()
        Image.fromarray(pixels).convert("RGB").save(folder / f"{name}.jpg", quality=90)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_batch_with_the_real_weights(tmp_path: Path):
    """Chosen as a folder, cut out, saved as a zip, found in the history and told in the state."""
    port = free_port()
    web = {"listen": f"127.0.0.1:{port}", "folder": "uploads"}
    url = f"http://127.0.0.1:{port}"
    write_photos(tmp_path / "photos")
    daemon = Daemon(tmp_path, settings={"web": web})
    try:
        assert wait_for(lambda: answers(url), patience_s=60)
        with chromium() as browser:
            page = browser.new_page(locale="en-GB")
            page.goto(f"{url}/#/batch")
            page.set_input_files("#batch-folder", str(tmp_path / "photos"))
            expect(page.locator(".progress-line")).to_contain_text("3 of 3 ready", timeout=120_000)
            with page.expect_download() as download:
                page.get_by_role("button", name="Save everything as a ZIP").click()
            archive = zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes()))
            page.goto(f"{url}/#/history")
            expect(page.locator(".thumb img[src^=blob]")).to_have_count(3)
            page.goto(f"{url}/#/state")
            expect(page.locator(".state-daemon")).to_contain_text("running")
            expect(page.locator(".state-checks details")).to_be_attached(timeout=60_000)
    finally:
        daemon.kill()

    assert sorted(archive.namelist()) == sorted(f"photos/{name}.png" for name in PHOTOS)
    with Image.open(archive.open("photos/astronaut.png")) as result:
        assert result.mode == "RGBA"
        assert result.getchannel("A").getextrema() == (0, 255)
