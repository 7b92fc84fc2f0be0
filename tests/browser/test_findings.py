"""What the doctor finds and why folders stand by, in the language of the page.

The texts come from the source, so that a new one cannot be forgotten.
"""

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType

import pytest
from playwright.sync_api import Browser

from daemon.commands import doctor
from daemon.commands.checks import clips, machine, permissions, places, service
from daemon.disk import lock, safe_open
from daemon.errors import not_writable
from daemon.ledger.database import Database
from daemon.lifecycle.standby import Standby
from daemon.watching import watch_health
from daemon.worker.clips import backgrounds
from daemon.worker.engines.cluster.keeper import Keeper
from tests.browser.views_kit import window
from tests.web.web_kit import Kit, running

pytestmark = [pytest.mark.web, pytest.mark.chromium]

SAID = """async ([texts, language]) => {
  const {checkName, findingText, mendText} = await import('/static/views/findings.js');
  const {whyNotServed} = await import('/static/views/standby.js');
  const {useLanguage} = await import('/static/words.js');
  useLanguage(language);
  const forms = {check: checkName, text: findingText, mend: mendText, reason: whyNotServed};
  return texts.map(([kind, text]) => forms[kind](text)); }"""
HOLE = re.compile(r"[{}]|undefined")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
WORDS = re.compile(r"[a-z]{3}.*[a-z]{3}")
FINDINGS = ("passed", "warned", "failed", "skipped", "finding")
#: What stands for a field: it may be a number or a name.
FIELD = "7"
MODULES = (doctor, clips, machine, permissions, places, service)
#: They stay English: seldom, and for developers.
RARE = {
    "the kernel does not tell how many events may wait",
    "the kernel does not tell its limit",
    "the network cannot be loaded: 7",
    "systemd-analyze is not there",
    "systemd-analyze does not answer",
    "systemd-analyze gave none: 7",
    "cannot be looked at: 7",
    "7: 7",  # devices that cannot be used: the driver's words
    "/dev/7 may not be used by 7",
    # Of two branches of one function: nothing says it.
    "there is an NVIDIA card, but its driver is not loaded: the CPU does the work",
    "systemd-python",  # a name
}
#: Fields that are nearly always empty, or that hold words.
USUAL = {
    **{name: [""] for name in ("least", "more", "label", "counted")},
    "words": ["read", "read and written"],
    "MEND": [backgrounds.MEND],
}


def rendered(node: ast.expr, known: dict[str, list[str]]) -> list[str]:
    """All texts that an expression may be; none if nothing is known of it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.Name):
        return known.get(node.id, [])
    if not isinstance(node, ast.JoinedStr):
        return []
    texts = [""]
    for part in node.values:
        value = part.value if isinstance(part, ast.FormattedValue) else part
        more = rendered(value, known) or [FIELD]
        texts = [text + one for text in texts for one in more]
    return texts


def variables(function: ast.AST) -> dict[str, list[str]]:
    """What the variables of a function hold, as far as it is text."""
    known = {name: list(texts) for name, texts in USUAL.items()}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            known.setdefault(node.targets[0].id, []).extend(rendered(node.value, known))
    return known


def found_texts() -> Iterator[tuple[str, str]]:
    """Names of checks, texts and words that mend, in the calls that make findings."""
    for module in MODULES:
        tree = ast.parse(inspect.getsource(module))
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            known = variables(function)
            for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
                if isinstance(call.func, ast.Name) and call.func.id in FINDINGS:
                    for kind, argument in zip(("check", "text"), call.args, strict=False):
                        yield from ((kind, text) for text in rendered(argument, known))


def reasons(*functions: Callable[..., object]) -> Iterator[tuple[str, str]]:
    """What functions return or raise."""
    for function in functions:
        assert isinstance(function, FunctionType)
        lines = inspect.getsource(function).splitlines()
        indent = len(lines[0]) - len(lines[0].lstrip())
        tree = ast.parse("\n".join(line[indent:] for line in lines))
        for node in ast.walk(tree):
            given = node.value if isinstance(node, ast.Return) else None
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Error"):
                given = node.args[0]
            for text in rendered(given, USUAL) if given is not None else ():
                yield "reason", text


def standby() -> Iterator[tuple[str, str]]:
    """Why folders stand by or are polled."""
    yield from reasons(Standby.absence, Standby.missing_mount, Standby.low_space, Standby.probe)
    yield from reasons(Database.check_in_place, lock.refusal, Keeper.trouble)
    yield from reasons(backgrounds.unusable, backgrounds.first_frame, watch_health.why_polled)
    yield "reason", str(not_writable(Path("/srv/out"), OSError(28, "No space left on device")))
    untrusted = [safe_open.IS_LINK, "is on another mount: unmount it"]
    untrusted.append("belongs to user 7 and not to the daemon's user: move it away")
    assert all(one.split("7")[0] in inspect.getsource(safe_open) for one in untrusted)
    yield from (("reason", f"/srv/hot/.cvunetd {one}") for one in untrusted)
    yield "text", "hot stands by: /srv/hot is not mounted any more"
    yield "text", "hot is polled: set so (folders[].watch)"


def texts() -> list[tuple[str, str]]:
    """All of them, once, but those that are names or stay English."""
    everything = dict.fromkeys([*found_texts(), *standby()])
    return [one for one in everything if one[1] not in RARE and WORDS.search(one[1])]


def test_findings_and_reasons_have_a_chinese_form(browser: Browser, tmp_path: Path):
    """What is not known stays as it is, and so does all in English."""
    said = [*texts(), ("text", "odd {1}"), ("check", "odd"), ("mend", "chmod o+x /srv")]
    with running(Kit(tmp_path, is_daemon_up=False)) as kit, window(browser, kit) as shown:
        shown.open("state")
        english, chinese = (shown.page.evaluate(SAID, [said, one]) for one in ("en", "zh"))

    assert len(said) > 90
    assert english == [text for _, text in said]
    assert chinese[-3:] == [text for _, text in said[-3:]]
    missing = [
        one
        for one, text in zip(said[:-3], chinese, strict=False)
        if not CHINESE.search(text) or HOLE.search(text)
    ]
    assert not missing, "\n".join(map(str, missing))


def test_words_that_mend_have_a_chinese_form(browser: Browser, tmp_path: Path):
    """Only commands stay as they are."""
    said = [
        "fix what it says; the folder resumes by itself within 10 s",
        "nothing need be done",
        "in the configuration, at folder hot: watch: auto",
        "in the configuration: output.root: a folder on a disk",
        "in the configuration: output: {root: /srv/outputs}",
        "see what takes the room: du -xh / | tail; or set retention.keep_days lower",
        "see where the many files are: du -x --inodes /",
    ]
    sources = "".join(inspect.getsource(module) for module in (places, service))
    assert all(one.split(":")[0].split(", at")[0] in sources for one in said)
    with running(Kit(tmp_path, is_daemon_up=False)) as kit, window(browser, kit) as shown:
        shown.open("state")
        chinese = shown.page.evaluate(SAID, [[("mend", one) for one in said], "zh"])

    assert all(map(CHINESE.search, chinese)), chinese
