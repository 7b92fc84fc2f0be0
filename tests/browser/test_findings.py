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
from daemon.commands.checks import (
    clips,
    hook_entries,
    machine,
    nodes,
    permissions,
    places,
    service,
)
from daemon.disk import lock, safe_open
from daemon.errors import not_writable
from daemon.hooks import loader, signature
from daemon.ledger.database import Database
from daemon.lifecycle.standby import Standby
from daemon.watching import watch_health
from daemon.worker.clips import backgrounds
from daemon.worker.engines import ray
from daemon.worker.engines.cluster import (
    access,
    driver,
    judging,
    keeper,
    node_checks,
    seats,
    visits,
    wording,
)
from daemon.worker.engines.cluster.keeper import Keeper
from daemon.worker.engines.cluster.node_checks import NodeFacts, Place, differences
from tests.browser.views_kit import window
from tests.web.web_kit import Kit, running

pytestmark = [pytest.mark.web, pytest.mark.chromium]

SAID = """async ([texts, language]) => {
  const {checkName, findingText, mendText} = await import('/static/views/findings.js');
  const {whyNotServed} = await import('/static/views/standby.js');
  const {whyNoCluster, whyUnused, difference, clusterMend} =
    await import('/static/views/cluster-reasons.js');
  const {useLanguage} = await import('/static/words.js');
  useLanguage(language);
  const forms = {check: checkName, text: findingText, mend: mendText, reason: whyNotServed,
    trouble: whyNoCluster, worker: whyUnused,
    cluster: (text) => whyNoCluster(text) ?? difference(text) ?? clusterMend(text)};
  return texts.map(([kind, text]) => forms[kind](text) ?? text); }"""
HOLE = re.compile(r"\{\d\}|undefined")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
WORDS = re.compile(r"[a-z]{3}.*[a-z]{3}")
FINDINGS = ("passed", "warned", "failed", "skipped", "finding")
#: What stands for a field: it may be a number or a name.
FIELD = "7"
CLUSTER = (access, driver, judging, keeper, ray, seats, node_checks, visits, wording)
#: Texts of these modules that are only a part of one, or that no page shows.
PARTS = {
    "its head, or Ray's node on this machine, is gone",
    "the cluster at 7 refuses our token (7)",
    "7: copy the head's token there, or set worker.ray.token_file",
    " worker 7",
    "ray start … --resources='{\"7\": 1}'",
    "cannot be written",
    "torch or onnxruntime sees no CUDA device there",
    "not seen",
    "its clock is at least 7 s 7",
    "low on memory",
    "cannot be joined: 7",
    "runs 7, and this machine 7: install the same on all machines",
    "temporarily unavailable",
    "node has died",
    "worker process has died",
    "install it: pip install 'cvunet-daemon[ray]'",
    "Connection[Event, Command]",  # a type
    "the cluster at 7 7",
    # Of a picture: `failures.js` knows its form.
    "the file has 7 MB; the limit is 7 (worker.ray.transport_mb): raise it, or mount the share on"
    " the nodes",
}
MODULES = (doctor, clips, hook_entries, machine, nodes, permissions, places, service)
#: They stay English: seldom, and for developers.
RARE = {
    "7: 7",  # devices that cannot be used: the driver's words
    # Of two branches of one function: nothing says it.
    "there is an NVIDIA card, but its driver is not loaded: the CPU does the work",
    "systemd-python",  # a name
}
#: Fields that are nearly always empty, or that hold words.
USUAL = {
    **{name: [""] for name in ("least", "more", "label", "counted")},
    "words": ["read", "read and written"],
    "MEND": [backgrounds.MEND],
    "ENCODED": [signature.ENCODED],
    "INSTALL": [ray.INSTALL],
    "room": ["7 workers"],
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


def hook_faults() -> Iterator[tuple[str, str]]:
    """Why a hook of the configuration cannot be used, with its place there."""
    raising = (loader.HookLoader.command, loader.check_certificates, signature.read_key)
    for _, text in reasons(*raising):
        yield "text", f"hooks.on_done[0]: {text}"
    yield "text", f"hooks.on_done[0]: {loader.MISSING.format('no urllib3')}"


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


def literals(node: ast.AST) -> Iterator[ast.expr]:
    """The texts of a module, without its docstrings."""
    if isinstance(node, ast.JoinedStr | ast.Constant):
        yield node
        return
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):
            yield from literals(child)


