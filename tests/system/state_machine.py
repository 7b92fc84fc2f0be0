"""Random users, crashes and clocks against the real service; facts that hold after each of them."""

import os
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from daemon.disk import files
from daemon.errors import Blame
from daemon.jobs import Done, Failed, Hint, Job, Outcome, State, Task
from daemon.lifecycle.deaths import MAX_DEATHS
from daemon.messages import FileEvent
from daemon.service.service import Clocks
from tests.service.service_kit import START, Kit, Time
from tests.system.crash_kit import LITTER, folder_in_memory
from tests.system.reaper import Died, Reaper

NAMES = ("a.jpg", "b.jpg", "sub/a.jpg", "sub", "a.png")
END = ";"  # of a picture that is whole
DAY_S = 86_400.0
PLACES = {"hot", "hot away", "state", "outputs", "failed"}


@dataclass
class TwoClocks(Time):
    """The wall clock can be set; the monotonic one cannot."""

    set_by: float = 0.0

    @property
    def clocks(self) -> Clocks:
        """What the service reads."""
        return Clocks(
            monotonic=lambda: 100.0 + self.seconds,
            now=lambda: START + self.seconds + self.set_by,
            local=lambda seconds: datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None),
        )


def work(task: Task) -> Outcome:
    """A picture is whole if it ends as one; a bad one never comes out."""
    identity = files.identity(task.source)
    if identity is None:
        return Failed(Blame.FILE, "the original vanished before it was read")
    content = task.source.read_text()
    if not content.endswith(END) or "bad" in content:
        return Failed(Blame.FILE, "cannot be decoded")
    with task.part.open("w") as stream:
        stream.write(content)
    return Done(identity, 4, 3, {}, ())


