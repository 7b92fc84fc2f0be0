"""`cvunetd why` and `cvunetd retry`: what an operator asks, and does about it."""

import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from daemon import cli
from daemon.commands import clean, retry
from daemon.commands import why as inquiry
from daemon.disk.lock import Lock
from daemon.errors import Blame, InstallError, UsageError
from daemon.jobs import Failed
from tests.lifecycle.test_results import copy_with_mask
from tests.service.service_kit import START, Kit, fail_with
from tests.service.test_clips import gif

BAD = Failed(Blame.FILE, "cannot be decoded")


def configure(base: Path) -> Path:
    """The kit's configuration, as a file."""
    path = base / "config.yaml"
    path.write_text(yaml.safe_dump({"folders": [{"path": "hot"}]}))
    return path


def answer(base: Path, asked: Path) -> str:
    """All that `why` says."""
    return "\n".join(inquiry.lines(configure(base), asked))


def done(base: Path) -> Kit:
    """One picture, done."""
    kit = Kit(base)
    kit.drop("sub/cat.jpg")
    kit.pass_time(3)
    return kit


def rejected(base: Path) -> Kit:
    """One picture in quarantine."""
    kit = Kit(base, work=fail_with(BAD))
    os.utime(kit.drop("sub/cat.jpg", b"meow"), (START - 9999, START - 9999))
    kit.pass_time(4)
    return kit


@pytest.mark.parametrize("way", ["hot/sub/cat.jpg", "cat.jpg", "result", "original"])
def test_a_finished_picture_is_found_by_any_of_its_names(tmp_path: Path, way: str) -> None:
    """By where it was dropped, by what came of it, or by its name alone."""
    kit = done(tmp_path)
    [drop] = kit.drops()
    asked = {"result": drop / "sub/cat.png", "original": drop / "originals/sub/cat.jpg"}
    wanted = asked.get(way, tmp_path / way)
    if way == "cat.jpg":
        kit.drop("cat.jpg")
        kit.pass_time(3)

    text = answer(tmp_path, wanted)

    assert "done at" in text
    assert ".png" in text


def test_a_rejected_picture_tells_its_reason(tmp_path: Path) -> None:
    """With where it is now."""
    rejected(tmp_path)

    text = answer(tmp_path, tmp_path / "hot/sub/cat.jpg")

    assert "cannot be decoded" in text
    assert str(tmp_path / "failed/hot/sub/cat.jpg") in text
    assert "1 attempt:" in text


def test_a_deleted_result_is_told(tmp_path: Path) -> None:
    """The ledger remembers, the disk does not."""
    kit = done(tmp_path)
    (kit.drops()[0] / "sub/cat.png").unlink()

    assert "(no longer there)" in answer(tmp_path, tmp_path / "hot/sub/cat.jpg")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (".hidden.jpg", "hidden or temporary"),
        ("cat.jpg.part", "hidden or temporary"),
        ("cat.jpg", "the daemon is not running"),
    ],
)
def test_a_waiting_picture_tells_what_it_waits_for(tmp_path: Path, name: str, why: str) -> None:
    """It lies in the folder and nobody takes it."""
    kit = Kit(tmp_path)
    (kit.hot / name).write_bytes(b"x")

    assert why in answer(tmp_path, kit.hot / name)


def test_a_link_is_told_as_such(tmp_path: Path) -> None:
    """It is never opened, wherever it leads."""
    kit = Kit(tmp_path)
    (kit.hot / "link.jpg").symlink_to("/etc/hostname")

    assert "no regular file" in answer(tmp_path, kit.hot / "link.jpg")


def test_an_unknown_picture_is_told(tmp_path: Path) -> None:
    """Neither ledger nor folder has it."""
    Kit(tmp_path)

    elsewhere, here = tmp_path / "elsewhere.jpg", tmp_path / "hot/cat.jpg"

    assert answer(tmp_path, elsewhere) == (
        f"{elsewhere}: nothing is known of it, and it is not in any hot folder"
    )
    assert answer(tmp_path, here) == (
        f"{here}: nothing is known of it, and it is not in hot folder hot"
    )


def test_a_rejected_picture_goes_back_and_is_done(tmp_path: Path) -> None:
    """After the cause has been mended; its reason is gone."""
    kit = rejected(tmp_path)
    kit.work = Kit.work

    told = list(retry.retry(configure(tmp_path), [], is_all=True))
    kit.service.next_sweep.clear()
    kit.pass_time(4)

    assert told == [str(tmp_path / "hot/sub/cat.jpg")]
    assert kit.results() == ["originals/sub/cat.jpg", "sub/cat.png"]
    assert [path for path in (tmp_path / "failed").rglob("*") if path.is_file()] == []


