"""How pictures come in: for each way a server, a client, and what they do with a photo.

`send` brings whole photos. `break_off` leaves the first half under the final name, as a lost
connection does, and `resume` brings the rest as that client does it.
"""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from tests.ways.servers import Server, call, program

Photos = Sequence[Path]


class Way(ABC):
    """One server with one hot folder behind it."""

    name: ClassVar[str]
    programs: ClassVar[tuple[str, ...]]
    left: ClassVar[frozenset[str]] = frozenset()
    """What the server itself keeps in the folder."""

    def __init__(self, base: Path, hot: Path) -> None:
        self.base = base / f"way-{self.name}"
        self.base.mkdir()
        self.hot = hot

    server: Server

    @abstractmethod
    def start(self) -> None:
        """Start the server."""

    def stop(self) -> None:
        """End it."""
        self.server.stop()

    @abstractmethod
    def send(self, photos: Photos) -> None:
        """Bring whole photos under their own names."""

    def send_as(self, photo: Path, name: str) -> None:
        """Bring one photo under another name, over an earlier one."""
        folder = self.base / "renamed"
        folder.mkdir(exist_ok=True)
        self.send([Path(shutil.copy(photo, folder / name))])

    def break_off(self, photo: Path) -> None:
        """Leave the first half of a photo under its final name."""
        half = self.base / "half"
        half.mkdir(exist_ok=True)
        data = photo.read_bytes()
        (half / photo.name).write_bytes(data[: len(data) // 2])
        self.send([half / photo.name])

    def resume(self, photo: Path) -> None:
        """Bring the rest, or all of it again where the client does that."""
        self.send([photo])


class Samba(Way):
    """smbd and smbclient; half of the photos by a temporary name and a rename, as macOS does."""

    name, programs = "samba", ("smbd", "smbclient")

    def start(self) -> None:
        """Serve the hot folder, with space reserved before it is written."""
        self.server = Server(self.base, "server")
        at = self.server.base
        folders = ("private dir", "lock directory", "state directory", "cache directory")
        places = "\n".join(f"{key} = {at}" for key in (*folders, "pid directory", "ncalrpc dir"))
        conf = self.server.write(
            "smb.conf",
            f"""[global]
{places}
log file = {at}/smbd.log
smb ports = {self.server.port}
bind interfaces only = yes
interfaces = lo
map to guest = bad user
disable spoolss = yes
load printers = no
[hot]
path = {self.hot}
read only = no
guest ok = yes
force user = root
strict allocate = yes
veto files = /.cvunetd/
""",
        )
        self.server.start([program("smbd"), "--foreground", "--no-process-group", "-s", conf])

    def client(self, lines: Iterable[str]) -> None:
        """Run commands of smbclient."""
        port = str(self.server.port)
        call("smbclient", "//127.0.0.1/hot", "-p", port, "-N", "-c", ";".join(lines))

    def send(self, photos: Photos) -> None:
        """By `put`, every second one under a temporary name first."""
        lines = []
        for number, photo in enumerate(photos):
            temporary = f"{photo.name}.tmp"
            lines += (
                [f"put {photo} {temporary}", f"rename {temporary} {photo.name}"]
                if number % 2
                else [f"put {photo} {photo.name}"]
            )
        self.client(lines)

    def resume(self, photo: Path) -> None:
        """By `reput`, which begins where the file ends."""
        self.client([f"reput {photo} {photo.name}"])


class OpenSsh(Way):
    """What the ways over SSH share: sshd and a key."""

    programs: ClassVar[tuple[str, ...]] = ("sshd", "ssh", "ssh-keygen")

    def start(self) -> None:
        """Serve this user, by a key of its own."""
        self.server = Server(self.base, "server")
        at = self.server.base
        for key in ("host", "client"):
            call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", at / key)
        shutil.copy(at / "client.pub", at / "authorized")
        Path("/run/sshd").mkdir(exist_ok=True)
        conf = self.server.write(
            "sshd_config",
            f"""Port {self.server.port}
ListenAddress 127.0.0.1
HostKey {at}/host
AuthorizedKeysFile {at}/authorized
StrictModes no
UsePAM no
PidFile none
Subsystem sftp internal-sftp
""",
        )
        self.server.start([program("sshd"), "-D", "-e", "-f", conf])
        self.options = [
            *("-i", str(at / "client"), "-o", "StrictHostKeyChecking=no"),
            *("-o", f"UserKnownHostsFile={at}/known", "-o", "LogLevel=ERROR"),
        ]


class Sftp(OpenSsh):
    """sftp with `put`, and `reput` after an interruption."""

    name, programs = "sftp", (*OpenSsh.programs, "sftp")

    def batch(self, lines: Iterable[str], *, is_checked: bool = True) -> str:
        """Run commands of sftp."""
        port = str(self.server.port)
        arguments = ["sftp", *self.options, "-P", port, "-b", "-", "root@127.0.0.1"]
        return call(*arguments, text="\n".join(lines) + "\n", is_checked=is_checked)

    def send(self, photos: Photos) -> None:
        """By `put`, every second one under a temporary name first."""
        lines = []
        for number, photo in enumerate(photos):
            target = self.hot / photo.name
            temporary = f"{target}.filepart"
            lines += (
                [f"put {photo} {temporary}", f"rename {temporary} {target}"]
                if number % 2
                else [f"put {photo} {target}"]
            )
        self.batch(lines)

    def resume(self, photo: Path) -> None:
        """By `reput`. If the half is in the daemon's hands at this moment, all of it again."""
        target = self.hot / photo.name
        said = self.batch([f"reput {photo} {target}"], is_checked=False)
        if "ended with 0" not in said:
            self.batch([f"put {photo} {target}"])


class Scp(OpenSsh):
    """scp; it cannot resume, so it sends all again."""

    name, programs = "scp", (*OpenSsh.programs, "scp")

    def send(self, photos: Photos) -> None:
        """All in one call."""
        port = str(self.server.port)
        call("scp", "-q", *self.options, "-P", port, *photos, f"root@127.0.0.1:{self.hot}/")


class Rsync(OpenSsh):
    """rsync over SSH: a hidden temporary name and a rename."""

    name, programs = "rsync", (*OpenSsh.programs, "rsync")
    flags: ClassVar[tuple[str, ...]] = ("--times",)

    def send(self, photos: Photos) -> None:
        """All in one call."""
        shell = " ".join(["ssh", "-p", str(self.server.port), *self.options])
        target = f"root@127.0.0.1:{self.hot}/"
        call("rsync", *self.flags, "--ignore-times", "-e", shell, *photos, target)


class RsyncInPlace(Rsync):
    """rsync --inplace: it writes under the final name."""

    name, flags = "rsync-inplace", ("--inplace", "--partial")


class Ftp(Way):
    """vsftpd; curl sends, renames and resumes by APPE."""

    name, programs = "ftp", ("vsftpd", "curl")

    def start(self) -> None:
        """Let anonymous users write to the hot folder."""
        self.server = Server(self.base, "server")
        empty = self.server.base / "empty"
        empty.mkdir()
        self.hot.chmod(0o777)  # the files belong to the user of the server
        conf = self.server.write(
            "vsftpd.conf",
            f"""listen=YES
listen_address=127.0.0.1
listen_port={self.server.port}
background=NO
anonymous_enable=YES
no_anon_password=YES
anon_root={self.hot.parent}
ftp_username=ftp
write_enable=YES
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
anon_umask=022
anon_world_readable_only=NO
allow_writeable_chroot=YES
secure_chroot_dir={empty}
seccomp_sandbox=NO
xferlog_enable=NO
""",
        )
        self.server.start([program("vsftpd"), conf])

    def url(self, name: str) -> str:
        """Where a file goes."""
        return f"ftp://127.0.0.1:{self.server.port}/{self.hot.name}/{name}"

    def send(self, photos: Photos) -> None:
        """By STOR, every second one renamed by RNFR and RNTO."""
        for number, photo in enumerate(photos):
            if number % 2 == 0:
                call("curl", "-sS", "-T", photo, self.url(photo.name))
                continue
            place = f"/{self.hot.name}/{photo.name}"
            rename = ["-Q", f"-RNFR {place}.part", "-Q", f"-RNTO {place}"]
            call("curl", "-sS", "-T", photo, *rename, self.url(f"{photo.name}.part"))

    def resume(self, photo: Path) -> None:
        """By SIZE and APPE. If the half is in the daemon's hands, curl is refused and sends all."""
        said = call("curl", "-sS", "-C", "-", "-T", photo, self.url(photo.name), is_checked=False)
        if "ended with 0" not in said:
            self.send([photo])


class WebDav(Way):
    """nginx: PUT with a length, PUT in chunks, and PUT beside it with MOVE into place."""

    name, programs = "webdav", ("nginx", "curl")

    def start(self) -> None:
        """Serve the hot folder, and a folder for uploads beside it."""
        self.server = Server(self.base, "server")
        at = self.server.base
        for name in ("body", "other"):
            (at / name).mkdir()
        (self.hot.parent / "uploads").mkdir(exist_ok=True)
        others = "\n".join(
            f"    {kind}_temp_path {at}/other;" for kind in ("proxy", "fastcgi", "uwsgi", "scgi")
        )
        conf = self.server.write(
            "nginx.conf",
            f"""daemon off;
user root;
pid {at}/pid;
error_log {at}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {at}/body;
{others}
    client_max_body_size 1g;
    server {{
        listen 127.0.0.1:{self.server.port};
        root {self.hot.parent};
        dav_methods PUT DELETE MKCOL COPY MOVE;
        dav_access user:rw group:rw all:r;
        create_full_put_path on;
    }}
}}
""",
        )
        self.server.start([program("nginx"), "-c", conf, "-p", at])

    def url(self, folder: str, name: str) -> str:
        """Where a file goes."""
        return f"http://127.0.0.1:{self.server.port}/{folder}/{name}"

    def send(self, photos: Photos) -> None:
        """By turns in one piece, in chunks, and by a MOVE, as Nextcloud's clients end an upload."""
        for number, photo in enumerate(photos):
            target = self.url(self.hot.name, photo.name)
            if number % 3 == 0:
                call("curl", "-sSf", "-T", photo, target)
            elif number % 3 == 1:
                chunked = ["-H", "Transfer-Encoding: chunked"]
                call("curl", "-sSf", *chunked, "-T", photo, target)
            else:
                beside = self.url("uploads", photo.name)
                call("curl", "-sSf", "-T", photo, beside)
                move = ["-X", "MOVE", "-H", f"Destination: {target}", "-H", "Overwrite: T"]
                call("curl", "-sSf", *move, beside)

    def break_off(self, photo: Path) -> None:
        """The connection ends in the middle of a PUT: nginx then makes no file."""
        target = self.url(self.hot.name, photo.name)
        slow = ["--limit-rate", f"{photo.stat().st_size}", "--max-time", "0.3"]
        call("curl", "-sS", *slow, "-T", photo, target, is_checked=False)


class Sshfs(OpenSsh):
    """The hot folder itself lies on another machine and is mounted by sshfs."""

    name, programs = "sshfs", (*OpenSsh.programs, "sshfs", "fusermount3")
    is_mounted = False

    def start(self) -> None:
        """Mount a folder of the "other machine" as the hot folder."""
        super().start()
        self.remote = self.base / "remote"
        self.remote.mkdir()
        port = ["-p", str(self.server.port)]
        remote = f"root@127.0.0.1:{self.remote}"
        options = ["-o", f"IdentityFile={self.server.base}/client", *self.options[2:]]
        call("sshfs", remote, self.hot, *port, *options)
        self.is_mounted = True

    def stop(self) -> None:
        """Unmount it."""
        if self.is_mounted:
            call("fusermount3", "-u", "-z", self.hot)
        super().stop()

    def send(self, photos: Photos) -> None:
        """Other people write on the other machine: this one gets no event."""
        for photo in photos:
            shutil.copyfile(photo, self.remote / photo.name)
