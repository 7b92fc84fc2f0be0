"""packaging/install.sh and the scripts of the .deb: what they ask of systemd, which is a fake here.

They run in folders of their own: each path of the system in them is led there.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.test_packaging import ROOT

DAEMON, PAGE = "cvunetd.service", "cvunetd-web.service"
HEAD, NODE = "cvunetd-ray-head.service", "cvunetd-ray-node.service"
UNITS = "etc/systemd/system"
PROGRAM = "opt/cvunetd/share/cvunetd/packaging"
SYSTEM_PATH = re.compile(r"(?<![\w.*}/-])/(?=(?:opt|etc|run|var/lib|usr/local|lib/systemd)/)")
#: Notes how it was called, and fails where it is told to.
FAKE = """#!/bin/sh
echo "${0##*/} $*" >>CALLS
[ ! -e "FAKES/${0##*/}.fails" ] || exit 1
"""
SYSTEMCTL = """
for unit; do :; done
state=$(cat "FAKES/$unit" 2>/dev/null || echo inactive)
case $1 in
    show) echo "$state" ;;
    is-active) [ "$state" = active ] ;;
esac
"""
#: An interpreter whose pip brings what lies in the folder `program`. It says its version, if it
#: has one.
PYTHON = """
version=
case " $* " in
    *" -c "*version_info*2*) echo "$version" ;;
    *" -m venv "*)
        mkdir -p HOME/bin HOME/share/cvunetd/packaging/ray
        cp "$0" HOME/bin/python
        cp "${0%/*}/cvunetd" HOME/bin/
        ;;
    *" wheel "*)
        while [ "$1" != --wheel-dir ]; do shift; done
        touch "$2/cvunet_daemon-1.whl"
        ;;
    *" install "*) cp -r FAKES/program/* HOME/share/cvunetd/packaging/ ;;
esac
"""
DOCUMENTS = ("decisions/reason.md", "hook.schema.json", "page.md")
RUNNING = ("active", "activating", "reloading", "deactivating")


@dataclass(frozen=True, kw_only=True)
class System:
    """A machine in a folder."""

    root: Path
    fakes: Path

    def path(self, name: str) -> Path:
        """A file of it."""
        return self.root / name

    def state(self, unit: str, state: str) -> None:
        """What systemd says of a unit."""
        (self.fakes / unit).write_text(state)

    def write(self, name: str, text: str) -> None:
        """A file of it, its folders made."""
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text)

    def release(self, text: str, program: Path | None = None) -> None:
        """What the next version of the program brings as the units that one may copy."""
        for unit in (PAGE, f"ray/{HEAD}", f"ray/{NODE}"):
            copy = (program or self.fakes / "program") / unit
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(text)

    def run(self, script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run one of our scripts; the process after its end."""
        source = self.fakes / "source/packaging" / script
        source.write_text(SYSTEM_PATH.sub(f"{self.root}/", source.read_text()))
        environment = os.environ | {"PATH": f"{self.fakes}/bin:{os.environ['PATH']}"}
        shell = "bash" if script.endswith(".sh") else "sh"
        return subprocess.run(
            [shell, str(source), *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def asked(self, script: str, *arguments: str) -> list[str]:
        """Run one; what it has changed by systemd's programs."""
        (self.fakes / "calls").write_text("")
        done = self.run(script, *arguments)
        assert done.returncode == 0, done.stdout
        calls = (self.fakes / "calls").read_text().splitlines()
        return [
            call
            for call in calls
            if call.startswith("systemd-sysctl ")
            or (call.startswith("systemctl ") and call.split()[1] not in ("show", "is-active"))
        ]


@pytest.fixture
def system(tmp_path: Path) -> System:
    """A machine with our source, with systemd and with nothing of ours installed."""
    found = System(root=tmp_path / "root", fakes=tmp_path / "fakes")
    source, programs = found.fakes / "source", found.fakes / "bin"
    shutil.copytree(ROOT / "packaging", source / "packaging")
    # pytest's folder may lie where a daemon could not see it.
    script = source / "packaging/install.sh"
    script.write_text(script.read_text().replace("/root/* | /home/*", "/nowhere/*"))
    shutil.copy(ROOT / "config.yaml", source)
    for folder in (source / "docs/decisions", programs, found.fakes / "program"):
        folder.mkdir(parents=True)
    for name in DOCUMENTS:
        (source / "docs" / name).write_text("")
    found.release("first\n")
    bodies = {"systemctl": SYSTEMCTL, "python3": PYTHON, "cvunetd": "echo '[Service]'\n"}
    bodies["dpkg-query"] = 'cat "FAKES/package" 2>/dev/null\n'
    for name in (*bodies, "systemd-sysusers", "systemd-tmpfiles", "systemd-sysctl", "id"):
        body = FAKE + bodies.get(name, "echo 0\n")
        body = body.replace("CALLS", f"{found.fakes}/calls").replace("FAKES", str(found.fakes))
        (programs / name).write_text(body.replace("HOME", f"{found.root}/opt/cvunetd"))
        (programs / name).chmod(0o755)
    sysctl = found.path("lib/systemd/systemd-sysctl")
    for folder in (sysctl.parent, *map(found.path, ("run/systemd/system", "usr/local/bin"))):
        folder.mkdir(parents=True)
    sysctl.symlink_to(programs / "systemd-sysctl")
    return found


@pytest.fixture
def installed(system: System) -> System:
    """The script has installed the service, which runs."""
    system.asked("install.sh")
    system.state(DAEMON, "active")
    return system


@pytest.fixture
def packaged(system: System) -> System:
    """The package is installed, and the service runs."""
    system.write("etc/cvunetd/config.yaml", "")
    system.state(DAEMON, "active")
    system.release("first\n", system.path(PROGRAM))
    return system


def upgrade(system: System) -> list[str]:
    """As dpkg does it: what was asked of systemd."""
    calls = system.asked("deb/prerm", "upgrade", "2")
    calls += system.asked("deb/preinst", "upgrade", "1")
    system.release("second\n", system.path(PROGRAM))
    return calls + system.asked("deb/postinst", "configure", "1")


# --- install.sh ----------------------------------------------------------------------------------


def test_first_installation(system: System):
    """It is enabled and started; the limits of all files hold, so of later ones that raise ours."""
    assert system.asked("install.sh") == [
        "systemd-sysctl --prefix=fs.inotify",
        f"systemctl enable --quiet {DAEMON}",
        "systemctl daemon-reload",
        f"systemctl restart {DAEMON}",
    ]


def test_documents(installed: System):
    """Those that they link to are there, too."""
    folder = installed.path("opt/cvunetd/share/doc/cvunetd")
    found = (path for path in folder.rglob("*") if path.is_file())

    assert sorted(path.relative_to(folder).as_posix() for path in found) == [*DOCUMENTS]


@pytest.mark.parametrize("program", ["systemd-tmpfiles", "cvunetd"])
def test_first_installation_breaks_off(system: System, program: str):
    """The next try is a first one, too: the service is enabled and started."""
    fault = system.fakes / f"{program}.fails"
    fault.touch()

    broken = system.run("install.sh")
    fault.unlink()
    calls = system.asked("install.sh")

    assert broken.returncode != 0
    assert system.path(f"{UNITS}/{DAEMON}").exists()
    assert f"systemctl enable --quiet {DAEMON}" in calls
    assert f"systemctl restart {DAEMON}" in calls


@pytest.mark.parametrize("state", [*RUNNING, "inactive", "failed"])
def test_upgrade(installed: System, state: str):
    """A daemon that loads its model runs, too; what was disabled or stopped stays so.

    One that has failed is started: what made it fail may be mended, as after a first start.
    """
    installed.state(DAEMON, state)

    calls = installed.asked("install.sh")

    assert (f"systemctl restart {DAEMON}" in calls) == (state != "inactive")
    assert [call for call in calls if "enable" in call or PAGE in call] == []


def test_wheel_of_the_installed_version(installed: System):
    """It is installed again, because another build may have the same number; its libraries stay."""
    installed.asked("install.sh", "--from", "cvunet_daemon-1.whl")

    calls = (installed.fakes / "calls").read_text().splitlines()
    assert [
        call for call in calls if call.endswith("--force-reinstall --no-deps cvunet_daemon-1.whl")
    ]


#: Builds by the pip of the tests, and keeps what is installed.
REAL_PIP = """#!/bin/sh
for last; do :; done
case " $* " in
    *" wheel "*) exec PYTHON "$@" --no-build-isolation ;;
    *.whl" ") cp "$last" KEPT ;;
esac
"""


def test_checkout_in_which_was_built(system: System):
    """Modules of an earlier version are not installed again, and nothing is left in it."""
    pytest.importorskip("setuptools")
    source = system.fakes / "source"
    (source / "setup.cfg").write_text("[metadata]\nname = made\n[options]\npy_modules = new\n")
    (source / "setup.py").write_text("import setuptools\nsetuptools.setup()\n")
    (source / "build/lib").mkdir(parents=True)
    for name in ("new.py", "build/lib/old.py"):
        (source / name).touch()
    before = sorted(source.rglob("*"))
    python = system.fakes / "bin/python3"
    real = REAL_PIP.replace("PYTHON", sys.executable).replace("KEPT", f"{system.fakes}/kept.whl")
    python.write_text(python.read_text().replace("#!/bin/sh\n", real))

    done = system.run("install.sh")

    assert done.returncode == 0, done.stdout
    with zipfile.ZipFile(system.fakes / "kept.whl") as wheel:
        assert [name for name in wheel.namelist() if name.endswith(".py")] == ["new.py"]
    assert sorted(source.rglob("*")) == before


@pytest.mark.parametrize("state", ["active", "inactive"])
def test_upgrade_of_a_page(installed: System, state: str):
    """Its unit is renewed, and after the daemon it is restarted if it runs."""
    installed.write(f"{UNITS}/{PAGE}", "first\n")
    installed.release("second\n")
    installed.state(DAEMON, state)

    calls = installed.asked("install.sh")

    assert installed.path(f"{UNITS}/{PAGE}").read_text() == "second\n"
    assert calls[-1] == f"systemctl try-restart {PAGE}"


def test_upgrade_of_a_page_that_was_changed(installed: System):
    """Its unit stays, and it is told where the new one is."""
    installed.write(f"{UNITS}/{PAGE}", "mine\n")
    installed.release("second\n")

    done = installed.run("install.sh")

    assert installed.path(f"{UNITS}/{PAGE}").read_text() == "mine\n"
    assert f"{PAGE} was changed and stays" in done.stdout


@pytest.mark.parametrize("unit", [HEAD, NODE])
def test_upgrade_of_a_node(installed: System, unit: str):
    """The unit of Ray is renewed, and restarted before the daemon that asks it."""
    installed.write(f"{UNITS}/{unit}", "first\n")
    installed.release("second\n")

    calls = installed.asked("install.sh")

    assert installed.path(f"{UNITS}/{unit}").read_text() == "second\n"
    assert calls[-2:] == [f"systemctl try-restart {unit}", f"systemctl restart {DAEMON}"]


def test_a_node_that_does_not_start(installed: System):
    """Daemon and page are restarted all the same; then it is told."""
    for unit in (PAGE, NODE):
        installed.write(f"{UNITS}/{unit}", "first\n")
    program = installed.fakes / "bin/systemctl"
    refusal = f'[ "$1 $2" != "try-restart {NODE}" ] || exit 1\n'
    program.write_text(program.read_text() + refusal)

    done = installed.run("install.sh")
    calls = (installed.fakes / "calls").read_text()

    assert done.returncode == 1
    assert f"{NODE} did not start: journalctl -u UNIT" in done.stdout
    assert f"systemctl restart {DAEMON}" in calls
    assert f"systemctl try-restart {PAGE}" in calls


def test_upgrade_without_a_start(installed: System):
    """Nothing is restarted."""
    for unit in (PAGE, NODE):
        installed.write(f"{UNITS}/{unit}", "first\n")

    assert [call for call in installed.asked("install.sh", "--no-start") if "start" in call] == []


def remade(system: System) -> list[str]:
    """The calls that have made an environment."""
    calls = (system.fakes / "calls").read_text().splitlines()
    return [call for call in calls if " -m venv " in call]


def test_upgrade_after_the_python_was_replaced(installed: System):
    """The environment is made anew: its interpreter is another one, which finds no libraries."""
    installed.write("opt/cvunetd/bin/python", '#!/bin/sh\n[ "$2" != pip ]\n')
    installed.path("opt/cvunetd/bin/python").chmod(0o755)
    (installed.fakes / "calls").write_text("")

    done = installed.run("install.sh")

    assert done.returncode == 0
    assert "install 'cvunet-daemon[web]'" in done.stdout
    assert remade(installed) == [f"python3 -m venv --clear {installed.root}/opt/cvunetd"]


@pytest.mark.parametrize("version", ["3.11", "3.13"])
def test_upgrade_with_a_python_that_is_named(installed: System, version: str):
    """The environment is made anew if it has another version of Python."""
    for path, own in (("bin/python3.13", "3.13"), ("../root/opt/cvunetd/bin/python", version)):
        program = installed.fakes / path
        text = (installed.fakes / "bin/python3").read_text()
        program.write_text(text.replace("version=\n", f"version={own}\n"))
        program.chmod(0o755)

    installed.asked("install.sh", "--python", "python3.13")

    assert len(remade(installed)) == (version != "3.13")


def test_upgrade_keeps_the_environment(installed: System):
    """Its Python stays, which may be another one than that of the system."""
    installed.asked("install.sh")

    assert remade(installed) == []


def test_uninstallation(installed: System):
    """All units are stopped, and do not start with the machine; then they are gone."""
    for unit in (PAGE, HEAD, NODE):
        installed.write(f"{UNITS}/{unit}", "mine\n")

    calls = installed.asked("install.sh", "uninstall")

    assert calls[:4] == [
        f"systemctl disable --quiet --now {unit}" for unit in (PAGE, DAEMON, HEAD, NODE)
    ]
    assert [*installed.path(UNITS).iterdir()] == []


@pytest.mark.parametrize("command", ["install", "uninstall"])
@pytest.mark.parametrize("state", ["installed", "half-configured", "config-files"])
def test_package_beside_the_script(packaged: System, command: str, state: str):
    """The program is the package's until it is removed: the script neither mixes nor deletes it."""
    (packaged.fakes / "package").write_text(state)

    done = packaged.run("install.sh", command)

    is_refused = state != "config-files"
    assert (done.returncode != 0) == is_refused, done.stdout
    assert ("apt-get remove cvunetd" in done.stdout) == is_refused
    if is_refused:
        assert [*packaged.path("opt").rglob("*.service")] != []


# --- the scripts of the .deb ---------------------------------------------------------------------


@pytest.mark.parametrize("state", [*RUNNING, "inactive", "failed"])
def test_upgrade_of_the_package(packaged: System, state: str):
    """The daemon is stopped and started again if it runs, also while it loads its model."""
    packaged.state(DAEMON, state)

    calls = upgrade(packaged)

    is_running = state in RUNNING
    assert (f"systemctl stop {DAEMON}" in calls) == is_running
    assert (f"systemctl restart {DAEMON}" in calls) == is_running
    assert "systemd-sysctl --prefix=fs.inotify" in calls
    assert [call for call in calls if PAGE in call] == []


@pytest.mark.parametrize(
    ("before", "state", "after", "action"),
    [
        ("first\n", "active", "second\n", "restart"),
        ("mine\n", "activating", "mine\n", "restart"),
        ("first\n", "inactive", "second\n", "try-restart"),
    ],
)
def test_upgrade_of_a_packaged_page(
    packaged: System, before: str, state: str, after: str, action: str
):
    """It does not run while its program is replaced; a unit that was changed stays."""
    packaged.write(f"{UNITS}/{PAGE}", before)
    packaged.state(PAGE, state)

    calls = upgrade(packaged)

    assert (calls[0] == f"systemctl stop {PAGE}") == (action == "restart")
    assert calls[-1] == f"systemctl {action} {PAGE}"
    assert packaged.path(f"{UNITS}/{PAGE}").read_text() == after
    assert [*packaged.path("run").glob("cvunetd*")] == []


@pytest.mark.parametrize("unit", [HEAD, NODE])
def test_upgrade_of_a_packaged_node(packaged: System, unit: str):
    """It does not run while its program is replaced, and is there before the daemon."""
    packaged.write(f"{UNITS}/{unit}", "first\n")
    packaged.state(unit, "active")

    calls = upgrade(packaged)

    assert calls[1] == f"systemctl stop {unit}"
    assert calls[-2:] == [f"systemctl restart {unit}", f"systemctl restart {DAEMON}"]
    assert packaged.path(f"{UNITS}/{unit}").read_text() == "second\n"


def test_upgrade_that_fails(packaged: System):
    """What ran before runs again, with the old program; what did not run does not."""
    packaged.write(f"{UNITS}/{PAGE}", "first\n")
    packaged.state(PAGE, "active")
    packaged.state(NODE, "inactive")
    packaged.asked("deb/prerm", "upgrade", "2")
    packaged.asked("deb/preinst", "upgrade", "1")

    calls = packaged.asked("deb/postinst", "abort-upgrade", "2")

    assert calls == [
        "systemctl daemon-reload",
        *(f"systemctl restart {unit}" for unit in (DAEMON, PAGE)),
    ]
    assert packaged.path(f"{UNITS}/{PAGE}").read_text() == "first\n"
    assert [*packaged.path("run").glob("cvunetd*")] == []


def test_removal_of_the_package(packaged: System):
    """All that runs is stopped and disabled; units that were copied stay until a purge."""
    copies = (PAGE, HEAD, NODE)
    for unit in copies:
        packaged.write(f"{UNITS}/{unit}", "mine\n")
        packaged.state(unit, "active")

    calls = packaged.asked("deb/prerm", "remove")
    packaged.asked("deb/postrm", "remove")
    is_left = [packaged.path(f"{UNITS}/{unit}").exists() for unit in copies]
    packaged.asked("deb/postrm", "purge")

    for unit in (DAEMON, *copies):
        assert f"systemctl stop {unit}" in calls
        assert f"systemctl disable --quiet {unit}" in calls
    assert all(is_left)
    assert [*packaged.path(UNITS).iterdir()] == []


@pytest.mark.parametrize("old", ["", "1"])
def test_installation_of_the_package(packaged: System, old: str):
    """The service is enabled and started; dpkg still names a version that was removed before."""
    if old:
        packaged.asked("deb/prerm", "remove")
        packaged.asked("deb/postrm", "remove")
    packaged.state(DAEMON, "inactive")
    packaged.asked("deb/preinst", "install", old)

    calls = packaged.asked("deb/postinst", "configure", old)

    assert f"systemctl enable --quiet {DAEMON}" in calls
    assert calls[-1] == f"systemctl restart {DAEMON}"
    assert [*packaged.path("run").glob("cvunetd*")] == []


def test_installation_of_the_package_that_fails(packaged: System):
    """It leaves no mark that would make the next upgrade an installation."""
    packaged.asked("deb/preinst", "install", "1")

    packaged.asked("deb/postrm", "abort-install", "1")

    assert [*packaged.path("run").glob("cvunetd*")] == []


def test_purge_after_the_script_has_installed(packaged: System):
    """What install.sh has made since the removal is not the package's: all of it stays."""
    packaged.asked("deb/prerm", "remove")
    packaged.asked("deb/postrm", "remove")
    made = ("opt/cvunetd/pyvenv.cfg", "var/lib/cvunetd/ledger.db", f"{UNITS}/{PAGE}")
    for name in made:
        packaged.write(name, "")

    done = packaged.run("deb/postrm", "purge")

    assert "nothing is deleted" in done.stdout
    assert all(packaged.path(name).exists() for name in (*made, "etc/cvunetd/config.yaml"))


# --- folders -------------------------------------------------------------------------------------


def test_folders_that_were_changed(tmp_path: Path):
    """Who may read results stays as it is; the sticky bit comes back."""
    program = shutil.which("systemd-tmpfiles") or pytest.skip("no systemd-tmpfiles")
    text = (ROOT / "packaging/tmpfiles.d/cvunetd.conf").read_text(encoding="utf-8")
    rules, place = tmp_path / "rules.conf", tmp_path / "cvunetd"
    text = text.replace("/srv/cvunetd", str(place))
    rules.write_text(
        text.replace(" cvunetd cvunetd ", f" {os.getuid()} {os.getgid()} ").replace(
            ":cvunetd :cvunetd", f":{os.getuid()} :{os.getgid()}"
        )
    )

    def create() -> dict[str, str]:
        subprocess.run([program, "--create", str(rules)], check=True)
        return {path.name: oct(path.stat().st_mode & 0o7777) for path in (place, *place.iterdir())}

    made = create()
    for path in (place, *place.iterdir()):
        path.chmod(0o2750)
    later = create()

    sticky = dict.fromkeys(("cvunetd", "hot", "uploads"), "0o3770")
    assert made == sticky | dict.fromkeys(("outputs", "failed"), "0o2770")
    assert later == sticky | dict.fromkeys(("outputs", "failed"), "0o2750")
