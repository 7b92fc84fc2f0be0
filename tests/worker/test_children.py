"""Decode children: the same pixels as without them, and nothing that a file does to one spreads."""

import dataclasses
import errno
import gc
import io
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cvunet.pictures import reading
from daemon.errors import (
    Blame,
    HeldUpError,
    InstallError,
    MachineError,
    PictureError,
    blame,
)
from daemon.jobs import Cancelled, Task
from daemon.worker import decoding
from daemon.worker.children import confinement, layout, picture, pool, process
from daemon.worker.children.pool import ChildPool
from daemon.worker.decoding import Abandoned, DecoderHere
from daemon.worker.gauges import Limits
from daemon.worker.lanes import ServedModel
from daemon.worker.worker import Worker
from tests.pictures import pictures_kit as kit
from tests.samples import RENDERING
from tests.worker.test_worker_batch import Choosy

WAIT_S = 30.0
LIES: list[dict[str, object]] = [{"shape": [9, 9]}, {"resolution": [1e300, 300, "inch"]}]
LIES += [{"resolution": [300, 300, "mile"]}, {"resolution": "300"}]
NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8))
CLEAR = Image.fromarray(np.random.default_rng(2).integers(0, 256, (48, 64, 4), dtype=np.uint8))
DEEP = np.random.default_rng(3).integers(0, 2**16, (48, 64, 3), dtype=np.uint16)
EXIF = Image.Exif()
EXIF[274], EXIF[315] = 6, "Ann Other"

FILES = {
    "JPEG": kit.file_of(NOISE, "JPEG", exif=EXIF),
    "CMYK JPEG": kit.file_of(NOISE.convert("CMYK"), "JPEG"),
    "PNG": kit.file_of(CLEAR, "PNG"),
    "palette": kit.file_of(NOISE.quantize(16), "PNG", transparency=3),
    "deep PNG": kit.deep_png(DEEP),
    "deep grey": kit.deep_png(DEEP[..., :1]),
    "TIFF": kit.file_of(NOISE, "TIFF", compression="tiff_lzw"),
    "deep TIFF": kit.deep_tiff(DEEP),
    "WebP": kit.file_of(CLEAR, "WEBP"),
    "AVIF": kit.file_of(CLEAR, "AVIF"),
    "GIF": kit.file_of(NOISE.quantize(64), "GIF"),
    "BMP": kit.file_of(NOISE, "BMP"),
    "JPEG 2000": kit.file_of(NOISE, "JPEG2000"),
    "PPM": kit.file_of(NOISE, "PPM"),
    "resolution": kit.file_of(NOISE, "PNG", dpi=(300, 150)),
    "profile": kit.file_of(NOISE, "PNG", icc_profile=kit.rgb_profile(kit.P3, kit.SRGB_CURVE)),
    "half a JPEG": kit.file_of(NOISE, "JPEG")[:900],
    "text": b"Dear reader",
    "nothing": b"",
}


@pytest.fixture(scope="module")
def children() -> Iterator[ChildPool]:
    """One child for all tests that leave it well."""
    children = ChildPool(1, max_decode_s=WAIT_S)
    yield children
    children.close()


def task_of(source: Path) -> Task:
    """Everything is kept, so that everything is compared."""
    rendering = process_rendering(metadata="keep")
    return Task("1", source, source.with_suffix(".part"), rendering, 10**6)


def process_rendering(**changes: Any) -> Any:  # Any: fields of Rendering
    """How a result is wanted."""
    return dataclasses.replace(RENDERING, **changes)


def decoded(decoder: decoding.Decoder, source: Path) -> tuple[reading.Picture, str]:
    """A file, as the worker decodes it."""
    with source.open("rb") as stream, decoder.opened(stream, task_of(source)) as opened:
        opened.info()
        return opened.picture()


def told(decoder: decoding.Decoder, source: Path) -> list[object]:
    """All that there is to a decoded file, or why there is nothing."""
    try:
        found, sha256 = decoded(decoder, source)
    except PictureError as error:
        return [type(error), str(error)]
    alpha = None if found.alpha is None else (found.alpha.dtype, found.alpha.tolist())
    pixels = (found.rgb.dtype, found.rgb.tolist())
    rest = (found.warnings, found.format, found.profile, found.metadata, found.resolution, sha256)
    return [pixels, alpha, *rest]


