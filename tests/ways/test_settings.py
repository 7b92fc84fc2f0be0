"""The settings that docs/ways-in.md names are understood by the servers themselves."""

import ftplib
import ssl
from pathlib import Path

import pytest

from tests.ways.servers import Server, call, program

WAYS = Path(__file__).parents[2] / "packaging" / "ways"
pytestmark = [pytest.mark.system, pytest.mark.root, pytest.mark.ways]


def test_samba_knows_every_key(tmp_path: Path) -> None:
    """`testparm` names keys that it does not know."""
    conf = tmp_path / "smb.conf"
    conf.write_text((WAYS / "samba.conf").read_text())
    said = call("testparm", "-s", conf)

    assert "Unknown parameter" not in said
    assert "[drop]" in said
    assert "[results]" in said


def test_sshd_accepts_its_settings(tmp_path: Path) -> None:
    """As the last part of a configuration."""
    key = tmp_path / "key"
    call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    conf = tmp_path / "sshd_config"
    own = (WAYS / "sshd.conf").read_text()
    conf.write_text(f"HostKey {key}\nSubsystem sftp internal-sftp\n{own}")
    Path("/run/sshd").mkdir(exist_ok=True)

    assert "ended with 0" in call(program("sshd"), "-t", "-f", conf)


def test_nginx_accepts_its_settings(tmp_path: Path) -> None:
    """Inside a server."""
    location = (WAYS / "nginx.conf").read_text()
    location = location.replace("/srv/cvunetd/.uploads", str(tmp_path / "uploads"))
    conf = tmp_path / "nginx.conf"
    conf.write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; server {{ listen 127.0.0.1:1; {location} }} }}\n"
    )

    assert "test is successful" in call(program("nginx"), "-t", "-c", conf, "-p", tmp_path)


def test_vsftpd_starts_with_its_settings(tmp_path: Path) -> None:
    """With the user's own certificate; nobody gives a password without TLS."""
    authority = pytest.importorskip("trustme").CA()
    certificate = authority.issue_cert("127.0.0.1")
    server = Server(tmp_path, "vsftpd")
    own = {"listen_address": "127.0.0.1", "listen_port": server.port, "background": "NO"}
    own |= {"secure_chroot_dir": tmp_path, "seccomp_sandbox": "NO"}
    text = (WAYS / "vsftpd.conf").read_text()
    for key, pem in (
        ("rsa_cert_file", certificate.cert_chain_pems[0]),
        ("rsa_private_key_file", certificate.private_key_pem),
    ):
        assert f"\n{key}=" in text
        pem.write_to_path(str(server.base / key))
        own[key] = server.base / key
    conf = server.write("conf", text)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    server.start([program("vsftpd"), conf, *(f"-o{key}={value}" for key, value in own.items())])
    try:
        with ftplib.FTP() as plain, pytest.raises(ftplib.error_perm, match="must use encryption"):
            plain.connect("127.0.0.1", server.port, timeout=10)
            plain.login("ann", "secret")
        with ftplib.FTP_TLS(context=context) as closed:
            closed.connect("127.0.0.1", server.port, timeout=10)
            assert "Proceed" in closed.auth()
    finally:
        server.stop()
