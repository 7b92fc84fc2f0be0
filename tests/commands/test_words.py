"""What commands say where they once misled."""

import io
import random
from pathlib import Path

import pytest
import yaml

from cvunet.errors import ImageError
from cvunet.pictures import reading
from daemon.commands import check_config, cut, retry, status, status_text
from daemon.commands import why as inquiry
from daemon.config.schema import load
from daemon.disk.lock import Lock
from daemon.errors import Blame, InstallError, UsageError
from daemon.jobs import Failed
from tests.commands.test_why import configure
from tests.samples import NOW
from tests.service.service_kit import Kit, fail_with

FINAL = Failed(Blame.FILE, "no picture", is_final=True)


def test_an_empty_file_is_told_as_such(tmp_path: Path):
    """It does not only have to stay unchanged."""
    kit = Kit(tmp_path)
    (kit.hot / "cat.jpg").touch()
    lock = Lock(tmp_path / "state" / "lock")
    lock.take("the state")
    text = "\n".join(inquiry.lines(configure(tmp_path), kit.hot / "cat.jpg"))
    lock.release()

    assert "it is empty; if it is still empty 120 s after its last change" in text


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing.jpg", "there is no such file"),
        ("link.jpg", "it is a link that leads nowhere"),
        ("folder", "it is a folder: use `cvunetd batch`"),
    ],
)
def test_cut_of_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, why: str):
    """It did not vanish, it was never there; no model is loaded to find that out."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.jpg").symlink_to("nowhere")
    monkeypatch.setattr(cut, "open_local", None)
    [result] = cut.cut(
        [tmp_path / name], tmp_path / "out", configure(tmp_path), start_logging=lambda *_: None
    )

    assert (result.target, result.reason) == (None, why)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("mark", "remedy"), [(b"\0" * 4, "copy it again"), (b"CR\x02\0", "export it as JPEG")]
)
def test_a_broken_tiff_is_not_told_to_strip_its_metadata(seed: int, mark: bytes, remedy: str):
    """Its directory is noise, and claims more than there is; the second says it is a raw file."""
    noise = random.Random(seed).randbytes(30_000)
    data = b"II*\0\x10\0\0\0" + mark + b"\0" * 4 + b"\xff\x03" + noise
    with pytest.raises(ImageError) as caught:
        reading.read(io.BytesIO(data), max_pixels=10**6)

    assert "strip it" not in str(caught.value)
    assert remedy in str(caught.value)


def rejected(base: Path, *names: str) -> Kit:
    """Pictures in quarantine."""
    kit = Kit(base, work=fail_with(FINAL))
    for name in names:
        kit.drop(name)
    kit.pass_time(4)
    return kit


def test_retry_takes_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As `why` does."""
    monkeypatch.chdir(tmp_path)
    kit = rejected(tmp_path, "sub/clip.dat")
    told = list(retry.retry(configure(tmp_path), [Path("clip.dat")], is_all=False))

    assert told == [str(kit.hot / "sub/clip.dat")]
    assert (kit.hot / "sub/clip.dat").exists()


def test_retry_of_a_name_that_several_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It does not guess, and moves none."""
    monkeypatch.chdir(tmp_path)
    rejected(tmp_path, "a/clip.dat", "b/clip.dat")

    with pytest.raises(
        UsageError, match=r"several pictures: say which: .*a/clip.dat, .*b/clip.dat"
    ):
        list(retry.retry(configure(tmp_path), [Path("clip.dat")], is_all=False))


def fault(base: Path, text: str) -> str:
    """What is said about a configuration."""
    (base / "config.yaml").write_text(text)
    with pytest.raises(InstallError) as caught:
        load(base / "config.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("output: {format: jpg}", "'jpg' is none of its values; did you mean 'jpeg'?"),
        ("output: {format: tif}", "did you mean 'tiff'? known values are png, webp"),
        ("output: {preset: marketplac}", "did you mean 'marketplace'?"),
        ("folders: [{path: a, originals: keeep}]", "folders[0].originals: 'keeep' is none"),
        ("folders: [{path: a, output: {format: jpg}}]", "did you mean 'jpeg'?"),
        ("output: {crop: {mode: subjekt}}", "did you mean 'subject'?"),
        ("log: {level: warn}", "did you mean 'warning'?"),
        ("output: {clash: xyzzy}", "none of its values; known values are version, overwrite, fail"),
    ],
)
def test_a_wrong_value_gets_the_nearest(tmp_path: Path, text: str, hint: str):
    """In our words, with all that may stand there."""
    assert hint in fault(tmp_path, text)


@pytest.mark.parametrize("text", ["folders: [", "a: b: c\n", "\tx: 1\n"])
def test_broken_yaml_names_no_string(tmp_path: Path, text: str):
    """The user wrote a file."""
    told = fault(tmp_path, text)

    assert "unicode string" not in told
    assert "at line " in told


def test_faults_of_every_kind_come_together(tmp_path: Path):
    """A repeated key hides no wrong value."""
    told = fault(tmp_path, "state_dir: a\nstate_dir: b\noutput: {format: jpg}\n")

    assert [line.split(":")[1] for line in told.splitlines()] == ["2", "3"]


def test_check_config_names_the_file_that_it_checked(tmp_path: Path):
    """A person may look at another one than the daemon uses."""
    (tmp_path / "hot").mkdir()
    path = tmp_path / "config.yaml"
    path.write_text("folders: [{path: hot}]\n")

    assert f"configuration: {path}: without a fault" in list(check_config.lines(path))


def test_check_config_lists_all_faults(tmp_path: Path):
    """Folder, weights and hook are wrong at once; the first does not hide the others."""
    (tmp_path / "config.yaml").write_text(
        yaml.safe_dump(
            {
                "folders": [{"path": "nowhere"}],
                "model": {"weights": "none.pth"},
                "hooks": {"on_done": [{"command": ["./none"]}]},
            }
        )
    )
    with pytest.raises(InstallError) as caught:
        list(check_config.lines(tmp_path / "config.yaml"))

    assert [word in str(caught.value) for word in ("nowhere", "none.pth", "on_done")] == [True] * 3


def test_status_without_a_daemon_names_its_configuration(tmp_path: Path):
    """Perhaps the daemon runs with another one."""
    path = configure(tmp_path)
    (tmp_path / "hot").mkdir()
    (tmp_path / "state").mkdir()
    told = list(status_text.lines(status.collect(path, now=NOW), now=NOW))

    assert f"configuration: {path}" in told
