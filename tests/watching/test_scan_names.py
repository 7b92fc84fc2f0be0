"""Names of what is not, or not yet, a picture."""

from pathlib import Path

import pytest

from daemon.watching.ignored_names import has_ignored_part, is_never_taken


@pytest.mark.parametrize(
    "name",
    [
        ".hidden.jpg",
        ".cvunetd",
        ".DS_Store",
        "._cat.jpg",
        ".~lock.cat.odt#",
        ".nfs0000000012345678",
        ".fuse_hidden0001",
        ".syncthing.cat.jpg.tmp",
        ".stfolder",
        "cat.jpg~",
        "~$cat.docx",
        "cat.jpg.part",
        "CAT.JPG.PART",
        "cat.jpg.partial",
        "cat.jpg.crdownload",
        "cat.tmp",
        "cat.temp",
        "cat.jpg.download",
        "cat.jpg.filepart",
        "cat.jpg.!ut",
        "cat.jpg.!qB",
        "cat.jpg.tacitpart",
        "cat.swp",
        "cat.lock",
        "Thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "Desktop.ini",
        "ehthumbs_vista.db",
        "Icon\r",
        "Icon\uf00d",
        "Desktop DB",
        "cat.jpg:Zone.Identifier",
        "cat.jpg:Zone.Identifier:$DATA",
        "cat.jpg\uf03aZone.Identifier",
        "cat.jpg\uf03aZone.Identifier\uf03a$DATA",
        "cat.jpg\uf022Zone.Identifier",
        "cat.jpg\u00f7Zone.Identifier",
        "cat.jpg_Zone.Identifier",
        "cat.jpgZone.Identifier",
        "cat.jpg:AFP_AfpInfo",
        "cat.jpg\uf022AFP_Resource",
        "cat.jpg:SmartScreen:$DATA",
        "cat.jpg\uf03acom.dropbox.attributes",
        "cat.jpg.!sync",
        "cat.jpg.aria2",
        "cat.jpg.opdownload",
        "cat.jpg_.gstmp",
        "cat.jpg.bc!",
        "cat.jpg.xltd",
        "cat.jpg.sb-a1b2c3d4-XyZ123",
        "@eaDir",
        "#recycle",
        "$RECYCLE.BIN",
        "lost+found",
        "__MACOSX",
        "@Recycle",
        "RECYCLER",
        "@tmp",
        "#snapshot",
        "~snapshot",
        ".snapshot",
        ".zfs",
        "@Recently-Snapshot",
        "Network Trash Folder",
        "System Volume Information",
        "Temporary Items",
        ".Trash-1000",
        ".sync",
        ".stversions",
        ".dropbox.cache",
        ".line\nbreak",
        "line\nbreak.tmp",
    ],
)
def test_ignored_name(name: str):
    """What other programs use for what is not, or not yet, a picture."""
    assert is_never_taken(name)


@pytest.mark.parametrize(
    "name",
    [
        *("cat.jpg", "cat", "cat.part.jpg", "a~b.jpg", "$cat.jpg", "tmp", "part", "["),
        *("thumbs.db.jpg", "a:b.jpg", "Icon", "icon.png", "Icon_r.jpg", "aria2"),
        *("zone.identifier.jpg", "cat.sb-1.jpg"),
    ],
)
def test_wanted_name(name: str):
    """Whether it is a picture, only decoding tells."""
    assert not is_never_taken(name)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a/b.jpg", False), (".a/b.jpg", True), ("a/@eaDir/b.jpg", True), ("a/b.tmp", True)],
)
def test_one_ignored_part_is_enough(path: str, expected: bool):
    """An event from inside a hidden folder is about a hidden file."""
    assert expected is has_ignored_part(Path(path))
