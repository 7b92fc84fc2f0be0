"""The kinds of life that a process may die in."""

from importlib.util import find_spec

from daemon.commands import retry
from daemon.commands.batch import BATCH_STATE, batch_folder, forget_changed
from daemon.config.schema import Config
from daemon.disk import files
from daemon.jobs import Hint
from daemon.service.assembly import assemble_batch
from daemon.service.owned_folders import OwnedFolders
from daemon.service.service import Inbox
from daemon.worker.engines.direct import DirectEngine
from tests.hooks.hooks_kit import join
from tests.system.crash_kit import (
    PICTURES,
    Scenario,
    Step,
    World,
    check_manifests,
    check_pictures,
    drops,
)
from tests.system.crash_orders import (
    JUDGED,
    carried_out,
    deleted,
    judged,
    received,
    serve_deletion,
    serve_judgements,
    serve_orders,
    serve_uploads,
    serve_versions,
    touched_up,
)

DAY_S = 86_400.0
#: A file's content is its name, and these bytes begin an MP4.
CLIP = "clipftypisom.mp4"


def serve(world: World) -> None:
    """Start, do everything, close the drop."""
    world.kit.start()
    world.kit.pass_time(24, step_s=2)


def serve_and_tell(world: World) -> None:
    """As above, and hooks are told; their answers come between two ticks."""
    world.kit.start()
    for _ in range(12):
        world.kit.pass_time(2, step_s=2)
        join(world.kit)


def all_told(world: World) -> None:
    """Each event at least once, nothing that did not happen, and nothing is left to tell."""
    three_and_a_bad_one(world)
    told = [payload for ear in world.ears.by_key.values() for payload in ear.payloads]
    by_id = {payload["id"]: payload for payload in told}
    assert all(by_id[payload["id"]] == payload for payload in told), "one id, two stories"
    stories = [(one["event"], one.get("source")) for one in by_id.values()]
    pictures = [("done", name) for name in PICTURES[:3]] + [("failed", PICTURES[3])]
    assert sorted(story for story in stories if story[1]) == sorted(pictures)
    closed = {one["drop"] for one in by_id.values() if one["event"] == "drop_closed"}
    assert {str(world.base / drop) for drop in drops(world) if world.contents(drop)} <= closed
    assert world.waiting() == {}


def serve_a_minute(world: World) -> None:
    """Long enough to resume after standby."""
    world.kit.start()
    world.kit.pass_time(60, step_s=2)


def three_and_a_bad_one(world: World) -> None:
    """The usual outcome."""
    check_pictures(world, good=PICTURES[:3], bad=PICTURES[3:])


def serve_for_days(world: World) -> None:
    """A life that is long enough for retention, also where it has to believe a new date first."""
    if "old" not in world.memo:
        serve(world)
        world.memo.add("old")
    else:
        world.kit.start()
    world.kit.time.seconds += 8 * DAY_S
    world.kit.pass_time(24 * 3600, step_s=4 * 3600)


def all_deleted(world: World) -> None:
    """Drops go whole, rejected pictures with their reasons, and all their rows."""
    assert drops(world) == []
    assert world.contents("failed") == []
    assert world.rows() == 0


def lose_an_original(world: World) -> None:
    """Its owner deletes a kept original that is done."""
    if "old" in world.memo:
        with world.outside():
            (world.kit.hot / "a.jpg").unlink(missing_ok=True)
    serve_for_days(world)
    if "lost" not in world.memo:
        world.memo.add("lost")
        lose_an_original(world)


def one_remembered(world: World) -> None:
    """The other row stays, so that its original is not cut out again."""
    assert drops(world) == []
    assert world.contents("hot", "*.jpg") == ["stays.jpg"]
    assert world.rows() == 1


def serve_without_output(world: World) -> None:
    """No drop can be made for a while: what was claimed goes back."""
    outputs = world.base / "outputs"
    with world.outside():
        if outputs.is_file():
            outputs.unlink()
    world.kit.start()
    if "blocked" not in world.memo and not list(outputs.glob("outputs_*")):
        with world.outside():
            world.memo.add("blocked")
            outputs.rmdir()
            outputs.write_text("in the way")
        world.kit.pass_time(4, step_s=2)
        with world.outside():
            outputs.unlink()
    world.kit.pass_time(640, step_s=20)


