"""Why a picture has failed, in the language of the page: the daemon speaks English."""

import io
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from playwright.sync_api import Browser

from cvunet.errors import ImageError
from cvunet.pictures import encoding, reading
from cvunet.pictures.reading import PictureInfo
from daemon.disk.files import open_regular
from daemon.errors import Blame, PictureError
from daemon.jobs import Failed, Task
from daemon.lifecycle.naming import NameTaken
from daemon.lifecycle.orders import REJECTED
from daemon.worker.children.picture import ChildsDecoding
from daemon.worker.children.process import DecodeChild
from daemon.worker.decoding import identify
from daemon.worker.lanes import lane_named
from tests.browser.views_kit import window
from tests.lifecycle.test_deaths import Mortal, live, rejected
from tests.pictures import test_raw_files, test_unsupported
from tests.pictures.test_damage import LIMIT, file_of, photo
from tests.samples import RENDERING
from tests.service.service_kit import Kit as ServiceKit
from tests.service.service_kit import Work, fail_with
from tests.web.web_kit import Kit, running

pytestmark = [pytest.mark.web, pytest.mark.chromium]

SAID = """async ([reasons, language]) => {
  const {whyFailed} = await import('/static/views/failures.js');
  const {useLanguage} = await import('/static/words.js');
  useLanguage(language);
  return reasons.map(whyFailed); }"""
HOLE = re.compile(r"[{}]|undefined")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
PNG = file_of(photo(), "PNG")
HEIC = b"\0\0\0\x18ftypheic" + bytes(64)


def refusal(do: Callable[[], object]) -> str:
    """What is told of a picture that cannot be read."""
    with pytest.raises((ImageError, PictureError)) as caught:
        do()
    return str(caught.value)


def unread(data: bytes, *, max_pixels: int = LIMIT) -> str:
    """The same, of a file's bytes."""
    return refusal(lambda: reading.read(io.BytesIO(data), max_pixels=max_pixels))


def files() -> Iterator[str]:
    """Of files that cannot be read."""
    yield unread(b"")
    yield unread(b"Dear reader,\nhello.\n" * 50)
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"):
        data = file_of(photo(), kind)
        yield unread(data[: len(data) // 2])
        yield unread(data[:24])
    with patch.object(reading, "readable_formats", return_value=reading.READABLE):
        yield unread(HEIC)
    yield unread(PNG, max_pixels=100)
    for raw, _ in test_raw_files.FILES.values():
        yield unread(raw)
    for sound, _ in test_unsupported.KINDS.values():
        yield unread(sound)


def places(base: Path) -> Iterator[str]:
    """Of files that are too large, not there, or not ours; and of results without a place."""
    large = base / "large.png"
    large.write_bytes(PNG)
    with large.open("rb") as stream:
        yield refusal(lambda: identify(stream, max_file_bytes=100))
    yield refusal(lambda: open_regular(base / "none.png"))
    with patch("daemon.disk.files.open_if_regular", side_effect=PermissionError(13, "denied")):
        yield refusal(lambda: open_regular(large))
    yield str(NameTaken(base / "cat.png"))
    wide = np.zeros((1, 20_000, 4), np.uint8)
    yield refusal(lambda: encoding.encode(wide, format="webp"))
    yield refusal(lambda: lane_named({}, "good"))
    yield REJECTED


def children(base: Path) -> Iterator[str]:
    """Of pictures whose decode child gives no answer, or needs too much memory."""
    picture = base / "picture.png"
    picture.write_bytes(PNG)
    task = Task("1", picture, base / "picture.part", RENDERING, LIMIT)
    child = DecodeChild("")  # only what the daemon makes of its end is looked at
    with picture.open("rb") as stream:
        decoding = ChildsDecoding(
            child, stream, task, max_decode_s=60.0, is_abandoned=lambda: False
        )
        yield str(decoding.late(1.0, 1.0))
        yield str(decoding.ended(-signal.SIGSEGV, 10**9))
        yield str(decoding.too_large(10**9))
        decoding.found = PictureInfo(9, 9, channels=3, bits=8)
        yield str(decoding.too_large(10**9))
    child.wait()
    child.close()


def given_up(base: Path) -> Iterator[str]:
    """Of pictures that were tried too often: the daemon has crashed, was ended, or has failed."""
    works: dict[str, tuple[Work, str]] = {
        "crashed": (Mortal(deaths_left=10**6), "SIGSEGV"),
        "ended": (Mortal(deaths_left=10**6), ""),
        "failed": (fail_with(Failed(Blame.UNKNOWN, unread(b""))), ""),
    }
    for name, (work, crash) in works.items():
        (base / name).mkdir()
        kit = ServiceKit(base / name, work=work)
        kit.drop("cat.jpg")
        while live(kit, 1000.0, crash=crash):
            pass
        [reason] = rejected(kit)
        yield reason


def test_frequent_reasons_have_a_chinese_form(browser: Browser, tmp_path: Path):
    """As the daemon says them; what is not known stays as it is, and so does all in English."""
    for name in ("files", "lives"):
        (tmp_path / name).mkdir()
    reasons = [*files(), *places(tmp_path / "files"), *children(tmp_path / "files")]
    reasons += given_up(tmp_path / "lives")
    reasons += ["", "worn out {1}"]
    with running(Kit(tmp_path, is_daemon_up=False)) as kit, window(browser, kit) as shown:
        shown.open("state")
        english, chinese = (shown.page.evaluate(SAID, [reasons, one]) for one in ("en", "zh"))

    assert english == reasons
    assert chinese[-2:] == reasons[-2:]
    for reason, text in zip(reasons[:-2], chinese, strict=False):
        assert CHINESE.search(text) and not HOLE.search(text), reason