@pytest.mark.parametrize("name", FILES)
def test_pixels_are_the_same_as_without_children(name: str, children: ChildPool, tmp_path: Path):
    """To the bit, with warnings, profile, metadata, hash and reasons of refusals."""
    source = tmp_path / "cat"
    source.write_bytes(FILES[name])

    assert told(children, source) == told(DecoderHere(), source)


def test_child_is_small_and_without_torch(children: ChildPool, tmp_path: Path):
    """Private memory after a photo of two megapixels; and nothing of ours is left open."""
    source = tmp_path / "cat.jpg"
    source.write_bytes(kit.file_of(NOISE.resize((1600, 1200)), "JPEG"))
    task = Task("1", source, source, RENDERING, 10**8)
    for _ in range(3):
        with source.open("rb") as stream, children.opened(stream, task) as opened:
            opened.info()
            opened.picture()
    [place] = children.places
    assert place.child is not None
    rows = [line.split() for line in place.child.about("smaps_rollup").splitlines()]
    private_kb = sum(int(row[1]) for row in rows if row[0].startswith("Private_"))

    assert private_kb < 60_000
    assert "torch" not in place.child.about("maps")


def test_descriptors_do_not_leak(children: ChildPool, tmp_path: Path):
    """Neither here nor in the child, over 500 pictures of which a third is refused."""
    sources = []
    for name in ("JPEG", "deep PNG", "text"):
        sources.append(tmp_path / name)
        sources[-1].write_bytes(FILES[name])
    for source in sources:
        told(children, source)
    [place] = children.places
    assert place.child is not None
    folders = (Path("/proc/self/fd"), Path(f"/proc/{place.child.process.pid}/fd"))
    gc.collect()
    before = [len(list(folder.iterdir())) for folder in folders]
    for number in range(500):
        told(children, sources[number % 3])
    gc.collect()

    assert [len(list(folder.iterdir())) for folder in folders] == before


@pytest.mark.parametrize("name", ["JPEG", "text"])
def test_original_is_let_go_with_its_answer(name: str, children: ChildPool, tmp_path: Path):
    """An idle child has no file of a disk, which could not be unmounted; also after a refusal."""
    source = tmp_path / name
    source.write_bytes(FILES[name])
    told(children, source)
    [place] = children.places
    assert place.child is not None
    held = [one.readlink() for one in Path(f"/proc/{place.child.process.pid}/fd").iterdir()]

    assert [one for one in held if one.is_relative_to(tmp_path)] == []


# --- what a file does to its child ----------------------------------------------------------------

#: A child that does as the file says, instead of decoding it.
OBEDIENT = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from cvunet.pictures import reading
from daemon.worker.children import child
real = reading.read
def read(source, **options):
    source.seek(-200, 2)
    order = source.read().rpartition(b"#do ")[2].decode()
    exec(order) if order else None
    return real(source, **options)