def test_a_picture_of_a_hidden_folder_goes_back(tmp_path: Path) -> None:
    """A hot folder may have such a name; its pictures are in quarantine under it."""
    quarantine, hot = tmp_path / "failed" / ".hot", tmp_path / ".hot"
    for folder in (quarantine, hot / ".cvunetd"):
        folder.mkdir(parents=True)
    (quarantine / "cat.jpg").write_bytes(b"meow")
    (quarantine / "cat.jpg.json").write_text("{}")
    (tmp_path / "config.yaml").write_text("folders: [{path: .hot}]\n")

    told = list(retry.retry(tmp_path / "config.yaml", [], is_all=True))

    assert told == [str(hot / "cat.jpg")]


def test_an_empty_quarantine_is_told(tmp_path: Path) -> None:
    """A command that says nothing leaves a person in doubt."""
    told = list(retry.retry(configure(tmp_path), [], is_all=True))

    assert told == [f"no picture is in quarantine ({tmp_path / 'failed'})"]


def test_one_picture_can_be_named(tmp_path: Path) -> None:
    """The others stay."""
    rejected(tmp_path)

    told = list(
        retry.retry(configure(tmp_path), [tmp_path / "failed/hot/sub/cat.jpg"], is_all=False)
    )

    assert told == [str(tmp_path / "hot/sub/cat.jpg")]


def test_a_picture_that_waits_for_its_folder_says_so(tmp_path: Path) -> None:
    """Its row says running, but nothing works on it until the share is back."""
    kit = Kit(tmp_path, is_held=True)
    kit.drop("cat.jpg")
    kit.pass_time(3)
    asked = kit.hot / "cat.jpg"
    before = answer(tmp_path, asked)
    lock = Lock(tmp_path / "state/lock")
    lock.take("the test")
    kit.service.parts.standby.enter(kit.service.parts.folders["hot"], "Host is down")
    kit.service.parts.report.update(kit.service.snapshot(), monotonic=float("inf"))

    text = answer(tmp_path, asked)
    lock.release()

    assert "running after 1 attempt" in before
    assert "stands by" not in before
    assert "running after 1 attempt" in text
    assert text.endswith("; the folder stands by: Host is down")


def test_a_new_picture_of_that_name_is_not_overwritten(tmp_path: Path) -> None:
    """The old one comes back under another."""
    kit = rejected(tmp_path)
    (kit.hot / "sub").mkdir(exist_ok=True)
    (kit.hot / "sub/cat.jpg").write_bytes(b"new")

    list(retry.retry(configure(tmp_path), [], is_all=True))

    assert (kit.hot / "sub/cat.jpg").read_bytes() == b"new"
    assert (kit.hot / "sub/cat_2.jpg").read_bytes() == b"meow"


def test_what_is_not_in_quarantine_is_refused(tmp_path: Path) -> None:
    """With what to do for kept originals."""
    Kit(tmp_path)

    with pytest.raises(UsageError, match="touch"):
        list(retry.retry(configure(tmp_path), [tmp_path / "x.jpg"], is_all=False))


def test_a_picture_is_found_by_a_path_through_a_link(tmp_path: Path) -> None:
    """As the configuration has it: the folder itself is behind a link."""
    done(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)

    assert "done at" in answer(tmp_path, tmp_path / "link/hot/sub/cat.jpg")


@pytest.mark.parametrize("is_mount_point", [True, False])
def test_retry_makes_no_folder_where_a_share_is_away(
    tmp_path: Path, *, is_mount_point: bool
) -> None:
    """What it put there would be hidden when the share is mounted again."""
    kit = rejected(tmp_path)
    shutil.rmtree(kit.hot)
    if is_mount_point:
        kit.hot.mkdir()
    failures: list[Path] = []
    told = list(retry.retry(configure(tmp_path), [], is_all=True, failures=failures))

    picture = tmp_path / "failed/hot/sub/cat.jpg"
    assert failures == [picture]
    assert "is not there: mount the folder" in told[0]
    assert not kit.hot.exists() or list(kit.hot.iterdir()) == []
    assert picture.exists()
    assert picture.with_name("cat.jpg.json").exists()


