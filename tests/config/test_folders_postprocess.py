"""How a folder's masks are worked at: its own settings over the common ones."""

from pathlib import Path
from typing import Any

import pytest

from daemon.config.folders import hot_folders, needed_colours
from daemon.config.schema import Config, load
from daemon.errors import InstallError
from daemon.jobs import HotFolder
from daemon.renderings import Adjustments
from daemon.worker.finishing import finish_settings


def folders(base: Path, common: Any, *own: Any) -> list[HotFolder]:  # Any: YAML
    """Hot folders a, b … with their own settings."""
    entries = []
    for name, settings in zip("abc", own, strict=False):
        (base / name).mkdir()
        entries.append({"path": name, "postprocess": settings})
    config = Config.model_validate({"folders": entries, "postprocess": common})
    return hot_folders(config, base)


def test_nothing_is_adjusted_by_default(tmp_path: Path):
    """The values that change nothing."""
    [folder] = folders(tmp_path, {}, {})

    assert folder.rendering.adjustments == Adjustments()


def test_folders_keys_win_over_common_ones(tmp_path: Path):
    """Key by key, also against their defaults; null says "as above"."""
    common = {"filter": "none", "adjust": {"low": 0.1, "shift_px": -1, "keep": "largest"}}
    own = {"kernel": "cubic", "adjust": {"low": 0.0, "shift_px": None, "feather_px": 2}}
    first, second = folders(tmp_path, common, {}, own)

    assert first.rendering.adjustments == Adjustments(low=0.1, shift_px=-1, keep="largest")
    assert (first.rendering.kernel, first.rendering.filter) == ("guided", "none")
    assert second.rendering.adjustments == Adjustments(shift_px=-1, feather_px=2, keep="largest")
    assert (second.rendering.kernel, second.rendering.filter) == ("cubic", "none")


def test_levels_of_both_places_must_leave_a_ramp(tmp_path: Path):
    """All such folders are told of, each by its path."""
    with pytest.raises(InstallError) as caught:
        folders(
            tmp_path, {"adjust": {"low": 0.4}}, {"adjust": {"high": 0.3}}, {"adjust": {"high": 0.4}}
        )

    assert str(caught.value).splitlines() == [
        f"folder {tmp_path / name}: postprocess.adjust: low 0.4 is not below high {high}:"
        " alphas up to low become 0, and from high on 1"
        for name, high in (("a", 0.3), ("b", 0.4))
    ]


@pytest.mark.parametrize(
    ("common", "own", "expected"),
    [
        ({}, {}, "fast"),
        ({"colours": "refine"}, {}, "refine"),
        ({}, {"colours": "refine"}, "refine"),
        ({"colours": "refine", "decontaminate": False}, {}, "fast"),
        ({"colours": "refine", "decontaminate": False}, {"decontaminate": True}, "refine"),
        ({}, {"colours": "refine", "decontaminate": False}, "fast"),
    ],
)
def test_estimator_of_one_folder_is_loaded(common: Any, own: Any, expected: str):
    """At the start, as the common one is; colours that are never estimated need none."""
    entries = [{"path": "a", "postprocess": own}]
    config = Config.model_validate({"folders": entries, "postprocess": common})

    assert needed_colours(config) == expected


def test_library_takes_what_the_configuration_allows(tmp_path: Path):
    """The bounds are the same on both sides."""
    ends: list[dict[str, Any]] = [  # Any: YAML
        {"low": 0.99, "shift_px": 50, "feather_px": 50, "fill_holes": 1, "keep": "largest"},
        {"high": 0.01, "shift_px": -50},
    ]
    found = folders(tmp_path, {}, *({"adjust": each} for each in ends))

    for folder, end in zip(found, ends, strict=True):
        adjustments = finish_settings(folder.rendering).adjustments
        assert {key: getattr(adjustments, key) for key in end} == end


@pytest.mark.parametrize(
    ("text", "expected"), [("off", "off"), ("'off'", "off"), ("fast", "fast"), ("exact", "exact")]
)
def test_hair_in_the_file(tmp_path: Path, text: str, expected: str):
    """YAML takes a bare `off` for false; a folder's own value wins."""
    path = tmp_path / "config.yaml"
    path.write_text(
        "folders: [{path: hot}, {path: own, postprocess: {hair: " + text + "}}]\n"
        "postprocess: {hair: fast}\n"
    )
    for name in ("hot", "own", "outputs"):
        (tmp_path / name).mkdir()
    config, base = load(path)

    common, own = hot_folders(config, base)

    assert (common.rendering.hair, own.rendering.hair) == ("fast", expected)
    assert needed_colours(config) == ("refine" if expected == "exact" else "fast")
