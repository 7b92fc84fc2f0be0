"""Lives in which clients of the API upload pictures, then judge, delete and touch them up.

And in which people judge and delete dropped pictures, and a whole drop.
"""

import json
from pathlib import Path

from daemon.disk import uploads
from daemon.disk.uploads import Staged, StagedMask
from daemon.ledger.ledger import Ending
from daemon.ledger.uploads import Uploads
from tests.system.crash_kit import World, drops

UPLOADED = {"approved-doubtful.jpg": "a" * 22, "rejected.jpg": "b" * 22, "deleted.jpg": "c" * 22}
SENT = ("sent-doubtful.jpg", "d" * 22)
FIRST = ("first.jpg", "d" * 22)
VERSION = "e" * 22
ORDERS = {"approve": "a" * 22, "reject": "b" * 22, "delete": "c" * 22}


def serve_orders(world: World) -> None:
    """Uploads and orders are there before the life in which they are noticed."""
    root = world.base / "uploads"
    with world.outside():
        if "uploaded" not in world.memo:
            world.memo.add("uploaded")
            for name, upload_id in UPLOADED.items():
                upload(world, name, upload_id)
    world.kit.start()
    if "ordered" not in world.memo:
        world.kit.pass_time(12, step_s=2)
        with world.outside():
            world.memo.add("ordered")
            uploads.make_folder(root / uploads.ORDERS)
            for verb, upload_id in ORDERS.items():
                order = json.dumps({"do": verb, "id": upload_id})
                (root / uploads.ORDERS / f"{verb}.json").write_text(order)
    world.kit.pass_time(40, step_s=2)


def upload(world: World, name: str, upload_id: str) -> None:
    """What the server does with a picture."""
    staged = Staged((world.base / "uploads").resolve(), upload_id, name)
    staged.write(name.encode())
    staged.complete({"options": {}, "sha256": "x"})
    staged.publish()


def carried_out(world: World) -> None:
    """Each order once: a result out of review, one taken back, one deleted with its original."""
    approved, rejected, _ = UPLOADED
    [drop] = drops(world)
    assert world.contents(drop, "*.png") == [f"cut out: {approved}"]
    assert world.contents(f"{drop}/originals") == [approved]
    assert world.contents("failed", "*.jpg") == [rejected]
    assert world.contents("uploads", "*.j*") == []
    manifest = json.loads((world.base / drop / "manifest.json").read_text())
    stories = {entry["source"]: entry["state"] for entry in manifest["pictures"]}
    assert sorted(stories.values()) == ["done", "failed"], stories


def send_until_answered(world: World, name: str, upload_id: str) -> Path:
    """A new server, whose client sends its picture unless it was answered; the uploads' folder."""
    root = (world.base / "uploads").resolve()
    uploads.discard_incoming(root)
    if "sent" not in world.memo:
        if not uploads.is_waiting(root, upload_id):
            upload(world, name, upload_id)
        world.memo.add("sent")
    world.kit.start()
    world.kit.pass_time(12, step_s=2)
    return root


def serve_uploads(world: World) -> None:
    """The server dies too: its client sends the picture, and its wish, until they are answered."""
    root = send_until_answered(world, *SENT)
    upload_id = SENT[1]
    if "wished" not in world.memo:
        uploads.give_order(root, f"approve-{upload_id}", {"do": "approve", "id": upload_id})
        world.memo.add("wished")
    world.kit.pass_time(40, step_s=2)


def received(world: World) -> None:
    """One result, out of review; nothing of what was received is left."""
    name, _ = SENT
    [drop] = drops(world)
    assert world.contents(drop, "*.png") == [f"cut out: {name}"]
    assert world.contents(f"{drop}/originals") == [name]
    assert world.contents("uploads", "*.j*") == []


