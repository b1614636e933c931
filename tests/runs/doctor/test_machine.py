"""What is said of this machine, with its abilities faked."""

import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from elboroom import TrainConfig
from elboroom import __version__ as version
from elboroom.runs.doctor import machine
from elboroom.runs.doctor.finding import Finding

CPU = TrainConfig(device="cpu")


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quiet machine of two cores with 8 GiB free."""
    monkeypatch.setattr(machine, "product_seconds", lambda threads: 0.008 / threads)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(machine, "free_memory", lambda device: 8 << 30)
    monkeypatch.setattr(machine, "why_not_compilable", lambda device: None)
    monkeypatch.setattr(machine, "_extras", list)


def found(folder: Path) -> dict[str, Finding]:
    return {finding.name: finding for finding in machine.examine(folder, CPU)}


def test_a_quiet_machine(tmp_path: Path):
    findings = found(tmp_path / "runs" / "none" / "yet")
    assert [finding.mark for finding in findings.values()] == ["ok"] * len(findings)
    assert findings["versions"].found.startswith(f"elboroom {version}, Python 3.")
    assert f", PyTorch {torch.__version__}, NumPy " in findings["versions"].found
    assert findings["device"].found == "cpu, as requested"
    assert "float" in findings["matrix products"].found
    assert findings["threads"].found.startswith("2, or 1 while that is faster")
    assert findings["cores"].found == (
        "a product of 1,024 × 1,024 matrices takes 4.0 ms by 2 threads and 8.0 ms by one"
    )
    assert findings["compiler"].found == "networks can be compiled for cpu"
    assert findings["memory"].found == "8.0 GiB of cpu are free"
    assert findings["disk"].found.endswith(f" GiB are free at {tmp_path}")
    assert findings["writing"].found == f"files can be written at {tmp_path}"
    assert list(tmp_path.iterdir()) == []


def test_a_core_that_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine, "product_seconds", {1: 0.008, 2: 0.05}.get)
    cores = found(tmp_path)["cores"]
    assert cores.mark == "note"
    assert cores.found.endswith(
        "takes 50.0 ms by 2 threads and 8.0 ms by one, as where another process keeps a core"
    )


def test_a_single_thread_is_timed_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    cores = found(tmp_path)["cores"]
    assert cores.mark == "ok"
    assert cores.found.endswith("takes 8.0 ms by the one thread there is")


def test_a_machine_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        machine, "why_not_compilable", lambda device: "no C++ compiler is found: g++"
    )
    compiler = found(tmp_path)["compiler"]
    assert (compiler.mark, compiler.found) == (
        "note",
        "networks run as they stand: no C++ compiler is found: g++",
    )


def test_a_system_that_does_not_tell_its_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(machine, "free_memory", lambda device: None)
    assert found(tmp_path)["memory"].fix == "give --batch-size a number"


@pytest.mark.parametrize(("free", "mark"), [((1 << 30) - 1, "note"), (1 << 30, "ok")])
def test_a_disk_with_little_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, mark: str
):
    usage = SimpleNamespace(free=free)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda place: usage)
    assert found(tmp_path)["disk"].mark == mark


def test_a_place_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(dir: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(machine, "TemporaryFile", refuse)
    writing = found(tmp_path)["writing"]
    assert (writing.mark, writing.fix) == ("note", "give an --out where you may write")
    assert writing.found.endswith(f"written at {tmp_path}: [Errno 30] Read-only file system")


class Metadata:
    def get_all(self, name: str) -> list[str]:
        assert name == "Provides-Extra"
        return ["whole", "half"]


def test_extras_by_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    requires = [
        "numpy>=1.26",
        "pytest[x]>=8; extra == 'whole'",
        "torch; extra == 'half'",
        'no.such_package-1>=2 ; python_version > "3" and extra == "half"',
    ]
    monkeypatch.setattr(metadata, "metadata", lambda name: Metadata())
    monkeypatch.setattr(metadata, "requires", lambda name: requires)
    assert list(machine._extras()) == [
        Finding("extra whole", "installed"),
        Finding(
            "extra half",
            "no.such_package-1 not installed",
            f"{sys.executable} -m pip install 'elboroom[half]'",
        ),
    ]


def test_no_extras_are_told_where_elboroom_is_not_installed(monkeypatch: pytest.MonkeyPatch):
    def absent(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.undo()
    monkeypatch.setattr(metadata, "metadata", absent)
    assert list(machine._extras()) == []
