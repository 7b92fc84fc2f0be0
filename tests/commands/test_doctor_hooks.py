"""`doctor` on hooks: each fault with the line that mends it."""

import os
import shlex
import sys
from pathlib import Path

import pytest

from daemon.commands.checks.hook_entries import certificates
from daemon.commands.findings import Severity
from tests.commands.doctor_kit import findings, run, sound
from tests.hooks.hooks_kit import script

URL = "https://example.com/x"
UNIT = Path(__file__).parents[2] / "packaging/systemd/cvunetd.service"
DROP_IN = UNIT.with_name("hooks.conf")


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sound set-up without a unit."""
    return sound(tmp_path, monkeypatch)


@pytest.fixture
def unit(base: Path) -> Path:
    """The unit, installed."""
    path = base / "units/cvunetd.service"
    path.parent.mkdir()
    path.write_text(UNIT.read_text().replace("User=cvunetd", ""))
    return path


def test_no_hooks(base: Path):
    """Nothing to say."""
    assert findings(base)["hooks"].severity is Severity.SKIP


def test_sound_command(base: Path):
    """The daemon's user may run it."""
    found = findings(base, hooks={"on_done": [{"command": ["true"]}]})["hooks"]

    assert found.severity is Severity.PASS


def test_missing_command(base: Path):
    """The line opens the configuration."""
    found = findings(base, hooks={"on_done": [{"command": ["./gone"]}]})["hooks"]

    assert found.severity is Severity.FAIL
    assert found.text.startswith(f"hooks.on_done[0]: {base}/gone is not there")
    assert found.mend == f"${{EDITOR:-vi}} {shlex.quote(str(base / 'config.yaml'))}"


@pytest.mark.slow
@pytest.mark.root
def test_command_that_is_closed_to_the_daemon(base: Path):
    """Root may run it, the daemon may not: folder by folder, each line mends one."""
    script(base / "told.sh", "exit 0").chmod(0o744)
    (base / "state").mkdir()
    os.chown(base / "state", 65_534, 65_534)
    hooks = {"on_done": [{"command": ["./told.sh"]}]}
    texts = []
    for _ in range(9):
        found = findings(base, hooks=hooks)["hooks"]
        if found.severity is Severity.PASS:
            break
        texts.append(found.text)
        run(found.mend)

    assert found.severity is Severity.PASS
    assert "is closed to nobody" in texts[0]
    assert "may not be run by nobody" in texts[-1]


def test_missing_library(base: Path, monkeypatch: pytest.MonkeyPatch):
    """The daemon would refuse to start."""
    monkeypatch.delitem(sys.modules, "daemon.hooks.webhooks", raising=False)
    monkeypatch.setitem(sys.modules, "urllib3", None)
    found = findings(base, hooks={"on_done": [{"url": URL}]})["hooks"]

    assert found.severity is Severity.FAIL
    assert found.mend.endswith("-m pip install 'cvunet-daemon[hooks]'")


@pytest.mark.webhooks
def test_key_that_everybody_reads(base: Path):
    """Proves nothing."""
    (base / "key").write_text("0123456789abcdef")
    (base / "key").chmod(0o644)
    hooks = {"on_done": [{"url": URL, "secret_file": "key"}]}
    found = findings(base, hooks=hooks)["hooks"]
    run(found.mend)

    assert found.severity is Severity.WARN
    assert findings(base, hooks=hooks)["hooks"].severity is Severity.PASS


@pytest.mark.parametrize(
    ("names", "severity"), [([], Severity.FAIL), (["0a1b2c3d.0"], Severity.PASS)]
)
def test_folder_of_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], severity: Severity
):
    """It is there without the package ca-certificates, too, but empty."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "certs"))
    (tmp_path / "certs").mkdir()
    for name in names:
        (tmp_path / "certs" / name).write_text("")

    assert certificates().severity is severity


@pytest.mark.webhooks
def test_unit_without_a_network(base: Path, unit: Path):
    """The drop-in is what mends it; a command needs none."""
    hooks = {"on_done": [{"url": URL}]}
    found = findings(base, hooks=hooks)["hooks"]
    drop_in = unit.with_name("cvunetd.service.d") / "hooks.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(DROP_IN.read_text())

    assert found.severity is Severity.FAIL
    assert found.text == "the unit has no network: webhooks reach nobody"
    assert "hooks.conf" in found.mend
    assert findings(base, hooks=hooks)["hooks"].severity is Severity.PASS


@pytest.mark.webhooks
def test_credential_that_the_unit_does_not_load(base: Path, unit: Path):
    """The line of the drop-in, taken out of its comment, is what mends it."""
    hooks = {"on_done": [{"url": URL, "secret": "shop-key"}]}
    drop_in = unit.with_name("cvunetd.service.d") / "hooks.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(DROP_IN.read_text())
    found = findings(base, hooks=hooks)["hooks"]
    drop_in.write_text(DROP_IN.read_text().replace("#LoadCredential", "LoadCredential"))

    assert found.severity is Severity.FAIL
    assert "add LoadCredential=shop-key:" in found.mend
    assert findings(base, hooks=hooks)["hooks"].severity is Severity.PASS


def test_unit_does_not_concern_commands(base: Path, unit: Path):
    """They need no network to be run."""
    found = findings(base, hooks={"on_done": [{"command": ["true"]}]})["hooks"]

    assert found.severity is Severity.PASS
