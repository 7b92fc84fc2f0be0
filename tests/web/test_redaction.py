"""What clients are told of this machine: no whole paths and no secrets, in no answer."""

import io
import json
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from daemon.errors import Blame
from daemon.jobs import Failed, Outcome, Task
from daemon.web import redacted_manifests
from daemon.web.redaction import redact
from tests.web.web_kit import Kit, picture, running, wait_for, work

pytestmark = pytest.mark.web
V1 = "/api/v1/pictures"
KNOWN = (Path("/mnt/nas/Kunden Fotos/geheim/hot"), Path("/srv/a,b/geheim/hot"), Path("/srv/out"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("/srv/secret/hot is full", "…/hot is full"),
        ("/mnt/nas/Kunden Fotos/geheim/hot is away", "…/hot is away"),
        ("/mnt/nas/Kunden Fotos/geheim/hot/cat.jpg: no", "…/cat.jpg: no"),
        ("/srv/a,b/geheim/hot: no", "…/hot: no"),
        ("PosixPath('/srv/a b/geheim/x.part')", "PosixPath('…/x.part')"),
        ('"/srv/o\'brien/geheim/hot" is away', '"…/hot" is away'),
        ("'/a/geheim/b c' and '/geheim/d'", "'…/b c' and '…/d'"),
        ("//nas/geheim/hot", "…/hot"),
        ("file:///srv/geheim/x is away", "file:// is away"),
        ("smb://user:pw@nas/geheim/hot is away", "smb://nas is away"),
        ("'/mnt/nas/Kunden Fotos/geheim/hot/Firma AG/x y.jpg'", "'…/x y.jpg'"),
        ("nas:/geheim/x/hot", "nas:…/hot"),
        ("/srv/out2/geheim/x", "…/x"),
        ("/srv/out-2/geheim/x", "…/x"),
        ("https://me:p@ss-geheim@host/geheim?geheim=1 fails", "https://host fails"),
        ("no cluster at 10.0.0.5:6379 (1/2 s)", "no cluster at 10.0.0.5:6379 (1/2 s)"),
    ],
)
def test_redacted(text: str, wanted: str):
    """Only the last part of a path, also of one with blanks that is known or in quotes."""
    assert redact(text, KNOWN) == wanted
    assert redact(wanted, KNOWN) == wanted


def fail(task: Task) -> Outcome:
    """Fail with the path of the part, and for the reason that a disk gives."""
    if not task.source.read_bytes().startswith(b"path"):
        return work(task)
    error = FileNotFoundError(2, "it has vanished", task.part)
    return Failed(Blame.FILE, f"FileNotFoundError: {error}", is_final=True)


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    """Server and daemon, in a folder with a blank; drops stay open."""
    base = tmp_path / "geheim ist es"
    base.mkdir()
    kit = Kit(base, settings={"output": {"drop_idle_s": 600}})
    kit.work = fail  # type: ignore[method-assign]
    with running(kit):
        yield kit


def test_reasons_without_whole_paths(kit: Kit):
    """In all answers that say why a picture has failed; the manifest and zips, too."""
    bad, good = kit.upload(b"path"), kit.upload()
    kit.wait(bad, "failed")
    kit.wait(good)
    [drop] = kit.client.get("/api/v1/drops").json()["drops"]
    # A manifest is written after the rows that it tells of.
    assert wait_for(partial(is_written, kit, 2))
    [entry] = [
        one for one in kit.client.get(drop["href"]).json()["pictures"] if one["state"] == "failed"
    ]
    places = [f"{V1}/{bad}", f"{V1}/{bad}/result", V1, f"{V1}?state=failed", drop["href"]]
    places += [f"/api/v1/states?ids={bad}", f"{drop['href']}/manifest"]
    places += [f"{drop['href']}/pictures/{entry['id']}"]
    answers = [kit.client.get(one) for one in places]
    answers.append(kit.client.post("/api/v1/cutouts", content=b"path"))
    answers.append(kit.client.post("/api/remove", files={"file": ("a.jpg", b"path")}))
    answers.append(kit.client.post("/v1.0/removebg", files={"image_file": ("a.jpg", b"path")}))
    assert wait_for(partial(is_written, kit, 5))
    written = manifest(kit)
    with zipfile.ZipFile(io.BytesIO(kit.client.get(drop["zip"]).content)) as archive:
        zipped = archive.read("manifest.json").decode()

    assert "geheim" in written
    assert [one.request.url.path for one in answers if "geheim" in one.text] == []
    assert sum("it has vanished" in one.text for one in answers) == len(answers)
    told, whole = (json.loads(one) for one in (zipped, written))
    assert "geheim" not in zipped
    assert told == json.loads(kit.client.get(f"{drop['href']}/manifest").text)
    for one in whole["pictures"]:
        one.pop("quarantine", None)
    assert [one | {"reason": ""} for one in told["pictures"]] == [
        one | {"reason": ""} for one in whole["pictures"]
    ]


def manifest(kit: Kit) -> str:
    """That of the one drop."""
    [path] = kit.base.glob("outputs/*/manifest.json")
    return path.read_text()


def is_written(kit: Kit, count: int) -> bool:
    """Whether the manifest tells of so many pictures."""
    return len(json.loads(manifest(kit))["pictures"]) == count


def test_files_that_pictures_need_are_not_told_whole(tmp_path: Path):
    """Neither where failed pictures go, nor a background, nor a model, nor the keys."""
    base = tmp_path / "geheim ist es"
    base.mkdir()
    wall = base / "weisse Wand.png"
    wall.write_bytes(picture())
    settings = {"output": {"background": str(wall)}, "quarantine_dir": "schlechte Bilder"}
    kit = Kit(base, settings=settings, is_daemon_up=False)
    with running(kit):
        site = kit.server.site
        model = site.settings.private_paths[-1]
        texts = [site.redacted(f"{one}: no") for one in (wall, base / "schlechte Bilder", model)]

    assert model.name == "cvunet.pth"
    assert texts == ["…/weisse Wand.png: no", "…/schlechte Bilder: no", "…/cvunet.pth: no"]


@pytest.mark.parametrize(
    "content", [b"", b"[" * 100_000, b"[]", b'{"pictures": 5}', b'{"pictures": [5]}', b"\xff"]
)
def test_what_is_no_manifest_is_not_told(content: bytes):
    """Somebody has put another file in its place."""
    assert redacted_manifests.read(io.BytesIO(content), str) is None


def test_warnings_are_told_without_whole_paths():
    """They may name a file."""
    entry = {"warnings": ["cannot use /srv/secret/a.icc"], "quarantine": "/x", "state": "failed"}

    told = redacted_manifests.redacted_entry(entry, redact)
    assert told == {"warnings": ["cannot use …/a.icc"], "state": "failed"}
