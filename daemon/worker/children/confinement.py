"""What a decode child gives up before it sees a file: writing, the network, other files.

Runs in the child. What the kernel lacks is left out, and `confine` says what is in force.
"""

import ctypes
import os
import resource
import signal
import struct
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from daemon.worker.children import system_calls

#: Memory of pictures takes most of them: see `layout.MOST_LENT`.
DESCRIPTORS = 64
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 1, 1
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
SECCOMP_CALL = {"x86_64": 317, "aarch64": 277}
#: Numbers of landlock(7), the same on all machines.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
CREATE_RULESET_VERSION, RULE_PATH_BENEATH = 1, 1
READ_FILE, READ_DIR = 1 << 2, 1 << 3
#: Rights to files that each version of Landlock knows: to make, delete, read, write and so on.
RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
#: What libraries look at to count processors, and to find each other.
READ_BY_LIBRARIES = ("/etc/ld.so.cache", "/proc/cpuinfo", "/sys/devices/system/cpu")


def die_with(parent: int) -> None:
    """Be killed when the daemon dies, also in the middle of a decoder."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it has died before we asked
        sys.exit(0)


def limit(*, file_bytes: int = 0) -> None:
    """The limits that stay the same; memory and time are set by the daemon, for each picture.

    ``file_bytes``: how long a file may be that the child writes, by a descriptor that it is given.
    """
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NOFILE, DESCRIPTORS),
    ):
        with suppress(ValueError, OSError):  # a lower hard limit is as good
            resource.setrlimit(kind, (most, most))


def confine(root: Path, *, is_writing: bool = False) -> list[str]:
    """Give up what decoding does not need, for good; what of it this kernel enforces.

    ``root`` is the folder of our own packages. ``is_writing``: files that are open may also be cut
    off. Call it while there is one thread.
    """
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return []
    # Reading first: the filter knows no call that would restrict it.
    enforced = ["landlock"] if restrict_reading(library, root) else []
    is_filtered = filter_calls(library, is_writing=is_writing)
    return [*enforced, "seccomp"] if is_filtered else enforced


def filter_calls(library: ctypes.CDLL, *, is_writing: bool) -> bool:
    """Allow only system calls that decoding needs; False where the kernel or the machine cannot."""
    machine = os.uname().machine
    steps = system_calls.program(machine, pid=os.getpid(), is_writing=is_writing)
    if steps is None:
        return False
    code = ctypes.create_string_buffer(steps, len(steps))
    head = struct.pack("@HP", len(steps) // 8, ctypes.addressof(code))
    refused: int = library.syscall(
        SECCOMP_CALL[machine], SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, head
    )
    if refused:  # a sandbox may forbid the newer call; this one is for the only thread
        refused = library.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, head, 0, 0)
    return refused == 0


def restrict_reading(library: ctypes.CDLL, root: Path) -> bool:
    """Open nothing by its path but what Python and its libraries consist of."""
    version: int = library.syscall(CREATE_RULESET, None, 0, CREATE_RULESET_VERSION)
    if version < 1:
        return False
    rights = struct.pack("=Q", RIGHTS[min(version, max(RIGHTS))])
    rules: int = library.syscall(CREATE_RULESET, rights, len(rights), 0)
    if rules < 0:
        return False
    try:
        for path in readable(root):
            allow_reading(library, rules, path)
        refused: int = library.syscall(RESTRICT_SELF, rules, 0)
        return refused == 0
    finally:
        os.close(rules)


def allow_reading(library: ctypes.CDLL, rules: int, path: str) -> None:
    """Allow reading one file or folder, if it exists."""
    with suppress(OSError):
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rights = READ_FILE | READ_DIR if Path(path).is_dir() else READ_FILE
            rule = struct.pack("=Qi", rights, place)
            library.syscall(ADD_RULE, rules, RULE_PATH_BENEATH, rule, 0)
        finally:
            os.close(place)


def readable(root: Path) -> Iterator[str]:
    """Folders of code. Not all of `sys.path`: one of them may be where the pictures are."""
    yield from (str(root / name) for name in ("cvunet", "daemon"))
    yield from set(sysconfig.get_paths().values())
    yield from (path for path in sys.path if Path(path).name in ("site-packages", "dist-packages"))
    yield from (f"{prefix}/lib" for prefix in {sys.prefix, sys.base_prefix})
    yield from (*LIBRARIES, *READ_BY_LIBRARIES)
