"""Checks of a cluster: every node sees the same folders, weights, program and time as we do."""

from collections.abc import Iterator

from daemon.commands.findings import CheckContext, Finding


def cluster(context: CheckContext) -> Iterator[Finding]:
    """Ask every node; nothing if pictures are cut out by this process."""
    if context.config.worker.engine != "ray":
        return
    from daemon.commands.checks import nodes  # loads numpy, OpenCV and asyncio

    yield from nodes.ask_nodes(context)
