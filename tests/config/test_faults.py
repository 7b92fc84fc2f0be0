"""Faults of a configuration: one line each, with place, key and what to write."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, ValidationError
from yaml.nodes import MappingNode, Node, SequenceNode

from daemon.config import schema
from daemon.config.output_schema import kinds_in
from daemon.config.request_options import Options
from daemon.config.schema import Config, load
from daemon.errors import InstallError


def fault(tmp_path: Path, text: str) -> str:
    """What is said about a configuration, without the folder of its file."""
    path = tmp_path / "config.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InstallError) as caught:
        load(path)
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_unknown_key_names_line_and_nearest(tmp_path: Path):
    """A mistyped key is told with the one that was probably meant."""
    text = "worker:\n  max_batch: 4\n  que_size: 3\n"

    expected = "config.yaml:3: unknown key 'worker.que_size'; did you mean 'queue_size'?"
    assert expected == fault(tmp_path, text)


def test_unknown_key_without_likeness_lists_known_ones(tmp_path: Path):
    """Where nothing is near, all are named."""
    expected = "config.yaml:1: unknown key 'log.zzz'; known keys: format, level"

    assert expected == fault(tmp_path, "log: {zzz: 1}\n")


def test_unknown_key_at_the_top(tmp_path: Path):
    """Sections can be mistyped too."""
    expected = "config.yaml:2: unknown key 'retentoin'; did you mean 'retention'?"

    assert expected == fault(tmp_path, "state_dir: x\nretentoin: {}\n")


def test_unknown_key_of_one_folder(tmp_path: Path):
    """The folder is told by its number."""
    text = "folders:\n  - path: a\n  - path: b\n    recursiv: false\n"

    expected = "config.yaml:4: unknown key 'folders[1].recursiv'; did you mean 'recursive'?"
    assert expected == fault(tmp_path, text)


def test_unknown_key_of_a_folders_output(tmp_path: Path):
    """The nearest key is sought among those of that section."""
    text = "folders:\n  - path: hot\n    output:\n      fromat: png\n"

    expected = "config.yaml:4: unknown key 'folders[0].output.fromat'; did you mean 'format'?"
    assert expected == fault(tmp_path, text)


def test_unknown_key_of_a_folders_adjustments(tmp_path: Path):
    """However deep it lies."""
    text = "folders:\n  - path: hot\n    postprocess: {adjust: {feather: 2, shift_px: 1}}\n"

    expected = (
        "config.yaml:3: unknown key 'folders[0].postprocess.adjust.feather'; did you mean"
        " 'feather_px'?"
    )
    assert expected == fault(tmp_path, text)


def test_every_fault_has_a_line_of_its_own(tmp_path: Path):
    """One run tells all that must be mended."""
    lines = fault(tmp_path, "log: {level: loud}\nretention:\n  keep_days: -1\n").splitlines()

    assert sorted(line.rpartition(": ")[0] for line in lines) == [
        "config.yaml:1: log.level",
        "config.yaml:3: retention.keep_days",
    ]


def test_duplicate_key(tmp_path: Path):
    """YAML would silently keep the last one."""
    text = "worker:\n  max_batch: 4\n  queue_size: 3\n  max_batch: 8\n"

    assert fault(tmp_path, text) == "config.yaml:4: key 'max_batch' stands twice"


def test_duplicate_key_inside_a_list(tmp_path: Path):
    """Folders are looked into."""
    text = "folders:\n  - path: a\n    path: b\n"

    assert fault(tmp_path, text) == "config.yaml:3: key 'path' stands twice"


def test_same_key_in_two_folders_is_well(tmp_path: Path):
    """Each folder is a mapping of its own."""
    path = tmp_path / "config.yaml"
    path.write_text("folders:\n  - path: a\n  - path: b\n")

    assert [Path("a"), Path("b")] == [folder.path for folder in load(path)[0].folders]


def test_missing_path_names_the_folder(tmp_path: Path):
    """The line is that of the folder's entry."""
    text = "folders:\n  - path: a\n  - name: b\n"

    assert fault(tmp_path, text) == "config.yaml:3: key 'folders[1].path' is missing"


