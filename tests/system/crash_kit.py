"""Worlds to die in, and what must be true once a life has been lived to its end."""

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from daemon.disk import drop_names, files, segments, store
from daemon.disk.segments import Note
from daemon.errors import Blame
from daemon.hooks.outbox import Outbox
from daemon.jobs import Confidence, Done, Failed, Outcome, State, Task
from daemon.ledger.ledger import Ledger
from daemon.ledger.records import Records
from tests.hooks.hooks_kit import Ears
from tests.service.service_kit import START, Kit
from tests.system.reaper import Reaper

PICTURES = ("a.jpg", "sub/a.jpg", "a.webp", "bad.jpg")
STEPS_AT_MOST = 1000
COPRIME = 37  # with the number of steps of most lives
SEGMENTS = 2  # of each clip
MEMORY = Path("/dev/shm")
DOUBTFUL = Confidence(0.1, {}, {}, (), ("undecided",))
LITTER = ("*.part", ".cvunetd-probe*", ".*.segment", ".*.clip")


@dataclass
class World:
    """Folders on which life after life is lived, and what outlives them for the test alone."""

    base: Path
    reaper: Reaper
    folder: dict[str, object] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)
    memo: set[str] = field(default_factory=set)
    starts: dict[str, int] = field(default_factory=dict)
    """By picture: how often the worker got it."""
    ears: Ears = field(default_factory=Ears)
    """Whoever is told by hooks."""

    def __post_init__(self) -> None:
        self.base.mkdir()
        (self.base / "hot").mkdir()
        (self.base / "uploads").mkdir()  # for those whose settings name it
        settings: dict[str, object] = {"output": {"drop_idle_s": 5}}
        folder = {"defer_s": 0.0, "settle_s": 1.0} | self.folder
        self.kit = Kit(
            self.base,
            work=self.work,
            folder=folder,
            settings=settings | self.settings,
            open_sender=self.ears,
        )
        self.kit.die()
        for path in (*(self.base / "state").iterdir(), *(self.base / "outputs").iterdir()):
            path.unlink()  # the first life makes its ledger itself

    def work(self, task: Task) -> Outcome:
        """A worker that writes as the real one does, and has trouble if the name says so."""
        name = task.source.name
        self.starts[name] = self.starts.get(name, 0) + 1
        is_first = name not in self.memo
        self.memo.add(name)
        identity = files.identity(task.source)
        assert identity is not None
        for word, blame in {"shaky": Blame.UNKNOWN, "unlucky": Blame.MACHINE}.items():
            if word in name and is_first:
                return Failed(blame, f"{word} at first")
        if "bad" in name and "mended" not in self.memo:
            return Failed(Blame.FILE, "cannot be decoded")
        if task.alpha_part is not None:
            write(task.alpha_part, b"mask of: " + task.source.read_bytes())
        if task.clip is not None:
            make_segments(task.part)
        write(task.part, b"cut out: " + task.source.read_bytes())
        if f"{name} was meddled with" not in self.memo:
            self.memo.add(f"{name} was meddled with")
            self.meddle(task)
        confidence = DOUBTFUL if "doubtful" in name else None
        return Done(identity, 4, 3, {"decode": 0.1}, (), confidence=confidence)

    def meddle(self, task: Task) -> None:
        """What other people do at the worst moment."""
        with self.outside():
            if "changing" in task.source.name:
                task.source.write_text("new version")
            if "stolen" in task.source.name:
                task.part.with_name("stolen.png").write_text("somebody else's")
                (task.part.parent / "originals").mkdir(exist_ok=True)
                (task.part.parent / "originals/stolen.jpg").write_text("somebody else's too")

    @contextmanager
    def outside(self) -> Iterator[None]:
        """What is done in here is not the daemon's doing."""
        counting, self.reaper.is_counting = self.reaper.is_counting, False
        yield
        self.reaper.is_counting = counting

    def fill(self, names: tuple[str, ...]) -> None:
        """Put pictures into the hot folder; the content is the name."""
        for name in names:
            path = self.kit.hot / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(name)
            os.utime(path, (START - 9999, START - 9999))

    def running(self) -> set[tuple[str, int]]:
        """Pictures in work, and which start it was, whose result or rejection is not on disk."""
        if not (self.base / "state/ledger.db").exists():
            return set()
        ledger = Ledger(self.base / "state/ledger.db")
        jobs = Records(ledger).in_state(State.RUNNING) if has_tables(ledger) else []
        ledger.close()
        return {
            (str(job.relative), job.starts)
            for job in jobs
            if not job.stamps and not (job.quarantine and not files.exists(job.source))
        }

    def review(self) -> Path | None:
        """Where a result that is noted in the ledger is to lie for review."""
        if not (self.base / "state/ledger.db").exists():
            return None
        ledger = Ledger(self.base / "state/ledger.db")
        jobs = Records(ledger).in_state(State.RUNNING) if has_tables(ledger) else []
        ledger.close()
        return next((job.review for job in jobs), None)

    def rows(self) -> int:
        """How many pictures the ledger knows."""
        ledger = Ledger(self.base / "state/ledger.db")
        counts = Records(ledger).counts()
        ledger.close()
        return sum(sum(states.values()) for states in counts.values())

    def waiting(self) -> dict[str, int]:
        """How many notices each hook has still to be told."""
        ledger = Ledger(self.base / "state/ledger.db")
        counts = Outbox(ledger, Records(ledger)).counts()
        ledger.close()
        return counts

    def contents(self, top: str, pattern: str = "*") -> list[str]:
        """Sorted contents of all files below a folder."""
        found = (self.base / top).rglob(pattern)
        return sorted(path.read_text() for path in found if path.is_file())


