"""Orders of the API's clients: carried out once or more, whatever else lies in their folder."""

import errno
import json
import os
from contextlib import suppress
from pathlib import Path

import pytest

from daemon.config import video
from daemon.disk import files, segments, uploads
from daemon.disk.drop_names import MARKER
from daemon.disk.segments import Note
from daemon.disk.syncs import Syncs
from daemon.disk.uploads import Staged
from daemon.errors import Blame
from daemon.jobs import Failed, Job, State, Task
from daemon.ledger.ledger import Drop
from daemon.ledger.uploads import Uploads
from tests.service.service_kit import Kit, fail_with
from tests.service.share_kit import Share
from tests.service.test_clips import MP4
from tests.system.reaper import Died

ID, OTHER = "a" * 22, "b" * 22


def make_kit(base: Path, *, is_held: bool, folder: dict[str, object] | None = None) -> Kit:
    """A service with a folder of uploads; ``folder``: settings of the hot folder."""
    (base / "uploads").mkdir()
    web: dict[str, object] = {"web": {"folder": "uploads"}}
    return Kit(base, settings=web, folder=folder or {}, is_held=is_held)


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """One whose worker answers at once."""
    return make_kit(tmp_path, is_held=False)


def root(kit: Kit) -> Path:
    """The folder of uploads."""
    return kit.base.resolve() / "uploads"


def upload(
    kit: Kit,
    upload_id: str = ID,
    note: dict[str, object] | None = None,
    content: bytes = b"picture",
) -> None:
    """What the server does with a picture."""
    staged = Staged(root(kit), upload_id, "cat.jpg")
    staged.write(content)
    staged.complete({"options": {}, "sha256": "x"} if note is None else note)
    staged.publish()
    kit.service.next_sweep["web"] = 0.0


def order(kit: Kit, content: object, name: str = "one") -> Path:
    """An order, and its file."""
    uploads.make_folder(root(kit) / uploads.ORDERS)
    path = root(kit) / uploads.ORDERS / f"{name}.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def states(kit: Kit) -> list[State]:
    """Of all rows of the upload."""
    return [job.state for job in Uploads(kit.service.parts.ledger).rows(ID)]


def test_an_upload_is_taken_and_its_folder_goes(kit: Kit):
    """The row has the id; the result's name has not."""
    upload(kit)
    kit.pass_time(3)

    assert states(kit) == [State.DONE]
    assert kit.results() == ["cat.png", "originals/cat.jpg"]
    assert not uploads.is_waiting(root(kit), ID)


def test_an_upload_survives_a_crash_between_claim_and_row(kit: Kit):
    """The note is still there, so the adopted picture keeps its id and options."""
    upload(kit, note={"options": {"format": "webp"}, "sha256": "x"})
    claimed = root(kit) / ".cvunetd" / ("b" * 22) / ID
    claimed.mkdir(parents=True)
    (root(kit) / ".cvunetd").chmod(0o700)
    (root(kit) / ID / "cat.jpg").rename(claimed / "cat.jpg")
    kit.restart()
    kit.pass_time(3)

    assert states(kit) == [State.DONE]
    assert kit.results() == ["cat.webp", "originals/cat.jpg"]
    assert not uploads.is_waiting(root(kit), ID)


def test_a_waiting_picture_is_deleted_before_it_is_taken(kit: Kit):
    """It never gets a row."""
    kit.service.parts.queue.size = 0
    upload(kit)
    kit.pass_time(1)
    path = order(kit, {"do": "delete", "id": ID})
    kit.pass_time(1)

    assert states(kit) == []
    assert not uploads.is_waiting(root(kit), ID)
    assert not path.exists()


