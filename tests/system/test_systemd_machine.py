"""The installed service under a real systemd: one boot, one installation, a life in order.

Tests build on one another's machine, not on one another's results; the last ones take it down.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import skimage
import yaml
from PIL import Image

from daemon import __version__, event_ids
from tests.hooks.test_examples import example
from tests.system import memory_limits, systemd_machine
from tests.system.systemd_machine import (
    LIBRARIES,
    PYTHON,
    SOURCE,
    WHEELS,
    CannotBoot,
    Machine,
    wait_for,
)

pytestmark = [pytest.mark.systemd_machine, pytest.mark.slow, pytest.mark.timeout(300)]

PHOTO = Path(skimage.__file__).parent / "data" / "astronaut.png"
ROOT = Path(__file__).parents[2]
PLACE, CONFIG = "/srv/cvunetd", "/etc/cvunetd/config.yaml"
INSTALL = f"{SOURCE}/packaging/install.sh"
#: What a laboratory changes: libraries from the host, those of the interpreter too (where it looks
#: for them is hidden from the daemon), a quick watchdog, quick restarts.
LABORATORY_OF_WEB = f"""[Service]
Environment=PYTHONPATH={LIBRARIES} LD_LIBRARY_PATH={PYTHON}/lib OMP_NUM_THREADS=1
RestartSec=1s
"""
LABORATORY = f"{LABORATORY_OF_WEB}WatchdogSec=8s\n"
MANY = 50
STEPS = ("exporting the model", "loading the model", "warming up", "looking at folder")
HANGING = """
import sys, time
from pathlib import Path
from cvunet.inference.onnx_predictor import OnnxPredictor
from cvunet.inference.torch_predictor import TorchPredictor
def hanging(answer):
    def predict(self, batch):
        while Path("/srv/cvunetd/hang").exists():
            time.sleep(0.1)
        return answer(self, batch)
    return predict
for kind in (OnnxPredictor, TorchPredictor):
    kind.predict = hanging(kind.predict)
from daemon.cli import main
main()
"""
PROBE = """
import ctypes, json, os, socket
from pathlib import Path
def tried(what):
    try:
        return what() or "allowed"
    except OSError as error:
        return type(error).__name__ + ": " + (error.strerror or str(error))
def unshare():
    if ctypes.CDLL(None, use_errno=True).unshare(0x10000000):  # a user namespace
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
print(json.dumps({
    "write hot": tried(lambda: Path("/srv/cvunetd/hot/.probe").touch()),
    "write state": tried(lambda: Path("/var/lib/cvunetd/.probe").touch()),
    "write /etc": tried(lambda: Path("/etc/cvunetd/probe").touch()),
    "write itself": tried(lambda: Path("/opt/cvunetd/probe").touch()),
    "write /srv": tried(lambda: Path("/srv/probe").touch()),
    "read home": tried(lambda: Path("/home/ann/diary").read_text()),
    "read root": tried(lambda: os.listdir("/root")),
    "network": tried(lambda: socket.socket(socket.AF_INET).close()),
    "unshare": tried(unshare),
    "devices": tried(lambda: os.open("/dev/kmsg", os.O_RDONLY) and None),
    "user": os.getuid(),
    "privileges": Path("/proc/self/status").read_text().split("CapEff:")[1].split()[0],
}))
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A booted machine that holds the project's source and a wheel of it."""
    with systemd_machine.booted() as machine:
        source = machine.path(SOURCE)
        systemd_machine.copy_source(source)
        systemd_machine.build_wheel(source, machine.path(WHEELS))
        machine.write("/home/ann/diary", "private")
        machine.path("/home/ann/diary").chmod(0o644)
        yield machine


@pytest.fixture(scope="module")
def installed(machine: Machine) -> Machine:
    """The service, installed by the script as on a machine without a GPU, not started yet."""
    install(machine, "--cpu", "--no-start")
    machine.drop_in("laboratory", LABORATORY)
    settings = configuration(machine)
    settings["folders"][0]["settle_s"] = 0.5
    settings["model"] |= {"input_size": 64, "device": "cpu"}
    settings["retention"]["min_free_mb"] = 1
    configure(machine, settings)
    return machine


@pytest.fixture
def serving(installed: Machine) -> Machine:
    """The service is ready."""
    if installed.property("ActiveState") != "active":
        installed.restart()
    return installed


def install(machine: Machine, *arguments: str) -> str:
    """Run the script; its output."""
    done = run_script(machine, *arguments)
    assert done.returncode == 0, done.stdout
    return done.stdout


