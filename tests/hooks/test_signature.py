"""Signatures, and the keys they are made with."""

import base64
from pathlib import Path

import pytest

from daemon.errors import InstallError
from daemon.hooks.signature import credential, read_key, sign


def test_signature_of_the_standard():
    """The example that https://www.standardwebhooks.com and its libraries test with."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'

    signature = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_key_as_it_stands(tmp_path: Path):
    """The line break of the editor is no part of it."""
    (tmp_path / "key").write_text("0123456789abcdef\n")

    assert read_key(tmp_path / "key") == b"0123456789abcdef"


def test_key_in_the_standards_form(tmp_path: Path):
    """``whsec_`` and base64."""
    (tmp_path / "key").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")

    assert read_key(tmp_path / "key") == base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


@pytest.mark.parametrize("content", [b"", b"short\n", b"whsec_!!!!", b"whsec_YWJj", b"x" * 5000])
def test_weak_key_is_refused(tmp_path: Path, content: bytes):
    """Without telling it."""
    (tmp_path / "key").write_bytes(content)

    with pytest.raises(InstallError, match=str(tmp_path / "key")) as caught:
        read_key(tmp_path / "key")

    assert "!!!!" not in str(caught.value)


def test_missing_key_is_told(tmp_path: Path):
    """With its path."""
    with pytest.raises(InstallError, match="key cannot be read: No such file"):
        read_key(tmp_path / "key")


def test_credential(tmp_path: Path):
    """Where systemd has put it."""
    (tmp_path / "shop").write_text("x")

    assert credential("shop", {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == tmp_path / "shop"


def test_missing_credential_names_the_line(tmp_path: Path):
    """Under systemd, and outside of it."""
    with pytest.raises(InstallError, match=r"add LoadCredential=shop:FILE to the unit"):
        credential("shop", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    with pytest.raises(InstallError, match="or set secret_file"):
        credential("shop", {})
