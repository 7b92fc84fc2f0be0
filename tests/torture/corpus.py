"""`make corpus DIR=folder`: the real daemon on a folder of any files; what became of each of them.

Files are copied, so that the folder stays as it is. Counted from outside, by content: published,
rejected with a reason, lost, twice, torn. Results are compared with what Pillow shows of the
original: size, orientation, and the colours of what is opaque.
"""

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from tests.system.daemon_process import SETTINGS, command, environment
from tests.torture.tally import digest

#: Rounding by an encoder or a profile; more than that is another colour.
ALIKE = 3 / 255
REASONS_SHOWN = 12
PAUSE_S = 0.2
SOME_FAILED = 1
IGNORED = (".cvunetd", "lock")

Pixels = NDArray[np.float32]


@dataclass
class Found:
    """What became of a corpus."""

    files: int = 0
    published: int = 0
    rejected: int = 0
    untouched: int = 0
    """Names that are never taken (hidden, temporary)."""
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)
    other_sizes: list[str] = field(default_factory=list)
    other_colours: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    peak_mb: int = 0
    seconds: float = 0.0
    exit_status: int = 0

    @property
    def is_clean(self) -> bool:
        """The promises were kept; colours are told, but Pillow has no profile for all of them."""
        return not (self.lost or self.twice or self.torn or self.other_sizes)