def run_script(machine: Machine, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run it in a shell whose files are closed to others; what pip needs is there already."""
    [wheel] = machine.path(WHEELS).glob("*.whl")
    shell = ("bash", "-c", 'umask 077; exec bash "$@"', "-")
    options = ("--python", f"{PYTHON}/bin/python3", "--from", f"{WHEELS}/{wheel.name}")
    command = (*shell, INSTALL, *options, *arguments)
    return machine.process(*command, PYTHONPATH=str(LIBRARIES), PIP_NO_INDEX="1")


def configuration(machine: Machine) -> dict[str, Any]:  # Any: YAML
    """What the service reads."""
    content: dict[str, Any] = yaml.safe_load(machine.path(CONFIG).read_text(encoding="utf-8"))
    return content


def configure(machine: Machine, settings: dict[str, Any]) -> None:  # Any: YAML
    """Another configuration; not read yet."""
    machine.write(CONFIG, yaml.safe_dump(settings))


def drop(machine: Machine, name: str, folder: str = "hot") -> None:
    """Drop a photo, as `mv` does: whole."""
    hot = machine.path(f"{PLACE}/{folder}")
    shutil.copy(PHOTO, hot / f".{name}.part")
    (hot / f".{name}.part").rename(hot / name)


def outcomes(machine: Machine, beginning: str) -> list[str]:
    """Cut-outs whose names begin so, in all drops."""
    outputs = machine.path(f"{PLACE}/outputs")
    return sorted(path.name for path in outputs.glob(f"outputs_*/{beginning}*.png"))


def originals(machine: Machine, beginning: str) -> list[str]:
    """Archived originals whose names begin so, in all drops."""
    outputs = machine.path(f"{PLACE}/outputs")
    return sorted(path.name for path in outputs.glob(f"outputs_*/originals/{beginning}*"))


def comes_out(machine: Machine, name: str) -> bool:
    """A cut-out lies where it should, soon."""
    return wait_for(lambda: outcomes(machine, name), patience_s=60.0)


# --- installation --------------------------------------------------------------------------------


def test_dry_run_does_nothing(machine: Machine) -> None:
    """It tells each step, and takes none."""
    told = install(machine, "--dry-run", "--cpu")

    assert "+ install -D -m 0644 /opt/laboratory/source/packaging/systemd/cvunetd.service" in told
    assert "+ systemctl restart cvunetd.service" in told
    assert not machine.path("/opt/cvunetd").exists()
    assert not machine.path("/etc/systemd/system/cvunetd.service").exists()
    assert not machine.path("/etc/cvunetd").exists()
    assert "no such user" in machine.run("id", "cvunetd", check=False)


def test_installed_unit_is_sound(installed: Machine) -> None:
    """systemd finds no fault, and neither does the program in its configuration."""
    reads = "yes" if shutil.which("man") else "no"  # it looks for the pages that the unit names
    verified = installed.process("systemd-analyze", "verify", f"--man={reads}", "cvunetd.service")
    checked = installed.process(
        "/opt/cvunetd/bin/cvunetd", "check-config", "--config", CONFIG, PYTHONPATH=str(LIBRARIES)
    )

    assert (verified.returncode, "cvunetd" in verified.stdout) == (0, False), verified.stdout
    assert checked.returncode == 0, checked.stdout
    assert "hot: /srv/cvunetd/hot -> /srv/cvunetd/outputs" in checked.stdout
    assert "3770" in installed.run("stat", "--format=%a", f"{PLACE}/hot")


def test_program_is_at_hand(installed: Machine) -> None:
    """By its name, with its pages, and completed by a shell that is asked as at a prompt."""
    told = installed.run("cvunetd", "--version", PYTHONPATH=str(LIBRARIES))
    asked = """
        source /usr/local/share/bash-completion/completions/cvunetd
        COMP_WORDS=(cvunetd check); COMP_CWORD=1; _cvunetd_completion cvunetd
        echo "${COMPREPLY[@]}"
    """
    completed = installed.run("bash", "-c", asked, PYTHONPATH=str(LIBRARIES))

    assert f"cvunetd, version {__version__}" in told
    assert completed.strip() == "check-config"
    for page in ("man8/cvunetd.8", "man5/cvunetd.yaml.5"):
        assert installed.path(f"/usr/local/share/man/{page}").read_text().startswith(r".\" Made by")


def mode(machine: Machine, place: str) -> str:
    """Of a file or folder, in octal, with its group."""
    return machine.run("stat", "--format=%a %G", place).strip()


def test_program_is_open_and_data_is_closed(installed: Machine) -> None:
    """Whatever the umask of the administrator is: others read the program, and no pictures."""
    closed = ("find", "/opt/cvunetd", "!", "-type", "l", "!", "-perm", "-o=r")
    places = ("/etc/cvunetd", CONFIG, PLACE, f"{PLACE}/hot", f"{PLACE}/outputs", "/var/lib/cvunetd")
    installed.run("runuser", "-u", "cvunetd", "--", "/opt/cvunetd/bin/python", "-c", "")
    installed.restart()

    assert installed.run(*closed) == ""
    assert [mode(installed, place) for place in places] == [
        *("755 root", "644 root", "3770 cvunetd", "3770 cvunetd", "2770 cvunetd", "750 cvunetd"),
    ]
    installed.run("systemctl", "stop", systemd_machine.UNIT)


def test_program_that_others_cannot_read_is_told(installed: Machine) -> None:
    """An earlier version of the script made one; the line that the complaint names mends it."""
    closed = "/opt/cvunetd/share/cvunetd/models"
    installed.run("chmod", "700", closed)

    refused = run_script(installed, "--cpu", "--no-start")
    [line] = [one for one in refused.stdout.splitlines() if one.startswith("install.sh: ")]
    installed.run("sh", "-c", line.partition(": run ")[2].partition(",")[0])

    assert refused.returncode == 1, refused.stdout
    assert f"{closed} cannot be read" in line
    assert mode(installed, closed) == "755 root"
    assert "+ " not in refused.stdout
    install(installed, "--cpu", "--no-start")


# --- life ----------------------------------------------------------------------------------------


def test_ready_means_warm_and_watching(installed: Machine) -> None:
    """While the model loads the unit is activating, and says what it does; then it is active."""
    moment = installed.moment()
    installed.run("systemctl", "start", "--no-block", "cvunetd.service")
    heard = set()

    def is_ready() -> bool:
        heard.add((installed.property("ActiveState"), installed.property("StatusText")))
        return installed.property("ActiveState") == "active"

    assert wait_for(is_ready, patience_s=90.0, pause_s=0.05), installed.log()
    entered = int(installed.property("ActiveEnterTimestampMonotonic"))
    assert wait_for(lambda: installed.entries(event_ids.READY, since=moment), patience_s=30.0), (
        installed.log()
    )
    told = installed.entries(since=moment)
    warm = [entry for entry in told if "the model is warm" in entry["MESSAGE"]]
    ready = [entry for entry in told if entry.get("MESSAGE_ID") == event_ids.READY]

    assert any(state == "activating" and text.startswith(STEPS) for state, text in heard), heard
    assert [len(warm), len(ready)] == [1, 1], [entry["MESSAGE"] for entry in told]
    assert sent_at(warm[0]) < sent_at(ready[0]) < entered


def sent_at(entry: dict[str, Any]) -> int:  # Any: JSON
    """When the daemon sent a line, as `moment` counts: the journal may stamp it a while later."""
    late = int(entry["__REALTIME_TIMESTAMP"]) - int(entry["_SOURCE_REALTIME_TIMESTAMP"])
    return int(entry["__MONOTONIC_TIMESTAMP"]) - late


def test_dropped_photo_comes_out(serving: Machine) -> None:
    """Its original lies beside it; the status line counts it; the journal has all about it."""
    moment = serving.moment()
    drop(serving, "first.png")

    assert comes_out(serving, "first"), serving.log()
    assert wait_for(
        lambda: "1 done" in serving.run("systemctl", "status", systemd_machine.UNIT),
        patience_s=30.0,
    )
    # The journal may get its line later than systemd gets the status.
    assert wait_for(lambda: serving.entries(event_ids.DONE, since=moment), patience_s=30.0)
    [done] = serving.entries(event_ids.DONE, since=moment)
    [original] = serving.path(f"{PLACE}/outputs").glob("outputs_*/originals/first.png")
    status = serving.run("systemctl", "status", systemd_machine.UNIT)
    assert 'Status: "1 done, 0 failed, 0 in work, 0 queued, 0 settling on cpu"' in status
    assert done["PRIORITY"] == "6"
    assert done["_TRANSPORT"] == "journal"
    assert done["SYSLOG_IDENTIFIER"] == "cvunetd"
    assert done["HOT_FOLDER"] == "hot"
    assert done["SOURCE"] == f"{PLACE}/hot/first.png"
    assert done["TARGET"].endswith("/first.png")
    assert int(done["DURATION_MS"]) > 0
    assert done["JOB"]
    assert original.read_bytes() == PHOTO.read_bytes()


def test_rejected_picture_tells_why_in_the_journal(serving: Machine) -> None:
    """With the stage at which it failed."""
    settings = configuration(serving)
    settings["folders"][0]["defer_s"] = 0
    configure(serving, settings)
    serving.run("systemctl", "reload", systemd_machine.UNIT)
    moment = serving.moment()
    serving.write(f"{PLACE}/hot/broken.png", "no picture at all")

    def told() -> list[dict[str, Any]]:  # Any: JSON
        return serving.entries(event_ids.REJECTED, since=moment)

    assert wait_for(told, patience_s=20.0), serving.log()
    [rejected] = told()
    assert (rejected["PRIORITY"], rejected["STAGE"]) == ("4", "decode")
    assert rejected["SOURCE"] == f"{PLACE}/hot/broken.png"
    assert rejected["ERROR"]


def test_sandbox_denies(serving: Machine) -> None:
    """What the unit says, the kernel does: asked from inside, before the daemon starts."""
    serving.write("/opt/laboratory/probe.py", PROBE)
    serving.drop_in(
        "probe", f"[Service]\nExecStartPre={PYTHON}/bin/python3 /opt/laboratory/probe.py\n"
    )
    moment = serving.moment()
    try:
        started = serving.process("systemctl", "restart", systemd_machine.UNIT)
    finally:
        serving.path("/etc/systemd/system/cvunetd.service.d/probe.conf").unlink()
        serving.run("systemctl", "daemon-reload")
    assert started.returncode == 0, serving.log()
    lines = [entry["MESSAGE"] for entry in serving.entries(since=moment)]
    [probed] = [json.loads(line) for line in lines if line.startswith("{")]
    denied = {
        key: value
        for key, value in probed.items()
        if "denied" in str(value) or "Read-only" in str(value)
    }

    assert probed["write hot"] == probed["write state"] == "allowed", probed
    assert {"write /etc", "write itself", "write /srv"} <= set(denied), probed
    assert probed["read home"] != "private"
    assert "Error" in probed["read home"]
    assert "Error" in str(probed["read root"])
    assert "not supported by protocol" in probed["network"], probed
    assert "not permitted" in probed["unshare"], probed
    assert "Error" in probed["devices"], probed
    assert probed["user"] != 0
    assert int(probed["privileges"], 16) == 0


# --- hooks ---------------------------------------------------------------------------------------

TOLD = f"""#!/bin/sh
cat > {PLACE}/told.part && mv {PLACE}/told.part {PLACE}/told
touch /etc/by-hook 2> {PLACE}/denied
exit 0
"""
CREDENTIAL = "LoadCredential=shop-key:/etc/cvunetd/shop-key.key"


@pytest.mark.webhooks
def test_hooks_in_the_sandbox(serving: Machine) -> None:
    """A command has the daemon's rights; a webhook needs hooks.conf, and is told after a restart.

    The receiver is that of the guide, and verifies the signature; the key is root's alone.
    """
    serving.write("/usr/local/bin/told", TOLD)
    serving.path("/usr/local/bin/told").chmod(0o755)
    serving.write("/etc/cvunetd/shop-key.key", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    serving.path("/etc/cvunetd/shop-key.key").chmod(0o600)
    serving.write("/opt/laboratory/receiver.py", example("receiver"))
    receive = (f"{PYTHON}/bin/python3", "/opt/laboratory/receiver.py")
    serving.run("systemd-run", "--unit=receiver", "-p", "WorkingDirectory=/etc/cvunetd", *receive)
    settings = configuration(serving)
    url = {
        "url": "http://127.0.0.1:8080/",
        "name": "shop",
        "secret": "shop-key",
        "allow_private": True,
        "allow_http": True,
    }
    hooks = {"on_done": [{"command": ["told"]}, url]}
    configure(serving, settings | {"hooks": hooks})
    serving.drop_in("hooks", f"[Service]\n{CREDENTIAL}\n")
    moment = serving.moment()
    serving.restart()
    drop(serving, "hooked.png")
    told = serving.path(f"{PLACE}/told")
    assert wait_for(told.exists, patience_s=60.0), serving.log()
    assert wait_for(lambda: troubles(serving, moment), patience_s=30.0), serving.log()
    text = (ROOT / "packaging/systemd/hooks.conf").read_text(encoding="utf-8")
    opened = text.replace(f"#{CREDENTIAL}", CREDENTIAL) + "IPAddressAllow=127.0.0.1\n"
    serving.drop_in("hooks", opened)
    serving.restart()
    log = ("journalctl", "--unit=receiver", "--output=cat")
    is_received = wait_for(lambda: "done done-" in serving.run(*log), patience_s=60.0)
    serving.run("systemctl", "stop", "receiver")  # others want its port
    serving.path("/etc/systemd/system/cvunetd.service.d/hooks.conf").unlink()
    serving.run("systemctl", "daemon-reload")
    configure(serving, settings)
    serving.restart()

    event = json.loads(told.read_text(encoding="utf-8"))
    assert event["source"] == "hooked.png"
    assert wait_for(lambda: serving.path(f"{PLACE}/denied").exists(), patience_s=5.0)
    assert "Read-only" in serving.path(f"{PLACE}/denied").read_text(encoding="utf-8")
    assert not serving.path("/etc/by-hook").exists()
    assert "Address family not supported" in troubles(serving, moment)[0]["ERROR"]
    assert is_received, serving.run(*log) + serving.log()
    assert event["id"] in serving.run(*log)


def troubles(machine: Machine, moment: int) -> list[dict[str, Any]]:  # Any: JSON
    """What the journal tells of the webhook."""
    told = machine.entries(since=moment)
    return [entry for entry in told if entry.get("HOOK") == "on_done:shop"]


# --- reload --------------------------------------------------------------------------------------


# --- the page and the API in a unit of their own ------------------------------------------------

WEB = "cvunetd-web.service"
API = "http://127.0.0.1:8080/api/v1"
WEB_PROBE = """
import json
from pathlib import Path
def tried(path):
    try:
        Path(path, "probe").touch()
        return "allowed"
    except OSError as error:
        return type(error).__name__
[drop, *_] = [*Path("/srv/cvunetd/outputs").glob("outputs_*"), Path("/srv/cvunetd/outputs")]
print(json.dumps({
    **{place: tried(place) for place in (
        "/srv/cvunetd/hot", "/var/lib/cvunetd", "/etc/cvunetd", "/opt/cvunetd", "/srv", "/tmp/..",
        "/srv/cvunetd/uploads/.orders")},
    "results": tried(drop),
    "read the ledger": Path("/var/lib/cvunetd/ledger.db").read_bytes()[:6].decode(),
}))
"""


@pytest.fixture
def web(serving: Machine) -> Iterator[Machine]:
    """The daemon with uploads, and the server beside it."""
    settings = configuration(serving)
    settings["web"] = {"folder": f"{PLACE}/uploads", "listen": None}
    configure(serving, settings)
    serving.restart()
    text = (ROOT / "packaging/systemd" / WEB).read_text(encoding="utf-8")
    serving.write(f"/etc/systemd/system/{WEB}", text)
    serving.write(f"/etc/systemd/system/{WEB}.d/laboratory.conf", LABORATORY_OF_WEB)
    serving.run("systemctl", "daemon-reload")
    started = serving.process("systemctl", "restart", WEB)
    assert started.returncode == 0, web_log(serving)
    assert wait_for(lambda: asked(serving, "/status"), patience_s=30.0), web_log(serving)
    yield serving
    serving.run("systemctl", "stop", WEB)
    serving.path(f"/etc/systemd/system/{WEB}").unlink()
    del settings["web"]
    configure(serving, settings)
    serving.restart()


def web_log(machine: Machine) -> str:
    """What the server has said."""
    return machine.run("journalctl", "--no-pager", "--unit", WEB, "--lines=60", check=False)


def asked(machine: Machine, path: str, *options: str) -> dict[str, Any]:  # Any: JSON
    """An answer of the API inside; empty if there is none."""
    done = machine.process("curl", "--silent", "--fail", *options, f"{API}{path}")
    content: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    return content


def sent(machine: Machine, key: str) -> str:
    """The id of an upload; it is sent until it is answered."""
    options = ("-F", "image=@/opt/laboratory/photo.png", "-H", f"Idempotency-Key: {key}")
    found: list[str] = []

    def is_taken() -> bool:
        answer = asked(machine, "/pictures", *options)
        found.extend(one["id"] for one in answer.get("pictures", []))
        return bool(found)

    assert wait_for(is_taken, patience_s=30.0), web_log(machine)
    return found[0]


def is_cut_out(machine: Machine, upload_id: str) -> bool:
    """The picture comes out."""
    return wait_for(
        lambda: asked(machine, f"/pictures/{upload_id}").get("state") == "done", patience_s=60.0
    )


def test_an_upload_goes_through_both_units(web: Machine) -> None:
    """Sent to one, cut out by the other, fetched from the first; deleted by an order."""
    shutil.copy(PHOTO, web.path("/opt/laboratory/photo.png"))
    upload_id = sent(web, "first")

    assert is_cut_out(web, upload_id), web_log(web) + web.log()
    web.run("curl", "--fail", "-o", "/opt/laboratory/got.png", f"{API}/pictures/{upload_id}/result")
    assert web.path("/opt/laboratory/got.png").read_bytes().startswith(b"\x89PNG")
    assert asked(web, f"/pictures/{upload_id}", "-X", "DELETE")["state"] == "deleting"
    assert wait_for(lambda: not asked(web, f"/pictures/{upload_id}"), patience_s=20.0)
    user = web.run("systemctl", "show", "--value", "--property", "User", WEB).strip()
    assert user == "cvunetd-web"


def test_a_restart_during_uploads(web: Machine) -> None:
    """Of either unit: what was answered comes out."""
    shutil.copy(PHOTO, web.path("/opt/laboratory/photo.png"))
    ids = []
    for number in range(8):
        ids.append(sent(web, f"restart-{number}"))
        if number in (1, 4):
            web.run("systemctl", "restart", "--no-block", WEB)
        if number == 2:
            web.run("systemctl", "kill", "--signal=KILL", systemd_machine.UNIT)

    assert len(set(ids)) == 8
    for upload_id in ids:
        assert is_cut_out(web, upload_id), web_log(web) + web.log()
    assert not list(web.path(f"{PLACE}/uploads").glob("[0-9a-f]*"))


def test_the_server_writes_nothing_but_uploads(web: Machine) -> None:
    """Asked from inside its sandbox."""
    web.write("/opt/laboratory/web_probe.py", WEB_PROBE)
    drop_in = f"/etc/systemd/system/{WEB}.d/probe.conf"
    probe = f"[Service]\nExecStartPre={PYTHON}/bin/python3 /opt/laboratory/web_probe.py\n"
    web.write(drop_in, probe)
    web.run("systemctl", "daemon-reload")
    try:
        started = web.process("systemctl", "restart", WEB)
    finally:
        web.path(drop_in).unlink()
        web.run("systemctl", "daemon-reload")
    assert started.returncode == 0, web_log(web)

    def told() -> list[str]:
        lines = web.run("journalctl", "--output=cat", "--unit", WEB).splitlines()
        return [line for line in lines if line.startswith("{")]

    assert wait_for(told, patience_s=30.0), web_log(web)
    [probed] = map(json.loads, told())

    assert probed.pop("read the ledger") == "SQLite"
    assert probed.pop(f"{PLACE}/uploads/.orders") == "allowed"
    assert set(probed.values()) <= {"PermissionError", "OSError"}, probed
    web.path(f"{PLACE}/uploads/.orders/probe").unlink(missing_ok=True)


# --- no memory left ------------------------------------------------------------------------------

REMBG = "http://127.0.0.1:8080/api/remove?bgc=255,255,255,128"
#: Eats more than the rest of the unit has, so that the kernel takes it.
EATER = """#!/bin/sh
exec python3 -c 'held = bytearray(2_000_000_000)'
"""


def arranged(machine: Machine, name: str) -> str:
    """The status of an answer that a child of the server makes, into `got.png`."""
    target = ("--output", "/opt/laboratory/got.png", "--write-out", "%{http_code}")
    form = ("-F", f"file=@/opt/laboratory/{name}")
    return machine.run("curl", "--silent", *target, *form, REMBG, check=False).strip()


def life(machine: Machine, unit: str) -> tuple[str, ...]:
    """Whether a unit runs, its main process, and how often it was started anew."""
    names = ("ActiveState", "MainPID", "NRestarts")
    return tuple(memory_limits.shown(machine, unit, name) for name in names)


@pytest.fixture
def answering(web: Machine) -> Iterator[Machine]:
    """The server as the daemon's user, who sees that the daemon runs also on a layered disk."""
    drop_in = f"/etc/systemd/system/{WEB}.d/user.conf"
    web.run("systemctl", "stop", WEB)
    web.run("rm", "-r", f"{PLACE}/uploads/.incoming")  # it belongs to the other user
    web.write(drop_in, "[Service]\nUser=cvunetd\n")
    web.run("systemctl", "daemon-reload")
    web.run("systemctl", "start", WEB)
    yield web
    web.run("systemctl", "stop", WEB)
    web.run("rm", "-r", f"{PLACE}/uploads/.incoming")
    web.path(drop_in).unlink()


def test_child_without_memory_does_not_end_the_server(answering: Machine) -> None:
    """The kernel kills it, its client is told, and the same process answers the next one."""
    web = answering
    shutil.copy(PHOTO, web.path("/opt/laboratory/photo.png"))
    with Image.open(PHOTO) as photo:
        photo.resize((4000, 4000)).save(web.path("/opt/laboratory/large.jpg"))
    assert wait_for(lambda: arranged(web, "photo.png") == "200", patience_s=30.0), web_log(web)
    before = life(web, WEB)

    with memory_limits.limited(web, WEB, 150_000_000) as kills:
        refused, killed = arranged(web, "large.jpg"), kills()
    memory_limits.tell_systemd(web, WEB)
    time.sleep(2.0)  # longer than RestartSec

    assert (refused, killed) == ("422", 1), web_log(web)
    assert life(web, WEB) == before, web_log(web)
    assert arranged(web, "photo.png") == "200", web_log(web)
    assert web.path("/opt/laboratory/got.png").read_bytes().startswith(b"\x89PNG")


def test_server_without_memory_comes_back(web: Machine) -> None:
    """If the kernel takes the server itself, systemd starts it anew."""
    before = life(web, WEB)

    web.run("kill", "-KILL", before[1])
    came_back = wait_for(lambda: asked(web, "/status"), patience_s=30.0)
    state, pid, restarts = life(web, WEB)

    assert came_back, web_log(web)
    assert (state, int(restarts)) == ("active", int(before[2]) + 1)
    assert pid != before[1]


def test_hook_without_memory_does_not_end_the_daemon(serving: Machine) -> None:
    """The kernel kills the command, and the same daemon cuts the next picture."""
    serving.write("/usr/local/bin/eater", EATER)
    serving.path("/usr/local/bin/eater").chmod(0o755)
    settings = configuration(serving)
    configure(serving, settings | {"hooks": {"on_done": [{"command": ["eater"]}]}})
    serving.restart()
    before = life(serving, systemd_machine.UNIT)

    with memory_limits.limited(serving, systemd_machine.UNIT, 1_000_000_000) as kills:
        drop(serving, "eaten.png")
        is_killed = wait_for(kills, patience_s=60.0)
    configure(serving, settings)
    memory_limits.tell_systemd(serving, systemd_machine.UNIT)
    time.sleep(2.0)  # longer than RestartSec
    after = life(serving, systemd_machine.UNIT)
    serving.run("systemctl", "reload", systemd_machine.UNIT)
    drop(serving, "later.png")

    assert is_killed, serving.log()
    assert after == before, serving.log()
    assert comes_out(serving, "later"), serving.log()


def test_reload_adds_a_folder(serving: Machine) -> None:
    """Another hot folder, served by the same process."""
    settings, pid = configuration(serving), serving.pid()
    serving.run("install", "-d", "-o", "cvunetd", "-g", "cvunetd", "-m", "2770", f"{PLACE}/second")
    second = settings["folders"][0] | {"path": f"{PLACE}/second", "name": "second"}
    configure(serving, settings | {"folders": [settings["folders"][0], second]})

    moment = serving.moment()
    serving.run("systemctl", "reload", systemd_machine.UNIT)
    assert wait_for(lambda: serving.entries(event_ids.RELOADED, since=moment), patience_s=20.0)
    drop(serving, "second.png", folder="second")

    assert comes_out(serving, "second"), serving.log()
    assert serving.property("ActiveState") == "active"
    assert pid == serving.pid()


def test_reload_refuses_what_is_wrong(serving: Machine) -> None:
    """The old configuration stays, with the reason in the journal."""
    settings, pid = configuration(serving), serving.pid()
    configure(serving, settings | {"retention": {"keep_days": -1}})
    moment = serving.moment()
    try:
        serving.run("systemctl", "reload", systemd_machine.UNIT)
        assert wait_for(lambda: serving.entries(event_ids.REFUSED, since=moment), patience_s=20.0)
    finally:
        configure(serving, settings)
    [refused] = serving.entries(event_ids.REFUSED, since=moment)
    drop(serving, "still.png")

    assert "retention.keep_days" in refused["ERROR"]
    assert refused["PRIORITY"] == "3"
    assert comes_out(serving, "still"), serving.log()
    assert (serving.property("ActiveState"), serving.pid()) == ("active", pid)


# --- ends ----------------------------------------------------------------------------------------


def test_stop_and_kill_among_many_photos(serving: Machine) -> None:
    """Stopped by systemd, started, killed, restarted by systemd: all come out, each once."""
    expected = sorted(f"many{number}.png" for number in range(MANY))
    for name in expected:
        drop(serving, name)
    assert wait_for(lambda: len(outcomes(serving, "many")) >= 3, patience_s=60.0), serving.log()

    serving.run("systemctl", "stop", systemd_machine.UNIT)
    stopped = (serving.property("Result"), serving.property("ExecMainStatus"))
    done_before = outcomes(serving, "many")
    waiting = [
        *serving.path(f"{PLACE}/hot").glob("many*"),
        *serving.path(f"{PLACE}/hot/.cvunetd").rglob("many*"),
    ]
    serving.run("systemctl", "start", systemd_machine.UNIT)
    assert wait_for(lambda: len(outcomes(serving, "many")) > len(done_before), patience_s=60.0)
    serving.run("kill", "-KILL", str(serving.pid()))
    restarted = wait_for(lambda: serving.property("NRestarts") == "1", patience_s=20.0)
    # An original is moved after its result is published, so originals are what comes last.
    done = wait_for(lambda: len(originals(serving, "many")) >= MANY, patience_s=90.0)

    assert stopped == ("success", "0")
    assert len(done_before) < MANY
    assert len(done_before) + len(waiting) == MANY
    assert restarted
    assert done, serving.log()
    assert outcomes(serving, "many") == expected
    assert originals(serving, "many") == expected


def test_hung_model_ends_in_a_new_process(serving: Machine) -> None:
    """The loop turns, but gives no sign: systemd kills and starts anew, and the photo comes out."""
    serving.write("/opt/laboratory/hanging.py", HANGING)
    serving.drop_in(
        "hanging",
        "[Service]\nExecStart=\n"
        f"ExecStart=/opt/cvunetd/bin/python /opt/laboratory/hanging.py run --config {CONFIG}\n",
    )
    moment = serving.moment()
    try:
        serving.restart()
        before = serving.pid()
        serving.write(f"{PLACE}/hang", "")
        drop(serving, "hung.png")
        killed = wait_for(lambda: serving.property("NRestarts") == "1", patience_s=90.0)
        result = serving.entries(event_ids.STALLED, since=moment)
        serving.path(f"{PLACE}/hang").unlink()
        assert killed, serving.log()
        serving.wait_until_active()
        came_out = comes_out(serving, "hung")
    finally:
        serving.path("/etc/systemd/system/cvunetd.service.d/hanging.conf").unlink()
        serving.run("systemctl", "daemon-reload")

    assert "thread model-cpu does not come back" in result[0]["ERROR"]
    assert "Watchdog timeout" in serving.log()
    assert before != serving.pid()
    assert came_out, serving.log()


def test_wrong_configuration_fails_for_good(serving: Machine) -> None:
    """Exit status 78, and no restart."""
    settings = configuration(serving)
    configure(serving, settings | {"folders": [{"path": "/srv/nowhere"}]})
    try:
        started = serving.process("systemctl", "restart", systemd_machine.UNIT)
        time.sleep(3.0)  # three times RestartSec
        state = [
            serving.property(name)
            for name in ("ActiveState", "Result", "ExecMainStatus", "NRestarts")
        ]
    finally:
        configure(serving, settings)

    assert started.returncode != 0
    assert state == ["failed", "exit-code", "78", "0"], serving.log()
    assert "/srv/nowhere does not exist" in serving.log()


# --- upgrade and uninstallation ------------------------------------------------------------------


def test_upgrade_in_place(serving: Machine) -> None:
    """Another version, in a new process, with everything as it was."""
    before, pid = configuration(serving), serving.pid()
    source = serving.path(SOURCE)
    place = source / "daemon/__init__.py"
    text = place.read_text(encoding="utf-8")
    assert __version__ in text
    place.write_text(text.replace(__version__, "0.1.999"), encoding="utf-8")
    shutil.rmtree(serving.path(WHEELS))
    systemd_machine.build_wheel(source, serving.path(WHEELS))
    closed = ("/etc/cvunetd", CONFIG)
    serving.run("chgrp", "cvunetd", *closed)
    serving.run("chmod", "o=", *closed)
    serving.run("chmod", "2750", f"{PLACE}/outputs")  # who may read results is chosen by a person
    told = install(serving, "--cpu")
    drop(serving, "upgraded.png")

    assert f"= {CONFIG} stays as it is" in told
    assert before == configuration(serving)
    assert pid != serving.pid()
    assert [mode(serving, place) for place in closed] == ["750 cvunetd", "640 cvunetd"]
    assert mode(serving, f"{PLACE}/outputs") == "2750 cvunetd"
    assert "0.1.999" in serving.run(
        "/opt/cvunetd/bin/cvunetd", "--version", PYTHONPATH=str(LIBRARIES)
    )
    assert serving.path("/etc/systemd/system/cvunetd.service.d/laboratory.conf").exists()
    assert comes_out(serving, "upgraded"), serving.log()


def test_uninstall_touches_no_data(installed: Machine) -> None:
    """The program is gone; pictures, state, configuration, user and foreign drop-ins are not."""

    def contents() -> list[str]:
        folders = (PLACE, "/etc/cvunetd", "/var/lib/cvunetd")
        paths = (path for folder in folders for path in installed.path(folder).rglob("*"))
        return sorted(str(path) for path in paths if path.name not in ("status.json", "clock.json"))

    installed.run("systemctl", "stop", systemd_machine.UNIT)
    text = (ROOT / "packaging/systemd" / WEB).read_text(encoding="utf-8")
    installed.write(f"/etc/systemd/system/{WEB}", text)
    installed.run("systemctl", "enable", WEB)
    before = contents()
    installed.run("bash", INSTALL, "uninstall")

    assert before == contents()
    assert before
    assert not installed.path("/opt/cvunetd").exists()
    units = installed.path("/etc/systemd/system")
    assert [*units.rglob("cvunetd*.service")] == []
    assert not installed.path("/usr/local/bin/cvunetd").is_symlink()
    left = [*installed.path("/usr/local/share").rglob("*cvunetd*")]
    assert left == []
    assert installed.path("/etc/systemd/system/cvunetd.service.d/laboratory.conf").exists()
    assert installed.property("LoadState") == "not-found"
    assert installed.run("id", "--user", "cvunetd").strip().isdigit()


# --- the laboratory itself -----------------------------------------------------------------------


def left_behind(*names: str) -> list[str]:
    """Folders, mounts and processes of machines whose folders are called so."""
    folders = map(str, Path(tempfile.gettempdir()).iterdir())
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    processes = map(command_line, Path("/proc").glob("[0-9]*"))
    everything = (*folders, *mounts, *processes)
    return [line for line in everything if any(name in line for name in names)]


def command_line(process: Path) -> str:
    """Of a process that may just have ended."""
    try:
        return (process / "cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def test_boot_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its console's last lines, in one line; no mount, folder or process of it is left.

    Nor of one before it that was killed.
    """
    monkeypatch.setattr(systemd_machine.Machine, "state", lambda self: "starting")
    monkeypatch.setattr(systemd_machine, "BOOT_S", 4.0)
    stack, dead = ExitStack(), subprocess.Popen(["true"])
    dead.wait()
    left = Path(tempfile.gettempdir()) / f"{systemd_machine.PREFIX}{dead.pid}-killed"
    (left / "layer").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(left / "layer")], check=True)
    ours = (f"{systemd_machine.PREFIX}{os.getpid()}-", left.name)
    before = left_behind(*ours)

    with pytest.raises(CannotBoot, match=r"^systemd-nspawn is not up after 4 s: .*$"):
        stack.enter_context(systemd_machine.booted())

    assert [line for line in before if left.name in line] != []
    assert left_behind(*ours) == [line for line in before if left.name not in line]
