"""A result as a page shows it: Chromium plays it, and what is transparent is transparent."""

import base64
from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pytest
from playwright.sync_api import Browser

from cvunet.video.joining import join
from cvunet.video.writing import SegmentWriter
from tests.browser.page_kit import chromium
from tests.video.clips_kit import Clip, clip, result

pytestmark = [pytest.mark.chromium, pytest.mark.video, pytest.mark.timeout(120)]

SIZE = (96, 64)
LEVELS = (255, 127, 0)
SCRIPT = """
async ([kind, data]) => {
    const video = document.createElement('video');
    video.muted = true;
    video.src = `data:${kind};base64,${data}`;
    await new Promise((done, failed) => {
        video.onloadeddata = done;
        video.onerror = () => failed(new Error(video.error.message));
    });
    const seek = time => new Promise(done => { video.onseeked = done; video.currentTime = time; });
    await seek(1.5);
    const canvas = document.createElement('canvas');
    canvas.width = video.videoWidth; canvas.height = video.videoHeight;
    const context = canvas.getContext('2d');
    const at = x => Array.from(context.getImageData(x, 32, 1, 1).data);
    // On a busy machine the place is reached some time before its frame can be drawn.
    const last = performance.now() + 20000;
    let pixels;
    do {
        await new Promise(done => setTimeout(done, 30));
        context.clearRect(0, 0, canvas.width, canvas.height);
        context.drawImage(video, 0, 0);
        pixels = [at(16), at(48), at(80)];
    } while (pixels.every(pixel => pixel[3] === 0) && performance.now() < last);
    const duration = video.duration;
    await video.play();
    await new Promise(done => { video.onended = done; });
    return { pixels, duration, size: [canvas.width, canvas.height] };
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The real browser."""
    with chromium() as browser:
        yield browser


def webm() -> bytes:
    """Two seconds in three segments, with sound: opaque, half and wholly transparent stripes."""
    reader = clip(Clip(size=SIZE, times=tuple(range(0, 2000, 40)), sound="aac").file())
    alpha = np.repeat(np.array(LEVELS, np.uint8), SIZE[0] // 3)[None].repeat(SIZE[1], 0)
    segments = [BytesIO() for _ in range(3)]
    writers = [SegmentWriter(one, "webm", reader.facts) for one in segments]
    for frame in reader.frames():
        red = np.zeros_like(frame.rgb) + np.array((220, 40, 40), np.uint8)
        writers[min(2, frame.index // 20)].add(frame, np.dstack([red, alpha]))
    for writer in writers:
        writer.close()
    out = BytesIO()
    join(segments, out, format="webm", facts=reader.facts, sound_from=reader)
    return out.getvalue()


def test_chromium_plays_a_webm_with_its_alpha(browser: Browser):
    """It seeks into the third segment, plays to the end, and a canvas reads the three levels."""
    page = browser.new_page()

    found = page.evaluate(SCRIPT, ["video/webm", base64.b64encode(webm()).decode()])

    opaque, half, nothing = found["pixels"]
    assert found["size"] == list(SIZE)
    assert found["duration"] == pytest.approx(2, abs=0.05)
    assert opaque[3] == 255
    assert half[3] == pytest.approx(127, abs=6)
    assert nothing[3] == 0
    assert opaque[:3] == pytest.approx([220, 40, 40], abs=8)


def test_chromium_plays_a_joined_mp4(browser: Browser):
    """Three segments of H.264, and AAC that was copied."""
    file = Clip(size=SIZE, times=tuple(range(0, 2000, 40)), sound="aac").file()
    made = base64.b64encode(result(file, "mp4", length=20)).decode()

    found = browser.new_page().evaluate(SCRIPT, ["video/mp4", made])

    assert found["duration"] == pytest.approx(2, abs=0.05)
    assert found["pixels"][0] == pytest.approx([37 * 12 % 256, 0, 0, 255], abs=40)
