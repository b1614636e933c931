"""Completion in real shells: what Tab offers, and that it needs neither Python nor PyTorch."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from elboroom import PRESETS
from elboroom.cli import completion
from elboroom.cli.commands import COMMANDS
from elboroom.config.kinds import METHODS, NETWORKS
from tests.support.command import Command
from tests.support.tab_key import Shell

METHOD_NAMES = [name for name in METHODS if name.startswith("svi-")]
WORDS = {
    "elboroom tr": ["train"],
    "elboroom --v": ["--version"],
    "elboroom train --net": ["--network"],
    "elboroom train --no-d": ["--no-data-bias"],
    "elboroom train --preset ": [*PRESETS],
    "elboroom train --network ": [*NETWORKS],
    "elboroom train --epochs ": ["auto"],
    "elboroom train --data ta": ["table.npy"],
    "elboroom complete runs/first --method svi-": METHOD_NAMES,
    "elboroom evaluate runs/first --compare runs/s": ["runs/second/"],
    "elboroom report ru": ["runs/"],
    "elboroom completion ": ["bash", "zsh", "fish"],
    "elboroom infer runs/first --schedule": [],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with two runs and a table."""
    for run in ("first", "second"):
        (tmp_path / "runs" / run).mkdir(parents=True)
    (tmp_path / "table.npy").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def script(elboroom: Command, folder: Path, shell: str) -> Path:
    if os.name != "posix" or shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    outcome = elboroom("completion", shell)
    assert (outcome.code, outcome.err) == (0, "")
    path = folder / f"script.{shell}"
    path.write_text(outcome.out, encoding="utf-8")
    return path


def offered_by_bash(script: Path) -> dict[str, list[str]]:
    """Call the function that the script registers, as bash does at Tab."""
    lines = [f"source {script}"]
    for line in WORDS:
        words = line.split(" ")
        lines += [
            f"COMP_WORDS=({shlex.join(words)})",
            f"COMP_CWORD={len(words) - 1}; COMPREPLY=()",
            f"_shtab_elboroom elboroom '{words[-1]}' '{words[-2]}' 2>/dev/null",
            'printf "%s\\t" "${COMPREPLY[@]}"; echo',
        ]
    # Python must not be needed: there is none in this PATH.
    done = subprocess.run(
        [shutil.which("bash") or "bash", "--norc"],
        input="\n".join(lines),
        env={"PATH": "/nonexistent"},
        capture_output=True,
        text=True,
        check=True,
    )
    answers = [line.split("\t") for line in done.stdout.splitlines()]
    found = [[word for word in words if word] for words in answers]
    return dict(zip(WORDS, found, strict=True))


def offered_by_fish(script: Path) -> dict[str, list[str]]:
    """Ask fish for its completions of each line."""
    asked = "; ".join(f"complete -C '{line}'; echo @end" for line in WORDS)
    command = ["fish", "--no-config", "-c", f"source {script}; {asked}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answers = done.stdout.split("@end\n")[:-1]
    found = [[row.split("\t")[0] for row in answer.splitlines()] for answer in answers]
    return dict(zip(WORDS, found, strict=True))


def test_bash_offers_commands_options_values_and_files(elboroom: Command, folder: Path):
    found = offered_by_bash(script(elboroom, folder, "bash"))
    # bash adds the slash of a folder to the word itself.
    expected = {line: [word.rstrip("/") for word in words] for line, words in WORDS.items()}
    assert found == expected


def test_fish_offers_commands_options_values_and_files(elboroom: Command, folder: Path):
    found = offered_by_fish(script(elboroom, folder, "fish"))
    assert {line: sorted(words) for line, words in found.items()} == {
        line: sorted(words) for line, words in WORDS.items()
    }


@pytest.fixture
def tab(elboroom: Command, folder: Path, request: pytest.FixtureRequest) -> Iterator[Shell]:
    """Start an interactive shell, and evaluate the script as the documentation says."""
    name, *before = request.param
    path = script(elboroom, folder, name)
    with Shell(name, [*before, f'eval "$(cat {path})"']) as shell:
        yield shell


ZSH = ("zsh", "autoload -Uz compinit", "compinit -u -D")


@pytest.mark.parametrize("tab", [("bash",), ZSH], ids=["bash", "zsh"], indirect=True)
def test_the_tab_key_completes_what_is_typed(tab: Shell):
    assert tab.completed("elboroom train --net") == "elboroom train --network"
    assert tab.completed("elboroom train --preset refe") == "elboroom train --preset reference"
    assert tab.completed("elboroom report ru") == "elboroom report runs"
    assert tab.completed("elboroom completion z") == "elboroom completion zsh"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_option_of_every_command_stands_in_the_script(elboroom: Command, shell: str):
    text = elboroom("completion", shell).out
    for kind in COMMANDS:
        help_text = elboroom(kind.__name__.lower(), "--help").out
        for option in re.findall(r"^│ (--[a-z-]+)", help_text, re.MULTILINE):
            mark = option.removeprefix("--") if shell == "fish" else option
            assert re.search(rf"(?<![\w-]){mark}(?![\w-])", text), (kind, option)


def test_the_script_is_the_same_in_every_process(shell: Command, elboroom: Command):
    # Another process has another order of sets.
    assert shell("completion", "zsh") == elboroom("completion", "zsh")


@pytest.mark.parametrize(
    ("metavar", "words"),
    [
        ("{None,a,b-c}", ["a", "b-c"]),
        ("INT|{auto}", ["auto"]),
        ("[{svi,hmc} [{svi,hmc} ...]]", ["svi", "hmc"]),
        ("{mlp,package.module:factory}", ["mlp"]),
        ("{None}|{[INT [INT ...]]}", []),
        ("{None}|PATH", []),
    ],
)
def test_the_words_of_a_metavar_are_those_in_braces(metavar: str, words: list[str]):
    assert completion._choices(metavar) == words


def test_another_tyro_is_an_error_and_no_empty_script(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(completion, "parse_command", lambda *_, **__: sys.stdout.write("SPEC = {}"))
    with pytest.raises(RuntimeError, match="does not list the options"):
        completion.script(COMMANDS, "bash")