class Machine(RuleBasedStateMachine):
    """One hot folder with `originals: archive`."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.base = self.stack.enter_context(folder_in_memory())
        self.reaper = Reaper(self.stack.enter_context(pytest.MonkeyPatch.context()))
        self.time = TwoClocks()
        self.kit = Kit(self.base, work=work, folder={"defer_s": 30.0}, time=self.time)
        self.whole: set[str] = set()
        self.slow: set[str] = set()
        self.writers: dict[str, BinaryIO] = {}
        self.aged: set[str] = set()
        """Published, then deleted with their drops."""
        self.aged_rejects: set[str] = set()
        """Rejected, then deleted from quarantine."""
        self.homes: dict[str, Path] = {}
        self.serial = 0
        self.deaths = 0
        self.totals: Counter[str] = Counter()

    # --- what users do ----------------------------------------------------------------------

    def content(self, kind: str) -> str:
        """Never the same twice."""
        self.serial += 1
        return f"{kind} {self.serial}{END}"

    def place(self, name: str) -> Path | None:
        """Where a file of this name can be, now that folders and files may share their names."""
        path = self.kit.hot / name
        if path.is_dir() or path.parent.is_file():
            return None
        path.parent.mkdir(exist_ok=True)
        return path

    def destroy(self, path: Path) -> None:
        """A user takes a file away, or its content; it was not ours yet."""
        if path.exists():
            self.whole.discard(path.read_text())
            # Two writers at one file make nothing whole: the new one makes a file of its own.
            being_written = [os.fstat(stream.fileno()) for stream in self.writers.values()]
            if any(os.path.samestat(path.stat(), status) for status in being_written):
                path.unlink()

    def is_there(self) -> bool:
        """The hot folder has not been taken away."""
        return self.kit.hot.exists()

    @precondition(is_there)
    @rule(
        name=st.sampled_from(NAMES),
        kind=st.sampled_from(("good", "better", "bad")),
        is_told=st.booleans(),
    )
    def drop(self, name: str, kind: str, is_told: bool) -> None:
        """A new file, or new content over an old one; events may get lost."""
        path = self.place(name)
        if path is None:
            return
        self.destroy(path)
        content = self.content(kind)
        path.write_text(content)
        self.whole.add(content)
        if is_told:
            self.kit.inbox.put(FileEvent("hot", path, Hint.CLOSED))

    @precondition(is_there)
    @rule(name=st.sampled_from(NAMES))
    def begin_to_write(self, name: str) -> None:
        """Half a file, its writer still at it."""
        path = self.place(name)
        if path is None:
            return
        self.destroy(path)
        content = self.content("slow")
        stream = path.open("wb")
        stream.write(content[:4].encode())
        stream.flush()
        self.writers[content] = stream
        self.kit.inbox.put(FileEvent("hot", path, Hint.CREATED))

    @precondition(lambda self: self.writers)
    @rule(data=st.data())
    def end_writing(self, data: st.DataObject) -> None:
        """The rest of it, wherever the file may be by now."""
        content = data.draw(st.sampled_from(sorted(self.writers)))
        stream = self.writers.pop(content)
        stream.write(content[4:].encode())
        stream.close()
        if content in self.everywhere():  # nobody has overwritten or deleted it meanwhile
            self.whole.add(content)
            self.slow.add(content)

    @precondition(is_there)
    @rule(name=st.sampled_from(NAMES), other=st.sampled_from(NAMES))
    def rename(self, name: str, other: str) -> None:
        """To another name in the folder, over what may lie there."""
        path, target = self.kit.hot / name, self.place(other)
        if target is None or not path.is_file() or path == target:
            return
        self.destroy(target)
        path.rename(target)
        self.kit.inbox.put(FileEvent("hot", target, Hint.MOVED))

    @precondition(is_there)
    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        """Before we took it."""
        path = self.kit.hot / name
        if path.is_file():
            self.destroy(path)
            path.unlink(missing_ok=True)

    @precondition(is_there)
    @rule()
    def take_folder_away(self) -> None:
        """As a share that is unmounted."""
        self.kit.hot.rename(self.base / "hot away")

    @precondition(lambda self: not self.is_there())
    @rule()
    def bring_folder_back(self) -> None:
        """With all that was in it."""
        (self.base / "hot away").rename(self.kit.hot)

    # --- what happens to the daemon ---------------------------------------------------------

    @rule(seconds=st.sampled_from((1, 3, 12, 50)))
    def live(self, seconds: float) -> None:
        """Time goes by."""
        self.kit.pass_time(seconds, step_s=max(1.0, seconds / 6))

    @rule(
        step=st.integers(0, 50),
        again=st.integers(0, 40),
        seconds=st.sampled_from((3, 12, 50)),
        name=st.sampled_from(NAMES),
    )
    def crash(self, step: int, again: int, seconds: float, name: str) -> None:
        """At that step, and perhaps again in recovery; a new file gives it something to do."""
        if self.is_there():
            self.drop(name=name, kind="good", is_told=True)
        if not self.lives_through(step, lambda: self.live(seconds)):
            self.deaths += 1
            if not self.is_there():
                self.bring_folder_back()  # without it no daemon starts
            if not self.lives_through(again, self.kit.start):
                self.deaths += 1
                self.kit.start()

    def lives_through(self, steps: int, life: Callable[[], object]) -> bool:
        """The life did not need that many steps."""
        reaper = self.reaper
        reaper.lives += 1
        reaper.countdown, reaper.is_counting, reaper.is_dead = steps, True, False
        try:
            life()
        except Died:
            for ledger in reaper.ledgers:
                ledger.close()
            self.kit.service.parts.ledger.close()
        finally:
            reaper.is_counting = False
            reaper.ledgers = []
        return not reaper.is_dead

    @rule(seconds=st.sampled_from((-DAY_S, -3600.0, -5.0, 5.0, 3600.0, DAY_S)))
    def set_clock(self, seconds: float) -> None:
        """The wall clock alone."""
        self.time.set_by += seconds

    @rule()
    def grow_old(self) -> None:
        """Long enough for drops to close and to be deleted."""
        self.kit.pass_time(40, step_s=10)
        self.forget_what_was_deleted()
        self.time.seconds += 8 * DAY_S
        self.kit.pass_time(3, step_s=1)

    @precondition(is_there)
    @rule()
    def sweep(self) -> None:
        """Look at everything."""
        self.kit.service.sweep(self.kit.service.parts.folders["hot"], Hint.SWEEP)

    # --- what is true after each of them ----------------------------------------------------

    def texts(self, *patterns: str) -> Counter[str]:
        """How often each content lies at some places."""
        found = {path for pattern in patterns for path in self.base.glob(pattern)}
        return Counter(path.read_text() for path in found if path.is_file())

    def everywhere(self) -> Counter[str]:
        """Originals, wherever they are; each file counts once, whatever we call its place."""
        return self.texts(
            "hot*/*.*", "hot*/sub", "hot*/sub/*", "hot*/.cvunetd/*/**/*",
            "outputs/*/originals/**/*", "failed/hot/**/*[!n]",
        )  # fmt: skip

    def results(self) -> Counter[str]:
        """Everything published."""
        shown = self.texts("outputs/outputs_*/*.png", "outputs/outputs_*/sub/*.png")
        return shown + self.texts("outputs/outputs_*/sub_*/*.png")

    def forget_what_was_deleted(self) -> None:
        """Retention takes whole drops, and rejected pictures."""
        for content, home in list(self.homes.items()):
            if not home.exists():
                if content in self.whole:
                    self.whole.discard(content)
                    is_rejected = home.is_relative_to(self.base / "failed")
                    (self.aged_rejects if is_rejected else self.aged).add(content)
                del self.homes[content]
        for path in self.base.glob("outputs/outputs_*/originals/**/*"):
            if path.is_file():
                self.homes[path.read_text()] = path.parents[-len(self.base.parts) - 2]
        for path in self.base.glob("failed/hot/**/*[!n]"):
            if path.is_file():
                self.homes[path.read_text()] = path

    @invariant()
    def every_content_is_in_one_place(self) -> None:
        """Nothing is lost, and nothing is there twice."""
        self.forget_what_was_deleted()
        where, results = self.everywhere(), self.results()
        archived = self.texts("outputs/*/originals/**/*")
        rejected = self.texts("failed/hot/**/*[!n]")
        for content in self.whole:
            assert where[content] == 1, (content, where[content])
            assert results[content] >= archived[content], content
            assert not (results[content] and rejected[content]), content
        assert max(results.values(), default=0) <= 1, results

    @invariant()
    def rows_and_files_agree(self) -> None:
        """No claim without a row, no row without its files."""
        records = self.kit.records
        jobs = [job for state in State for job in records.in_state(state)]
        if self.is_there():
            claimed = {path for path in self.base.glob("hot/.cvunetd/*/**/*") if path.is_file()}
            open_jobs = [job for job in jobs if job.state in (State.QUEUED, State.RUNNING)]
            assert claimed == {job.source for job in open_jobs if job.source.exists()}
            assert all(job.source.exists() or job.target.exists() for job in open_jobs)
        for job in jobs:
            drop = records.drop_of(job)
            if job.state is State.DONE and drop.path.exists():
                assert has_files(job), job

    @invariant()
    def nothing_lies_about(self) -> None:
        """No unfinished files, and nothing outside of the folders."""
        litter = {path for pattern in LITTER for path in self.base.rglob(pattern)}
        assert litter <= {job.part for job in self.kit.records.in_state(State.RUNNING)}
        assert {path.name for path in self.base.iterdir()} <= PLACES

    def teardown(self) -> None:
        """In the end everything has come out, or says why not."""
        try:
            for content in list(self.writers):
                self.writers.pop(content).close()
            if not self.is_there():
                self.bring_folder_back()
            self.kit.pass_time(1300, step_s=10)
            self.every_content_is_in_one_place()
            self.rows_and_files_agree()
            self.check_ends()
            self.count()
        finally:
            self.kit.die()
            self.stack.close()

    def check_ends(self) -> None:
        """Whole pictures are published; many deaths or a writer that paused too long excuse."""
        rejected = self.texts("failed/hot/**/*[!n]")
        assert not self.whole & set(self.texts("hot/*.*", "hot/sub/*", "hot/.cvunetd/*/**/*"))
        for content in self.whole - self.slow:
            if "bad" not in content and self.deaths < MAX_DEATHS:
                assert not rejected[content], content

    def count(self) -> None:
        """For the table of `make torture`: contents that were whole and that nobody took away."""
        rejected = self.texts("failed/hot/**/*[!n]")
        self.totals["deaths"] = self.deaths
        self.totals["dropped"] = len(self.whole | self.aged | self.aged_rejects)
        self.totals["published"] = len(self.aged | (self.whole & set(self.results())))
        self.totals["quarantined"] = len(self.aged_rejects | (self.whole & set(rejected)))


def has_files(job: Job) -> bool:
    """The result and the original of a finished job are in their places."""
    return job.target.exists() and (job.archive is None or job.archive.exists())
