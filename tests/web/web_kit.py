"""A real service with a worker without a network, and the real server on a free port."""

import io
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from daemon.config.addresses import Loopback
from daemon.config.schema import Config
from daemon.disk import files
from daemon.errors import Blame
from daemon.jobs import Confidence, Done, Failed, Outcome, Task
from daemon.messages import Stop
from daemon.reporting.latest_snapshot import LatestSnapshot
from daemon.service.assembly import assemble
from daemon.service.owned_folders import locked, owned_folders
from daemon.service.reconfiguration import Reread
from daemon.service.service import Clocks, Inbox
from daemon.service.supervision import Supervision
from daemon.service.web_pages import web_server
from daemon.web.server import WebServer
from daemon.web.site import nobody
from daemon.web.sources import OtherProcess, OwnProcess
from daemon.worker.engines.direct import DirectEngine

Json = dict[str, Any]  # Any: JSON
PATIENCE_S = 60.0  # only a failing test, or a disk that stalls, waits that long


def picture(side: int = 8) -> bytes:
    """A PNG."""
    made = io.BytesIO()
    Image.new("RGBA", (side, side), (200, 30, 30, 128)).save(made, "PNG")
    return made.getvalue()


def work(task: Task) -> Outcome:
    """Copy the original; what begins with ``bad`` is no picture, ``blank`` has no subject."""
    content = task.source.read_bytes()
    identity = files.identity(task.source)
    assert identity is not None
    if content.startswith(b"bad"):
        return Failed(Blame.FILE, "not a picture", is_final=True)
    shutil.copyfile(task.source, task.part)
    if task.alpha_part is not None:
        shutil.copyfile(task.source, task.alpha_part)
    is_blank = content.startswith(b"blank")
    confidence = Confidence(0.0 if is_blank else 1.0, {}, {}, (), (), is_blank=is_blank)
    size, box = (4, 3), (1, 2, 3, 4)
    return Done(identity, *size, {"decode": 0.1}, (), size, box, confidence=confidence)


def wait_for(what: Callable[[], object], *, pause: Callable[[float], object] = time.sleep) -> bool:
    """Wait until something is so; False if it never is. ``pause`` waits some seconds."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if what():
            return True
        pause(0.01)
    return False


@dataclass
class Kit:
    """One server, and a daemon that may be down."""

    base: Path
    web: Json = field(default_factory=dict)
    settings: Json = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    is_daemon_up: bool = True
    is_held: bool = False
    """The worker takes pictures and does not return them."""
    is_apart: bool = False
    """The server reads the daemon's report from its file, like one in a process of its own."""
    depth: int = 8
    """How many pictures the worker takes at once."""
    reread: Reread | None = None
    """Reads the configuration again, at a reload."""
    tasks: list[Task] = field(default_factory=list)
    client: httpx.Client = field(init=False)
    server: WebServer = field(init=False)

    def __post_init__(self) -> None:
        self.uploads = self.base / "uploads"
        content: Json = {
            "folders": [{"path": "hot"}],
            "web": {"folder": "uploads"} | self.web,
            "retention": {"min_free_mb": 0},
        }
        (self.base / "hot").mkdir(exist_ok=True)
        self.config = Config.model_validate(content | self.settings)
        self.latest = LatestSnapshot()
        self.inbox = Inbox()

    def work(self, task: Task) -> Outcome:
        """Note what was asked for, then work."""
        self.tasks.append(task)
        return work(task)

    def serve(self) -> None:
        """Be the daemon; in a thread of its own."""
        with locked(owned_folders(self.config, self.base)) as place:
            engine = self.engine = DirectEngine(self.work, depth=self.depth, is_held=self.is_held)
            supervision = Supervision(latest_snapshot=self.latest, reread=self.reread)
            service = assemble(
                self.config,
                place,
                engine,
                inbox=self.inbox,
                clocks=Clocks(),
                is_watching=False,
                supervision=supervision,
            )
            service.run()
            service.parts.ledger.close()

    def start(self) -> WebServer:
        """Start what is up."""
        return self.start_at(0)

    def start_at(self, port: int) -> WebServer:
        """Start what is up, at a port; 0: a free one."""
        if self.is_daemon_up:
            self.daemon = threading.Thread(target=self.serve, name="service")
            self.daemon.start()
            assert wait_for(lambda: self.latest.snapshot is not None)
        other = OtherProcess(self.base / "state")
        is_own = self.is_daemon_up and not self.is_apart
        source = OwnProcess(self.latest) if is_own else other
        assert not self.is_daemon_up or wait_for(lambda: source.state() == "running")
        # Without watches the daemon hears of uploads only so.
        hint: Callable[..., object] = self.inbox.put if self.is_daemon_up else nobody
        address = self.config.web.address or Loopback("127.0.0.1", port)
        self.server = web_server(
            self.config, self.base, address, source, hint=hint, environment=self.environment
        )
        self.server.start()
        return self.server

    def stop(self) -> None:
        """Stop all."""
        self.server.stop()
        if self.is_daemon_up:
            self.inbox.put(Stop(15))
            self.daemon.join()

    # --- what tests do ----------------------------------------------------------------------

    def upload(self, body: bytes = b"picture", /, name: str = "cat.jpg", **options: str) -> str:
        """Send a picture; its id."""
        answer = self.client.post("/api/v1/pictures", files={"image": (name, body)}, params=options)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["pictures"][0]["id"])

    def state(self, upload_id: str) -> str:
        """The state of a picture; the code of the refusal if there is none."""
        content = self.client.get(f"/api/v1/pictures/{upload_id}").json()
        return str(content.get("state") if "state" in content else content["code"])

    def wait(self, upload_id: str, state: str = "done") -> None:
        """Wait until a picture has a state."""
        assert wait_for(lambda: self.state(upload_id) == state), self.state(upload_id)

    def left(self) -> list[str]:
        """Everything in the folder of uploads but locks and empty folders of ours."""
        ours = ("lock", "canary", ".cvunetd", ".incoming", ".orders")
        return sorted(
            (Path(top) / name).relative_to(self.uploads).as_posix()
            for top, folders, names in os.walk(self.uploads)  # passes by what goes meanwhile
            for name in (*folders, *names)
            if name not in ours
        )

    def results(self) -> list[str]:
        """Everything in drops but marks and manifests, which may just be written."""
        return sorted(
            path.relative_to(drop).as_posix()
            for drop in (self.base / "outputs").glob("outputs_*")
            for path in drop.rglob("*")
            if path.name not in ("manifest.json", ".cvunetd-drop")
            and not path.match(".cvunetd-*.part")
            and path.is_file()
        )


@contextmanager
def running(kit: Kit) -> Iterator[Kit]:
    """A kit that runs, with a client."""
    kit.start()
    try:
        url, transport = kit.server.url, None
        if url.startswith("unix:"):
            url, transport = "http://localhost", httpx.HTTPTransport(uds=url.removeprefix("unix:"))
        with httpx.Client(base_url=url, transport=transport, timeout=PATIENCE_S) as client:
            kit.client = client
            yield kit
    finally:
        kit.stop()
