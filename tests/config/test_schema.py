"""The configuration: its defaults, where it is looked for, and faults told by line and key."""

from pathlib import Path

import pytest
import yaml

from daemon.config import schema as configuration
from daemon.config.schema import Config, Folder, load
from daemon.errors import InstallError

REPOSITORY = Path(__file__).parents[2]
CONTRACT = """
folders:
  - {path: hot, name: hot, recursive: true, settle_s: 2.0, defer_s: 120.0, watch: auto,
     originals: archive, priority: 0, model: null, ignore: [], prune: false, video: auto,
     output: {}, postprocess: {}}
output: {root: outputs, drop_name: "outputs_{time}", drop_idle_s: 30, drop_max_files: 1000,
         format: png, content: cutout, preset: none, background: null,
         depth: auto, metadata: strip, bleed: false,
         crop: {mode: none, threshold: 10, margin: 0.0, aspect: none, canvas: none, align: center,
                enlarge: true},
         name: "{stem}", clash: version, review: {below: 0.7, second: none},
         video: {format: webm, animations: webp, quality: 75, speed: fast}}
model: {weights: models/cvunet.pth, device: auto, input_size: 512, precision: auto, mirror: false,
        runtime: auto}
models: {}
worker: {engine: local, max_batch: 8, max_wait_ms: 20, queue_size: 64,
         max_megapixels: 100, max_file_mb: 2000, max_decode_s: 120, memory_mb: 2500,
         clips: 1, video_share: 0.25, max_video_minutes: 60, max_video_mb: 20000,
         ray: {address: "127.0.0.1:6379", namespace: cvunetd, resource: cvunetd, concurrency: null,
               silence_s: 30, auth: token, token_file: null, runtime_env: null, paths: [],
               transport: share, transport_mb: 50}}
postprocess: {kernel: guided, filter: bilateral, diameter: 5, sigma_color: 0.05, sigma_space: 1.5,
              decontaminate: true, colours: fast, hair: off, keep_haze: false,
              adjust: {low: 0.0, high: 1.0, shift_px: 0.0, feather_px: 0.0, fill_holes: 0.0,
                       keep: all}}
video: {steady: {window: 2, strength: 1.0}, on_damage: keep}
retention: {keep_days: 7, sweep_s: 3600, min_free_mb: 512}
state_dir: state
quarantine_dir: failed
hooks: {on_done: [], on_failed: [], on_drop_closed: [], give_up_s: 86400, max_waiting: 10000}
metrics: {listen: null}
web: {listen: null, folder: null, output: {}, keys_file: null, keys: null, hosts: [], origins: [],
      fetch_urls: false, max_upload_mb: 100, max_waiting: 500, server_folders: []}
log: {level: info, format: auto}
"""


def leaves(section: dict[str, object], above: str = "") -> set[str]:
    """Dotted names of all settings; those of a list's entries without a number."""
    names: set[str] = set()
    for key, value in section.items():
        inner = value[0] if isinstance(value, list) and value else value
        if isinstance(inner, dict) and inner:
            names |= leaves(inner, f"{above}{key}.")
        else:
            names.add(above + key)
    return names


# --- defaults --------------------------------------------------------------------------------


def test_defaults_are_those_of_the_contract():
    """No file gives what docs and contract promise."""
    content = yaml.safe_load(CONTRACT)

    assert Config.model_validate(content) == Config()


def test_contract_names_every_setting():
    """The comparison above would not see a setting that the contract leaves out."""
    content = yaml.safe_load(CONTRACT)
    actual = Config().model_dump()
    actual["folders"][0] |= {"output": {}, "postprocess": {}}
    actual["web"]["output"] = {}

    assert leaves(content) == leaves(actual)


def test_repository_file_equals_the_defaults():
    """config.yaml shows every setting with its default, and has the page switched on."""
    config, _ = load(REPOSITORY / "config.yaml")
    web = config.web.model_copy(update={"listen": None, "folder": None})

    assert Config() == config.model_copy(update={"web": web})
    assert (config.web.listen, config.web.folder) == ("127.0.0.1:8080", Path("uploads"))


def test_settings_are_documented():
    """config.yaml names every setting, so that a user need not read code."""
    content = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    actual = Config().model_dump()
    actual["folders"][0] |= {"output": {}, "postprocess": {}}
    actual["web"]["output"] = {}

    assert leaves(actual) == leaves(content)


