"""`hooks:` of the configuration, and what the start makes of it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.config.hook_schema import HookEntry
from daemon.config.schema import load
from daemon.errors import InstallError
from daemon.hooks.loader import HookLoader
from daemon.notices import Command, Hook, Subscriptions, Webhook
from tests.hooks.hooks_kit import script
from tests.system.daemon_process import call, environment

ROOT = Path(__file__).parents[2]
URL = "https://example.com/x"
TRUE = {"command": ["true"]}
KEY = "0123456789abcdef"


def write(base: Path, **hooks: Any) -> Path:  # Any: YAML
    """A configuration with hooks; events that are left out have none."""
    path = base / "config.yaml"
    path.write_text(yaml.safe_dump({"hooks": hooks}))
    return path


def read(base: Path, environment: dict[str, str] | None = None, **hooks: Any) -> Subscriptions:
    """What the start makes of hooks."""
    config, folder = load(write(base, **hooks))
    return HookLoader(folder, environment or {"PATH": os.defpath}).subscriptions(config.hooks)


# --- what may be written -------------------------------------------------------------------


def test_every_key_is_shown():
    """config.yaml and the guide show each key of an entry, as they can hold no default of it."""
    for name in ("config.yaml", "docs/hooks.md"):
        text = (ROOT / name).read_text()
        missing = [key for key in HookEntry.model_fields if f"{key}:" not in text]
        assert missing == [], name


def test_example_of_the_sample_is_well(tmp_path: Path):
    """What is commented out there could be used as it is."""
    lines = (ROOT / "config.yaml").read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("hooks:"))
    end = next(number for number, line in enumerate(lines) if line.startswith("  on_done:"))
    entries = yaml.safe_load("\n".join(line.strip().lstrip("#") for line in lines[start + 1 : end]))

    config, _ = load(write(tmp_path, on_done=entries))

    command, webhook = config.hooks.on_done
    assert command.command == ["/usr/local/bin/notify", "--quiet"]
    assert webhook.secret == "shop-key"


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({}, "either a command or a url"),
        ({"command": ["true"], "url": URL}, "either a command or a url"),
        ({"command": []}, "at least 1"),
        ({"command": ["true", ""]}, "at least 1"),
        ({"command": "true"}, "list"),
        ({"command": ["true"], "secret": "x"}, "secret: only for a url"),
        ({"command": ["true"], "allow_private": True}, "allow_private: only for a url"),
        ({"command": ["true"], "timeout_s": 0}, "greater than 0"),
        ({"command": ["true"], "timeout_s": 4000}, "less than or equal to 3600"),
        ({"command": ["a\0b"]}, "null characters"),
        ({"command": ["true"], "name": "a b"}, "letters, digits"),
        ({"url": "example.com"}, "write https://host/path"),
        ({"url": "https://u:p@example.com/"}, "use secret or secret_file"),
        ({"url": "https://h.example:PASSWORD/"}, "look at its brackets and its port"),
        ({"url": "http://example.com/"}, "allow_http: true and allow_private: true"),
        ({"url": "http://example.com/", "allow_http": True}, "allow_http: true and allow_private"),
        ({"url": "https://127.0.0.1/"}, "set allow_private: true"),
        ({"url": "https://[::1]/"}, "set allow_private: true"),
        ({"url": "https://169.254.169.254/", "allow_private": True}, "never used"),
        ({"url": URL, "secret": "../key"}, "name of a systemd credential"),
        ({"url": URL, "secret": "x", "secret_file": "y"}, "either secret or secret_file"),
        ({"url": URL, "tiemout_s": 3}, "did you mean 'timeout_s'"),
    ],
)
def test_fault_is_one_line(tmp_path: Path, entry: dict[str, Any], fault: str):
    """File, line, key, and what to write instead; never the address, which may be a secret."""
    with pytest.raises(InstallError, match=r"config\.yaml:\d+: .*hooks\.on_done\[0\]") as caught:
        load(write(tmp_path, on_done=[entry]))

    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)
    assert URL not in str(caught.value)
    assert "PASSWORD" not in str(caught.value)


@pytest.mark.parametrize(
    "hooks",
    [URL, {"on_done": URL}, {"on_done": [URL]}, {URL: None}, {"on_done": [{URL: None}]}],
)
def test_url_in_the_wrong_place_is_not_quoted(tmp_path: Path, hooks: object):
    """An address that is no value of the key `url`, also before a colon, as a key of YAML."""
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"hooks": hooks}))
    with pytest.raises(InstallError, match=r"this text is not a|a URL is no key; known") as caught:
        load(tmp_path / "config.yaml")

    assert URL not in str(caught.value)


# --- what has to be there ------------------------------------------------------------------


def test_command(tmp_path: Path):
    """Found in PATH, or by a path from the configuration's folder; the rest as it stands."""
    script(tmp_path / "told.sh", "exit 0")
    found = read(
        tmp_path,
        on_done=[{"command": ["true", "a b"], "timeout_s": 3}],
        on_failed=[{"command": ["./told.sh"], "name": "mine"}],
    )

    [first, second] = found.hooks
    assert isinstance(first.target, Command)
    assert first.target.argv[1:] == ("a b",)
    assert Path(first.target.argv[0]).is_absolute()
    assert (first.key, first.timeout_s) == ("on_done:true", 3.0)
    assert Hook("on_failed", "mine", Command((str(tmp_path / "told.sh"),))) == second


