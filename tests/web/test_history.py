"""Pictures of all hot folders by HTTP: found, shown, judged, deleted; also dropped ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.jobs import Hint
from daemon.messages import FileEvent
from tests.web.web_kit import Json, Kit, picture, running, wait_for

pytestmark = pytest.mark.web
V1 = "/api/v1"


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """Daemon and server; drops stay open."""
    with running(Kit(tmp_path, settings={"output": {"drop_idle_s": 600}})) as kit:
        yield kit


def drop_picture(kit: Kit, name: str = "cat.jpg", content: bytes = b"picture") -> Json:
    """Put a picture into the hot folder; what the API says of it when it has ended."""
    before = {one["id"] for one in search(kit)}
    path = (kit.base / "hot" / name).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    kit.inbox.put(FileEvent("hot", path, Hint.MOVED))
    assert wait_for(lambda: {one["id"] for one in search(kit)} - before)
    [found] = [one for one in search(kit) if one["id"] not in before]
    return found


def search(kit: Kit, **query: str | int) -> list[Json]:
    """Pictures that are found."""
    answer = kit.client.get(f"{V1}/pictures", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["pictures"])


def names(kit: Kit, **query: str | int) -> list[str]:
    """Their names."""
    return [one["name"] for one in search(kit, **query)]


@pytest.mark.parametrize(("verb", "ending"), [("GET", ""), ("DELETE", ""), ("POST", "/retry")])
def test_a_picture_of_a_drop_has_its_address_once_it_has_ended(
    tmp_path: Path, verb: str, ending: str
):
    """Before, a client is told to ask again later, not that another state is needed."""
    with running(Kit(tmp_path, is_held=True)) as kit:
        upload_id = kit.upload()
        assert wait_for(lambda: kit.engine.held)
        [(task, _)] = kit.engine.held
        drop = kit.client.get(f"{V1}/pictures/{upload_id}").json()["drop"]
        answer = kit.client.request(verb, f"{V1}/drops/{drop}/pictures/{task.job_id}{ending}")

        assert (answer.status_code, answer.json()["code"]) == (409, "picture_running")
        assert answer.json()["detail"] == "the picture is running: ask again when it has ended"
        kit.engine.run_held()


# --- search ------------------------------------------------------------------------------------


def test_dropped_and_uploaded_pictures_are_found(kit: Kit):
    """By parts of their names, whatever the case, the newest first; no path of this machine."""
    drop_picture(kit, "sub/Ärger 猫.jpg")
    drop_picture(kit, "dog.jpg")
    kit.wait(kit.upload(name="cat dog.jpg"))
    answer = kit.client.get(f"{V1}/pictures")

    assert names(kit) == ["cat dog.jpg", "dog.jpg", "Ärger 猫.jpg"]
    assert names(kit, text="DOG") == ["cat dog.jpg", "dog.jpg"]
    assert names(kit, text="äRGER 猫") == ["Ärger 猫.jpg"]
    assert names(kit, text="sub/") == ["Ärger 猫.jpg"]
    assert names(kit, text="outputs") == []
    assert names(kit, folder="hot", text="dog") == ["dog.jpg"]
    assert str(kit.base) not in answer.text


def test_pages_follow_each_other(kit: Kit):
    """No picture is missed, none comes twice."""
    for number in range(5):
        drop_picture(kit, f"{number}.jpg")
    pages, before = [], None
    while True:
        query = {"limit": 2} | ({"before": before} if before else {})
        content = kit.client.get(f"{V1}/pictures", params=query).json()
        pages.append([one["name"] for one in content["pictures"]])
        before = content["next"]
        if before is None:
            break

    assert pages == [["4.jpg", "3.jpg"], ["2.jpg", "1.jpg"], ["0.jpg"]]


def test_pictures_by_state_and_drop(kit: Kit):
    """Failed ones, doubtful ones, those of one drop."""
    drop_picture(kit, "good.jpg")
    drop_picture(kit, "bad.jpg", b"bad")
    found = drop_picture(kit, "blank.jpg", b"blank")

    assert names(kit, state="failed") == ["bad.jpg"]
    assert names(kit, state="doubtful") == ["blank.jpg"]
    assert names(kit, state="done") == ["blank.jpg", "good.jpg"]
    assert names(kit, drop=found["drop"]) == ["blank.jpg", "bad.jpg", "good.jpg"]
    assert names(kit, drop=99) == []
    assert kit.client.get(f"{V1}/pictures").json()["doubtful"] == 1


@pytest.mark.parametrize(
    "query",
    [
        *("state=x", "before=x", "limit=0", "limit=201", "drop=0", "text=a%00b", "other=1"),
        f"text={'x' * 201}",
        f"folder={'x' * 101}",
    ],
)
def test_wrong_questions(kit: Kit, query: str):
    """Each is refused."""
    assert kit.client.get(f"{V1}/pictures?{query}").status_code == 400


def test_nothing_is_found_before_the_first_start(tmp_path: Path):
    """The daemon has never run."""
    with running(Kit(tmp_path, is_daemon_up=False)) as kit:
        assert search(kit) == []


# --- states ------------------------------------------------------------------------------------


def test_states_of_many_uploads(kit: Kit):
    """In the order of the question; an unknown one is no error."""
    done, failed = kit.upload(), kit.upload(b"bad")
    kit.wait(done)
    kit.wait(failed, "failed")
    ids = ",".join([failed, "f" * 22, done])
    found = kit.client.get(f"{V1}/states", params={"ids": ids}).json()["pictures"]

    assert [one["state"] for one in found] == ["failed", "unknown", "done"]
    assert found[0]["reason"] == "not a picture"


@pytest.mark.parametrize("ids", ["", "x", ",", f"{'a' * 22},", ",".join(["a" * 22] * 401)])
def test_wrong_ids(kit: Kit, ids: str):
    """Each is refused."""
    assert kit.client.get(f"{V1}/states", params={"ids": ids}).status_code == 400


# --- files -------------------------------------------------------------------------------------


def test_files_of_a_dropped_picture(kit: Kit):
    """Result, original, and small pictures of both; nothing is sent twice."""
    found = drop_picture(kit, "large.png", picture(2000))
    small = kit.client.get(f"{found['href']}/thumbnail")
    again = kit.client.get(
        f"{found['href']}/thumbnail", headers={"If-None-Match": small.headers["etag"]}
    )
    sizes = {
        kind: len(kit.client.get(f"{found['href']}/{kind}").content)
        for kind in ("preview", "original-thumbnail", "original-preview")
    }

    assert kit.client.get(f"{found['href']}/result").content == picture(2000)
    assert kit.client.get(f"{found['href']}/original").content == picture(2000)
    assert small.content.startswith(b"\x89PNG")
    assert (again.status_code, again.content) == (304, b"")
    assert all(sizes.values())
    assert kit.client.get(f"{found['href']}/mask").status_code == 404


def test_a_changed_result_has_another_thumbnail(kit: Kit):
    """A person has retouched it."""
    found = drop_picture(kit, "a.png", picture())
    first = kit.client.get(f"{found['href']}/thumbnail")
    [result] = kit.base.glob("outputs/*/a.png")
    result.write_bytes(picture(50))
    second = kit.client.get(f"{found['href']}/thumbnail")

    assert first.headers["etag"] != second.headers["etag"]
    assert first.content != second.content


def test_a_failed_picture_has_no_files(kit: Kit):
    """Quarantine is not served."""
    found = drop_picture(kit, "bad.jpg", b"bad")

    for kind in ("result", "thumbnail", "original", "original-preview"):
        assert kit.client.get(f"{found['href']}/{kind}").status_code == 409


def test_a_link_in_the_place_of_a_result_is_not_followed(kit: Kit):
    """Whatever it leads to."""
    found = drop_picture(kit)
    [result] = kit.base.glob("outputs/*/cat.png")
    result.unlink()
    result.symlink_to("/etc/passwd")

    assert kit.client.get(f"{found['href']}/result").status_code == 404
    assert kit.client.get(f"{found['href']}/thumbnail").status_code == 404


@pytest.mark.parametrize("job", ["x", "..%2f..", "f" * 22, "%00", "F" * 22])
def test_unknown_pictures(kit: Kit, job: str):
    """404 in every form, also for a picture of another drop."""
    found = drop_picture(kit)

    for path in (f"{V1}/drops/{found['drop']}/pictures/{job}", f"{V1}/drops/9/pictures/{job}"):
        for end in ("", "/result", "/thumbnail"):
            assert kit.client.get(path + end).status_code == 404
        assert kit.client.delete(path).status_code in (404, 405)
        assert kit.client.post(f"{path}/approve").status_code in (404, 405)
    assert kit.client.get(f"{V1}/drops/9/pictures/{found['id']}").status_code == 404


# --- review ------------------------------------------------------------------------------------


def reviewed(kit: Kit) -> list[str]:
    """What lies in folders for review."""
    return [path.name for path in kit.base.glob("outputs/*/review/*")]


def test_an_approval_and_its_undoing(kit: Kit):
    """Out of review, and into it again."""
    found = drop_picture(kit, content=b"blank")
    assert reviewed(kit) == ["cat.png"]
    assert kit.client.post(f"{found['href']}/approve").status_code == 202
    # The daemon may carry it out between the two looks of a search: at rows, then at orders.
    assert wait_for(lambda: names(kit, state="doubtful") == [])
    assert wait_for(lambda: not reviewed(kit))
    assert wait_for(lambda: not kit.client.get(found["href"]).json()["is_doubtful"])
    assert kit.client.post(f"{found['href']}/doubt").status_code == 202
    assert wait_for(lambda: names(kit, state="doubtful") == ["cat.jpg"])

    assert wait_for(lambda: reviewed(kit) == ["cat.png"])  # after its row
    assert kit.client.get(found["href"]).json()["review"] == "review/cat.png"


def test_a_rejection_and_its_undoing(kit: Kit):
    """The original goes into quarantine, and from there back: it is cut out again."""
    found = drop_picture(kit, content=b"blank")
    assert kit.client.post(f"{found['href']}/reject?doubtful=true").status_code == 202
    assert wait_for(lambda: names(kit, state="failed") == ["cat.jpg"])
    assert (kit.base / "failed/hot/cat.jpg").exists()
    assert kit.client.post(f"{found['href']}/retry").status_code == 202
    assert wait_for(lambda: names(kit, state="doubtful") == ["cat.jpg"])

    assert not (kit.base / "failed/hot/cat.jpg").exists()
    assert names(kit) == ["cat.jpg"]


def test_two_people_judge_the_same_picture(kit: Kit):
    """The second is told, before and after the daemon has done what the first one said."""
    found = drop_picture(kit, content=b"blank")
    first = kit.client.post(f"{found['href']}/approve?doubtful=true")
    second = kit.client.post(f"{found['href']}/reject?doubtful=true")
    assert wait_for(lambda: not reviewed(kit))
    third = kit.client.post(f"{found['href']}/approve?doubtful=true")

    assert [one.status_code for one in (first, second, third)] == [202, 409, 409]
    assert second.json()["code"] == third.json()["code"] == "already_judged"
    assert names(kit, state="done") == ["cat.jpg"]


def test_a_result_without_an_original_is_not_rejected(tmp_path: Path):
    """Nothing of the picture would be left."""
    settings = {"folders": [{"path": "hot", "originals": "delete"}]}
    with running(Kit(tmp_path, settings=settings)) as kit:
        found = drop_picture(kit, content=b"blank")
        answer = kit.client.post(f"{found['href']}/reject")

        assert (answer.status_code, answer.json()["code"]) == (409, "no_original")
        assert reviewed(kit) == ["cat.png"]


def test_judgements_wait_for_a_daemon_that_is_down(tmp_path: Path):
    """They are kept, and the picture is not shown for review again."""
    with running(Kit(tmp_path)) as kit:
        drop_picture(kit, content=b"blank")
    with running(Kit(tmp_path, is_daemon_up=False)) as kit:
        [found] = search(kit, state="doubtful")
        assert kit.client.post(f"{found['href']}/approve").status_code == 202
        assert search(kit, state="doubtful") == []
        assert reviewed(kit) == ["cat.png"]
    with running(Kit(tmp_path)):
        assert wait_for(lambda: not reviewed(kit))


@pytest.mark.parametrize(("last", "state"), [("reject", "failed"), ("approve", "done")])
def test_judged_again_at_the_address_of_an_upload(tmp_path: Path, last: str, state: str):
    """The last one counts there, too, and is seen by others before the daemon has done it."""
    with running(Kit(tmp_path)) as kit:
        upload_id = kit.upload(b"blank")
        kit.wait(upload_id)
    with running(Kit(tmp_path, is_daemon_up=False)) as kit:
        [found] = search(kit, state="doubtful")
        addresses = (f"/api/v1/pictures/{upload_id}/approve", f"{found['href']}/doubt")
        last_address = f"/api/v1/pictures/{upload_id}/{last}"
        assert [kit.client.post(one).status_code for one in addresses] == [202] * 2
        assert kit.client.post(last_address).status_code == 202
        assert search(kit, state="doubtful") == []
        other = kit.client.post(f"{found['href']}/reject?doubtful=true")
        assert other.json()["code"] == "already_judged"
    with running(Kit(tmp_path)) as kit:
        assert wait_for(lambda: not list((kit.uploads / ".orders").iterdir()))
        assert kit.client.get(f"/api/v1/pictures/{upload_id}").json()["state"] == state

    assert reviewed(kit) == []


@pytest.mark.parametrize(("last", "state"), [("reject", "failed"), ("approve", "done")])
def test_judged_again_before_the_daemon_has_done_the_first(tmp_path: Path, last: str, state: str):
    """Approved, taken back, judged anew: the last one counts, and another person is told."""
    with running(Kit(tmp_path)) as kit:
        drop_picture(kit, content=b"blank")
    with running(Kit(tmp_path, is_daemon_up=False)) as kit:
        [found] = search(kit, state="doubtful")
        codes = [
            kit.client.post(f"{found['href']}/{verb}").status_code
            for verb in ("approve?doubtful=true", "doubt", f"{last}?doubtful=true")
        ]
        other = kit.client.post(f"{found['href']}/reject?doubtful=true")
        assert codes == [202] * 3
        assert other.json()["code"] == "already_judged"
    with running(Kit(tmp_path)) as kit:
        assert wait_for(lambda: not list((kit.uploads / ".orders").iterdir()))
        assert names(kit, state=state) == ["cat.jpg"]

    assert reviewed(kit) == []


def test_a_version_of_a_dropped_picture(kit: Kit):
    """Its original is taken in like an upload, with other options; the first result stays."""
    found = drop_picture(kit)
    answer = kit.client.post(f"{found['href']}/versions?format=webp")
    kit.wait(answer.json()["id"])

    assert answer.status_code == 202
    assert {"cat.png", "cat.webp"} < set(kit.results())
    assert kit.client.post(f"{found['href']}/versions?format=x").status_code == 400


# --- delete ------------------------------------------------------------------------------------


def test_a_dropped_picture_is_deleted(kit: Kit):
    """With result, original and row; at once for those who ask."""
    drop_picture(kit, "other.jpg")
    found = drop_picture(kit, "cat.jpg")
    assert kit.client.delete(found["href"]).status_code == 202
    assert kit.client.get(found["href"]).status_code == 404
    # The daemon may carry it out between the two looks of a search: at rows, then at orders.
    assert wait_for(lambda: names(kit) == ["other.jpg"])
    assert wait_for(lambda: kit.results() == ["originals/other.jpg", "other.png"])

    assert kit.client.delete(found["href"]).status_code == 404


def test_an_upload_is_deleted_by_its_picture(kit: Kit):
    """Its id is unknown then."""
    upload_id = kit.upload()
    kit.wait(upload_id)
    [found] = search(kit)
    assert kit.client.delete(found["href"]).status_code == 202

    assert wait_for(lambda: kit.state(upload_id) == "not_found")
    assert wait_for(lambda: kit.results() == [])


def test_a_kept_original_is_not_cut_out_again(tmp_path: Path):
    """Its row stays when its result is deleted."""
    settings = {"folders": [{"path": "hot", "originals": "keep"}]}
    with running(Kit(tmp_path, settings=settings)) as kit:
        found = drop_picture(kit)
        kit.client.delete(found["href"])
        assert wait_for(lambda: kit.results() == [])
        drop_picture(kit, "next.jpg")

        assert wait_for(lambda: kit.results() == ["next.png"])
        assert names(kit) == ["next.jpg"]
        assert (kit.base / "hot/cat.jpg").exists()


def test_a_drop_is_deleted(kit: Kit):
    """It is closed first; all its pictures go, and the next picture opens another one."""
    first = drop_picture(kit, "a.jpg")
    drop_picture(kit, "bad.jpg", b"bad")
    answer = kit.client.delete(f"{V1}/drops/{first['drop']}")
    assert kit.client.get(f"{V1}/drops").json()["drops"] == []
    assert kit.client.get(first["href"]).status_code == 404
    assert wait_for(lambda: not list((kit.base / "outputs").iterdir()))
    assert wait_for(lambda: not list((kit.base / "failed").rglob("*.jpg")))
    drop_picture(kit, "b.jpg")

    assert answer.status_code == 202
    assert names(kit) == ["b.jpg"]
    assert kit.results() == ["b.png", "originals/b.jpg"]


def test_what_others_have_put_into_a_drop_stays(kit: Kit):
    """A file of somebody else, and a result that a person has changed."""
    found = drop_picture(kit, "a.jpg")
    drop_picture(kit, "b.jpg")
    [drop] = (kit.base / "outputs").iterdir()
    (drop / "notes.txt").write_text("mine")
    (drop / "a.png").write_bytes(b"retouched by hand")
    kit.client.delete(f"{V1}/drops/{found['drop']}")
    assert wait_for(lambda: kit.client.get(f"{V1}/drops/{found['drop']}").status_code == 404)
    assert wait_for(lambda: not (drop / ".cvunetd-drop").exists())

    assert sorted(path.name for path in drop.rglob("*")) == ["a.png", "notes.txt"]


def test_a_drop_tells_when_it_goes(kit: Kit):
    """Seven days after it was closed; not before that is known."""
    found = drop_picture(kit)
    [opened] = kit.client.get(f"{V1}/drops").json()["drops"]
    kit.client.post(f"{opened['href']}/close")
    assert wait_for(lambda: kit.client.get(opened["href"]).json()["closed_at"])
    closed = kit.client.get(opened["href"]).json()

    assert opened["expires_at"] is None
    assert closed["expires_at"] > closed["closed_at"]
    assert closed["is_there"]
    assert found["drop"] == closed["id"]
