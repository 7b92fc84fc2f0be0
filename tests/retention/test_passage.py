"""Retention where a folder above the outputs may be passed through but not listed."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.disk import safe_open, store
from daemon.errors import UntrustedPath
from daemon.retention.expiry import drop_time
from tests.retention.test_retention import found, make_drop

NOBODY = 65_534


@pytest.fixture
def root() -> Iterator[Path]:
    """Ours, below a home that we may only pass through; looked at by a user without privileges.

    pytest's own folders are closed to such a user.
    """
    is_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        outputs = home / "outputs"
        outputs.mkdir(parents=True)
        Path(folder).chmod(0o711)
        home.chmod(0o311)
        drop_time("outputs_20261122101500")  # loads what that other user may not read
        if is_root:
            os.chown(outputs, NOBODY, -1)
            os.seteuid(NOBODY)
        try:
            yield outputs
        finally:
            if is_root:
                os.seteuid(0)
            home.chmod(0o755)


def test_old_drops_are_found_and_deleted(root: Path):
    """A home that gives others the right to enter, as `setfacl -m u:cvunetd:x` does."""
    drop = make_drop(root)
    names = found(root)
    store.remove_drop(drop)

    assert names == [drop.name]
    assert not drop.exists()


def test_link_on_the_way_is_no_folder_all_the_same(tmp_path: Path):
    """Passing through follows nothing."""
    (tmp_path / "real" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")

    with pytest.raises(UntrustedPath), safe_open.folder(tmp_path / "link" / "inner"):
        pass
