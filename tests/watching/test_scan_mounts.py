"""Which file system holds a folder, and whether its events arrive."""

import os
from pathlib import Path

import pytest

from daemon.watching.scan import file_system, is_remote

MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw,nosuid - proc proc rw
30 22 0:40 / /mnt rw - tmpfs tmpfs rw
31 30 0:41 / /mnt/nas rw,relatime shared:9 master:1 - nfs4 nas:/export rw,vers=4.2
32 31 8:17 / /mnt/nas/local rw - xfs /dev/sdb1 rw
33 30 0:43 / /mnt/my\040photo\011share rw - cifs //box/my\040photos rw
34 30 0:44 / /mnt/back\134slash\043 rw - fuse.sshfs host:/ rw
35 22 8:33 / /data rw - ext4 /dev/sdc1 rw
36 35 0:45 / /data rw - smb3 //box/data rw
37 30 0:46 / /mnt/Bücher rw - 9p host rw
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "ext4"),
        ("/home/ann/hot", "ext4"),
        ("/mnt/hot", "tmpfs"),
        ("/mnt/nas", "nfs4"),
        ("/mnt/nas/deep/hot", "nfs4"),
        ("/mnt/nas/local/hot", "xfs"),
        ("/mnt/nas2/hot", "tmpfs"),
        ("/mnt/my photo\tshare/hot", "cifs"),
        ("/mnt/back\\slash#/hot", "fuse.sshfs"),
        ("/data/hot", "smb3"),
        ("/mnt/Bücher/hot", "9p"),
    ],
)
def test_file_system_of_a_path(path: str, expected: str):
    """The innermost mount counts, of two on one point the later."""
    assert expected == file_system(Path(path), MOUNTS)


def test_mount_whose_name_is_no_text():
    """Names are bytes, here too."""
    name = os.fsdecode(b"/mnt/\xff")
    mounts = f"1 0 8:1 / / rw - ext4 a rw\n2 1 0:9 / {name} rw - nfs b rw\n"

    assert file_system(Path(name) / "hot", mounts) == "nfs"


@pytest.mark.parametrize("blank", ["\xa0", "\u2028", "\x0b", "\x1c"])
def test_blanks_that_the_kernel_does_not_escape(blank: str):
    """Only line feeds end a line, only spaces end a field."""
    mounts = f"1 0 8:1 / / rw - ext4 a rw\n2 1 0:9 / /a{blank}b rw - nfs c rw\n"

    assert file_system(Path(f"/a{blank}b/hot"), mounts) == "nfs"


def test_no_mounts_at_all():
    """A table that says nothing gives no file system."""
    assert file_system(Path("/hot"), "") == "unknown"


@pytest.mark.parametrize(
    "kind",
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "fuse", "9p", "virtiofs", "ceph", "afs"],
)
def test_silent_file_system(kind: str):
    """What other machines change there reaches no watch."""
    assert is_remote(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuseblk", "unknown"])
def test_local_file_system(kind: str):
    """Events arrive; fuseblk is a local NTFS or exFAT disk."""
    assert not is_remote(kind)


@pytest.mark.parametrize(
    ("mount", "kind"),
    [
        (
            "nfs 10.0.0.5:/export rw,vers=3,rsize=1048576,wsize=1048576,namlen=255,hard,proto=tcp,"
            "timeo=600,retrans=2,sec=sys,mountaddr=10.0.0.5,mountvers=3,local_lock=none",
            "nfs",
        ),
        (
            "nfs4 nas.lan:/export rw,vers=4.2,rsize=1048576,wsize=1048576,namlen=255,hard,proto=tcp"
            ",timeo=600,retrans=2,sec=sys,clientaddr=10.0.0.2,local_lock=none,addr=10.0.0.5",
            "nfs4",
        ),
        (
            "cifs //box/my\\040photos rw,vers=3.1.1,cache=strict,username=ann,uid=1000,noforceuid,"
            "gid=1000,addr=10.0.0.6,file_mode=0755,dir_mode=0755,soft,nounix,serverino,mapposix",
            "cifs",
        ),
        ("smb3 //box/photos rw,vers=3.1.1,sec=none,cache=strict,uid=0,addr=10.0.0.6", "smb3"),
        ("fuse.sshfs ann@host:/srv/photos rw,user_id=1000,group_id=1000", "fuse.sshfs"),
        ("fuse.rclone drive: rw,user_id=0,group_id=0,allow_other", "fuse.rclone"),
        ("fuse.mergerfs a:b rw,user_id=0,group_id=0,default_permissions", "fuse.mergerfs"),
        ("fuse.vmhgfs-fuse vmhgfs-fuse rw,user_id=0,group_id=0,allow_other", "fuse.vmhgfs-fuse"),
        (
            "9p C:\\134 rw,aname=drvfs;path=C:\\;uid=1000;gid=1000;symlinkroot=/mnt/,cache=5,"
            "access=client,msize=65536,trans=fd,rfd=5,wfd=5",
            "9p",
        ),
        ("9p hostshare rw,sync,dirsync,access=client,msize=262144,trans=virtio", "9p"),
        ("virtiofs hostshare rw", "virtiofs"),
        ("vboxsf pictures rw,iocharset=utf8,uid=0,gid=998,dmode=0770,fmode=0770", "vboxsf"),
        ("ceph 10.0.0.7:6789:/photos rw,name=admin,secret=<hidden>,acl", "ceph"),
    ],
)
def test_share_as_the_kernel_tells_it(mount: str, kind: str):
    """Lines of real machines; on an automounted point the share lies over `autofs`."""
    mounts = (
        "29 1 253:0 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw,errors=remount-ro\n"
        "44 29 0:38 / /srv/hot rw,relatime shared:22 - autofs systemd-1 rw,fd=51,pgrp=1,direct\n"
        f"61 44 0:48 / /srv/hot rw,nosuid,nodev,relatime shared:31 master:7 - {mount}\n"
    )

    assert file_system(Path("/srv/hot/in"), mounts) == kind
    assert is_remote(kind)
