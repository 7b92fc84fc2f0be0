"""What `doctor` asks the nodes of a cluster: do they see the same folders, weights and time?"""

from collections.abc import Iterator
from pathlib import Path

from daemon.commands.findings import CheckContext, Finding, failed, passed, warned
from daemon.errors import counted
from daemon.service import cluster_engine
from daemon.worker.engines.cluster.driver import RayProcess
from daemon.worker.engines.cluster.node_checks import CANARY, remove_canaries, write_canaries
from daemon.worker.engines.cluster.seats import why_unused
from daemon.worker.engines.cluster.visits import Visited, Visits

#: systemd gives the token to the units alone (packaging/ray/), and not to a person's shell.
TOKEN = "as root: RAY_AUTH_TOKEN_PATH=/etc/cvunetd/ray-token cvunetd doctor"


def ask_nodes(context: CheckContext) -> Iterator[Finding]:
    """Ask every node of the cluster that is configured."""
    config, base = context.config, context.base
    request = cluster_engine.node_request(config, base, context.folders)
    # A running daemon has its canaries there; ours are for the time of the question only.
    ours = [folder for folder in request.written if not (folder / CANARY).exists()]
    write_canaries(ours)
    try:
        found = Visits(cluster_engine.access(config, base), request, RayProcess).run()
    finally:
        remove_canaries(ours)
    address = config.worker.ray.address
    if isinstance(found, str):
        yield failed("cluster", found, remedy(found, address, context.config_path))
        return
    yield passed("cluster", f"{counted(len(found), 'node')} at {address}")
    for visited in found:
        yield from node_findings(visited, config.worker.ray.resource)


def remedy(reason: str, address: str, config_path: Path) -> str:
    """Return what mends that a cluster cannot be joined."""
    if reason.startswith("no token"):
        return TOKEN
    return f"start Ray's head at {address}, or set worker.ray.address in {config_path}"


def node_findings(visited: Visited, resource: str) -> Iterator[Finding]:
    """Yield what is wrong with one node, or that nothing is."""
    name = f"node {visited.node.name}"
    if visited.trouble:
        mend = "there: pip install cvunet-daemon[ray] of the daemon's version, restart Ray's node"
        yield failed(name, f"{visited.node.address}: {visited.trouble}", mend)
        return
    for one in visited.differences:
        yield failed(f"{name} {one.check}", f"{visited.node.address}: {one.text}", one.mend)
    if not visited.node.seats:
        why = why_unused(resource)
        yield warned(name, f"{visited.node.address}: no worker runs there", why)
    elif not visited.differences:
        room = counted(visited.node.seats, "worker")
        yield passed(name, f"{visited.node.address}: sees what we see; it has room for {room}")