reading.read = read
child.main(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
"""


@pytest.fixture
def obedient(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChildPool]:
    """One child that a file can order about."""
    monkeypatch.setattr(process, "PROGRAM", OBEDIENT)
    monkeypatch.setattr(pool, "LEAST_LIFE_S", 0.0)
    children = ChildPool(1, max_decode_s=WAIT_S)
    yield children
    children.close()


def ordering(folder: Path, order: str) -> Path:
    """A picture with an order behind its end."""
    source = folder / "cat.png"
    source.write_bytes(FILES["PNG"] + bytes(200) + b"#do " + order.encode())
    return source


def well(children: ChildPool, folder: Path) -> bool:
    """The next picture is decoded."""
    source = folder / "next.png"
    source.write_bytes(FILES["PNG"] + bytes(200) + b"#do ")
    return decoded(children, source)[0].format == "PNG"


def test_bomb_of_memory_ends_its_own_child(obedient: ChildPool, tmp_path: Path):
    """The picture is refused with the reason; the next one does not notice."""
    source = ordering(tmp_path, "x = bytearray(3 << 30)")
    with pytest.raises(PictureError, match=r"needs more than \d+ MB, far more than its 64x48"):
        decoded(obedient, source)

    assert well(obedient, tmp_path)


def test_memory_that_a_decoder_took_in_small_pieces_is_told_as_well(
    obedient: ChildPool, tmp_path: Path
):
    """Libraries say something else of it than Python."""
    order = "x = []\ntry:\n while 1: x.append(bytearray(1 << 20))\nexcept MemoryError: x = 1 / 0"
    source = ordering(tmp_path, order)
    with pytest.raises(PictureError, match=r"needs more than \d+ MB"):
        decoded(obedient, source)

    assert well(obedient, tmp_path)


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ("import os, signal; os.kill = None; import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("import os; os.abort()", "SIGABRT"),
    ],
)
def test_crash_ends_its_own_child(order: str, reason: str, obedient: ChildPool, tmp_path: Path):
    """The reason names the signal."""
    with pytest.raises(PictureError, match=f"its decoder crashed .{reason}"):
        decoded(obedient, ordering(tmp_path, order))

    assert well(obedient, tmp_path)


def test_place_whose_child_cannot_be_started_is_taken_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One picture fails by it, not each that comes while a sound child waits for work."""
    monkeypatch.setattr(pool, "LEAST_LIFE_S", 0.0)
    children = ChildPool(2, max_decode_s=WAIT_S)
    try:
        children.check()
        first = children.idle.queue[-1]
        assert first.child is not None
        children.drop(first, first.child)

        def refuse() -> None:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

        source = tmp_path / "cat.png"
        source.write_bytes(FILES["PNG"])
        with monkeypatch.context() as patch:
            patch.setattr(pool, "DecodeChild", refuse)
            with pytest.raises(MachineError, match="no decode child can be started"):
                decoded(children, source)

            assert [decoded(children, source)[0].format for _ in range(3)] == ["PNG"] * 3
    finally:
        children.close()


def test_hang_is_ended(obedient: ChildPool, tmp_path: Path):
    """A decoder that runs in circles, after the time that a picture may take."""
    assert well(obedient, tmp_path)
    obedient.max_decode_s = 1.0
    with pytest.raises(PictureError, match=r"longer than 1 s \(worker.max_decode_s\)"):
        decoded(obedient, ordering(tmp_path, "while 1: pass"))
    obedient.max_decode_s = WAIT_S

    assert well(obedient, tmp_path)


def test_stopped_child_is_waited_for(obedient: ChildPool, tmp_path: Path):
    """SIGSTOP, a debugger, a frozen container: no time goes by for the picture."""
    assert well(obedient, tmp_path)
    child = obedient.places[0].child
    assert child is not None
    obedient.max_decode_s = 1.0
    child.process.send_signal(signal.SIGSTOP)
    timer = threading.Timer(3.0, child.process.send_signal, [signal.SIGCONT])
    timer.start()
    picture, _ = decoded(obedient, ordering(tmp_path, ""))
    timer.join()

    assert picture.format == "PNG"
    assert obedient.places[0].child is child


def test_disk_that_does_not_answer_is_not_the_pictures_fault(obedient: ChildPool, tmp_path: Path):
    """The child waits and uses no processor: the folder is probed, and it is tried again."""
    assert well(obedient, tmp_path)
    obedient.max_decode_s = 1.0
    with pytest.raises(HeldUpError, match="made no progress") as caught:
        decoded(obedient, ordering(tmp_path, "import time; time.sleep(60)"))

    assert blame(caught.value) is Blame.OUTSIDE


def test_decoder_that_mostly_waits_is_not_the_pictures_fault(obedient: ChildPool, tmp_path: Path):
    """A tenth of its time on a processor: a machine that swaps, or a slow share."""
    assert well(obedient, tmp_path)
    obedient.max_decode_s = 2.0
    order = "import time\nwhile 1:\n e = time.process_time() + 0.02\n time.sleep(0.2)\n"
    order += " while time.process_time() < e: pass"
    with pytest.raises(HeldUpError, match="made no progress"):
        decoded(obedient, ordering(tmp_path, order))


def test_somebody_elses_kill_is_not_the_pictures_fault(obedient: ChildPool, tmp_path: Path):
    """The kernel may have run out of memory: the picture is tried again."""
    assert well(obedient, tmp_path)
    child = obedient.places[0].child
    assert child is not None

    def kill() -> None:
        select.select([child.output], [], [], WAIT_S)  # an idle child would only be replaced
        child.process.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(HeldUpError, match="SIGKILL"):
        decoded(obedient, ordering(tmp_path, "import time; print(1, flush=True); time.sleep(60)"))
    killer.join()

    assert well(obedient, tmp_path)


def test_draining_does_not_wait_for_a_hang(
    obedient: ChildPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """SIGTERM: what is being decoded has a few seconds, then it is for the next start."""
    monkeypatch.setattr(pool, "DRAIN_S", 0.5)
    assert well(obedient, tmp_path)
    timer = threading.Timer(0.5, obedient.drain)
    timer.start()
    with pytest.raises(Abandoned):  # and not: it took longer than it may
        decoded(obedient, ordering(tmp_path, "while 1: pass"))
    timer.join()


def test_stopped_worker_gives_the_picture_back(
    obedient: ChildPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its attempt is refunded."""
    monkeypatch.setattr(pool, "DRAIN_S", 0.2)
    assert well(obedient, tmp_path)
    limits = Limits(max_batch=1, max_wait_s=0.0, decoders=1, finishers=1, memory_bytes=10**8)
    predictor: Any = Choosy()  # Any: only what the worker asks of a predictor
    worker = Worker({"": ServedModel([predictor])}, limits, decoder=obedient)
    future = worker.submit(task_of(ordering(tmp_path, "while 1: pass")))
    time.sleep(0.5)  # it has begun; if not, it is cancelled all the same
    stalled = list(worker.stalled(time.monotonic() + 1e6, patience_s=1.0))
    worker.drain()
    outcome = future.result(WAIT_S)
    worker.close()

    assert outcome == Cancelled()
    assert stalled == []


FORBIDDEN = {
    "the network": "import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM)",
    "a socket of this machine": "import socket; socket.socketpair()",
    "a new process": "import os; os.fork()",
    "another program": "import os; os.execv('/bin/true', ['true'])",
    "a file to write": "open('/tmp/cvunetd-test-of-children', 'w')",
    "a file to append to": "open('/tmp/cvunetd-test-of-children', 'a')",
    "a file to delete": "import os; os.unlink('/tmp/cvunetd-test-of-children')",
    "its parent": "import os; os.kill(os.getppid(), 0)",
    "its own limits": "import resource as r; r.setrlimit(r.RLIMIT_CPU, (9, 9))",
}


@pytest.mark.skipif(os.uname().machine not in ("x86_64", "aarch64"), reason="no filter for it")
@pytest.mark.parametrize("name", FORBIDDEN)
def test_child_reaches_nothing_outside(name: str, obedient: ChildPool, tmp_path: Path):
    """Neither writing nor the network nor other processes, by seccomp."""
    assert well(obedient, tmp_path)
    child = obedient.places[0].child
    assert child is not None
    assert child.confined_by is not None
    if "seccomp" not in child.confined_by:
        pytest.skip("this kernel has no seccomp filters")
    # Errors of the operating system pass to us as such; Python tells of limits in its own way.
    with pytest.raises((PermissionError, RuntimeError), match=r"not (permitted|allowed)|denied"):
        decoded(obedient, ordering(tmp_path, FORBIDDEN[name]))


def test_child_reads_no_other_file(obedient: ChildPool, tmp_path: Path):
    """By Landlock: what it is given is open already."""
    assert well(obedient, tmp_path)
    child = obedient.places[0].child
    assert child is not None
    if "landlock" not in (child.confined_by or []):
        pytest.skip("this kernel has no Landlock")
    with pytest.raises(PermissionError):
        decoded(obedient, ordering(tmp_path, "open('/etc/passwd')"))


def test_what_libraries_write_goes_into_the_log(
    obedient: ChildPool, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """One line with the picture's name, however much was written; and nobody is held up by it."""
    order = "import os\nfor n in range(50_000): print(f'libtiff: tag {n}', flush=True)"
    order = f"import sys\ntry:\n os = 1\n {order.splitlines()[1]}\nexcept BlockingIOError: pass"
    with caplog.at_level("INFO", "daemon.worker.children.picture"):
        decoded(obedient, ordering(tmp_path, order))

    [record] = caplog.records
    assert "the decoder of cat.png says: libtiff: tag 0 | libtiff: tag 1" in record.getMessage()
    assert "lines more)" in record.getMessage()
    assert len(record.getMessage()) < 1000


@pytest.mark.parametrize("lie", LIES)
def test_answer_that_makes_no_sense_is_not_believed(
    obedient: ChildPool, tmp_path: Path, lie: dict[str, object]
):
    """A child that was taken over says anything."""
    order = f"import json; json.dumps = lambda m: json.JSONEncoder().encode(m | {lie})"
    with pytest.raises(RuntimeError, match="makes no sense"):
        decoded(obedient, ordering(tmp_path, order))


# --- starting and ending --------------------------------------------------------------------------


def test_children_end_with_their_parent(tmp_path: Path):
    """Also in the middle of a picture, and however the parent has ended."""
    program = tmp_path / "parent.py"
    program.write_text(
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "import os, signal\n"
        "from daemon.worker.children.process import DecodeChild\n"
        "child = DecodeChild()\n"
        "child.make_ready(lambda: False)\n"
        "print(child.process.pid, flush=True)\n"
        "os.kill(child.process.pid, signal.SIGSTOP)\n"  # it cannot see that its socket is closed
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ran = subprocess.run([sys.executable, str(program)], capture_output=True, check=False)
    pid = int(ran.stdout)
    deadline = time.monotonic() + WAIT_S
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert ran.returncode == -signal.SIGKILL
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    """Neither gone nor waiting to be reaped."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_child_that_cannot_start_is_an_install_error_at_the_start(
    monkeypatch: pytest.MonkeyPatch,
):
    """With what it has said."""
    monkeypatch.setattr(process, "PROGRAM", "raise SystemExit('no module named PIL')")
    children = ChildPool(1, max_decode_s=WAIT_S)

    with pytest.raises(InstallError, match="no module named PIL"):
        children.check()
    children.close()


def test_child_that_cannot_start_later_is_the_machines_trouble(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """The folder stands by; the next start waits, and then it goes on."""
    source = tmp_path / "cat.png"
    source.write_bytes(FILES["PNG"])
    with monkeypatch.context() as broken:
        broken.setattr(process, "PROGRAM", "raise SystemExit('no module named PIL')")
        children = ChildPool(1, max_decode_s=WAIT_S)
        for _ in range(2):
            with pytest.raises(MachineError, match="tried again"):
                decoded(children, source)
    waits_s = children.places[0].not_before - time.monotonic()
    children.places[0].not_before = 0.0
    found, _ = decoded(children, source)
    children.close()

    assert 0 < waits_s <= 1.0
    assert found.format == "PNG"


def test_child_that_cannot_start_for_a_day_is_the_machines_trouble(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """A try a minute: no number becomes too large, and no picture is blamed."""
    source = tmp_path / "cat.png"
    source.write_bytes(FILES["PNG"])
    monkeypatch.setattr(process, "PROGRAM", "raise SystemExit('no module named PIL')")
    children = ChildPool(1, max_decode_s=WAIT_S)
    children.places[0].failures = 2000
    with pytest.raises(MachineError, match="tried again"):
        decoded(children, source)
    waits_s = children.places[0].not_before - time.monotonic()
    children.close()

    assert pool.MOST_WAIT_S - WAIT_S < waits_s <= pool.MOST_WAIT_S


def test_children_are_started_when_they_are_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """One child decodes picture after picture; another starts while it is held up."""
    monkeypatch.setattr(pool, "PATIENCE_S", 0.05)
    source = tmp_path / "cat.png"
    source.write_bytes(FILES["PNG"])
    children = ChildPool(1, max_decode_s=WAIT_S)
    children.extend(3)
    for _ in range(5):
        decoded(children, source)
    before = [place.child is not None for place in children.places]
    with source.open("rb") as stream, children.opened(stream, task_of(source)):
        found, _ = decoded(children, source)
        after = [place.child is not None for place in children.places]
    again = [decoded(children, source)[0].format for _ in range(5)]
    still = [place.child is not None for place in children.places]
    children.close()

    assert (before, after, still) == ([True, False, False], [True, True, False], after)
    assert (found.format, again) == ("PNG", ["PNG"] * 5)


def test_child_lets_go_of_memory_that_will_not_come_again(children: ChildPool, tmp_path: Path):
    """Many pictures at once, and again: what is not kept here is not kept there either."""
    source = tmp_path / "cat.png"
    source.write_bytes(FILES["PNG"])
    for _ in range(2):
        at_once = [decoded(children, source) for _ in range(layout.KEPT + 5)]
        del at_once
        gc.collect()
    decoded(children, source)
    [place] = children.places
    assert place.child is not None

    assert place.child.about("maps").count("memfd:picture") == layout.KEPT


def test_more_pictures_are_in_work_than_a_child_may_open_files(children: ChildPool, tmp_path: Path):
    """One child has decoded all that waits for the network: none of them is written over."""
    for name in ("PNG", "JPEG"):
        (tmp_path / name).write_bytes(FILES[name])
    first = decoded(children, tmp_path / "JPEG")[0].rgb.copy()
    in_work = [decoded(children, tmp_path / "JPEG")[0] for _ in range(2 * confinement.DESCRIPTORS)]
    decoded(children, tmp_path / "PNG")
    during = mappings()

    assert all(np.array_equal(picture.rgb, first) for picture in in_work)
    assert during <= layout.MOST_LENT + 1


def test_idle_child_that_has_died_is_replaced(children: ChildPool, tmp_path: Path):
    """Without any picture's fault."""
    source = tmp_path / "cat.png"
    source.write_bytes(FILES["PNG"])
    decoded(children, source)
    [place] = children.places
    assert place.child is not None
    place.child.process.kill()
    place.child.process.wait()

    assert decoded(children, source)[0].format == "PNG"


def mappings() -> int:
    """Of pictures' memory."""
    return Path("/proc/self/maps").read_text().count("memfd:picture")


def test_pixels_in_use_are_not_written_over(children: ChildPool, tmp_path: Path):
    """Also if only a part of them is used; afterwards the memory is used again."""
    for name in ("PNG", "JPEG"):
        (tmp_path / name).write_bytes(FILES[name])
    first, _ = decoded(children, tmp_path / "PNG")
    expected = first.rgb.copy()
    corner = first.rgb[:8, :8]
    del first
    others = [decoded(children, tmp_path / "JPEG") for _ in range(3)]
    before = mappings()
    is_kept = np.array_equal(corner, expected[:8, :8])
    del others, corner
    gc.collect()
    again = [decoded(children, tmp_path / "JPEG") for _ in range(4)]

    assert is_kept
    assert mappings() == before
    assert len(again) == 4


def test_memory_of_a_large_picture_goes_with_its_pixels(
    children: ChildPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It is not kept."""
    source = tmp_path / "cat.png"
    source.write_bytes(FILES["PNG"])
    before = mappings()
    monkeypatch.setattr(layout, "KEPT_BYTES", 1)
    found, _ = decoded(children, source)
    during = mappings()
    found.rgb[0, 0] = 7  # they may be written to
    del found
    gc.collect()

    assert (during, mappings()) == (before + 1, before)


def test_file_is_read_from_its_beginning(children: ChildPool, tmp_path: Path):
    """Wherever the descriptor stands."""
    source = tmp_path / "cat.png"
    source.write_bytes(FILES["PNG"])
    with source.open("rb") as stream, children.opened(stream, task_of(source)) as opened:
        stream.seek(100)
        opened.info()
        found, _ = opened.picture()

    expected = reading.read(io.BytesIO(FILES["PNG"]), max_pixels=10**6)
    assert np.array_equal(found.rgb, expected.rgb)


def test_spare_memory_grows_with_the_processors(children: ChildPool, tmp_path: Path):
    """Decoders that use all of them have a stack for each."""
    source = tmp_path / "cat.png"
    source.write_bytes(FILES["PNG"])
    with source.open("rb") as stream, children.opened(stream, task_of(source)) as opened:
        assert opened.spare_bytes > picture.SPARE_BYTES