def test_program_is_called_by_its_own_name(tmp_path: Path):
    """Some look at it: a link is not followed."""
    (tmp_path / "true-as-link").symlink_to("/bin/true")
    [hook] = read(tmp_path, on_done=[{"command": ["./true-as-link"]}]).hooks

    assert hook.target == Command((str(tmp_path / "true-as-link"),))


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"command": ["no-such-program-here"]}, "no program 'no-such-program-here' in PATH"),
        ({"command": ["./gone"]}, "gone is not there, or closed to this user"),
        ({"command": ["./plain"]}, "plain is not executable: chmod +x"),
        ({"command": ["./folder"]}, "folder is not there"),
        ({"command": ["~nobody-here/x"]}, "~nobody-here/x is not there"),
        ({"command": ["./" + "x" * 300]}, "x is not there"),
    ],
)
def test_program_that_cannot_be_run(tmp_path: Path, entry: dict[str, Any], fault: str):
    """Told at the start, not in the night."""
    (tmp_path / "plain").write_text("")
    (tmp_path / "plain").chmod(0o644)
    (tmp_path / "folder").mkdir()

    with pytest.raises(InstallError, match=r"^hooks\.on_failed\[1\]: ") as caught:
        read(tmp_path, on_failed=[TRUE, entry])

    assert fault in str(caught.value)


def test_every_fault_is_told(tmp_path: Path):
    """One line each."""
    gone = {"command": ["./gone"]}

    with pytest.raises(InstallError) as caught:
        read(tmp_path, on_done=[gone, TRUE, gone], on_failed=[gone])

    assert len(str(caught.value).splitlines()) == 3


def test_two_of_one_name(tmp_path: Path):
    """What waits for the one would be told to the other."""
    with pytest.raises(
        InstallError, match=r"on_done\[1\]: is called true like hooks\.on_done\[0\]"
    ):
        read(tmp_path, on_done=[TRUE, TRUE])


def test_one_name_in_two_events(tmp_path: Path):
    """Is no clash."""
    found = read(tmp_path, on_done=[TRUE], on_failed=[TRUE])

    assert [hook.key for hook in found.hooks] == ["on_done:true", "on_failed:true"]