def serve_and_retry(world: World) -> None:
    """`cvunetd retry --all` after the cause has been mended, again after each death."""
    config = world.base / "config.yaml"
    with world.outside():
        config.write_text("folders: [{path: hot}]\n")
    world.kit.start()
    if "mended" not in world.memo:
        world.kit.pass_time(24, step_s=2)
        world.memo.add("mended")
    list(retry.retry(config, [], is_all=True))
    world.kit.service.sweep(world.kit.service.parts.folders["hot"], Hint.SWEEP)
    world.kit.pass_time(24, step_s=2)


def retried(world: World) -> None:
    """A retry that was stopped and is begun again gets every picture once."""
    originals = [text for drop in drops(world) for text in world.contents(f"{drop}/originals")]
    assert sorted(originals) == sorted(PICTURES)
    assert world.contents("hot", "*.*") == []


def with_masks(world: World) -> None:
    """No result without its mask, no mask without its result, each once."""
    good = ("a.jpg", "sub/a.jpg")
    check_pictures(world, good=good, bad=("bad.jpg",))
    assert world.contents("outputs", "*_alpha*.png") == sorted(f"mask of: {text}" for text in good)
    [drop] = [drop for drop in drops(world) if world.contents(drop, "*.png")]
    for mask in (world.base / drop).rglob("*_alpha.png"):
        content = mask.read_text().removeprefix("mask of")
        result = mask.with_name(mask.name.replace("_alpha", ""))
        assert result.read_text() == f"cut out{content}"


def shown(world: World) -> None:
    """The doubtful result alone has its second name."""
    names = ("doubtful.jpg", "sure.jpg")
    [drop] = [drop for drop in drops(world) if world.contents(drop, "*.png")]
    top = world.base / drop
    for name in names:
        assert (top / name).with_suffix(".png").read_text() == f"cut out: {name}"
    assert world.contents(f"{drop}/review") == ["cut out: doubtful.jpg"]
    assert world.contents(f"{drop}/originals") == sorted(names)
    check_manifests(world, good=names, bad=())


def serve_beside_planters(world: World) -> None:
    """Between two lives somebody takes the place that a result for review was to have."""
    with world.outside():
        place = world.review()
        if place is not None and not files.exists(place):
            world.memo.add("planted")
            place.parent.mkdir(exist_ok=True)
            place.write_text("planted")
    serve(world)


def shown_elsewhere(world: World) -> None:
    """The file stays, and a person finds the result beside it."""
    [drop] = [drop for drop in drops(world) if world.contents(drop, "*.png")]
    planted = ["planted"] if "planted" in world.memo else []
    assert world.contents(f"{drop}/review") == ["cut out: doubtful.jpg", *planted]
    check_manifests(world, good=("doubtful.jpg",), bad=())


def nothing_published(world: World) -> None:
    """The mask was taken back, the other's file stays, the picture is in quarantine."""
    assert world.contents("outputs", "*.png") == ["somebody else's"]
    assert world.contents("failed", "*.jpg") == ["stolen.jpg"]
    check_manifests(world, good=(), bad=("stolen.jpg",))


def serve_two_versions(world: World) -> None:
    """The same name again, once its first version is through."""
    world.kit.start()
    world.kit.pass_time(12, step_s=2)
    if "second" not in world.memo:
        with world.outside():
            world.fill(("doubtful.jpg",))
            (world.kit.hot / "doubtful.jpg").write_text("second")
        world.memo.add("second")
    world.kit.pass_time(200, step_s=4)  # found by the next sweep; then the drop closes


def newest_alone(world: World) -> None:
    """Result, mask and what is for review are of the second version; both originals are there."""
    [drop] = drops(world)
    assert world.contents(drop, "doubtful*.png") == [
        *["cut out: second"] * 2,  # under its name and for review
        "mask of: second",
    ]
    assert world.contents(f"{drop}/review") == ["cut out: second"]
    assert world.contents(f"{drop}/originals") == ["doubtful.jpg", "second"]
    check_manifests(world, good=("doubtful.jpg", "second"), bad=())


def second_rejected(world: World) -> None:
    """The name was taken: the first result stays as it is, the second picture is in quarantine."""
    [drop] = drops(world)
    assert world.contents(drop, "*.png") == ["cut out: doubtful.jpg", "mask of: doubtful.jpg"]
    assert world.contents(f"{drop}/originals") == ["doubtful.jpg"]
    assert world.contents("failed", "*.jpg") == ["second"]
    check_manifests(world, good=("doubtful.jpg",), bad=("second",))


