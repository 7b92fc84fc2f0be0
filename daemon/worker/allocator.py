"""The C library's allocator: it keeps the blocks that pictures come and go in, up to a bound."""

import ctypes
import logging
import os
import threading
from pathlib import Path

logger = logging.getLogger(__name__)

# Numbers of mallopt(3), from glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
#: Blocks up to this size are kept when they are freed: the most that glibc takes.
KEPT_BYTES = 32 * 1024 * 1024
#: So much may lie free at the end of the heap.
SPARE_BYTES = 128 * 1024 * 1024
#: Heaps. More threads than heaps share them; each heap keeps blocks of its own.
HEAPS = 4
#: Fields of `struct mallinfo2`, from glibc's malloc.h.
MALLINFO2 = (
    "arena",
    "ordblks",
    "smblks",
    "hblks",
    "hblkhd",
    "usmblks",
    "fsmblks",
    "uordblks",
    "fordblks",
    "keepcost",
)
STATM = Path("/proc/self/statm")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def keep_blocks(*, heaps: int = HEAPS, spare_bytes: int = SPARE_BYTES) -> bool:
    """Keep what pictures leave free for the next ones; False where the C library is not glibc.

    As it comes, glibc gives every block of a picture back to the system and takes it again, page by
    page and zeroed: a third of the time that a picture of two megapixels takes to be finished.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        logger.debug("the C library is not glibc: its allocator stays as it is")
        return False
    settings = (
        (M_MMAP_THRESHOLD, KEPT_BYTES),
        (M_TRIM_THRESHOLD, spare_bytes),
        (M_ARENA_MAX, heaps),
    )
    return all(library.mallopt(setting, value) == 1 for setting, value in settings)


def give_back() -> None:
    """All pages that lie free, to the system."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


class Blocks(ctypes.Structure):
    """`struct mallinfo2`: of all heaps together, most of it in bytes."""

    hblkhd: int
    """In blocks that were taken from the system one by one; all of them are in use."""
    uordblks: int
    """In use in heaps."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in MALLINFO2)


class FreeMemory:
    """What lies free and still takes room, given back once it is more than it may be.

    A heap shrinks by itself only at its end. Blocks that are free in its middle stay, and with
    every unhappy order of sizes there are more of them: what is held creeps up for hours.
    """

    def __init__(self) -> None:
        """What is held now, freshly given back, counts as nothing."""
        library = ctypes.CDLL(None)
        self.is_known = hasattr(library, "mallinfo2") and STATM.exists()  # glibc 2.33
        self.lock = threading.Lock()
        self.floor = 0
        if self.is_known:
            library.mallinfo2.restype = Blocks
            self.library = library
            self.give_back()

    def bound(self, free_bytes: int) -> bool:
        """Give all of it back if more than ``free_bytes`` lies free; True if that was so.

        Never where the C library cannot tell. Any thread; ten milliseconds for half a gigabyte.
        """
        if not self.is_known:
            return False
        try:
            with self.lock:
                if self.held() - self.floor <= free_bytes:
                    return False
                self.give_back()
                return True
        except OSError as error:  # out of files, say; the next picture asks again
            logger.warning("what lies free in memory cannot be told: %s", error)
            return False

    def give_back(self) -> None:
        """All pages that lie free. What is held even then is no block of a picture: the least."""
        self.library.malloc_trim(0)
        self.floor = self.held()

    def held(self) -> int:
        """Bytes in RAM that are ours alone and not in use by C; Python's own heap counts, too.

        The library's own count of what is free would not do: it includes what was given back.
        """
        blocks = self.library.mallinfo2()
        _, resident, shared, *_ = map(int, STATM.read_text(encoding="ascii").split())
        in_use: int = blocks.uordblks + blocks.hblkhd
        return (resident - shared) * PAGE_BYTES - in_use