def cluster() -> Iterator[tuple[str, str]]:
    """What is said of a cluster, its machines and workers, and what mends it."""
    for module in CLUSTER:
        for node in literals(ast.parse(inspect.getsource(module))):
            found = (
                one
                for one in rendered(node, USUAL)
                if " " in one and one not in PARTS and "%s" not in one
            )
            yield from (("cluster", one) for one in found)
    versions = "Ray: 2.9 Python: 3.11 and Ray: 2.8 Python: 3.12"
    for said in (versions, "it is away"):
        yield "cluster", f"the cluster at a:1 {wording.why_not_joined(said)}"
    refused = "7: copy the head's token there, or set worker.ray.token_file"
    yield "cluster", f"the cluster at a:1 refuses our token ({refused}".replace("7", "~/token)")
    for clock in (995.0, 1005.0):
        yield from (("cluster", one) for one in see_otherwise(now=clock))


def see_otherwise(*, now: float) -> Iterator[str]:
    """What a machine sees otherwise, and what mends it."""
    fault = f"it {node_checks.CANNOT_BE_WRITTEN}: Permission denied"
    places = {Path("/srv/in"): Place("/mnt/in", "No such file or directory")}
    places |= {Path("/srv/out"): Place("/mnt/out", fault), Path("/srv/b"): Place("/b", inode=2)}
    ours = {path: Place(str(path), inode=1) for path in places}
    weights = Path("/srv/w.pth")
    there = NodeFacts(places, {weights: "b1"}, "1.0", "3.11", 7, now, node_checks.NO_CUDA)
    here = NodeFacts(ours, {weights: "a0"}, "1.1", "3.11", 7, 1000.0)
    for one in differences(here, there, at=(1000.0, 1000.0)):
        yield from (one.text, one.mend)


def texts() -> list[tuple[str, str]]:
    """All of them, once, but those that are names or stay English."""
    everything = dict.fromkeys([*found_texts(), *hook_faults(), *standby(), *cluster()])
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


NODE = "node two (10.0.0.7)"
UNWRITTEN = "cannot use …/out: it cannot be written: Permission denied"
RIGHTS = "there: give Ray's user the right to write in …/out, as on the daemon's machine"
CLOCK = "its clock is at least 5.0 s behind (there: timedatectl set-ntp true)"


def test_reasons_of_a_cluster_in_one_line(browser: Browser, tmp_path: Path):
    """Several machines and several differences come in one text; what is not known stays."""
    both = f"{UNWRITTEN} ({RIGHTS}); {CLOCK}"
    said = [
        ("trouble", f"{NODE}: its process has ended; {NODE} worker 2: it is being started"),
        ("trouble", f"{NODE}: CUDA is lost; {NODE} worker 2: odd; it says no"),
        ("worker", both),
        ("worker", f"odd (of it); {CLOCK}"),
        ("trouble", f"{NODE}: {both}"),
        ("text", "10.0.0.7: its process has ended"),
        ("text", f"10.0.0.7: {UNWRITTEN}"),
        ("check", "node two folder"),
    ]
    with running(Kit(tmp_path, is_daemon_up=False)) as kit, window(browser, kit) as shown:
        shown.open("state")
        english, chinese = (shown.page.evaluate(SAID, [said, one]) for one in ("en", "zh"))

    unwritten = "无法写入 …/out：Permission denied"
    mend = "请在那台机器上，让运行 Ray 的用户可以写入 …/out，与服务所在的机器一样。"
    clock = "它的时钟至少慢了 5.0 秒。请在那台机器上运行 timedatectl set-ntp true。"
    assert english == [text for _, text in said]
    assert chinese == [
        "机器 two（10.0.0.7）：进程已结束。 机器 two（10.0.0.7）的工作进程 2：正在启动。",
        "机器 two（10.0.0.7）：CUDA is lost 机器 two（10.0.0.7）的工作进程 2：odd; it says no",
        f"{unwritten}{mend} {clock}",
        f"odd (of it) {clock}",
        f"机器 two（10.0.0.7）：{unwritten}{mend} {clock}",
        "10.0.0.7：进程已结束。",
        f"10.0.0.7：{unwritten}",
        "机器 two：文件夹",
    ]


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
    made = [
        f"add LoadCredential=key:/etc/cvunetd/key.key to {hook_entries.DROP_IN},"
        " then systemctl daemon-reload",
        "apt-get install ca-certificates, or set ca_file",
        nodes.TOKEN,
        nodes.remedy("away", "a:1", Path("/etc/cvunetd/config.yaml")),
        "there: pip install cvunet-daemon[ray] of the daemon's version, restart Ray's node",
        seats.why_unused("cvunetd"),
        seats.why_unused("cvunetd_a"),
    ]
    with running(Kit(tmp_path, is_daemon_up=False)) as kit, window(browser, kit) as shown:
        shown.open("state")
        chinese = shown.page.evaluate(SAID, [[("mend", one) for one in said + made], "zh"])

    assert all(map(CHINESE.search, chinese)), chinese
