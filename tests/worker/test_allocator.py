"""glibc's allocator, asked in a process of its own: its settings stay as long as that lives."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.worker import allocator

#: Page faults of filling and dropping blocks as large as a photo's, over and over.
FAULTS = """
import resource, sys
import numpy as np
from daemon.worker import allocator
if sys.argv[1] == "kept":
    assert allocator.configure_allocator()
def picture():
    for size in (5, 7, 20, 7, 20, 7):
        yield np.ones(size * 1_000_000, np.uint8)
for _ in range(3):
    list(picture())
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    list(picture())
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


#: Blocks of an unhappy order: most of them go, what stays keeps the heap from shrinking.
HOLES = """
import sys
import numpy as np
from daemon.worker import allocator
def resident():
    return int(allocator.STATM.read_text().split()[1]) * allocator.PAGE_BYTES // 10**6
assert allocator.configure_allocator()
free_memory, free_bytes = allocator.FreeMemory(), int(sys.argv[1]) * 10**6
least = resident()
for _ in range(3):
    blocks = [np.ones(4_000_000, np.uint8) for _ in range(40)]
    blocks = blocks[::8]
    before, is_given = resident() - least, free_memory.trim_above(free_bytes)
    print(before, resident() - least, is_given, free_memory.trim_above(free_bytes))
"""
IS_KNOWN = hasattr(ctypes.CDLL(None), "mallinfo2")


def faults(how: str) -> int:
    """What the C library takes from the system, page by page."""
    command = [sys.executable, "-c", FAULTS, how]
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def holes(free_mb: int) -> list[list[str]]:
    """MB that are held before and after a look, whether it and the next one gave any back."""
    command = [sys.executable, "-c", HOLES, str(free_mb)]
    told = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return [line.split() for line in told.splitlines()]


def test_freed_blocks_are_used_again():
    """Hardly a page is new; as it comes, glibc takes thousands."""
    if not hasattr(__import__("ctypes").CDLL(None), "gnu_get_libc_version"):
        pytest.skip("the C library is not glibc")
    usual, kept = faults("usual"), faults("kept")

    assert kept < usual / 10


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch):
    """musl has no mallopt."""
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())

    assert not allocator.configure_allocator()


@pytest.mark.skipif(not IS_KNOWN, reason="this C library cannot tell what is in use")
def test_holes_are_given_back():
    """More lies free than may: what is held is what is in use, 20 MB, each time."""
    for before, after, is_given, is_given_again in holes(64):
        assert int(before) > 100
        assert int(after) < 40
        assert (is_given, is_given_again) == ("True", "False")


@pytest.mark.skipif(not IS_KNOWN, reason="this C library cannot tell what is in use")
def test_free_blocks_below_the_bound_are_kept():
    """They are what makes the next picture fast."""
    for before, after, is_given, _ in holes(400):
        assert int(after) >= int(before) > 100
        assert is_given == "False"


def test_c_libraries_that_cannot_tell_are_left_alone(monkeypatch: pytest.MonkeyPatch):
    """musl, and glibc before 2.33, have no mallinfo2."""
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())

    assert not allocator.FreeMemory().trim_above(0)


@pytest.mark.skipif(not IS_KNOWN, reason="this C library cannot tell what is in use")
def test_a_process_out_of_files_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """What lies free cannot be told for once: the picture must come to its end nevertheless."""
    free_memory = allocator.FreeMemory()
    monkeypatch.setattr(allocator, "STATM", tmp_path / "statm")

    assert not free_memory.trim_above(0)
    assert "cannot be measured" in caplog.text


@pytest.mark.parametrize(("cores", "expected"), [(1, 1), (2, 1), (4, 1), (8, 2), (16, 4), (64, 4)])
def test_few_cores_share_one_heap(cores: int, expected: int):
    """What one thread frees the others can use; with many cores they would wait for each other."""
    assert allocator.arenas_for(cores) == expected
