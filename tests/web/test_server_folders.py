"""Folders on the server's disk: listed, and copied from; nothing outside is reached."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.web_kit import Json, Kit, running, wait_for

pytestmark = pytest.mark.web
V1 = "/api/v1/server-folders"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of somebody's pictures, with all that may lie there."""
    top = tmp_path / "photos"
    (top / "sub" / "deeper").mkdir(parents=True)
    (top / ".hidden").mkdir()
    for name in ("a.jpg", "b.jpg", "猫.jpg", "sub/c.jpg", ".hidden/d.jpg", ".e.jpg", "notes.txt"):
        (top / name).write_bytes(name.encode())
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (top / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (top / "linked").symlink_to(tmp_path)
    os.mkfifo(top / "pipe.jpg")
    (top / os.fsdecode(b"\xff.jpg")).write_bytes(b"no text")
    return top


@pytest.fixture
def kit(tmp_path: Path, photos: Path) -> Iterator[Kit]:
    """Daemon and server."""
    with running(Kit(tmp_path, web={"server_folders": ["photos", str(tmp_path / "gone")]})) as kit:
        yield kit


def take(kit: Kit, path: str, **more: str) -> Json:
    """The answer to a wish for a copy."""
    content: Json = kit.client.post(f"{V1}/0/pictures", params={"path": path} | more).json()
    return content


def test_there_are_none_by_default(tmp_path: Path):
    """Only what the configuration allows."""
    with running(Kit(tmp_path, is_daemon_up=False)) as kit:
        assert kit.client.get(V1).json() == {"folders": []}
        assert kit.client.get(f"{V1}/0").status_code == 404
        assert kit.client.post(f"{V1}/0/pictures?path=a.jpg").status_code == 404


def test_what_is_listed(kit: Kit):
    """Pictures and folders by name; no hidden ones, no links, no pipes, nothing that is no text."""
    found = kit.client.get(f"{V1}/0").json()
    below = kit.client.get(f"{V1}/0?path=sub").json()
    answer = kit.client.get(V1)

    assert answer.json()["folders"] == [{"id": 0, "name": "photos"}, {"id": 1, "name": "gone"}]
    assert found["folders"] == ["sub"]
    assert [one["name"] for one in found["pictures"]] == ["a.jpg", "b.jpg", "猫.jpg"]
    assert found["total"] == 3
    assert (below["path"], below["folders"]) == ("sub", ["deeper"])
    assert str(kit.base) not in answer.text


def test_a_list_has_pages(kit: Kit):
    """By the last name of the page before."""
    first = kit.client.get(f"{V1}/0?limit=2").json()
    second = kit.client.get(f"{V1}/0", params={"limit": 2, "after": first["next"]}).json()

    assert [one["name"] for one in first["pictures"]] == ["a.jpg", "b.jpg"]
    assert [one["name"] for one in second["pictures"]] == ["猫.jpg"]
    assert second["next"] is None


def test_a_copy_is_cut_out_and_the_original_stays(kit: Kit, photos: Path):
    """With its options, like an upload."""
    [taken] = take(kit, "sub/c.jpg", format="webp")["pictures"]
    kit.wait(taken["id"])

    assert kit.client.get(f"{taken['href']}/original").content == b"sub/c.jpg"
    assert kit.results() == ["c.webp", "originals/c.jpg"]
    assert (photos / "sub/c.jpg").read_bytes() == b"sub/c.jpg"
    assert wait_for(lambda: kit.left() == [])


def test_the_same_key_takes_one_copy(kit: Kit):
    """A client that got no answer asks again."""
    answers = [
        kit.client.post(f"{V1}/0/pictures?path=a.jpg", headers={"Idempotency-Key": "one"}).json()
        for _ in range(2)
    ]
    other = kit.client.post(f"{V1}/0/pictures?path=b.jpg", headers={"Idempotency-Key": "one"})
    [first], [second] = (answer["pictures"] for answer in answers)
    kit.wait(first["id"])

    assert first["id"] == second["id"]
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(kit.tasks) == 1


@pytest.mark.parametrize(
    "path",
    [
        *("../secret.jpg", "sub/../../secret.jpg", "/etc/passwd", "..", "", ".", "sub/"),
        *(".e.jpg", ".hidden/d.jpg", "notes.txt", "link.jpg", "linked/secret.jpg", "pipe.jpg"),
        *("gone.jpg", "sub", "a.jpg/x.jpg", "a\0.jpg", "..\\secret.jpg", "x" * 5000),
        "linked/photos/a.jpg",
    ],
    ids=lambda path: path[:30].replace("\0", "%00"),
)
def test_paths_that_lead_elsewhere(kit: Kit, path: str):
    """Nothing is taken, and the answer says no path of this machine."""
    answer = kit.client.post(f"{V1}/0/pictures", params={"path": path})
    listed = kit.client.get(f"{V1}/0", params={"path": path})

    assert answer.status_code in (400, 404)
    assert listed.status_code in (400, 404) or path in ("", ".", "sub", "sub/")
    assert str(kit.base) not in answer.text + listed.text
    assert not kit.tasks
    assert kit.left() == []


def test_backslashes_are_letters(kit: Kit, photos: Path):
    """On Linux a name may hold them; what is listed can be taken."""
    (photos / "d\\e").mkdir()
    (photos / "d\\e" / "b\\c.jpg").write_bytes(b"odd")
    [folder] = [one for one in kit.client.get(f"{V1}/0").json()["folders"] if one != "sub"]
    [picture] = kit.client.get(f"{V1}/0", params={"path": folder}).json()["pictures"]
    [taken] = take(kit, f"{folder}/{picture['name']}")["pictures"]
    kit.wait(taken["id"])

    assert (folder, picture["name"]) == ("d\\e", "b\\c.jpg")
    assert kit.client.get(f"/api/v1/pictures/{taken['id']}/result").content == b"odd"


@pytest.mark.parametrize("number", ["2", "-1", "x", "99999999999999999999", "\uff10"])
def test_unknown_folders(kit: Kit, number: str):
    """404; also one that is not on the disk."""
    assert kit.client.get(f"{V1}/{number}").status_code == 404
    assert kit.client.get(f"{V1}/1").status_code == 404


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "other=1"])
def test_wrong_parameters(kit: Kit, query: str):
    """Each is refused."""
    assert kit.client.get(f"{V1}/0?{query}").status_code == 400


def test_a_large_file_is_refused(tmp_path: Path, photos: Path):
    """By the same limit as an upload."""
    (photos / "large.jpg").write_bytes(b"x" * 20_000)
    web = {"server_folders": ["photos"], "max_upload_mb": 0.01}
    with running(Kit(tmp_path, web=web)) as kit:
        answer = kit.client.post(f"{V1}/0/pictures?path=large.jpg")

        assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")
        assert kit.left() == []


def test_an_empty_file_is_refused(kit: Kit, photos: Path):
    """As everywhere."""
    (photos / "empty.jpg").touch()

    assert take(kit, "empty.jpg")["code"] == "empty_file"
    assert kit.left() == []


def test_a_full_queue(tmp_path: Path, photos: Path):
    """Says when to come again."""
    web = {"server_folders": ["photos"], "max_waiting": 1}
    with running(Kit(tmp_path, web=web, is_daemon_up=False)) as kit:
        take(kit, "b.jpg")
        answer = kit.client.post(f"{V1}/0/pictures?path=a.jpg")

        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
