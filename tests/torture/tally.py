"""Counts from outside, by content: what was dropped, and where it is now."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from PIL import Image

from tests.torture import inquest

CLAIMS = ".cvunetd"
OURS = ("manifest.json", ".cvunetd-drop")
PARTS = (".*.part", ".cvunetd-probe*")

Key = str
"""What tells whose result a result is."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    case: str
    dropped: int = 0
    published: int = 0
    quarantined: int = 0
    lost: int = 0
    twice: int = 0
    torn: int = 0
    told: str = ""
    """What is known of the pictures that are lost or there twice."""

    @property
    def is_clean(self) -> bool:
        """The promise was kept."""
        return self.lost == self.twice == self.torn == 0


def digest(path: Path) -> str:
    """Hash of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def decoded_size(path: Path) -> Key:
    """A cut-out is as large as its photo; every photo of a case has a size of its own."""
    with Image.open(path) as picture:
        picture.load()
        return f"{picture.width}x{picture.height}"


@dataclass(slots=True)
class Ground:
    """The folders of one case, and what was dropped there."""

    hot: Path
    outputs: Path
    failed: Path
    originals: Literal["archive", "keep", "delete"] = "archive"
    key_of: Callable[[Path], Key] = decoded_size
    """Reads a result; raises if it is torn."""
    good: dict[str, Key] = field(default_factory=dict)
    """Digest of a whole picture to the key of its result."""
    bad: set[str] = field(default_factory=set)
    """Digests of what cannot be cut out."""

    def expect(self, photo: Path) -> None:
        """A whole picture that is about to be dropped."""
        self.good[digest(photo)] = self.key_of(photo)

    def expect_bad(self, path: Path) -> None:
        """No picture; it belongs into quarantine."""
        self.bad.add(digest(path))

    def drops(self) -> list[Path]:
        """Output folders."""
        return sorted(self.outputs.glob("outputs_*"))

    def results(self, drop: Path) -> list[Path]:
        """Everything visible in a drop but originals, what is for review, and our own files."""
        return [
            path
            for path in regular_files(drop)
            if path.relative_to(drop).parts[0] not in ("originals", "review")
            and path.name not in OURS
        ]

    def arrived(self) -> int:
        """How many results and quarantined files there are; cheap enough to ask often."""
        results = sum(len(self.results(drop)) for drop in self.drops())
        return results + len(self.quarantined())

    def is_through(self) -> bool:
        """As much has come out as went in, and nothing waits in the hot folder."""
        is_empty = self.originals == "keep" or not self.left_in_hot()
        return is_empty and self.arrived() >= len(self.good) + len(self.bad)

    def quarantined(self) -> list[Path]:
        """Rejected files without their reasons."""
        return [path for path in regular_files(self.failed) if path.suffix != ".json"]

    def left_in_hot(self) -> list[Path]:
        """Files that wait or are claimed."""
        ours = {self.hot / CLAIMS / name for name in ("lock", "canary")}
        return [path for path in regular_files(self.hot) if path not in ours]

    def row(self, case: str) -> Row:
        """The verdict."""
        where = self.whereabouts()
        keys, undecodable = self.result_keys()
        verdicts = self.verdicts(where, keys)
        count = Counter(verdicts.values())
        unknown = sum(count for key, count in keys.items() if key not in self.good.values())
        return Row(
            case,
            dropped=len(self.good) + len(self.bad),
            published=sum(keys.values()),
            quarantined=len(self.quarantined()),
            lost=count["lost"],
            twice=count["twice"] + unknown,
            torn=undecodable + self.unfinished() + self.wrong_manifests(),
            told=self.inquests(verdicts),
        )

    def verdicts(
        self, where: dict[str, Counter[str]], keys: Counter[Key]
    ) -> dict[str, Literal["lost", "twice"]]:
        """What is wrong with which content."""
        found: dict[str, Literal["lost", "twice"]] = {}
        for content, key in self.good.items():
            home = {"archive": "original", "keep": "hot", "delete": "deleted"}[self.originals]
            places = Counter({place: where[place][content] for place in where})
            places["deleted"] = 1
            elsewhere = sum(places.values()) - places[home] - (home != "deleted")
            if keys[key] == 0 or places[home] == 0:
                found[content] = "lost"
            elif keys[key] > 1 or places[home] > 1 or elsewhere > 0:
                found[content] = "twice"
        for content in self.bad:
            copies = sum(place[content] for place in where.values())
            if where["failed" if self.originals != "keep" else "hot"][content] == 0:
                found[content] = "lost"
            elif copies > 1:
                found[content] = "twice"
        return found

    def inquests(self, verdicts: dict[str, Literal["lost", "twice"]]) -> str:
        """Everything that is known of what is lost or there twice."""
        if not verdicts:
            return ""
        tops = (self.hot, self.outputs, self.failed)
        base = inquest.base_of(*tops)
        places: dict[str, list[Path]] = {content: [] for content in verdicts}
        for path in (path for top in tops for path in regular_files(top)):
            if (content := digest(path)) in places:
                places[content].append(path)
        return "\n".join(
            inquest.told(base, content, verdict, places[content])
            for content, verdict in verdicts.items()
        )

    def whereabouts(self) -> dict[str, Counter[str]]:
        """By place: how often each content lies there."""
        originals = [f for drop in self.drops() for f in regular_files(drop / "originals")]
        return {
            "original": Counter(map(digest, originals)),
            "failed": Counter(map(digest, self.quarantined())),
            "hot": Counter(map(digest, self.left_in_hot())),
        }

    def result_keys(self) -> tuple[Counter[Key], int]:
        """How often each picture's result is there, and how many results are not whole."""
        keys: Counter[Key] = Counter()
        undecodable = 0
        for drop in self.drops():
            for path in self.results(drop):
                try:
                    keys[self.key_of(path)] += 1
                except (OSError, SyntaxError, ValueError):
                    undecodable += 1
        return keys, undecodable

    def unfinished(self) -> int:
        """Parts and probes that nobody will ever finish."""
        tops = (self.hot, self.outputs, self.failed)
        return sum(1 for top in tops for pattern in PARTS for _ in top.rglob(pattern))

    def wrong_manifests(self) -> int:
        """Drops whose manifest is torn or does not list exactly what lies there."""
        return sum(not self.is_manifest_true(drop) for drop in self.drops())

    def is_manifest_true(self, drop: Path) -> bool:
        """The listed results and originals are those that lie in the drop."""
        try:
            pictures = json.loads((drop / "manifest.json").read_text())["pictures"]
        except (OSError, ValueError, KeyError):
            return False
        done = [picture for picture in pictures if picture["state"] == "done"]
        results = sorted(str(path.relative_to(drop)) for path in self.results(drop))
        originals = sorted(str(f.relative_to(drop)) for f in regular_files(drop / "originals"))
        listed = sorted(picture["original"] for picture in done if picture["original"])
        return results == sorted(picture["result"] for picture in done) and originals == listed


def regular_files(top: Path) -> list[Path]:
    """All regular files below a folder but hidden ones; no link is followed."""
    return [path for path in walk(top) if not path.is_symlink() and path.is_file()]


def walk(top: Path) -> Iterator[Path]:
    """Every file below a folder that does not hide; what vanishes meanwhile is passed over."""
    for folder, _, names in os.walk(top):
        yield from (Path(folder, name) for name in names if not name.startswith("."))


def table(rows: list[Row]) -> str:
    """For people."""
    heads = ("case", "dropped", "published", "quarantined", "lost", "twice", "torn")
    cells = [heads, *(tuple(str(getattr(row, head)) for head in heads) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
