"""The device's benchmark: its arithmetic, and the whole of it on a CPU with few pictures."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks import __main__ as program
from benchmarks import bars, device, photos
from benchmarks.pipeline import Pool, Run


def run(*, cpu_s: float, decode_s: float = 0.0, network_s: float = 0.0, finish_s: float = 0.0):
    """Ten seconds on sixteen cores, with nine threads a pool and one for the device."""
    pools = (
        Pool("decode", 9, decode_s, decode_s),
        Pool("network", 1, network_s, 1.0),
        Pool("finish", 9, finish_s, cpu_s - decode_s - 1),
    )
    return Run(1000, 10.0, cpu_s, 16, 200, {"decode": 0.01}, pools)


def test_full_cores_are_named_first():
    """Threads of a pool are busy, too, while they wait for a core."""
    found = run(cpu_s=152, decode_s=20, finish_s=90, network_s=1)

    assert found.bottleneck == "the 16 cores, 95% in use; 86% of that by the pool 'finish'"


@pytest.mark.parametrize(
    ("busy", "expected"),
    [
        ({"finish_s": 88.0}, "the pool 'finish': its 9 threads are busy for 98% of the time"),
        ({"decode_s": 85.0}, "the pool 'decode': its 9 threads are busy for 94% of the time"),
        ({"network_s": 9.5}, "the pool 'network': its 1 threads are busy for 95% of the time"),
    ],
)
def test_busiest_pool_is_named_while_cores_are_left(busy: dict[str, float], expected: str):
    """Per thread, for pools differ in size."""
    found = run(cpu_s=100, **{"decode_s": 30.0, "finish_s": 40.0, "network_s": 2.0} | busy)

    assert found.bottleneck == f"{expected}; the cores for 62%"


def test_shares_and_rates():
    """Of wall time."""
    found = run(cpu_s=80, network_s=2.5)

    assert (found.rate, found.cores_share, found.device_share) == (100, 0.5, 0.25)


def test_bars_of_the_device():
    """To be reached, not kept under."""
    rows = [bar.row[1:] for bar in bars.accelerated(2999.0, 151.0, 10.0)]

    assert rows == [
        ("3e+03", "≥ 3000", "MISSED"),
        ("151", "≥ 150", "met"),
        ("10", "≥ 10", "met"),
    ]


def test_rate_is_a_median():
    """Each of at least one question."""
    asked: list[int] = []

    assert device.rate(lambda: asked.append(1), 5, 0.0, 3) > 0
    assert len(asked) == 3


def test_linked_photos(tmp_path: Path):
    """As many names as asked for, few files; all of the frame's size."""
    folder = photos.make_linked(tmp_path / "in", 5, 2, (64, 36))
    files = sorted(folder.iterdir())

    assert len({path.stat().st_ino for path in files}) == 2
    with Image.open(files[4]) as photo:
        assert photo.size == (64, 36)


def test_drawings_where_there_are_no_photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A machine for measuring needs no scikit-image; the tables say so."""
    monkeypatch.setattr(photos, "has_photos", lambda: False)
    folder = photos.make(tmp_path / "in", 5, (192, 108))
    contents = {path.read_bytes() for path in folder.iterdir()}

    assert len(contents) == 5
    assert "no scikit-image" in photos.kind()


def test_absent_device_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """One line, exit status 1, nothing measured."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)

    assert program.main(["--device", "cuda"]) == 1
    assert capsys.readouterr().err == "device 'cuda' is absent; this machine has: cpu\n"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_all_of_it_runs_on_a_cpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Every table is made and written beside the other benchmark's."""
    threads = torch.get_num_threads()
    try:
        options = ["--device", "cpu", "--dry-run", "--runs", "1", "--write"]
        assert program.main([*options, str(tmp_path / "benchmarks.md")]) == 0
    finally:
        torch.set_num_threads(threads)  # the engine takes one for each pass
    text = (tmp_path / "benchmarks-cpu.md").read_text(encoding="utf-8")

    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# How fast it is",
        "## The network alone, pictures/s at 512 px, arrays to arrays, medians of 1",
        "## Start",
        "## 4 photos of 1920x1080, JPEG to PNG, batches of up to 1",
        "## Where the time goes at 1920x1080, median run",
        "## 2 photos of 6000x4000, JPEG to PNG, batches of up to 1",
        "## Where the time goes at 6000x4000, median run",
        "## Targets",
    ]
    assert "| next bottleneck" in text
    assert "Device: cpu" in text
    assert text.splitlines()[-1] in capsys.readouterr().out
