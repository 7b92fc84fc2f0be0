"""Two Syncthings: one on the photographer's side, one on the daemon's."""

import shutil
import time
import xml.etree.ElementTree as Xml
from pathlib import Path
from typing import ClassVar

from tests.ways.servers import Server, call, free_port
from tests.ways.ways import Photos, Way

SHARE = "photos"
CONNECT_S = 60.0


class Instance:
    """One Syncthing with its own identity."""

    def __init__(self, base: Path, name: str, folder: Path, kind: str) -> None:
        self.server = Server(base, name)
        self.folder, self.kind = folder, kind
        self.port = free_port()  # of the protocol; the server's own is that of its page
        call("syncthing", "generate", "--no-default-folder", f"--home={self.server.base}")
        self.config = self.server.base / "config.xml"
        self.tree = Xml.parse(self.config)
        device = self.tree.find("device")
        assert device is not None
        self.id = device.attrib["id"]

    def meet(self, other: "Instance") -> None:
        """Share the folder with another one, found by its address and not by a service."""
        root = self.tree.getroot()
        options, gui = root.find("options"), root.find("gui")
        assert options is not None
        assert gui is not None
        for name in ("globalAnnounceEnabled", "localAnnounceEnabled", "relaysEnabled"):
            set_child(options, name, "false")
        for name in ("natEnabled", "crashReportingEnabled", "startBrowser"):
            set_child(options, name, "false")
        set_child(options, "urAccepted", "-1")
        set_child(options, "autoUpgradeIntervalH", "0")
        set_child(options, "listenAddress", f"tcp://127.0.0.1:{self.port}")
        set_child(gui, "address", f"127.0.0.1:{self.server.port}")
        device = Xml.SubElement(root, "device", {"id": other.id, "name": other.server.name})
        set_child(device, "address", f"tcp://127.0.0.1:{other.port}")
        folder = Xml.SubElement(
            root,
            "folder",
            {
                "id": SHARE,
                "label": SHARE,
                "path": str(self.folder),
                "type": self.kind,
                "rescanIntervalS": "5",
                "fsWatcherEnabled": "true",
                "fsWatcherDelayS": "1",
            },
        )
        for one in (self.id, other.id):
            Xml.SubElement(folder, "device", {"id": one})
        set_child(folder, "ignoreDelete", "true")
        self.tree.write(self.config)
        (self.folder / ".stfolder").mkdir(exist_ok=True)
        (self.folder / ".stignore").write_text(".cvunetd\n")

    def start(self) -> None:
        """Run it."""
        home = f"--home={self.server.base}"
        self.server.start(["syncthing", "serve", "--no-browser", "--no-restart", home])


def set_child(element: Xml.Element, name: str, text: str) -> None:
    """Replace all elements of a name by one."""
    for old in element.findall(name):
        element.remove(old)
    Xml.SubElement(element, name).text = text


class Syncthing(Way):
    """Photos come as `.syncthing.NAME.tmp` and are renamed; the sender never loses one."""

    name, programs = "syncthing", ("syncthing",)
    left: ClassVar[frozenset[str]] = frozenset({".stfolder", ".stignore"})

    def start(self) -> None:
        """Run both, and wait until they have met."""
        self.theirs = self.base / "photographer"
        self.theirs.mkdir()
        self.here = Instance(self.base, "here", self.hot, "receiveonly")
        self.there = Instance(self.base, "there", self.theirs, "sendonly")
        self.here.meet(self.there)
        self.there.meet(self.here)
        for one in (self.here, self.there):
            one.start()
        deadline = time.monotonic() + CONNECT_S
        while "Established secure connection" not in self.here.server.told():
            assert time.monotonic() < deadline, self.here.server.told()
            time.sleep(0.2)

    def stop(self) -> None:
        """End both."""
        for one in (self.here, self.there):
            one.server.stop()

    def send(self, photos: Photos) -> None:
        """Put them into the photographer's folder."""
        for photo in photos:
            part = self.theirs / f".{photo.name}.part"
            shutil.copyfile(photo, part)
            part.rename(self.theirs / photo.name)
