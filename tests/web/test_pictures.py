"""Pictures by HTTP: in, asked for, out, deleted, tried again, judged."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.web_kit import Kit, picture, running, wait_for

pytestmark = pytest.mark.web
V1 = "/api/v1/pictures"


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """Daemon and server."""
    with running(Kit(tmp_path, settings={"output": {"drop_idle_s": 600}})) as kit:
        yield kit


def test_a_picture_becomes_its_result(kit: Kit):
    """It waits, is cut out, and nothing of the upload stays in the folder."""
    upload_id = kit.upload(b"content")
    kit.wait(upload_id)

    assert kit.client.get(f"{V1}/{upload_id}/result").content == b"content"
    assert kit.client.get(f"{V1}/{upload_id}/original").content == b"content"
    assert kit.results() == ["cat.png", "originals/cat.jpg"]
    assert wait_for(lambda: kit.left() == [])


def test_many_pictures_in_one_request(kit: Kit):
    """Each gets its own id, in the order in which they came."""
    sent = [("image", (f"{number}.jpg", b"%d" % number)) for number in range(5)]
    answer = kit.client.post(V1, files=sent)
    ids = [one["id"] for one in answer.json()["pictures"]]
    for upload_id in ids:
        kit.wait(upload_id)

    assert answer.status_code == 202
    assert answer.headers["location"] == f"{V1}/{ids[0]}"
    results = [kit.client.get(f"{V1}/{one}/result").content for one in ids]
    assert results == [b"0", b"1", b"2", b"3", b"4"]


def test_options_reach_the_worker(kit: Kit):
    """Each picture is made as its own request says, in one folder."""
    first = kit.upload(format="webp", background="ff0000", crop="subject", crop_margin="0.1")
    second = kit.upload(content="both", max_megapixels="0.25")
    kit.wait(first)
    kit.wait(second)
    by_name = {task.source.parent.name: task.rendering for task in kit.tasks}
    asked = by_name[first]

    assert (asked.format, asked.background) == ("webp", (255, 0, 0))
    assert (asked.framing.mode, asked.framing.margin) == ("subject", 0.1)
    assert (by_name[second].content, by_name[second].max_result_pixels) == ("both", 250_000)
    assert kit.client.get(f"{V1}/{second}/mask").status_code == 200
    assert kit.client.get(f"{V1}/{first}/mask").status_code == 404


def test_a_name_that_is_taken_gets_a_version(kit: Kit):
    """Ids are in no name of a result."""
    for _ in range(2):
        kit.wait(kit.upload())

    assert kit.results() == ["cat.png", "cat_2.png", "originals/cat.jpg", "originals/cat_2.jpg"]


def test_a_picture_that_fails_says_why(kit: Kit):
    """It lies in quarantine; there is no result."""
    upload_id = kit.upload(b"bad")
    kit.wait(upload_id, "failed")
    content = kit.client.get(f"{V1}/{upload_id}").json()
    answer = kit.client.get(f"{V1}/{upload_id}/result")

    assert content["reason"] == "not a picture"
    assert "quarantine" not in content["picture"]
    assert (answer.status_code, answer.json()["code"]) == (409, "picture_failed")
    assert (kit.base / "failed" / "web" / upload_id / "cat.jpg").exists()


def test_a_failed_picture_is_tried_again_under_its_id(kit: Kit):
    """As `cvunetd retry` does it; with the options that it came with."""
    upload_id = kit.upload(b"bad", format="webp")
    kit.wait(upload_id, "failed")
    (kit.base / "failed" / "web" / upload_id / "cat.jpg").write_bytes(b"mended")
    answer = kit.client.post(f"{V1}/{upload_id}/retry")
    kit.wait(upload_id)

    assert answer.status_code == 202
    assert kit.client.get(f"{V1}/{upload_id}/result").content == b"mended"
    assert kit.results() == ["cat.webp", "originals/cat.jpg"]


def test_a_deleted_picture_leaves_nothing(kit: Kit):
    """Result, original, row; a second time it is unknown."""
    upload_id = kit.upload()
    kit.wait(upload_id)
    answer = kit.client.delete(f"{V1}/{upload_id}")
    assert wait_for(lambda: kit.results() == [])

    assert answer.status_code == 202
    assert kit.client.delete(f"{V1}/{upload_id}").status_code == 404
    assert wait_for(lambda: kit.left() == [])
    [manifest] = kit.base.glob("outputs/*/manifest.json")
    assert wait_for(lambda: json.loads(manifest.read_text())["pictures"] == [])


def test_a_deleted_failure_leaves_nothing(kit: Kit):
    """Neither the picture nor its reason."""
    upload_id = kit.upload(b"bad")
    kit.wait(upload_id, "failed")
    kit.client.delete(f"{V1}/{upload_id}")

    assert wait_for(lambda: not list((kit.base / "failed" / "web").iterdir()))


def test_a_doubtful_result_is_approved(kit: Kit):
    """The name for review goes, the result stays."""
    upload_id = kit.upload(b"blank")
    kit.wait(upload_id)
    assert "review/cat.png" in kit.results()
    kit.client.post(f"{V1}/{upload_id}/approve")

    assert wait_for(lambda: kit.results() == ["cat.png", "originals/cat.jpg"])
    # Its row changes after the name has gone.
    assert wait_for(lambda: kit.client.get(f"{V1}/{upload_id}").json()["picture"]["review"] is None)


def test_a_bad_result_is_rejected_and_can_be_tried_again(kit: Kit):
    """The original goes to quarantine, and nothing of the result stays."""
    upload_id = kit.upload(b"blank")
    kit.wait(upload_id)
    kit.client.post(f"{V1}/{upload_id}/reject")
    kit.wait(upload_id, "failed")

    assert kit.results() == []
    assert (kit.base / "failed" / "web" / upload_id / "cat.jpg").read_bytes() == b"blank"
    kit.client.post(f"{V1}/{upload_id}/retry")
    kit.wait(upload_id)


@pytest.mark.parametrize(
    ("content", "verb", "state"), [(b"blank", "reject", "done"), (b"bad", "retry", "failed")]
)
def test_what_needs_an_original_that_is_gone_is_refused(
    kit: Kit, content: bytes, verb: str, state: str
):
    """The daemon could not do it."""
    upload_id = kit.upload(content)
    kit.wait(upload_id, state)
    for top in ("outputs", "failed"):
        for original in (kit.base / top).rglob("cat.jpg"):
            original.unlink()
    answer = kit.client.post(f"{V1}/{upload_id}/{verb}")

    assert (answer.status_code, answer.json()["code"]) == (409, "no_original")


def test_verbs_need_their_state(kit: Kit):
    """A picture that is done cannot be tried again, and one that failed cannot be approved."""
    good, bad = kit.upload(), kit.upload(b"bad")
    kit.wait(good)
    kit.wait(bad, "failed")
    answers = [kit.client.post(f"{V1}/{good}/retry"), kit.client.post(f"{V1}/{bad}/approve")]

    assert [one.status_code for one in answers] == [409, 409]


def test_a_thumbnail_is_small(kit: Kit):
    """Made by a process of its own; what is no picture has none."""
    large, odd = kit.upload(picture(1000)), kit.upload(b"odd")
    kit.wait(large)
    kit.wait(odd)
    answer = kit.client.get(f"{V1}/{large}/thumbnail")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content[16:24] == b"\x00\x00\x01\x40\x00\x00\x01\x40"  # 320 x 320
    assert kit.client.get(f"{V1}/{odd}/thumbnail").status_code == 422


def test_a_result_that_was_deleted_is_gone(kit: Kit):
    """By a person, say."""
    upload_id = kit.upload()
    kit.wait(upload_id)
    [result] = kit.base.glob("outputs/*/cat.png")
    result.unlink()

    assert kit.client.get(f"{V1}/{upload_id}/result").status_code == 410


def test_a_link_in_place_of_a_result_is_not_followed(kit: Kit):
    """Nothing outside of drops is served."""
    upload_id = kit.upload()
    kit.wait(upload_id)
    [result] = kit.base.glob("outputs/*/cat.png")
    result.unlink()
    result.symlink_to("/etc/passwd")

    assert kit.client.get(f"{V1}/{upload_id}/result").status_code == 404


# --- the same request again ------------------------------------------------------------------


def send(kit: Kit, key: str, content: bytes = b"picture", **options: str) -> tuple[int, str]:
    """Send a picture under a key; status, and id or code."""
    answer = kit.client.post(
        V1,
        files={"image": ("cat.jpg", content)},
        headers={"Idempotency-Key": key},
        params=options,
    )
    found = answer.json()
    return answer.status_code, found["pictures"][0]["id"] if "pictures" in found else found["code"]


def test_a_repeated_request_makes_no_second_picture(kit: Kit):
    """Neither while it waits nor when it is done."""
    first = send(kit, "one")
    again = send(kit, "one")
    kit.wait(first[1])
    later = send(kit, "one")

    assert first == again == later
    assert kit.results() == ["cat.png", "originals/cat.jpg"]
    assert send(kit, "two")[1] != first[1]


def test_a_key_belongs_to_its_content(kit: Kit):
    """Other pictures or options under the same key are refused."""
    kit.wait(send(kit, "one")[1])

    assert send(kit, "one", b"other") == (422, "idempotency_key_reused")
    assert send(kit, "one", format="webp") == (422, "idempotency_key_reused")


def test_a_note_that_was_tampered_with_rejects_its_picture(kit: Kit):
    """Whoever may write to the folder may write notes, but not name a file of ours."""
    upload_id = hashlib.sha256(b"x").hexdigest()[:22]
    folder = kit.uploads / ".incoming" / upload_id
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(b"picture")
    note = {"options": {"background": "/etc/passwd.png"}}
    (folder / ".request.json").write_text(json.dumps(note))
    folder.rename(kit.uploads / upload_id)
    kit.server.site.hint_upload(upload_id, "cat.jpg")
    kit.wait(upload_id, "failed")

    assert "options cannot be understood" in kit.client.get(f"{V1}/{upload_id}").json()["reason"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, True),
        ({"content": "both"}, True),
        ({"format": "webp"}, False),
        ({"background": "ffffff"}, False),
        ({"crop": "subject"}, False),
        ({"preset": "square"}, False),
        ({"adjust_low": "0.1"}, False),
        ({"content": "alpha"}, False),
    ],
)
def test_whether_a_result_is_plain(kit: Kit, options: dict[str, str], expected: bool):
    """As its own options say, not as its name looks."""
    upload_id = kit.upload(picture(), **options)
    kit.wait(upload_id)

    assert kit.client.get(f"{V1}/{upload_id}").json()["is_plain"] is expected
