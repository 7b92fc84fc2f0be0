"""Files of uploads that a server writes."""

import json
import os
from pathlib import Path

import pytest

from daemon.disk import uploads

ORDER = {"do": "delete", "id": "a" * 22}


def test_two_equal_orders_at_once_do_not_harm_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """One is given while the other is written: both succeed, and the order is whole."""
    uploads.make_folder(tmp_path / uploads.ORDERS)
    real_fsync, is_second = os.fsync, False

    def fsync(descriptor: int) -> None:
        nonlocal is_second
        real_fsync(descriptor)
        if not is_second:
            is_second = True
            uploads.give_order(tmp_path, "delete-1", ORDER)

    monkeypatch.setattr(os, "fsync", fsync)
    uploads.give_order(tmp_path, "delete-1", ORDER)

    (path,) = (tmp_path / uploads.ORDERS).iterdir()
    assert path.name == "delete-1.json"
    assert json.loads(path.read_bytes()) == ORDER


def test_the_next_server_deletes_unfinished_orders(tmp_path: Path):
    """Complete ones stay."""
    uploads.give_order(tmp_path, "delete-1", ORDER)
    (tmp_path / uploads.ORDERS / ".delete-2-0badcafe.part").write_text("{")
    uploads.discard_incoming(tmp_path)

    assert [path.name for path in (tmp_path / uploads.ORDERS).iterdir()] == ["delete-1.json"]