def serve_versions(world: World) -> None:
    """A picture, then a touched-up version of it; the server dies too, and its client repeats."""
    root = send_until_answered(world, *FIRST)
    if "touched" not in world.memo:
        is_known = Uploads(world.kit.service.parts.ledger).has(VERSION)
        if not is_known and not uploads.is_waiting(root, VERSION):
            touch_up(world)
        world.memo.add("touched")
    world.kit.pass_time(80, step_s=4)  # a sweep finds it: nobody watches here


def touch_up(world: World) -> None:
    """What the server does with a version: first its mask, then its picture."""
    root = (world.base / "uploads").resolve()
    mask = StagedMask(root, VERSION)
    mask.write(b"painted")
    digest = mask.publish()
    staged = Staged(root, VERSION, "version.jpg")
    staged.write(b"version.jpg")
    staged.complete({"options": {}, "sha256": "y", "of": FIRST[1], "mask": digest})
    staged.publish()


def touched_up(world: World) -> None:
    """Both results, once each, and the mask for as long as the row."""
    assert world.contents("outputs", "*.png") == [f"cut out: {FIRST[0]}", "cut out: version.jpg"]
    assert world.contents("outputs", "*.jpg") == [FIRST[0], "version.jpg"]
    masks = [
        one for one in (world.base / "uploads" / uploads.MASKS).iterdir() if one.suffix == ".png"
    ]
    assert [one.read_bytes() for one in masks] == [b"painted"]
    assert world.contents("uploads", "*.j*") == []


# --- dropped pictures, and a whole drop -----------------------------------------------------------

JUDGED = {
    "approve": "approved-doubtful.jpg",
    "reject": "rejected.jpg",
    "delete": "deleted.jpg",
    "doubt": "sure.jpg",
}


def serve_judgements(world: World) -> None:
    """Orders about dropped pictures name their rows."""
    world.kit.start()
    if "ordered" not in world.memo:
        world.kit.pass_time(12, step_s=2)
        with world.outside():
            world.memo.add("ordered")
            by_name = {str(one.job.relative): one.job.id for one in endings(world)}
            for verb, name in JUDGED.items():
                give(world, verb, {"do": verb, "job": by_name[name]})
    world.kit.pass_time(40, step_s=2)


def serve_deletion(world: World) -> None:
    """A drop is to be deleted, with a picture that failed; somebody has put a file there."""
    world.kit.start()
    if "ordered" not in world.memo:
        world.kit.pass_time(12, step_s=2)
        with world.outside():
            world.memo.add("ordered")
            drop = world.kit.records.drop_of(endings(world)[0].job)
            (drop.path / "notes.txt").write_text("mine")
            wish = {"do": "delete-drop", "id": drop.id, "opened_at": drop.opened_at}
            give(world, "delete-drop", wish)
    world.kit.pass_time(40, step_s=2)


def endings(world: World) -> list[Ending]:
    """All pictures that have ended."""
    ledger = world.kit.service.parts.ledger
    return [
        one for drop, _ in Uploads(ledger).drops(limit=9) for one in world.kit.records.endings(drop)
    ]


def give(world: World, name: str, order: dict[str, object]) -> None:
    """An order."""
    top = world.base / "uploads" / uploads.ORDERS
    uploads.make_folder(top)
    (top / f"{name}.json").write_text(json.dumps(order))


def judged(world: World) -> None:
    """Each judgement once, and nothing of them is left."""
    approved, rejected, _, doubted = JUDGED.values()
    [drop] = drops(world)
    assert world.contents(f"{drop}/review", "*.png") == [f"cut out: {doubted}"]
    results = sorted(path.read_text() for path in (world.base / drop).glob("*.png"))
    assert results == [f"cut out: {approved}", f"cut out: {doubted}"]
    assert world.contents(f"{drop}/originals") == [approved, doubted]
    assert world.contents("failed", "*.jpg") == [rejected]
    assert world.contents("hot", "*.jpg") == []


def deleted(world: World) -> None:
    """All is gone but what is not ours."""
    assert world.contents("outputs") == ["mine"]
    assert world.contents("failed") == []
    assert world.contents("hot", "*.jpg") == []
    assert world.rows() == 0