@pytest.mark.parametrize("is_published", [False, True])
def test_a_picture_that_waits_for_a_share_is_deleted_when_that_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_published: bool
):
    """Its row is left from an earlier life; nothing of it is left afterwards."""
    kit = make_kit(tmp_path, is_held=not is_published)

    def die(job: Job, later: Syncs) -> Job:
        raise Died("before archiving")

    monkeypatch.setattr(kit.service.parts.completion.originals, "put_away", die)
    upload(kit)
    with suppress(Died):
        kit.pass_time(3)
    share = Share(tmp_path.resolve() / "outputs", monkeypatch)
    share.is_down = True
    kit.restart()
    path = order(kit, {"do": "delete", "id": ID})
    kit.pass_time(30, step_s=1)
    meanwhile = (states(kit), path.exists())
    share.come_back()
    kit.pass_time(60, step_s=1)

    assert meanwhile == ([State.RUNNING], True)
    assert states(kit) == []
    assert not path.exists()
    assert kit.results() == []
    assert list(root(kit).rglob("*.jpg")) == []


def test_a_picture_in_work_is_deleted_when_it_has_ended(tmp_path: Path):
    """Until then the order waits, also over a restart."""
    kit = make_kit(tmp_path, is_held=True)
    upload(kit)
    kit.pass_time(2)
    path = order(kit, {"do": "delete", "id": ID})
    kit.pass_time(2)
    assert path.exists()
    assert states(kit) == [State.RUNNING]
    kit.engine.run_held()
    kit.pass_time(2)

    assert not path.exists()
    assert states(kit) == []
    assert kit.results() == []


@pytest.fixture
def clips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clips are cut out, as with the extra."""
    monkeypatch.setattr(video, "is_installed", lambda: True)


def held_clip(tmp_path: Path) -> Kit:
    """A clip is in work."""
    kit = make_kit(tmp_path, is_held=True)
    upload(kit, content=MP4)
    kit.pass_time(2)
    return kit


def work_on(kit: Kit) -> Task:
    """What a worker leaves that is stopped in the middle of its only clip."""
    [(task, _)] = kit.engine.held
    with segments.begin(task.part, 0) as stream:
        stream.write(b"segment")
    segments.write_note(task.part, Note("key", (96,)))
    task.part.write_bytes(b"half a result")
    return task


@pytest.mark.usefixtures("clips")
def test_a_clip_in_work_is_stopped_and_deleted(tmp_path: Path):
    """Nothing of it is left, and its place is free for the next one."""
    kit = held_clip(tmp_path)
    task = work_on(kit)
    path = order(kit, {"do": "delete", "id": ID})
    upload(kit, OTHER, content=MP4)
    kit.pass_time(2)

    assert not path.exists()
    assert states(kit) == []
    assert [task.job_id for task, _ in kit.engine.held] == [
        kit.records.in_state(State.RUNNING)[0].id
    ]
    assert not task.source.exists()
    assert not task.source.parent.parent.exists()
    assert [one.name for drop in kit.drops() for one in drop.rglob(".*.*")] == []
    kit.engine.run_held()
    kit.pass_time(2)
    # Both had an original of this name for a moment.
    assert kit.results() == ["cat.webm", "originals/cat_2.jpg"]


@pytest.mark.usefixtures("clips")
def test_a_clip_that_was_stopped_is_not_started_again(tmp_path: Path):
    """Its outcome comes with the same tick as the order is looked at, or long before it."""
    kit = held_clip(tmp_path)
    order(kit, {"do": "delete", "id": ID})
    for _ in range(6):
        kit.service.tick(0)

    assert kit.engine.held == []
    assert states(kit) == []


@pytest.mark.usefixtures("clips")
@pytest.mark.parametrize("content", [MP4, b"picture"])
def test_a_queued_one_is_deleted_at_once(tmp_path: Path, content: bytes):
    """It does not wait for a place, nor for the end of those before it."""
    kit = make_kit(tmp_path, is_held=True)
    for number in range(kit.engine.depth):
        upload(kit, f"{number:022x}", content=content)
        kit.pass_time(1)
    upload(kit, content=content)
    kit.pass_time(2)
    assert states(kit) == [State.QUEUED]
    path = order(kit, {"do": "delete", "id": ID})
    kit.pass_time(1)

    assert not path.exists()
    assert states(kit) == []
    assert not list((root(kit) / ".cvunetd").rglob(f"{ID}*"))
    kit.engine.run_held()
    for _ in range(20):
        kit.pass_time(1)
        kit.engine.run_held()
    assert len(kit.results()) == 2 * kit.engine.depth


@pytest.mark.usefixtures("clips")
def test_a_clip_that_ends_while_it_is_stopped_is_deleted(tmp_path: Path):
    """As any finished one."""
    kit = held_clip(tmp_path)
    order(kit, {"do": "delete", "id": ID})
    kit.engine.run_held()
    kit.pass_time(2)

    assert states(kit) == []
    assert kit.results() == []


@pytest.mark.usefixtures("clips")
def test_a_death_in_the_middle_of_deleting_a_clip(tmp_path: Path):
    """Its original was deleted, its row was not: the next life does the rest."""
    kit = held_clip(tmp_path)
    task = work_on(kit)
    path = order(kit, {"do": "delete", "id": ID})
    task.source.unlink()
    kit.restart()
    kit.pass_time(2)

    assert not path.exists()
    assert states(kit) == []
    assert [one.name for drop in kit.drops() for one in drop.rglob(".*.*")] == []


def test_a_result_that_a_person_has_changed_is_not_deleted(kit: Kit):
    """It is that person's work; all else goes."""
    upload(kit)
    kit.pass_time(3)
    [result] = kit.base.glob("outputs/*/cat.png")
    result.write_bytes(b"retouched by hand")
    order(kit, {"do": "delete", "id": ID})
    kit.pass_time(1)

    assert kit.results() == ["cat.png"]
    assert states(kit) == []


