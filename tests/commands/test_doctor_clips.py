"""`cvunetd doctor`: whether clips are cut out, and by what."""

from pathlib import Path

import pytest

from daemon.commands.findings import Severity
from daemon.config import video
from tests.commands.doctor_kit import findings, sound


@pytest.mark.parametrize(
    ("setting", "is_installed", "result"),
    [
        ("auto", True, Severity.PASS),
        ("auto", False, Severity.SKIP),
        ("cut", True, Severity.PASS),
        ("cut", False, Severity.FAIL),
        ("ignore", True, Severity.SKIP),
    ],
)
def test_clips(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    result: Severity,
    *,
    is_installed: bool,
):
    """What is missing is told with the command that installs it."""
    monkeypatch.setattr(video, "is_installed", lambda: is_installed)
    base = sound(tmp_path, monkeypatch)
    finding = findings(base, folders=[{"path": "hot", "video": setting}])["clips"]

    assert finding.severity is result
    assert ("cvunet-daemon[video]" in finding.text + finding.mend) is (not is_installed)
