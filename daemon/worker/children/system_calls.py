"""The system calls that decoding needs, as a seccomp filter; all others fail.

Numbers are those of Linux for x86-64 and for ARM64 (asm/unistd.h), the program is classic BPF
(linux/filter.h, linux/seccomp.h).
"""

import errno
import os
import struct
from collections.abc import Iterator, Sequence

#: By what `os.uname` calls the machine: AUDIT_ARCH (linux/audit.h), and the column below.
MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
X32 = 0x40000000  # another table of numbers on x86-64

ALLOWED: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "stat": (4, None),
    "fstat": (5, 80),
    "lstat": (6, None),
    "poll": (7, None),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "pread64": (17, 67),
    "readv": (19, 65),
    "writev": (20, 66),
    "access": (21, None),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "dup": (32, 23),
    "nanosleep": (35, 101),
    "getpid": (39, 172),
    "sendmsg": (46, 211),
    "recvmsg": (47, 212),
    "exit": (60, 93),
    "uname": (63, 160),
    "getcwd": (79, 17),
    "readlink": (89, None),
    "gettimeofday": (96, 169),
    "getrlimit": (97, 163),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
    "getuid": (102, 174),
    "getgid": (104, 176),
    "geteuid": (107, 175),
    "getegid": (108, 177),
    "sigaltstack": (131, 132),
    "arch_prctl": (158, None),
    "gettid": (186, 178),
    "futex": (202, 98),
    "sched_getaffinity": (204, 123),
    "getdents64": (217, 61),
    "set_tid_address": (218, 96),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "newfstatat": (262, 79),
    "readlinkat": (267, 78),
    "faccessat": (269, 48),
    "ppoll": (271, 73),
    "set_robust_list": (273, 99),
    "getcpu": (309, 168),
    "getrandom": (318, 278),
    "membarrier": (324, 283),
    "statx": (332, 291),
    "rseq": (334, 293),
}
#: What a child may call besides that writes files: by descriptors that it was given.
WRITING_CALLS: dict[str, tuple[int | None, int | None]] = {
    "pwrite64": (18, 68),
    "ftruncate": (77, 46),
}
#: Newer than what glibc can do without: it then uses the older call, whose arguments can be seen.
UNKNOWN: dict[str, tuple[int | None, int | None]] = {
    "clone3": (435, 435),
    "openat2": (437, 437),
    "faccessat2": (439, 439),
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CLONE_THREAD = 0x10000
PR_SET_NAME, PR_SET_VMA = 15, 0x53564D41
F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC = 0, 1, 2, 3, 1030

LOAD, JUMP_EQUAL, JUMP_SET, JUMP_NOT_BELOW, RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
NUMBER_AT, MACHINE_AT, ARGUMENTS_AT = 0, 4, 16
ALLOW, KILL, FAIL = 0x7FFF0000, 0x80000000, 0x00050000

Step = tuple[int, int, int, int]  # operation, steps to skip if true, if false, operand


def program(machine: str, *, pid: int, is_writing: bool = False) -> bytes | None:
    """The filter for a process; None for machines whose numbers are not known."""
    if machine not in MACHINES:
        return None
    audit, column = MACHINES[machine]
    steps = [
        (LOAD, 0, 0, MACHINE_AT),
        (JUMP_EQUAL, 1, 0, audit),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER_AT),
        (JUMP_NOT_BELOW, 0, 1, X32),
        (RETURN, 0, 0, FAIL | errno.EPERM),
    ]
    allowed = ALLOWED | WRITING_CALLS if is_writing else ALLOWED
    for calls, answer in ((allowed, ALLOW), (UNKNOWN, FAIL | errno.ENOSYS)):
        for numbers in calls.values():
            if (number := numbers[column]) is not None:
                steps += [(JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, answer)]
    for numbers, rule in conditions(pid):
        if (number := numbers[column]) is not None:
            steps += [(JUMP_EQUAL, 0, len(rule), number), *rule]
    steps.append((RETURN, 0, 0, FAIL | errno.EPERM))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def conditions(pid: int) -> Iterator[tuple[tuple[int | None, int | None], list[Step]]]:
    """Calls that are allowed with some arguments only."""
    yield (2, None), unless_set(1, WRITING)  # open
    yield (257, 56), unless_set(2, WRITING)  # openat
    yield (56, 220), if_set(0, CLONE_THREAD)  # clone: threads, and no process
    yield (234, 131), if_one_of(0, [pid])  # tgkill: by itself, as `abort` does
    yield (157, 167), if_one_of(0, [PR_SET_NAME, PR_SET_VMA])  # prctl
    yield (72, 25), if_one_of(1, [F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC])  # fcntl
    yield (302, 261), if_null(2)  # prlimit64: to ask, not to set


def argument(number: int) -> int:
    """Where the lower half of an argument lies; both machines have it first."""
    return ARGUMENTS_AT + 8 * number


def unless_set(number: int, bits: int) -> list[Step]:
    """Allow if an argument has none of the bits."""
    return [
        (LOAD, 0, 0, argument(number)),
        (JUMP_SET, 0, 1, bits),
        (RETURN, 0, 0, FAIL | errno.EPERM),
        (RETURN, 0, 0, ALLOW),
    ]


def if_set(number: int, bits: int) -> list[Step]:
    """Allow if an argument has one of the bits."""
    return [
        (LOAD, 0, 0, argument(number)),
        (JUMP_SET, 0, 1, bits),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, FAIL | errno.EPERM),
    ]


def if_one_of(number: int, values: Sequence[int]) -> list[Step]:
    """Allow if an argument, of 32 bits, has one of the values."""
    steps: list[Step] = [(LOAD, 0, 0, argument(number))]
    for value in values:
        steps += [(JUMP_EQUAL, 0, 1, value), (RETURN, 0, 0, ALLOW)]
    return [*steps, (RETURN, 0, 0, FAIL | errno.EPERM)]


def if_null(number: int) -> list[Step]:
    """Allow if an argument, of 64 bits, is 0."""
    return [
        (LOAD, 0, 0, argument(number)),
        (JUMP_EQUAL, 0, 3, 0),
        (LOAD, 0, 0, argument(number) + 4),
        (JUMP_EQUAL, 0, 1, 0),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, FAIL | errno.EPERM),
    ]
