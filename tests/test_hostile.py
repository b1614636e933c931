"""Files made to harm are refused, or read without harm; readers without their checks are not."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load

from elboroom import checkpoints, config_file, runs
from elboroom.config import tables
from elboroom.data import archive, npy, pictures
from elboroom.data.npy import Header
from hostile import Case, bounded, fault
from hostile_corpus import CORPUS

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="bounds memory by /proc")


def test_the_corpus_is_large_and_names_each_file_once():
    assert len(CORPUS) >= 150
    assert Counter(case.name for case in CORPUS).most_common(1)[0][1] == 1


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_a_hostile_file_is_told_clearly_or_does_no_harm(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)  # where code in it would leave a trace
    assert fault(case, tmp_path) is None


@needs_linux
def test_no_hostile_file_takes_more_memory_than_it_may():
    program = Path(__file__).with_name("hostile_corpus.py")
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=300)
    assert (done.stdout, done.stderr) == (f"{len(CORPUS)} files\n", "")


def nothing(*_: Any, **__: Any) -> None:
    """A check that is taken out."""


def of_numpy(file: Any, size: int) -> Header:
    """A header as numpy believes it."""
    np.lib.format.read_magic(file)
    return Header((), np.dtype("f8"))


def believing(content: bytes, *, finite: bool = True) -> Any:
    return json.loads(content)


# what is taken out of which module, and files that must then do harm
CONTROLS: dict[str, tuple[Any, str, Any, list[str]]] = {
    "headers": (npy, "read_header", of_numpy, ["npy promises terabytes", "npy holds a byte more"]),
    "members": (archive, "_require_plain", nothing, ["npz a name twice", "npz bzip2"]),
    "bombs": (archive, "_PACKED", 10**9, ["npz a bomb", "npz a bomb of bombs at one place"]),
    "directories": (archive, "_AT_ONCE", 1 << 40, ["npz 30,000 members"]),
    "sizes of pictures": (pictures, "_require_size", nothing, ["png 10^10 pixels"]),
    "options": (tables, "require_type", nothing, ["config latents that are text"]),
    "evaluations": (runs, "parse_json", believing, ["evaluation NaN", "evaluation nested deeply"]),
    "manifests": (checkpoints, "parse_json", believing, ["manifest a name twice"]),
    "networks": (checkpoints, "require_room", nothing, ["config a width of 10^9"]),
    "tensors": (
        checkpoints,
        "read_tensors",
        lambda content, like: load(content),
        ["moments no totals"],
    ),
    "links": (
        config_file,
        "require_no_links",
        nothing,
        ["link checkpoints", "planted report.html"],
    ),
}


@needs_linux
@pytest.mark.parametrize("name", CONTROLS)
def test_a_reader_without_its_check_is_found(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    module, check, instead, harmful = CONTROLS[name]
    assert {case.name for case in CORPUS} >= set(harmful)
    monkeypatch.setattr(module, check, instead)
    for case in (case for case in CORPUS if case.name in harmful):
        (tmp_path / case.name).mkdir()
        assert fault(case, tmp_path / case.name, bounded) is not None, case.name