def serve_renamed(world: World) -> None:
    """The folder gets another name in the configuration after its first life."""
    kit = world.kit
    if "lived" in world.memo:
        kit.folder = kit.folder | {"name": "renamed"}
        serve(world)
        return
    world.memo.add("lived")
    kit.is_held = True
    try:
        kit.start()
        kit.pass_time(6, step_s=2)
    finally:
        kit.is_held = False
    kit.die()
    kit.folder = kit.folder | {"name": "renamed"}
    serve(world)


def beside_others(world: World) -> None:
    """Neither result nor original overwrites what somebody else has put there."""
    [drop] = drops(world)
    assert world.contents(drop, "*.png") == ["cut out: stolen.jpg", "somebody else's"]
    assert world.contents(f"{drop}/originals") == ["somebody else's too", "stolen.jpg"]


def serve_as_batch(world: World) -> None:
    """`cvunetd batch`, started again after each death."""
    config = Config.model_validate({"folders": [{"path": "hot"}], "retention": {"min_free_mb": 0}})
    out = world.base / "outputs"
    folder = batch_folder(config, world.base, world.kit.hot, out)
    state = out / BATCH_STATE
    with world.outside():
        state.mkdir(exist_ok=True)
    service = assemble_batch(
        config,
        OwnedFolders([folder], state=state, quarantine=state / "failed"),
        out,
        DirectEngine(world.work),
        inbox=Inbox(),
        clocks=world.kit.time.clocks,
    )
    forget_changed(service)
    service.startup()
    while service.has_work(is_patient=True):
        service.tick(0)
    service.shutdown()


def serve_twice_as_batch(world: World) -> None:
    """The second run tries again what failed in the first."""
    serve_as_batch(world)
    world.memo.add("mended")
    serve_as_batch(world)


def mirrored(world: World) -> None:
    """Every picture has one result and has stayed where it was."""
    assert world.contents("outputs", "*.png") == sorted(
        f"cut out: {text}" for text in world.contents("hot")
    )


def named(name: str) -> Step:
    """The one picture came out, under whatever name: no death is held against it."""

    def check(world: World) -> None:
        content = name if "changing" not in name else "new version"
        check_pictures(world, good=(content,), bad=())

    return check


def serve_two_minutes(world: World) -> None:
    """Long enough for a sweep after the last picture is taken."""
    world.kit.start()
    world.kit.pass_time(124, step_s=4)


def nothing_left_over(world: World) -> None:
    """All pictures in their places, and the emptied sub-folder is gone."""
    three_and_a_bad_one(world)
    assert not (world.base / "hot/sub").exists()