def test_retry_checks_all_names_before_the_first_move(tmp_path: Path) -> None:
    """A slip of the finger leaves everything as it was."""
    kit = rejected(tmp_path)
    picture = tmp_path / "failed/hot/sub/cat.jpg"

    with pytest.raises(UsageError, match=r"typo\.jpg is not in quarantine"):
        list(retry.retry(configure(tmp_path), [picture, tmp_path / "typo.jpg"], is_all=False))
    assert picture.exists()
    assert kit.left_in_hot() == []


def test_retry_goes_on_after_one_that_cannot_be_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told, and the command's exit status says so."""
    rejected(tmp_path)
    (tmp_path / "failed/gone").mkdir()
    for name in ("a.jpg", "a.jpg.json"):
        (tmp_path / "failed/gone" / name).write_text("{}")
    failures: list[Path] = []
    told = list(retry.retry(configure(tmp_path), [], is_all=True, failures=failures))

    assert failures == [tmp_path / "failed/gone/a.jpg"]
    assert sorted("not configured any more" in one for one in told) == [False, True]
    assert (tmp_path / "hot/sub/cat.jpg").exists()
    with pytest.raises(SystemExit) as ended:
        cli.main(["retry", "--all", "--config", str(configure(tmp_path))])
    assert ended.value.code == 1


def test_a_closed_state_folder_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To a person who is not in the group: no traceback."""
    done(tmp_path)
    config = configure(tmp_path)
    exists = Path.exists

    def refuse(path: Path, **options: bool) -> bool:
        if path.name == "ledger.db":
            raise PermissionError(13, "Permission denied", str(path))
        return exists(path, **options)

    monkeypatch.setattr(Path, "exists", refuse)
    now = datetime(2026, 1, 1)  # noqa: DTZ001  # drops are named in local time
    with pytest.raises(InstallError, match="may not be read by this user"):
        list(inquiry.lines(config, tmp_path / "hot/sub/cat.jpg"))
    with pytest.raises(InstallError, match="may not be read by this user"):
        list(clean.clean(config, is_dry=True, start_logging=lambda *names: None, local_now=now))


LINES = """
import pathlib, sys
from daemon.cli_endings import print_lines
def work():
    for number in range(20_000):
        yield f"line {number}"
    pathlib.Path(sys.argv[1]).write_text("done")
sys.exit(print_lines(work()))
"""


def test_work_is_done_although_nobody_reads_of_it(tmp_path: Path) -> None:
    """`cvunetd retry --all | head -2`."""
    note = tmp_path / "note"
    command = [sys.executable, "-c", LINES, str(note)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"line 0\n"
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""

    assert note.read_text() == "done"


def test_a_replaced_result_is_told_as_such(tmp_path: Path) -> None:
    """Its name has another result now; that one is told with its mask."""
    settings: dict[str, object] = {"output": {"clash": "overwrite", "content": "both"}}
    kit = Kit(tmp_path, work=copy_with_mask, settings=settings)
    for content in (b"first", b"second"):
        kit.drop("cat.jpg", content)
        kit.pass_time(10)
    [drop] = kit.drops()

    newest, earlier = answer(tmp_path, drop / "cat_alpha.png").splitlines()

    assert f"result {drop}/cat.png, mask {drop}/cat_alpha.png" in newest
    assert "result replaced by that of a later version" in earlier


def test_a_file_that_is_still_open_for_writing_is_told_with_its_program(tmp_path: Path) -> None:
    """Nobody can see that from outside."""
    kit = Kit(tmp_path)
    lock = Lock(tmp_path / "state/lock")
    lock.take("the test")
    with (kit.hot / "cat.bmp").open("wb", buffering=0) as writer:
        writer.write(b"half")

        text = answer(tmp_path, kit.hot / "cat.bmp")
    lock.release()

    assert "a program still has it open for writing (process " in text
    assert f"process {os.getpid()}, " in text
    assert "when it has not changed for 120 s" in text


def test_clip_that_is_left_for_its_content_says_so(tmp_path: Path):
    """`folders[].video: ignore` also leaves animated pictures."""
    config = configure(tmp_path)
    config.write_text(yaml.safe_dump({"folders": [{"path": "hot", "video": "ignore"}]}))
    (tmp_path / "hot").mkdir()
    (tmp_path / "hot" / "cat.gif").write_bytes(gif(3))

    [line] = inquiry.lines(config, tmp_path / "hot" / "cat.gif")
    assert "it is a clip, and folders[].video is ignore" in line