@pytest.mark.parametrize("verb", ["delete", "retry", "approve", "reject"])
def test_orders_may_be_given_twice(kit: Kit, verb: str):
    """After a crash one is carried out again."""
    upload(kit)
    kit.pass_time(3)
    for _ in range(2):
        order(kit, {"do": verb, "id": ID})
        kit.pass_time(1)

    assert not list(uploads.orders(root(kit)))
    assert states(kit) == {"delete": [], "reject": [State.FAILED]}.get(verb, [State.DONE])


def test_a_rejection_that_was_interrupted_is_finished(kit: Kit):
    """The original has moved, but the row does not say so yet."""
    upload(kit)
    kit.pass_time(3)
    [job] = Uploads(kit.service.parts.ledger).rows(ID)
    place = kit.base.resolve() / "failed" / "web" / ID / "cat.jpg"
    kit.service.parts.ledger.note_rejection(job, quarantine=place)
    place.parent.mkdir(parents=True)
    assert job.archive is not None
    job.archive.rename(place)
    order(kit, {"do": "reject", "id": ID})
    kit.pass_time(1)

    assert states(kit) == [State.FAILED]
    assert place.read_bytes() == b"picture"
    assert kit.results() == []


@pytest.mark.parametrize(
    "content",
    [
        *["", "no JSON", "[]", "[" * 100_000, '"x"', "{}", '{"do": "delete"}'],
        *['{"do": "delete", "id": "../../etc"}', json.dumps({"do": "explode", "id": ID})],
        *['{"do": "close", "id": "1"}', "x" * 100_000],
    ],
)
def test_what_is_no_order_is_deleted(kit: Kit, content: str):
    """With a line in the log; the daemon goes on."""
    upload(kit)
    kit.pass_time(3)
    path = order(kit, content)
    kit.pass_time(1)

    assert not path.exists()
    assert states(kit) == [State.DONE]


def test_links_and_pipes_are_not_read(kit: Kit):
    """Nor waited for."""
    order(kit, {"do": "close", "id": 5})
    folder = root(kit) / uploads.ORDERS
    (folder / "link.json").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe.json")
    kit.pass_time(1)

    assert list(uploads.orders(root(kit))) == []
    assert Path("/etc/passwd").exists()


def test_a_drop_is_closed_when_its_pictures_are_done(tmp_path: Path):
    """And takes no more meanwhile."""
    kit = make_kit(tmp_path, is_held=True)
    upload(kit)
    kit.pass_time(2)
    order(kit, {"do": "close", "id": 1})
    kit.pass_time(1)
    upload(kit, "b" * 22)
    kit.pass_time(2)
    assert [drop.id for drop in kit.records.open_drops()] == [1, 2]
    kit.engine.run_held()
    kit.pass_time(1)

    assert [drop.id for drop in kit.records.open_drops()] == [2]


