"""The status as lines for people."""

from collections.abc import Iterator
from typing import Any

from daemon.commands.status import MEGABYTE, SPANS, FolderStatus, Status
from daemon.errors import counted, printable

JOB_STATES = ("queued", "running", "done", "failed")
UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def lines(status: Status, *, now: float) -> Iterator[str]:
    """Yield all lines, the most urgent first."""
    yield from header(status, now)
    yield from folder_problems(status)
    yield from table(status, now)
    yield from rates(status)
    for drop in status.drops:
        yield f"open drop: {printable(drop['path'])} ({drop['pictures']} pictures)"
    yield from free_space(status)
    yield from hooks(status, now)
    if status.pid is None:
        yield f"configuration: {printable(status.config) or 'none found, the defaults count'}"
    if status.trouble:
        yield status.trouble
    for failure in status.failures:
        yield f"failed: {printable(failure['picture'])}: {failure['reason']}"


def header(status: Status, now: float) -> Iterator[str]:
    """Yield whether it runs, on what, and how busy it is."""
    if status.pid is None:
        yield "cvunetd is not running"
        return
    report = status.report
    device = report.get("device", "a device that still loads")
    since = f" for {duration(now - report['started_at'])}" if report.get("started_at") else ""
    yield f"cvunetd is running (process {status.pid}) on {device}{since}"
    if not report:
        return
    yield "  " + ", ".join(f"{report[key]} {key}" for key in ("running", "queued", "settling"))
    for why in report.get("stalled", ()):
        yield f"  no progress: {printable(why)}; a restart helps"
    yield from cluster(report.get("cluster"))
    found = ", ".join(f"{count} by {way}" for way, count in report["found_by"].items())
    yield f"  found since start: {found or 'nothing'}"
    inside = ", ".join(f"{count} at {stage}" for stage, count in report.get("inside", {}).items())
    if report["running"] and inside:
        yield f"  in work: {inside}"
    yield from (clip_line(clip) for clip in report.get("clips", {}).values())
    for name, load in report.get("load", {}).items():
        yield from load_line(name, load, seconds=now - report["started_at"])
    for name, held in report.get("memory", {}).items():
        used, total = held["used_bytes"] / MEGABYTE, held["total_bytes"] / MEGABYTE
        yield f"  memory of {name}: {used:.0f} MB of {total:.0f} MB"


def cluster(found: dict[str, Any] | None) -> Iterator[str]:  # Any: JSON of `ClusterState`
    """Yield the nodes of a cluster and their workers, and why one is not used."""
    if found is None:
        return
    trouble = f": {printable(found['trouble'])}" if found["trouble"] else ""
    nodes = counted(len(found["nodes"]), "node")
    yield f"  cluster at {found['address']}: {nodes}{trouble}"
    for node in found["nodes"]:
        name = f"node {printable(node['name'])} ({node['address']})"
        if node["why"]:
            yield f"    {name} is not used: {printable(node['why'])}"
        for worker in node["workers"]:
            yield f"    {name}: {worker_text(worker)}"


def worker_text(worker: dict[str, Any]) -> str:  # Any: JSON of `WorkerState`
    """Return what one worker does, and why it is not used."""
    if worker["word"] != "warm":
        return f"{worker['word']}: {printable(worker['why'])}"
    restarts = f", {counted(worker['restarts'], 'restart')}" if worker["restarts"] else ""
    return (
        f"warm on {worker['device']}, {worker['running']} in work, {worker['done']} done,"
        f" {worker['pictures_per_s']:.1f} a second in the last minute{restarts}"
    )


def clip_line(clip: dict[str, Any]) -> str:  # Any: JSON
    """Return how far a clip has come, by the JSON of `report.ClipState`."""
    text = f"  clip {clip['source']} of {clip['folder']}: frame {clip['frames']}"
    text += f" of {clip['total']}" if clip["total"] is not None else ""
    text += f", {clip['frames_per_s']:.1f} frames/s"
    return text if clip["left_s"] is None else f"{text}, {duration(clip['left_s'])} left"


def load_line(name: str, load: dict[str, float], *, seconds: float) -> Iterator[str]:
    """Yield how busy a device was, by the JSON of `gauges.Load`; nothing before a batch."""
    if load["batches"]:
        share = load["busy_s"] / max(seconds, 1.0) / load["threads"]
        each = load["pictures"] / load["batches"]
        milliseconds = 1000 * load["busy_s"] / load["pictures"]
        yield (
            f"  network on {name}: {load['pictures']:.0f} pictures, {each:.1f} in a batch,"
            f" {milliseconds:.0f} ms each, busy {min(share, 1.0):.0%} of the time since the start"
        )


