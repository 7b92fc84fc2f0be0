"""glibc's memory allocator (malloc): keeps the blocks of pictures for the next ones."""

import ctypes
import logging
import os
import threading
from pathlib import Path

logger = logging.getLogger(__name__)

# Numbers of mallopt(3), from glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
#: Blocks up to this size are kept when they are freed: the largest value that glibc accepts.
MMAP_THRESHOLD_BYTES = 32 * 1024 * 1024
#: So much may be free at the end of the heap before glibc gives it back.
TRIM_THRESHOLD_BYTES = 128 * 1024 * 1024
#: The number of heaps (arenas). More threads than heaps share them; each heap keeps its own blocks.
MAX_ARENAS = 4
#: So many cores share a heap. On two cores a batch takes 10 to 35 MB less with one than with four.
CORES_OF_ARENA = 4
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


def arenas_for(cores: int) -> int:
    """Return how many heaps the threads of so many cores need."""
    return min(max(cores // CORES_OF_ARENA, 1), MAX_ARENAS)


def configure_allocator(
    *, arenas: int = MAX_ARENAS, trim_threshold_bytes: int = TRIM_THRESHOLD_BYTES
) -> bool:
    """Keep the freed blocks of pictures for the next ones; False if this is not glibc.

    By default glibc gives every block of a picture back to the system and takes it again, page by
    page and zeroed: that is a third of the time that finishing a picture of two megapixels takes.
    """
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        logger.debug("the C library is not glibc: its allocator stays as it is")
        return False
    settings = (
        (M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES),
        (M_TRIM_THRESHOLD, trim_threshold_bytes),
        (M_ARENA_MAX, arenas),
    )
    return all(library.mallopt(setting, value) == 1 for setting, value in settings)


def trim() -> None:
    """Give all free pages back to the system."""
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


class HeapUsage(ctypes.Structure):
    """`struct mallinfo2`: of all heaps together, most of it in bytes."""

    hblkhd: int
    """Bytes in blocks that were taken from the system one by one; all of them are in use."""
    uordblks: int
    """Bytes in use in heaps."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in MALLINFO2)


class FreeMemory:
    """Free memory that the process still holds; it is given back when it exceeds a bound.

    A heap shrinks by itself only at its end. Free blocks in its middle stay, and each unlucky order
    of sizes adds some: the memory held grows slowly for hours.
    """

    def __init__(self) -> None:
        """Give free memory back; what is held after that is the baseline."""
        library = ctypes.CDLL(None)
        self.is_supported = hasattr(library, "mallinfo2") and STATM.exists()  # glibc 2.33
        self.lock = threading.Lock()
        self.baseline_bytes = 0
        if self.is_supported:
            library.mallinfo2.restype = HeapUsage
            self.library = library
            self.trim()

    def trim_above(self, free_bytes: int) -> bool:
        """Give all free memory back if it exceeds ``free_bytes``; True if it did.

        Never if the C library cannot tell. May be called in any thread; takes ten milliseconds for
        half a gigabyte.
        """
        if not self.is_supported:
            return False
        try:
            with self.lock:
                if self.held_bytes() - self.baseline_bytes <= free_bytes:
                    return False
                self.trim()
                return True
        except OSError as error:  # for instance too many open files; the next picture tries again
            logger.warning("free memory cannot be measured: %s", error)
            return False

    def trim(self) -> None:
        """Give back all free pages.

        What is held after that is no block of a picture: the baseline.
        """
        self.library.malloc_trim(0)
        self.baseline_bytes = self.held_bytes()

    def held_bytes(self) -> int:
        """Return the bytes in RAM that are private and not in use by C; includes Python's own heap.

        The library's own count of free bytes is no use: it includes what was given back.
        """
        blocks = self.library.mallinfo2()
        _, resident, shared, *_ = map(int, STATM.read_text(encoding="ascii").split())
        in_use: int = blocks.uordblks + blocks.hblkhd
        return (resident - shared) * PAGE_BYTES - in_use