def write(part: Path, content: bytes) -> None:
    """As the real worker does it."""
    with part.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def make_segments(part: Path) -> None:
    """As the real worker does it: those that an earlier life has noted are not made again."""
    note = segments.read_note(part) or Note("key")
    note = replace(note, begun_with=len(note.frames))
    segments.write_note(part, note)
    while len(note.frames) < SEGMENTS:
        with segments.begin(part, len(note.frames)) as stream:
            stream.write(b"segment")
            stream.flush()
            os.fsync(stream.fileno())
        note = replace(note, frames=(*note.frames, 96))
        segments.write_note(part, note)


def has_tables(ledger: Ledger) -> bool:
    """The process did not die before it had made them."""
    version = ledger.first("PRAGMA user_version")
    return version is not None and version[0] > 0


Step = Callable[[World], None]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One kind of life."""

    name: str
    pictures: tuple[str, ...] = PICTURES
    folder: dict[str, object] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)
    is_across: bool = False
    """Output and quarantine lie on another file system than the hot folder."""
    has_links: bool = True
    is_counted: bool = True
    """Attempts are one more than the deaths in work."""
    live: Step
    check: Step

    def begin(self, base: Path, reaper: Reaper) -> World:
        """The folders before the first life."""
        reaper.is_counting, reaper.has_links = False, self.has_links
        reaper.borders = (base / "outputs", base / "failed") if self.is_across else ()
        world = World(base, reaper, self.folder, self.settings)
        world.fill(self.pictures)
        return world


@dataclass(frozen=True)
class Story:
    """What came of several lives."""

    deaths: int
    steps: list[int]
    """How many steps each life took."""
    published: int
    quarantined: int


def lives(scenario: Scenario, base: Path, reaper: Reaper, deaths: list[int]) -> Story:
    """Die once for each number, then live to the end; then everything must be in its place."""
    world = scenario.begin(base, reaper)
    steps: list[int] = []
    last_calls: list[str] = []
    interrupted: set[tuple[str, int]] = set()
    for countdown in [*deaths, None]:
        with reaper.life(countdown):
            scenario.live(world)
        steps.append(len(reaper.calls))
        if reaper.is_dead:
            last_calls.append(str(reaper.calls[-1]))
            interrupted |= world.running()
    try:
        scenario.check(world)
        check_litter(world)
        if scenario.is_counted:
            check_attempts(world, Counter(name for name, _ in interrupted))
    except Exception as error:
        error.add_note(f"{scenario.name}: died at {deaths}, before {'; '.join(last_calls)}")
        raise
    published = sum(text.startswith("cut out") for text in world.contents("outputs", "*.png"))
    reasons = len(list(base.rglob("failed/**/*.json")))
    return Story(len(last_calls), steps, published=published, quarantined=reasons)


def check_deaths(
    scenario: Scenario, base: Path, reaper: Reaper, *, seconds: int, stride: int = 1, begin: int = 0
) -> None:
    """Enough steps were died in, and `seconds` more times in the life after each of them.

    Every `stride`-th step, from the step `begin` on.
    """
    firsts = range(begin, STEPS_AT_MOST, stride)
    deaths = Counter(
        story.deaths for story in die_at(scenario, base, reaper, firsts, seconds=seconds)
    )

    assert deaths[1] > 50 / stride, "too few steps to prove anything"
    assert deaths[2] >= 0.9 * deaths[1] * seconds


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """A temporary folder on a file system that makes no one wait, if there is one."""
    is_there = os.access(MEMORY, os.W_OK)
    with tempfile.TemporaryDirectory(dir=MEMORY if is_there else None) as folder:
        yield Path(folder)


def die_everywhere(
    scenario: Scenario, base: Path, reaper: Reaper, *, seconds: int
) -> Iterator[Story]:
    """Die at every step, and for each of them some more times in the next life."""
    yield from die_at(scenario, base, reaper, range(STEPS_AT_MOST), seconds=seconds)


def die_at(
    scenario: Scenario, base: Path, reaper: Reaper, firsts: Iterable[int], *, seconds: int
) -> Iterator[Story]:
    """Die at each of these steps as far as a life has them, as above."""
    for first in firsts:
        story = lives(scenario, base / "once", reaper, [first])
        shutil.rmtree(base / "once")
        if story.deaths == 0:
            return
        yield story
        stride = max(1, story.steps[1] // max(seconds, 1))
        # Not always the same ones: over all first deaths every step is a second one.
        chosen = range(first * COPRIME % stride, story.steps[1], stride)
        for second in chosen if seconds else ():
            yield lives(scenario, base / "twice", reaper, [first, second])
            shutil.rmtree(base / "twice")
    raise AssertionError(f"{scenario.name}: a life takes more steps than are tried")


def check_attempts(world: World, interrupted: Counter[str]) -> None:
    """Once for each start; those that ended by a death from outside are counted apart."""
    ledger = Ledger(world.base / "state/ledger.db")
    records = Records(ledger)
    jobs = [*records.in_state(State.DONE), *records.in_state(State.FAILED)]
    ledger.close()
    for job in jobs:
        starts = (job.attempts, job.deaths)
        assert starts == (1, interrupted[str(job.relative)]), job
        assert job.reason == "" or job.state is State.FAILED


def check_litter(world: World) -> None:
    """Nothing unfinished is left anywhere, and nothing claimed."""
    litter = [path for pattern in LITTER for path in world.base.rglob(pattern)]
    claims = [path for path in world.base.glob("hot/.cvunetd/*") if path.name != "lock"]
    assert [*litter, *claims] == [], [*litter, *claims]


def check_pictures(world: World, *, good: tuple[str, ...], bad: tuple[str, ...]) -> None:
    """Each content is exactly where it belongs, once; manifests and reasons agree."""
    mode = world.folder.get("originals", "archive")
    originals = [text for drop in drops(world) for text in world.contents(f"{drop}/originals")]
    everything = [text for drop in drops(world) for text in world.contents(drop, "*.png")]
    results = [text for text in everything if text.startswith("cut out: ")]
    is_kept = mode == "keep"
    assert sorted(results) == sorted(f"cut out: {text}" for text in good), results
    assert sorted(originals) == (sorted(good) if mode == "archive" else [])
    in_hot = [*good, *bad] if is_kept else []
    assert world.contents("hot", "*.*") == sorted(in_hot)
    assert world.contents("failed", "*[!n]") == ([] if is_kept else sorted(bad))
    reasons = [json.loads(text) for text in world.contents("failed", "*.json")]
    assert sorted(reason["source"] for reason in reasons) == sorted(bad)
    check_manifests(world, good=good, bad=bad)


def drops(world: World) -> list[str]:
    """Output folders, relative to the base."""
    return sorted(
        str(path.relative_to(world.base)) for path in world.base.glob("outputs/outputs_*")
    )


def check_manifests(world: World, *, good: tuple[str, ...], bad: tuple[str, ...]) -> None:
    """Every drop that has a picture is closed, marked, and lists what lies in it."""
    listed: list[dict[str, Any]] = []  # Any: JSON
    for drop in drops(world):
        folder = world.base / drop
        if not (folder / store.MANIFEST).exists():
            assert [path.name for path in folder.iterdir()] in ([], [store.MARKER]), drop
            continue
        manifest = json.loads((folder / store.MANIFEST).read_text())
        assert manifest["closed_at"] is not None, drop
        assert (folder / store.MARKER).read_bytes() == drop_names.mark(folder.name), drop
        for picture in manifest["pictures"]:
            for key in ("result", "alpha", "review", "original"):
                assert not picture.get(key) or (folder / picture[key]).is_file(), picture
        listed += manifest["pictures"]
    states = sorted(picture["state"] for picture in listed)
    assert states == ["done"] * len(good) + ["failed"] * len(bad)