#: Nothing here reads or writes clips in earnest, but the configuration asks whether that could be.
CLIP_LIFE = Scenario(
    name="clip",
    pictures=(CLIP,),
    folder={"video": "cut", "output": {"video": {"format": "apng"}}},
    check=named(CLIP),
    is_counted=False,
    live=serve,
)
#: What may happen to originals, and trouble of all kinds.
ARCHIVE = Scenario(name="archive", check=three_and_a_bad_one, live=serve)
OF_ORIGINALS = (
    ARCHIVE,
    Scenario(name="delete", folder={"originals": "delete"}, check=three_and_a_bad_one, live=serve),
    Scenario(name="keep", folder={"originals": "keep"}, check=three_and_a_bad_one, live=serve),
    Scenario(name="another file system", is_across=True, check=three_and_a_bad_one, live=serve),
    Scenario(
        name="emptied folders go",
        folder={"prune": True},
        check=nothing_left_over,
        live=serve_two_minutes,
    ),
    Scenario(name="no hard links", has_links=False, check=three_and_a_bad_one, live=serve),
    Scenario(
        name="hooks",
        settings={
            "hooks": {
                "on_done": [{"command": ["true"]}, {"command": ["false"]}],
                "on_failed": [{"command": ["true"]}],
                "on_drop_closed": [{"command": ["true"]}],
            }
        },
        check=all_told,
        live=serve_and_tell,
    ),
    Scenario(
        name="retention",
        pictures=("a.jpg", "sub/bad.jpg"),
        live=serve_for_days,
        check=all_deleted,
        is_counted=False,
    ),
    Scenario(
        name="kept originals go",
        pictures=("a.jpg", "stays.jpg"),
        folder={"originals": "keep"},
        live=lose_an_original,
        check=one_remembered,
        is_counted=False,
    ),
    Scenario(
        name="changed while it is cut out",
        pictures=("changing.jpg",),
        check=named("changing.jpg"),
        is_counted=False,
        live=serve,
    ),
    Scenario(
        name="names taken",
        pictures=("stolen.jpg",),
        check=beside_others,
        is_counted=False,
        live=serve,
    ),
    Scenario(
        name="unforeseen at first",
        pictures=("shaky.jpg",),
        check=named("shaky.jpg"),
        is_counted=False,
        live=serve,
    ),
    Scenario(
        name="machine trouble at first",
        pictures=("unlucky.jpg",),
        check=named("unlucky.jpg"),
        is_counted=False,
        live=serve_a_minute,
    ),
    Scenario(
        name="no output folder",
        pictures=("a.jpg",),
        live=serve_without_output,
        check=named("a.jpg"),
        is_counted=False,
    ),
    *((CLIP_LIFE,) if find_spec("av") else ()),
    Scenario(name="retry", live=serve_and_retry, check=retried, is_counted=False),
)
#: What may happen to results, and what clients ask for.
OF_RESULTS = (
    Scenario(
        name="both",
        pictures=("a.jpg", "sub/a.jpg", "bad.jpg"),
        folder={"output": {"content": "both"}},
        live=serve,
        check=with_masks,
    ),
    Scenario(
        name="review",
        pictures=("doubtful.jpg", "sure.jpg"),
        live=serve,
        check=shown,
    ),
    Scenario(
        name="review without hard links",
        pictures=("doubtful.jpg", "sure.jpg"),
        has_links=False,
        live=serve,
        check=shown,
    ),
    Scenario(
        name="review taken",
        pictures=("doubtful.jpg",),
        live=serve_beside_planters,
        check=shown_elsewhere,
    ),
    Scenario(
        name="clash at the last moment",
        pictures=("stolen.jpg",),
        folder={"output": {"content": "both", "clash": "fail"}},
        live=serve,
        check=nothing_published,
        is_counted=False,
    ),
    Scenario(
        name="overwrite",
        pictures=("doubtful.jpg",),
        folder={"output": {"content": "both", "clash": "overwrite", "drop_idle_s": 100}},
        live=serve_two_versions,
        check=newest_alone,
        is_counted=False,
    ),
    Scenario(
        name="clash fails",
        pictures=("doubtful.jpg",),
        folder={
            "output": {
                "content": "both",
                "clash": "fail",
                "drop_idle_s": 100,
                "review": {"below": 0.0},
            }
        },
        live=serve_two_versions,
        check=second_rejected,
        is_counted=False,
    ),
    Scenario(
        name="folder renamed",
        pictures=("a.jpg",),
        live=serve_renamed,
        check=named("a.jpg"),
        is_counted=False,
    ),
    Scenario(
        name="orders",
        pictures=(),
        settings={"web": {"folder": "uploads"}},
        live=serve_orders,
        check=carried_out,
        is_counted=False,
    ),
    Scenario(
        name="judgements",
        pictures=tuple(JUDGED.values()),
        settings={"web": {"folder": "uploads"}},
        live=serve_judgements,
        check=judged,
        is_counted=False,
    ),
    Scenario(
        name="deleted drop",
        pictures=("a.jpg", "b-doubtful.jpg", "bad.jpg"),
        settings={"web": {"folder": "uploads"}},
        live=serve_deletion,
        check=deleted,
        is_counted=False,
    ),
    Scenario(
        name="uploads",
        pictures=(),
        settings={"web": {"folder": "uploads"}},
        live=serve_uploads,
        check=received,
        is_counted=False,
    ),
    Scenario(
        name="versions",
        pictures=(),
        settings={"web": {"folder": "uploads"}},
        live=serve_versions,
        check=touched_up,
        is_counted=False,
    ),
    Scenario(
        name="batch",
        pictures=("a.jpg", "sub/a.jpg", "bad.jpg"),
        live=serve_twice_as_batch,
        check=mirrored,
        is_counted=False,
    ),
)
SCENARIOS = (*OF_ORIGINALS, *OF_RESULTS)
