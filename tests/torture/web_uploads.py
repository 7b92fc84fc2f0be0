"""`kill -9` of the daemon and of the server of the API, while clients upload photos."""

import random
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx

from tests.system.daemon_process import command, environment, wait_for
from tests.system.test_web_process import answers, ask, free_port
from tests.torture.daemons import CopyingDaemon
from tests.torture.photos import Stock
from tests.torture.tally import Ground, Row

CLIENTS = 4
#: Between two deaths.
LIFE_S = (0.2, 2.0)
#: A client rests for so long after an answer, so that many deaths are among the uploads.
REST_S = 0.5
ACCEPTED = 202


class UploadGround(Ground):
    """A folder of uploads: the server's lock stays in it."""

    def left_in_hot(self) -> list[Path]:
        """Files that wait or are claimed."""
        return [path for path in super().left_in_hot() if path.parent.name != ".incoming"]


class Server:
    """`cvunetd web`, life after life."""

    def __init__(self, base: Path, port: int) -> None:
        self.base = base
        self.port = port
        self.start()

    def start(self) -> None:
        """A new life."""
        address = f"127.0.0.1:{self.port}"
        arguments = command("web", "--config", self.base / "config.yaml", "--listen", address)
        with (self.base / "web.log").open("ab") as log:
            self.process = subprocess.Popen(arguments, cwd=self.base, env=environment(), stderr=log)

    def kill(self) -> None:
        """The end of one."""
        self.process.kill()
        self.process.wait()


def web_uploads(base: Path, *, uploads: int, seed: int) -> list[Row]:
    """Each photo is sent until it is answered; then it has to come out once."""
    settings: dict[str, object] = {
        "web": {"folder": "uploads", "listen": None},
        "output": {"drop_idle_s": 600},
    }
    (base / "uploads").mkdir()
    ground = UploadGround(base / "uploads", base / "outputs", base / "failed")
    photos = Stock(base / "stock").photos(uploads)
    for photo in photos:
        ground.expect(photo)
    port = free_port()
    daemon = CopyingDaemon(base, settings)
    server = Server(base, port)
    url, chance, deaths = f"http://127.0.0.1:{port}", random.Random(seed), 0
    try:
        assert wait_for(lambda: answers(url))
        is_over = threading.Event()
        with ThreadPoolExecutor(CLIENTS) as pool:
            sent = [pool.submit(send, url, photo, is_over) for photo in photos]
            try:
                while not all(one.done() for one in sent):
                    time.sleep(chance.uniform(*LIFE_S))
                    deaths += 1
                    if chance.random() < 0.5:
                        daemon.kill()
                        daemon = CopyingDaemon(base, settings)
                    else:
                        server.kill()
                        server.start()
            finally:
                is_over.set()
            accepted = sum(one.result() for one in sent)
        wait_for(ground.is_through)
    finally:
        server.kill()
        daemon.terminate()
    row = ground.row(f"kill -9 during {accepted} uploads ({deaths} times, seed {seed})")
    return [row]


def send(url: str, photo: Path, is_over: threading.Event) -> bool:
    """Send one photo until it is accepted, as a client with an Idempotency-Key does."""
    while not is_over.is_set():
        with suppress(httpx.HTTPError):
            answer = ask(
                "POST",
                f"{url}/api/v1/pictures",
                files={"image": (photo.name, photo.read_bytes())},
                headers={"Idempotency-Key": photo.name},
            )
            if answer.status_code == ACCEPTED:
                time.sleep(REST_S)
                return True
        time.sleep(0.05)
    return False
