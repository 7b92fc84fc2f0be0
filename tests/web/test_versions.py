"""Other options for the same original, and touch-ups: always a picture of its own."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from daemon.disk import uploads
from daemon.lifecycle import touch_ups
from daemon.web.records import LedgerView
from tests.web.web_kit import Kit, picture, running

pytestmark = pytest.mark.web


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """A daemon and its server."""
    with running(Kit(tmp_path)) as kit:
        yield kit


def mask(side: int = 8, mode: str = "RGBA") -> bytes:
    """A PNG that restores everything."""
    made = io.BytesIO()
    Image.new(mode, (side, side), "white").save(made, "PNG")
    return made.getvalue()


def version_of(kit: Kit, upload_id: str, body: bytes = b"", **options: str) -> str:
    """Have a version made; its id."""
    path = f"/api/v1/pictures/{upload_id}/versions"
    answer = kit.client.post(path, content=body, params=options)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_a_version_is_made_of_the_original_and_the_earlier_result_stays(kit: Kit):
    """With the earlier options, and those of the request over them."""
    first = kit.upload(picture(), format="webp", background="ff0000")
    kit.wait(first)
    second = version_of(kit, first, adjust_low="0.2")
    kit.wait(second)

    earlier, later = (task.rendering for task in kit.tasks)
    assert (
        (later.format, later.background)
        == ("webp", (255, 0, 0))
        == (earlier.format, earlier.background)
    )
    assert (earlier.adjustments.low, later.adjustments.low) == (0.0, 0.2)
    assert kit.state(first) == "done"
    assert kit.client.get(f"/api/v1/pictures/{second}/original").content == picture()
    assert kit.client.get(f"/api/v1/pictures/{first}/result").status_code == 200


def test_a_touch_up_reaches_the_worker_and_the_masks_add_up(kit: Kit):
    """A version of a touched version has both masks, in their order."""
    first = kit.upload(picture())
    kit.wait(first)
    second = version_of(kit, first, mask())
    kit.wait(second)
    third = version_of(kit, second, mask(4))
    kit.wait(third)

    assert [len(task.touch_ups) for task in kit.tasks] == [0, 1, 2]
    assert [path.read_bytes() for path in kit.tasks[2].touch_ups] == [mask(), mask(4)]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"GIF89a", "the body is a mask"),
        (mask(mode="RGB"), "with transparency"),
        (mask(4097), "4096x4096"),
    ],
)
def test_what_is_no_mask_is_refused_and_leaves_nothing(kit: Kit, body: bytes, why: str):
    """Neither a mask nor a picture."""
    first = kit.upload(picture())
    kit.wait(first)
    answer = kit.client.post(f"/api/v1/pictures/{first}/versions", content=body)

    assert answer.status_code == 400
    assert why in answer.json()["detail"]
    assert list((kit.uploads / uploads.MASKS).iterdir()) == []
    assert len(kit.tasks) == 1


def test_a_wrong_option_is_refused(kit: Kit):
    """As in an upload."""
    first = kit.upload(picture())
    kit.wait(first)
    answer = kit.client.post(f"/api/v1/pictures/{first}/versions?adjust_low=2")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_adjust_low")


def test_the_same_key_gives_the_same_version(kit: Kit):
    """A client that got no answer asks again."""
    first = kit.upload(picture())
    kit.wait(first)
    path, headers = f"/api/v1/pictures/{first}/versions", {"Idempotency-Key": "one"}
    ids = [kit.client.post(path, headers=headers).json()["id"] for _ in range(2)]
    other = kit.client.post(path, headers=headers, content=mask())

    assert ids[0] == ids[1]
    assert other.json()["code"] == "idempotency_key_reused"


def test_only_a_picture_that_is_done_has_versions(kit: Kit):
    """And an unknown one has none."""
    bad = kit.upload(b"bad")
    kit.wait(bad, "failed")

    assert kit.client.post(f"/api/v1/pictures/{bad}/versions").status_code == 409
    assert kit.client.post(f"/api/v1/pictures/{'0' * 22}/versions").status_code == 404


def test_without_its_original_a_picture_has_no_versions(kit: Kit):
    """Somebody has deleted it since."""
    first = kit.upload(picture())
    kit.wait(first)
    for path in (kit.base / "outputs").rglob("originals/*"):
        path.unlink()
    answer = kit.client.post(f"/api/v1/pictures/{first}/versions")

    assert (answer.status_code, answer.json()["code"]) == (410, "gone")


def test_a_version_of_what_was_deleted_meanwhile_is_rejected(kit: Kit):
    """The note names a picture that has no row."""
    staged = uploads.Staged(kit.uploads, "a" * 22, "cat.png")
    staged.write(picture())
    staged.complete({"options": {}, "sha256": "x", "of": "b" * 22})
    staged.publish()
    kit.server.site.hint_upload("a" * 22, "cat.png")
    kit.wait("a" * 22, "failed")

    reason = kit.client.get(f"/api/v1/pictures/{'a' * 22}").json()["reason"]
    assert "was deleted" in reason


def test_masks_that_nothing_names_go(kit: Kit):
    """A row's mask stays for as long as the row."""

    first = kit.upload(picture())
    kit.wait(first)
    kit.wait(version_of(kit, first, mask()))
    stray = kit.uploads / uploads.MASKS / f"{'0' * 64}.png"
    stray.write_bytes(mask())
    folder = kit.server.site.settings.folder
    view = LedgerView(kit.server.site.ledger.path)  # of this thread
    touch_ups.tidy(view.uploads, folder, now=1e12)
    view.close()

    assert not stray.exists()
    assert len(list(stray.parent.iterdir())) == 1
