"""glibc's allocator, asked in a process of its own: its settings stay as long as that lives."""

import subprocess
import sys

import pytest

from daemon import allocator

#: Page faults of filling and dropping blocks as large as a photo's, over and over.
FAULTS = """
import resource, sys
import numpy as np
from daemon import allocator
if sys.argv[1] == "kept":
    assert allocator.keep_blocks()
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


def faults(how: str) -> int:
    """What the C library takes from the system, page by page."""
    command = [sys.executable, "-c", FAULTS, how]
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def test_freed_blocks_are_used_again():
    """Hardly a page is new; as it comes, glibc takes thousands."""
    if not hasattr(__import__("ctypes").CDLL(None), "gnu_get_libc_version"):
        pytest.skip("the C library is not glibc")
    usual, kept = faults("usual"), faults("kept")

    assert kept < usual / 10


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch):
    """musl has no mallopt."""
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())

    assert not allocator.keep_blocks()
