"""How a note of a crash begins, and what it says of the end of the process that wrote it.

A process has Python's `faulthandler` write into the note, and may write reasons of its own. One
that is ended from outside (kill -9, a power cut, the kernel without memory) writes nothing.
"""

import threading
from contextlib import suppress
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
ABORTED = "Fatal Python error: Aborted"
THREAD = "Current thread "
MOST_BYTES = 200_000


def header() -> bytes:
    """Return the first line: this boot, and the main thread as a trace names it."""
    main = threading.main_thread().ident or 0
    return f"{boot()} {main:#018x}\n".encode()


def boot() -> str:
    """Return what names this boot of the machine; a constant where there is no name."""
    with suppress(OSError):
        return BOOT_ID.read_text(encoding="ascii").strip()
    return "unknown"


def read(path: Path) -> str:
    """Return why the process before has crashed; empty if it noted nothing.

    A note from before a reboot says nothing: it may not be the latest one. SIGABRT in the main
    thread, which touches no pixels, comes from outside: systemd's watchdog ends a process so.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            lines = stream.read(MOST_BYTES).splitlines()
    except OSError:
        return ""
    if not lines or not lines[0].startswith(f"{boot()} "):
        return ""
    main, told = lines[0].split()[-1], [line for line in lines[1:] if line.strip()]
    if not told:
        return ""
    current = next((line for line in told if line.startswith(THREAD)), "")
    is_from_outside = told[0] == ABORTED and current.startswith(f"{THREAD}{main}")
    return "" if is_from_outside else told[0].removeprefix("Fatal Python error: ")
