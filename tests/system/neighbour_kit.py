"""A neighbour who may write to the hot folder, and swaps things at any call of the daemon.

He is another user: he may rename and make what lies in the hot folder itself, but may not look into
a folder of ours with mode 0700. At each call of the daemon that opens, looks at or changes
something he moves the claim folder away and puts one of his own in its place, in which links lead
to files that only the daemon may read.
"""

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from daemon.disk import files, safe_open, store
from daemon.errors import PictureError, blame, describe
from daemon.jobs import Done, Failed, Identity, Outcome, Task
from daemon.lifecycle.intake import FILE_RETRY_S
from daemon.lifecycle.standby import RECHECK_S
from tests.service.service_kit import Kit

CALLS = ("open", "stat", "rename", "link", "unlink", "mkdir", "rmdir", "replace", "scandir")
NOBODY = 65534
SECRET = "only the daemon may read this"
STEPS_AT_MOST = 2000
PICTURES = ("cat.jpg", "sub/dog.jpg")


@dataclass
class Neighbour:
    """Waits for the n-th call; then swaps, and swaps back when he is told to."""

    hot: Path
    theirs: Path
    swap: "Callable[[Neighbour], None]"
    at: int
    count: int = 0
    has_swapped: bool = False
    is_busy: bool = False
    undo: list[Callable[[], object]] = field(default_factory=list)

    def step(self) -> None:
        """One call of the daemon."""
        if self.is_busy:
            return
        self.count += 1
        if self.count - 1 == self.at:
            self.is_busy = self.has_swapped = True
            self.swap(self)
            self.is_busy = False

    def put_back(self) -> None:
        """What a person does who reads the log."""
        self.is_busy = True
        for one in reversed(self.undo):
            one()


Invite = Callable[[Neighbour], None]
Swap = Callable[[Neighbour], None]


def mirror(neighbour: Neighbour, place: Path, names: list[Path]) -> None:
    """A tree like ours, whose folders are links to where secrets have the same names."""
    secrets = neighbour.theirs
    for name in names:
        secret = secrets / name
        secret.parent.mkdir(parents=True, exist_ok=True)
        secret.write_text(SECRET)
    place.mkdir()
    for folder in {name.parts[0] for name in names}:
        (place / folder).symlink_to(secrets / folder)
    os.chown(place, NOBODY, NOBODY)


def claimed_names(claims: Path) -> list[Path]:
    """What the neighbour knows of our names: he watches, and guesses the rest."""
    return [path.relative_to(claims) for path in claims.rglob("*") if path.is_file()]


def swap_claims(neighbour: Neighbour) -> None:
    """The claim folder is moved away; a folder of his with links has its name."""
    claims, away = neighbour.hot / store.CLAIMS, neighbour.hot / "away"
    names = claimed_names(claims)
    if claims.exists():
        claims.rename(away)
        neighbour.undo.append(lambda: away.rename(claims))
    mirror(neighbour, claims, names)
    neighbour.undo.append(lambda: shutil.rmtree(claims))


def link_claims(neighbour: Neighbour) -> None:
    """A link has the claim folder's name."""
    claims, away = neighbour.hot / store.CLAIMS, neighbour.hot / "away"
    names = claimed_names(claims)
    if claims.exists():
        claims.rename(away)
        neighbour.undo.append(lambda: away.rename(claims))
    place = neighbour.hot / "his"
    mirror(neighbour, place, names)
    claims.symlink_to(place)
    neighbour.undo += [lambda: shutil.rmtree(place), claims.unlink]


def link_sub_folder(neighbour: Neighbour) -> None:
    """A link to secrets has the name of a sub-folder in which a picture settles."""
    sub, away = neighbour.hot / "sub", neighbour.hot / "away-sub"
    if not sub.is_dir():
        return
    (neighbour.theirs / "sub").mkdir(parents=True, exist_ok=True)
    (neighbour.theirs / "sub/dog.jpg").write_text(SECRET)
    sub.rename(away)
    sub.symlink_to(neighbour.theirs / "sub")
    neighbour.undo += [lambda: away.rename(sub), sub.unlink]


def work(task: Task) -> Outcome:
    """A worker that opens, writes and fails as the real one does; the cut-out is a copy."""
    try:
        with files.open_regular(task.source) as stream:
            content, identity = stream.read(), Identity.of(os.fstat(stream.fileno()))
        assert identity is not None
        with files.create(task.part) as stream:
            stream.write(content)
    except (OSError, PictureError) as error:
        return Failed(blame(error), describe(error))
    return Done(identity, 4, 3, {"decode": 0.1}, ())


@contextmanager
def meddling(patch: pytest.MonkeyPatch) -> Iterator[Invite]:
    """Let the neighbour who is invited know of every call."""
    present: list[Neighbour] = []
    logging.disable()

    def told(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            for neighbour in present:
                neighbour.step()
            return real(*args, **kwargs)

        return call

    for name in CALLS:
        patch.setattr(os, name, told(getattr(os, name)))
    patch.setattr(safe_open, "openat2", told(safe_open.openat2))
    patch.setattr(os, "fsync", lambda descriptor: None)  # nothing here outlives the machine
    yield lambda neighbour: present.__setitem__(slice(None), [neighbour])
    logging.disable(logging.NOTSET)


def live(base: Path, invite: Invite, swap: Swap, at: int) -> bool:
    """One life beside a neighbour; False once he has no step left to swap at."""
    hot, theirs = base / "hot", base / "theirs"
    base.mkdir()
    theirs.mkdir()
    neighbour = Neighbour(hot, theirs, swap, at)
    neighbour.is_busy = True
    invite(neighbour)
    kit = Kit(base, folder={"settle_s": 1.0}, work=work)
    for name in PICTURES:
        kit.drop(name, name.encode())
    neighbour.is_busy = False
    kit.pass_time(4, step_s=1)
    kit.pass_time(2 * RECHECK_S, step_s=5)
    secrets = {path for path in theirs.rglob("*") if path.is_file()}
    check_secrets(base, secrets)
    neighbour.put_back()
    kit.pass_time(FILE_RETRY_S + 100, step_s=20)  # a file that could not be taken waits so long
    check_secrets(base, secrets)
    check_results(kit, at)
    kit.die()
    return neighbour.has_swapped


def check_secrets(base: Path, secrets: set[Path]) -> None:
    """All are where they were, and their content is nowhere else."""
    assert all(path.read_text() == SECRET for path in secrets)
    places = [base / "outputs", base / "failed", base / "state"]
    found = [path for place in places for path in place.rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in path.read_bytes() for path in found)


def check_results(kit: Kit, at: int) -> None:
    """Each picture was cut out once, and its original lies beside the result."""
    results = [path.read_text() for drop in kit.drops() for path in drop.rglob("*.png")]
    originals = [path.read_text() for drop in kit.drops() for path in drop.rglob("*.jpg")]
    left = kit.left_in_hot()
    assert sorted(results) == sorted(PICTURES), (at, results, left, kit.records.counts())
    assert sorted(originals) == sorted(PICTURES), (at, originals, left)


SWAPS: tuple[Swap, ...] = (swap_claims, link_claims, link_sub_folder)


def swap_everywhere(base: Path, invite: Invite, swap: Swap, *, stride: int) -> int:
    """A life for every ``stride``-th call; how many lives there were. A theft or loss raises."""
    for lives, at in enumerate(range(0, STEPS_AT_MOST, stride), 1):
        place = base / f"{swap.__name__}-{at}"
        has_swapped = live(place, invite, swap, at)
        shutil.rmtree(place)
        if not has_swapped:
            return lives
    raise AssertionError("a life takes more steps than are tried")