def folder_problems(status: Status) -> Iterator[str]:
    """Yield folders that do not work normally, with the reason."""
    verbs = {"standby": "stands by", "polled": "is polled"}
    for folder in status.folders:
        if folder.state in verbs:
            yield f"  folder {folder.name} {verbs[folder.state]}: {printable(folder.reason)}"
        yield from refused(folder)
    for disk in status.disks:
        if disk.place == "state" and disk.is_read_only:
            yield (
                f"  state folder {disk.path} is read-only:"
                " nothing is taken in until it can be written"
            )


def refused(folder: FolderStatus) -> Iterator[str]:
    """Yield that files cannot be taken, with one of them and what mends it."""
    if not folder.refused or not folder.refusals:
        return
    first = {key: printable(text) for key, text in folder.refusals[0].items()}
    yield f"  folder {folder.name}: {folder.refused} cannot be taken, such as {first['path']}:"
    yield f"    {first['reason']}"
    yield f"    -> {first['mend']}"


def table(status: Status, now: float) -> Iterator[str]:
    """Yield folders by state and jobs; nothing if nothing was ever done."""
    if not status.report and not any(folder.jobs for folder in status.folders):
        return
    width = max(20, *(len(folder.name) + 2 for folder in status.folders))
    columns = ("unclaimed", "oldest", *JOB_STATES)
    yield f"{'folder':<{width}}{'':<9}" + "".join(f"{name:>10}" for name in columns)
    for folder in status.folders:
        counts = "".join(f"{folder.jobs.get(state, 0):>10}" for state in JOB_STATES)
        unclaimed = "-" if folder.unclaimed is None else str(folder.unclaimed)
        waiting = f"{unclaimed:>10}{oldest(folder, now):>10}"
        yield f"{folder.name:<{width}}{folder.state:<9}{waiting}{counts}"
    for folder in status.folders:
        if folder.ignored:
            yield f"{folder.name}: {folder.ignored} ignored, no pictures by their name"
        if folder.changed:
            yield f"{folder.name}: {folder.changed} changed after they were cut out: see the log"
        yield from second_opinions(folder)


def second_opinions(folder: FolderStatus) -> Iterator[str]:
    """Yield how often a second model was asked, and how often its mask was taken."""
    asked = sum(folder.second.values())
    if asked:
        failed = folder.second.get("failed", 0)
        trouble = f", {failed} failed: see the log" if failed else ""
        taken = folder.second.get("taken", 0)
        yield f"{folder.name}: {asked} asked of a second model, {taken} of its masks taken{trouble}"


def oldest(folder: FolderStatus, now: float) -> str:
    """Return how long the oldest picture has waited to be taken."""
    return "-" if folder.oldest_at is None else duration(now - folder.oldest_at)


def rates(status: Status) -> Iterator[str]:
    """Yield how much was done lately, and how long the rest takes."""
    if not any(status.ended.values()):
        return
    parts = [
        f"{ended.get('done', 0)} done and {ended.get('failed', 0)} failed in the last {name}"
        for name, ended in status.ended.items()
    ]
    yield ", ".join(parts)
    left = sum(
        (folder.unclaimed or 0) + folder.jobs.get("queued", 0) + folder.jobs.get("running", 0)
        for folder in status.folders
        if folder.state != "standby"
    )
    done = status.ended.get("minute", {}).get("done", 0)
    if left and done:
        yield f"{left} to do: {duration(left / done * SPANS['minute'])} at the last minute's rate"


def free_space(status: Status) -> Iterator[str]:
    """Yield free space, and where it is too little."""
    for disk in status.disks:
        if disk.free_mb is None:
            yield f"{printable(disk.path)} cannot be asked: {disk.trouble}"
            continue
        short = f", needed {disk.needed_mb:.0f} MB: nothing is taken in" if disk.is_short else ""
        inodes = ", no free inodes" if disk.free_inodes == 0 else ""
        yield f"free in {printable(disk.path)}: {disk.free_mb:.0f} MB{inodes}{short}"


def hooks(status: Status, now: float) -> Iterator[str]:
    """Yield the state of each hook."""
    known = status.report.get("hooks", {})
    for name in sorted(status.untold.keys() - known.keys()):
        yield f"hook {printable(name)}: {status.untold[name]} waiting"
    for name, hook in known.items():
        counts = ("delivered", "waiting", "retried", "failed", "dropped")
        text = ", ".join(f"{hook[key]} {key}" for key in counts)
        yield f"hook {printable(name)}: {text}"
        if hook["last_error"]:
            age = duration(now - hook["last_error_at"])
            yield f"  last error {age} ago: {printable(hook['last_error'])}"


def duration(seconds: float) -> str:
    """Return a time in its largest unit."""
    for unit, size in UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