# --- drops and dropped pictures ------------------------------------------------------------------


def test_a_repeated_order_spares_the_next_drop(kit: Kit):
    """A deleted drop's number is given again; after a crash the order is still there."""
    kit.drop("a.jpg")
    kit.pass_time(3)
    [(first, _)] = Uploads(kit.service.parts.ledger).drops(limit=9)
    wish = {"do": "delete-drop", "id": first.id, "opened_at": first.opened_at}
    order(kit, wish)
    kit.pass_time(3)
    assert kit.results() == []
    kit.drop("b.jpg")
    kit.pass_time(3)
    [(second, _)] = Uploads(kit.service.parts.ledger).drops(limit=9)
    order(kit, wish)
    kit.pass_time(3)

    assert second.id == first.id
    assert kit.results() == ["b.png", "originals/b.jpg"]


def drop_order(kit: Kit) -> Path:
    """The wish to delete the only drop."""
    [drop] = kit.records.open_drops()
    return order(kit, {"do": "delete-drop", "id": drop.id, "opened_at": drop.opened_at})


@pytest.mark.usefixtures("clips")
def test_a_drop_is_deleted_without_waiting_for_its_clip(tmp_path: Path):
    """The clip in work is stopped, and nothing of it is left; the next one gets its place."""
    kit = held_clip(tmp_path)
    task = work_on(kit)
    path = drop_order(kit)
    kit.pass_time(2)

    assert not path.exists()
    assert states(kit) == []
    assert kit.drops() == []
    assert not task.source.exists()
    upload(kit, OTHER, content=MP4)
    kit.pass_time(2)
    kit.engine.run_held()
    kit.pass_time(2)
    assert kit.results() == ["cat.webm", "originals/cat.jpg"]


@pytest.mark.usefixtures("clips")
def test_what_is_queued_for_a_deleted_drop_is_not_begun(tmp_path: Path):
    """Pictures in work end first, as when they are deleted one by one."""
    kit = make_kit(tmp_path, is_held=True)
    for number in range(kit.engine.depth):
        upload(kit, f"{number:022x}")
        kit.pass_time(1)
    upload(kit)
    kit.pass_time(2)
    assert states(kit) == [State.QUEUED]
    path = drop_order(kit)
    kit.pass_time(1)

    assert states(kit) == []
    assert path.exists()
    assert len(kit.engine.held) == kit.engine.depth
    kit.engine.run_held()
    kit.pass_time(2)
    assert not path.exists()
    assert kit.drops() == []
    assert not list((root(kit) / ".cvunetd").rglob("*.jpg"))


@pytest.mark.usefixtures("clips")
def test_a_death_in_the_middle_of_deleting_a_drop_with_a_clip(tmp_path: Path):
    """The clip's original was deleted, its row was not: the next life does the rest."""
    kit = held_clip(tmp_path)
    task = work_on(kit)
    path = drop_order(kit)
    task.source.unlink()
    kit.restart()
    kit.pass_time(2)

    assert not path.exists()
    assert states(kit) == []
    assert kit.drops() == []


@pytest.mark.usefixtures("clips")
def test_a_kept_clip_in_a_deleted_drop_ends_by_itself(tmp_path: Path):
    """Its original stays in the hot folder: stopped, it would be taken again as new."""
    kit = make_kit(tmp_path, is_held=True, folder={"originals": "keep"})
    kit.drop("cat.mp4", MP4)
    kit.pass_time(5)
    path = drop_order(kit)
    kit.pass_time(2)
    assert path.exists()
    assert len(kit.engine.held) == 1
    kit.engine.run_held()
    kit.pass_time(5)

    assert not path.exists()
    assert kit.drops() == []
    assert (kit.hot / "cat.mp4").exists()
    assert kit.engine.held == []


