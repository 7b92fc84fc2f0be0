"""Why a picture has failed, in the language of the page: the daemon speaks English."""

import io
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock, patch

import numpy as np
import pytest
from playwright.sync_api import Browser

from cvunet.errors import ImageError
from cvunet.pictures import encoding, reading
from daemon.disk.files import open_regular
from daemon.errors import PictureError
from daemon.lifecycle.failures import Failures
from daemon.lifecycle.job_recovery import JobRecovery
from daemon.lifecycle.naming import NameTaken
from daemon.lifecycle.orders import REJECTED
from daemon.worker.children.picture import ChildsDecoding
from daemon.worker.decoding import identify
from daemon.worker.lanes import lane_named
from tests.browser.views_kit import window
from tests.pictures import test_raw_files, test_unsupported
from tests.pictures.test_damage import LIMIT, file_of, photo
from tests.web.web_kit import Kit, running

pytestmark = [pytest.mark.web, pytest.mark.chromium]

SAID = """async ([reasons, language]) => {
  const {whyFailed} = await import('/static/views/failures.js');
  const {useLanguage} = await import('/static/words.js');
  useLanguage(language);
  return reasons.map(whyFailed); }"""
HOLE = re.compile(r"[{}]|undefined")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
DEATHS = 9
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
    yield refusal(lambda: lane_named({"fast": Mock()}, "good"))
    yield REJECTED


def work() -> Iterator[str]:
    """Of what went wrong in the work itself."""
    child = Mock(max_decode_s=60.0, described="9x9 pixels")
    child.too_large = lambda memory_bytes: ChildsDecoding.too_large(child, memory_bytes)
    yield str(ChildsDecoding.late(child, 1.0, 1.0))
    yield str(child.too_large(10**9))
    yield str(ChildsDecoding.ended(child, -signal.SIGSEGV, 10**9))
    job = Mock(attempts=DEATHS, deaths=DEATHS, clip=None)
    recovery = Mock(crash="SIGSEGV")
    JobRecovery.retry_or_reject(recovery, job, now=0.0)
    JobRecovery.excuse_or_reject(recovery, job, now=0.0)
    failures = Mock()
    with patch("daemon.lifecycle.failures.has_progressed", return_value=False):
        failed = Mock(reason=unread(b""))
        Failures.retry_or_reject(failures, job, failed, now=0.0)
    told = [*recovery.rejection.reject.call_args_list, *failures.rejection.reject.call_args_list]
    assert len(told) == 3
    for call in told:
        yield call.args[1]


def test_frequent_reasons_have_a_chinese_form(browser: Browser, tmp_path: Path):
    """As the daemon says them; what is not known stays as it is, and so does all in English."""
    (tmp_path / "files").mkdir()
    reasons = [*files(), *places(tmp_path / "files"), *work()]
    reasons += ["", "worn out {1}"]
    with running(Kit(tmp_path, is_daemon_up=False)) as kit, window(browser, kit) as shown:
        shown.open("state")
        english, chinese = (shown.page.evaluate(SAID, [reasons, one]) for one in ("en", "zh"))

    assert english == reasons
    assert chinese[-2:] == reasons[-2:]
    for reason, text in zip(reasons[:-2], chinese, strict=False):
        assert CHINESE.search(text) and not HOLE.search(text), reason
