"""Where monitors may ask: nowhere that another machine reaches."""

from pathlib import Path

import pytest

from daemon.config.addresses import Address, Loopback, SocketFile, parse
from daemon.config.schema import load
from daemon.errors import InstallError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:9464", Loopback("127.0.0.1", 9464)),
        ("127.8.8.8:1", Loopback("127.8.8.8", 1)),
        ("localhost:65535", Loopback("127.0.0.1", 65535)),
        ("[::1]:9464", Loopback("::1", 9464)),
        ("unix:/run/cvunetd/metrics.sock", SocketFile(Path("/run/cvunetd/metrics.sock"))),
        ("unix:metrics.sock", SocketFile(Path("metrics.sock"))),
    ],
)
def test_addresses_of_this_machine(text: str, expected: Address):
    """Loopback in both families, and a socket file."""
    assert expected == parse(text)


@pytest.mark.parametrize(
    "text",
    [
        *("0.0.0.0:9464", "[::]:9464", "192.168.1.4:9464", "10.0.0.1:80", "[fe80::1]:9464"),
        *("[::ffff:10.0.0.1]:9464", "8.8.8.8:53"),
    ],
)
def test_addresses_that_others_reach(text: str):
    """Refused with the reason: nobody is asked for a password there."""
    with pytest.raises(ValueError, match="can be reached from other machines"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "9464", ":9464", "*:9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0"),
        *("127.0.0.1:65536", "127.0.0.1:99999999", "::1:9464", "monitor.example:9464", "unix:"),
        *("http://127.0.0.1:9464", "127.0.0.1:9464/metrics", " 127.0.0.1:9464", "127.1:80"),
    ],
)
def test_what_is_no_address(text: str):
    """A name is never looked up."""
    with pytest.raises(ValueError, match=r'write "127\.0\.0\.1:9464"|does not appear'):
        parse(text)


def test_configuration_refuses(tmp_path: Path):
    """With file, line and key, before anything starts."""
    (tmp_path / "config.yaml").write_text(
        'log: {level: info}\nmetrics:\n  listen: "0.0.0.0:9464"\n'
    )

    with pytest.raises(InstallError, match=r"config\.yaml:3: metrics\.listen: 0\.0\.0\.0 can be"):
        load(tmp_path / "config.yaml")


def test_off_by_default(tmp_path: Path):
    """Nobody listens unless told to."""
    (tmp_path / "config.yaml").write_text("")

    assert load(tmp_path / "config.yaml")[0].metrics.address is None
