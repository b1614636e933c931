"""Files made to harm are refused, or read without harm; readers without their checks are not."""

import importlib
import os
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.case import Bounds, Case, bounded, fault, writing
from tests.hostile.controls import CONTROLS, found_out
from tests.hostile.corpus import CORPUS
from tests.support.repository import ROOT

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="bounds memory by /proc")


def test_the_corpus_is_large_and_names_each_file_once():
    assert len(CORPUS) >= 150
    assert Counter(case.name for case in CORPUS).most_common(1)[0][1] == 1


@pytest.fixture(scope="module")
def bounds(tmp_path_factory: pytest.TempPathFactory) -> Bounds:
    """Bounds of memory, once whole files have loaded what readers need."""
    for case in CORPUS:
        if not case.told:
            fault(case, tmp_path_factory.mktemp("whole"))
    return bounded if sys.platform == "linux" else nullcontext  # by /proc


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_a_hostile_file_is_told_clearly_or_does_no_harm(
    case: Case, bounds: Bounds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)  # where code in it would leave a trace
    assert fault(case, tmp_path, bounds) is None


@pytest.mark.full
@needs_linux
def test_no_hostile_file_takes_more_memory_than_it_may():
    # in a process of its own, which has no freed memory to spare
    program = [sys.executable, "-m", "tests.hostile.corpus"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (done.stdout, done.stderr) == (f"{len(CORPUS)} files\n", "")


class Called:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.getcwd, ()


def planted(path: Path) -> None:
    """Import a module beside the file, whose code says that it comes from Python itself."""
    code = compile("", "<frozen planted>", "exec")
    content = importlib._bootstrap_external._code_to_timestamp_pyc(code)  # pyright: ignore
    path.with_name("planted.pyc").write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(path.parent))
        importlib.import_module("planted")


@pytest.mark.parametrize(
    "read",
    [
        lambda path: pickle.loads(path.read_bytes()),
        lambda path: eval("1 + 1"),
        lambda path: subprocess.run(["true"], check=True),
        lambda path: os.system("true"),
        lambda path: (path.parents[1] / "elsewhere").write_bytes(b""),
        lambda path: os.mkdir(path.parents[1] / "elsewhere"),
        lambda path: os.rename(path, path.parents[1] / "elsewhere"),
        planted,
    ],
)
def test_a_reader_that_executes_or_changes_anything_is_found(
    tmp_path: Path, read: Callable[[Path], Any]
):
    (tmp_path / "case").mkdir()
    case = Case("a pickle", writing("x", pickle.dumps(Called())), read, "")
    assert str(fault(case, tmp_path / "case")).startswith("it has done ")


@needs_linux
@pytest.mark.parametrize("name", CONTROLS)
def test_a_reader_without_its_check_is_found(name: str, tmp_path: Path):
    found = found_out(name, tmp_path)
    assert found == dict.fromkeys(found, True)