def main() -> int:
    """The exit status: 1 if something was lost, done twice, torn or has another size."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture.corpus", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, default=10_000, help="files at most")
    parser.add_argument("--keep", type=Path, help="a new folder for all remains, for inspection")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        base = options.keep or Path(temporary) / "corpus"
        found = examine(options.folder, base, limit=options.limit)
    print(table(found))
    return 0 if found.is_clean else 1


def examine(folder: Path, base: Path, *, limit: int) -> Found:
    """Copy, run the daemon once, count."""
    hot = base / "hot"
    hot.mkdir(parents=True)
    names = copy_all(folder, hot, limit=limit)
    found = Found(files=len(names))
    run(base, found)
    count(base, names, found)
    return found


def copy_all(folder: Path, hot: Path, *, limit: int) -> dict[str, str]:
    """Copy regular files, each content once; the original's name by the content's hash."""
    names: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or not path.stat().st_size:
            continue
        key = digest(path)
        if key in names:
            continue
        names[key] = str(path.relative_to(folder))
        shutil.copyfile(path, hot / f"{len(names):05}_{path.name}"[-200:])
        if len(names) >= limit:
            break
    return names


def run(base: Path, found: Found) -> None:
    """`cvunetd once`, with a small network; its memory is watched from outside."""
    settings = dict(SETTINGS)
    settings["folders"] = [{"path": "hot", "settle_s": 0.1, "defer_s": 0.0}]
    settings["model"] = {"device": "cpu", "input_size": 64}
    (base / "config.yaml").write_text(yaml.safe_dump(settings))
    began = time.monotonic()
    with (base / "log").open("w") as log:
        process = subprocess.Popen(
            command("once", "--config", base / "config.yaml"),
            cwd=base,
            env=environment(),
            stdout=log,
            stderr=log,
        )
        watcher = threading.Thread(target=watch_memory, args=(process, found))
        watcher.start()
        found.exit_status = process.wait()
        watcher.join()
    found.seconds = time.monotonic() - began
    if found.exit_status not in (0, SOME_FAILED):
        sys.exit(f"the daemon ended with {found.exit_status}: {(base / 'log').read_text()[-2000:]}")


def watch_memory(process: "subprocess.Popen[bytes]", found: Found) -> None:
    """Peak memory of the daemon itself, in MB, as the kernel counts it."""
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        for line in status.read_text().splitlines() if status.exists() else ():
            if line.startswith("VmHWM"):
                found.peak_mb = max(found.peak_mb, int(line.split()[1]) // 1024)
        time.sleep(PAUSE_S)


def count(base: Path, names: dict[str, str], found: Found) -> None:
    """Look for each content, and at each result."""
    seen: Counter[str] = Counter()
    for entry, drop in entries(base):
        if entry["state"] != "done":
            continue
        original, result = drop / entry["original"], drop / entry["result"]
        key = digest(original)
        seen[key] += 1
        found.published += 1
        compare(original, result, names.get(key, original.name), found)
    for reason in sorted((base / "failed").rglob("*.json")):
        picture = reason.with_name(reason.name.removesuffix(".json"))
        if picture.exists():
            seen[digest(picture)] += 1
            found.rejected += 1
            found.reasons[json.loads(reason.read_text())["reason"][:90]] += 1
    for path in (base / "hot").rglob("*"):
        if path.is_file() and path.name not in IGNORED and ".cvunetd" not in path.parts:
            seen[digest(path)] += 1
            found.untouched += 1
    found.lost += [name for key, name in names.items() if not seen[key]]
    found.twice += [name for key, name in names.items() if seen[key] > 1]


def entries(base: Path) -> Iterator[tuple[dict[str, str], Path]]:
    """The pictures of all manifests, with their drops."""
    for manifest in sorted((base / "outputs").glob("*/manifest.json")):
        for entry in json.loads(manifest.read_text())["pictures"]:
            yield entry, manifest.parent


def compare(original: Path, result: Path, name: str, found: Found) -> None:
    """What was published, beside what Pillow shows."""
    try:
        shown, _ = pixels(result)
    except (OSError, ValueError) as error:
        found.torn.append(f"{name}: {error}")
        return
    try:
        expected, alpha = pixels(original)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return  # read by other means, or only in part: a warning in the manifest says so
    if expected.shape != shown.shape:
        found.other_sizes.append(f"{name}: {expected.shape[:2]} became {shown.shape[:2]}")
        return
    opaque = (shown[..., 3] == 1) & (alpha == 1)
    if opaque.any():
        difference = float(np.median(np.abs(expected - shown)[opaque][:, :3]))
        if difference > ALIKE:
            found.other_colours.append(f"{name}: by {255 * difference:.0f} of 255")


def pixels(path: Path) -> tuple[Pixels, Pixels]:
    """RGBA HxWx4 in [0, 1], upright and in sRGB, as Pillow shows it; and its alpha."""
    with warnings.catch_warnings(), Image.open(path) as picture:
        warnings.simplefilter("ignore")
        upright = ImageOps.exif_transpose(picture)
        profile = picture.info.get("icc_profile")
        alpha = upright.convert("RGBA").getchannel("A")
        colours = upright.convert("RGB") if upright.mode != "CMYK" else upright
        if profile:
            colours = in_srgb(colours, profile)
        colours = colours.convert("RGB")
        colours.putalpha(alpha)
    found = np.asarray(colours, np.float32) / np.float32(255)
    return found, found[..., 3]


def in_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """By its own profile; as it is where that fits nothing."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(picture, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return picture
    return picture if converted is None else converted


def table(found: Found) -> str:
    """For people, and for docs/durability.md."""
    rows = {
        "files": found.files,
        "published": found.published,
        "rejected, with a reason": found.rejected,
        "left where they are (names that are never taken)": found.untouched,
        "**lost**": len(found.lost),
        "**twice**": len(found.twice),
        "**torn**": len(found.torn),
        "**another size or orientation than Pillow's**": len(found.other_sizes),
        "other colours than Pillow's": len(found.other_colours),
        "peak memory of the daemon, MB": found.peak_mb,
        "seconds": round(found.seconds),
    }
    lines = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    lines += [
        "",
        *(f"{count} times: {reason}" for reason, count in found.reasons.most_common(REASONS_SHOWN)),
    ]
    for title in ("lost", "twice", "torn", "other_sizes", "other_colours"):
        lines += [f"{title}: {one}" for one in getattr(found, title)[:REASONS_SHOWN]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
