"""The section `worker.ray:`, and what becomes of it."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from daemon.config.ray_schema import Ray
from daemon.config.schema import Config


@pytest.mark.parametrize("address", ["local", "10.0.0.5:6379", "head.example:6379", "[::1]:6379"])
def test_addresses(address: str):
    """Of a head, or a cluster of our own."""
    assert Ray(address=address).address == address


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("address", bad) for bad in ("auto", "10.0.0.5", "ray://a:1", "a b:1", "")),
        *(("resource", bad) for bad in ("GPU", "CPU", "two words", "")),
        ("concurrency", 0),
        ("silence_s", 1),
        ("auth", "password"),
        ("transport", "pigeon"),
        ("transport_mb", 0),
        ("paths", [{"here": "srv", "there": "/mnt"}]),
        ("paths", [{"here": "/srv"}]),
        ("adress", "local"),
    ],
)
def test_faults(key: str, value: object):
    """Each is told at the start, not when the first picture comes."""
    with pytest.raises(ValidationError):
        Config.model_validate({"worker": {"ray": {key: value}}})


def test_mapped_paths():
    """For all nodes, or for those of a pattern."""
    ray = Ray.model_validate({"paths": [{"here": "/a", "there": "/b", "nodes": "gpu*"}]})

    assert [(one.here, one.there, one.nodes) for one in ray.paths] == [
        (Path("/a"), Path("/b"), "gpu*")
    ]
