"""Man pages and completion are those of this program, and are read by what reads them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from daemon.cli import main
from daemon.config.schema import Config
from manual import completions, pages, settings
from manual.settings import Setting

ROOT = Path(__file__).parents[1]
SAMPLE = (ROOT / "config.yaml").read_text(encoding="utf-8")
TEXTS = pages.texts() | completions.texts()


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where the shell finds the program, as pip installs it."""
    program = tmp_path / "bin" / "cvunetd"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom daemon.cli import main\nmain()\n")
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


def shell(*command: str, path: str) -> list[str]:
    """The lines that a shell's script prints."""
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split("\n")


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.name)
def test_file_is_up_to_date(file: Path):
    """Else: `make man`."""
    assert file.read_text(encoding="utf-8") == TEXTS[file]


def test_nothing_else_is_installed():
    """No page of a command that is gone."""
    folders = (pages.FOLDER, completions.FOLDER)

    assert {file for folder in folders for file in folder.rglob("*") if file.is_file()} == set(
        TEXTS
    )


@pytest.mark.groff
@pytest.mark.parametrize("file", sorted(pages.texts()), ids=lambda file: file.name)
def test_page_is_clean(file: Path):
    """groff finds nothing to warn of, and shows what is in it."""
    command = ["groff", "-ww", "-man", "-Tutf8", "-P-cbou", str(file)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (shown.returncode, shown.stderr) == (0, "")
    assert "NAME\n       cvunetd" in shown.stdout
    assert "SEE ALSO" in shown.stdout


def test_every_command_and_option_has_its_place():
    """As the program itself lists them."""
    page = TEXTS[pages.FOLDER / "cvunetd.8"]
    missing = [name for name in main.commands if f"cvunetd {name}".replace("-", r"\-") not in page]
    options = {
        option
        for command in (main, *main.commands.values())
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--")
    }

    assert missing == []
    assert len(options) > 5
    assert [option for option in options if option.replace("-", r"\-") not in page] == []


# --- settings ----------------------------------------------------------------------------------


#: Sections with an ``output`` of their own, which the page describes once.
OWN_OUTPUT = (("folders[]",), ("web",))


def keys(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """All settings that the program knows; their own ``output`` is the common one again."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if above == () and name == "folders":
            yield from keys(Config().folders[0].__class__, ("folders[]",))
        elif isinstance(kind, type) and issubclass(kind, BaseModel) and above not in OWN_OUTPUT:
            yield from keys(kind, (*above, name))
        else:
            yield (*above, name)


def in_sample(content: Any, path: tuple[str, ...]) -> Any:
    """What YAML makes of a setting in the sample."""
    for name in path:
        content = content[name.removesuffix("[]")]
        content = content[0] if name.endswith("[]") else content
    return content


def test_every_setting_is_in_the_page():
    """No more, no less, each with what the comment beside it says."""
    told = {setting.path: setting for setting in settings.read(SAMPLE)}
    documented = {path for path, setting in told.items() if setting.default}

    assert documented == set(keys(Config))
    assert all(setting.text for setting in told.values() if setting.default)


@pytest.mark.parametrize(
    "setting",
    [setting for setting in settings.read(SAMPLE) if setting.default],
    ids=lambda setting: ".".join(setting.path),
)
def test_default_is_read_whole(setting: Setting):
    """As YAML reads the same line."""
    expected = in_sample(yaml.safe_load(SAMPLE), setting.path)

    assert yaml.safe_load(setting.default) == expected


def test_remark_of_several_lines():
    """Lines above a key belong to it; lists and sections are told apart."""
    sample = """# head

hooks:
  # Whom to tell,
  # and how.
  rules:
    - run: [a, "#b"]  # what
      deep:
        key: 1   # one
  # of its own
  last: "x"
end: 2 # e
"""
    told = [(".".join(one.path), one.default, one.text) for one in settings.read(sample)]

    assert told == [
        ("hooks", "", ""),
        ("hooks.rules", "", "Whom to tell, and how."),
        ("hooks.rules[].run", '[a, "#b"]', "what"),
        ("hooks.rules[].deep", "", ""),
        ("hooks.rules[].deep.key", "1", "one"),
        ("hooks.last", '"x"', "of its own"),
        ("end", "2", "e"),
    ]


def test_line_that_is_nothing_is_told():
    """The sample has a form of its own."""
    with pytest.raises(ValueError, match="neither setting nor remark: '- x'"):
        list(settings.read("# head\n\n- x\n"))


# --- completion --------------------------------------------------------------------------------


def test_bash_completes(path: str):
    """Commands by their beginning, options, and files where there is a file to name."""
    source = completions.FOLDER / "bash" / "cvunetd"
    asked = r"""
    source "$1"; shift
    ask() {
        COMPREPLY=(); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _cvunetd_completion cvunetd; echo "${COMPREPLY[*]}"
    }
    complete -p cvunetd
    ask cvunetd s; ask cvunetd clean --; ask cvunetd nonsense-
    """
    registered, commands, options, nothing, _ = shell(
        "bash", "-c", asked, "bash", str(source), path=path
    )

    assert registered == "complete -o nosort -F _cvunetd_completion cvunetd"
    assert commands.split() == ["status", "systemd-paths"]
    assert options.split() == ["--dry-run", "--config", "--help"]
    assert nothing == ""


@pytest.mark.fish
def test_fish_completes(path: str):
    """The same, by its own word for it."""
    source = completions.FOLDER / "fish" / "cvunetd.fish"
    told = shell(
        "fish", "--no-config", "-c", f"source {source}; complete -C 'cvunetd s'", path=path
    )

    assert {line.split("\t")[0] for line in told if line} == {"status", "systemd-paths"}


@pytest.mark.zsh
def test_zsh_reads_it(path: str):
    """As its completion loads it: by name, from a folder of functions."""
    source = completions.FOLDER / "zsh"
    asked = "fpath=($1 $fpath); autoload -Uz compinit; compinit -D -u; echo $_comps[cvunetd]"
    told = shell("zsh", "-f", "-c", asked, "zsh", str(source), path=path)

    assert told[0] == "_cvunetd"
