"""`make bench`: how fast photos become cut-outs: whole `cvunetd batch` processes, and stages."""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import skimage
from PIL import Image

PHOTOS = ("astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg")
WIDTH_PX = 1600


def make_photos(folder: Path, count: int) -> None:
    """JPEGs 1600 px wide from public-domain photos."""
    source = Path(skimage.__file__).parent / "data"
    folder.mkdir()
    for number in range(count):
        with Image.open(source / PHOTOS[number % len(PHOTOS)]) as photo:
            height = round(photo.height * WIDTH_PX / photo.width)
            large = photo.convert("RGB").resize((WIDTH_PX, height), Image.Resampling.LANCZOS)
        large.save(folder / f"{number:04}.jpg", quality=92)


def run_batch(photos: Path, out: Path) -> tuple[float, float]:
    """Wall and CPU seconds of one whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    command = [sys.executable, "-m", "daemon", "batch", str(photos), str(out)]
    subprocess.run(command, check=True, capture_output=True)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def stage_seconds(out: Path) -> dict[str, float]:
    """Median wall time of each stage, from the manifest."""
    pictures = json.loads((out / "manifest.json").read_text())["pictures"]
    stages = pictures[0]["seconds"]
    return {stage: statistics.median(p["seconds"][stage] for p in pictures) for stage in stages}


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        make_photos(base / "one", 1)
        make_photos(base / "many", options.photos)
        starts = [run_batch(base / "one", base / f"one-{run}")[0] for run in range(options.runs)]
        walls, seconds = zip(
            *(run_batch(base / "many", base / f"many-{run}") for run in range(options.runs)),
            strict=True,
        )
        stages = stage_seconds(base / "many-0")
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    start, wall = statistics.median(starts), statistics.median(walls)
    print(f"photos                 {options.photos} of {WIDTH_PX} px, {options.runs} runs, medians")
    print(f"one photo, whole       {start:.2f} s (start-up included)")
    print(f"all photos, whole      {wall:.2f} s")
    rate = (options.photos - 1) / max(wall - start, 1e-9)
    print(f"photos per second      {rate:.2f} (start-up excluded)")
    print(f"CPU seconds per photo  {statistics.median(seconds) / options.photos:.3f}")
    print(f"peak memory            {peak_mb:.0f} MB")
    for stage, median in stages.items():
        print(f"  stage {stage:<15} {median * 1000:.0f} ms")


if __name__ == "__main__":
    main()
