"""Manifests are what docs/manifest.schema.json says, and it says what it means."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from daemon.config import video
from daemon.disk import store
from daemon.jobs import Outcome, Task
from tests.lifecycle.schema_kit import opaque_work, validator_of
from tests.service.service_kit import Kit
from tests.service.test_clips import MP4, make_clip

SCHEMA = Path(__file__).parents[2] / "docs" / "manifest.schema.json"
Json = dict[str, Any]  # Any: JSON


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    """Of the schema, which is one itself."""
    return validator_of(SCHEMA)


@pytest.fixture
def work() -> Iterator[Any]:
    """The real worker round a network that finds everything opaque."""
    with opaque_work() as done:
        yield done


@pytest.fixture
def manifest(tmp_path: Path, work: Any, monkeypatch: pytest.MonkeyPatch) -> Json:
    """Of a drop with all that a drop can hold."""
    monkeypatch.setattr(video, "is_installed", lambda: True)
    output = {"content": "both", "clash": "overwrite", "format": "jpeg"}

    def work_on(task: Task) -> Outcome:
        outcome: Outcome = make_clip(task) if task.clip is not None else work(task)
        return outcome

    kit = Kit(tmp_path, work=work_on, settings={"output": output})
    for name, level in (("cat.png", 50), ("cat.png", 60), ("bad.png", 70)):
        kit.drop(name, picture(level))
        kit.pass_time(10)
    kit.drop("clip.mp4", MP4)
    kit.pass_time(60)
    [drop] = kit.drops()
    content: Json = json.loads((drop / store.MANIFEST).read_text())
    return content


def picture(level: int) -> bytes:
    """A PGM, the shortest of picture files."""
    return b"P5 8 6 255\n" + bytes([level]) * 48


def faults(validator: Draft202012Validator, content: Json) -> list[str]:
    """What the schema has against a manifest."""
    return [f"{list(error.path)}: {error.message}" for error in validator.iter_errors(content)]


def test_manifest_of_a_real_drop_is_valid(validator: Draft202012Validator, manifest: Json):
    """Replaced, done and failed pictures, masks, review, confidence: every branch is met."""
    states = [(entry["state"], entry.get("replaced_by") is None) for entry in manifest["pictures"]]

    assert states == [("done", False), ("done", True), ("failed", True), ("done", True)]
    assert manifest["pictures"][1]["review"] == "review/cat.jpg"  # all opaque: no subject was told
    assert faults(validator, manifest) == []


def test_every_key_of_the_schema_is_written(manifest: Json):
    """What is promised to readers is there."""
    definitions = json.loads(SCHEMA.read_text())["$defs"]
    done, failed, clip = manifest["pictures"][1:]
    others = {"weights", "opinions", "touch_ups", "clip"}  # Choosy is alone, and has none
    expected = set(definitions["done"]["properties"]) - others

    assert set(done) == expected
    assert set(failed) == set(definitions["failed"]["properties"])
    assert set(clip["clip"]) == set(definitions["clip"]["properties"])
    assert set(done["confidence"]) == set(definitions["confidence"]["properties"])


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("version",), 1),
        (("made_by",), "somebody"),
        (("opened_at",), "yesterday"),
        (("pictures", 1, "state"), "queued"),
        (("pictures", 1, "sha256"), "abc"),
        (("pictures", 1, "width"), 0),
        (("pictures", 1, "confidence", "score"), 1.5),
        (("pictures", 1, "confidence", "touches"), ["above"]),
        (("pictures", 2, "reason"), ""),
        (("pictures", 2, "result"), "cat.png"),
        (("surprise",), 1),
    ],
)
def test_schema_refuses(
    validator: Draft202012Validator, manifest: Json, place: tuple[Any, ...], value: object
):
    """A schema that accepts everything would prove nothing above."""
    wrong = copy.deepcopy(manifest)
    inner: Any = wrong
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value

    assert faults(validator, wrong) != []
