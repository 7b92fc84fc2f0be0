"""What hooks are told is what docs/hook.schema.json says."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from daemon.config import video
from tests.hooks.hooks_kit import Ears
from tests.hooks.test_outbox import HOOKS, serve, told
from tests.lifecycle.schema_kit import opaque_work, validator_of
from tests.lifecycle.test_manifest_schema import faults, picture
from tests.service.service_kit import Kit
from tests.service.test_clips import MP4, make_clip

SCHEMA = Path(__file__).parents[2] / "docs" / "hook.schema.json"
EVENTS = ("done", "failed", "drop_closed")
Json = dict[str, Any]  # Any: JSON


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    """Of the schema, which is one itself."""
    return validator_of(SCHEMA)


@pytest.fixture
def payloads(tmp_path: Path) -> Iterator[dict[str, Json]]:
    """By event; of the real worker round a network that finds everything opaque."""
    ears = Ears()
    output = {"content": "both", "drop_idle_s": 5}
    settings = {"hooks": HOOKS, "output": output}
    with opaque_work() as work:
        kit = Kit(tmp_path, work=work, settings=settings, open_sender=ears)
        for name in ("cat.png", "bad.png"):
            kit.drop(name, picture(50))
        serve(kit, 20)
        yield {event: told(ears, event)[0] for event in EVENTS}


def test_payloads_are_valid(validator: Draft202012Validator, payloads: dict[str, Json]):
    """Each event of a real drop, with mask, review and confidence."""
    assert payloads["done"]["review"].endswith("/review/cat.png")  # all opaque: no subject
    assert payloads["done"]["alpha"].endswith("/cat_alpha.png")
    assert [faults(validator, payload) for payload in payloads.values()] == [[], [], []]


def test_every_key_of_the_schema_is_told(payloads: dict[str, Json]):
    """What is promised to listeners is there."""
    definitions = json.loads(SCHEMA.read_text())["$defs"]
    for event in EVENTS:
        expected = set(definitions[event]["properties"]) - {
            "weights",
            "opinions",
            "clip",
        }  # Choosy is alone, and looks at pictures
        assert set(payloads[event]) == expected, event


def test_payload_of_a_clip_is_valid(
    tmp_path: Path, validator: Draft202012Validator, monkeypatch: pytest.MonkeyPatch
):
    """With all that is promised of a clip."""
    monkeypatch.setattr(video, "is_installed", lambda: True)
    ears = Ears()
    settings = {"hooks": HOOKS, "output": {"drop_idle_s": 5}}
    kit = Kit(tmp_path, work=make_clip, settings=settings, open_sender=ears)
    kit.drop("cat.mp4", MP4)
    serve(kit, 20)
    [payload] = told(ears, "done")
    definitions = json.loads(SCHEMA.read_text())["$defs"]

    assert set(payload["clip"]) == set(definitions["clip"]["properties"])
    assert faults(validator, payload) == []


@pytest.mark.parametrize(
    ("event", "key", "value"),
    [
        ("done", "version", 2),
        ("done", "time", "yesterday"),
        ("done", "event", "failed"),
        ("done", "result", None),
        ("done", "surprise", 1),
        ("failed", "reason", ""),
        ("failed", "result", "/x.png"),
        ("drop_closed", "done", -1),
        ("drop_closed", "source", "cat.png"),
    ],
)
def test_schema_refuses(
    validator: Draft202012Validator,
    payloads: dict[str, Json],
    event: str,
    key: str,
    value: object,
):
    """A schema that accepts everything would prove nothing above."""
    assert faults(validator, copy.deepcopy(payloads[event]) | {key: value}) != []
