"""The exit codes of `docs/command-line.md`, each brought about as its row says."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from elboroom.cli.signals import SIGNALS, exit_code
from tests.support.command import Command
from tests.support.posix import ON_POSIX
from tests.support.repository import ROOT
from tests.support.small_run import small_run

PAGE = ROOT / "docs" / "command-line.md"
ROW = re.compile(r"^\| (\d+) \| (.+?) \| .+ \|$", re.MULTILINE)
FULL = Path("/dev/full")  # every write to it fails as on a full disk


def rows() -> list[tuple[int, str]]:
    text = PAGE.read_text(encoding="utf-8").split("## Exit codes")[1].split("\n## ")[0]
    return [(int(code), when) for code, when in ROW.findall(text)]


class Case:
    """What a way to end needs, and how the end is brought about."""

    def __init__(
        self, elboroom: Command, run: Path, folder: Path, small: list[str], patch: Any
    ) -> None:
        self.elboroom, self.run, self.folder, self.small = elboroom, run, folder, small
        self.patch: pytest.MonkeyPatch = patch

    def code(self, *words: object) -> int:
        return self.elboroom(*words).code

    def figures_after(self, happens: Callable[[], Any]) -> int:
        """End `elboroom figures` by what happens while it loads the model."""
        self.patch.setattr("elboroom.cli.figures.figures", lambda *_, **__: happens())
        return self.code("figures", self.run)

    def process(self, *words: object, stdout: int) -> int:
        line = [sys.executable, "-m", "elboroom", *map(str, words)]
        return subprocess.run(
            line, stdout=stdout, stderr=subprocess.DEVNULL, check=False
        ).returncode

    def train_after(self, *numbers: int) -> int:
        """Train until signals come after the first step."""
        from elboroom.runs import training

        train = training.train

        def pressed(*arguments: Any, stop: Any, **options: Any) -> Any:
            stop()
            for number in numbers:
                signal.raise_signal(number)
            return train(*arguments, stop=stop, **options)

        self.patch.setattr(training, "train", pressed)
        return self.code("train", *self.small, "--out", self.folder / "new")


def raised(error: BaseException) -> Callable[[], Any]:
    def throw() -> None:
        raise error

    return throw


def damaged(case: Case) -> int:
    next(case.run.glob("checkpoints/*/model.safetensors")).write_bytes(b"")
    return case.code("doctor", case.run)


def incomparable(case: Case) -> int:
    other = small_run(case.folder / "other")
    return case.code("evaluate", case.run, "--k", 2, "--compare", other)


def evaluation_stopped(case: Case) -> int:
    def press(*_: Any, **__: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    case.patch.setattr("elboroom.cli.evaluate.certify", press)
    outcome = case.elboroom("evaluate", case.run, "--k", 2, "--certify", 1, "--json")
    assert outcome.out  # checked by its schema
    return outcome.code


def unread(case: Case) -> int:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return case.process("train", "--help", stdout=writing)
    finally:
        os.close(writing)


def unwritable(case: Case) -> int:
    if not FULL.exists():
        pytest.skip("there is no /dev/full")
    with FULL.open("w") as full:
        return case.process("version", stdout=full.fileno())


def among_several(case: Case) -> int:
    case.patch.setenv("WORLD_SIZE", "2")
    case.patch.setenv("RANK", "0")
    return case.code("report", case.run)


def explorer_ended(case: Case) -> int:
    def press(explored: Any, listener: Any, **_: Any) -> None:
        listener.close()
        signal.raise_signal(signal.SIGINT)

    case.patch.setattr("elboroom.explorer.serve", press)
    return case.code("explore", case.run, "--port", 0)


def by_signal(name: str) -> Callable[[Case], int]:
    def end(case: Case) -> int:
        return case.train_after(getattr(signal, name))

    return end


WAYS: dict[str, Callable[[Case], int]] = {
    "the command is done": lambda case: case.code("version"),
    "Ctrl-C ends the explorer": explorer_ended,
    "the run is missing, damaged or in the way": lambda case: case.code("report", "runs/none"),
    "memory runs out": lambda case: case.figures_after(raised(MemoryError("1 GiB"))),
    "something fails that elboroom does not foresee": lambda case: case.figures_after(
        raised(ValueError("a fault"))
    ),
    "`doctor` finds damage": damaged,
    "the output cannot be written": unwritable,
    "the reader of the output is gone": unread,
    "a command, an option or a value does not exist": lambda case: case.code(
        "train", "--epochs", "many"
    ),
    "a value is out of range": lambda case: case.code("train", "--epochs", "0"),
    "the data cannot be read, or do not fit": lambda case: case.code(
        "train", "--data", case.folder / "none.npz"
    ),
    "two results are of different data": incomparable,
    "several processes are given a command for one": among_several,
    "Ctrl-C (SIGINT) stops a training, which is saved": by_signal("SIGINT"),
    "Ctrl-C stops an evaluation, which prints what is known": evaluation_stopped,
    "a second Ctrl-C ends the command at once": lambda case: case.train_after(
        signal.SIGINT, signal.SIGINT
    ),
    "Ctrl-C ends any other command": lambda case: case.figures_after(
        lambda: signal.raise_signal(signal.SIGINT)
    ),
    "SIGUSR1 does the same; 158 in macOS, where it is signal 30": by_signal("SIGUSR1"),
    "SIGTERM does the same": by_signal("SIGTERM"),
}


def test_the_page_has_a_row_for_every_way_to_end_and_no_other():
    assert [when for _, when in rows()] == [*WAYS]


@pytest.mark.parametrize(
    ("code", "when"),
    [pytest.param(*row, marks=ON_POSIX if "SIGUSR1" in row[1] else ()) for row in rows()],
)
def test_a_command_ends_with_the_code_of_the_page(
    elboroom: Command,
    run: Path,
    tmp_path: Path,
    small: list[str],
    monkeypatch: pytest.MonkeyPatch,
    code: int,
    when: str,
):
    monkeypatch.chdir(tmp_path)
    expected = 158 if sys.platform == "darwin" and "SIGUSR1" in when else code
    assert WAYS[when](Case(elboroom, run, tmp_path, small, monkeypatch)) == expected


def test_the_help_has_every_code_of_the_page(elboroom: Command):
    text = " ".join(elboroom("--help").out.split())
    told = re.search(r"Exit codes: (.*?)\. SIGINT is Ctrl-C", text)
    assert told is not None
    assert {int(number) for number in re.findall(r"\b\d+\b", told[1])} == {
        *(code for code, _ in rows() if code < 128),
        *map(exit_code, SIGNALS),
    }


def test_a_wrong_row_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    wrong = PAGE.read_text(encoding="utf-8").replace("| 2 | a value is out", "| 1 | a value is out")
    (tmp_path / "page.md").write_text(wrong, encoding="utf-8")
    right = rows()
    monkeypatch.setattr(sys.modules[__name__], "PAGE", tmp_path / "page.md")
    assert [a for a, b in zip(rows(), right, strict=True) if a != b] == [
        (1, "a value is out of range")
    ]
