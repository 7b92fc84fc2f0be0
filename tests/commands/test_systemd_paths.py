"""The drop-in that lets the sandbox reach configured folders."""

from pathlib import Path

import pytest
import yaml

from daemon.commands import systemd_paths


def settings(tmp_path: Path, *folders: dict[str, object], **others: object) -> list[str]:
    """The drop-in's settings for a configuration."""
    base = {"state_dir": "/var/lib/cvunetd", "quarantine_dir": "/srv/a/failed"}
    content = base | {"output": {"root": "/srv/a/outputs"}} | others | {"folders": list(folders)}
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(content))
    return [line for line in systemd_paths.lines(file) if not line.startswith(("#", "["))]


def test_folders_side_by_side_are_one_mount(tmp_path: Path):
    """Between two of them originals would be copied."""
    assert settings(tmp_path, {"path": "/srv/a/hot"}) == ['ReadWritePaths="-/srv/a"']


def test_folders_apart_are_named_each(tmp_path: Path):
    """And nothing that belongs to others with them."""
    assert settings(tmp_path, {"path": "/mnt/hot"}) == [
        'ReadWritePaths="-/mnt/hot"',
        'ReadWritePaths="-/srv/a/failed"',
        'ReadWritePaths="-/srv/a/outputs"',
    ]


TABLE = """22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 0:40 / /mnt/nas rw - nfs4 server:/export rw
31 22 8:17 / /mnt/disk rw - xfs /dev/sdb1 rw
32 22 0:41 / /data rw - cifs //server/data rw
33 22 0:42 / /home/ann/nas rw - nfs4 server:/ann rw
"""


@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("/mnt/nas/team/hot", "/mnt/nas"),
        ("/mnt/nas", "/mnt/nas"),
        ("/mnt/disk/hot", "/mnt/disk/hot"),
        ("/srv/a", "/srv/a"),
        ("/data/hot", "/data/hot"),  # what lies directly in the root is everybody's
        ("/home/ann/nas/hot", "/home/ann/nas/hot"),  # bound anyway
    ],
)
def test_share_is_named_by_its_mount_point(place: str, named: str):
    """A mount on top of it would hold the share that is unmounted below."""
    assert systemd_paths.share_mount(Path(place), TABLE) == Path(named)


def test_homes_are_bound(tmp_path: Path):
    """What ProtectHome= hides cannot be allowed, only put there."""
    found = settings(tmp_path, {"path": "/home/ann/hot"}, quarantine_dir="/srv/a/failed")

    assert found[0] == "ProtectHome=tmpfs"
    assert 'BindPaths="-/home/ann/hot"' in found
    assert not any('/home/ann"' in line for line in found)


def test_kept_folder_is_only_read(tmp_path: Path):
    """It needs no line, but for a home."""
    assert settings(tmp_path, {"path": "/mnt/hot", "originals": "keep"}) == [
        'ReadWritePaths="-/srv/a"'
    ]
    found = settings(tmp_path, {"path": "/home/ann/hot", "originals": "keep"})
    assert 'BindReadOnlyPaths="-/home/ann/hot"' in found


@pytest.mark.parametrize("name", ["b.png", "b.mp4"])
def test_background_in_a_home_is_bound(tmp_path: Path, name: str):
    """The engine decodes it: a picture at the start, a clip for each clip that is put on it."""
    found = settings(
        tmp_path, {"path": "/srv/a/hot", "output": {"background": f"/home/ann/{name}"}}
    )

    assert f'BindReadOnlyPaths="-/home/ann/{name}"' in found


@pytest.mark.parametrize(
    ("name", "expected"), [("a b", "a b"), ("50%", "50%%"), ('"', '\\"'), ("\\", "\\\\")]
)
def test_names_are_spelled_as_units_do(name: str, expected: str):
    """Specifiers and quotes."""
    assert systemd_paths.quoted(Path("/mnt") / name) == f'"-/mnt/{expected}"'


def test_files_in_a_home_are_bound(tmp_path: Path):
    """Models, what the page and hooks name: the sandbox hides them otherwise."""
    found = settings(
        tmp_path,
        {"path": "/srv/a/hot"},
        models={"mine": "/home/ann/mine.onnx"},
        web={
            "folder": "/srv/a/uploads",
            "keys_file": "/home/ann/keys",
            "server_folders": ["/home/ann/photos"],
        },
        hooks={
            "on_done": [
                {"url": "https://a.example", "secret_file": "/root/key", "ca_file": "/root/ca.pem"},
                {"command": ["/home/ann/hook.sh", "x"]},
                {"command": ["logger"]},
            ]
        },
    )

    assert [line for line in found if line.startswith("Bind")] == [
        f'BindReadOnlyPaths="-{path}"'
        for path in (
            "/home/ann/hook.sh",
            "/home/ann/keys",
            "/home/ann/mine.onnx",
            "/home/ann/photos",
            "/root/ca.pem",
            "/root/key",
        )
    ]
    assert "ProtectHome=tmpfs" in found


def test_description_of_a_model_is_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """That beside a link, and that beside the file."""
    monkeypatch.setattr(systemd_paths, "HIDDEN", (tmp_path,))
    for folder in ("links", "files"):
        (tmp_path / folder).mkdir()
    (tmp_path / "files/a.onnx").touch()
    (tmp_path / "files/manifest.yaml").touch()
    (tmp_path / "links/a.onnx").symlink_to(tmp_path / "files/a.onnx")
    (tmp_path / "links/a.yaml").touch()
    found = settings(tmp_path, {"path": "/srv/a/hot"}, models={"a": "links/a.onnx"})

    assert [line for line in found if line.startswith("Bind")] == [
        f'BindReadOnlyPaths="-{tmp_path}/{path}"'
        for path in ("files/a.onnx", "files/manifest.yaml", "links/a.onnx", "links/a.yaml")
    ]


def test_what_lies_in_a_written_folder_has_no_mount(tmp_path: Path):
    """A file that is mounted by itself cannot be replaced."""
    web = {"folder": "/home/ann/a/uploads", "keys_file": "/home/ann/a/keys"}
    found = settings(
        tmp_path,
        {"path": "/home/ann/a/hot"},
        output={"root": "/home/ann/a/outputs"},
        quarantine_dir="/home/ann/a/failed",
        web=web,
    )

    assert not any("keys" in line for line in found)


def test_program_of_no_user_is_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As the start takes it, which says what is wrong with it."""
    hooks = {"on_done": [{"command": ["~nosuchuser/hook.sh"]}]}
    monkeypatch.setattr(systemd_paths, "HIDDEN", (tmp_path,))
    found = settings(tmp_path, {"path": "/srv/a/hot"}, hooks=hooks)

    assert f'BindReadOnlyPaths="-{tmp_path}/~nosuchuser/hook.sh"' in found


def test_header_names_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Typed again from elsewhere, it prints the same."""
    (tmp_path / "my config.yaml").write_text("folders: [{path: /srv/a/hot}]\n")
    monkeypatch.chdir(tmp_path)
    header = list(systemd_paths.lines(Path("my config.yaml")))[1]

    named = f"systemd-paths --config '{tmp_path}/my config.yaml' > {systemd_paths.DROP_IN}"
    assert header == f"#   cvunetd {named}"