@pytest.mark.parametrize("key", sorted(leaves(yaml.safe_load(CONTRACT))))
def test_setting_has_a_comment(key: str):
    """A key without a comment is one whose name, value or neighbour says it all."""
    plain = {"output.root", "model.weights", "worker.engine"}
    lines = (REPOSITORY / "config.yaml").read_text().splitlines()
    found = [line for line in lines if line.strip(" -").startswith(f"{key.rpartition('.')[2]}:")]

    assert found
    assert key in plain or any("#" in line for line in found)


def test_empty_file_means_defaults(tmp_path: Path):
    """As no file does, but relative paths start from its folder."""
    (tmp_path / "config.yaml").write_text("")

    assert (Config(), tmp_path) == load(tmp_path / "config.yaml")


def test_comments_alone_mean_defaults(tmp_path: Path):
    """A file in which everything is commented out is well."""
    (tmp_path / "config.yaml").write_text("# folders:\n#   - path: hot\n")

    assert Config() == load(tmp_path / "config.yaml")[0]


def test_part_of_a_file_leaves_other_defaults(tmp_path: Path):
    """One key of a section does not reset its neighbours."""
    (tmp_path / "config.yaml").write_text("worker: {max_batch: 2}\n")

    worker = load(tmp_path / "config.yaml")[0].worker

    assert (worker.max_batch, worker.queue_size) == (2, 64)


def test_devices_may_be_a_list(tmp_path: Path):
    """Several cards serve at once."""
    (tmp_path / "config.yaml").write_text("model: {device: [cuda:0, cuda:1]}\n")

    assert load(tmp_path / "config.yaml")[0].model.devices == ("cuda:0", "cuda:1")


def test_one_device_is_a_list_of_one():
    """The engine need not tell the two apart."""
    assert Config().model.devices == ("auto",)


def test_folder_may_have_no_name():
    """It is called after its path later."""
    assert Folder(path=Path("hot")).name is None


def test_configuration_is_frozen():
    """Nothing changes a setting behind the others' back."""
    with pytest.raises(ValueError, match="frozen"):
        Config().worker.max_batch = 3


# --- where it is looked for ------------------------------------------------------------------


@pytest.fixture
def searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and a stand-in for /etc."""
    (tmp_path / "here").mkdir()
    (tmp_path / "etc").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    places = (Path("config.yaml"), tmp_path / "etc" / "config.yaml")
    monkeypatch.setattr(configuration, "SEARCHED", places)
    return tmp_path


def test_places_are_those_of_the_help_text():
    """The current folder, then /etc."""
    expected = (Path("config.yaml"), Path("/etc/cvunetd/config.yaml"))

    assert expected == configuration.SEARCHED


def test_nothing_found_means_defaults(searched: Path):
    """Relative paths start from the current folder then."""
    assert (Config(), searched / "here") == load(None)


def test_etc_is_the_last_place(searched: Path):
    """It serves where the current folder has none."""
    (searched / "etc" / "config.yaml").write_text("state_dir: etc\n")

    config, base = load(None)

    assert (Path("etc"), searched / "etc") == (config.state_dir, base)


def test_current_folder_comes_before_etc(searched: Path):
    """Relative paths start from the folder of the file that was found."""
    (searched / "etc" / "config.yaml").write_text("state_dir: etc\n")
    (searched / "here" / "config.yaml").write_text("state_dir: here\n")

    config, base = load(None)

    assert (Path("here"), searched / "here") == (config.state_dir, base)


def test_named_file_comes_first(searched: Path):
    """--config beats everything."""
    (searched / "here" / "config.yaml").write_text("state_dir: here\n")
    (searched / "named.yaml").write_text("state_dir: named\n")

    config, base = load(searched / "named.yaml")

    assert (Path("named"), searched) == (config.state_dir, base)


def test_named_file_must_be_there(searched: Path):
    """A mistyped --config is never answered with defaults."""
    with pytest.raises(InstallError, match=r"absent\.yaml: cannot be read .*check --config"):
        load(searched / "absent.yaml")


def test_unreadable_file_is_told(tmp_path: Path):
    """A folder stands for every file that cannot be read: root may read the rest."""
    with pytest.raises(InstallError, match=r"cannot be read \(Is a directory\)"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"), [("depth", 12), ("depth", "deep"), ("metadata", "all"), ("format", "gif")]
)
def test_unknown_way_of_writing_is_told(tmp_path: Path, key: str, value: object):
    """One line with file, line and key."""
    file = tmp_path / "config.yaml"
    file.write_text(f"output:\n  {key}: {value}\n")

    with pytest.raises(InstallError, match=rf"config\.yaml:2: output\.{key}") as caught:
        load(file)

    assert "\n" not in str(caught.value)
