"""A second opinion through the whole service: manifest, review, `why`, counts, reload."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.commands.config_reader import ConfigReader
from daemon.commands.status import FolderStatus
from daemon.commands.status_text import second_opinions
from daemon.commands.why import outcome
from daemon.config import schema as configuration
from daemon.disk import store
from daemon.errors import InstallError
from daemon.jobs import Task
from tests.lifecycle.schema_kit import validator_of
from tests.service.service_kit import Kit
from tests.service.test_reconfiguration import World
from tests.worker.test_second_opinions import Seen, worker_of

SCHEMA = Path(__file__).parents[2] / "docs" / "manifest.schema.json"
PICTURE = b"P5 40 40 255\n" + bytes([50]) * 1600
#: The default of `review.below`.
BELOW = 0.7
MODELS = {"small": "a.onnx", "large": "b.onnx", "huge": "c.onnx"}


def settings(second: str = "large", **review: Any) -> dict[str, object]:
    """A configuration with three models."""
    return {"models": MODELS, "output": {"review": {"second": second, **review}}}


@pytest.fixture
def workers() -> Iterator[dict[str, Any]]:
    """Real workers: the first model is doubtful, the second one sure, doubtful or broken."""
    undecided = {"small": Seen(0.6), "huge": Seen(1)}
    found = {
        "sure": worker_of({**undecided, "large": Seen(1)}),
        "doubtful": worker_of({**undecided, "large": Seen(0.6)}),
        "broken": worker_of({**undecided, "large": Seen(1, ValueError("bad numbers"))}),
    }
    yield found
    for worker in found.values():
        worker.close()


def kit_of(base: Path, worker: Any, **options: Any) -> Kit:
    """A service round a worker."""

    def work(task: Task) -> Any:
        return worker.submit(task).result(30)

    return Kit(base, work=work, settings=settings(), **options)


def run(base: Path, worker: Any) -> tuple[Kit, dict[str, Any]]:
    """One picture; the manifest's entry."""
    kit = kit_of(base, worker)
    kit.drop("cat.png", PICTURE)
    kit.pass_time(10)
    kit.pass_time(60)
    [drop] = kit.drops()
    content = json.loads((drop / store.MANIFEST).read_text())
    assert list(validator_of(SCHEMA).iter_errors(content)) == []
    return kit, content["pictures"][0]


@pytest.mark.parametrize(
    ("worker", "model", "is_reviewed", "counted"),
    [
        ("sure", "large", False, {"taken": 1, "kept": 0, "failed": 0}),
        ("doubtful", "small", True, {"taken": 0, "kept": 1, "failed": 0}),
        ("broken", "small", True, {"taken": 0, "kept": 0, "failed": 1}),
    ],
)
def test_everything_follows_the_final_score(
    tmp_path: Path,
    workers: dict[str, Any],
    *,
    worker: str,
    model: str,
    is_reviewed: bool,
    counted: dict[str, int],
):
    """Entry, review folder, `why` and counts."""
    kit, entry = run(tmp_path, workers[worker])
    ending = kit.service.parts.records.ending(entry["id"])
    told = outcome(ending)

    assert entry["model"] == model
    assert [one["model"] for one in entry["opinions"]] == ["small", "large"]
    scores = {one["model"]: one["score"] for one in entry["opinions"]}
    assert scores["small"] < BELOW
    assert (scores["large"] is None) == (worker == "broken")
    assert entry["confidence"]["score"] == scores[model]
    assert (entry["review"] is not None) == is_reviewed == (scores[model] < BELOW)
    second = "failed" if scores["large"] is None else f"{scores['large']:.2f}"
    assert f"of model {model} (scores: small {scores['small']:.2f}, large {second})" in told
    assert kit.service.snapshot().folders["hot"].second == counted


def test_status_tells_how_often_it_helped():
    """A line for each folder where a second model was asked."""

    def text(**second: int) -> list[str]:
        return list(second_opinions(FolderStatus("hot", "", "", "", 0, None, {}, second=second)))

    assert text(taken=0, kept=0, failed=0) == []
    assert text(taken=2, kept=1, failed=0) == [
        "hot: 3 asked of a second model, 2 of its masks taken"
    ]
    assert text(taken=0, kept=0, failed=1)[0].endswith(
        "0 of its masks taken, 1 failed: see the log"
    )


def test_reload_gives_a_folder_another_second_model(tmp_path: Path, workers: dict[str, Any]):
    """The next pictures ask it; one that is no model is refused, and the old one stays."""
    asked: list[str] = []

    def work(task: Task) -> Any:
        assert task.second is not None
        asked.append(task.second.model)
        return workers["doubtful"].submit(task).result(30)

    world = World(tmp_path, work=work, settings=settings())
    world.write(**settings())
    config, _ = configuration.load(world.file)
    world.kit.service.parts.reconfiguration.reread = ConfigReader(world.file, config, {}).read
    for number, second in enumerate(("large", "small", "smal")):
        world.write(**settings(second))
        world.reload()
        world.drop("hot", f"{number}.png")
        (tmp_path / f"hot/{number}.png").write_bytes(PICTURE)
        world.kit.pass_time(10)

    assert asked == ["large", "small", "small"]


@pytest.mark.parametrize(
    ("folder", "second", "told"),
    [
        ({}, "lagre", "folder hot: output.review.second 'lagre' is none of models: small, large,"
                      " huge; did you mean 'large'?"),
        ({}, "small", "output.review.second is 'small', which is the folder's own model: name"),
        ({"model": "large"}, "large", "which is the folder's own model"),
        ({"model": "lagre"}, "large", "model 'lagre' is none of models: .* did you mean 'large'?"),
    ],
)  # fmt: skip
def test_faults_end_the_start(tmp_path: Path, folder: dict[str, Any], second: str, told: str):
    """78, with the name that was meant."""
    with pytest.raises(InstallError, match=told):
        Kit(tmp_path, settings=settings(second), folder=folder)


def test_folder_switches_the_common_second_model_off(tmp_path: Path):
    """And one may have its own."""
    off = Kit(
        tmp_path,
        settings=settings(),
        folder={"model": "large", "output": {"review": {"second": "none"}}},
    )
    [folder] = off.service.parts.folders
    assert (folder.second, folder.review_below) == ("", BELOW)
