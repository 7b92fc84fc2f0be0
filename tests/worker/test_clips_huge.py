"""Clips of 4 GB of which one frame can be decoded: bounded time and memory, and a reason.

The files are sparse: they take a few kB of the disk.
"""

import struct
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from daemon.errors import Blame
from daemon.jobs import Done, Failed, Outcome
from tests.worker import clips_kit as kit

pytestmark = [pytest.mark.video, pytest.mark.slow, pytest.mark.timeout(400)]
HUGE_BYTES = 4 << 30
#: Of which most is Python, codecs and frames that nobody has asked for.
MOST_MB = 400
#: Reading 4 GB for the checksum takes some seconds of it.
MOST_CPU_S = 40.0
WAIT_S = 350.0


def huge(path: Path, content: bytes) -> Path:
    """A file that begins so, with a hole behind it."""
    with path.open("wb") as made:
        made.write(content)
        made.truncate(HUGE_BYTES)
    return path


def first_frame_of_mp4(folder: Path, *, second_bytes: int | None = None) -> bytes:
    """A head with 30 frames, of which one follows; the second is said to have so many bytes."""
    whole = kit.write_clip(folder / "whole.mp4", frames=30, options={"movflags": "faststart"})
    content = bytearray(whole.read_bytes())
    sizes = content.index(b"stsz") + 16
    [first] = struct.unpack_from(">I", content, sizes)
    if second_bytes is not None:
        struct.pack_into(">I", content, sizes + 4, second_bytes)
    return bytes(content[: content.index(b"mdat") + 4 + first])


def first_frame_of_webm(folder: Path) -> bytes:
    """Its head, and the cluster with its first frame."""
    content = kit.write_webm(folder / "whole.webm", frames=30).read_bytes()
    block = content.index(b"\xa3", content.index(b"\x1f\x43\xb6\x75"))
    second = content.index(b"\xa3", block + 2000)
    return content[:second]


def measured(source: Path) -> tuple[Outcome, float, float]:
    """The outcome, the peak memory of the clip's child in MB, and its seconds of processors."""
    peaks_kb, seconds = [0], [0.0]
    is_over = threading.Event()
    with kit.worker() as worker:

        def look() -> None:
            while not is_over.wait(0.02):
                for run in list(worker.clip_threads.runs.values()):
                    seconds.append(run.child.cpu_s())
                    with suppress(OSError):  # it has just ended
                        lines = run.child.about("status").splitlines()
                        peaks_kb.extend(int(one.split()[1]) for one in lines if "VmHWM" in one)

        looking = threading.Thread(target=look)
        looking.start()
        outcome = worker.submit(kit.make_task(source)).result(WAIT_S)
        is_over.set()
        looking.join()
    assert max(peaks_kb) > 0
    return outcome, max(peaks_kb) / 1000, max(seconds)


@pytest.mark.parametrize("second_bytes", [None, 0x7000_0000, 0xFFFF_FFFF])
def test_mp4_of_one_frame(tmp_path: Path, second_bytes: int | None):
    """That frame comes out with a warning, also if the second is said to have 2 or 4 GB."""
    source = huge(tmp_path / "a.mp4", first_frame_of_mp4(tmp_path, second_bytes=second_bytes))
    outcome, peak_mb, cpu_s = measured(source)

    assert isinstance(outcome, Done), outcome
    assert outcome.clip is not None
    assert outcome.clip.frames == 1
    assert any("damaged" in text for text in outcome.warnings)
    assert source.stat().st_blocks * 512 < 1 << 20
    assert peak_mb < MOST_MB
    assert cpu_s < MOST_CPU_S


def test_webm_of_one_frame(tmp_path: Path):
    """The rest is not searched to its end."""
    source = huge(tmp_path / "a.webm", first_frame_of_webm(tmp_path))
    outcome, peak_mb, cpu_s = measured(source)

    assert isinstance(outcome, Done), outcome
    assert outcome.clip is not None
    assert outcome.clip.frames == 1
    assert any("damaged" in text for text in outcome.warnings)
    assert peak_mb < MOST_MB
    assert cpu_s < MOST_CPU_S


def test_nothing_but_a_head(tmp_path: Path):
    """It is refused, and says why."""
    whole = kit.write_clip(tmp_path / "whole.mp4", frames=30, options={"movflags": "faststart"})
    content = whole.read_bytes()
    source = huge(tmp_path / "a.mp4", content[: content.index(b"mdat") + 4])
    outcome, peak_mb, cpu_s = measured(source)

    assert isinstance(outcome, Failed)
    assert outcome.blame is Blame.FILE
    assert outcome.reason
    assert peak_mb < MOST_MB
    assert cpu_s < MOST_CPU_S
