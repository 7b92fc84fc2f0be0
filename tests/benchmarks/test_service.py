"""The benchmark of the service: a real service, actors in another process."""

import json
import time
from pathlib import Path

import pytest

from benchmarks import bars, served, service
from benchmarks.meter import OTHER, Meter, blocked_ns
from benchmarks.processes import BenchmarkError
from benchmarks.served import Served


def test_meter_counts_for_the_innermost_part():
    """A ledger's time inside an intake is the ledger's."""
    times = iter(range(0, 1000, 10))
    meter = Meter(lambda: next(times))
    inner = meter.wrap("ledger", lambda: 1)
    outer = meter.wrap("intake", lambda: inner() + 1)

    assert outer() == 2
    assert meter.seconds == {OTHER: 20 / 1e9, "intake": 20 / 1e9, "ledger": 10 / 1e9}


def test_meter_that_was_not_used_says_nothing():
    """An unmetered run has no parts."""
    assert Meter().seconds == {}


def test_all_pictures_go_through_a_real_service(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """From the hot folder to results and originals; part by part, the sum is the whole."""
    base = tmp_path / "run"
    actors = ["--actors", "4", "--rate", "400", "--latency", "0.01"]

    assert served.main([str(base), "--count", "30", "--settle", "0.1", "--meter", *actors]) == 0
    found = Served(**json.loads(capsys.readouterr().out))

    assert len(list(base.glob("outputs/*/*.png"))) == 30
    assert len(list(base.glob("outputs/*/originals/*.jpg"))) == 30
    assert found.pictures == 30
    assert 0 < sum(found.parts_s.values()) <= found.service_s * 1.2 + 0.1
    assert {"ledger: commits", "delivery: publish", "intake: rename"} <= set(found.parts_s)


def test_waits_are_told_apart_from_turns_of_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """By the clock: the processor's time, others' turns, and waits by part."""
    base = tmp_path / "run"
    actors = ["--actors", "1", "--rate", "20", "--latency", "0.05"]

    assert served.main([str(base), "--count", "10", "--settle", "0.1", "--waits", *actors]) == 0
    found = Served(**json.loads(capsys.readouterr().out))

    assert found.waits_s == pytest.approx(
        found.wall_s - found.service_s - found.delayed_s, abs=0.01
    )
    assert found.waits_s > 0.2  # ten pictures, twenty a second
    assert found.parts_s[OTHER] == max(found.parts_s.values())


def test_thread_that_sleeps_is_blocked():
    """And one that computes is not, whoever has the core meanwhile."""
    began = blocked_ns()
    time.sleep(0.05)
    slept, began = blocked_ns() - began, blocked_ns()
    sum(range(1_000_000))
    computed = blocked_ns() - began

    assert slept >= 45_000_000
    assert computed < 5_000_000


def test_waiting_files_are_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Only the loop turns."""
    base = tmp_path / "run"

    assert served.main([str(base), "--count", "20", "--wait"]) == 0
    found = Served(**json.loads(capsys.readouterr().out))

    assert (found.pictures, found.others_s) == (served.TURNS, 0.0)
    assert 0 < len(list((base / "hot").glob("*.jpg"))) < 20


def test_run_that_fails_is_no_figure(tmp_path: Path):
    """Its last words are told."""
    with pytest.raises(BenchmarkError, match=r"the service failed: [\s\S]*--count"):
        service.run(tmp_path, "--count", "many")


def test_bars_of_the_service():
    """A rate to be reached, a share of a picture, growth of all that a picture takes."""
    growth = bars.service_growth({10: 0.1, 100: 0.2, 1000: 2.0}, worker_s=0.2)

    assert bars.service_rate("tmpfs", 401).holds
    assert not bars.service_rate("tmpfs", 399).holds
    assert not bars.service_share(0.03).holds
    assert growth.measured == pytest.approx(0.202 / (0.2 + 0.1 / 90) - 1)
    assert growth.holds
