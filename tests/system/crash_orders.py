"""Lives in which clients of the API upload pictures, then approve, reject and delete them."""

import json

from daemon.disk import uploads
from daemon.disk.uploads import Staged
from tests.system.crash_kit import World, drops

UPLOADED = {"approved-doubtful.jpg": "a" * 22, "rejected.jpg": "b" * 22, "deleted.jpg": "c" * 22}
SENT = ("sent-doubtful.jpg", "d" * 22)
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


def serve_uploads(world: World) -> None:
    """The server dies too: its client sends the picture, and its wish, until they are answered."""
    root = (world.base / "uploads").resolve()
    name, upload_id = SENT
    uploads.discard_incoming(root)
    if "sent" not in world.memo:
        if not uploads.is_waiting(root, upload_id):
            upload(world, name, upload_id)
        world.memo.add("sent")
    world.kit.start()
    world.kit.pass_time(12, step_s=2)
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
