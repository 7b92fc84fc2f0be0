"""`cvunetd doctor`: checks the set-up and prints what repairs each fault; changes nothing."""

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from daemon.commands.checks import (
    Checkup,
    clips,
    cluster,
    hooks,
    machine,
    permissions,
    places,
    service,
)
from daemon.commands.findings import (
    CheckContext,
    Finding,
    Severity,
    config_option,
    failed,
    passed,
)
from daemon.commands.status import running_daemon
from daemon.config import folders as hot_folders
from daemon.config import schema as configuration
from daemon.config.models import model_settings
from daemon.config.schema import Config
from daemon.errors import InstallError, describe, printable

CHECKUPS: tuple[Checkup, ...] = (
    places.overlaps,
    permissions.permissions,
    permissions.pictures,
    places.file_systems,
    places.room,
    clips.clips,
    machine.inotify,
    machine.models,
    machine.gpu,
    machine.clock,
    cluster.cluster,
    service.unit,
    service.monitors,
    service.page,
    hooks.hooks,
    service.ledger,
    service.daemon_state,
)
WIDTH = 26
FAULT = re.compile(r"(.+?):(\d+): ")
#: As the parser of YAML tells it: first where something begins, then where it goes wrong.
YAML_LINE = re.compile(r"at line (\d+)")


def examine(config_path: Path | None, *, now: float) -> Iterator[Finding]:
    """Yield all findings; without a valid configuration only those about it."""
    try:
        config, base = configuration.load(config_path)
    except InstallError as error:
        for line in str(error).splitlines():
            yield failed("configuration", line, edit_command(line, config_path))
        return
    found = configuration.find(config_path)
    yield passed(
        "configuration",
        f"{found or 'no file (`cvunetd init` makes one), defaults only'}: without a fault",
    )
    path = found or Path("config.yaml")
    as_root = f"sudo cvunetd doctor{config_option(path)}"
    try:
        context = collect_context(config, base, path, now=now)
    except (InstallError, OSError) as error:
        yield failed("set-up", describe(error), as_root)
        return
    for checkup in CHECKUPS:
        try:
            yield from checkup(context)
        except InstallError as error:
            yield failed(checkup.__name__, str(error), edit_command(str(error), path))
        except OSError as error:
            yield failed(checkup.__name__, f"cannot be looked at: {describe(error)}", as_root)


def edit_command(fault: str, config_path: Path | None) -> str:
    """Return the command that opens a configuration at its fault."""
    if (found := FAULT.match(fault)) is not None:
        return f"${{EDITOR:-vi}} +{found[2]} {shlex.quote(found[1])}"
    path = configuration.find(config_path)
    if path is None or not os.path.lexists(path):
        return "cvunetd doctor --config /etc/cvunetd/config.yaml, or where else it is"
    line = next(reversed(YAML_LINE.findall(fault)), "1")
    return f"${{EDITOR:-vi}} +{line} {shlex.quote(str(path))}"


def collect_context(config: Config, base: Path, path: Path, *, now: float) -> CheckContext:
    """Return everything that the checks need."""
    state = hot_folders.resolve(base, config.state_dir)
    pid, report = running_daemon(state)
    return CheckContext(
        config=config,
        config_path=path,
        folders=hot_folders.all_folders(config, base),
        state=state,
        quarantine=hot_folders.resolve(base, config.quarantine_dir),
        models=model_settings(config, base),
        user=service.owner(state),
        now=now,
        pid=pid,
        report=report,
    )


def lines(findings: list[Finding]) -> Iterator[str]:
    """Yield lines for people; the line that repairs a fault stands below it."""
    for finding in findings:
        yield f"{finding.severity.value}  {finding.check:<{WIDTH}} {printable(finding.text)}"
        if finding.mend:
            yield f"{'':<6}{'':<{WIDTH}} -> {printable(finding.mend)}"
    counted = {one: sum(finding.severity is one for finding in findings) for one in Severity}
    yield ", ".join(f"{count} {one.value}" for one, count in counted.items() if count)


def document(findings: list[Finding]) -> str:
    """Return JSON for programs."""
    entries = [
        {
            "check": finding.check,
            "result": finding.severity.value,
            "text": printable(finding.text),
            "mend": printable(finding.mend),
        }
        for finding in findings
    ]
    return json.dumps({"is_well": is_well(findings), "findings": entries}, indent=2)


def is_well(findings: list[Finding]) -> bool:
    """Whether nothing has failed; warnings are allowed."""
    return not any(finding.severity is Severity.FAIL for finding in findings)