@pytest.mark.webhooks
def test_webhook(tmp_path: Path):
    """Called by its host, never by its path; its key comes from a file."""
    (tmp_path / "key").write_text(KEY)
    [hook] = read(tmp_path, on_done=[{"url": URL, "secret_file": "key"}]).hooks

    assert Hook("on_done", "example.com", Webhook(URL, key=KEY.encode())) == hook


@pytest.mark.webhooks
def test_credential(tmp_path: Path):
    """Systemd has put it into a folder of its own."""
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials/shop").write_text(KEY)
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    [hook] = read(tmp_path, environment, on_done=[{"url": URL, "secret": "shop"}]).hooks

    assert isinstance(hook.target, Webhook)
    assert hook.target.key == KEY.encode()


@pytest.mark.webhooks
@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ({"secret": "shop"}, "let systemd start the daemon with LoadCredential=shop:FILE"),
        ({"secret_file": "gone"}, "gone cannot be read"),
        ({"secret_file": "~nobody-here/x"}, "leads nowhere"),
        ({"ca_file": "a\0b"}, "leads nowhere"),
        ({"ca_file": "gone"}, "gone cannot be used: FileNotFoundError"),
        ({"ca_file": "config.yaml"}, "config.yaml cannot be used: SSLError"),
    ],
)
def test_what_a_webhook_needs(tmp_path: Path, entry: dict[str, Any], fault: str):
    """Is looked at when the daemon starts."""
    with pytest.raises(InstallError, match=r"hooks\.on_done\[0\]: ") as caught:
        read(tmp_path, on_done=[{"url": URL} | entry])

    assert fault in str(caught.value)


def test_missing_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Or one that is too old: which command installs it."""
    for name in [name for name in sys.modules if name.startswith("urllib3")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "daemon.hooks.webhooks", raising=False)
    monkeypatch.setitem(sys.modules, "urllib3", None)

    with pytest.raises(InstallError, match=r"pip install 'cvunet-daemon\[hooks\]'"):
        read(tmp_path, on_done=[{"url": URL}])


@pytest.mark.slow
def test_check_config_tells_hooks(tmp_path: Path):
    """And ends with 78, with one line, where one cannot work."""
    (tmp_path / "hot").mkdir()
    path = write(tmp_path, on_done=[{"command": ["./gone"]}])
    wrong = call(tmp_path, "check-config", "--config", path)
    script(tmp_path / "gone", "exit 0")
    content = yaml.safe_load(path.read_text()) | {
        "model": {"weights": str(ROOT / "models/cvunet.pth")}
    }
    path.write_text(yaml.safe_dump(content))
    well = call(tmp_path, "check-config", "--config", path)

    assert "hook: on_done:gone" in well.stdout, well.stderr
    assert (wrong.returncode, well.returncode) == (78, 0)


@pytest.mark.slow
def test_start_ends_with_78(tmp_path: Path):
    """`run` and `once`, before the model is loaded."""
    (tmp_path / "hot").mkdir()
    path = write(tmp_path, on_done=[{"command": ["./gone"]}])
    ended = [call(tmp_path, command, "--config", path) for command in ("run", "once")]

    for one in ended:
        assert one.returncode == 78
        text = f"hooks.on_done[0]: {tmp_path}/gone is not there, or closed to this user"
        assert one.stderr.splitlines()[-1].endswith(text)


def test_nothing_heavy_is_loaded_without_webhooks(tmp_path: Path):
    """Neither TLS nor a client: a daemon that needs none must not fail for want of one."""
    program = (
        "import os, sys; from pathlib import Path; from daemon.config.schema import load;"
        "from daemon.hooks.loader import HookLoader;"
        "config, base = load(Path('config.yaml'));"
        "HookLoader(base, os.environ).subscriptions(config.hooks);"
        "print([name for name in ('ssl', '_ssl', 'urllib3') if name in sys.modules])"
    )
    write(tmp_path, on_done=[{"command": ["true"]}])
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.stdout == "[]\n", ended.stderr