@pytest.mark.parametrize("verb", ["delete", "approve", "doubt", "reject", "retry"])
def test_orders_about_dropped_pictures_may_be_given_twice(kit: Kit, verb: str):
    """They name the row, because there is no upload."""
    kit.drop("a.jpg")
    kit.pass_time(3)
    [found] = kit.records.endings(kit.records.open_drops()[0])
    for _ in range(2):
        order(kit, {"do": verb, "job": found.job.id})
        kit.pass_time(1)
    job = kit.records.job(found.job.id)

    assert not list(uploads.orders(root(kit)))
    wanted = {"delete": None, "reject": State.FAILED}.get(verb, State.DONE)
    assert (job and job.state) == wanted


@pytest.mark.parametrize(
    ("blocked", "expected"),
    [("review", "review_2/a.png"), ("review/a.png", "review/a_2.png")],
)
def test_a_doubt_finds_another_place_if_something_is_in_the_way(
    kit: Kit, blocked: str, expected: str
):
    """Other people's files stay, and the row says where the second name is."""
    kit.drop("a.jpg")
    kit.pass_time(3)
    [drop] = kit.drops()
    (drop / blocked).parent.mkdir(exist_ok=True)
    (drop / blocked).write_bytes(b"foreign")
    [job] = kit.records.in_state(State.DONE)
    order(kit, {"do": "doubt", "job": job.id})
    kit.pass_time(1)
    noted = kit.records.job(job.id)

    assert (noted and noted.review) == drop / expected
    assert (drop / expected).samefile(drop / "a.png")
    assert (drop / blocked).read_bytes() == b"foreign"
    assert not list(uploads.orders(root(kit)))


@pytest.mark.parametrize("content", [{"do": "delete", "job": 1}, {"do": "x", "job": "a" * 22}])
def test_orders_about_nothing(kit: Kit, content: dict[str, object]):
    """They are removed, and nothing happens."""
    kit.drop("a.jpg")
    kit.pass_time(3)
    order(kit, content)
    kit.pass_time(1)

    assert not list(uploads.orders(root(kit)))
    assert kit.results() == ["a.png", "originals/a.jpg"]


# --- what is another picture's -----------------------------------------------------------------


def rejected_twice(kit: Kit) -> list[Job]:
    """Two pictures were rejected under one name; the first one had left quarantine before."""
    kit.work = fail_with(Failed(Blame.FILE, "no picture", is_final=True))
    for content in (b"first", b"second"):
        (kit.base / "failed/hot/cat.jpg").unlink(missing_ok=True)
        (kit.base / "failed/hot/cat.jpg.json").unlink(missing_ok=True)
        kit.drop("cat.jpg", content)
        kit.pass_time(60)
    return [ending.job for ending in reversed(kit.records.last_failures(2))]


@pytest.mark.parametrize("verb", ["delete", "retry"])
def test_order_spares_another_picture_in_quarantine(kit: Kit, verb: str):
    """It has the place that the first one had."""
    first, second = rejected_twice(kit)
    order(kit, {"do": verb, "job": first.id})
    kit.pass_time(1)

    assert first.quarantine == second.quarantine
    assert kit.records.job(first.id) is None
    assert (kit.base / "failed/hot/cat.jpg").read_bytes() == b"second"
    assert (kit.base / "failed/hot/cat.jpg.json").exists()


def test_drop_that_is_deleted_spares_another_picture_in_quarantine(kit: Kit):
    """That picture belongs to a later drop."""
    rejected_twice(kit)
    [(later, _), (drop, _)] = Uploads(kit.service.parts.ledger).drops(limit=9)
    order(kit, {"do": "delete-drop", "id": drop.id, "opened_at": drop.opened_at})
    kit.pass_time(3)

    assert [one.id for one, _ in Uploads(kit.service.parts.ledger).drops(limit=9)] == [later.id]
    assert (kit.base / "failed/hot/cat.jpg").read_bytes() == b"second"


def test_rejection_goes_elsewhere_if_its_place_was_taken_meanwhile(kit: Kit):
    """It was interrupted after its place was written down."""
    kit.drop("cat.jpg", b"good")
    kit.pass_time(3)
    [found] = kit.records.endings(kit.records.open_drops()[0])
    place = kit.base / "failed/hot/cat.jpg"
    kit.service.parts.ledger.note_rejection(found.job, quarantine=place)
    place.parent.mkdir(parents=True)
    place.write_bytes(b"another")
    place.with_name("cat.jpg.json").write_text(json.dumps({"id": OTHER}))
    order(kit, {"do": "reject", "job": found.job.id})
    kit.pass_time(1)

    assert place.read_bytes() == b"another"
    assert (kit.base / "failed/hot/cat_2.jpg").read_bytes() == b"good"