def test_no_folder_at_all(tmp_path: Path):
    """A daemon without a folder would idle for ever."""
    assert fault(tmp_path, "folders: []\n").startswith("config.yaml:1: folders: ")


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("log: {level: loud}", "config.yaml:1: log.level: "),
        ("retention:\n  keep_days: week", "config.yaml:2: retention.keep_days: "),
        ("retention: {keep_days: 0}", "config.yaml:1: retention.keep_days: "),
        ("retention: {keep_days: .inf}", "config.yaml:1: retention.keep_days: "),
        ("retention: {keep_days: .nan}", "config.yaml:1: retention.keep_days: "),
        ("worker: {max_decode_s: .inf}", "config.yaml:1: worker.max_decode_s: "),
        ("worker: {max_file_mb: .inf}", "config.yaml:1: worker.max_file_mb: "),
        ("worker: {max_megapixels: .inf}", "config.yaml:1: worker.max_megapixels: "),
        ("web: {max_upload_mb: .inf}", "config.yaml:1: web.max_upload_mb: "),
        ("worker: {queue_size: 0}", "config.yaml:1: worker.queue_size: "),
        ("worker: {queue_size: 2.5}", "config.yaml:1: worker.queue_size: "),
        ("worker: {engine: dask}", "config.yaml:1: worker.engine: "),
        ("model: {input_size: 500}", "config.yaml:1: model.input_size: "),
        ("folders: [{path: 5}]", "config.yaml:1: folders[0].path: "),
        ("folders: hot", "config.yaml:1: folders: "),
        ("output:", "config.yaml:1: output: "),
        ("output: {content: mask}", "config.yaml:1: output.content: "),
        ("output: {preset: amazon}", "config.yaml:1: output.preset: "),
        ("output: {clash: ask}", "config.yaml:1: output.clash: "),
        ("output: {background: '#fff'}", "config.yaml:1: output.background: "),
        ("output: {background: ''}", "config.yaml:1: output.background: "),
        ("output:\n  crop: {mode: box}", "config.yaml:2: output.crop.mode: "),
        ("output: {crop: {threshold: 0}}", "config.yaml:1: output.crop.threshold: "),
        ("output: {crop: {margin: 0.5}}", "config.yaml:1: output.crop.margin: "),
        ("output: {crop: {aspect: 4:5}}", "config.yaml:1: output.crop.aspect: write it in quotes"),
        ("output: {crop: {aspect: wide}}", "config.yaml:1: output.crop.aspect: an aspect is"),
        ("output: {crop: {aspect: '1:0'}}", "config.yaml:1: output.crop.aspect: an aspect is"),
        ("output: {crop: {canvas: 5}}", "config.yaml:1: output.crop.canvas: a canvas is"),
        ("output: {crop: {canvas: [2000]}}", "config.yaml:1: output.crop.canvas: a canvas is"),
        ("output: {crop: {canvas: 2000x2000}}", "config.yaml:1: output.crop.canvas: a canvas is"),
        ("output: {crop: {align: middle}}", "config.yaml:1: output.crop.align: "),
        ("output: {review: {below: 50}}", "config.yaml:1: output.review.below: "),
        (
            "folders: [{path: a, output: {crop: {canvas: 5}}}]",
            "config.yaml:1: folders[0].output.crop.canvas: a canvas is",
        ),
        ("postprocess: {adjust: {low: .nan}}", "config.yaml:1: postprocess.adjust.low: "),
        ("postprocess: {adjust: {high: 1.5}}", "config.yaml:1: postprocess.adjust.high: "),
        ("postprocess: {adjust: {shift_px: .nan}}", "config.yaml:1: postprocess.adjust.shift_px: "),
        ("postprocess: {adjust: {shift_px: -51}}", "config.yaml:1: postprocess.adjust.shift_px: "),
        ("postprocess: {adjust: {feather_px: -1}}", "config.yaml:1: postprocess.adjust.feather_px"),
        ("postprocess: {adjust: {feather_px: .inf}}", "config.yaml:1: postprocess.adjust.feather"),
        ("postprocess: {adjust: {fill_holes: 5}}", "config.yaml:1: postprocess.adjust.fill_holes"),
        ("postprocess: {adjust: {keep: bigest}}", "config.yaml:1: postprocess.adjust.keep: "),
        (
            "postprocess:\n  adjust: {low: 0.5, high: 0.5}",
            "config.yaml:2: postprocess.adjust: low 0.5 is not below high 0.5: ",
        ),
        (
            "folders: [{path: a, postprocess: {adjust: {keep: bigest}}}]",
            "config.yaml:1: folders[0].postprocess.adjust.keep: ",
        ),
        ("- path: hot", "config.yaml:1: "),
    ],
)
def test_wrong_value_names_line_and_key(tmp_path: Path, text: str, start: str):
    """Types and bounds are checked before anything starts, in one line."""
    told = fault(tmp_path, text)

    assert told.startswith(start)
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("folders: []", "folders: at least 1 must be named"),
        ("folders: {path: hot}", "folders: a section is not a list"),
        ("worker: {max_batch: 0}", "worker.max_batch: 0 must be greater than or equal to 1"),
        ("worker: {max_batch: 1.5}", "worker.max_batch: 1.5 is not a whole number"),
        ("worker: {max_batch: null}", "worker.max_batch: null is not a whole number"),
        ("retention: {keep_days: week}", "retention.keep_days: 'week' is not a number"),
        ("retention: 7", "retention: 7 is not a section with keys"),
        ("model: {mirror: maybe}", "model.mirror: 'maybe' is not true or false"),
        ("model: {input_size: 500}", "model.input_size: 500 must be a multiple of 32"),
        ("web: {folder: u, listen: 8080}", "web.listen: 8080 is not text; put it in quotes"),
        ("state_dir: [a]", "state_dir: a list is not a path"),
    ],
)
def test_wrong_value_is_named_with_what_it_has_to_be(tmp_path: Path, text: str, told: str):
    """Words of our own: those of the library do not name the value."""
    assert fault(tmp_path, f"{text}\n") == f"config.yaml:1: {told}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("retention: {keep_days: yes}", "retention.keep_days: true is not a number"),
        ("retention: {min_free_mb: no}", "retention.min_free_mb: false is not a number"),
        ("worker: {max_batch: on}", "worker.max_batch: true is not a whole number"),
        ("worker: {ray: {concurrency: yes}}", "worker.ray.concurrency: true is not a whole number"),
        ("models: {a: {file: a.pth, input_size: yes}}", "models.a.input_size: true is not a whole"),
        ("postprocess: {adjust: {low: no}}", "postprocess.adjust.low: false is not a number"),
        ("output: {crop: {canvas: [yes, 500]}}", "output.crop.canvas: a canvas is the side"),
        ("folders: [{path: hot, priority: yes}]", "folders[0].priority: true is not a whole"),
        ("folders: [{path: hot, output: {crop: {margin: no}}}]", "folders[0].output.crop.margin"),
    ],
)
def test_truth_is_no_number(tmp_path: Path, text: str, told: str):
    """`keep_days: yes` would delete after one day, `min_free_mb: no` would fill the disk."""
    assert fault(tmp_path, f"{text}\n").startswith(f"config.yaml:1: {told}")


