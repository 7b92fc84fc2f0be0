"""The C library's allocator, set for blocks of some megabytes that come and go all day."""

import ctypes
import logging

logger = logging.getLogger(__name__)

# Numbers of mallopt(3), from glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
#: Blocks up to this size are kept when they are freed: the most that glibc takes.
KEPT_BYTES = 32 * 1024 * 1024
#: So much may lie free at the end of the heap.
SPARE_BYTES = 128 * 1024 * 1024
#: Heaps. More threads than heaps share them; each heap keeps blocks of its own.
HEAPS = 4


def keep_blocks() -> bool:
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
        (M_TRIM_THRESHOLD, SPARE_BYTES),
        (M_ARENA_MAX, HEAPS),
    )
    return all(library.mallopt(setting, value) == 1 for setting, value in settings)