# --- over months ---------------------------------------------------------------------------------


def test_manifests_of_closed_drops_are_not_all_kept_in_memory(kit: Kit):
    """A person judges pictures of many drops, one drop after the other."""
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        kit.drop(name)
        kit.pass_time(60)
    manifests = kit.service.parts.drops.manifests
    for drop, _ in Uploads(kit.service.parts.ledger).drops(limit=9):
        [found] = kit.records.endings(drop)
        order(kit, {"do": "approve", "job": found.job.id}, name=found.job.id)
        kit.pass_time(1)

    assert kit.records.open_drops() == []
    assert len(manifests.texts) == 1
    assert len(manifests.pauses) == 1


def test_closing_a_closed_drop_says_nothing_of_the_next_one(kit: Kit):
    """A deleted drop's number is given again."""
    kit.drop("a.jpg")
    kit.pass_time(60)
    [(first, _)] = Uploads(kit.service.parts.ledger).drops(limit=9)
    order(kit, {"do": "close", "id": first.id})
    kit.pass_time(1)
    order(kit, {"do": "delete-drop", "id": first.id, "opened_at": first.opened_at})
    kit.pass_time(1)
    for name in ("b.jpg", "c.jpg"):
        kit.drop(name)
    kit.pass_time(3)

    assert [drop.id for drop in kit.records.open_drops()] == [first.id]


def test_order_that_cannot_be_removed_ends_nothing(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """Its folder has become read-only, and what lies there is no order."""

    def refuse(path: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    path = order(kit, "{")
    monkeypatch.setattr(files, "remove", refuse)
    kit.pass_time(1)

    assert path.exists()
    assert "is tried again: OSError" in caplog.text


def test_mark_that_goes_while_its_drop_is_deleted_ends_nothing(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """A neighbour who may write there took it away."""
    kit.drop("a.jpg")
    kit.pass_time(60)
    [(drop, _)] = Uploads(kit.service.parts.ledger).drops(limit=9)
    order(kit, {"do": "close", "id": drop.id})
    kit.pass_time(1)
    (drop.path / "theirs.txt").write_text("not ours")
    manifests = kit.service.parts.drops.manifests
    real = manifests.write

    def write(drop: Drop, *, closed_at: float | None, now: float) -> bool:
        is_written = real(drop, closed_at=closed_at, now=now)
        (drop.path / MARKER).unlink()
        return is_written

    monkeypatch.setattr(manifests, "write", write)
    order(kit, {"do": "delete-drop", "id": drop.id, "opened_at": drop.opened_at})
    kit.pass_time(1)

    assert (drop.path / "theirs.txt").read_text() == "not ours"
    assert "it has no mark of ours" in caplog.text


def test_drop_of_a_folder_that_is_no_longer_configured_is_deleted_later(tmp_path: Path):
    """Its queued picture waits for the folder, and so does the order: nothing ends the daemon."""
    kit = make_kit(tmp_path, is_held=False)
    kit.work = fail_with(Failed(Blame.UNKNOWN, "nobody knows"))
    kit.drop("cat.jpg")
    kit.pass_time(2)
    [drop] = kit.records.open_drops()
    assert [job.state for job in kit.records.open_jobs(drop)] == [State.QUEUED]
    (tmp_path / "other").mkdir()
    kit.folder = {"name": "other", "path": "other"}
    kit.restart()
    path = order(kit, {"do": "delete-drop", "id": drop.id, "opened_at": drop.opened_at})
    kit.pass_time(3)

    assert path.exists()
    assert [job.state for job in kit.records.open_jobs(drop)] == [State.QUEUED]
    kit.folder = {}
    kit.restart()
    kit.pass_time(3)
    assert not path.exists()
    assert kit.drops() == []