def test_truth_is_no_number_in_any_section():
    """Neither in a new one: each field that holds a number refuses true."""
    sections: list[type[BaseModel]] = [*every_section(Config), Options]
    taken = [
        f"{section.__name__}.{name}"
        for section in sections
        for name, field in section.model_fields.items()
        if {int, float} & kinds_in(field.annotation) and not refuses(section, name)
    ]

    assert taken == []


def every_section(section: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A section, and all that are in it."""
    yield section
    for field in section.model_fields.values():
        for kind in kinds_in(field.annotation):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from every_section(kind)


def refuses(section: type[BaseModel], name: str) -> bool:
    """Whether a section has a fault in this key if its value is true."""
    try:
        section.model_validate({name: True})
    except ValidationError as error:
        return any(fault["loc"][0] == name for fault in error.errors())
    return False


@pytest.mark.parametrize(
    ("metrics", "listen"),
    [
        ("127.0.0.1:8080", "localhost:8080"),
        ("127.0.0.1:8080", "0.0.0.0:8080"),
        ("[::1]:8080", "[::]:8080"),
        ("unix:/run/a.sock", "unix:/run/a.sock"),
    ],
)
def test_page_and_metrics_at_one_address(tmp_path: Path, metrics: str, listen: str):
    """The daemon would take it from itself, and say that another program listens there."""
    web = f"web: {{listen: '{listen}', folder: up, keys_file: k}}"
    told = fault(tmp_path, f"metrics: {{listen: '{metrics}'}}\n{web}\n")

    assert told.startswith(f"config.yaml:2: web: listen is {listen}, where the metrics are")


@pytest.mark.parametrize(
    ("metrics", "listen"),
    [
        ("127.0.0.1:9464", "127.0.0.1:8080"),
        ("[::1]:8080", "127.0.0.1:8080"),
        ("unix:/run/a.sock", "unix:/run/b.sock"),
    ],
)
def test_page_and_metrics_apart(tmp_path: Path, metrics: str, listen: str):
    """Another port, another host or another file."""
    path = tmp_path / "config.yaml"
    path.write_text(f"metrics: {{listen: '{metrics}'}}\nweb: {{listen: '{listen}', folder: up}}\n")

    assert load(path)[0].web.listen == listen


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "[]", "[cuda:0, tpu]", "3", "[1]", "null"])
def test_wrong_device(tmp_path: Path, device: str):
    """One line, with the key that the user wrote."""
    expected = "config.yaml:1: model.device: a device is auto, cpu, cuda, cuda:0 or a list of such"

    assert expected == fault(tmp_path, f"model: {{device: {device}}}\n")


@pytest.mark.parametrize(
    "colour", ["white", "ffffff", "#fff", "#gggggg", "#ffffff\\n", "#ff00ff00"]
)
def test_bad_colour(tmp_path: Path, colour: str):
    """Six hexadecimal digits and nothing else."""
    expected = (
        'config.yaml:1: output.background: write a colour as "#rrggbb", the path of a'
        " picture or clip, or null for transparency"
    )

    assert expected == fault(tmp_path, f'output: {{background: "{colour}"}}\n')


@pytest.mark.parametrize(
    "name", ["{stam}", "{}", "{0}", "{stem", "{stem.x}", "{ext[0]}", "{stem.__class__}", "{stem:d}"]
)
def test_bad_field_in_a_name(tmp_path: Path, name: str):
    """Found at start, not at the first picture without an ending."""
    expected = (
        "config.yaml:1: output.name: a name is made of text and these fields:"
        " {stem} {ext} {folder} {subfolder} {date} {id}"
    )

    assert fault(tmp_path, f'output: {{name: "{name}"}}\n').startswith(expected)


@pytest.mark.parametrize(
    ("setting", "meant"),
    [
        ("name: '{stam}'", "stem"),
        ("name: '{sub_folder}'", "subfolder"),
        ("drop_name: '{tim}'", "time"),
    ],
)
def test_mistyped_field(tmp_path: Path, setting: str, meant: str):
    """The nearest one is proposed."""
    assert fault(tmp_path, f"output: {{{setting}}}\n").endswith(f"; did you mean {{{meant}}}?")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("outputs", "a drop's name holds {time}, without a format: the time tells drops apart"),
        ("{folder}", "a drop's name holds {time}, without a format: the time tells drops apart"),
        ("{time:.8}", "a drop's name holds {time}, without a format: the time tells drops apart"),
        ("a/{time}", "a drop's name has no slash and does not begin with a dot"),
        (".{time}", "a drop's name has no slash and does not begin with a dot"),
        ("{stem}{time}", "a drop's name is made of text and these fields: {time} {folder}"),
        ("{time", "a drop's name is made of text and these fields: {time} {folder}"),
    ],
)
def test_bad_drop_name(tmp_path: Path, name: str, expected: str):
    """Retention and people need the time; a drop is seen, and stays in its root."""
    told = fault(tmp_path, f'output: {{drop_name: "{name}"}}\n')

    assert told.startswith(f"config.yaml:1: output.drop_name: {expected}")


def test_prune_with_kept_originals(tmp_path: Path):
    """Nothing would ever be emptied."""
    text = "folders:\n  - path: hot\n    originals: keep\n    prune: true\n"

    assert "folders[0]: prune: true removes emptied sub-folders" in fault(tmp_path, text)


@pytest.mark.parametrize("name", ["a/{stem}", "../{stem}", ".{stem}", "", " ", "a\\0{stem}"])
def test_name_that_leaves_the_drop(tmp_path: Path, name: str):
    """Results stay inside their drop, and are seen."""
    expected = (
        "config.yaml:1: output.name: a name has no slash, does not begin with a dot and is not"
        " empty"
    )

    assert expected == fault(tmp_path, f'output: {{name: "{name}"}}\n')


def test_bad_name_of_one_folder(tmp_path: Path):
    """A folder's own output section is checked like the common one."""
    text = 'folders:\n  - path: hot\n    output: {name: "{x}"}\n'

    assert fault(tmp_path, text).startswith("config.yaml:3: folders[0].output.name: a name is made")


@pytest.mark.parametrize("name", ["a/b", "..", "/etc", "a\\nb"])
def test_bad_name_for_a_folder(tmp_path: Path, name: str):
    """Rejected pictures go to a folder of that name, which must stay in quarantine."""
    expected = (
        "config.yaml:1: folders[0].name: a folder's name has no slash and does not begin with a dot"
    )

    assert expected == fault(tmp_path, f'folders: [{{path: hot, name: "{name}"}}]\n')


@pytest.mark.parametrize("text", ["folders: [", "a: b: c\n", "\tx: 1\n", "x: 1\n--- \ny: 2\n"])
def test_broken_yaml(tmp_path: Path, text: str):
    """The parser's text names the line; ours stays one line."""
    told = fault(tmp_path, text)

    assert told.startswith("config.yaml: is not valid YAML: ")
    assert "line " in told
    assert len(told.splitlines()) == 1


def test_file_that_is_no_text(tmp_path: Path):
    """Latin-1 is not UTF-8, and no traceback."""
    assert fault(tmp_path, "state_dir: B\xfccher\n").startswith("config.yaml: is not valid YAML: ")


def test_python_objects_are_refused(tmp_path: Path):
    """A configuration runs no code."""
    told = fault(tmp_path, "state_dir: !!python/object/apply:os.getcwd []\n")

    assert told.startswith("config.yaml: is not valid YAML: ")


def test_merged_keys_are_no_repeated_keys(tmp_path: Path):
    """What YAML's ``<<`` brings may be said anew."""
    file = tmp_path / "config.yaml"
    file.write_text("folders: [&hot {path: hot, name: a}, {<<: *hot, path: cold, name: b}]\n")

    config, _ = load(file)

    assert [folder.name for folder in config.folders] == ["a", "b"]


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML was built without libyaml")
def test_both_parsers_read_the_same():
    """The fast one gives the values and the lines of the other, for the file that we ship."""
    text = (Path(__file__).parents[2] / "config.yaml").read_text(encoding="utf-8")
    (fast, fast_tree), (slow, slow_tree) = (
        schema.parse_with(loader, text) for loader in (yaml.CSafeLoader, yaml.SafeLoader)
    )

    assert fast == slow
    assert lines_of(fast_tree) == lines_of(slow_tree)


def lines_of(node: Node | None) -> list[int]:
    """The lines of all nodes, in order."""
    if node is None:
        return []
    children: list[Node] = []
    if isinstance(node, MappingNode):
        children = [child for pair in node.value for child in pair]
    elif isinstance(node, SequenceNode):
        children = node.value
    return [node.start_mark.line, *(line for child in children for line in lines_of(child))]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("log: 2026-13-45\n", "month must be in 1..12"),
        ("log: 2026-01-01 99:99:99\n", "hour must be in 0..23"),
        ("log: !!int four\n", "invalid literal for int()"),
        ("log: !!timestamp soon\n", "no attribute"),
        (f"worker: {{queue_size: {'9' * 5000}}}\n", "4300 digits"),
        ("folders: &all [*all]\n", "recursion"),
        ("[" * 3000, "recursion"),
    ],
)
def test_value_that_the_parser_cannot_make_is_told(tmp_path: Path, text: str, reason: str):
    """Not every error of the library is one of YAML's own; none of them may end a daemon."""
    told = fault(tmp_path, text)

    assert told.startswith("config.yaml: is not valid YAML: ")
    assert reason in told
