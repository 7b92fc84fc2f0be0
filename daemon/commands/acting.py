"""Acting as the daemon's user: what root does in folders of other people must not be root's."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from daemon.commands.checks.permissions import groups
from daemon.commands.findings import User


@contextmanager
def acting_as(user: User) -> Iterator[None]:
    """Let root have the rights of another user for a while; nothing changes for all others.

    Files that are made then can be used by the daemon, and no link leads to what only root may do.
    """
    if os.geteuid() != 0 or user.uid == 0:
        yield
        return
    group, others = os.getegid(), os.getgroups()
    try:
        os.setgroups(groups(user))
        os.setegid(user.gid)
        os.seteuid(user.uid)  # the last one: only root may change the others
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(others)
